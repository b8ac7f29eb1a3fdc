"""The inspection of a machine before it trains anything, and the treatment of an unfit machine."""

import importlib.metadata
import importlib.util
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.tuner.execution.agendas import SINGLE_WORKER, ListAgenda, make_trial
from zerotune.tuner.errors import BadInput
from zerotune.tuner.execution.preflight import (
    Findings,
    Inspection,
    Workload,
    check_findings,
    inspect_machine,
    local_versions,
)
from zerotune.tuner.execution.ray.dispatcher import Dispatcher
from zerotune.tuner.execution.ray.messages import Idle, Ready
from zerotune.tuner.execution.ray.tune_worker import TuneWorker
from zerotune.tuner.execution.trial_runner import Execution

PACKAGED = Workload(application="lenet_mnist", data_source="mnist5k")
ASKED = Inspection(workload=PACKAGED, data_folder=None, application=None, probe=None)
FIT = Findings(host="one", problem=None, versions=local_versions(), sees_checkpoints=True)


def without_data(folder: Path) -> Inspection:
    (folder / "mnist").mkdir()
    return replace(ASKED, workload=replace(PACKAGED, data_source="mnist"), data_folder=str(folder))


# -- the inspection ----------------------------------------------------------------------------------------------------


def test_a_machine_that_can_train_has_no_problem_and_says_its_versions() -> None:
    found = inspect_machine(ASKED)
    assert (found.problem, found.sees_checkpoints) == (None, True)
    assert found.versions["torch"] == importlib.metadata.version("torch")


def test_a_machine_without_the_data_says_which_folder_lacks_them(tmp_path: Path) -> None:
    problem = inspect_machine(without_data(tmp_path)).problem
    assert problem is not None
    assert str(tmp_path / "mnist") in problem


def test_a_machine_without_a_package_says_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    problem = inspect_machine(replace(ASKED, workload=Workload(application="gnmt_wmt16", data_source="wmt16"))).problem
    assert problem is not None
    assert problem.startswith("application 'gnmt_wmt16': ")


def test_a_machine_sees_the_checkpoints_of_others_or_does_not(tmp_path: Path) -> None:
    probe = tmp_path / "seen"
    assert not inspect_machine(replace(ASKED, probe=str(probe))).sees_checkpoints
    probe.touch()
    assert inspect_machine(replace(ASKED, probe=str(probe))).sees_checkpoints


# -- messages to the user ----------------------------------------------------------------------------------------------


def test_all_machines_that_cannot_train_are_named() -> None:
    findings = {"10.0.0.1": FIT, "10.0.0.2": replace(FIT, host="two", problem="no data")}
    findings["three"] = replace(FIT, host="three", problem="no torchvision")
    with pytest.raises(BadInput) as refused:
        check_findings(findings)
    assert str(refused.value).splitlines() == [
        "2 of 3 machines of the cluster cannot run this study:",
        "  10.0.0.2 (two): no data",
        "  three: no torchvision",
    ]


def test_checkpoints_that_are_not_shared_and_other_versions_are_said() -> None:
    other = replace(FIT, host="two", versions={**FIT.versions, "torch": "1.0"}, sees_checkpoints=False)
    blind, version = check_findings({"one": FIT, "two": other})
    assert blind.startswith("Checkpoints are not shared with two: ")
    assert version.startswith(f"two has torch 1.0 (here {FIT.versions['torch']}): ")
    assert list(check_findings({"one": FIT})) == []


# -- a machine that joins later ----------------------------------------------------------------------------------------


def test_a_worker_on_a_machine_that_cannot_train_says_so_and_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    worker = TuneWorker.__new__(TuneWorker)
    worker.setup({"post": None, "worker_group": SINGLE_WORKER, "inspection": without_data(tmp_path)})
    message = worker.step()["message"]
    assert isinstance(message, Ready)
    assert message.problem is not None
    assert str(tmp_path) in message.problem
    assert worker.step() == worker.step() == {"message": Idle()}


def test_a_worker_that_could_train_nothing_is_given_nothing_and_its_machine_named_once() -> None:
    agenda, posted = ListAgenda([make_trial(0), make_trial(1)]), []
    post = SimpleNamespace(put=SimpleNamespace(remote=lambda mailbox, letter: posted.append(mailbox)))
    dispatch = Dispatcher(agenda, Execution(), post)
    for worker, problem in (("one", None), ("late", "two: no data"), ("later", "two: no data")):
        message = Ready(mailbox=worker, problem=problem)
        dispatch.on_trial_result(None, SimpleNamespace(trial_id=worker), {"message": message})
    assert posted == ["one"]
    assert agenda.notes == ["A machine that joined gets no trials, because it cannot train them: two: no data"]
