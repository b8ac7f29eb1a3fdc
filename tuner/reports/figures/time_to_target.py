"""Seconds to the baseline's score against batch size (DATE, Fig. 2)."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...analysis.time_to_target import BASELINE, TimeToTarget, speed_up, target_score, times_to_target
from ...trial import TrialResult
from ..text.format import amount_text, counted, score_text
from .style import GREY, ArmStyle, arm_styles, dress, log_ticks, safe


def has_times_to_target(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Whether the baseline has a score, and a run of another arm reached it."""
    return any(time.seconds for time in times_to_target(results, comparison.facts) if time.arm != BASELINE)


def time_to_target(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """A line an arm through the medians, a marker a run; costs other than seconds have no part in it."""
    facts = comparison.facts
    times = times_to_target(results, facts)
    styles = {**arm_styles(facts.arms), BASELINE: ArmStyle(colour=GREY, symbol="diamond-tall")}
    figure = go.Figure()
    for arm in (*facts.arms, BASELINE):
        own = [time for time in times if time.arm == arm and time.seconds]
        if own:
            _draw_arm(figure, own, styles[arm])
    target = target_score(results, facts)
    assert target is not None
    dress(
        figure,
        title=_finding(times),
        finding=f"{facts.name}: seconds of training until validation reaches {score_text(target, facts.metric)}, the "
        f"baseline's {facts.metric} less the margin",
        num_panels=1,
    )
    sizes = sorted({time.batch_size for time in times})
    seconds = [value for time in times for value in time.seconds]
    figure.update_xaxes(
        type="log",
        tickvals=sizes,
        ticktext=[f"{size:,}" for size in sizes],
        title_text="batch size",
        range=[math.log10(sizes[0]) - 0.1, math.log10(sizes[-1]) + 0.1],
    )
    low, high = 0.8 * min(seconds), 1.25 * max(seconds)
    ticks = log_ticks(low, high)
    figure.update_yaxes(
        type="log",
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
        title_text="seconds to the target",
        range=[math.log10(low), math.log10(high)],
    )
    return figure


def _draw_arm(figure: go.Figure, times: Sequence[TimeToTarget], style: ArmStyle) -> None:
    name = safe(times[0].arm)
    group = None if times[0].arm == BASELINE else name  # an arm's colour is its own in every figure
    medians = [time for time in times if time.median_seconds is not None]
    figure.add_trace(
        go.Scatter(
            x=[time.batch_size for time in medians],
            y=[time.median_seconds for time in medians],
            mode="lines",
            line={"color": style.colour, "width": 2},
            legendgroup=group,
            showlegend=False,
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[time.batch_size for time in times for _ in time.seconds],
            y=[seconds for time in times for seconds in time.seconds],
            mode="markers",
            marker={"symbol": style.symbol, "size": 9, "color": style.colour},
            name=name,
            legendgroup=group,
            hovertext=[
                f"{name} at B={time.batch_size:,}: {amount_text(seconds)} s, after {counted(epoch, 'epoch')}; "
                f"{len(time.seconds)} of {counted(time.num_runs, 'run')} got there"
                for time in times
                for seconds, epoch in zip(time.seconds, time.epochs, strict=True)
            ],
            hoverinfo="text",
        )
    )


def _finding(times: Sequence[TimeToTarget]) -> str:
    """The largest speed-up against the baseline, or that there is none."""
    found = [(ratio, time) for time in times if time.arm != BASELINE and (ratio := speed_up(times, time)) is not None]
    if not found:
        return "No arm reaches the baseline's score in half of its runs"
    ratio, fastest = max(found, key=lambda pair: pair[0])
    who = f"{fastest.arm} at B={fastest.batch_size:,}"
    if ratio > 1:
        return f"{who} is there first, {ratio:.2g} times as fast as the baseline"
    return f"No arm beats the baseline; {who} takes {1 / ratio:.3g} times its seconds"
