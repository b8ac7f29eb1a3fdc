"""The Ray driver's dispatcher, without Ray: the test speaks for the workers."""

from pathlib import Path

from tests.tuner.execution.agendas import ListAgenda, make_trial
from tests.tuner.execution.simulated_workers import Workers, make_update
from zerotune.tuner.execution.failures import MAX_WORKER_FAILURES
from zerotune.tuner.execution.ray.dispatcher import Dispatcher
from zerotune.tuner.execution.ray.messages import CONTINUE, PRUNED, STOP, Idle, ProgressUpdates
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
    workers.report_progress("one", make_update(1, of=2, error="ValueError: no"))
    assert [("failed", "ValueError: no")] == [(result.status, result.error) for result in workers.agenda.results]
    assert [A, B] == workers.got("one")
