"""What the README shows is run or checked here, so that it stays true."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from zerotune.tuner.cli import app
from zerotune.tuner.study import load_study, study_from_text

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


@pytest.fixture(scope="module")
def own_script() -> dict[str, Any]:
    """The names that the README's first block of Python leaves behind, run as it stands."""
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)
    return names


def test_the_readmes_script_trains_lenet_at_the_large_batch(own_script: dict[str, Any]) -> None:
    schedule = own_script["scheduler"].schedule
    assert (schedule.spec.peak_lr, schedule.spec.warmup_epochs) == (pytest.approx(0.0016 * 8**0.5), 2.0)
    assert schedule.total_iterations == 141
    assert own_script["scheduler"].last_epoch == 12 * 12
    test = own_script["load"](None).test
    with torch.inference_mode():
        correct = own_script["model"](test.inputs).argmax(dim=1) == test.targets
    assert correct.double().mean().item() > 0.9


@pytest.mark.filterwarnings("ignore")  # Lightning's advice about workers and threads
def test_the_readmes_lightning_module_trains(own_script: dict[str, Any]) -> None:
    lightning = pytest.importorskip("lightning", reason="Lightning is not installed: it comes with the extra dev")
    (block,) = [block for block in blocks("python") if "LightningModule" in block]
    exec(block, own_script)
    module = own_script["Classifier"]()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_epochs=2, accelerator="cpu", enable_checkpointing=False, **quiet)
    trainer.fit(module, own_script["loader"])
    scheduler = trainer.lr_scheduler_configs[0].scheduler
    assert scheduler.last_epoch == 24
    assert scheduler.get_last_lr() == [scheduler.schedule.lr(25)]


def test_the_readmes_schedule_goes_with_adamw(own_script: dict[str, Any]) -> None:
    (block,) = [block for block in blocks("python") if "AdamW" in block]
    names = dict(own_script)
    exec(block, names)
    assert names["optimizer"].param_groups[0]["lr"] == names["schedule"].lr(1) == pytest.approx(1e-3 * 256 / 6_000)


def test_the_readmes_optimizers_take_a_step(own_script: dict[str, Any]) -> None:
    (block,) = [block for block in blocks("python") if "Layerwise" in block]
    names = dict(own_script)
    exec(block, names)
    before = [parameter.detach().clone() for parameter in names["model"].parameters()]
    for optimizer in (names["lars"], names["lamb"]):
        optimizer.zero_grad()
        names["cross_entropy"](names["model"](names["train"].inputs[:100]), names["train"].targets[:100]).backward()
        optimizer.step()
    after = list(names["model"].parameters())
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert [len(group["params"]) for group in names["lars"].param_groups] == [5, 5]


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
    from zerotune.tuner.campaign.campaign import Campaign

    planned = sum(cell.num_planned for cell in Campaign(load_study("quickstart")).cells)
    assert f"while {planned} trials run" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_exists(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
