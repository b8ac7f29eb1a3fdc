"""Seconds to the baseline's score, checked by hand."""

import math
from dataclasses import replace

import pytest

from tests.synthetic_study import epoch_metrics, facts, result
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.time_to_target import target_score, times_to_target
from zerotune.tuner.reports.figures.registry import draw_figure
from zerotune.tuner.reports.figures.time_to_target import has_times_to_target, time_to_target_records
from zerotune.tuner.trial import TrialResult

FACTS = facts(arms=("tuned", "date"), zero_tuning_arms=("date",), batch_sizes=(512, 1024), margin=0.99)


def run(arm: str, batch_size: int, seed: int, scores: list[float], *, seconds: float, workers: int = 1) -> TrialResult:
    """Return a confirmation run with these scores at the end of its epochs, `seconds` device-seconds each."""
    plain = result(arm, batch_size, "confirmation", seed, validation=scores[-1], test=scores[-1])
    epochs = tuple(epoch_metrics(number, score, device_seconds=seconds) for number, score in enumerate(scores, start=1))
    return replace(plain, epochs=epochs, num_workers=workers)


RESULTS = [
    run("baseline", 256, 1, [0.5, 0.80, 0.90], seconds=10.0),
    run("baseline", 256, 2, [0.5, 0.90, 0.90], seconds=10.0),
    run("date", 512, 1, [0.6, 0.895, 0.7], seconds=6.0),
    run("date", 512, 2, [0.6, 0.80, 0.891], seconds=6.0),
    run("date", 1024, 1, [0.6, 0.7, 0.88], seconds=4.0),
    run("date", 1024, 2, [0.6, 0.7, 0.95], seconds=8.0, workers=2),
    run("tuned", 512, 1, [0.1, 0.1, 0.2], seconds=5.0),
]


def test_the_target_is_the_baselines_score_less_the_margin() -> None:
    assert target_score(RESULTS, FACTS) == pytest.approx(0.891)
    assert target_score(RESULTS[2:], FACTS) is None
    assert times_to_target(RESULTS[2:], FACTS) == []


def test_seconds_end_with_the_first_epoch_that_is_as_good_and_a_run_that_never_gets_there_is_slower_than_all() -> None:
    times = {(time.arm, time.batch_size): time for time in times_to_target(RESULTS, FACTS)}
    assert {cell: (time.seconds, time.median_seconds) for cell, time in times.items()} == {
        ("baseline", 256): ((20.0, 30.0), 25.0),
        ("tuned", 512): ((), None),
        ("date", 512): ((12.0, 18.0), 15.0),
        ("date", 1024): ((12.0,), None),  # wall-clock seconds: the two workers used 24 device-seconds
    }
    assert times["date", 512].epochs == (2, 3)
    three = [*RESULTS, run("date", 1024, 3, [0.6, 0.99], seconds=5.0)]
    assert [time.median_seconds for time in times_to_target(three, FACTS) if time.batch_size == 1024] == [12.0]


def test_a_lower_score_may_be_the_better_one() -> None:
    lower = replace(FACTS, metric="perplexity", higher_is_better=False, margin=0.9)
    results = [run("baseline", 256, 1, [200.0, 100.0], seconds=1.0), run("date", 512, 1, [109.0, 90.0], seconds=2.0)]
    assert target_score(results, lower) == pytest.approx(110.0)
    assert [time.seconds for time in times_to_target(results, lower)] == [(2.0,), (2.0,)]


def test_the_figure_shows_every_run_and_says_what_was_gained() -> None:
    comparison = compare(FACTS, RESULTS)
    assert has_times_to_target(comparison, RESULTS)
    figure = draw_figure("time_to_target", comparison, RESULTS, "device_seconds")
    markers = {trace.name: list(trace.y) for trace in figure.data if trace.mode == "markers"}
    assert markers == {"date": [12.0, 18.0, 12.0], "baseline": [20.0, 30.0]}
    assert "date at B=512 is there first, 1.7 times as fast as the baseline" in figure.layout.title.text


def test_the_figure_says_where_nothing_was_gained() -> None:
    results = [run("baseline", 256, 1, [0.5, 0.99], seconds=10.0), run("date", 512, 1, [0.5, 0.99], seconds=10.3)]
    figure = draw_figure("time_to_target", compare(FACTS, results), results, "device_seconds")
    expected = "No arm is there before the baseline; date at B=512 takes 1.03 times its seconds"
    assert expected in figure.layout.title.text


def test_the_table_has_the_seconds_and_the_speed_up_of_every_batch_size() -> None:
    """A third run at 1,024 reaches the target, so two of three do: the median is the slower one's time."""
    results = [*RESULTS, run("date", 1024, 3, [0.6, 0.99], seconds=5.0)]
    records = {(r["arm"], r["batch_size"]): r for r in time_to_target_records(compare(FACTS, results), results)}
    assert list(records) == [("baseline", 256), ("tuned", 512), ("date", 512), ("date", 1024)]
    shown = ("target", "runs", "reached", "median_seconds", "speed_up", "fewest_seconds", "most_seconds")
    rows = {cell: [record[name] for name in shown] for cell, record in records.items()}
    target = pytest.approx(0.891)
    assert rows["baseline", 256] == [target, 2, 2, 25.0, 1.0, 20.0, 30.0]
    assert rows["date", 512] == [target, 2, 2, 15.0, pytest.approx(25 / 15), 12.0, 18.0]
    assert rows["date", 1024] == [target, 3, 2, 12.0, pytest.approx(25 / 12), 10.0, 12.0]
    assert rows["tuned", 512] == [target, 1, 0, None, None, None, None]
    assert records["date", 512]["median_epochs_of_those"] == 2.5
    assert time_to_target_records(compare(FACTS, []), []) == []


def test_there_is_no_figure_where_nobody_gets_there() -> None:
    hopeless = [found for found in RESULTS if found.trial.arm != "date"]
    assert not has_times_to_target(compare(FACTS, hopeless), hopeless)


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_not_finite_reaches_no_target_and_sets_none(score: float) -> None:
    spoilt = [*RESULTS[1:], run("baseline", 256, 1, [score, 0.9, score], seconds=1.0)]
    spoilt += [run("date", 512, 3, [score, 0.895], seconds=5.0)]
    assert target_score(spoilt, FACTS) == pytest.approx(0.891)
    times = {(time.arm, time.batch_size): time.seconds for time in times_to_target(spoilt, FACTS)}
    assert times["date", 512] == (10.0, 12.0, 18.0)
