"""Seconds to the baseline's score against batch size (DATE, Fig. 2): the figure and its records for a CSV file."""

from collections.abc import Sequence
from statistics import median
from typing import Any

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...analysis.selection import BASELINE
from ...analysis.time_to_target import TimeToTarget, speed_up, target_score, times_to_target
from ...trial import TrialResult
from ..text.format import format_amount, pluralize
from ..text.scores import format_score
from .style import BASELINE_SYMBOL, GREY, ArmStyle, apply_style, arm_styles, escape, line_trace, log_axis, marker_trace


def has_times_to_target(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether the baseline has a score and a run of another arm reached it."""
    return any(time.seconds for time in times_to_target(results, comparison.facts) if time.arm != BASELINE)


def time_to_target(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a line through each arm's medians and a marker for each run. The cost is ignored."""
    facts = comparison.facts
    times = times_to_target(results, facts)
    styles = {**arm_styles(facts.arms), BASELINE: ArmStyle(colour=GREY, symbol=BASELINE_SYMBOL)}
    figure = go.Figure()
    for arm in (*facts.arms, BASELINE):
        own = [time for time in times if time.arm == arm and time.seconds]
        if own:
            _draw_arm(figure, own, styles[arm])
    target = target_score(results, facts)
    assert target is not None
    apply_style(
        figure,
        title=_finding(times),
        subtitle=f"{facts.name}: seconds of training until validation reaches {format_score(target, facts.metric)}, "
        f"the baseline's {facts.metric} less the margin",
    )
    sizes = sorted({time.batch_size for time in times})
    seconds = [value for time in times for value in time.seconds]
    axis = log_axis(sizes[0] / 10**0.1, sizes[-1] * 10**0.1, "{:,}".format, ticks=sizes)
    figure.update_xaxes(axis, title_text="batch size")
    figure.update_yaxes(log_axis(0.8 * min(seconds), 1.25 * max(seconds)), title_text="seconds to the target")
    return figure


def _draw_arm(figure: go.Figure, times: Sequence[TimeToTarget], style: ArmStyle) -> None:
    name = escape(times[0].arm)
    group = None if times[0].arm == BASELINE else name  # an arm keeps its colour in every figure
    medians = [time for time in times if time.median_seconds is not None]
    sizes, seconds = [time.batch_size for time in medians], [time.median_seconds for time in medians]
    figure.add_trace(line_trace(sizes, seconds, style.colour, group=group))
    runs = [(time, *run) for time in times for run in zip(time.seconds, time.epochs, strict=True)]
    hovers = [
        f"{name} at B={time.batch_size:,}: {format_amount(seconds)} s, after {pluralize(epoch, 'epoch')}; "
        f"{len(time.seconds)} of {pluralize(time.num_runs, 'run')} got there"
        for time, seconds, epoch in runs
    ]
    places, heights = [time.batch_size for time, _, _ in runs], [seconds for _, seconds, _ in runs]
    figure.add_trace(marker_trace(places, heights, style, hovers, size=9, name=name, group=group))


def _finding(times: Sequence[TimeToTarget]) -> str:
    """Name the largest speed-up over the baseline, or state that there is none."""
    found = [(ratio, time) for time in times if time.arm != BASELINE and (ratio := speed_up(times, time)) is not None]
    if not found:
        return "No arm reaches the baseline's score in half of its runs"
    ratio, fastest = max(found, key=lambda pair: pair[0])
    who = f"{fastest.arm} at B={fastest.batch_size:,}"
    if ratio > 1:
        return f"{who} is there first, {ratio:.2g} times as fast as the baseline"
    return f"No arm is there before the baseline; {who} takes {1 / ratio:.3g} times its seconds"


def time_to_target_records(comparison: Comparison, results: Sequence[TrialResult]) -> list[dict[str, Any]]:
    """Return the data of the figure `time_to_target` with speed-ups: one record for each arm and batch size.

    Medians count runs that never reach the target as slower than all others. There is no record if the baseline has no
    score.
    """
    facts = comparison.facts
    target, times = target_score(results, facts), times_to_target(results, facts)
    return [
        {
            "study": facts.name,
            "arm": time.arm,
            "batch_size": time.batch_size,
            "metric": facts.metric,
            "target": target,
            "runs": time.num_runs,
            "reached": len(time.seconds),
            "median_seconds": time.median_seconds,
            "speed_up": speed_up(times, time),
            "fewest_seconds": min(time.seconds, default=None),
            "most_seconds": max(time.seconds, default=None),
            "median_epochs_of_those": median(time.epochs) if time.epochs else None,
        }
        for time in times
    ]
