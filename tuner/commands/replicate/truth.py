"""What is true of a study by its table: the means over all seeds that the table has.

This module must not know what a study said.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from ....trainers.spec import OptionValue, TrainConfig
from ....trainers.tabulated.table import NotTabulated, Table
from ...analysis.lost_seeds import Guessing
from ...analysis.verdict import Kind, tolerated_loss
from ...study import ArmDefinition, Study, search_config
from ...study.comprehensive import OPTIMIZER, searches_solver, solver_spaces
from ...study.configure import MODEL
from ...study.search_space import Choice, Param, Space


@dataclass(frozen=True, kw_only=True)
class TrueScores:
    """Scores of a configuration on all seeds of the table; a diverged training has the score of guessing.

    Attributes:
        scores: one for each seed of the table.
        num_diverged: trainings that diverged.
    """

    scores: tuple[float, ...]
    num_diverged: int = 0

    @property
    def mean(self) -> float:
        """The mean over all seeds, those that are lost included."""
        return fmean(self.scores)


def together(choices: Sequence[TrueScores]) -> TrueScores:
    """Return the scores of the choices of a search and its repeats as one; at least one choice.

    >>> together([TrueScores(scores=(0.9, 0.8)), TrueScores(scores=(0.7, 0.6))]).scores
    (0.9, 0.8, 0.7, 0.6)
    """
    if all(choice == choices[0] for choice in choices):
        return choices[0]
    scores = tuple(score for choice in choices for score in choice.scores)
    return TrueScores(scores=scores, num_diverged=sum(choice.num_diverged for choice in choices))


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is true of configurations by a table.

    Attributes:
        all_seeds: (configuration) -> its test scores on all seeds of the table, infinite where it diverged; raises
            NotTabulated where the table lacks one.
        guessing: the score of guessing, and which scores are better.
        margin: share of the baseline's score that still counts as kept.
    """

    all_seeds: Callable[[TrainConfig], NDArray[np.float64]]
    guessing: Guessing
    margin: float

    @property
    def sign(self) -> float:
        """1 if higher scores are better, otherwise -1."""
        return 1.0 if self.guessing.higher_is_better else -1.0

    def scores(self, config: TrainConfig) -> TrueScores:
        """Return the test scores of a configuration on all seeds of the table.

        Raises:
            NotTabulated: the table lacks one of them.
        """
        found = self.all_seeds(config)
        diverged = ~np.isfinite(found)
        guess = np.nan if self.guessing.score is None else self.guessing.score
        scores = np.where(diverged, guess, found)
        return TrueScores(scores=tuple(scores.tolist()), num_diverged=int(diverged.sum()))

    def is_true(self, kind: Kind, arm: TrueScores, reference: TrueScores, baseline: TrueScores) -> bool | None:
        """Return whether a verdict is true; None for one that claims nothing: "not shown" and "cannot be judged".

        With the means over all seeds of the table of the configurations that were chosen, and the loss that the margin
        of the baseline's mean tolerates:

        - "yes" and "yes, but" are true if the arm's is not worse than the reference's by that loss or more;
        - "worse" is true if the arm's is worse than the reference's;
        - "batch too large" is true if both are worse than the baseline's by more than that loss;
        - "unreliable" is true if the arm loses a seed of the table: its training diverged, or ended past half-way from
          the baseline's mean to guessing.
        """
        gain = self.sign * (arm.mean - reference.mean)
        tolerance = tolerated_loss(self.margin, baseline.mean)
        if kind in ("yes", "yes, but"):
            return gain > -tolerance or arm == reference
        if kind == "worse":
            return gain < 0
        if kind == "batch too large":
            return all(self.sign * (one.mean - baseline.mean) < -tolerance for one in (arm, reference))
        return self.loses_seeds(arm, baseline) if kind == "unreliable" else None

    def loses_seeds(self, arm: TrueScores, baseline: TrueScores) -> bool:
        """Return whether a seed of the table is lost."""
        half_way = self.guessing.half_way(baseline.mean)
        past = half_way is not None and any(self.sign * (score - half_way) < 0 for score in arm.scores)
        return past or arm.num_diverged > 0

    def best_in_space(self, table: Table, study: Study, arm: ArmDefinition, like: TrainConfig) -> float | None:
        """Return the best mean over all seeds that an arm's search could have chosen.

        Candidates are the table's values in every range and the ends of the range: the mean of what is interpolated
        between two values is never better than at one of them. None if the table has none of them.

        Args:
            table: gives the values.
            study: the study of the arm.
            arm: an arm that searches a space.
            like: a training of the arm at the batch size in question.
        """
        values = {axis.name: axis.numbers for axis in table.axes}
        found = []
        for params in _points(study, arm, like.batch_size, values):
            config = _with_params(study, arm, params, like)
            try:
                found.append(self.scores(config).mean)
            except NotTabulated:
                continue
        return max(found, key=lambda mean: self.sign * mean, default=None)


def _points(
    study: Study, arm: ArmDefinition, batch_size: int, values: Mapping[str, Sequence[float]]
) -> Iterator[dict[str, OptionValue]]:
    """Yield all combinations of the candidates of an arm's search, of every solver if it searches the solver."""
    spaces: Mapping[str, Space] = solver_spaces(study, arm, batch_size) if searches_solver(arm) else {"": arm.space}
    for solver, space in spaces.items():
        lists = [_candidates(param, values.get(name.removeprefix(MODEL), ())) for name, param in space.items()]
        of_solver: dict[str, OptionValue] = {OPTIMIZER: solver} if solver else {}
        for point in product(*lists):
            yield {**of_solver, **dict(zip(space, point, strict=True))}


def _candidates(param: Param, values: Sequence[float]) -> Sequence[OptionValue]:
    if isinstance(param, Choice):
        return param.choices
    return sorted({param.low, param.high, *(value for value in values if param.low < value < param.high)})


def _with_params(study: Study, arm: ArmDefinition, params: Mapping[str, OptionValue], like: TrainConfig) -> TrainConfig:
    found = search_config(study, arm, params, batch_size=like.batch_size)
    model_options = study.model_options(found.model_options)
    return replace(
        like,
        schedule=found.schedule,
        optimizer=found.optimizer,
        recipe=found.recipe,
        model_options=model_options,
    )
