"""A hanging trial fails with an error message, and the study continues."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tuner.execution.agendas import ListAgenda, make_trial
from tests.tuner.execution.simulated_workers import FIVE, OTHERS, Workers, make_update, packs
from tests.user_applications import Here, hang_until_mended
from zerotune.trainers.packing.benchmark import PACK_SIZES
from zerotune.tuner.errors import Unreachable
from zerotune.tuner.execution.failures import MAX_WORKER_FAILURES
from zerotune.tuner.execution.ray import dispatcher as dispatch
from zerotune.tuner.execution.ray.dispatcher import MAX_IDLE_FAILURES, MAX_START_FAILURES, Dispatcher
from zerotune.tuner.execution.ray.messages import STOP, Assignment, BenchmarkTask, ProgressUpdates
from zerotune.tuner.execution.serial import run_serial
from zerotune.tuner.execution.time_limit import OutOfTime, end_process_after, raise_after
from zerotune.tuner.execution.trial_runner import Execution
from zerotune.tuner.run.journal import read_journal

SENTENCE = "took longer than resources.time_limit, 60 s: it hangs, or the limit is too low"

# -- in the driver's own process ---------------------------------------------------------------------------------------


def forever() -> None:
    while True:
        time.sleep(0.01)


def test_what_hangs_is_left_when_the_time_is_over() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(OutOfTime), raise_after(0.05):
        forever()
    assert (before, (0.0, 0.0)) == (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL))


@pytest.mark.parametrize("seconds", [None, 1000.0])
def test_what_ends_in_time_leaves_no_timer(seconds: float | None) -> None:
    with raise_after(seconds):
        left = signal.getitimer(signal.ITIMER_REAL)[0]
    assert (0.0 if seconds is None else pytest.approx(seconds, rel=0.1)) == left
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_hanging_trial_fails_and_the_next_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging, good = make_trial(0), make_trial(1)
    from zerotune.tuner.execution import trial_runner as work

    training = work.Training

    def build(config: object, placement: object, process_group: object) -> object:
        if config == hanging.config:
            try:
                forever()
            except Exception:  # as a careless application does
                forever()
        return training(config, placement, process_group)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "Training", build)
    run_serial(ListAgenda([good]), Execution())  # load the data first, so that the good trial needs little time below
    agenda = ListAgenda([hanging, good])
    run_serial(agenda, Execution(time_limit=5.0))
    late, trained = agenda.results
    error = "took longer than resources.time_limit, 5 s: it hangs, or the limit is too low"
    assert ("failed", error) == (late.status, late.error)
    assert late.cost.device_seconds >= 5.0
    assert trained.status == "finished"


# -- in a worker's process ---------------------------------------------------------------------------------------------


def ended_by(body: Callable[[], None]) -> int:
    """Return how a process that runs `body` ends: the number of the signal, negative."""
    child = os.fork()
    if child == 0:
        try:
            body()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_process_ends_itself_whatever_it_does() -> None:
    def hang() -> None:
        signal.signal(signal.SIGALRM, lambda *_: None)  # as an application may
        end_process_after(0.05)
        forever()

    assert ended_by(hang) == -signal.SIGALRM


def test_a_timer_that_is_taken_back_ends_nothing() -> None:
    def work() -> None:
        end_process_after(0.05)
        end_process_after(None)
        time.sleep(0.2)

    assert ended_by(work) == 0


# -- the dispatcher ----------------------------------------------------------------------------------------------------


KILLED = (
    "Failure # {n} (occurred at 2026-01-01_00-00-00)\nThe actor died unexpectedly before finishing this task.\n"
    "Worker exit type: SYSTEM_ERROR Worker exit detail: Worker unexpectedly exits with a connection error code 2. "
    "End of file. There are some potential root causes. "
    "(1) The process is killed by SIGKILL by OOM killer due to high memory usage.\n"
)
MONITOR = (
    "Failure # {n} (occurred at x)\nTask was killed due to the node running low on memory.\nMemory on the node ...\n"
)
NODE_LOST = "Failure # {n} (occurred at x)\nThe actor is dead because its node has died.\n"


class Clock:
    """The dispatcher's clock."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(dispatch.time, "monotonic", clock.monotonic)
    return clock


def limited_workers(agenda: ListAgenda, packing: int | str = "off") -> Workers:
    workers = Workers(agenda)
    workers.dispatch = Dispatcher(agenda, Execution(packing=packing, time_limit=60.0), workers.post)  # type: ignore[arg-type]
    return workers


A, B = (make_trial(index, epochs=2) for index in range(2))


def test_a_trial_whose_worker_ended_itself_fails_at_once_and_its_seconds_are_billed(clock: Clock) -> None:
    workers = limited_workers(ListAgenda([A, B]))
    workers.ready("one")
    (assignment,) = workers.post.items["one"]
    assert assignment.time_limit == 60.0
    clock.now += 20
    workers.report_progress("one", make_update(1, of=2))
    clock.now += 40
    workers.die("one")
    (result,) = workers.agenda.results
    assert (A, "failed", SENTENCE) == (result.trial, result.status, result.error)
    assert (1, 59.0) == (result.cost.trials, result.cost.device_seconds)  # the journal adds the reported epoch
    workers.ready("one", "again")
    assert [B] == workers.got("again")


def test_a_worker_that_dies_before_the_time_is_over_is_replaced(clock: Clock) -> None:
    workers = limited_workers(ListAgenda([A]))
    workers.ready("one")
    clock.now += 59
    workers.die("one")
    assert [] == workers.agenda.results
    workers.ready("one", "again")
    assert [A] == workers.got("again")


@pytest.mark.parametrize(("said", "is_late"), [(KILLED, True), (None, True), (MONITOR, False), (NODE_LOST, False)])
def test_a_worker_that_was_lost_and_missed_only_after_its_time_is_replaced(
    clock: Clock, said: str | None, is_late: bool
) -> None:
    workers = limited_workers(ListAgenda([A]))
    workers.ready("one")
    clock.now += 65
    workers.die("one", said and said.format(n=1))
    assert [SENTENCE] * is_late == [result.error for result in workers.agenda.results]
    workers.ready("one", "again")
    assert ([STOP] if is_late else [A]) == workers.got("again")


def test_a_pack_may_take_as_long_as_its_trials_together_and_is_then_trained_one_by_one(clock: Clock) -> None:
    workers = limited_workers(ListAgenda([*FIVE]), packing=3)
    workers.ready("one")
    (assignment,) = workers.post.items["one"]
    assert assignment.time_limit == 3 * 60.0
    clock.now += 180
    workers.die("one")
    assert [] == workers.agenda.results
    workers.ready("one", "again")
    assert [FIVE[2:3]] == packs(workers, "again")
    clock.now += 60
    workers.die("one")
    assert [(FIVE[2], SENTENCE)] == [(result.trial, result.error) for result in workers.agenda.results]


def test_a_measurement_of_packs_has_a_limit_too(clock: Clock) -> None:
    workers = limited_workers(ListAgenda([*OTHERS]), packing="auto")
    workers.ready("one")
    (request,) = workers.post.items["one"]
    assert isinstance(request, BenchmarkTask)
    assert request.time_limit == max(PACK_SIZES) * 60.0


def test_without_a_limit_nothing_is_timed() -> None:
    workers = Workers(ListAgenda([A]))
    workers.ready("one")
    (assignment,) = workers.post.items["one"]
    assert (Assignment, None) == (type(assignment), assignment.time_limit)


# -- kinds of deaths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (KILLED, "its worker died 3 times while training it: out of memory, or killed from outside"),
        (
            MONITOR,
            "out of memory: its worker was ended 3 times because its machine ran short of memory: train on fewer "
            "samples at once (recipe.micro_batch_size), or fewer trials (resources.max_concurrent)",
        ),
        (NODE_LOST, "its worker died 3 times while training it: its machine was lost"),
    ],
    ids=["killed", "memory monitor", "machine"],
)
def test_a_trial_that_killed_its_workers_says_what_is_known_of_the_last_death(last: str, error: str) -> None:
    workers = Workers(ListAgenda([A]))
    said = ""
    for death in range(MAX_WORKER_FAILURES):
        workers.ready("one", f"life {death}")
        said += (last if death == MAX_WORKER_FAILURES - 1 else MONITOR).format(n=death + 1)
        workers.die("one", said)
    (result,) = workers.agenda.results
    assert ("failed", error) == (result.status, result.error)


def test_workers_that_die_before_they_are_given_anything_end_the_study_with_a_sentence() -> None:
    workers = Workers(ListAgenda([A, B]))
    for _ in range(MAX_IDLE_FAILURES):
        workers.die("one", "Failure # 9 (occurred at x)\nno module named trainers\n")
    with pytest.raises(Unreachable, match=r"20 workers .* died one after the other .* no module named trainers$"):
        workers.die("one", "Failure # 9 (occurred at x)\nno module named trainers\n")
    assert isinstance(workers.dispatch.error, Unreachable)


IMPORT_FAILED = """Failure # {n} (occurred at x)
The actor died because of an error raised in its creation task, ray::TuneWorker.__init__() (pid=1, ip=127.0.0.1)
RuntimeError: The actor with name TuneWorker failed to import on the worker. This may be because needed library
  File "/elsewhere/trainers/loop.py", line 7, in <module>
    import torch
ModuleNotFoundError: No module named 'torch'
"""


def test_workers_that_cannot_import_what_they_need_end_the_study_at_once_with_the_cause() -> None:
    workers = Workers(ListAgenda([A, B]))
    said = ""
    for death in range(1, MAX_START_FAILURES):
        said += IMPORT_FAILED.format(n=death)
        workers.die("one", said)
    with pytest.raises(
        Unreachable, match=r"cannot start: ModuleNotFoundError: No module named 'torch' \(at loop.py:7\)"
    ):
        workers.die("one", said + IMPORT_FAILED.format(n=MAX_START_FAILURES))


def test_a_worker_that_failed_to_start_is_started_again_where_others_could() -> None:
    workers = Workers(ListAgenda([A, B]))
    workers.ready("two")
    for death in range(1, MAX_START_FAILURES + 2):
        workers.die("one", IMPORT_FAILED.format(n=death))
    assert workers.dispatch.error is None


def test_any_word_of_a_training_says_that_workers_can_be_kept() -> None:
    workers = Workers(ListAgenda([A, B]))
    for _ in range(3):
        for _ in range(MAX_IDLE_FAILURES):
            workers.die("two")
        workers.ready("one", "life")
        trial = next(iter(workers.dispatch._assigned["one"].trials.values()))
        workers.send("one", ProgressUpdates({trial.id: make_update(1, of=2)}))
    assert dispatch.MAX_IDLE_FAILURES == workers.dispatch._idle_failures + MAX_IDLE_FAILURES


# -- a study -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("driver", "limit"), [("serial", 4.0), pytest.param("ray", 10.0, marks=pytest.mark.ray)])
def test_a_study_with_hanging_trials_ends_with_an_answer_and_they_can_be_retried(
    driver: str, limit: float, here: Here, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if driver == "ray":
        request.getfixturevalue("shared_head")
    hang_until_mended(here.folder, tmp_path / "mended", f"{{time_limit: {limit}, max_concurrent: 2}}")
    words = ("plane.yaml", "--app", "plane.py:sides", "--driver")
    code, out, err = here.zerotune("run", *words, driver)
    assert (code, err) == (0, "")
    results = read_journal(here.folder / "mlruns/plane/journal.jsonl").results.values()
    late = [result for result in results if result.status == "failed"]
    error = f"took longer than resources.time_limit, {limit:g} s: it hangs, or the limit is too low"
    assert [("baseline", 20, error)] * 2 == [(r.trial.arm, r.trial.batch_size, r.error) for r in late]
    assert all(result.cost.device_seconds > limit / 2 for result in late)
    assert len(results) == 8
    assert out.count(f"failed: {error}") == 2

    (tmp_path / "mended").touch()
    assert here.zerotune("retry", "--failed", *words, "serial")[0] == 0
    results = read_journal(here.folder / "mlruns/plane/journal.jsonl").results.values()
    assert [(8, 0)] == [(len(results), sum(result.status == "failed" for result in results))]
    assert sum(result.cost.device_seconds > limit / 2 for result in results) == 2
