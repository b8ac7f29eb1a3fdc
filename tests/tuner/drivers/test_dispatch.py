"""The Ray driver's dispatch, without Ray: workers whose words the test speaks."""

from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from ray import cloudpickle

from tests.tuner.drivers.agendas import ListAgenda, make_trial
from trainers.pack_speed import PackSpeed
from trainers.spec import EpochMetrics, OptimizerSpec, Recipe, TrainResult
from tuner.drivers.dispatch import Dispatch
from tuner.drivers.mishaps import MAX_DEATHS
from tuner.drivers.slices import Slice
from tuner.drivers.words import CONTINUE, PRUNED, STOP, Assignment, Idle, Measured, Measurement, Ready, Slices
from tuner.drivers.work import Execution, PackSetting
from tuner.trial import Trial


class Post:
    """A `Mailbox` actor's handle that keeps what is put, and reads it."""

    def __init__(self) -> None:
        self.items: dict[str, list[Any]] = {}
        self.put = SimpleNamespace(remote=self._put)

    def _put(self, name: str, letter: bytes) -> None:
        self.items.setdefault(name, []).append(cloudpickle.loads(letter))


class Workers:
    """A dispatch with workers whose words the test speaks."""

    def __init__(self, agenda: ListAgenda, packing: PackSetting = "off") -> None:
        self.agenda = agenda
        self.post = Post()
        self.dispatch = Dispatch(agenda, Execution(packing=packing), self.post)

    def say(self, worker: str, word: object) -> None:
        decision = self.dispatch.on_trial_result(None, SimpleNamespace(trial_id=worker), {"word": word})
        assert decision == "CONTINUE"

    def slice(self, worker: str, piece: Slice) -> None:
        """A piece of the one trial that the worker was given last."""
        (trial,) = [item for item in self.post.items[worker] if isinstance(item, Assignment)][-1].trials
        self.say(worker, Slices({trial.id: piece}))

    def ready(self, worker: str, mailbox: str | None = None) -> None:
        self.say(worker, Ready(mailbox=mailbox or worker))

    def die(self, worker: str, said: str | None = None) -> None:
        """Ends a worker's process; Tune has written what Ray `said` of it and of those before into a file."""
        with NamedTemporaryFile("w") as file:
            file.write(said or "")
            file.flush()
            error_file = None if said is None else file.name
            self.dispatch.on_trial_error(None, SimpleNamespace(trial_id=worker, error_file=error_file))

    def got(self, mailbox: str) -> list[Any]:
        """What lies in a mailbox: trials, and words."""
        items = self.post.items.get(mailbox, [])
        return [item.trials[0] if isinstance(item, Assignment) else item for item in items]


def slice_(epoch: int, *, of: int, error: str | None = None, seconds: float = 1.0) -> Slice:
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
    return Slice(new_epochs=(metrics,), training=training, error=error, host="node-1", device="cpu")


A, B, C = (make_trial(index, epochs=2) for index in range(3))


def test_a_worker_that_is_ready_gets_a_trial_and_the_next_when_it_is_done() -> None:
    workers = Workers(ListAgenda([A, B]))
    workers.ready("one")
    assert [A] == workers.got("one")
    workers.slice("one", slice_(1, of=2))
    assert [A] == workers.got("one")
    workers.slice("one", slice_(2, of=2))
    assert [A, B] == workers.got("one")
    assert [A] == [result.trial for result in workers.agenda.told]


def test_all_workers_are_stopped_when_the_last_trial_is_told() -> None:
    workers = Workers(ListAgenda([A, B]))
    for worker in ("one", "two", "three"):
        workers.ready(worker)
    workers.slice("one", slice_(2, of=2))
    assert ([A], [B], []) == (workers.got("one"), workers.got("two"), workers.got("three"))
    assert not workers.dispatch.finished
    workers.slice("two", slice_(2, of=2))
    assert workers.dispatch.finished
    assert ([A, STOP], [B, STOP], [STOP]) == (workers.got("one"), workers.got("two"), workers.got("three"))
    workers.ready("late")
    assert [STOP] == workers.got("late")


def test_a_worker_that_has_nothing_gets_a_trial_once_there_is_one() -> None:
    agenda = ListAgenda([])
    agenda.ask = lambda: "wait"  # type: ignore[method-assign]
    workers = Workers(agenda)
    workers.ready("one")
    workers.say("one", Idle())
    assert [] == workers.got("one")
    agenda.ask = lambda: A  # type: ignore[method-assign]
    workers.say("one", Idle())
    assert [A] == workers.got("one")


def test_a_trial_that_may_be_pruned_goes_on_only_when_told_to() -> None:
    hopeless = make_trial(3, epochs=5)
    workers = Workers(ListAgenda([hopeless, B], pruned_at={hopeless.id: 2}))
    workers.ready("one")
    assert [True] == [item.may_be_pruned for item in workers.post.items["one"]]
    workers.slice("one", slice_(1, of=5))
    assert [hopeless, CONTINUE] == workers.got("one")
    workers.slice("one", slice_(2, of=5))
    assert [hopeless, CONTINUE, PRUNED, B] == workers.got("one")
    assert [(hopeless, "pruned")] == [(result.trial, result.status) for result in workers.agenda.told]


def test_a_worker_whose_trial_is_pruned_hears_so_though_nothing_follows_yet() -> None:
    agenda = ListAgenda([A], pruned_at={A.id: 1})
    workers = Workers(agenda)
    workers.ready("one")
    agenda.ask = lambda: "wait"  # type: ignore[method-assign]
    workers.slice("one", slice_(1, of=2))
    assert [A, PRUNED] == workers.got("one")


def test_a_pruned_trial_leaves_no_checkpoint_though_its_worker_dies_before_it_hears_of_it(tmp_path: Path) -> None:
    hopeless = make_trial(3, epochs=5)
    workers = Workers(ListAgenda([hopeless, B], pruned_at={hopeless.id: 1}))
    execution = Execution(checkpoints=tmp_path)
    workers.dispatch = Dispatch(workers.agenda, execution, workers.post)  # type: ignore[arg-type]
    workers.ready("one")
    file = Path(str(execution.placement(hopeless).checkpoint))
    file.touch()
    workers.slice("one", slice_(1, of=5))
    workers.die("one")
    assert ("pruned", False) == (workers.agenda.told[0].status, file.exists())


def test_the_trial_of_a_dead_worker_goes_to_another_before_new_ones() -> None:
    workers = Workers(ListAgenda([A, B, C]))
    workers.ready("one")
    workers.ready("two")
    workers.die("one")
    workers.slice("two", slice_(2, of=2))
    assert [B, A] == workers.got("two")
    assert [B] == [result.trial for result in workers.agenda.told]


def test_a_dead_workers_trial_goes_to_an_idle_worker_at_once() -> None:
    workers = Workers(ListAgenda([A]))
    workers.ready("one")
    workers.ready("two")
    workers.die("one")
    assert [A] == workers.got("two")


def test_a_worker_that_was_started_again_reads_its_new_mailbox_only() -> None:
    workers = Workers(ListAgenda([A]))
    workers.ready("one", "before")
    workers.die("one")
    workers.ready("one", "after")
    assert ([A], [A]) == (workers.got("before"), workers.got("after"))
    workers.say("one", Slices({A.id: slice_(2, of=2)}))
    assert ([A], [A, STOP]) == (workers.got("before"), workers.got("after"))
    assert [A] == [result.trial for result in workers.agenda.told]


def test_a_restart_that_was_not_announced_counts_as_a_death() -> None:
    workers = Workers(ListAgenda([A]))
    workers.ready("one", "before")
    workers.ready("one", "after")
    assert [A] == workers.got("after")


def test_a_trial_under_which_workers_keep_dying_fails_and_the_rest_goes_on() -> None:
    workers = Workers(ListAgenda([A, B]))
    for death in range(MAX_DEATHS):
        assert [] == workers.agenda.told
        workers.ready("one", f"life {death}")
        assert [A] == workers.got(f"life {death}")
        workers.die("one")
    (result,) = workers.agenda.told
    expected = "its worker died 3 times while training it: out of memory, or killed from outside"
    assert (A, "failed", expected) == (result.trial, result.status, result.error)
    workers.ready("one", "life 4")
    assert [B] == workers.got("life 4")


def test_deaths_count_anew_where_a_trial_gets_further() -> None:
    workers = Workers(ListAgenda([A]))
    for life in range(3 * MAX_DEATHS):
        workers.ready("one", f"life {life}")
        assert ([A], []) == (workers.got(f"life {life}"), workers.agenda.told)
        workers.post.items["one"] = workers.post.items[f"life {life}"]
        workers.slice("one", slice_(1 + life // 2, of=99))
        workers.die("one")


def test_deaths_at_the_same_epoch_are_not_forgiven() -> None:
    workers = Workers(ListAgenda([A]))
    for life in range(MAX_DEATHS):
        workers.ready("one", f"life {life}")
        workers.post.items["one"] = workers.post.items[f"life {life}"]
        workers.slice("one", slice_(7, of=99))
        workers.die("one")
    assert ["failed"] == [result.status for result in workers.agenda.told]


def test_an_idle_worker_that_dies_gets_nothing() -> None:
    agenda = ListAgenda([])
    agenda.ask = lambda: "wait"  # type: ignore[method-assign]
    workers = Workers(agenda)
    workers.ready("one")
    workers.die("one")
    agenda.ask = lambda: A  # type: ignore[method-assign]
    workers.ready("two")
    assert ([], [A]) == (workers.got("one"), workers.got("two"))


def test_a_failed_trial_frees_its_worker() -> None:
    workers = Workers(ListAgenda([A, B]))
    workers.ready("one")
    workers.slice("one", slice_(1, of=2, error="ValueError: no"))
    assert [("failed", "ValueError: no")] == [(result.status, result.error) for result in workers.agenda.told]
    assert [A, B] == workers.got("one")


# -- packs -------------------------------------------------------------------------------------------------------------


def small_batch(index: int, *, optimizer: str = "momentum") -> Trial:
    """A trial of a batch size at which packs are measured on a CPU."""
    trial = make_trial(index, epochs=2)
    config = replace(trial.config, batch_size=16, optimizer=OptimizerSpec(name=optimizer))
    return replace(trial, batch_size=16, config=config)


FIVE = [small_batch(index) for index in range(5)]
OTHERS = [small_batch(index, optimizer="lars") for index in range(5, 7)]
FAST_IN_FOURS = PackSpeed(device="cpu", alone=1.0, packed={2: 0.8, 4: 0.5})


def packs(workers: Workers, mailbox: str) -> list[list[Trial]]:
    return [list(item.trials) for item in workers.post.items.get(mailbox, []) if isinstance(item, Assignment)]


def test_trials_of_one_form_are_shared_out_to_the_idle_workers_in_packs() -> None:
    workers = Workers(ListAgenda([*FIVE, *OTHERS]), packing=4)
    agenda_waits = workers.agenda.ask
    workers.agenda.ask = lambda: "wait"  # type: ignore[method-assign]
    workers.ready("one")
    workers.ready("two")
    workers.agenda.ask = agenda_waits  # type: ignore[method-assign]
    workers.say("one", Idle())
    assert [FIVE[:3]] == packs(workers, "one")
    assert [FIVE[3:]] == packs(workers, "two")
    assert workers.agenda.begun == FIVE
    workers.say("two", Slices({trial.id: slice_(2, of=2) for trial in FIVE[3:]}))
    assert [FIVE[3:], OTHERS] == packs(workers, "two")


def test_packs_are_measured_once_on_a_worker_before_trials_of_that_form_are_given_out() -> None:
    workers = Workers(ListAgenda([*FIVE]), packing="auto")
    workers.ready("one")
    workers.ready("two")
    (request,) = workers.post.items["one"]
    assert (Measurement, FIVE[0]) == (type(request), request.trial)
    assert "two" not in workers.post.items
    workers.say("one", Measured(speed=FAST_IN_FOURS))
    assert [(FIVE[0], FAST_IN_FOURS)] == workers.agenda.measured
    assert ([FIVE[:3]], [FIVE[3:]]) == (packs(workers, "two"), packs(workers, "one"))


def test_a_pack_that_would_be_too_small_to_pay_is_not_made() -> None:
    workers = Workers(ListAgenda(FIVE[:3]), packing="auto")
    workers.ready("one")
    workers.ready("two")
    workers.say("one", Measured(speed=PackSpeed(device="cpu", alone=1.0, packed={2: 1.3, 4: 0.5})))
    assert ([FIVE[:1]], [FIVE[1:2]]) == (packs(workers, "two"), packs(workers, "one"))


def with_recipe(trial: Trial, recipe: Recipe) -> Trial:
    return replace(trial, config=replace(trial.config, recipe=recipe))


def searched_recipes(trials: list[Trial], *, clipped: bool) -> list[Trial]:
    """The trials with a label smoothing and a norm of each its own, as a search over them has."""
    return [
        with_recipe(trial, Recipe(label_smoothing=0.01 * number, clip_norm=number if clipped else None))
        for number, trial in enumerate(trials, start=1)
    ]


def test_packs_are_measured_once_for_all_values_of_a_searched_recipe() -> None:
    """Label smoothing and clipping cost what they cost at any value; whether they are on is another workload."""
    trials = [*searched_recipes(FIVE[:3], clipped=True), *searched_recipes(FIVE[3:4], clipped=False), FIVE[4]]
    workers = Workers(ListAgenda(trials), packing="auto")
    workers.ready("one")
    for trial in trials:
        if trial in (trials[0], *trials[3:]):
            assert (Measurement, trial) == (type(workers.post.items["one"][-1]), workers.post.items["one"][-1].trial)
            workers.say("one", Measured(speed=FAST_IN_FOURS))
        assert packs(workers, "one")[-1] == [trial]
        workers.slice("one", slice_(2, of=2, seconds=100.0))
    assert workers.agenda.measured == [(trial, FAST_IN_FOURS) for trial in (trials[0], *trials[3:])]


@pytest.mark.parametrize("death", [True, False], ids=["the worker dies", "nothing could be measured"])
def test_where_packs_cannot_be_measured_trials_are_trained_alone(death: bool) -> None:
    workers = Workers(ListAgenda([*FIVE]), packing="auto")
    workers.ready("one")
    workers.ready("two")
    if death:
        workers.die("one")
    else:
        workers.say("one", Measured(speed=None))
    assert [FIVE[:1]] == packs(workers, "two")
    assert [] == workers.agenda.measured


def test_the_trials_of_a_lost_pack_are_trained_alone() -> None:
    workers = Workers(ListAgenda([*FIVE]), packing=3)
    workers.ready("one")
    workers.die("one")
    workers.ready("one", "again")
    assert [FIVE[2:3]] == packs(workers, "again")


def test_a_training_of_a_pack_that_ended_is_told_at_once_and_its_worker_kept() -> None:
    workers = Workers(ListAgenda([*FIVE]), packing=3)
    workers.ready("one")
    workers.say("one", Slices({FIVE[0].id: slice_(2, of=2), FIVE[1].id: slice_(1, of=2), FIVE[2].id: slice_(1, of=2)}))
    assert [FIVE[0]] == [result.trial for result in workers.agenda.told]
    assert [FIVE[:3]] == packs(workers, "one")
    workers.say("one", Slices({FIVE[1].id: slice_(2, of=2), FIVE[2].id: slice_(2, of=2)}))
    assert [FIVE[:3], FIVE[3:]] == packs(workers, "one")


def test_trials_that_may_be_pruned_are_in_no_pack() -> None:
    workers = Workers(ListAgenda([*FIVE], pruned_at={FIVE[0].id: 99, FIVE[2].id: 99}), packing=4)
    workers.ready("one")
    assert [FIVE[:1]] == packs(workers, "one")
    workers.slice("one", slice_(2, of=2))
    assert [FIVE[:1], FIVE[1:2]] == packs(workers, "one")


@pytest.mark.parametrize("packing", ["off", 1, "auto"])
def test_large_batches_on_a_cpu_are_neither_packed_nor_measured(packing: PackSetting) -> None:
    workers = Workers(ListAgenda([A, B]), packing=packing)
    workers.ready("one")
    assert [[A]] == packs(workers, "one")
