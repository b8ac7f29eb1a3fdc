"""The ledger of a study: what every arm, batch size and role cost, adding up exactly.

Every result is billed: failed, diverged and pruned ones too. This module must not know what the money bought.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tuner.cost import Cost, total
from tuner.trial import ROLES, Role, TrialResult


@dataclass(frozen=True, kw_only=True)
class LedgerLine:
    """What one arm cost at one batch size in one role, and how its trials ended."""

    arm: str
    batch_size: int
    role: Role
    cost: Cost
    num_diverged: int
    num_failed: int


@dataclass(frozen=True, kw_only=True)
class CostLedger:
    """Lines whose sum is the total, and a total that is the sum over all results."""

    lines: tuple[LedgerLine, ...]
    total: Cost


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
            cost=total(result.cost for result in group),
            num_diverged=sum(result.status == "diverged" for result in group),
            num_failed=sum(result.status == "failed" for result in group),
        )
        for (batch_size, arm, role), group in sorted(
            groups.items(), key=lambda item: (item[0][0], item[0][1], ROLES.index(item[0][2]))
        )
    )
    return CostLedger(lines=lines, total=total(line.cost for line in lines))
