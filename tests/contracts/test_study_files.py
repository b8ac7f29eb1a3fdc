"""Contract of every study file: it loads, says what it is, and can be told from the others."""

from pathlib import Path

import pytest

from tuner.errors import BadInput
from tuner.study import Study, load_study, shipped_studies

STUDIES = shipped_studies()
HEADER = ("# Question ", "# Paper ", "# Data ", "# Command ", "# Hardware ")


def loaded(name: str) -> Study:
    """The shipped study; the test is skipped where the study needs an extra that is not installed."""
    try:
        return load_study(name)
    except BadInput as error:
        if "pip install 'zerotune[" not in str(error):
            raise
        pytest.skip(str(error))


def test_studies_are_shipped() -> None:
    assert "quickstart" in STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_file_loads_under_its_own_name(name: str) -> None:
    assert loaded(name).name == name


@pytest.mark.parametrize("path", STUDIES.values(), ids=STUDIES.keys())
def test_a_study_file_says_what_it_asks_and_what_it_takes(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line[: len(start)] for line, start in zip(lines, HEADER, strict=False)] == list(HEADER)
    assert f"zerotune run {path.stem}" in lines[3]


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_compares_a_search_with_other_arms(name: str) -> None:
    study = loaded(name)
    assert study.question
    assert study.arm(study.reference).is_search
    assert len(study.arms) >= 2


def test_no_two_studies_are_the_same() -> None:
    fingerprints = {loaded(name).fingerprint for name in STUDIES}
    assert len(fingerprints) == len(STUDIES)
