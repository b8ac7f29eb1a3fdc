"""A regime search with synthetic trainings: scores and losses are functions of the trial; nothing is trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tests.campaigns import Executed, execute, result
from tests.synthetic_study import epoch_metrics
from zerotune.tuner.commands.regime.bisection import ladder, select_rungs
from zerotune.tuner.commands.regime.scheduler import RegimeScheduler, add_linear_arm, build_question
from zerotune.tuner.commands.regime.verdict import Regime, RegimeQuestion
from zerotune.tuner.cost import Cost
from zerotune.tuner.study import Study, study_from_text
from zerotune.tuner.trial import Trial, TrialResult, TrialStatus

NUM_TRAIN = 3000
TEXT = """\
name: example
application: lenet_mnist
data: {source: mnist5k}
epochs: 12
batch_sizes: [128]
seeds: [1, 2]
reference: tuned
baseline: {batch_size: 32, optimizer: momentum, lr: 0.01}
arms:
  - {name: tuned, method: grid, space: {lr: {choices: [0.1, 0.2, 0.4]}}}
  - {name: sqrt, method: sqrt}
"""
LIMITS = {"linear": 128, "sqrt": 512, "tuned": 1024}
"""The largest batch size at which each arm holds, of the usual example."""
NUM_BASELINE, NUM_RULE, NUM_SEARCH = 2, 2, 3 + 2
"""Trainings of the baseline, of a rule and of the search, per batch size."""

Response = Callable[[Trial], tuple[float, float, TrialStatus]]
"""A trial's test score, last validation loss and status."""


def holding_up_to(limits: Mapping[str, int], *, loss_limit: int = NUM_TRAIN) -> Response:
    """Return a response in which every arm scores 0.96 up to its limit and 0.8 above; the loss doubles above
    `loss_limit`.
    """

    def response(trial: Trial) -> tuple[float, float, TrialStatus]:
        holds = trial.batch_size <= limits.get(trial.arm, NUM_TRAIN)
        loss = 0.1 if trial.batch_size <= loss_limit else 0.2
        return (0.96 if holds else 0.8) + 0.0005 * trial.config.seed, loss, "finished"

    return response


def not_monotone(trial: Trial) -> tuple[float, float, TrialStatus]:
    """A response in which every arm fails at two batch sizes and holds at larger ones."""
    return (0.5 if trial.batch_size in (512, 2048) else 0.96), 0.1, "finished"


def made_up(trial: Trial, response: Response) -> TrialResult:
    """Return a trial's result without training it."""
    score, loss, status = response(trial)
    measured = {"train_loss": loss, "validation_loss": loss, "iterations": 1, "samples": NUM_TRAIN, "flops": 1000}
    epochs = tuple(epoch_metrics(epoch, score, device_seconds=1.0, **measured) for epoch in (1, 2))
    failed = status == "failed"
    found = result(
        trial,
        None if failed else score,
        status=status,
        test_score=None if failed or trial.role != "confirmation" else score,
    )
    cost = Cost(trials=1, epochs=2, iterations=2, samples=2 * NUM_TRAIN, flops=2000, device_seconds=2.0)
    return replace(found, epochs=() if failed else epochs, cost=cost)


@dataclass
class Searched(Executed):
    """Record of an executor of a finder; `regime` is None if the baseline has no score."""

    cells: list[tuple[str, int]] = field(default_factory=list)
    regime: Regime | None = None

    def found(self) -> Regime:
        """Return the regime, which must have been found."""
        assert self.regime is not None
        return self.regime

    def steps(self) -> list[tuple[str, int]]:
        """Return arms and batch sizes in the order in which their first trials were asked for."""
        return list(dict.fromkeys((trial.arm, trial.batch_size) for trial in self.asked))


def prepared(
    text: str = TEXT, first: int | None = None, last: int | None = None, num_train: int = NUM_TRAIN
) -> tuple[Study, RegimeQuestion]:
    """Return a study with linear scaling, and the question about it."""
    study, linear = add_linear_arm(study_from_text(text, "x.yaml"))
    rungs = select_rungs(ladder(study.baseline.batch_size, num_train), first, last)
    return study, build_question(study, linear, rungs, num_train)


def search(
    response: Response,
    *,
    text: str = TEXT,
    span: tuple[int | None, int | None] = (None, None),
    known: Mapping[str, TrialResult] = MappingProxyType({}),
    check: bool = True,
    max_trainings: int | None = None,
    slots: int = 1,
) -> Searched:
    """Run a search with `slots` workers, which end in their own order; replay known results."""
    study, question = prepared(text, *span)
    cells: list[tuple[str, int]] = []
    finder = RegimeScheduler(
        study,
        question,
        known=known,
        check=check,
        max_trainings=max_trainings,
        announce=lambda cell: cells.append((cell.arm, cell.batch_size)),
    )
    done = execute(
        finder, num_workers=slots, seed=slots, known=known, make=lambda trial, score: made_up(trial, response)
    )
    asked = [trial for trial in done.asked if trial.id not in known]
    return Searched(asked=asked, results={**known, **done.results}, cells=cells, regime=finder.found())
