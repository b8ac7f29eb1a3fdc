"""A small application in a file, as a user would write it, and a context that unregisters it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from zerotune.trainers.applications import APPLICATIONS, registry
from zerotune.trainers.applications import user_file as own_file
from zerotune.tuner.cli import main
from zerotune.tuner.commands.terminal import PLAIN_WIDTH, console

OWN = '''"""Which of two sides of a plane?"""

import torch
from torch import nn

from zerotune.trainers.applications import Application
from zerotune.trainers.applications.classification import cross_entropy, num_correct
from zerotune.trainers.data import Dataset, DataSource, divide


class Sides(nn.Linear):
    def __init__(self):
        super().__init__(8, 2)


def load(folder):
    inputs = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    train, validation, test = divide((inputs, inputs.sum(dim=1) > 0), (0.6, 0.2, 0.2))
    return Dataset(train=train, validation=validation, test=test)


def loss(outputs, targets):
    return cross_entropy(outputs, targets.long())


sides = Application(
    build_model=Sides,
    data_sources={"drawn": DataSource(load=load)},
    loss=loss,
    score_sum=num_correct,
    metric="accuracy",
    higher_is_better=True,
    chance_score=0.5,
)
'''

STUDY = """
name: plane
application: sides
epochs: 2
batch_sizes: [60]
seeds: [1, 2]
reference: tuned
baseline: {batch_size: 20, optimizer: momentum, lr: 0.05}
arms:
  - {name: tuned, method: grid, space: {lr: {choices: [0.05, 0.1]}}}
  - {name: sqrt, method: sqrt}
"""
NUM_TRIALS = 8


def write(folder: Path, old: str = "", new: str = "", *, file: str = "plane.py") -> Path:
    """Write the application and its study into a folder, `old` replaced by `new`; return the application's file."""
    assert old in OWN
    (folder / "plane.yaml").write_text(STUDY, encoding="utf-8")
    path = folder / file
    path.write_text(OWN.replace(old, new) if old else OWN, encoding="utf-8")
    return path


def hang_until_mended(folder: Path, mended: Path, resources: str) -> None:
    """Write files whose trainings at the baseline's batch size hang until the file `mended` exists.

    Args:
        folder: destination.
        mended: the file to wait for.
        resources: the study's resources.
    """
    body = (
        "    import pathlib, time\n"
        f"    while outputs.requires_grad and len(outputs) == 20 and not pathlib.Path({str(mended)!r}).exists():\n"
        "        time.sleep(0.01)\n"
        "    return cross_entropy"
    )
    write(folder, "    return cross_entropy", body)
    study = STUDY.replace("epochs: 2", f"epochs: 2\nresources: {resources}")
    (folder / "plane.yaml").write_text(study, encoding="utf-8")


@contextmanager
def forgotten() -> Iterator[None]:
    """Undo, on exit, all registrations and imports made inside the context."""
    tables = (APPLICATIONS, registry._origins)
    before, modules, path, own = [dict(table) for table in tables], set(sys.modules), list(sys.path), set()
    own.update(own_file._user_modules)
    try:
        yield
    finally:
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)  # type: ignore[arg-type]
        for name in own_file._user_modules - own:
            if name not in modules:
                sys.modules.pop(name, None)
        own_file._user_modules.intersection_update(own)
        sys.path[:] = path


class Ended(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


class CommandFolder:
    """A current folder in which to run commands."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._patch = patch
        self._capsys = capsys
        patch.chdir(folder)

    def zerotune(self, *words: str) -> Ended:
        """Run a command in this process as if in a separate one."""
        self._patch.setattr(sys, "argv", ["zerotune", *words])
        self._capsys.readouterr()
        with forgotten(), pytest.raises(SystemExit) as ended:
            main()
        captured = self._capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    def refuse(self, *words: str, code: int = 2) -> str:
        """Return the error message of a command that is refused."""
        ended = self.zerotune(*words)
        assert (ended.code, ended.out) == (code, "")
        return ended.err


class Here(CommandFolder):
    """A working folder with plane.py and plane.yaml."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(folder, patch, capsys)
        patch.setattr(console, "width", PLAIN_WIDTH)  # independent of the test runner's terminal
        write(folder)

    def compared(self, *words: str) -> str:
        """Return the answer that `zerotune compare plane` prints, without what to do next."""
        return self.done("compare", "plane", *words).split("\nWhat to do next:")[0]

    def done(self, *words: str) -> str:
        """Return the output of a command that must succeed."""
        code, out, err = self.zerotune(*words)
        assert (code, err) == (0, ""), (code, err, out)
        return out

    def refused(self, *words: str) -> str:
        """Return the one-sentence error of a command that must be rejected."""
        err = self.refuse(*words)
        assert err.startswith("error: ")
        assert err.count("\n") == 1, err
        return err

    def run(self, app: str = "plane.py:sides") -> Ended:
        return self.zerotune("run", "plane.yaml", "--driver", "serial", "--app", app)
