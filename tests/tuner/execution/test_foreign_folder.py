"""The current folder never decides which code runs: a study in a folder whose files have the names of packages.

An application's neighbours are still importable, even one called `trainers`.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch.distributed

from tests.foreign_folder import NUM_TRIALS, write_foreign_folder
from zerotune.trainers.child_process import demote_current_folder, hide_folders
from zerotune.tuner.errors import Unreachable
from zerotune.tuner.run.journal import read_journal

needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this build of torch has no gloo, which workers on CPUs need",
)


def run_command(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """Return the output of `python -m zerotune`, run in the folder; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "zerotune", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_gloo
@pytest.mark.parametrize("driver", ["serial", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_study_runs_in_a_folder_whose_files_are_named_like_packages(driver: str, tmp_path: Path) -> None:
    environment = write_foreign_folder(tmp_path, resources="{workers_per_trial: 2}")
    run_command(tmp_path, environment, "run", "plane.yaml", "--app", "plane.py:sides", "--driver", driver)
    results = read_journal(tmp_path / "mlruns/plane/journal.jsonl").results.values()
    assert [("finished", 2)] * NUM_TRIALS == [(result.status, result.num_workers) for result in results]
    if driver == "serial":
        return
    said = run_command(tmp_path, environment, "export", "plane", "--to", "out", "--app", "plane.py:sides")
    assert (tmp_path / "out/report.html").is_file()
    has_pictures = any((tmp_path / "out").glob("*.png"))
    assert has_pictures or "no Chrome or Chromium was found" in said


BROKEN_WORKERS = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "zerotune.tuner.execution.packing" and "default_worker.py" in " ".join(sys.orig_argv):
            raise ModuleNotFoundError("No module named 'absent'")


sys.meta_path.insert(0, Blocker())
"""


@pytest.mark.ray
def test_an_import_that_fails_in_the_workers_ends_the_study_with_that_error(tmp_path: Path) -> None:
    """This program can import the module, but its workers cannot."""
    environment = write_foreign_folder(tmp_path, resources="{max_concurrent: 1}")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(BROKEN_WORKERS)
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "site"), environment["PYTHONPATH"]])
    command = [sys.executable, "-m", "zerotune", "run", "plane.yaml", "--app", "plane.py:sides"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == Unreachable.exit_code, done.stdout + done.stderr
    assert "the workers of the Ray cluster cannot start: ModuleNotFoundError: No module named 'absent'" in done.stderr


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
