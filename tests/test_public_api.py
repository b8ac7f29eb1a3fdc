"""The public interface: its names, that each exists, and that importing it imports nothing heavy."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zerotune

PUBLIC = {
    *("scale_up", "ScheduleLR", "LARS", "LAMB", "DATE", "Layerwise", "layerwise_groups"),
    *("Baseline", "OptimizerSpec", "ScheduleSpec"),
    *("Application", "Dataset", "DataSource", "divide", "as_split", "train"),
    *("load_study", "plan_study", "run_study", "read_answer", "Study", "__version__"),
    "build_schedule",  # `ScheduleLR` takes its result (README, a schedule of your own)
    *("TrainConfig", "Placement"),  # argument of `train` (studies/README.md)
    "DataError",  # raised by a user's data source (docs/own_application.md)
    *("cross_entropy", "num_correct"),  # needed by every classification application (docs/own_application.md)
}
HEAVY = ("torch", "numpy", "pandas", "pydantic", "ray", "mlflow", "optuna", "plotly", "rich", "yaml")
ROOT = Path(__file__).parents[1]


def child(*arguments: str) -> str:
    """Return the output of a fresh Python process."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_public_names_are_these() -> None:
    assert set(dir(zerotune)) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    value = getattr(zerotune, name)
    assert name == "__version__" or value.__doc__


def test_type_checkers_see_the_names_that_can_be_imported() -> None:
    text = (ROOT / "tuner" / "_zerotune.py").read_text(encoding="utf-8")
    imported = dict(reversed(found) for found in re.findall(r"    from ([\w.]+) import (\w+) as \2\n", text))
    assert {**imported, "__version__": "zerotune"}.keys() == PUBLIC
    for name, module in imported.items():
        assert getattr(sys.modules[module], name) is getattr(zerotune, name)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'zerotune' has no attribute 'scale_down'"):
        zerotune.scale_down  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_imports_nothing_heavy() -> None:
    code = f"import json, sys, zerotune; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    assert json.loads(child("-c", code)) == []


def test_python_dash_m_is_the_command() -> None:
    assert child("-m", "zerotune", "--version") == f"zerotune {zerotune.__version__}\n"
