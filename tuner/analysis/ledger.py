"""Cost ledger of a study: the exact cost of every arm, batch size and role.

Every trial is billed, also failed, diverged and pruned ones. A reused result costs the study nothing and is listed
beside the bill. This module must not know scores.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from ..cost import Cost, total_cost
from ..trial import ROLES, Role, TrialResult


@dataclass(frozen=True, kw_only=True)
class LedgerLine:
    """Cost of the trials of an arm at a batch size in one role.

    Attributes:
        cost: sum of what the study spent on the trials.
        num_diverged: trials that were trained here and diverged.
        num_failed: trials that failed.
        wall_seconds: from `wall_seconds`; lines overlap in time, so they do not add up to the total's.
        reused: cost of the earlier trainings whose results were reused; not part of `cost`.
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
        """Cost if nothing had been reused: the sum of `TrialResult.cost`."""
        return self.cost + self.reused


@dataclass(frozen=True, kw_only=True)
class CostLedger:
    """Cost ledger of a study. Its total is the sum of its lines and the sum over all results.

    Attributes:
        total: sum of the lines' costs, which is what the study spent.
        wall_seconds: wall-clock time of the whole study, from `wall_seconds`.
        reused: cost of the earlier trainings whose results were reused; not part of `total`.
    """

    lines: tuple[LedgerLine, ...]
    total: Cost
    wall_seconds: float
    reused: Cost = field(default_factory=Cost)

    def arms(self) -> Mapping[tuple[str, int], Cost]:
        """Return the sum of the lines of every arm at every batch size, by (arm, batch size)."""
        return {
            (arm, batch_size): total_cost(line.cost for line in lines)
            for (batch_size, arm), lines in groupby(self.lines, key=lambda line: (line.batch_size, line.arm))
        }


def wall_seconds(results: Iterable[TrialResult]) -> float:
    """Return the wall-clock seconds during which at least one of these trainings held a device.

    Parallel trainings, and the workers of one, count once. The time between an interruption and the resumption does not
    count. Every training is assumed to have held its device continuously until it finished, work that an interruption
    lost included. Reused results held none. The sum is too small for trials that were trained in packs, see
    `TrialResult.started_at`.

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
    """Return the ledger of results, with lines ordered by batch size, arm and role.

    Integers add up exactly. Seconds are floating-point numbers: the total is their sum in the order of the lines.

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
