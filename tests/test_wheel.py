"""The built wheel is complete: it contains the studies, and the command works from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel's content, laid out as pip does in site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("zerotune-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_packages_and_the_studies_and_nothing_else(unpacked: Path) -> None:
    assert sorted(path.name for path in unpacked.iterdir() if path.suffix != ".dist-info") == ["zerotune"]
    shipped = {path.name for path in (unpacked / "zerotune" / "studies").glob("*.yaml")}
    assert shipped == {path.name for path in (ROOT / "studies").glob("*.yaml")}


def test_the_installed_package_runs_in_a_folder_that_has_packages_of_its_folders_names(
    unpacked: Path, tmp_path: Path
) -> None:
    for name in ("trainers", "tuner", "studies"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('of the current folder')\n")
    done = subprocess.run(
        [sys.executable, "-m", "zerotune", "list", "rules"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "legw" in done.stdout


def test_the_installed_command_finds_the_shipped_studies_from_any_folder(unpacked: Path, tmp_path: Path) -> None:
    code = "import zerotune; print(zerotune.__file__); from zerotune.tuner.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "list", "studies"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(unpacked) in done.stdout
    assert "quickstart" in done.stdout
