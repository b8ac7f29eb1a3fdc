"""The ledger of a study: what every arm, batch size and role cost, adding up exactly.

Every result is billed: failed, diverged and pruned ones too. One that was taken over from an earlier training costs the
study nothing, and stands beside the bill. This module must not know what the money bought.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from ..cost import Cost, total_cost
from ..trial import ROLES, Role, TrialResult


@dataclass(frozen=True, kw_only=True)
class LedgerLine:
    """What one arm cost at one batch size in one role, how its trials ended, and how long one had to wait for them.

    Attributes:
        arm: its name, or a baseline's.
        batch_size: in samples.
        role: of the trials.
        cost: what was spent on them, summed up.
        reused: what earlier trainings had spent on those whose results were taken over; no part of `cost`.
        num_diverged: trials that were trained here and diverged.
        num_failed: trials that failed.
        wall_seconds: as `wall_seconds` gives; lines ran side by side, so theirs do not add up to the total's.
    """

    arm: str
    batch_size: int
    role: Role
    cost: Cost
    num_diverged: int
    num_failed: int
    wall_seconds: float
    reused: Cost = field(default_factory=Cost)

    @property
    def full_cost(self) -> Cost:
        """What it would have cost to train all of them: the sum of `TrialResult.cost`."""
        return self.cost + self.reused


@dataclass(frozen=True, kw_only=True)
class CostLedger:
    """Lines whose sum is the total, and a total that is the sum over all results.

    Attributes:
        lines: one an arm, batch size and role.
        total: the sum of their costs: what the study spent.
        wall_seconds: of the whole study, as `wall_seconds` gives.
        reused: the sum of what earlier trainings had spent on results that were taken over; no part of `total`.
    """

    lines: tuple[LedgerLine, ...]
    total: Cost
    wall_seconds: float
    reused: Cost = field(default_factory=Cost)

    def arms(self) -> Mapping[tuple[str, int], Cost]:
        """The sum of every arm's lines at every batch size, by (arm, batch size)."""
        return {
            (arm, batch_size): total_cost(line.cost for line in lines)
            for (batch_size, arm), lines in groupby(self.lines, key=lambda line: (line.batch_size, line.arm))
        }


def wall_seconds(results: Iterable[TrialResult]) -> float:
    """Seconds of the clock in which at least one of these trainings held a device.

    Trainings side by side count once, as do the workers of one, and the hours between an interruption and the
    resumption not at all. Each is taken to have held its device without a break until it ended; the part of it that an
    interruption lost is taken to have stood just before the rest, and counts only where nothing else ran then. What was
    taken over held nothing. Too few where trials were trained in packs: `TrialResult.started_at` says why.

    >>> wall_seconds([])
    0.0
    """
    spans = sorted((result.started_at, result.finished_at) for result in results)
    seconds, end = 0.0, -math.inf
    for begin, stop in spans:
        seconds += max(0.0, stop - max(begin, end))
        end = max(end, stop)
    return seconds


def cost_ledger(results: Iterable[TrialResult]) -> CostLedger:
    """One line an arm, batch size and role, ordered by batch size, arm and role.

    Integers add up exactly. Seconds are floating-point numbers, so the total is the sum of the lines in their order.

    >>> cost_ledger([]).total.trials
    0
    """
    groups: dict[tuple[int, str, Role], list[TrialResult]] = {}
    for result in results:
        trial = result.trial
        groups.setdefault((trial.batch_size, trial.arm, trial.role), []).append(result)
    lines = tuple(
        LedgerLine(
            arm=arm,
            batch_size=batch_size,
            role=role,
            cost=total_cost(result.spent_cost for result in group),
            reused=total_cost(result.reused_cost for result in group),
            num_diverged=sum(result.status == "diverged" and result.reused_from is None for result in group),
            num_failed=sum(result.status == "failed" for result in group),
            wall_seconds=wall_seconds(group),
        )
        for (batch_size, arm, role), group in sorted(
            groups.items(), key=lambda item: (item[0][0], item[0][1], ROLES.index(item[0][2]))
        )
    )
    return CostLedger(
        lines=lines,
        total=total_cost(line.cost for line in lines),
        reused=total_cost(line.reused for line in lines),
        wall_seconds=wall_seconds(result for group in groups.values() for result in group),
    )
