"""The data behind the energy figure of a study with known costs."""

from dataclasses import replace

import plotly.graph_objects as go
import pytest

from tests.synthetic_study import facts, study_results
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.cost import Cost
from zerotune.tuner.reports.figures.registry import draw_figure
from zerotune.tuner.trial import TrialResult

COMPUTE = 30 * 4_000 * 2_500_000 * 100e-12
"""Joules to compute 30 epochs of 4,000 samples."""
COMMUNICATION = 30 * 60_000 * 2_500e-12
"""Joules to exchange 60,000 words in each of 30 epochs."""


def drawn(results: list[TrialResult]) -> go.Figure:
    return draw_figure("energy", compare(facts(), results), results, "device_seconds")


def bars(figure: go.Figure, name: str) -> list[float | None]:
    (trace,) = [trace for trace in figure.data if trace.type == "bar" and trace.name.startswith(name)]
    return list(trace.y)


def markers(figure: go.Figure, arm: str) -> tuple[list[float], list[float]]:
    """Return an arm's joules at every batch size: in all, and for communication."""
    whole, communication = [trace for trace in figure.data if trace.name == arm]
    assert communication.marker.symbol == f"{whole.marker.symbol}-open"
    return list(whole.y), list(communication.y)


def metered(result: TrialResult, joules: float, seconds: float | None = None) -> TrialResult:
    cost = result.cost
    covered = cost.device_seconds if seconds is None else seconds
    return replace(result, cost=replace(cost, measured_joules=joules, metered_seconds=covered))


def test_a_training_is_computation_and_communication_at_every_batch_size() -> None:
    figure = drawn(study_results())
    assert bars(figure, "computation") == pytest.approx([COMPUTE] * 4)
    assert bars(figure, "communication") == pytest.approx([COMMUNICATION] * 4)
    assert list(figure.layout.xaxis.ticktext) == ["256", "1,024", "2,048", "4,096"]
    assert figure.layout.title.text.startswith(
        "<b>Communication is 0.015% of a training's modelled energy at B=256 and 0.015% at B=4,096</b>"
    )


def test_epochs_that_were_done_again_are_no_part_of_one_training() -> None:
    again = Cost(epochs=10, flops=10**15, words=10**12)
    results = [
        replace(r, cost=r.cost + again) if r.trial.role == "confirmation" and r.trial.index == 0 else r
        for r in study_results()
    ]
    figure = drawn(results)
    assert bars(figure, "computation") == pytest.approx([COMPUTE] * 4)
    assert bars(figure, "communication") == pytest.approx([COMMUNICATION] * 4)


def test_a_model_costs_its_search_or_one_training() -> None:
    """The search: nine trials of 30 epochs, one of 2 and two of 3; its best is the model. A rule costs one training."""
    epochs = 9 * 30 + 2 + 2 * 3
    figure = drawn(study_results())
    for arm, share in (("tuned", epochs / 30), ("date", 1.0)):
        whole, communication = markers(figure, arm)
        assert whole == pytest.approx([share * (COMPUTE + COMMUNICATION)] * 3)
        assert communication == pytest.approx([share * COMMUNICATION] * 3, rel=1e-6)
    whole, _ = markers(figure, "baseline")
    assert whole == pytest.approx([epochs / 30 * (COMPUTE + COMMUNICATION)])


def test_a_study_without_a_meter_says_so_and_shows_no_measured_energy() -> None:
    figure = drawn(study_results())
    assert "No meter: nothing was measured." in figure.layout.title.text
    assert not any(trace.name == "measured" for trace in figure.data)


def test_measured_energy_stands_beside_the_modelled_one() -> None:
    """Bars are means over the trainings at a batch size, without those that a meter covered only in part."""
    results = []
    for result in study_results():
        if result.trial.batch_size == 1024 and result.trial.arm == "date":
            result = metered(result, 100.0 + 50.0 * result.trial.index)
        elif result.trial.batch_size == 2048 and result.trial.arm == "date":
            result = metered(result, 7.0, seconds=0.5)
        results.append(result)
    figure = drawn(results)
    assert bars(figure, "measured") == [None, 150.0, None, None]
    total = compare(facts(), results).ledger.total
    share = f"{100 * total.metered_seconds / total.device_seconds:.3g}%"
    assert f"Meters counted 471 J in {share} of the study's device-seconds." in figure.layout.title.text.replace(
        "<br>", " "
    )


def test_a_study_whose_trainings_have_not_ended_has_no_finding() -> None:
    assert drawn([]).layout.title.text.startswith("<b>No training has ended yet</b>")
