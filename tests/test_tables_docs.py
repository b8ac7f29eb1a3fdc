"""The layout that docs/tables.md shows is read as the page says."""

import re
from pathlib import Path

import yaml

from tests.user_applications import forgotten
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.spec import OptimizerSpec, ScheduleSpec, TrainConfig
from zerotune.tuner.study.table_layout import register_layout
from zerotune.tuner.study.values import complete_optimizer

PAGE = Path(__file__).parents[1] / "docs" / "tables.md"


def test_the_layout_of_the_page_reads_a_sweep(tmp_path: Path) -> None:
    (layout,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "sweep.yaml").write_text(layout, encoding="utf-8")
    names = ",".join(yaml.safe_load(layout)["columns"].values())
    (tmp_path / "sweep.csv").write_text(f"{names}\n0.1,32,1,0.9,12.5\n", encoding="utf-8")
    with forgotten():
        look_up = APPLICATIONS[register_layout(str(tmp_path / "sweep.yaml"))].look_up
    assert look_up is not None
    config = TrainConfig(
        application="our_sweep",
        data="our_sweep",
        batch_size=32,
        epochs=10,
        schedule=ScheduleSpec(peak_lr=0.1),
        optimizer=complete_optimizer(OptimizerSpec(name="momentum", options={"momentum": 0.9})),
        seed=1,
    )
    found = look_up(config)
    assert (found.validation_score, found.epochs[0].device_seconds, found.epochs[0].samples) == (0.9, 12.5, 50_000)
