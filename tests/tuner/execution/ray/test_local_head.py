"""The head of an embedded cluster, seen from its program: started early, taken, released, and never left behind."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from zerotune.trainers.cores import num_cores
from zerotune.tuner.commands.options import DriverName, TrainingOptions
from zerotune.tuner.errors import BadInput, Unreachable
from zerotune.tuner.execution.ray import local_cluster as embedded
from zerotune.tuner.execution.ray.local_cluster import LocalHead, start_ahead, take

TIMED_OUT = """
from zerotune.tuner.execution.ray.local_cluster import FAILED, describe_start_failure
print(FAILED + describe_start_failure(RuntimeError("The node timed out.\\nMore of it.")))
"""
WORKING = "import sys; print(f'127.0.0.1:{sys.argv[1]}', flush=True); sys.stdin.read()"
"""Replaces a head that starts Ray: its address has the number of cores as its port."""


def replace_head(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Make heads run another program instead of Ray's."""
    monkeypatch.setattr(embedded, "_command", lambda num_cpus: [sys.executable, "-c", program, str(num_cpus)])


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> list[LocalHead]:
    """Collect the heads that a test starts; none of them starts Ray."""
    started: list[LocalHead] = []
    begin = LocalHead.__init__

    def init(head: LocalHead, num_cpus: int) -> None:
        begin(head, num_cpus)
        started.append(head)

    replace_head(monkeypatch, WORKING)
    monkeypatch.setattr(LocalHead, "__init__", init)
    return started


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Return whether the condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def is_finished(head: LocalHead) -> bool:
    return head._process.poll() is not None


def test_a_head_tells_where_it_is_and_ends_when_stopped(heads: list[LocalHead]) -> None:
    head = LocalHead(3)
    assert head.address() == "127.0.0.1:3"
    assert not is_finished(head)
    head.stop()
    assert is_finished(head)
    head.stop()  # stopping again does no harm


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (TIMED_OUT, "The node timed out."),
        ("raise SystemExit(3)", "its head process ended."),
    ],
)
def test_a_head_without_a_cluster_is_reported_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    replace_head(monkeypatch, program)
    head = LocalHead(1)
    with pytest.raises(Unreachable) as refused:
        head.address()
    head.stop()
    assert str(refused.value) == (
        f"a local Ray cluster could not be started: {reason} Run the command again when the machine is less busy, or "
        "with --driver serial"
    )


def test_a_head_that_does_not_end_is_killed(heads: list[LocalHead], monkeypatch: pytest.MonkeyPatch) -> None:
    replace_head(monkeypatch, "import time; print('here', flush=True); time.sleep(600)")
    monkeypatch.setattr(embedded, "_END_SECONDS", 0.2)
    head = LocalHead(1)
    assert head.address() == "here"
    head.stop()
    assert head._process.returncode == -9


def test_what_was_started_ahead_is_taken_once(heads: list[LocalHead]) -> None:
    with start_ahead(2):
        first, second = take(2), take(2)
    assert heads == [first, second]
    assert first is not second
    assert [is_finished(first), is_finished(second)] == [False, False], "who takes one stops it"
    for head in heads:
        head.stop()


def test_of_two_that_are_started_ahead_for_as_many_cores_there_is_one(heads: list[LocalHead]) -> None:
    with start_ahead(2), start_ahead(2):
        taken = take(2)
    assert heads == [taken]
    taken.stop()


def test_a_study_that_needs_other_cores_gets_another_cluster(heads: list[LocalHead]) -> None:
    with start_ahead(2):
        with start_ahead(8):
            taken = take(8)
        assert taken.address() == "127.0.0.1:8"
        taken.stop()
    assert [2, 8] == [head.num_cpus for head in heads]
    assert until(lambda: is_finished(heads[0])), "nobody has taken it"


def test_what_was_started_ahead_in_vain_is_let_go_without_waiting(
    heads: list[LocalHead], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study with a mistake is not delayed by a cluster that it does not need."""
    replace_head(monkeypatch, WORKING + "; import time; time.sleep(1)")
    with pytest.raises(BadInput, match="the study"), start_ahead(2):
        raise BadInput("the study has a mistake")
    assert not is_finished(heads[0])
    assert until(lambda: is_finished(heads[0]))


@pytest.mark.parametrize(
    ("driver", "address", "num_started"),
    [(DriverName.ray, None, 1), (DriverName.serial, None, 0), (DriverName.ray, "auto", 0)],
)
def test_a_command_starts_a_cluster_ahead_where_it_needs_one_of_its_own(
    heads: list[LocalHead], driver: DriverName, address: str | None, num_started: int
) -> None:
    nowhere = {"tracking_uri": None, "data_folder": None, "app": None}
    options = TrainingOptions(study="x", store=Path("mlruns"), driver=driver, address=address, **nowhere)
    with options.start_cluster_early():
        assert [num_cores()] * num_started == [head.num_cpus for head in heads]
