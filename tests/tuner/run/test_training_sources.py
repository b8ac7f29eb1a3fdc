"""Reuse rests on a digest of the code that trains: the places it is made of are there, and nothing that trains is not.

What a worker imports is read from the source, from its entry modules on.
"""

from pathlib import Path

import pytest

from tests.test_layers import ROOT, imported_modules
from zerotune.tuner.analysis.provenance import TRAINING_SOURCES

ENTRIES = (
    "tuner/execution/serial.py",
    "tuner/execution/ray/tune_worker.py",
    "trainers/distributed/worker_process.py",
)
"""What runs where trainings run: in this process, in a worker of Ray's, in a worker of a training of several."""

OTHERS = {
    "tuner/addresses.py": "of clusters",
    "tuner/energy.py": "joules are modelled from a cost's counts when they are asked for",
    "tuner/errors.py": "sentences",
    "tuner/trial.py": "what is asked for and told; a change of it changes the trial's id",
}
"""Modules that a worker imports besides, none of which changes what a training gives or costs."""


def file_of(module: str) -> Path | None:
    """The file of a module of this package, or of what is imported from it; None where it is another package's."""
    parts = module.split(".")
    for end in (len(parts), len(parts) - 1):
        path = ROOT.joinpath(*parts[:end])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if end and path != ROOT and file.is_file():
                return file
    return None


def imported_by(entries: tuple[str, ...]) -> set[str]:
    """Files of this package that are imported when these are, themselves included."""
    found: set[Path] = set()
    left = [ROOT / entry for entry in entries]
    while left:
        file = left.pop()
        if file in found:
            continue
        found.add(file)
        left += [other for module in imported_modules(file) if (other := file_of(module)) is not None]
    return {file.relative_to(ROOT).as_posix() for file in found}


def is_source(file: str) -> bool:
    return any(file == place or file.startswith(f"{place}/") for place in TRAINING_SOURCES)


@pytest.mark.parametrize("place", TRAINING_SOURCES)
def test_every_place_is_there(place: str) -> None:
    path = ROOT / place
    assert path.is_file() or any(path.rglob("*.py"))


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_is_there_and_in_the_digest(entry: str) -> None:
    assert (ROOT / entry).is_file()
    assert is_source(entry)


def test_what_a_worker_imports_is_in_the_digest() -> None:
    files = imported_by(ENTRIES)
    assert {"trainers/loop.py", "trainers/optimizers/date.py", "tuner/cost.py"} <= files  # the graph is followed
    outside = {file for file in files if not is_source(file) and not file.endswith("__init__.py")}
    assert outside == OTHERS.keys()
