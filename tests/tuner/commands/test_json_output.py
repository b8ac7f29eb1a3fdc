"""`--format json`: one JSON object on standard output and nothing else, with the numbers of the table."""

import inspect
import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.judged_study import AS_FIVE, FAR, FIVE, ONE_LOST, judged
from tests.tuner.commands.diagnose.test_diagnose_reports import diagnosis, run
from tests.tuner.commands.regime.test_regime_reports import found
from tests.tuner.commands.weak_scaling.test_weak_scaling import FOUND
from tests.tuner.tiny_study import TinyStudyFolder
from tests.user_applications import Here
from zerotune.tuner.cli import COMMANDS
from zerotune.tuner.commands.diagnose import run as diagnose_run
from zerotune.tuner.commands.options import StoredStudy
from zerotune.tuner.commands.regime import run as regime_run
from zerotune.tuner.commands.regime.text import headline
from zerotune.tuner.commands.weak_scaling import measure
from zerotune.tuner.reports.json_text import format_json

ANSWER = judged(
    {1024: {"tuned": FIVE, "legw": AS_FIVE, "sqrt": FAR}, 2048: {"tuned": FIVE, "legw": ONE_LOST, "sqrt": FAR}}
)
WITHOUT_A_TABLE = {"submit", "sync", "export", "ui"}


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every store holds the same answer."""
    monkeypatch.setattr(StoredStudy, "read_answer", lambda stored: ANSWER)


def parsed(here: TinyStudyFolder | Here, *words: str, schema: str) -> Any:
    ended = here.zerotune(*words, "--format", "json")
    assert ended.code == 0, ended.err
    content = json.loads(ended.out)
    assert list(content)[:2] == ["schema", "schema_version"]
    assert (content["schema"], content["schema_version"]) == (f"zerotune.{schema}", 1)
    return content


def test_every_command_that_prints_a_table_has_the_option() -> None:
    commands = {name: command for panel in COMMANDS.values() for name, command in panel.items()}
    lacking = {name for name, command in commands.items() if "format" not in inspect.signature(command).parameters}
    assert lacking == WITHOUT_A_TABLE


def test_numbers_that_are_not_finite_are_strings() -> None:
    content = json.loads(format_json("x", {"a": [math.inf, -math.inf, math.nan, 1.5], "b": (None, "é\x9b")}))
    assert (content["a"], content["b"]) == (["inf", "-inf", "nan", 1.5], [None, "é\x9b"])


@pytest.mark.usefixtures("stored")
def test_compare(tiny: TinyStudyFolder) -> None:
    content = parsed(tiny, "compare", "synthetic", schema="report")
    assert content["verdict"] == ANSWER.verdict
    judged_rows = [row for row in content["comparison"]["rows"] if row["verdict"]]
    kinds = {(row["arm"], row["batch_size"]): row["verdict"]["kind"] for row in judged_rows}
    assert kinds["legw", 1024] == "yes"
    assert kinds["legw", 2048] == "unreliable"
    assert content["next_steps"]
    gated = tiny.zerotune("compare", "synthetic", "--format", "json", "--require", "yes")
    assert (gated.code, json.loads(gated.out)) == (6, content)


@pytest.mark.usefixtures("stored")
def test_profile(tiny: TinyStudyFolder) -> None:
    content = parsed(tiny, "profile", "synthetic", "--cost", "trials", schema="profile")
    arms = {arm["arm"]: arm for arm in content["arms"]}
    assert (arms["legw"]["as_good"], arms["legw"]["cheapest"], content["workloads"]) == (1, 1, 2)
    assert [entry["ratio"] for entry in arms["legw"]["entries"]] == [1.0, "inf"]


def test_plan(tiny: TinyStudyFolder) -> None:
    content = parsed(tiny, "plan", "tiny.yaml", schema="plan")
    cells = {cell["arm"]: cell for cell in content["cells"]}
    assert cells["tuned"]["search_trials"] == 2
    assert content["trials"] == 8
    assert sum(cell["seconds"] for cell in content["cells"]) == pytest.approx(content["seconds"])


@pytest.mark.parametrize("kind", ["applications", "rules"])
def test_list(tiny: TinyStudyFolder, kind: str) -> None:
    content = parsed(tiny, "list", kind, schema="list")
    first = content["columns"][0]
    shown = tiny.zerotune("list", kind).out
    assert content["entries"]
    assert all(entry[first] in shown for entry in content["entries"])


def test_rule(tiny: TinyStudyFolder) -> None:
    words = ["rule", "sqrt", "--baseline-batch-size", "100", "--lr", "0.1", "--epochs", "2", "--num-samples", "1000"]
    content = parsed(tiny, *words, "--batch-size", "400", schema="rule")
    assert content["rows"][0]["schedule"]["peak_lr"] == 0.2
    assert (
        tiny.zerotune(*words, "--batch-size", "400", "--json").out
        == tiny.zerotune(*words, "--batch-size", "400", "--format", "json").out
    )


def test_scale(tiny: TinyStudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "measure_weak_scaling", lambda question, tell: tell("measuring") or FOUND)
    content = parsed(tiny, "scale", "tiny.yaml", schema="scale")
    alone, four = content["measured"]
    assert (alone["efficiency"], alone["slowdown"], alone["forecast_error"]) == (1.0, None, None)
    assert four["efficiency"] == pytest.approx(0.5)
    assert four["slowdown"] == pytest.approx(1.2)
    assert content["forecast"][0]["devices"] == 4


def test_diagnose(tiny: TinyStudyFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    diagnosed = diagnosis(run(50, [1.0, 4.0, 2.0]))
    monkeypatch.setattr(diagnose_run, "diagnose", lambda question, results, tell: tell("B=1") or diagnosed)
    words = ["diagnose", "tiny.yaml", "--arm", "sqrt", "--batch-size", "3000", "--to", str(tmp_path / "to")]
    content = parsed(tiny, *words, schema="diagnose")
    assert [run["batch_size"] for run in content["runs"]] == [run.batch_size for run in diagnosed.runs]
    assert content["runs"][0]["peak"]["value"] == 4.0


def test_run_tells_progress_on_the_standard_error_stream(here: Here) -> None:
    ended = here.zerotune("run", "plane.yaml", "--driver", "serial", "--app", "plane.py:sides", "--format", "json")
    content = json.loads(ended.out)
    assert (ended.code, content["schema"]) == (0, "zerotune.report")
    assert {row["arm"] for row in content["comparison"]["rows"]} >= {content["comparison"]["facts"]["reference"]}
    assert "plane: up to" in ended.err


def test_regime(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    regime = found()
    monkeypatch.setattr(regime_run, "find_regime", lambda study, options, limits, console, **_: regime)
    words = ["regime", "plane.yaml", "--driver", "serial", "--app", "plane.py:sides"]
    content = parsed(here, *words, schema="regime")
    assert content["headline"] == headline(regime)
    assert len(content["attempts"]) == 1 + len(regime.attempts)
