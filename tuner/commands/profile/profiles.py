"""Performance profiles: over several workloads, how often each arm is as good as tuning, and at what relative cost.

A workload is a study at one batch size. The cost of an arm there is its cost to a model, including all its search
trials (`tuner.analysis.comparison`). It is infinite unless the arm's verdict is a yes, less certain ones
included: an arm that is not shown to be as good has not solved the workload. The reference always has. Pure functions
of comparisons: this module must not know how a profile is drawn.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...cost import CURRENCIES
from ...errors import BadInput

TAU_MAX = 100.0
"""Upper end of the area. A search of 99 trials still counts against an arm that costs one training."""


@dataclass(frozen=True, kw_only=True)
class WorkloadEntry:
    """One arm on one workload.

    Attributes:
        finding: the kind of the arm's verdict, "reference" for the reference itself.
        bill: cost to a model with the arm, in the currency; None if no run has a score.
        ratio: the bill divided by that of the cheapest arm as good as the reference; infinite if this arm is not.
    """

    study: str
    batch_size: int
    finding: str
    bill: float | None
    ratio: float


@dataclass(frozen=True, kw_only=True)
class ArmProfile:
    """An arm over all workloads: an entry per workload, in order, and the area under its profile."""

    arm: str
    entries: tuple[WorkloadEntry, ...]
    area: float

    def share_within(self, tau: float) -> float:
        """Dolan and More's rho(tau): the share of workloads solved at no more than tau times the lowest cost."""
        return share_within([entry.ratio for entry in self.entries], tau)


@dataclass(frozen=True, kw_only=True)
class PerformanceProfiles:
    """The profiles of the arms that all studies have.

    Attributes:
        with_baseline: whether the full cost of the search for an arm's baseline is added on every workload.
        arms: in the order of the first study.
        left_out: sentences that say which arms and workloads are not counted, and why.
    """

    currency: str
    with_baseline: bool
    num_workloads: int
    arms: tuple[ArmProfile, ...]
    left_out: tuple[str, ...]


def cost_ratios(costs: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    """Divide each cost by the lowest on the same workload.

    Args:
        costs: costs of every arm, positive, one per workload in the same order; infinite if the arm did not solve it.

    Returns:
        Ratios >= 1 in the same order; infinite if the arm did not solve the workload, or no arm did.

    Source: Dolan and More, Benchmarking optimization software with performance profiles (Math. Program. 91, 2002).

    >>> cost_ratios({"tuned": [8.0, 9.0], "date": [2.0, math.inf]})
    {'tuned': (4.0, 1.0), 'date': (1.0, inf)}
    """
    lowest = [min(workload) for workload in zip(*costs.values(), strict=True)]
    return {
        arm: tuple(cost / best if math.isfinite(cost) else math.inf for cost, best in zip(own, lowest, strict=True))
        for arm, own in costs.items()
    }


def share_within(ratios: Sequence[float], tau: float) -> float:
    """Return the share of ratios that are at most tau: the performance profile at tau.

    >>> share_within([1.0, 4.0, math.inf], 4.0)
    0.6666666666666666
    """
    return sum(ratio <= tau for ratio in ratios) / len(ratios)


def profile_area(ratios: Sequence[float], tau_max: float = TAU_MAX) -> float:
    """Return the area under a performance profile over log tau from 1 to tau_max, as a fraction of the whole.

    A workload contributes 1 - ln(ratio) / ln(tau_max), or 0 above tau_max. An arm that is as good and the cheapest
    everywhere has an area of 1.

    Differs from AlgoPerf (Dahl et al., arXiv 2306.07179), which integrates over tau itself from 1 to 4: searches cost
    tens of trainings, and a factor of ten should count as much from 1 to 10 as from 10 to 100.

    Args:
        ratios: from `cost_ratios`, at least one.
        tau_max: upper end of the area, > 1.

    >>> profile_area([1.0, 10.0, math.inf], tau_max=100.0)
    0.5
    """
    shares = [max(0.0, 1.0 - math.log(ratio) / math.log(tau_max)) for ratio in ratios]
    return math.fsum(shares) / len(shares)


def performance_profiles(
    comparisons: Sequence[Comparison], currency: str, *, with_baseline: bool
) -> PerformanceProfiles:
    """Compute the profiles of the arms that all studies have, matched by name.

    With three or more arms, the order of two can depend on the third, since that may set the lowest cost (Gould and
    Scott, A note on performance profiles, 2016). A profile ranks only the arms that it shows. `with_baseline` adds the
    cost of an arm's baseline search on every workload, as if it were tuned for that alone.

    Raises:
        BadInput: a study is given twice, there is no such currency, the studies share no arm, none of their workloads
            can be counted, or a bill in that currency is zero.
    """
    names = [comparison.facts.name for comparison in comparisons]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"{', '.join(twice)}: named twice: name each study once, or it counts twice")
    if currency not in CURRENCIES:
        raise BadInput(f"unknown cost axis {currency!r}: choose one of {', '.join(CURRENCIES)}")
    arms = _common_arms(comparisons)
    workloads, unfinished = _workloads(comparisons, arms)
    if not workloads:
        raise BadInput(f"no workload can be counted: {' '.join(unfinished)}")
    bills = {
        arm: [_bill(comparison.row(arm, batch_size), currency, with_baseline) for comparison, batch_size in workloads]
        for arm in arms
    }
    findings = {arm: [_finding(comparison, arm, batch_size) for comparison, batch_size in workloads] for arm in arms}
    ratios = cost_ratios({arm: _costs(bills[arm], findings[arm]) for arm in arms})
    return PerformanceProfiles(
        currency=currency,
        with_baseline=with_baseline,
        num_workloads=len(workloads),
        arms=tuple(
            ArmProfile(
                arm=arm,
                entries=tuple(
                    WorkloadEntry(
                        study=comparison.facts.name,
                        batch_size=batch_size,
                        finding=findings[arm][place],
                        bill=bills[arm][place],
                        ratio=ratios[arm][place],
                    )
                    for place, (comparison, batch_size) in enumerate(workloads)
                ),
                area=profile_area(ratios[arm]),
            )
            for arm in arms
        ),
        left_out=(*_missing_arms(comparisons, arms), *unfinished),
    )


def _common_arms(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    stands_in = [set(comparison.facts.arms) for comparison in comparisons]
    arms = tuple(arm for arm in comparisons[0].facts.arms if all(arm in there for there in stands_in))
    if not arms:
        held = "; ".join(
            f"{comparison.facts.name} has {', '.join(comparison.facts.arms)}" for comparison in comparisons
        )
        raise BadInput(f"no arm stands in all studies, so there is nothing to compare: {held}")
    return arms


def _missing_arms(comparisons: Sequence[Comparison], arms: Sequence[str]) -> list[str]:
    """Say which arms some studies lack: one sentence per set of studies that lack them."""
    missing: dict[str, list[str]] = {}
    for arm in dict.fromkeys(arm for comparison in comparisons for arm in comparison.facts.arms if arm not in arms):
        names = [comparison.facts.name for comparison in comparisons if arm not in comparison.facts.arms]
        missing.setdefault(", ".join(names), []).append(arm)
    return [
        f"Left out: {', '.join(found)}, which {'does' if len(found) == 1 else 'do'} not stand in {names}."
        for names, found in missing.items()
    ]


def _workloads(
    comparisons: Sequence[Comparison], arms: Sequence[str]
) -> tuple[list[tuple[Comparison, int]], list[str]]:
    """Return the workloads on which every arm was confirmed or failed, and a sentence for each of the others."""
    counted, left_out = [], []
    for comparison in comparisons:
        reference = comparison.facts.reference
        for batch_size in comparison.facts.batch_sizes:
            rows = [comparison.row(arm, batch_size) for arm in arms]
            missing = [row.arm for row in rows if row.bill is None and not row.num_failed]
            if comparison.row(reference, batch_size).bill is None:
                missing = [reference]
            if missing:
                left_out.append(
                    f"Left out: {comparison.facts.name} at B={batch_size:,}, where {', '.join(missing)} "
                    f"{'has' if len(missing) == 1 else 'have'} no confirmed score."
                )
            else:
                counted.append((comparison, batch_size))
    return counted, left_out


def _bill(row: ComparisonRow, currency: str, with_baseline: bool) -> float | None:
    if row.bill is None:
        return None
    bill = row.bill[currency] + (row.baseline_bill[currency] if with_baseline else 0.0)
    if bill <= 0:
        raise BadInput(f"{row.arm} at B={row.batch_size:,} has a bill of 0 {currency}: choose another currency")
    return bill


def _finding(comparison: Comparison, arm: str, batch_size: int) -> str:
    row = comparison.row(arm, batch_size)
    if arm == comparison.facts.reference:
        return "reference"
    return "cannot be judged" if row.verdict is None else row.verdict.kind


def _costs(bills: Sequence[float | None], findings: Sequence[str]) -> list[float]:
    """Return the bills, infinite where the arm was not shown to be as good as the reference."""
    return [
        bill if bill is not None and finding in ("reference", "yes", "yes, but") else math.inf
        for bill, finding in zip(bills, findings, strict=True)
    ]
