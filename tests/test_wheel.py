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


def test_the_installed_command_finds_the_shipped_studies_in_a_folder_that_has_packages_of_these_names(
    unpacked: Path, tmp_path: Path
) -> None:
    for name in ("trainers", "tuner", "studies"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('of the current folder')\n")
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    for arguments in (["-m", "zerotune", "list", "studies"], ["-c", "import zerotune; print(zerotune.__file__)"]):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ("quickstart" if "list" in arguments else str(unpacked)) in done.stdout
