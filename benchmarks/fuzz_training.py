"""Changes of what trains a study between an interrupted run and the next ones, for `benchmarks.fuzz`.

An application of several modules, with a data file, an environment variable and an installed package, records a few
synthetic results. Then one thing changes, and the study meets its journal again in a process of its own, at every door:
resume, sync, take-over by another study, accepted changes, and a later session. A change that could alter numbers must
be named at each; one that could not must be accepted in silence.
"""

import contextlib
import io
import json
import multiprocessing
import os
import random
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.fuzz_cases import finish
from zerotune.trainers.applications.registry import register_application
from zerotune.trainers.applications.user_file import read_application_file
from zerotune.tuner.analysis.provenance import application_provenance, training_provenance
from zerotune.tuner.errors import StudyChanged, ZerotuneError
from zerotune.tuner.reports.text.mixed_trainings import mixed_trainings
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.options import RunOptions, check_workload
from zerotune.tuner.run.reuse import ReusableResults
from zerotune.tuner.run.run import answer_from_journal, open_session
from zerotune.tuner.run.same_training import check_training
from zerotune.tuner.study import study_from_text

FILES: Final = {
    "application.py": """
import importlib, json, os
from pathlib import Path
import torch
from torch import nn
import dist_of_fuzz
import helper
from parts import layers
from zerotune import Application, Dataset, DataSource, cross_entropy, divide, num_correct

def build_model():
    width = int(os.environ.get("FUZZ_WIDTH", "3"))
    return nn.Sequential(nn.Linear(4, width), layers.activation(), nn.Linear(width, 2))

def load(folder):
    from parts.inner.late import scale
    rows = json.loads((Path(__file__).parent / "data.json").read_text())
    inputs = torch.tensor([row[:4] for row in rows]) * scale() * importlib.import_module("by_name").FACTOR
    targets = torch.tensor([row[4] for row in rows]).long()
    return Dataset(**dict(zip(("train", "validation", "test"), divide((inputs, targets), (0.6, 0.2, 0.2)))))

def loss(outputs, targets):
    return helper.factor() * cross_entropy(outputs, targets)

application = Application(
    build_model=build_model, data_sources={"own": DataSource(load=load)}, loss=loss, score_sum=num_correct,
    metric="accuracy", higher_is_better=True, chance_score=0.5, environment=("FUZZ_WIDTH",),
)
""",
    "helper.py": "from deep import VALUE\ndef factor():\n    return VALUE\n",
    "deep.py": "VALUE = 1.0\n",
    "by_name.py": "FACTOR = 1.0\n",
    "parts/__init__.py": "SIZE = 1\n",
    "parts/layers.py": "from torch import nn\nfrom . import sizes\ndef activation():\n    return nn.ReLU()\n",
    "parts/sizes.py": "LARGE = 8\n",
    "parts/inner/late.py": "def scale():\n    return 1.0\n",
    "unrelated.py": "NOTE = 1\n",
    "site-packages/dist_of_fuzz.py": "",
    "site-packages/dist_of_fuzz-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: dist-of-fuzz\nVersion: 1.0\n",
    "site-packages/dist_of_fuzz-1.0.dist-info/RECORD": "dist_of_fuzz.py,,\n",
}
STUDY: Final = """
name: {name}
application: application
epochs: 2
batch_sizes: [30]
seeds: [1, 2]
reference: tuned
baseline: {{batch_size: 10, optimizer: momentum, lr: 0.05}}
arms:
- {{name: tuned, method: grid, space: {{lr: {{choices: [0.05, 0.1]}}}}}}
- {{name: sqrt, method: sqrt}}
"""
FILE_CHANGED: Final = "the application's file changed"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a user does between two runs.

    Attributes:
        apply: changes a folder.
        names: what a refusal must contain; empty if nothing that changes numbers differs.
        of_code: whether the application's code or environment changes, which `zerotune sync` checks too.
    """

    apply: Callable[[random.Random, Path], None]
    names: str = ""
    of_code: bool = True


def _edit(file: str, old: str, new: str) -> Callable[[random.Random, Path], None]:
    def apply(draw: random.Random, folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")

    return apply


def _edit_module(file: str, old: str, new: str) -> Change:
    return Change(apply=_edit(file, old, new), names=f"application module {file} changed")


def _write(file: str, text: str) -> Callable[[random.Random, Path], None]:
    def apply(draw: random.Random, folder: Path) -> None:
        (folder / file).write_text(text, encoding="utf-8")

    return apply


def _change_data(change: Callable[[random.Random, list[Any]], None]) -> Change:
    def apply(draw: random.Random, folder: Path) -> None:
        rows = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        change(draw, rows)
        (folder / "data.json").write_text(json.dumps(rows), encoding="utf-8")

    return Change(apply=apply, names="the training data have other content", of_code=False)


def _flip_a_label(draw: random.Random, rows: list[Any]) -> None:
    row = draw.choice(rows)
    row[4] = 1 - row[4]


def _nudge_a_value(draw: random.Random, rows: list[Any]) -> None:
    draw.choice(rows)[draw.randrange(4)] += 2.0**-10


def _swap_two_rows(draw: random.Random, rows: list[Any]) -> None:
    one, other = draw.sample(range(len(rows)), 2)
    rows[one], rows[other] = rows[other], rows[one]


def _drop_a_row(draw: random.Random, rows: list[Any]) -> None:
    del rows[draw.randrange(len(rows))]


def _update_package(draw: random.Random, folder: Path) -> None:
    (folder / "site-packages/dist_of_fuzz-1.0.dist-info").rename(folder / "site-packages/dist_of_fuzz-2.0.dist-info")
    _edit("site-packages/dist_of_fuzz-2.0.dist-info/METADATA", "Version: 1.0", "Version: 2.0")(draw, folder)


def _uninstall(draw: random.Random, folder: Path) -> None:
    shutil.rmtree(folder / "site-packages/dist_of_fuzz-1.0.dist-info")


CHANGES: Final[Mapping[str, Change]] = {
    "application: loss": Change(apply=_edit("application.py", "* cross", "* 2 * cross"), names=FILE_CHANGED),
    "application: constant": Change(
        apply=_edit("application.py", 'FUZZ_WIDTH", "3', 'FUZZ_WIDTH", "5'), names=FILE_CHANGED
    ),
    "module beside it": _edit_module("helper.py", "return VALUE", "return 2 * VALUE"),
    "module of a module": _edit_module("deep.py", "1.0", "2.0"),
    "module by its name": _edit_module("by_name.py", "1.0", "2.0"),
    "module of a package": _edit_module("parts/layers.py", "ReLU", "Tanh"),
    "relative import": _edit_module("parts/sizes.py", "8", "9"),
    "import in a function": _edit_module("parts/inner/late.py", "1.0", "0.5"),
    "package's own file": Change(
        apply=_edit("parts/__init__.py", "1", "2"), names="application module parts.py changed"
    ),
    "data: label": _change_data(_flip_a_label),
    "data: value": _change_data(_nudge_a_value),
    "data: order": _change_data(_swap_two_rows),
    "data: a row less": _change_data(_drop_a_row),
    "variable set": Change(apply=_write("environment", "7"), names="environment variable FUZZ_WIDTH"),
    "package updated": Change(apply=_update_package, names="dist-of-fuzz 1.0 was used, 2.0 is", of_code=False),
    "nothing changed": Change(apply=lambda draw, folder: None),
    "comment": Change(apply=_edit("helper.py", "return", "# a comment\n    return")),
    "layout": Change(apply=_edit("application.py", "def loss(outputs, targets)", "def loss(outputs,\n     targets)")),
    "module that is not imported": Change(apply=_edit("unrelated.py", "1", "2")),
    "other file": Change(apply=_write("notes.txt", "x")),
}


def write_folder(folder: Path, draw: random.Random) -> None:
    """Write the application and its data."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    rows = [[*(draw.gauss(0, 1) for _ in range(4)), draw.randrange(2)] for _ in range(100)]
    (folder / "data.json").write_text(json.dumps(rows), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a session told: a refusal or a note, the number of results that another study could reuse, the caveats."""

    refused: str = ""
    told: str = ""
    refused_by_sync: str = ""
    num_reusable: int = 0
    caveats: str = ""


def run_session(folder: Path, *, accept_changes: bool, most: int, is_other: bool = False) -> Session:
    """Run a study for at most so many trials, as a process of its own does: nothing that it imports is known yet."""
    sys.path.append(str(folder / "site-packages"))
    os.environ.pop("FUZZ_WIDTH", None)
    if (folder / "environment").exists():
        os.environ["FUZZ_WIDTH"] = (folder / "environment").read_text(encoding="utf-8")
    register_application(read_application_file(f"{folder / 'application.py'}:application"))
    study = study_from_text(STUDY.format(name="other" if is_other else "fuzz"), "fuzz.yaml")
    facts = {**training_provenance(study, check_workload(study, None).data), "python": "3.11"}
    options = RunOptions(store=folder / "store")
    if is_other:
        return Session(num_reusable=len(ReusableResults(options.root, study.name, facts, "made-up")))
    with contextlib.closing(Journal(options.folder(study))) as journal:
        by_sync = ""
        if journal.content.definition:
            try:
                check_training("fuzz", journal, application_provenance(study), accept_changes=False, command="sync")
            except StudyChanged as error:
                by_sync = str(error)
        try:
            told = open_session(study, journal, facts, accept_changes=accept_changes, command="zerotune run fuzz.yaml")
        except StudyChanged as error:
            return Session(refused=str(error), refused_by_sync=by_sync)
        finish(study, journal, None, Console(file=io.StringIO()), most=most)
        answer = answer_from_journal(study, options, journal.content)
    return Session(told=told or "", refused_by_sync=by_sync, caveats=" ".join(mixed_trainings(answer)))


def _in_a_process(folder: Path, **given: Any) -> Session:
    receiver, sender = multiprocessing.get_context("fork").Pipe(duplex=False)

    def work(to: Connection) -> None:
        try:
            to.send(run_session(folder, **given))
        except ZerotuneError as error:
            to.send(error)
        except BaseException:
            to.send(RuntimeError(traceback.format_exc(-6)))

    child = multiprocessing.get_context("fork").Process(target=work, args=(sender,))
    child.start()
    sender.close()
    found = receiver.recv()
    child.join()
    if isinstance(found, BaseException):
        raise found
    assert isinstance(found, Session)
    return found


def change_training(name: str, draw: random.Random, folder: Path) -> str:
    """Interrupt a study, change something, and let it meet its journal at every door; return how it ended."""
    change, num_before = CHANGES[name], draw.choice((0, 1, 3, 5))
    write_folder(folder, draw)
    _in_a_process(folder, accept_changes=False, most=num_before)
    change.apply(draw, folder)
    before = (folder / "store/fuzz/journal.jsonl").read_bytes()
    resumed = _in_a_process(folder, accept_changes=False, most=0)
    other = _in_a_process(folder, accept_changes=False, most=0, is_other=True)
    if not change.names or not num_before:
        assert not resumed.refused, resumed.refused
        assert bool(change.names) == bool(resumed.told), "a change is told, and nothing else is"
        assert change.names in resumed.told, resumed.told
        assert bool(other.num_reusable) == bool(num_before), "results of an unchanged training are reused"
        return "goes on"
    assert change.names in resumed.refused, f"mixed in silence: {resumed}"
    assert (change.names in resumed.refused_by_sync) == change.of_code, resumed.refused_by_sync
    assert "zerotune run fuzz.yaml --accept-changes" in resumed.refused, "the command is printed"
    assert (folder / "store/fuzz/journal.jsonl").read_bytes() == before, "a refusal leaves the journal as it was"
    assert other.num_reusable == 0, "another study takes over stale results"
    accepted = _in_a_process(folder, accept_changes=True, most=draw.choice((1, 100)))
    assert change.names in accepted.told, accepted.told
    assert change.names in accepted.caveats, "the answer tells the change"
    later = _in_a_process(folder, accept_changes=False, most=100)
    assert not later.refused, "what was accepted once is not refused again"
    assert change.names in later.caveats, "a later answer tells the change"
    content = read_journal(folder / "store/fuzz/journal.jsonl")
    assert content.num_changes == 1, content.num_changes
    return "refused, then accepted"
