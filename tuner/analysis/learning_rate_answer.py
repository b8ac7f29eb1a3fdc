"""Must a model tuned at B0 be tuned again at B? The answer of grids of trainings over learning rate and batch size.

The grids are the replicates. `tuner.analysis.verdict.judge` pairs seeds and takes Student's t; here a loss above the
best is never negative and is skewed, and the best is a minimum instead of a seed's score. So a verdict is the exact
sign test: does a rule stay within the tolerance of the best on more than half of all such grids? This module must not
know files, or how anything is shown.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal, TypeVar

from .evidence import Interval, sign_test, t_interval
from .learning_rate_grids import Grid, fit_slope, largest_batch, lr_exponent, token_slope
from .learning_rate_rules import FORMS, REFERENCE_TOKENS, Case, FittedForm, Losses, all_cases, fit_form, left_out_with
from .verdict import LEVEL, LIKELY_LEVEL, holm

Kind = Literal["yes", "yes, but", "no", "not shown"]
"""Whether a rule spares tuning: it is shown to be within the tolerance of the best on most grids; the same, less
certain; it is shown to miss it on most grids; neither."""

BANDS: tuple[tuple[str, float], ...] = (
    ("down", 1.0),
    ("to 2", 2.0),
    ("to 4", 4.0),
    ("to 8", 8.0),
    ("to 16", 16.0),
    ("above", math.inf),
)
"""Names of the ranges of k = B / B0 with their largest k; the first is all below 1."""

MAX_K_DEFAULT = 8
"""The batch size that is asked for by default is at most so many times B0: from 64 to 512."""

FLOPS_A_TOKEN = 6.0
"""FLOPs of a training for each parameter and token (Kaplan et al., arXiv 2001.08361: 2 forward, 4 backward)."""


@dataclass(frozen=True, kw_only=True)
class GridsQuestion:
    """What is asked of the grids.

    Attributes:
        baseline_batch_size: B0, at which the model is tuned.
        batch_size: B, at which it is to be trained.
        tolerance: loss above the best that does not matter, in the loss's unit, > 0.
        device_flops: useful FLOPs of a device in a second, for what tuning costs.
    """

    baseline_batch_size: int
    batch_size: int
    tolerance: float
    device_flops: float


@dataclass(frozen=True, kw_only=True)
class GridVerdict:
    """A rule from B0 at one batch size.

    Attributes:
        losses: above the best at B, a case a grid.
        kind: what the sign test shows.
        tokens: median share of tokens, beyond the grid's own, that would make up for the loss; None if not known.
    """

    losses: Losses
    kind: Kind
    tokens: float | None = None

    @property
    def spares_tuning(self) -> bool:
        """Whether the rule is shown to do as well as tuning at B."""
        return self.kind in ("yes", "yes, but")


@dataclass(frozen=True, kw_only=True)
class TuningCost:
    """What tuning the learning rate at B costs on a grid, against what it saves.

    Attributes:
        trainings: learning rates that the grid tries at B.
        device_hours: of these trainings.
        excess: loss that keeping B0's learning rate has above the best at B.
        more_tokens: share of a training's tokens that would make up for that loss; None if not known.
    """

    grid: Grid
    trainings: int
    device_hours: float
    excess: float
    more_tokens: float | None


@dataclass(frozen=True, kw_only=True)
class GridsAnswer:
    """The answer.

    Attributes:
        rules: the rules in the order of `FORMS`, with their constants.
        verdicts: by rule and batch size, from B0.
        bands: losses of all pairs of batch sizes, by rule and the name of a range of k.
        by_size: losses at B, by rule and number of parameters.
        by_tokens: losses at B, by rule and third of the grids by tokens: (fewest, most) tokens.
        exponents: of the best learning rate in the batch size, by grid.
        mean_exponent: their mean, with the grids as replicates; None for fewer than two.
        largest: by grid the largest batch size whose own best is within the tolerance of the grid's lowest loss.
        largest_power: p of that batch size in proportion to tokens^p; None for fewer than three grids.
        largest_at_reference: that batch size on this line at `REFERENCE_TOKENS`; None without one.
        costs: of tuning at B, by grid.
    """

    question: GridsQuestion
    grids: tuple[Grid, ...]
    rules: tuple[FittedForm, ...]
    verdicts: Mapping[tuple[str, int], GridVerdict]
    bands: Mapping[tuple[str, str], Losses]
    by_size: Mapping[tuple[str, float], Losses]
    by_tokens: Mapping[tuple[str, tuple[float, float]], Losses]
    exponents: Mapping[str, Interval]
    mean_exponent: Interval | None
    largest: Mapping[str, float]
    largest_power: Interval | None
    largest_at_reference: float | None
    costs: tuple[TuningCost, ...]

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Batch sizes other than B0 at which rules are judged, ascending."""
        return tuple(sorted({batch_size for _, batch_size in self.verdicts}))

    @property
    def is_held_out(self) -> bool:
        """Whether constants were fitted without the size that they are judged on."""
        return len({left_out_with(grid) for grid in self.grids}) > 1

    def verdict(self, rule: str) -> GridVerdict:
        """Return the verdict on a rule at B."""
        return self.verdicts[rule, self.question.batch_size]

    def end(self, rule: str) -> int | None:
        """Return the largest B up to which a rule's median loss from B0 is within the tolerance; None if at none."""
        found = None
        for batch_size in self.batch_sizes:
            if batch_size < self.question.baseline_batch_size:
                continue
            middle = self.verdicts[rule, batch_size].losses.median
            if middle is None or middle > self.question.tolerance:
                break
            found = batch_size
        return found


def default_batch_size(grids: Sequence[Grid], baseline_batch_size: int) -> int | None:
    """Return the largest batch size of at least half of the grids, at most 8 B0; None if none is above B0."""
    usable = [grid for grid in grids if baseline_batch_size in grid.bests]
    sizes = {size for grid in usable for size in grid.bests}
    often = [
        size
        for size in sizes
        if baseline_batch_size < size <= MAX_K_DEFAULT * baseline_batch_size
        and 2 * sum(size in grid.bests for grid in usable) >= len(usable)
    ]
    return max(often, default=None)


def answer_grids(grids: Sequence[Grid], question: GridsQuestion) -> GridsAnswer:
    """Answer the question. Every grid counts that has a best learning rate at B0 and at B."""
    tolerance = question.tolerance
    rules = tuple(fit_form(form, grids, tolerance) for form in FORMS)
    cases = {rule.form.name: _from_baseline(rule, grids, question.baseline_batch_size) for rule in rules}
    at_b = {name: [case for case in found if case.batch_size == question.batch_size] for name, found in cases.items()}
    exponents = {grid.name: found for grid in grids if (found := lr_exponent(grid)) is not None}
    largest = {grid.name: size for grid in grids if (size := largest_batch(grid, tolerance)) is not None}
    points = [
        (math.log(grid.tokens), math.log(largest[grid.name])) for grid in grids if grid.tokens and grid.name in largest
    ]
    power = fit_slope(points) if len(points) > 2 and len({tokens for tokens, _ in points}) > 1 else None
    return GridsAnswer(
        question=question,
        grids=tuple(grids),
        rules=rules,
        verdicts=_judge(cases, grids, tolerance),
        bands=_bands(rules, grids, tolerance),
        by_size=_grouped(at_b, {one.name: one.parameters for one in grids if one.parameters}, tolerance),
        by_tokens=_grouped(at_b, _thirds(grids), tolerance),
        exponents=exponents,
        mean_exponent=t_interval([one.mean for one in exponents.values()]) if len(exponents) > 1 else None,
        largest=largest,
        largest_power=power,
        largest_at_reference=None if power is None else _at_reference(points, power.mean),
        costs=_costs(at_b["constant"], grids, question),
    )


def _at_reference(points: Sequence[tuple[float, float]], power: float) -> float:
    """Return the value at `REFERENCE_TOKENS` of the line with this slope through the middle of points in logarithms."""
    tokens, value = fmean(x for x, _ in points), fmean(y for _, y in points)
    return math.exp(value + power * (math.log(REFERENCE_TOKENS) - tokens))


def _from_baseline(rule: FittedForm, grids: Sequence[Grid], baseline_batch_size: int) -> list[Case]:
    """Return a rule's cases from B0, by grid and ascending batch size."""
    found = (
        rule.case(grid, baseline_batch_size, size)
        for grid in grids
        for size in grid.bests
        if size != baseline_batch_size
    )
    return [case for case in found if case is not None]


def _judge(
    cases: Mapping[str, Sequence[Case]], grids: Sequence[Grid], tolerance: float
) -> dict[tuple[str, int], GridVerdict]:
    """Judge every rule at every batch size; "yes" and "no" count the rules at that batch size, by Holm's procedure."""
    found: dict[int, dict[tuple[str, int], list[Case]]] = {}
    for name, own in cases.items():
        for case in own:
            found.setdefault(case.batch_size, {}).setdefault((name, case.batch_size), []).append(case)
    slopes = {grid.name: token_slope(grids, grid) for grid in grids}
    verdicts = {}
    for _, places in sorted(found.items()):
        kinds = judge_excesses({place: [case.excess for case in own] for place, own in places.items()}, tolerance)
        for place, own in places.items():
            verdicts[place] = GridVerdict(
                losses=Losses.of(own, tolerance), kind=kinds[place], tokens=_median_tokens(own, slopes)
            )
    return verdicts


def judge_excesses(
    excesses: Mapping[tuple[str, int], Sequence[float]], tolerance: float
) -> dict[tuple[str, int], Kind]:
    """Judge by the sign test whether losses above the best are within a tolerance on more than half of all grids.

    "yes" and "no" are false in at most `LEVEL` of such sets of comparisons, "yes, but" in `LIKELY_LEVEL` of
    comparisons.

    >>> judge_excesses({("sqrt", 512): [0.001] * 14 + [0.02], ("constant", 512): [0.02] * 10 + [0.001] * 5}, 0.01)
    {('sqrt', 512): 'yes', ('constant', 512): 'not shown'}
    """
    p_within = {place: sign_test([tolerance - one for one in own], 0.0) for place, own in excesses.items()}
    p_beyond = {place: sign_test([one - tolerance for one in own], 0.0) for place, own in excesses.items()}
    within, beyond = holm(p_within, LEVEL / 2), holm(p_beyond, LEVEL / 2)
    kinds: dict[tuple[str, int], Kind] = {}
    for place, p in p_within.items():
        likely: Kind = "yes, but" if p <= LIKELY_LEVEL else "not shown"
        kinds[place] = "yes" if place in within else "no" if place in beyond else likely
    return kinds


def _median_tokens(cases: Sequence[Case], slopes: Mapping[str, float | None]) -> float | None:
    known = [more_tokens(case.excess, slope) for case in cases if (slope := slopes[case.grid.name]) is not None]
    return median(known) if known else None


def more_tokens(excess: float, slope: float) -> float:
    """Return the share of tokens that would make up for a loss, where each factor e of tokens lowers it by `slope`.

    >>> round(more_tokens(0.01, 0.1), 3)
    0.105
    """
    return math.inf if excess / slope > 100 else math.expm1(excess / slope)


def _bands(rules: Sequence[FittedForm], grids: Sequence[Grid], tolerance: float) -> dict[tuple[str, str], Losses]:
    found: dict[tuple[str, str], list[Case]] = {}
    for rule in rules:
        for grid in grids:
            for case in all_cases(rule.form, rule.held_out.get(left_out_with(grid), 0.0), grid):
                found.setdefault((rule.form.name, band(case.k)), []).append(case)
    return {place: Losses.of(cases, tolerance) for place, cases in found.items()}


def band(k: float) -> str:
    """Return the name of the range of k in `BANDS`.

    >>> band(0.5), band(2.0), band(2.75), band(64.0)
    ('down', 'to 2', 'to 4', 'above')
    """
    return BANDS[0][0] if k < 1.0 else next(name for name, largest in BANDS[1:] if k <= largest)


Group = TypeVar("Group", bound=Hashable)


def _grouped(
    cases: Mapping[str, Sequence[Case]], groups: Mapping[str, Group], tolerance: float
) -> dict[tuple[str, Group], Losses]:
    """Return the losses by rule and group, of the grids that have one."""
    found: dict[tuple[str, Group], list[Case]] = {}
    for name, own in cases.items():
        for case in own:
            if case.grid.name in groups:
                found.setdefault((name, groups[case.grid.name]), []).append(case)
    return {place: Losses.of(own, tolerance) for place, own in found.items()}


def _thirds(grids: Sequence[Grid]) -> dict[str, tuple[float, float]]:
    """Return for each grid the fewest and the most tokens of its third; none where grids do not differ in tokens."""
    amounts = sorted(grid.tokens for grid in grids if grid.tokens)
    if len(set(amounts)) < 3:
        return {}
    cuts = [amounts[len(amounts) * part // 3] for part in (1, 2)]
    groups: dict[int, list[Grid]] = {}
    for grid in grids:
        if grid.tokens:
            groups.setdefault(sum(grid.tokens >= cut for cut in cuts), []).append(grid)
    ranges = {part: [grid.tokens or 0.0 for grid in own] for part, own in groups.items()}
    return {grid.name: (min(ranges[part]), max(ranges[part])) for part, own in groups.items() for grid in own}


def _costs(cases: Sequence[Case], grids: Sequence[Grid], question: GridsQuestion) -> tuple[TuningCost, ...]:
    """Return what tuning at B costs on the grids with a case of the rule `constant`."""
    found = []
    for case in cases:
        grid = case.grid
        if grid.parameters is None or grid.tokens is None:
            continue
        trainings, slope = len(grid.curves[case.batch_size].losses), token_slope(grids, grid)
        flops = trainings * FLOPS_A_TOKEN * grid.parameters * grid.tokens
        found.append(
            TuningCost(
                grid=grid,
                trainings=trainings,
                device_hours=flops / question.device_flops / 3600,
                excess=case.excess,
                more_tokens=None if slope is None else more_tokens(case.excess, slope),
            )
        )
    return tuple(found)
