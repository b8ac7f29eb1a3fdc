"""A dispatcher without Ray; the test sends its workers' messages."""

from dataclasses import replace
from tempfile import NamedTemporaryFile
from types import SimpleNamespace
from typing import Any, Literal

from ray import cloudpickle

from tests.tuner.execution.agendas import ListAgenda, make_trial
from zerotune.trainers.packing.benchmark import PackSpeed
from zerotune.trainers.spec import EpochMetrics, OptimizerSpec, Recipe, TrainResult
from zerotune.tuner.execution.progress_update import ProgressUpdate
from zerotune.tuner.execution.ray.dispatcher import Dispatcher
from zerotune.tuner.execution.ray.messages import Assignment, ProgressUpdates, Ready
from zerotune.tuner.execution.trial_runner import Execution, PackSetting
from zerotune.tuner.trial import Trial


class Post:
    """A `Mailbox` actor's handle that records and decodes what is put."""

    def __init__(self) -> None:
        self.items: dict[str, list[Any]] = {}
        self.put = SimpleNamespace(remote=self._put)

    def _put(self, name: str, letter: bytes) -> None:
        self.items.setdefault(name, []).append(cloudpickle.loads(letter))


class Workers:
    """A dispatcher and its workers, whose messages the test sends."""

    def __init__(self, agenda: ListAgenda, packing: PackSetting = "off") -> None:
        self.agenda = agenda
        self.post = Post()
        self.dispatch = Dispatcher(agenda, Execution(packing=packing), self.post)

    def send(self, worker: str, message: object) -> None:
        decision = self.dispatch.on_trial_result(None, SimpleNamespace(trial_id=worker), {"message": message})
        assert decision == "CONTINUE"

    def report_progress(self, worker: str, update: ProgressUpdate) -> None:
        """Report progress on the trial that the worker was given last."""
        (trial,) = [item for item in self.post.items[worker] if isinstance(item, Assignment)][-1].trials
        self.send(worker, ProgressUpdates({trial.id: update}))

    def ready(self, worker: str, mailbox: str | None = None) -> None:
        self.send(worker, Ready(mailbox=mailbox or worker))

    def die(self, worker: str, text: str | None = None) -> None:
        """End a worker's process; Tune has written the text about this and earlier deaths to a file."""
        with NamedTemporaryFile("w") as file:
            file.write(text or "")
            file.flush()
            error_file = None if text is None else file.name
            self.dispatch.on_trial_error(None, SimpleNamespace(trial_id=worker, error_file=error_file))

    def got(self, mailbox: str) -> list[Any]:
        """Return the contents of a mailbox: trials and messages."""
        items = self.post.items.get(mailbox, [])
        return [item.trials[0] if isinstance(item, Assignment) else item for item in items]


def make_update(epoch: int, *, of: int, error: str | None = None, seconds: float = 1.0) -> ProgressUpdate:
    metrics = EpochMetrics(
        epoch=epoch,
        lr=0.1,
        train_loss=1.0,
        validation_loss=1.0,
        validation_score=0.5,
        iterations=1,
        samples=1,
        flops=1,
        device_seconds=seconds,
    )
    status: Literal["running", "finished"] = "finished" if epoch == of else "running"
    training = TrainResult(status=status, epochs=(metrics,), validation_score=0.5, test_score=0.4)
    return ProgressUpdate(new_epochs=(metrics,), training=training, error=error, host="node-1", device="cpu")


def small_batch(index: int, *, optimizer: str = "momentum") -> Trial:
    """Return a trial with a batch size at which packs are measured on a CPU."""
    trial = make_trial(index, epochs=2)
    config = replace(trial.config, batch_size=16, optimizer=OptimizerSpec(name=optimizer))
    return replace(trial, batch_size=16, config=config)


FIVE = [small_batch(index) for index in range(5)]
OTHERS = [small_batch(index, optimizer="lars") for index in range(5, 7)]
FAST_IN_FOURS = PackSpeed(device="cpu", alone=1.0, packed={2: 0.8, 4: 0.5})


def packs(workers: Workers, mailbox: str) -> list[list[Trial]]:
    return [list(item.trials) for item in workers.post.items.get(mailbox, []) if isinstance(item, Assignment)]


def with_recipe(trial: Trial, recipe: Recipe) -> Trial:
    return replace(trial, config=replace(trial.config, recipe=recipe))


def searched_recipes(trials: list[Trial], *, clipped: bool) -> list[Trial]:
    """Return the trials, each with its own label smoothing and clip norm, as in a search over them."""
    return [
        with_recipe(trial, Recipe(label_smoothing=0.01 * number, clip_norm=number if clipped else None))
        for number, trial in enumerate(trials, start=1)
    ]
