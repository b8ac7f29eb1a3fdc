"""Reuse depends on a digest of the training code: all its sources exist, and no training code is missing from it.

A worker's imports are read from the source, starting from its entry modules.
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
"""Entry modules of trainings: in this process, in a Ray worker, in a worker of a multi-worker training."""

OTHERS = {
    "tuner/addresses.py": "of clusters",
    "tuner/energy.py": "joules are modelled from a cost's counts when they are asked for",
    "tuner/errors.py": "sentences",
    "tuner/sanitize.py": "how sentences are printed",
    "tuner/trial.py": "what is asked for and told; a change of it changes the trial's id",
}
"""Other modules that a worker imports; none of them changes the result or cost of a training."""


def file_of(module: str) -> Path | None:
    """Return the file of a module of this package, or of a name imported from it; None for other packages."""
    parts = module.split(".")
    for end in (len(parts), len(parts) - 1):
        path = ROOT.joinpath(*parts[:end])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if end and path != ROOT and file.is_file():
                return file
    return None


def imported_by(entries: tuple[str, ...]) -> set[str]:
    """Return the files of this package imported by these modules, including themselves."""
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


def test_what_a_worker_imports_is_in_the_digest() -> None:
    files = imported_by(ENTRIES)
    followed = {"trainers/loop.py", "trainers/optimizers/date.py", "tuner/cost.py"}  # by way of imports
    assert {*ENTRIES, *followed} <= files
    outside = {file for file in files if not is_source(file) and not file.endswith("__init__.py")}
    assert outside == OTHERS.keys()
