"""Shared parts of the whole-program benchmarks: contestants in their own processes that alternate, and tables.

Settings of the C library and of threads belong to a process, so a contestant that must not inherit another's gets its
own process. Turns alternate A B A B, so that other load on the machine affects all alike; each figure is a median.

A benchmark is its own contestant: it is started again with `--contestant JSON` and prints its results as marked lines.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Self

from rich.console import Console
from rich.table import Table

Figures = Mapping[str, Any]
"""A contestant's measurements in one turn, by name."""

ROOT = Path(__file__).parents[1]
_MARK = "RESULT "


def tell(figures: Figures) -> None:
    """Send a contestant's figures to the benchmark that started it."""
    print(f"\n{_MARK}{json.dumps(figures)}", flush=True)


def serve(turn: Callable[[], Figures]) -> None:
    """Run a contestant's main loop: report that it is warm, then take a turn for every line it receives."""
    tell({})
    for _ in sys.stdin:
        tell(turn())


def _command(module: str, contestant: Figures) -> list[str]:
    return [sys.executable, "-m", module, "--contestant", json.dumps(contestant)]


def _environment() -> dict[str, str]:
    """Return an environment with one thread per contestant, and this checkout for workers started by Ray."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}


def alone(module: str, contestant: Figures) -> Figures:
    """Return a contestant's figures from a process that lives for this one turn.

    Raises:
        SystemExit: it failed; shows the end of its output.
    """
    done = subprocess.run(
        _command(module, contestant), capture_output=True, text=True, check=False, cwd=ROOT, env=_environment()
    )
    found = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode or not found:
        sys.exit(f"{contestant} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    figures: Figures = json.loads(found[-1].removeprefix(_MARK))
    return figures


class Contestant:
    """A contestant whose process stays alive and idle between its turns.

    Args:
        module: the benchmark, such as "benchmarks.trainer_throughput".
        contestant: which contestant, as plain JSON values.
    """

    def __init__(self, module: str, contestant: Figures) -> None:
        self._contestant = contestant
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process
        self._process = subprocess.Popen(
            _command(module, contestant),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=_environment(),
        )

    def __enter__(self) -> Self:
        self._read()
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._errors.close()

    def turn(self) -> Figures:
        """Take one turn.

        Raises:
            SystemExit: its process ended; shows the end of its output.
        """
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> Figures:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(_MARK):
                figures: Figures = json.loads(line.removeprefix(_MARK))
                return figures
        self._errors.seek(0)
        sys.exit(f"{self._contestant} failed:\n{self._errors.read().decode()[-4000:]}")


def take_turns(rounds: int, turns: Mapping[str, Callable[[], Figures]]) -> dict[str, list[Figures]]:
    """Return every contestant's figures, one turn per round; print them as they come, so that an abort loses none."""
    figures: dict[str, list[Figures]] = {name: [] for name in turns}
    for number in range(1, rounds + 1):
        for name, turn in turns.items():
            figures[name].append(turn())
            print(f"round {number}, {name}: {json.dumps(figures[name][-1])}", file=sys.stderr, flush=True)
    return figures


def middle(figures: Sequence[Figures], name: str) -> float:
    """Return the median over a contestant's turns."""
    return median(float(turn[name]) for turn in figures)


def load() -> str:
    """Return the machine's recent load average, which includes this benchmark's own part."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def machine() -> str:
    """Describe the machine in one line."""
    import torch  # a peer's process must not pay for what it does not use

    from zerotune.trainers.flops_and_memory import device_model

    return f"{device_model('cpu')}, torch {torch.__version__}, {load()}"


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], num_names: int = 1) -> None:
    """Print a table whose first `num_names` columns are names and whose other columns are numbers."""
    table = Table(title=title, title_justify="left")
    for position, heading in enumerate(headings):
        is_name = position < num_names
        table.add_column(heading, justify="left" if is_name else "right", no_wrap=is_name)
    for row in rows:
        table.add_row(*row)
    console().print(table)


def console() -> Console:
    """Return the console for results: as wide as the terminal, or 110 columns."""
    return Console(width=None if sys.stdout.isatty() else 110, highlight=False)
