"""Entry points: the application of an installed package runs by its name, and a broken one affects no other."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.user_applications import OWN, STUDY, Here
from zerotune.tuner.run.journal import read_journal


@pytest.fixture
def installed(here: Here, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    """Two packages as pip installs them: one with an application that works, one that cannot be imported."""
    site = here.folder / "site"
    entries = {
        "planes": "sides = planes_package.applications:sides\nlenet_mnist = planes_package.applications:sides\n",
        "broken": "torn = torn_package:torn\nno_object = planes_package.applications:nothing\n"
        "not_one = planes_package.applications:load\n",
    }
    for package, lines in entries.items():
        information = site / f"{package}-1.0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[zerotune.applications]\n{lines}")
    (site / "planes_package").mkdir()
    (site / "planes_package" / "__init__.py").write_text("")
    (site / "planes_package" / "applications.py").write_text(f"print('imported')\n{OWN}")
    (site / "torn_package.py").write_text("import sys\nsys.exit('torn')\n")
    monkeypatch.syspath_prepend(str(site))
    yield here
    for name in ("planes_package", "planes_package.applications", "torn_package"):
        sys.modules.pop(name, None)


def test_a_packages_application_is_listed_without_importing_it(installed: Here) -> None:
    listed = " ".join(installed.done("list", "applications").split())  # without the line breaks of a narrow terminal
    assert "of the installed package planes (planes_package.applications:sides)" in listed
    assert "of the installed package broken (torn_package:torn)" in listed
    assert "has no effect, the name is taken: of planes (planes_package.applications:sides)" in listed
    assert "planes_package.applications" not in sys.modules


def test_a_packages_application_runs_by_its_name(installed: Here) -> None:
    code, out, err = installed.zerotune("run", "plane.yaml", "--driver", "serial")
    assert (code, err) == (0, "imported\n")
    assert "  zerotune ui plane.yaml\n" in out
    journal = read_journal(installed.folder / "mlruns" / "plane" / "journal.jsonl")
    assert len(str(journal.definition["application_code"])) == 16


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("torn", "application 'torn' of broken (torn_package:torn) cannot be loaded: SystemExit: torn"),
        ("no_object", "cannot be loaded: AttributeError"),
        ("not_one", "must be a zerotune.Application, got type function"),
        ("tron", "unknown application 'tron': did you mean 'torn'?"),
    ],
)
def test_a_broken_package_stops_only_the_study_that_names_it(installed: Here, name: str, sentence: str) -> None:
    (installed.folder / "plane.yaml").write_text(STUDY.replace("application: sides", f"application: {name}"))
    code, out, err = installed.zerotune("plan", "plane.yaml")
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
    assert f"\n{name}" in installed.done("list", "applications") or name == "tron"


def test_two_packages_with_one_name_are_a_conflict(installed: Here) -> None:
    other = installed.folder / "site" / "other-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[zerotune.applications]\nsides = other:sides\n")
    said = installed.refused("plan", "plane.yaml")
    assert "have the same name: uninstall one of them" in said


def test_a_file_named_on_the_command_line_comes_before_a_package(installed: Here) -> None:
    assert "8 trials" in installed.done("plan", "plane.yaml", "--app", "plane.py:sides")
    assert "planes_package.applications" not in sys.modules
    assert Path.cwd() == installed.folder
