"""The Ray driver's dispatcher, without Ray: the test speaks for the workers."""

from dataclasses import replace
from pathlib import Path

from tests.tuner.execution.agendas import ListAgenda, make_trial
from tests.tuner.execution.simulated_workers import Workers, make_update
from zerotune.tuner.execution.failures import MAX_WORKER_FAILURES
from zerotune.tuner.execution.ray.dispatcher import MAX_IDLE_FAILURES, Dispatcher
from zerotune.tuner.execution.ray.messages import CONTINUE, PRUNED, RENEW, STOP, Idle, ProgressUpdates, Ready
from zerotune.tuner.execution.ray.silence import SHORTEST_SILENCE, SilenceWatch
from zerotune.tuner.execution.trial_runner import Execution

A, B, C = (make_trial(index, epochs=2) for index in range(3))


def test_a_worker_that_is_ready_gets_a_trial_and_the_next_when_it_is_done() -> None:
    workers = Workers(ListAgenda([A, B]))
    workers.ready("one")
    assert [A] == workers.got("one")
    workers.report_progress("one", make_update(1, of=2))
    assert [A] == workers.got("one")
    workers.report_progress("one", make_update(2, of=2))
    assert [A, B] == workers.got("one")
    assert [A] == [result.trial for result in workers.agenda.results]


def test_all_workers_are_stopped_when_the_last_trial_is_told() -> None:
    workers = Workers(ListAgenda([A, B]))
    for worker in ("one", "two", "three"):
        workers.ready(worker)
    workers.report_progress("one", make_update(2, of=2))
    assert ([A], [B], []) == (workers.got("one"), workers.got("two"), workers.got("three"))
    assert not workers.dispatch.finished
    workers.report_progress("two", make_update(2, of=2))
    assert workers.dispatch.finished
    assert ([A, STOP], [B, STOP], [STOP]) == (workers.got("one"), workers.got("two"), workers.got("three"))
    workers.ready("late")
    assert [STOP] == workers.got("late")


def test_a_worker_that_has_nothing_gets_a_trial_once_there_is_one() -> None:
    agenda = ListAgenda([])
    agenda.ask = lambda: "wait"  # type: ignore[method-assign]
    workers = Workers(agenda)
    workers.ready("one")
    workers.send("one", Idle())
    assert [] == workers.got("one")
    agenda.ask = lambda: A  # type: ignore[method-assign]
    workers.send("one", Idle())
    assert [A] == workers.got("one")


def test_a_trial_that_may_be_pruned_goes_on_only_when_told_to() -> None:
    hopeless = make_trial(3, epochs=5)
    workers = Workers(ListAgenda([hopeless, B], pruned_at={hopeless.id: 2}))
    workers.ready("one")
    assert [True] == [item.may_be_pruned for item in workers.post.items["one"]]
    workers.report_progress("one", make_update(1, of=5))
    assert [hopeless, CONTINUE] == workers.got("one")
    workers.report_progress("one", make_update(2, of=5))
    assert [hopeless, CONTINUE, PRUNED, B] == workers.got("one")
    assert [(hopeless, "pruned")] == [(result.trial, result.status) for result in workers.agenda.results]


def test_a_worker_whose_trial_is_pruned_hears_so_though_nothing_follows_yet() -> None:
    agenda = ListAgenda([A], pruned_at={A.id: 1})
    workers = Workers(agenda)
    workers.ready("one")
    agenda.ask = lambda: "wait"  # type: ignore[method-assign]
    workers.report_progress("one", make_update(1, of=2))
    assert [A, PRUNED] == workers.got("one")


def test_a_pruned_trial_leaves_no_checkpoint_though_its_worker_dies_before_it_hears_of_it(tmp_path: Path) -> None:
    hopeless = make_trial(3, epochs=5)
    workers = Workers(ListAgenda([hopeless, B], pruned_at={hopeless.id: 1}))
    execution = Execution(checkpoints=tmp_path)
    workers.dispatch = Dispatcher(workers.agenda, execution, workers.post)  # type: ignore[arg-type]
    workers.ready("one")
    file = Path(str(execution.placement(hopeless).checkpoint))
    file.touch()
    workers.report_progress("one", make_update(1, of=5))
    workers.die("one")
    assert ("pruned", False) == (workers.agenda.results[0].status, file.exists())


def test_the_trial_of_a_dead_worker_goes_to_another_before_new_ones() -> None:
    workers = Workers(ListAgenda([A, B, C]))
    workers.ready("one")
    workers.ready("two")
    workers.die("one")
    workers.report_progress("two", make_update(2, of=2))
    assert [B, A] == workers.got("two")
    assert [B] == [result.trial for result in workers.agenda.results]


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
    workers.send("one", ProgressUpdates({A.id: make_update(2, of=2)}))
    assert ([A], [A, STOP]) == (workers.got("before"), workers.got("after"))
    assert [A] == [result.trial for result in workers.agenda.results]


def test_a_restart_that_was_not_announced_counts_as_a_death() -> None:
    workers = Workers(ListAgenda([A]))
    workers.ready("one", "before")
    workers.ready("one", "after")
    assert [A] == workers.got("after")


def test_a_trial_under_which_workers_keep_dying_fails_and_the_rest_goes_on() -> None:
    workers = Workers(ListAgenda([A, B]))
    for death in range(MAX_WORKER_FAILURES):
        assert [] == workers.agenda.results
        workers.ready("one", f"life {death}")
        assert [A] == workers.got(f"life {death}")
        workers.die("one")
    (result,) = workers.agenda.results
    expected = "its worker died 3 times while training it: out of memory, or killed from outside"
    assert (A, "failed", expected) == (result.trial, result.status, result.error)
    workers.ready("one", "life 4")
    assert [B] == workers.got("life 4")


def test_deaths_count_anew_where_a_trial_gets_further() -> None:
    workers = Workers(ListAgenda([A]))
    for life in range(3 * MAX_WORKER_FAILURES):
        workers.ready("one", f"life {life}")
        assert ([A], []) == (workers.got(f"life {life}"), workers.agenda.results)
        workers.post.items["one"] = workers.post.items[f"life {life}"]
        workers.report_progress("one", make_update(1 + life // 2, of=99))
        workers.die("one")


def test_deaths_at_the_same_epoch_are_not_forgiven() -> None:
    workers = Workers(ListAgenda([A]))
    for life in range(MAX_WORKER_FAILURES):
        workers.ready("one", f"life {life}")
        workers.post.items["one"] = workers.post.items[f"life {life}"]
        workers.report_progress("one", make_update(7, of=99))
        workers.die("one")
    assert ["failed"] == [result.status for result in workers.agenda.results]


def test_a_worker_that_trains_and_is_silent_for_long_is_told_with_its_place_and_no_failure() -> None:
    workers, clock = Workers(ListAgenda([A, B])), [0.0]
    workers.dispatch._silence = SilenceWatch(lambda: clock[0])
    workers.send("one", Ready(mailbox="one", place="process 7 on here, its log is /logs/7.err"))
    for clock[0] in (SHORTEST_SILENCE - 1, SHORTEST_SILENCE + 60, SHORTEST_SILENCE + 90):
        workers.dispatch.tell_silent_workers()
    assert [
        f"{A.name}: nothing heard for 11 minutes: a long epoch, or it hangs. It is trained by process 7 on here, its "
        "log is /logs/7.err. resources.time_limit in the study ends trials that hang"
    ] == workers.agenda.notes
    workers.report_progress("one", make_update(1, of=2))
    clock[0] += 4 * SHORTEST_SILENCE
    workers.dispatch.tell_silent_workers()
    assert 1 == len(workers.agenda.notes), "five times the longest silence that ended"
    workers.report_progress("one", make_update(2, of=2))
    workers.report_progress("one", make_update(2, of=2))
    clock[0] += 100 * SHORTEST_SILENCE
    workers.dispatch.tell_silent_workers()
    assert ([], 1) == (workers.agenda.warnings, len(workers.agenda.notes)), "idle workers have nothing to say"


def test_an_idle_worker_that_dies_gets_nothing() -> None:
    agenda = ListAgenda([])
    agenda.ask = lambda: "wait"  # type: ignore[method-assign]
    workers = Workers(agenda)
    workers.ready("one")
    workers.die("one")
    agenda.ask = lambda: A  # type: ignore[method-assign]
    workers.ready("two")
    assert ([], [A]) == (workers.got("one"), workers.got("two"))


def test_after_a_failed_trial_its_worker_trains_the_next_in_a_new_process() -> None:
    workers = Workers(ListAgenda([A, B, C]))
    workers.ready("one")
    workers.report_progress("one", make_update(1, of=2, error="ValueError: no"))
    assert [("failed", "ValueError: no")] == [(result.status, result.error) for result in workers.agenda.results]
    assert [A, RENEW] == workers.got("one")
    workers.die("one", "Failure # 1\nRuntimeError: a new process follows a failed trial")
    workers.ready("one", "anew")
    assert [B] == workers.got("anew")


def test_an_error_that_every_trial_has_asks_for_one_new_process_on_cpus_and_for_one_each_on_gpus() -> None:
    for gpus, got in ((0.0, [B, C]), (1.0, [B, RENEW])):
        workers = Workers(ListAgenda([A, B, C]))
        workers.dispatch._execution = replace(workers.dispatch._execution, gpus_per_trial=gpus)
        workers.ready("one")
        workers.report_progress("one", make_update(1, of=2, error="ValueError: no"))
        workers.die("one")
        workers.ready("one", "anew")
        workers.post.items["one"] = workers.post.items["anew"]
        workers.report_progress("one", make_update(1, of=2, error="ValueError: no"))
        assert got == workers.got("anew")


def test_new_processes_after_failed_trials_never_end_a_study() -> None:
    trials = [make_trial(index, epochs=2) for index in range(2 * MAX_IDLE_FAILURES)]
    workers = Workers(ListAgenda(trials))
    for number in range(len(trials)):
        workers.ready("one", f"life {number}")
        workers.post.items["one"] = workers.post.items[f"life {number}"]
        workers.report_progress("one", make_update(1, of=2, error=f"ValueError: {number}"))
        workers.die("one")
    assert len(trials) == len(workers.agenda.results)
