"""Small trials, and an agenda that asks for them and records the results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from zerotune.trainers.packing.benchmark import PackSpeed
from zerotune.trainers.spec import EpochMetrics, OptimizerSpec, ScheduleSpec, TrainConfig
from zerotune.tuner.trial import Role, Trial, TrialResult

NUM_TRAIN = 3_000
SINGLE_WORKER = {"world_size": 1, "cpus": 1, "gpus": 0.0}
"""Configuration that tells a Tune worker about the other workers of its trials: there are none."""


def make_trial(index: int, *, role: Role = "search", epochs: int = 1, data: str = "mnist5k") -> Trial:
    """Return a trial of LeNet on 3,000 images with one update per epoch."""
    return Trial(
        study="small",
        arm="tuned",
        batch_size=NUM_TRAIN,
        role=role,
        index=index,
        params={"lr": 0.01 * (index + 1)},
        config=TrainConfig(
            application="lenet_mnist",
            data=data,
            batch_size=NUM_TRAIN,
            epochs=epochs,
            schedule=ScheduleSpec(peak_lr=0.01 * (index + 1)),
            optimizer=OptimizerSpec(name="momentum"),
            seed=1,
        ),
    )


@dataclass
class ListAgenda:
    """Ask for the trials of a list, and prune those in `pruned_at` after that many epochs.

    The trial `alone` comes once all trials before it have results.
    """

    trials: list[Trial]
    alone: Trial | None = None
    pruned_at: dict[str, int] = field(default_factory=dict)
    on_report: Callable[[Trial, Sequence[EpochMetrics]], None] = lambda trial, new_epochs: None
    results: list[TrialResult] = field(default_factory=list)
    reported: list[tuple[Trial, Sequence[EpochMetrics]]] = field(default_factory=list)
    begun: list[Trial] = field(default_factory=list)
    measured: list[tuple[Trial, PackSpeed]] = field(default_factory=list)
    warnings: list[tuple[Trial, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    num_asked: int = 0

    def result(self, trial: Trial) -> TrialResult:
        """Return the only result of a trial."""
        (result,) = [result for result in self.results if result.trial == trial]
        return result

    def ask(self) -> Trial | Literal["wait", "done"]:
        if self.num_asked == len(self.trials):
            return "done"
        if self.trials[self.num_asked] == self.alone and len(self.results) < self.num_asked:
            return "wait"
        self.num_asked += 1
        return self.trials[self.num_asked - 1]

    def may_prune(self, trial: Trial) -> bool:
        return trial.id in self.pruned_at

    def report(self, trial: Trial, new_epochs: Sequence[EpochMetrics]) -> bool:
        self.reported.append((trial, new_epochs))
        self.on_report(trial, new_epochs)
        limit = self.pruned_at.get(trial.id)
        return limit is None or new_epochs[-1].epoch < limit

    def mark_started(self, trial: Trial) -> None:
        if trial not in self.begun:
            self.begun.append(trial)

    def record_pack_speed(self, trial: Trial, speed: PackSpeed) -> None:
        self.measured.append((trial, speed))

    def add_note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def add_warning(self, trial: Trial, sentence: str) -> None:
        self.warnings.append((trial, sentence))

    def tell(self, result: TrialResult) -> None:
        self.results.append(result)


def without_seconds(epochs: tuple[EpochMetrics, ...]) -> list[EpochMetrics]:
    return [replace(epoch, device_seconds=0.0) for epoch in epochs]
