"""Signals that end a command: what is printed, the exit code, and a user who presses Ctrl-C again."""

import gc
import os
import pty
import signal
import time
import weakref
from collections.abc import Callable, Iterator

import pytest
import typer
from rich.console import Console

from zerotune.trainers.interrupts import ENDING_SIGNALS, waiting_for
from zerotune.tuner.commands.interrupt import end_at_signals, exit_on_interrupt

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _enabled() -> Iterator[None]:
    """Enable the signals, however these tests were started."""
    former = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING_SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def plain() -> Console:
    return Console(highlight=False, markup=False, width=80)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_work_with_128_and_its_number(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(typer.Exit) as ended, exit_on_interrupt("zerotune run x", plain()):
        signal.raise_signal(number)
    assert 128 + number == ended.value.exit_code
    assert "Interrupted. All results so far are kept. To resume:\n  zerotune run x\n" in capsys.readouterr().out
    assert before == signal.getsignal(number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_at_the_start_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with exit_on_interrupt("zerotune run x", plain()):
        signal.raise_signal(number)
    assert signal.SIG_IGN == signal.getsignal(number)


def test_a_second_signal_says_what_is_waited_for_and_interrupts_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    done = []

    def stop_work() -> None:
        with exit_on_interrupt("zerotune run x", plain()):
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                with waiting_for("Ray's workers to stop"):
                    signal.raise_signal(signal.SIGINT)
                    done.append("stopped")

    with pytest.raises(typer.Exit):
        stop_work()
    assert ["stopped"] == done
    assert "Still ending: waiting for Ray's workers to stop. All results so far are kept." in capfd.readouterr().err


def finalize() -> None:
    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    Finalized()


def collect() -> None:
    class Cycle:
        pass

    cycle = Cycle()
    cycle.itself = cycle  # type: ignore[attr-defined]
    callback = weakref.ref(cycle, lambda _: signal.raise_signal(signal.SIGINT))
    del cycle
    gc.collect()
    assert callback() is None


@pytest.mark.parametrize("drop", [finalize, collect])
def test_a_signal_where_exceptions_are_dropped_ends_the_work_a_moment_later(
    drop: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        with exit_on_interrupt("zerotune run x", plain()):
            drop()
            time.sleep(10.0)

    with pytest.raises(typer.Exit):
        work()
    assert 1 == capsys.readouterr().out.count("zerotune run x")


def in_child(work: Callable[[], None]) -> int:
    """Run some work in a forked process; return its exit code."""
    if (child := os.fork()) == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_third_signal_ends_at_once_with_the_command_to_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with exit_on_interrupt("zerotune run x", plain()):
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                with waiting_for("nothing"):
                    signal.raise_signal(signal.SIGINT)
                    signal.raise_signal(signal.SIGINT)

    assert 130 == in_child(work)
    assert capfd.readouterr().err.endswith("Ended at once. All results so far are kept. To resume: zerotune run x\n")


def test_a_signal_while_the_program_ends_gives_its_exit_code_and_no_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def work() -> None:
        end_at_signals()
        signal.raise_signal(signal.SIGINT)

    assert 130 == in_child(work)
    assert ("", "") == tuple(capfd.readouterr())


def test_a_terminal_that_is_gone_fails_no_write() -> None:
    ours, theirs = pty.openpty()

    def work() -> None:
        os.dup2(theirs, 1)
        os.dup2(theirs, 2)
        os.close(theirs)
        os.close(ours)
        code = 0
        with open(1, "w", buffering=1, closefd=False) as out:
            try:
                with exit_on_interrupt("zerotune run x", Console(file=out)):
                    signal.raise_signal(signal.SIGHUP)
            except typer.Exit as ended:
                code = ended.exit_code
        os._exit(code)

    code = in_child(work)
    os.close(ours)
    os.close(theirs)
    assert 129 == code


def test_a_forked_process_ends_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        for _ in range(3):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                continue
        os._exit(7)

    with exit_on_interrupt("zerotune run x", plain()):
        assert 7 == in_child(work)
    assert ("", "") == tuple(capfd.readouterr())
