"""Standard streams and terminal settings that a shell or a cron job leaves unusable."""

import os
import subprocess
import sys

import pytest

from zerotune.tuner.commands.streams import repair_streams


@pytest.mark.parametrize(("columns", "kept"), [("0", None), ("abc", None), ("-5", None), ("²", None), ("90", "90")])
def test_a_number_of_columns_that_is_none_is_ignored(
    columns: str, kept: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    repair_streams()
    assert kept == os.environ.get("COLUMNS")


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_is_replaced_by_one_that_discards(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, name, None)
    repair_streams()
    stream = getattr(sys, name)
    assert "" == stream.read() if name == "stdin" else stream.write("±") == 1
    stream.close()


def test_commands_work_with_closed_streams_no_columns_and_an_ascii_locale() -> None:
    closing = f"exec {sys.executable} -m zerotune --version <&- 2>&-"
    places = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    environment = {**places, "COLUMNS": "0", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    strict = {**environment, "PYTHONWARNINGS": "error", "TERM": "dumb"}
    ended = subprocess.run(["sh", "-c", closing], env=strict, capture_output=True, check=False)
    assert 0 == ended.returncode
    assert ended.stdout.startswith(b"zerotune ")
    ended = subprocess.run(["sh", "-c", f"{closing} >&-"], env=strict, capture_output=True, check=False)
    assert (0, b"") == (ended.returncode, ended.stdout)
