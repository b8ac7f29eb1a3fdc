"""Security: names stay inside the store, files are data and not code, and version bounds exclude known holes."""

import ast
import os
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import torch
import typer
from packaging.requirements import Requirement

from tests.user_applications import Here
from zerotune.trainers.checkpoint import read_checkpoint
from zerotune.tuner.cli import app
from zerotune.tuner.errors import BadInput
from zerotune.tuner.run.answer import find_store_and_name
from zerotune.tuner.run.journal import Journal
from zerotune.tuner.run.options import RunOptions
from zerotune.tuner.study import Study, describe_changes, study_from_text
from zerotune.tuner.study.fields import is_name

ROOT = Path(__file__).parents[2]
STUDY = """
name: {name}
application: lenet_mnist
data: {{source: mnist5k}}
batch_sizes: [128]
seeds: [1]
reference: {arm}
baseline: {{batch_size: 32, optimizer: momentum, lr: 0.02}}
arms:
- {{name: {arm}, method: grid, space: {{lr: {{choices: [0.1, 0.2]}}}}}}
"""
ESCAPES = [
    *("../x", "..", ".", "/etc/x", "a/b", "a\\\\b", "~", "a.b", "", "-a", "_a", "A", "a b", "a\\0", "a\\nb", "é"),
    *("a\\u202eb", "a\\uff0fb", "a" * 61, "a" * 60_000),
]
"""Names as a study file writes them in double quotes."""


def study(name: str = "a", arm: str = "b") -> Study:
    return study_from_text(STUDY.format(name=name, arm=arm), "x.yaml")


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["name", "arm"])
@pytest.mark.parametrize("name", ESCAPES, ids=lambda name: name[:20])
def test_no_study_or_arm_has_a_name_that_leaves_a_folder(key: str, name: str) -> None:
    with pytest.raises(BadInput, match=r"x\.yaml:") as refused:
        study(**{key: f'"{name}"'})
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize("name", ["a", "0", "lenet-32k", "a_b", "a" * 60])
def test_a_study_is_in_a_folder_of_its_name(tmp_path: Path, name: str) -> None:
    assert RunOptions(store=tmp_path).folder(study(name=f'"{name}"')) == tmp_path / name
    assert is_name(name)


def test_no_study_has_the_name_of_the_folder_of_mlflow() -> None:
    with pytest.raises(BadInput, match="'artifacts' is MLflow's own folder in the store: choose another name"):
        study(name="artifacts")


@pytest.mark.parametrize("name", ["..", ".", "", "a\n", "-a", "Ä", "a" * 61])
def test_no_command_takes_a_bare_name_that_leaves_the_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"a folder, not a study file|no study file or shipped study"):
        find_store_and_name(name, tmp_path, None)


def test_a_bare_name_that_a_study_may_have_is_looked_for_in_the_store(tmp_path: Path) -> None:
    assert find_store_and_name("gone-1", tmp_path, None) == (f"sqlite:///{tmp_path}/mlflow.db", "gone-1")


def test_an_error_text_sends_nothing_that_a_terminal_obeys(here: Here) -> None:
    assert here.refused("plan", "x\x1b[2J\u202e.yaml").strip().isprintable()
    assert here.refused("plan", "plane.yaml", "--app", "x\x1b[2J\u202e.py:a").startswith("error: --app x�[2J�.py:a: ")


def test_a_damaged_definition_is_reported_in_short_lines_that_are_seen() -> None:
    (line,) = describe_changes({"a\x1b\ud800" + "x" * 10_000: 1}, {})
    assert line == f"a��{'x' * 197}: was 1, now absent"


# -- files -------------------------------------------------------------------------------------------------------------


@contextmanager
def everything_allowed() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def test_others_cannot_write_the_journal_even_where_the_process_makes_open_files(tmp_path: Path) -> None:
    with everything_allowed(), closing(Journal(tmp_path / "a")) as journal:
        journal.start_study({"name": "a"}, {})
    made = [tmp_path / "a", tmp_path / "a" / "journal.jsonl", tmp_path / "a" / "lock"]
    assert [0o775, 0o664, 0o664] == [path.stat().st_mode & 0o777 for path in made]


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> object:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"fingerprint": "a", "state": Evil()}, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt", "a", torch.device("cpu")) is None
    assert not (tmp_path / "ran").exists()


READS_CODE = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
PERMITTED = {
    "tuner/execution/ray/dispatcher.py": ["ray.cloudpickle"],
    "tuner/execution/ray/tune_worker.py": ["ray.cloudpickle"],
    "trainers/tabulated/plain_pickle.py": ["pickle"],
}
"""A driver pickles messages to its own workers in their cluster, as Ray sends functions. Files of a package are read by
an unpickler that loads no name at all, so that nothing in them is executed (tests/trainers/tabulated)."""


def code_readers(source: str) -> list[str]:
    """Return the modules that read code as data and that a program imports or reaches as an attribute."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module or ''}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names.append(node.attr)
    return [name for name in names if READS_CODE & set(name.split("."))]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, dill as d",
        "from pickle import loads",
        "from ray import cloudpickle",
        "from ray.cloudpickle import loads",
        "import ray.cloudpickle as letters",
        "import ray\nray.cloudpickle.loads(b'')",
    ],
)
def test_every_way_to_a_module_that_reads_code_is_seen(source: str) -> None:
    assert len(code_readers(source)) == 1


@pytest.mark.parametrize(
    "path", sorted([*(ROOT / "trainers").rglob("*.py"), *(ROOT / "tuner").rglob("*.py")]), ids=lambda path: path.name
)
def test_no_file_is_unpickled(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert PERMITTED.get(str(path.relative_to(ROOT)), []) == code_readers(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert given.get("allow_pickle", "False") == "False"
            if ast.unparse(node.func) == "torch.load":
                assert given["weights_only"] == "True"


# -- the network -------------------------------------------------------------------------------------------------------


def test_only_the_ui_can_be_told_to_listen_elsewhere_and_does_not_by_itself() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    defaults = {
        (name, option): parameter.default
        for name, command in commands.items()
        for parameter in command.params
        for option in parameter.opts
        if "host" in option or "bind" in option or "listen" in option
    }
    assert defaults == {("ui", "--host"): "127.0.0.1"}


@pytest.mark.parametrize(
    ("package", "holes"),
    [("mlflow", ["2.22.0", "3.10.9"]), ("ray", ["2.51.0", "2.55.9"]), ("torch", ["2.5.1"]), ("pyyaml", ["5.3"])],
)
def test_versions_with_known_holes_are_not_installed(package: str, holes: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bounds,) = [found for text in project["dependencies"] if (found := Requirement(text)).name == package]
    assert not [version for version in holes if version in bounds.specifier]
