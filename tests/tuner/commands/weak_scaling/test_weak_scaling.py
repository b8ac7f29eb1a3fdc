"""Weak scaling: the forecast computed by hand, and the command on real workers."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch.distributed

from tests.outputs import printed, read_csv
from zerotune.trainers.distributed.data_parallel import shard_bounds
from zerotune.trainers.weak_scaling import MachineRates, ScalingPoint
from zerotune.tuner.cli import app
from zerotune.tuner.commands.weak_scaling import measure
from zerotune.tuner.commands.weak_scaling.figure import weak_scaling_figure, weak_scaling_records
from zerotune.tuner.commands.weak_scaling.forecast import Link, WeakScaling, estimate_link
from zerotune.tuner.commands.weak_scaling.measure import (
    WeakScalingRequest,
    default_samples,
    measure_weak_scaling,
    weak_scaling_config,
)
from zerotune.tuner.commands.weak_scaling.roofline import roofline_figure
from zerotune.tuner.commands.weak_scaling.text import FORECAST_WORKERS, describe_machine, notes, print_weak_scaling
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import study_from_text

ALONE = ScalingPoint(
    num_workers=1,
    samples=10,
    update_seconds=0.1,
    apart_seconds=0.1,
    sum_seconds=0.0,
    small_sum_seconds=0.0,
    num_parameters=1_000,
    flops_per_sample=500_000,
)
FOUR = replace(
    ALONE,
    num_workers=4,
    samples=40,
    update_seconds=0.2,
    apart_seconds=0.12,
    sum_seconds=0.034,
    small_sum_seconds=0.004,
)
FOUND = WeakScaling(points=(ALONE, FOUR), rates=MachineRates(flops=1e8, bytes=1e9))
"""The link sums 1.5 x 1,000 words in 0.03 s and takes two steps of 0.002 s. Workers slow each other down by a fifth."""

STUDY = """
name: scaled
application: lenet_mnist
data: {source: mnist5k}
epochs: 1
batch_sizes: [64]
seeds: [1]
reference: grid
baseline: {batch_size: 32, lr: 0.02, optimizer: {name: momentum}}
arms:
  - {name: grid, method: grid, space: {lr: {choices: [0.01, 0.02]}}}
"""
WITH_BATCH_NORMALISATION = STUDY.replace("lenet_mnist", "resnet50_cifar10").replace("mnist5k", "cifar10")


def scale(folder: Path, *options: str, text: str = STUDY) -> None:
    (folder / "scaled.yaml").write_text(text, encoding="utf-8")
    app(["scale", str(folder / "scaled.yaml"), *options], standalone_mode=False)


@pytest.mark.parametrize(
    ("point", "sentence"),
    [
        (replace(FOUR, apart_seconds=0.342), "4 workers took 0.2 s and, without communication, 0.342 s"),
        (replace(ALONE, apart_seconds=0.06), "1 worker took 0.1 s and, without communication, 0.06 s"),
    ],
)
def test_measurements_that_contradict_each_other_give_no_efficiency(point: ScalingPoint, sentence: str) -> None:
    """An update cannot be faster than its computation, and a worker alone communicates nothing."""
    points = tuple(point if point.num_workers == other.num_workers else other for other in (ALONE, FOUR))
    busy = replace(FOUND, points=points)
    assert printed(print_weak_scaling, busy, "lenet").startswith(
        "lenet: nothing can be said, since the machine's speed"
    )
    assert sentence in notes(busy)[0]
    assert "contradict" not in " ".join(notes(FOUND))


def test_the_link_is_what_the_sums_say() -> None:
    link = estimate_link(FOUR)
    assert link.words == pytest.approx(50_000)
    assert link.latency == pytest.approx(0.002)
    assert link.sum_seconds(1_000, 4) == pytest.approx(0.034)


def test_a_sum_over_many_takes_two_passes_and_a_tree() -> None:
    link = Link(words=1_000.0, latency=0.01)
    assert link.sum_seconds(500, 1) == 0.0
    assert link.sum_seconds(500, 2) == pytest.approx(0.5 + 0.01)
    assert link.sum_seconds(500, 1024) == pytest.approx(2 * 1023 / 1024 * 0.5 + 0.1)


def test_the_forecast_of_a_device_each_starts_from_one_alone() -> None:
    forecast = FOUND.forecast(shares_machine=False)
    assert forecast.efficiency(1) == 1.0
    assert forecast.update_seconds(4) == pytest.approx(0.134)
    assert forecast.samples_per_second(4) == pytest.approx(40 / 0.134)
    assert forecast.efficiency(1024) == pytest.approx(0.1 / (0.1 + 2 * 1023 / 1024 * 0.02 + 10 * 0.002))


def test_the_error_is_reported_against_what_was_measured() -> None:
    assert FOUND.errors() == {4: pytest.approx(0.154 / 0.2 - 1)}
    assert FOUND.efficiency(FOUR) == pytest.approx(0.5)
    assert FOUR.exchange_share == pytest.approx(0.4)


def test_computing_hides_an_exchange() -> None:
    hidden = replace(FOUND, hidden=1.0).forecast(shares_machine=False)
    assert hidden.efficiency(4) == 1.0
    half = replace(FOUND, hidden=0.2).forecast(shares_machine=False)
    assert half.update_seconds(4) == pytest.approx(0.1 + 0.034 - 0.02)


def test_intensity_and_energy_are_dates() -> None:
    assert FOUND.intensity == 500.0
    assert FOUND.flops == pytest.approx(5e7)
    moved, computed = 2_500 * 2 * 1_000, 100 * 500_000 * 10
    assert FOUND.exchange_energy_share == pytest.approx(moved / (moved + computed))


def test_the_tables_show_it_all() -> None:
    text = printed(print_weak_scaling, FOUND, "lenet_mnist")
    assert text.startswith(
        "lenet_mnist: 4 workers with 10 samples each do 50% of the work of as many independent workers\n"
    )
    assert max(len(line) for line in text.splitlines()) <= 100
    row = next(line for line in text.splitlines() if line.strip().startswith("4 "))
    assert row.split() == ["4", "40", "0.2", "200", "50%", "40%", "1.20x", "-23.0%"]
    assert "0.05 GFLOP/s of the 0.1 of a matrix" in describe_machine(FOUND)[0]
    assert "slowdown come from the 4 workers, whose own error is therefore the fit of the model" in notes(FOUND)[-1]


def test_the_figure_has_what_was_measured_and_both_forecasts() -> None:
    figure = weak_scaling_figure(FOUND, "lenet_mnist")
    names = [trace.name for trace in figure.data]
    assert names == ["forecast: a device each", "forecast: workers slowed as here", "measured"]
    assert list(figure.data[2].y) == [1.0, pytest.approx(0.5)]
    records = weak_scaling_records(FOUND)
    assert [record["workers"] for record in records] == [1, *FORECAST_WORKERS]
    assert records[2]["efficiency"] is None


def test_the_roofline_bends_where_the_link_keeps_up_with_the_matrix_product() -> None:
    figure = roofline_figure(FOUND, "lenet_mnist")
    roof, alone, model, measured = figure.data
    assert roof.x[1] == pytest.approx(1e8 / 50_000)
    assert roof.y[0] == pytest.approx(roof.x[0] * 50_000), "the link's rate at so few FLOPs a word"
    assert list(roof.y[1:]) == [1e8, 1e8]
    assert list(alone.y) == [pytest.approx(5e7)] * 2
    assert (list(measured.x), list(measured.y)) == ([pytest.approx(5e6 / 1_500)], [pytest.approx(5e6 / 0.2)])
    assert all(y < min(1e8, x * 50_000) for x, y in zip(model.x, model.y, strict=True)), "nothing is above the roof"
    assert "with 10 samples a worker: bound by its matrix products" in figure.layout.title.text
    assert "3330 FLOPs a word with 4 workers; the roof bends at 2000: 6 samples a worker" in figure.layout.title.text


def test_a_worker_with_few_samples_is_bound_by_its_link() -> None:
    points = (replace(ALONE, samples=2, update_seconds=0.02), replace(FOUR, samples=8, update_seconds=0.1))
    few = replace(FOUND, points=points)
    assert "with 2 samples a worker: bound by its link" in roofline_figure(few, "lenet_mnist").layout.title.text


@pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this build of torch has no gloo, which workers on CPUs need",
)
def test_the_command_measures_two_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scale(tmp_path, "--samples", "20", "--updates", "2", "--rounds", "1")
    text = capsys.readouterr().out
    assert re.search("lenet_mnist: (2 workers with 20 samples each do|nothing can be said)", text)  # on a busy machine
    rows = [line.split() for line in text.splitlines()]
    (measured,) = [row for row in rows if row[:2] == ["2", "40"]]
    assert float(measured[2]) > 0
    assert measured[7].endswith("%")
    assert any(row[:1] == ["1,024"] for row in rows)


def test_more_than_the_data_have_is_refused(tmp_path: Path) -> None:
    message = r"5 updates of 4 workers with 1000 samples each take 20,000, and there are 3,000: ask for fewer"
    with pytest.raises(BadInput, match=message):
        scale(tmp_path, "--samples", "1000", "--workers", "2", "--workers", "4")


def test_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_images: list[str]) -> None:
    monkeypatch.setattr(measure, "measure_weak_scaling", lambda question, tell: FOUND)
    scale(tmp_path, "--to", str(tmp_path / "out"))
    assert without_images == ["scale.png", "scale_roofline.png"]
    assert [row["workers"] for row in read_csv(tmp_path / "out" / "scale.csv")][:2] == ["1", "4"]
    page = (tmp_path / "out" / "scale.html").read_text(encoding="utf-8")
    assert "forecast: a device each" in page
    assert ": bound by its matrix products" in page


def test_batch_normalisation_takes_each_workers_statistics() -> None:
    study = study_from_text(WITH_BATCH_NORMALISATION, "x.yaml")
    assert weak_scaling_config(study, 16, 4).recipe.ghost_batch_size == 16
    assert weak_scaling_config(study_from_text(STUDY, "x.yaml"), 16, 4).recipe.ghost_batch_size is None


def test_every_worker_has_as_many_whole_ghost_batches() -> None:
    study = study_from_text(WITH_BATCH_NORMALISATION + "recipe: {ghost_batch_size: 24}\n", "x.yaml")
    samples = default_samples(study)
    assert samples == 48  # the baseline's 32 would give two workers 48 and 16 of 64
    config = weak_scaling_config(study, samples, 3)
    cuts = shard_bounds(config.batch_size, 3, batch_size=config.batch_size, ghost_batch_size=24)
    assert cuts == [0, 48, 96, 144]
    assert default_samples(study_from_text(STUDY, "x.yaml")) == 32
    uneven = WeakScalingRequest(study=study, workers=[2], samples=32, updates=1, rounds=1)
    message = r"whole ghost batches of 24 samples, so 32 a worker would not be shared equally: ask for --samples 48 or"
    with pytest.raises(BadInput, match=message):
        measure_weak_scaling(uneven, print)


@pytest.mark.parametrize(("options", "samples"), [([], 48), (["--samples", "16"], 16)])
def test_the_command_asks_for_the_default_where_no_samples_are_given(
    options: list[str], samples: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def found(question: WeakScalingRequest, tell: object) -> WeakScaling:
        asked.append(question.samples)
        return FOUND

    monkeypatch.setattr(measure, "measure_weak_scaling", found)
    scale(tmp_path, *options, text=WITH_BATCH_NORMALISATION + "recipe: {ghost_batch_size: 48}\n")
    assert asked == [samples]
