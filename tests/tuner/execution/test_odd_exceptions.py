"""Whatever a user's code raises, the trial fails with its type and the user's line, and the next trial is trained."""

import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from torch import Tensor

from tests.tuner.execution.agendas import ListAgenda, make_trial
from zerotune.trainers.applications import APPLICATIONS, registry
from zerotune.trainers.applications.failure import ApplicationError, attribute_to
from zerotune.trainers.applications.user_file import ApplicationFile
from zerotune.trainers.distributed.local_workers import LocalWorkers
from zerotune.trainers.spec import Placement
from zerotune.tuner.execution.packing import PackRunner
from zerotune.tuner.execution.ray.tune_worker import run_ray
from zerotune.tuner.execution.serial import run_serial
from zerotune.tuner.execution.trial_runner import Execution, TrialRunner


class Unspeakable(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no text")


class UnspeakableRuntime(RuntimeError):
    """The same as an error in which words about memory are looked for."""

    def __str__(self) -> str:
        raise SystemExit(4)


class Locked(Exception):
    """An exception that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("locked")
        self.lock = threading.Lock()


class Stop(BaseException):
    """An exception that is no `Exception`."""


def recurse() -> None:
    recurse()


def throw(error: BaseException) -> None:
    raise error


ODD: dict[str, tuple[Callable[[], object], str]] = {
    "exit": (lambda: throw(SystemExit("enough")), "SystemExit: enough"),
    "silent exit": (lambda: throw(SystemExit()), "SystemExit"),
    "interrupt": (lambda: throw(KeyboardInterrupt()), "KeyboardInterrupt"),
    "generator": (lambda: throw(GeneratorExit()), "GeneratorExit"),
    "base": (lambda: throw(Stop("here")), "Stop: here"),
    "unspeakable": (
        lambda: throw(Unspeakable()),
        "Unspeakable: its message cannot be read, since __str__ raises ValueError",
    ),
    "unspeakable about memory": (
        lambda: throw(UnspeakableRuntime()),
        "UnspeakableRuntime: its message cannot be read, since __str__ raises SystemExit",
    ),
    "unpicklable": (lambda: throw(Locked()), "Locked: locked"),
    "recursion": (recurse, "RecursionError: maximum recursion depth exceeded"),
    "huge": (lambda: throw(ValueError("x" * 10_000_000)), f"ValueError: {'x' * 300} ..."),
}
"""What a user's code does, and what the failed trial says."""

PLACES = ("build_model", "loss", "score_sum")


@pytest.mark.parametrize("name", ODD)
def test_whatever_is_raised_fails_the_trial_with_the_users_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    act, said = ODD[name]
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(APPLICATIONS["lenet_mnist"], loss=lambda *_: act()))
    error = TrialRunner(make_trial(0), Placement()).advance(60.0).error
    assert error is not None
    assert re.fullmatch(rf"{re.escape(said)} \(at test_odd_exceptions.py:\d+\)", error)


@pytest.mark.parametrize("place", PLACES)
def test_an_exit_in_any_part_fails_the_trial_and_the_next_is_trained(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    good, agenda = APPLICATIONS["lenet_mnist"], ListAgenda([make_trial(0), make_trial(1)])
    calls = iter((True,))

    def exit_once(*arguments: object, **options: object) -> object:
        if next(calls, False):
            raise SystemExit(3)
        return getattr(good, place)(*arguments, **options)

    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(good, **{place: exit_once}))
    run_serial(agenda, Execution())
    first, second = agenda.results
    assert ("failed", "finished") == (first.status, second.status)
    assert "SystemExit: 3" in str(first.error)


def test_an_exit_in_a_pack_is_found_by_training_each_trial_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        APPLICATIONS, "lenet_mnist", replace(APPLICATIONS["lenet_mnist"], loss=lambda *_: throw(SystemExit(3)))
    )
    pack, errors = PackRunner([make_trial(0), make_trial(1)], [Placement(), Placement()]), []
    while not pack.done:
        errors += [update.error for update in pack.advance(60.0).values()]
    assert [True, True] == [str(error).startswith("SystemExit: 3 (at test_odd_exceptions.py:") for error in errors]


@pytest.mark.parametrize("hides", [False, True])
def test_ctrl_c_stops_the_program_even_where_the_users_code_catches_everything(
    monkeypatch: pytest.MonkeyPatch, hides: bool
) -> None:
    good = APPLICATIONS["lenet_mnist"]

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException as error:
            if hides:
                raise ValueError("hidden") from error
        return good.loss(outputs, targets)

    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(good, loss=loss))
    with pytest.raises(KeyboardInterrupt):
        TrialRunner(make_trial(0), Placement()).advance(60.0)
    assert signal.default_int_handler == signal.getsignal(signal.SIGINT)


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), GeneratorExit(), SystemExit(1)])
def test_the_sanity_check_takes_no_exception_of_the_application_for_a_user_who_stops(raised: BaseException) -> None:
    with pytest.raises(ApplicationError, match=f"loss: it raised {type(raised).__name__}"), attribute_to("loss", "it"):
        raise raised


def test_an_interrupt_that_an_applications_file_raises_is_its_mistake(tmp_path: Path) -> None:
    file = ApplicationFile(path=str(tmp_path / "stops.py"), name="stops", code=b"\nraise KeyboardInterrupt\n")
    with pytest.raises(ApplicationError, match=r"stops\.py:2: KeyboardInterrupt"):
        registry.register_application(file)


ODD_FILE = """
import threading
from dataclasses import replace
from zerotune.trainers.applications import APPLICATIONS

class Locked(KeyboardInterrupt):
    def __init__(self):
        super().__init__("locked")
        self.lock = threading.Lock()

def stop(outputs, targets):
    raise Locked

odd = replace(APPLICATIONS["lenet_mnist"], loss=stop)
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ApplicationFile]:
    path = tmp_path / "odd.py"
    path.write_text(ODD_FILE)
    yield ApplicationFile(path=str(path), name="odd", code=path.read_bytes())
    APPLICATIONS.pop("odd", None)
    registry._origins.pop("odd", None)


def test_an_exit_of_one_of_several_workers_names_the_users_line(file: ApplicationFile) -> None:
    trial = make_trial(0)
    trial = replace(trial, config=replace(trial.config, application="odd", batch_size=2_999))
    workers = LocalWorkers(2)
    try:
        update = TrialRunner(trial, Placement(num_workers=2), file, others=workers).advance(60.0)
    finally:
        workers.close()
    assert "Locked: locked (at odd.py:12)" in str(update.error)


@pytest.mark.ray
@pytest.mark.usefixtures("shared_head")
def test_an_odd_exception_under_ray_fails_its_trial_alone(file: ApplicationFile) -> None:
    odd = make_trial(0)
    agenda = ListAgenda([replace(odd, config=replace(odd.config, application="odd")), make_trial(1)])
    run_ray(agenda, Execution(application=file, max_concurrent=1))
    told = {result.trial.index: (result.status, result.error) for result in agenda.results}
    assert {0: ("failed", "Locked: locked (at odd.py:12)"), 1: ("finished", None)} == told
