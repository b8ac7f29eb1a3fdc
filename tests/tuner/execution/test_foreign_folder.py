"""The current folder never decides which code runs: a study in a folder whose files have the names of packages.

The neighbours of an application and of a user's script are still importable, even one called `trainers`.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch.distributed

from tests.foreign_folder import FOREIGN, NUM_TRIALS, write_foreign_folder
from tests.tuner.execution.agendas import ListAgenda, make_trial
from zerotune.trainers.child_process import demote_current_folder, hide_folders
from zerotune.tuner.errors import Unreachable
from zerotune.tuner.execution.ray.tune_worker import run_ray
from zerotune.tuner.execution.trial_runner import Execution
from zerotune.tuner.run.journal import read_journal

needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this build of torch has no gloo, which workers on CPUs need",
)


def run_python(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """Return the output of a Python program, run in the folder; it must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def assert_two_workers_trained(journal: Path) -> None:
    results = read_journal(journal).results.values()
    assert [("finished", 2)] * NUM_TRIALS == [(result.status, result.num_workers) for result in results]


@needs_gloo
@pytest.mark.ray
def test_a_study_runs_in_a_folder_whose_files_are_named_like_packages(tmp_path: Path) -> None:
    environment = write_foreign_folder(tmp_path, resources="{workers_per_trial: 2}")
    zerotune = ("-m", "zerotune")
    run_python(tmp_path, environment, *zerotune, "run", "plane.yaml", "--app", "plane.py:sides")
    assert_two_workers_trained(tmp_path / "mlruns/plane/journal.jsonl")
    said = run_python(tmp_path, environment, *zerotune, "export", "plane", "--to", "out", "--app", "plane.py:sides")
    assert (tmp_path / "out/report.html").is_file()
    has_pictures = any((tmp_path / "out").glob("*.png"))
    assert has_pictures or "no Chrome or Chromium was found" in said


SCRIPT = """
import sys

from trainers.net import Sides
from zerotune import load_study, run_study, scale_up

if __name__ == "__main__":
    study, application, store = sys.argv[1:]
    answer = run_study(load_study(study, app=application), store=store, driver="serial")
    print(Sides.__module__, scale_up.__module__, sorted(answer.table.index.get_level_values("arm")))
"""


@needs_gloo
def test_a_script_imports_zerotune_and_its_neighbour_both_called_trainers(tmp_path: Path) -> None:
    """The script's folder has a `trainers` and a `tuner.py`; the current folder hides even the standard library."""
    own, current = tmp_path / "own", tmp_path / "current"
    own.mkdir()
    write_foreign_folder(own, current, resources="{workers_per_trial: 2}")
    (own / "tuner.py").write_text(FOREIGN, encoding="utf-8")
    (own / "study.py").write_text(SCRIPT, encoding="utf-8")
    arguments = (str(own / "study.py"), str(own / "plane.yaml"), f"{own / 'plane.py'}:sides", "store")
    printed = run_python(current, {**os.environ}, *arguments)
    assert printed.endswith("trainers.net zerotune.trainers.scale_up ['baseline', 'sqrt', 'tuned']\n")
    assert_two_workers_trained(current / "store/plane/journal.jsonl")


BROKEN_WORKERS = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "zerotune.tuner.execution.packing" and "default_worker.py" in " ".join(sys.orig_argv):
            raise ModuleNotFoundError("No module named 'absent'")


sys.meta_path.insert(0, Blocker())
"""


@pytest.mark.ray
def test_an_import_that_fails_in_the_workers_ends_the_study_with_that_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This program can import the module, but its workers cannot."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN_WORKERS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    cause = "the workers of the Ray cluster cannot start: ModuleNotFoundError: No module named 'absent'"
    with pytest.raises(Unreachable, match=cause):
        run_ray(ListAgenda([make_trial(0)]), Execution(max_concurrent=1))


def test_the_current_folder_goes_to_the_end_of_the_path_and_out_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/elsewhere", str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}::/elsewhere:.")
    demote_current_folder()
    assert sys.path[0] == "/elsewhere"
    assert [str(tmp_path)] == [entry for entry in sys.path if entry in ("", ".", str(tmp_path))] == sys.path[-1:]
    assert subprocess.check_output(["printenv", "PYTHONPATH"], text=True).strip() == "/elsewhere"


def test_folders_are_hidden_for_a_while_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "scripts"
    monkeypatch.setattr(sys, "argv", [str(script / "study.py")])
    monkeypatch.setattr(sys, "path", [str(script), *sys.path])
    before = [*sys.path]
    with suppress(KeyError), hide_folders():
        assert before[1:] == sys.path
        assert Path.cwd() == Path(subprocess.__file__).parent.resolve()
        raise KeyError
    assert (before, tmp_path) == (sys.path, Path.cwd())
