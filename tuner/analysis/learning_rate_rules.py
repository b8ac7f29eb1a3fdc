"""Hold rules for the learning rate against grids of trainings: what each loses at B, started from the best at B0.

Constants of a rule (an exponent, a noise batch size) are fitted with the model size that it is judged on left out. The
grids are the replicates: one training a cell says nothing alone. This module must not know files, or how anything is
shown.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from ...trainers.batch_factors import power_factor, saturating_factor, surge_factor
from ...trainers.scaling import RULES
from .learning_rate_grids import Grid

REFERENCE_TOKENS = 20e9
"""Tokens at which a noise batch size is stated; elsewhere it is times sqrt(tokens / these)."""

WORST = 10.0
"""In a fit a case costs at most so many times the tolerance: a diverged training is not a hundred times a bad one."""

POWERS = tuple(step / 40 for step in range(41))
"""Exponents that are tried, 0 to 1."""

NOISE_STEPS = 4
"""Noise batch sizes that are tried in a factor of two."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """A rule for the learning rate, with at most one constant to fit.

    Attributes:
        name: the rule's name.
        constant: what is fitted: "exponent" or "noise_batch_size"; None if the rule has no constant.
        factor: function of k, and of the exponent or of Bn / B0, to lr(B) / lr(B0).
    """

    name: str
    constant: str | None
    factor: Callable[..., float]

    def at(self, k: float, constant: float, grid: Grid, baseline_batch_size: int) -> float:
        """Return lr(B) / lr(B0) on a grid."""
        if self.constant is None:
            return self.factor(k)
        if self.constant == "exponent":
            return self.factor(k, exponent=constant)
        return self.factor(k, noise_ratio=noise_batch_size(constant, grid) / baseline_batch_size)


FORMS = (
    *(Form(name=name, constant=None, factor=RULES[name].peak_factor) for name in ("constant", "sqrt", "linear")),
    Form(name="power", constant="exponent", factor=power_factor),
    Form(name="surge", constant="noise_batch_size", factor=surge_factor),
    Form(name="saturating-sqrt", constant="noise_batch_size", factor=partial(saturating_factor, exponent=0.5)),
    Form(name="saturating", constant="noise_batch_size", factor=partial(saturating_factor, exponent=1.0)),
)
"""The rules that are held against grids, `saturating-sqrt` with the exponent 1/2 and `saturating` with 1."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A rule started from the best learning rate at B0 of a grid, at another batch size B.

    Attributes:
        excess: loss above that of the best learning rate at B, >= 0; infinite where the table cannot tell it.
        inside: whether the rule's learning rate lies within the grid.
    """

    grid: Grid
    form: str
    baseline_batch_size: int
    batch_size: int
    lr: float
    excess: float
    inside: bool

    @property
    def k(self) -> float:
        """B / B0."""
        return self.batch_size / self.baseline_batch_size


@dataclass(frozen=True, kw_only=True)
class FittedForm:
    """A rule with its constant.

    Attributes:
        constant: fitted on all grids; None if the rule has none.
        held_out: the constant by the size that was left out; empty if the rule has none.
    """

    form: Form
    constant: float | None = None
    held_out: Mapping[float | str, float] = field(default_factory=dict)

    def case(self, grid: Grid, baseline_batch_size: int, batch_size: int) -> Case | None:
        """Return the rule at B with the constant of other sizes; None if the best at B0 or B is not known."""
        constant = self.held_out.get(left_out_with(grid), 0.0)
        return find_case(self.form, constant, grid, baseline_batch_size, batch_size)


def noise_batch_size(constant: float, grid: Grid) -> float:
    """Return Bn = c sqrt(tokens / 20 billion); c where the tokens are not known."""
    return constant * math.sqrt((grid.tokens or REFERENCE_TOKENS) / REFERENCE_TOKENS)


def left_out_with(grid: Grid) -> float | str:
    """Return what grids that are left out of a fit together share: the model's size, else the grid's name."""
    return grid.name if grid.parameters is None else grid.parameters


def find_case(form: Form, constant: float, grid: Grid, baseline_batch_size: int, batch_size: int) -> Case | None:
    """Return what a rule with a constant loses on a grid; None if the best at B0 or at B is not known."""
    bests = grid.bests
    if baseline_batch_size not in bests or batch_size not in bests:
        return None
    factor = form.at(batch_size / baseline_batch_size, constant, grid, baseline_batch_size)
    log_lr, curve = bests[baseline_batch_size].log_lr + math.log(factor), grid.curves[batch_size]
    return Case(
        grid=grid,
        form=form.name,
        baseline_batch_size=baseline_batch_size,
        batch_size=batch_size,
        lr=math.exp(log_lr),
        excess=curve.loss_at(log_lr) - bests[batch_size].loss,
        inside=curve.covers(log_lr),
    )


def fit_form(form: Form, grids: Sequence[Grid], tolerance: float) -> FittedForm:
    """Fit a rule's constant to the losses of all pairs of batch sizes, on all grids and with each size left out.

    The constant is the one with the least mean loss, each at most `WORST` tolerances, of those tried.
    """
    if form.constant is None:
        return FittedForm(form=form)
    tried = POWERS if form.constant == "exponent" else _noise_batch_sizes(grids)
    totals: dict[float | str, list[float]] = {}
    for grid in grids:
        total = totals.setdefault(left_out_with(grid), [0.0] * len(tried))
        for place, constant in enumerate(tried):
            total[place] += math.fsum(min(case.excess, WORST * tolerance) for case in all_cases(form, constant, grid))
    return FittedForm(
        form=form,
        constant=_least(tried, list(totals.values())),
        held_out={
            size: _least(tried, [total for other, total in totals.items() if other != size] or [totals[size]])
            for size in totals
        },
    )


def all_cases(form: Form, constant: float, grid: Grid) -> list[Case]:
    """Return the cases of all ordered pairs of batch sizes of a grid."""
    found = (
        find_case(form, constant, grid, small, large) for small in grid.bests for large in grid.bests if small != large
    )
    return [case for case in found if case is not None]


def _noise_batch_sizes(grids: Sequence[Grid]) -> tuple[float, ...]:
    """Return noise batch sizes from a fourth of the smallest batch size to sixteen times the largest."""
    sizes = [size for grid in grids for size in grid.curves]
    steps = math.ceil(NOISE_STEPS * math.log2(64 * max(sizes) / min(sizes)))
    return tuple(min(sizes) / 4 * 2 ** (step / NOISE_STEPS) for step in range(steps + 1))


def _least(tried: Sequence[float], totals: Sequence[Sequence[float]]) -> float:
    sums = [math.fsum(column) for column in zip(*totals, strict=True)]
    return tried[min(range(len(tried)), key=sums.__getitem__)]


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What a rule loses in several cases.

    Attributes:
        excesses: losses above the best, ascending, infinite where the rule leaves the grid.
        within: how many are at most the tolerance.
        left: how many leave the grid.
    """

    excesses: tuple[float, ...]
    within: int
    left: int

    @classmethod
    def of(cls, cases: Sequence[Case], tolerance: float) -> "Losses":
        """Sort the losses of cases."""
        return cls(
            excesses=tuple(sorted(case.excess for case in cases)),
            within=sum(case.excess <= tolerance for case in cases),
            left=sum(not case.inside for case in cases),
        )

    def __len__(self) -> int:
        return len(self.excesses)

    @property
    def median(self) -> float | None:
        """Median loss; None without a case."""
        return median(self.excesses) if self.excesses else None
