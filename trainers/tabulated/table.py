"""A table of trainings that were made before, and its look-up of a configuration.

Every part of a configuration is an axis of the table, or has the one value that all of its trainings had. Nothing is
extrapolated. This module must not know where a table comes from.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..spec import EpochMetrics, OptionValue, TrainConfig, TrainResult
from .parts import Part, config_parts, format_part, format_value, plain_value

BETWEEN = ("interpolate", "nearest", "refuse")
"""What may be answered between two values of an axis."""

SAME = 1e-6
"""Relative difference up to which two numbers are the same value of an axis: tables round theirs."""

Weighted = tuple[tuple[int, float], ...]
"""Positions on an axis, and their weights, which add up to 1."""

Corners = Sequence[tuple[int, float]]
"""Rows of the arrays, and their weights, which add up to 1."""


class NotTabulated(ValueError):
    """The table has no such training; the message is a sentence.

    Attributes:
        part: what it cannot answer: an axis or another part of the configuration, "seed", "cell" for a training that
            is missing in the middle, or "score" where trainings on both sides disagree about divergence.
    """

    def __init__(self, part: str, sentence: str) -> None:
        super().__init__(sentence)
        self.part = part


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A part of the configuration that differs between the table's trainings.

    Attributes:
        name: a name in `trainers.tabulated.parts.config_parts`: "lr", "batch_size", an option of the optimizer such as
            "weight_decay", of the recipe or of the model.
        values: its values: ascending numbers, or names in any order.
    """

    name: str
    values: tuple[OptionValue, ...]

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        """The values as numbers; empty if they are names."""
        is_numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)
        return tuple(float(value) for value in self.values) if is_numeric else ()  # type: ignore[arg-type]

    def positions(self, value: Part, between: str, owner: str) -> Weighted:
        """Return the positions of a value, with weights.

        Between two values, "interpolate" weighs both, linearly in the logarithm where all of the axis is above 0,
        "nearest" takes the nearer one in the same sense, and "refuse" none.

        Raises:
            NotTabulated: the axis does not have the value.
        """
        numbers = self.numbers
        if not numbers or not isinstance(value, int | float) or isinstance(value, bool):
            if value in self.values:
                return ((self.values.index(value), 1.0),)
            raise self._missing(value, owner)
        after = bisect_left(numbers, value)
        for position in (after - 1, after):
            if 0 <= position < len(numbers) and math.isclose(numbers[position], value, rel_tol=SAME):
                return ((position, 1.0),)
        if after in (0, len(numbers)):
            raise self._missing(value, owner, "outside of them nothing is answered")
        if between == "refuse":
            raise self._missing(value, owner, "between them nothing is answered in this study")
        low, high = numbers[after - 1], numbers[after]
        if numbers[0] > 0:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low)
        if between == "nearest":
            return ((after - 1 if share < 0.5 else after, 1.0),)
        return ((after - 1, 1.0 - share), (after, share))

    def _missing(self, value: Part, owner: str, why: str = "") -> NotTabulated:
        values = [format_value(known) for known in self.values]
        listed = ", ".join(values) if len(values) <= 12 else f"{', '.join(values[:4])} ... {', '.join(values[-4:])}"
        reason = f": {why}" if why else ""
        return NotTabulated(
            self.name, f"{owner} has no trainings with {format_part(self.name, value)}: it has {listed}{reason}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Trainings by configuration and seed.

    Attributes:
        name: its name in sentences.
        axes: the parts of the configuration that differ.
        cells: position on every axis -> row of the arrays; cells that no training has are left out.
        seeds: the seeds, S of them, in the order of the arrays' columns; empty if the table has one training of every
            configuration, which then answers for every seed, and S is 1.
        scores: validation scores (rows, S): NaN where there is no such training, infinite where it diverged.
        chance_score: the score of a diverged training.
        fixed: parts of the configuration that all trainings had, by name; "optimizer" and "epochs" stand here or are
            axes. For parts that stand nowhere, the optimizer's defaults and plain training are taken.
        test_scores: test scores (rows, S); None if the table has none: the validation score then serves as both.
        seconds: seconds of the training (rows, S); None if not recorded.
        num_train: training samples; None if not known, or if trainings may have stopped before their last epoch.
    """

    name: str
    axes: tuple[Axis, ...]
    cells: Mapping[tuple[int, ...], int]
    seeds: tuple[int, ...]
    scores: NDArray[np.float64]
    chance_score: float
    fixed: Mapping[str, OptionValue] = field(default_factory=dict)
    test_scores: NDArray[np.float64] | None = None
    seconds: NDArray[np.float64] | None = None
    num_train: int | None = None

    def look_up(
        self, config: TrainConfig, *, between: str = "interpolate", along: Sequence[str] = ("lr",)
    ) -> TrainResult:
        """Return the result of a training.

        Its one epoch is the last one: its counts and seconds are those of the whole training. Samples and iterations
        are 0 if `num_train` is not known, operations always.

        Args:
            config: the training.
            between: what is answered between two values of an axis, one of `BETWEEN`.
            along: names of the axes for which `between` holds; the others are asked at their own values.

        Raises:
            NotTabulated: the table has no such training; says which part of it.
        """
        parts = config_parts(config)
        self._check_fixed(config, parts)
        column = self._column(config.seed)
        return self._result(config, self._corners(parts, [column], between, along), column)

    def look_up_seeds(
        self, config: TrainConfig, *, between: str = "interpolate", along: Sequence[str] = ("lr",)
    ) -> NDArray[np.float64]:
        """Return the test scores (S,) of a training on all seeds of the table, infinite where it diverged.

        The validation scores if the table has no test scores; the configuration's own seed has no effect. The arguments
        are those of `look_up`.

        Raises:
            NotTabulated: the table lacks the training on one of its seeds.
        """
        parts = config_parts(config)
        self._check_fixed(config, parts)
        corners = self._corners(parts, range(self.scores.shape[1]), between, along)
        tests = self.scores if self.test_scores is None else self.test_scores
        found = np.isfinite([self.scores[row] + tests[row] for row, _ in corners])
        if (found.any(axis=0) != found.all(axis=0)).any():
            raise self._mixed()
        values = np.array([np.where(found[0], weight * tests[row], np.inf) for row, weight in corners])
        return np.asarray(values.sum(axis=0))

    def check_settings(self, config: TrainConfig, *, between: str, along: Sequence[str]) -> None:
        """Check all parts of a configuration that are no numbers on an axis, its batch size and its seed.

        Raises:
            NotTabulated: no training has them, whatever the other parts are.
        """
        parts = config_parts(config)
        self._check_fixed(config, parts)
        self._column(config.seed)
        for axis in self.axes:
            if axis.name == "batch_size" or not axis.numbers:
                axis.positions(parts[axis.name], between if axis.name in along else "refuse", self.name)

    def _check_fixed(self, config: TrainConfig, parts: Mapping[str, Part]) -> None:
        """Check the parts that are no axis.

        Raises:
            NotTabulated: one differs from what all trainings of the table had.
        """
        for name, value in parts.items():
            if name in self._names:
                continue
            stated = self.fixed[name] if name in self.fixed else plain_value(name, config)
            if not _is_same(value, stated):
                raise NotTabulated(
                    name,
                    f"{self.name} has no trainings with {format_part(name, value)}: all of its trainings had "
                    f"{format_part(name, stated)}",
                )

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(axis.name for axis in self.axes)

    def _column(self, seed: int) -> int:
        if not self.seeds:
            return 0
        if seed not in self.seeds:
            seeds = ", ".join(map(str, self.seeds))
            raise NotTabulated("seed", f"{self.name} has no trainings with seed {seed}: its seeds are {seeds}")
        return self.seeds.index(seed)

    def _corners(
        self, parts: Mapping[str, Part], columns: Sequence[int], between: str, along: Sequence[str]
    ) -> Corners:
        """Return the rows that answer for the seeds of columns, with their weights.

        Raises:
            NotTabulated: an axis lacks the value, or a training is missing.
        """
        places = [
            axis.positions(parts[axis.name], between if axis.name in along else "refuse", self.name)
            for axis in self.axes
        ]
        corners = []
        for corner in product(*places):
            row = self.cells.get(tuple(position for position, _ in corner))
            missing = [column for column in columns if row is None or math.isnan(self.scores[row, column])]
            if row is None or missing:
                of = ", ".join(
                    format_part(axis.name, axis.values[position])
                    for axis, (position, _) in zip(self.axes, corner, strict=True)
                )
                seed = f", seed {self.seeds[missing[0]]}" if self.seeds else ""
                raise NotTabulated("cell", f"{self.name} lacks the training with {of}{seed}")
            corners.append((row, math.prod(weight for _, weight in corner)))
        return corners

    def _mixed(self) -> NotTabulated:
        return NotTabulated(
            "score", f"{self.name} has trainings on both sides of this one of which some diverged and some did not"
        )

    def _result(self, config: TrainConfig, corners: Corners, column: int) -> TrainResult:
        def mean(values: NDArray[np.float64]) -> float:
            return float(sum(weight * values[row, column] for row, weight in corners))

        tests = self.scores if self.test_scores is None else self.test_scores
        diverged = [not math.isfinite(scores[row, column]) for row, _ in corners for scores in (self.scores, tests)]
        if any(diverged) and not all(diverged):
            raise self._mixed()
        samples = config.epochs * (self.num_train or 0)
        score = self.chance_score if diverged[0] else mean(self.scores)
        metrics = EpochMetrics(
            epoch=config.epochs,
            lr=config.schedule.peak_lr,
            train_loss=math.nan,
            validation_loss=math.nan,
            validation_score=score,
            iterations=-(-samples // config.batch_size),
            samples=samples,
            flops=0,
            device_seconds=0.0 if self.seconds is None else mean(self.seconds),
        )
        return TrainResult(
            status="diverged" if diverged[0] else "finished",
            epochs=(metrics,),
            validation_score=score,
            test_score=self.chance_score if diverged[0] else mean(tests),
            divergence="the table has no finite score of it" if diverged[0] else None,
        )


def _is_same(value: Part, other: Part) -> bool:
    """Whether two values are the same: numbers up to `SAME`."""
    if isinstance(value, int | float) and isinstance(other, int | float):
        return math.isclose(value, other, rel_tol=SAME)
    return value == other
