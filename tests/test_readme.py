"""Everything that the README and the pages under docs/ show is run or checked here, so it stays true."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

import zerotune
from tests.campaigns import completed
from tests.test_layers import DIRECTION
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.cli import app
from zerotune.tuner.study import load_study, study_from_text

ROOT = Path(__file__).parents[1]
ANSWER = (ROOT / "docs" / "quickstart" / "answer.txt").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "studies/README.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
PAGES_WITH_PYTHON = {"README.md", "docs/training_script.md", "docs/own_application.md", "studies/README.md"}
"""All of these are run: here and in tests/test_own_application_docs.py; the script of studies/README.md is imported."""


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text(page), flags=re.DOTALL)


def block_with(mark: str, page: str) -> str:
    (block,) = [block for block in blocks("python", page) if mark in block]
    return block


def commands() -> list[str]:
    """Return every command in backticks or in a block of shell lines on a page."""
    found: set[str] = set()
    for page in PAGES:
        content = page.read_text(encoding="utf-8")
        found |= set(re.findall(r"`(zerotune [a-z]+ [^`]*)`", content))
        for block in re.findall(r"```bash\n(.*?)```", content, flags=re.DOTALL):
            found |= set(re.findall(r"^ *(zerotune [a-z]+ [^#\n]*?) *(?:#.*)?$", block, flags=re.MULTILINE))
    return sorted(found)


def test_the_readme_has_fewer_than_200_lines() -> None:
    assert len(text("README.md").splitlines()) < 200


def test_pages_with_python_are_those_that_tests_run() -> None:
    assert {
        str(page.relative_to(ROOT)) for page in PAGES if "```python" in page.read_text("utf-8")
    } == PAGES_WITH_PYTHON


def test_pages_import_the_public_names_from_the_package_itself() -> None:
    imports = {
        line for page in PAGES for line in re.findall(r"^from zerotune\.\S+ import .*$", page.read_text("utf-8"), re.M)
    }
    public = {name for name in dir(zerotune) if not name.startswith("_")}
    assert [line for line in imports if public & set(re.findall(r"\w+", line.split(" import ")[1]))] == []


def test_every_study_on_a_page_loads() -> None:
    studies = [study_from_text(block, "docs/studies.md") for block in blocks("yaml", "docs/studies.md")[:1]]
    assert [study.name for study in studies] == ["my_study"]


def test_the_search_over_solvers_and_models_on_the_page_runs() -> None:
    whole, *others = (yaml.safe_load(block) for block in blocks("yaml", "docs/studies.md"))
    (example,) = (block for block in others if "solvers" in str(block))
    study = study_from_text(yaml.safe_dump({**whole, **example}), "docs/studies.md")
    searched = [found.trial for found in completed(study).values() if found.trial.role == "search"]
    assert {trial.config.optimizer.name for trial in searched} == {"adam", "momentum", "lars"}
    assert len({trial.config.model_options["num_hidden"] for trial in searched}) > 10
    assert len(searched) == 2 * 24


def test_the_keys_of_a_baseline_that_carries_are_those_of_a_study() -> None:
    content = yaml.safe_load(blocks("yaml", "docs/studies.md")[0])
    block = next(block for block in blocks("yaml", "docs/studies.md") if "ties: smallest" in block)
    carrying = yaml.safe_load(block)
    arms = [content["arms"][0], *carrying["arms"]]
    study = study_from_text(
        yaml.safe_dump({**content, **carrying, "arms": arms, "batch_sizes": [512]}), "docs/studies.md"
    )
    assert study.baseline.tune is not None
    assert (study.baseline.tune.ties, study.arm("date-guarded").guard) == ("smallest", 2)


@pytest.mark.parametrize(
    ("page", "number"), [("docs/studies.md", 2), ("docs/cluster.md", 0), ("docs/cluster.md", 1)], ids=str
)
def test_resources_on_a_page_are_those_of_a_study(page: str, number: int) -> None:
    content = yaml.safe_load(blocks("yaml", "docs/studies.md")[0])
    resources = yaml.safe_load(blocks("yaml", page)[number])
    assert list(resources) == ["resources"]
    study = study_from_text(yaml.safe_dump({**content, **resources}), page)
    assert resources["resources"].items() <= study.resources.model_dump().items()


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """Run the README's script unchanged, and return its global names."""
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    (block,) = blocks("python", "README.md")
    exec(block, names)
    return names


def test_the_readmes_script_trains_at_the_large_batch(script: dict[str, Any]) -> None:
    schedule = script["scheduler"].schedule
    assert (schedule.spec.peak_lr, schedule.spec.warmup_epochs) == (pytest.approx(0.004 * 4**0.5), 2.0)
    assert schedule.total_iterations == 169
    assert script["scheduler"].last_epoch == 15 * 12
    with torch.inference_mode():
        inputs, targets = script["test"][:]
        correct = script["model"](inputs).argmax(dim=1) == targets
    assert correct.double().mean().item() > 0.94


@pytest.mark.filterwarnings("ignore")  # Lightning's warnings about workers and threads
def test_the_lightning_module_trains(script: dict[str, Any]) -> None:
    lightning = pytest.importorskip("lightning", reason="Lightning is not installed: it comes with the extra dev")
    names = dict(script)
    exec(block_with("LightningModule", "docs/training_script.md"), names)
    module = names["Classifier"]()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_epochs=2, accelerator="cpu", enable_checkpointing=False, **quiet)
    trainer.fit(module, names["loader"])
    scheduler = trainer.lr_scheduler_configs[0].scheduler
    assert scheduler.last_epoch == 24
    assert scheduler.get_last_lr() == [scheduler.schedule.lr(25)]


def test_a_schedule_works_with_adamw(script: dict[str, Any]) -> None:
    names = dict(script)
    exec(block_with("AdamW", "docs/training_script.md"), names)
    warmup = 2 * 1438 / 128  # iterations, rounded up
    assert names["optimizer"].param_groups[0]["lr"] == names["schedule"].lr(1) == pytest.approx(1e-3 / warmup, rel=0.03)


def test_the_optimizers_take_a_step(script: dict[str, Any]) -> None:
    names = dict(script)
    exec(block_with("Layerwise", "docs/training_script.md"), names)
    before = [parameter.detach().clone() for parameter in names["model"].parameters()]
    inputs, targets = names["test"][:100]
    for optimizer in (names["lars"], names["lamb"]):
        optimizer.zero_grad()
        names["cross_entropy"](names["model"](inputs), targets).backward()
        optimizer.step()
    after = list(names["model"].parameters())
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert [len(group["params"]) for group in names["lars"].param_groups] == [2, 2]


def test_the_script_of_the_lenet_study_imports_what_there_is() -> None:
    (block,) = blocks("python", "studies/README.md")
    exec(block[: block.index("\nschedule = ")], {})


@pytest.mark.parametrize("command", commands())
def test_every_command_in_the_documentation_names_options_that_exist(command: str) -> None:
    words = command.split()[1:]
    shown = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, command
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output, f"{command}: no option {option}"


def test_the_readme_shows_parts_of_the_quickstarts_answer_as_the_command_printed_it() -> None:
    (shown,) = blocks("text", "README.md")
    parts = [part.strip() for part in shown.split("...\n")]
    assert len(parts) == 4
    places = [ANSWER.index(part) for part in parts]
    assert places == sorted(places)


def test_the_page_on_answers_shows_the_whole_one() -> None:
    (shown,) = blocks("text", "docs/reading_an_answer.md")
    assert shown.strip() == ANSWER.strip()


def test_the_readme_counts_the_quickstarts_trials() -> None:
    planned = sum(cell.num_planned for cell in Campaign(load_study("quickstart")).cells)
    assert f"{planned} trials run" in text("README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_exists(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def paths_in_contributing() -> list[str]:
    """Return the paths that CONTRIBUTING.md names in backticks; NAME stands for a new file."""
    named = re.findall(r"`([\w.]+/[\w./]*|[\w.]+\.(?:py|md))`", text("CONTRIBUTING.md"))
    return sorted({name for name in named if "NAME" not in name})


def tree_in_contributing() -> list[str]:
    """Return the paths of CONTRIBUTING.md's tree diagram, by indentation."""
    tree, *_ = blocks("text", "CONTRIBUTING.md")
    found, room = [], ""
    for line in tree.splitlines():
        name, *others = re.match(r" *((?:\S+ )*\S+)", line)[1].split()  # type: ignore[index]
        if not line.startswith(" "):
            room = name
        found += [room if name == room else room + entry for entry in (name, *others)]
    return found


@pytest.mark.parametrize("path", paths_in_contributing())
def test_a_path_that_contributing_names_exists(path: str) -> None:
    rooms = (ROOT, ROOT / ".package", ROOT / "tuner" / "reports")  # `zerotune/__init__.py`, and `figures/` of reports
    assert any((room / path).exists() for room in rooms)


@pytest.mark.parametrize("path", tree_in_contributing())
def test_a_path_in_contributings_tree_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_contributings_tree_has_every_room() -> None:
    rooms = {
        f"{package}/{init.parent.name}/"
        for package in ("trainers", "tuner")
        for init in ROOT.glob(f"{package}/*/__init__.py")
    }
    assert rooms - set(tree_in_contributing()) == set()


def test_contributing_shows_the_import_direction_that_is_tested() -> None:
    shown = blocks("text", "CONTRIBUTING.md")[1]
    assert shown.strip() == " -> ".join(DIRECTION.strip().splitlines())
