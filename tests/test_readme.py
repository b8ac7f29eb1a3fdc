"""What the README shows is run or checked here, so that it stays true."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuner.cli import app
from tuner.study import load_study, study_from_text

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "studies" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return sorted(set(re.findall(r"`(zerotune [a-z]+ [^`]*)`", text)))


def test_every_study_in_the_readme_loads() -> None:
    studies = [study_from_text(block, "README.md") for block in blocks("yaml")]
    assert [study.name for study in studies] == ["my_study"]


@pytest.mark.parametrize("command", commands())
def test_every_command_in_the_documentation_names_options_that_exist(command: str) -> None:
    words = command.split()[1:]
    shown = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, command
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output, f"{command}: no option {option}"


def test_the_readme_shows_the_quickstart_as_the_command_printed_it() -> None:
    answer = (ROOT / "docs" / "quickstart" / "answer.txt").read_text(encoding="utf-8")
    assert answer.strip() in README


def test_the_readme_counts_the_quickstarts_trials() -> None:
    from tuner.campaign import Campaign

    planned = sum(cell.planned for cell in Campaign(load_study("quickstart")).cells)
    assert f"while {planned} trials run" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_exists(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
