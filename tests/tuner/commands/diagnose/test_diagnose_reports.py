"""A diagnosis as sentences, a table and figures, for synthetic trainings with a known answer."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.complete_study import epoch_metrics
from tests.outputs import printed
from tests.reported_study import STUDY
from tests.synthetic_study import result
from zerotune.trainers.diagnostics import GradientNoise, LayerNorms, Observation
from zerotune.trainers.spec import TrainResult
from zerotune.tuner.commands.diagnose.diagnosis import DiagnosedRun, Diagnosis, DiagnosisQuestion
from zerotune.tuner.commands.diagnose.export import records
from zerotune.tuner.commands.diagnose.figures import FIGURES, MAX_LAYERS
from zerotune.tuner.commands.diagnose.text import describe_distance, describe_peaks, print_diagnosis
from zerotune.tuner.study import study_from_text

EPOCHS = 4
NUM_SAMPLES = 1_000


def run(batch_size: int, lipschitz: Sequence[float], *, status: str = "finished", num_layers: int = 3) -> DiagnosedRun:
    """Return a training measured before updates 1, 2, 4, 8 ..., with distances 2 + 3 log t."""
    observations = tuple(
        Observation(
            iteration=2**place,
            lr=0.1,
            lipschitz=value,
            noise=GradientNoise(trace=60.0, squared_norm=0.5),
            distance=0.0 if place == 0 else 2 + 3 * math.log(2**place - 1),
            layers=tuple(
                LayerNorms(name=f"layer{i}.weight", weight=2.0, gradient=0.1 * (i + 1), applied=5.0)
                for i in range(num_layers)
            ),
        )
        for place, value in enumerate(lipschitz)
    )
    epochs = tuple(
        replace(
            epoch_metrics(epoch, 0.9),
            train_loss=1.0 / epoch,
            validation_loss=1.5 / epoch,
            iterations=NUM_SAMPLES // batch_size,
        )
        for epoch in range(1, EPOCHS + 1)
    )
    config = replace(result("legw", batch_size, "confirmation", 1, validation=0.9).trial.config, epochs=EPOCHS)
    trained = TrainResult(status=status, epochs=epochs, validation_score=0.9)  # type: ignore[arg-type]
    return DiagnosedRun(config=config, num_samples=NUM_SAMPLES, result=trained, observations=observations)


def diagnosis(*runs: DiagnosedRun) -> Diagnosis:
    sizes = tuple(run.batch_size for run in runs)
    study = study_from_text(STUDY, "synthetic.yaml")
    question = DiagnosisQuestion(study=study, arm="legw", batch_sizes=sizes, seed=1)
    return Diagnosis(question=question, runs=runs, notes=("The study's search chose [red].",))


LATER = diagnosis(run(50, [1, 2, 9, 3, 1]), run(100, [1, 2, 3, 8, 1]))
SAME = diagnosis(run(50, [1, 2, 9, 3, 1]), run(100, [1, 2, 8, 3, 1]))
EARLIER = diagnosis(run(50, [1, 2, 3, 9, 1]), run(100, [1, 8, 2, 3, 1]))


@pytest.mark.parametrize(
    ("given", "moves"),
    [
        (LATER, {"updates": "later", "epochs": "later"}),
        (SAME, {"updates": "neither", "epochs": "later"}),
        (EARLIER, {"updates": "earlier", "epochs": "earlier"}),
        (diagnosis(run(50, [1, 2, 9, 3, 1])), None),
        (diagnosis(run(50, [1, 2, 9, 3, 1]), run(100, [1, 2, 3, 8, 9])), None),
    ],
    ids=["later", "same update", "earlier", "one training", "still rising"],
)
def test_a_peak_moves_where_every_larger_batch_has_it_on_the_same_side(given: Diagnosis, moves: dict[str, str] | None):
    assert given.peak_shift == moves


@pytest.mark.parametrize(
    ("values", "inside"),
    [([1, 2.1, 1], True), ([1, 1.9, 1], False), ([1, 2, 9], False), ([9, 2, 1], False), ([-1, 0.5, 0], True)],
)
def test_a_peak_stands_out_from_the_first_value_and_is_not_the_last(values: list[float], inside: bool):
    peak = run(50, values).peak
    assert peak is not None
    assert (peak.value, peak.is_inside) == (max(values), inside)


def test_values_that_are_no_numbers_are_left_out_of_the_peak():
    assert run(50, [math.nan, math.nan]).peak is None
    peak = run(50, [1, math.nan, 7, 2]).peak
    assert peak is not None
    assert (peak.value, peak.iteration, peak.epoch) == (7, 4, 0.2)


def test_the_sentence_says_in_which_time_the_peak_moves():
    assert describe_peaks(LATER).endswith(
        "comes later in epochs and later in updates; it is largest at B=50 before update 4 (epoch 0.2), at B=100"
        " before update 8 (epoch 0.8)."
    )
    assert "comes later in epochs and neither earlier nor later in updates;" in describe_peaks(SAME)
    assert "comes earlier in epochs and earlier in updates;" in describe_peaks(EARLIER)
    flat = diagnosis(run(50, [1, 2, 9, 3]), run(100, [1, 1, 1, 1]))
    assert "shows no peak inside the run at B=100; it is largest at B=50 before update 4" in describe_peaks(flat)
    assert describe_peaks(diagnosis(run(50, [1, 1]))).endswith("no peak inside the run at B=50.")


def test_the_law_that_made_the_distances_is_found():
    fits = LATER.runs[0].fits
    assert fits["log t"].r_squared == pytest.approx(1.0)
    assert (fits["log t"].intercept, fits["log t"].slope) == pytest.approx((2.0, 3.0))
    assert fits["sqrt t"].r_squared < 0.99
    assert describe_distance(LATER).endswith("better by log t at 2 of 2 batch sizes, with an R² of 1.00")


def test_the_noise_scale_of_the_end_is_the_median_of_the_last_fifth():
    made = run(50, [1] * 15)
    scales = [*[9.0] * 12, 10.0, 1e6, 30.0]
    seen = [
        replace(o, noise=GradientNoise(trace=scale, squared_norm=1.0))
        for o, scale in zip(made.observations, scales, strict=True)
    ]
    assert replace(made, observations=tuple(seen)).late_noise_scale == 30.0
    lost = [replace(o, noise=GradientNoise(trace=1.0, squared_norm=-0.1)) for o in seen]
    assert replace(made, observations=tuple(lost)).late_noise_scale is None


@pytest.mark.parametrize("width", [80, 110])
def test_the_table_fits_the_terminal_and_holds_the_numbers(width: int):
    given = diagnosis(run(50, [1, 2, 9, 3, 1]), run(1000, [1, 1, 1], status="diverged"))
    text = printed(print_diagnosis, given, width=width)
    assert max(map(len, text.splitlines())) <= width
    rows = [line.split() for line in text.splitlines() if line.split()[:1] in (["50"], ["1,000"])]
    times = np.array([1, 3, 7, 15])
    r_squared = np.corrcoef(np.sqrt(times), np.log(times))[0, 1] ** 2
    assert rows[0] == ["50", "80", "9", "4", "0.2", "1", "1.000", f"{r_squared:.3f}", "120", "+0.125"]
    assert rows[1][2:5] == ["(1)", "(1)", "(1)"]
    assert "At B=1,000 training diverged in epoch 4." in text
    assert "chose [red]." in text


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_title_and_a_title_an_axis(name: str):
    for given in (LATER, diagnosis(run(50, [1.0])), diagnosis(run(50, [math.nan, math.nan], status="diverged"))):
        figure = FIGURES[name].draw(given)
        assert figure.layout.title.text
        assert all(axis.title.text for axis in figure.select_xaxes())
        assert next(iter(figure.select_yaxes())).title.text


def test_the_lipschitz_figure_shows_both_times_and_marks_the_peak():
    traces = FIGURES["lipschitz"].draw(LATER).data
    stars = [(trace.xaxis, trace.x[0], trace.y[0]) for trace in traces if trace.marker.symbol == "star"]
    assert stars == [("x", 4, 9), ("x2", 0.2, 9), ("x", 8, 8), ("x2", 0.8, 8)]


def test_a_deep_model_has_so_many_layers_drawn_from_first_to_last():
    traces = FIGURES["trust_ratios"].draw(diagnosis(run(50, [1, 2], num_layers=40))).data
    names = [trace.name for trace in traces if trace.line.dash == "solid"]
    assert (len(names), names[0], names[-1]) == (MAX_LAYERS, "layer0.weight", "layer39.weight")


def test_the_records_hold_every_number_once():
    rows = list(records(LATER))
    keys = [row[:-1] for row in rows]
    assert len(set(keys)) == len(keys)
    assert [row[-1] for row in rows if row[6] == "lipschitz_constant"] == [1, 2, 9, 3, 1, 1, 2, 3, 8, 1]
    assert {row[7] for row in rows if row[6] == "trust_ratio"} == {f"layer{i}.weight" for i in range(3)}
    assert [row[-1] for row in rows if row[6] == "loss_gap" and row[3] == 50] == pytest.approx(
        [0.5, 0.25, 1 / 6, 0.125]
    )
