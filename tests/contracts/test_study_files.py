"""Contract of every study file: it loads, plans without its data, describes itself, and is listed in the index."""

import json
import re
import socket
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest

from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.analysis.lost_seeds import lost_share_bounds
from zerotune.tuner.analysis.verdict import EXACT_SEEDS
from zerotune.tuner.campaign import plan
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import Study, load_study, shipped_studies

STUDIES = shipped_studies()
README = Path(__file__).parents[2] / "studies" / "README.md"

HEADER = {
    "Question": r"\?",
    "Paper": r"^none|(Table|Figure|Section|Algorithm|Definition)s? \d|README",
    "Data": r"\d|in a folder|from a folder",
    "Command": r"^zerotune (run|regime) \w+",
    "Hardware": r"^(2 CPU cores|one GPU).*\b\d+ trainings\b",
    "Time": r"\d (min|minutes?|s|hours?)\b|^not measured here",
    "Expected": r"\d%|\d*\.\d+|from \d",
}
"""Fields of a study file's header, in order, and the pattern each must match: none may lack its number."""

OLD_VERDICTS = r"(?i)\b(beats|matches|falls short|undecided)\b"
"""Verdicts of earlier versions, which counted lost seeds like others."""

FEW_SEEDS = "Seeds"
"""Field of the header that a study with fewer than `EXACT_SEEDS` seeds has: what they cannot show."""


@cache
def loaded(name: str) -> Study:
    """Return the shipped study; skip where it needs an extra that is not installed."""
    try:
        return load_study(name)
    except BadInput as error:
        if "pip install 'zerotune[" not in str(error):
            raise
        pytest.skip(str(error))


def is_table(study: Study) -> bool:
    return APPLICATIONS[study.application].look_up is not None


def column(first: str, number: int) -> list[str]:
    """Return one column of every table of the index whose first column has the title `first`."""
    lines = README.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(f"| {first} |")]
    rows = [row for start in starts for row in takewhile(lambda line: line.startswith("|"), lines[start + 2 :])]
    return [row.strip("|").split(" | ")[number].strip() for row in rows]


def test_studies_are_shipped() -> None:
    assert "quickstart" in STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_file_loads_under_its_own_name(name: str) -> None:
    assert loaded(name).name == name


def header_fields(text: str) -> dict[str, str]:
    """Return the fields of a study file's header; continuation lines are joined."""
    fields: dict[str, str] = {}
    for line in takewhile(lambda line: line.startswith("# "), text.splitlines()):
        key, _, value = line[2:].partition(" ")
        if key:
            fields[key] = value.strip()
        else:
            fields[list(fields)[-1]] += " " + value.strip()
    return fields


def header_problems(text: str) -> list[str]:
    """Return the fields that are missing, out of order, or invalid."""
    fields = header_fields(text)
    if [field for field in fields if field != FEW_SEEDS] != list(HEADER):
        return [f"fields {', '.join(fields)} instead of {', '.join(HEADER)}"]
    return [key for key, pattern in HEADER.items() if not re.search(pattern, fields[key])]


@pytest.mark.parametrize("name", STUDIES)
def test_a_header_names_question_paper_command_hardware_time_and_score(name: str) -> None:
    text = STUDIES[name].read_text(encoding="utf-8")
    assert header_problems(text) == []
    assert header_fields(text)["Command"].split()[2] == name


@pytest.mark.parametrize("field", ["Paper", "Hardware", "Time", "Expected"])
def test_a_header_without_a_number_is_found(field: str) -> None:
    text = STUDIES["quickstart"].read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith(f"# {field} ")]
    assert header_problems(text.replace(line, re.sub(r"\d", "", line))) == [field]


@pytest.mark.parametrize("field", HEADER)
def test_a_header_without_a_field_is_found(field: str) -> None:
    text = STUDIES["quickstart"].read_text(encoding="utf-8")
    assert header_problems(re.sub(rf"^# {field} .*\n", "", text, flags=re.MULTILINE)) != []


@pytest.mark.parametrize("name", STUDIES)
def test_header_and_index_count_the_trainings_of_a_study(name: str) -> None:
    planned = sum(cell.num_planned for cell in Campaign(loaded(name)).cells)
    header = header_fields(STUDIES[name].read_text(encoding="utf-8"))["Hardware"]
    assert [int(number) for number in re.findall(r"(\d+) trainings", header)] == [planned]
    place = column("Study", 0).index(f"`{name}`")
    row = column("Study", 4)[place]
    assert [int(number) for number in re.findall(r"(\d+) trainings", row)] in ([], [planned])


def unsaid_of_seeds(num_seeds: int, text: str) -> list[str]:
    """Return what a header must say of so few seeds and does not; nothing where there are enough."""
    if num_seeds >= EXACT_SEEDS:
        return []
    said = header_fields(text).get(FEW_SEEDS, "")
    may_fail = f"up to {lost_share_bounds(0, num_seeds)[1]:.0%} of trainings"
    return [part for part in (f"{num_seeds}, ", may_fail, f"takes {EXACT_SEEDS}") if part not in said]


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_has_five_seeds_or_its_header_says_what_fewer_cannot_show(name: str) -> None:
    assert unsaid_of_seeds(len(loaded(name).seeds), STUDIES[name].read_text(encoding="utf-8")) == []


def test_a_header_that_is_silent_on_three_seeds_is_found() -> None:
    text = STUDIES["quickstart"].read_text(encoding="utf-8")
    assert unsaid_of_seeds(5, text) == []
    assert unsaid_of_seeds(3, text) == ["3, ", "up to 63% of trainings", "takes 5"]


@pytest.mark.parametrize("name", STUDIES)
def test_two_cores_allow_five_seeds(name: str) -> None:
    hardware = header_fields(STUDIES[name].read_text(encoding="utf-8"))["Hardware"]
    study = loaded(name)
    assert len(study.seeds) >= EXACT_SEEDS or is_table(study) or not hardware.startswith("2 CPU cores")


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_whose_header_asks_for_a_gpu_asks_ray_for_one(name: str) -> None:
    asks = header_fields(STUDIES[name].read_text(encoding="utf-8"))["Hardware"].startswith("one GPU")
    assert (loaded(name).resources.gpus_per_trial > 0) == asks


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_planned_without_its_data_and_without_a_network(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*address: object, **options: object) -> None:
        raise AssertionError(f"the plan asked the network for {address}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(
        plan, "seconds_per_sample", lambda *workload: 1.0
    )  # measured in tests/tuner/campaign/test_plan.py
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ZEROTUNE_DATA", raising=False)
    study = loaded(name)
    for sentence in APPLICATIONS[study.application].missing_packages() if is_table(study) else ():
        pytest.skip(sentence)
    cells = plan.plan_study(study)
    assert {cell.batch_size for cell in cells} == {study.baseline.batch_size, *study.batch_sizes}
    iterations = [cell.iterations for cell in cells if cell.iterations is not None]
    assert is_table(study) == (not iterations)
    assert all(number >= study.epochs for number in iterations)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_compares_a_search_with_other_arms(name: str) -> None:
    study = loaded(name)
    assert study.question
    source = APPLICATIONS[study.application].data_sources[study.data.source]
    assert study.arm(study.reference).is_search == source.holds_out  # without held-out data, nothing is searched
    assert len(study.arms) >= 2


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_with_its_defaults_written_out_is_the_same_study(name: str) -> None:
    study = loaded(name)
    assert Study.model_validate(study.resolved()).fingerprint == study.fingerprint


@pytest.mark.parametrize("name", STUDIES)
def test_a_studys_content_is_what_a_journal_gives_back(name: str) -> None:
    content = loaded(name).content()
    assert json.loads(json.dumps(content)) == content


def test_no_two_studies_are_the_same() -> None:
    fingerprints = {loaded(name).fingerprint for name in STUDIES}
    assert len(fingerprints) == len(STUDIES)


def test_every_study_has_its_row_in_the_index_and_every_row_its_study() -> None:
    assert sorted(column("Study", 0)) == sorted(f"`{name}`" for name in STUDIES)


@pytest.mark.parametrize("path", [README, *STUDIES.values()], ids=lambda path: path.name)
def test_no_result_is_told_in_the_verdicts_of_earlier_versions(path: Path) -> None:
    assert re.findall(OLD_VERDICTS, path.read_text(encoding="utf-8")) == []


def test_the_index_says_which_results_are_not_judged() -> None:
    first_lines = re.findall(r"^## (\w+):.*\n\n(.*)", README.read_text(encoding="utf-8"), re.MULTILINE)
    told = {f"`{name}`": "not judged" in line for name, line in first_lines}
    index = dict(zip(column("Study", 0), column("Study", 5), strict=True))
    assert {name: "not judged" in index[name] for name in told} == told
    assert set(told.values()) == {True, False}


def test_the_table_of_the_papers_names_studies_that_there_are() -> None:
    named = [re.findall(r"`(\w+)`", cell) for cell in column("Paper table or figure", 2)]
    assert all(named)
    assert {name for names in named for name in names} <= set(STUDIES)
