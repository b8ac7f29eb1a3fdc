"""The score figure: test score against batch size, a line for each arm."""

from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

from ...analysis.comparison import Comparison, ComparisonRow, tolerated_loss
from ...trial import TrialResult
from ..text.headlines import summary_line
from ..text.scores import format_interval, format_score, score_title
from .style import (
    EDGE_SIZE,
    GREY,
    MARKER_SIZE,
    ScoreRange,
    apply_style,
    arm_styles,
    escape,
    fit_score_range,
    set_score_axis,
)

_SPREAD = 0.06
"""The horizontal offset between arms, as a share of a doubling of the batch size."""


def scores(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw the mean test score with its 95% interval against batch size (log2). The cost is ignored."""
    facts = comparison.facts
    rows = [row for row in comparison.rows if row.score is not None]
    level = _margin_level(comparison)
    sound = [row.score.mean for row in rows if row.score and not row.num_diverged]
    scale = fit_score_range([*sound, *([] if level is None else [level])], higher_is_better=facts.higher_is_better)
    scale = scale.with_room(interval_ends([*rows, *([comparison.baseline] if comparison.baseline else [])]))
    figure = go.Figure()
    for arm in facts.arms:
        _draw_arm(figure, comparison, [row for row in rows if row.arm == arm], scale)
    for batch_size in facts.batch_sizes:
        off = [row for row in rows if row.batch_size == batch_size and row.score and scale.off(row.score.mean)]
        _draw_off_axis(figure, comparison, off, scale)
    _draw_baseline(figure, comparison, level)
    _set_axes(figure, comparison, scale)
    apply_style(
        figure,
        title=summary_line(comparison),
        subtitle=f"{facts.name}: test score against batch size, mean and 95% interval over seeds",
        num_panels=1,
    )
    return figure


def _margin_level(comparison: Comparison) -> float | None:
    """Return the worst score within the margin of the baseline's; None if the baseline was not confirmed."""
    facts, baseline = comparison.facts, comparison.baseline
    if baseline is None or baseline.score is None:
        return None
    loss = tolerated_loss(facts.margin, baseline.score.mean)
    return baseline.score.mean - loss if facts.higher_is_better else baseline.score.mean + loss


def _shown_batch_size(comparison: Comparison, row: ComparisonRow) -> float:
    """Return the row's batch size, shifted slightly by its arm's place."""
    arms = comparison.facts.arms
    return float(row.batch_size * 2.0 ** (_SPREAD * (arms.index(row.arm) - (len(arms) - 1) / 2)))


def _draw_arm(figure: go.Figure, comparison: Comparison, rows: Sequence[ComparisonRow], scale: ScoreRange) -> None:
    """Draw a line through the arm's scores. A score off the axis breaks it."""
    if not rows:
        return
    style = arm_styles(comparison.facts.arms)[rows[0].arm]
    trace = go.Scatter(
        x=[_shown_batch_size(comparison, row) for row in rows],
        y=[None if row.score is None or scale.off(row.score.mean) else row.score.mean for row in rows],
        error_y=error_bars(rows, style.colour),
        mode="lines+markers",
        line={"color": style.colour, "width": 1.5},
        marker={"symbol": style.symbol, "size": MARKER_SIZE, "color": style.colour},
        name=escape(rows[0].arm),
        legendgroup=escape(rows[0].arm),
        hovertext=[_hover(row, comparison.facts.metric) for row in rows],
        hoverinfo="text",
    )
    figure.add_trace(trace)


def _draw_off_axis(figure: go.Figure, comparison: Comparison, rows: Sequence[ComparisonRow], scale: ScoreRange) -> None:
    """Draw triangles at the bad end of the axis, one above the other, with the scores beside them."""
    styles, metric = arm_styles(comparison.facts.arms), comparison.facts.metric
    if not rows:
        return
    colours = [styles[row.arm].colour for row in rows]
    trace = go.Scatter(
        x=[_shown_batch_size(comparison, row) for row in rows],
        y=[scale.edge(place) for place in range(len(rows))],
        mode="markers+text",
        text=[f" {format_score(row.score.mean, metric)}" for row in rows if row.score],
        textposition="middle right",
        textfont={"size": 11, "color": colours},
        marker={"symbol": scale.edge_symbol, "size": EDGE_SIZE, "color": colours},
        name="off the axis",
        showlegend=False,
        hovertext=[_hover(row, metric) for row in rows],
        hoverinfo="text",
        cliponaxis=False,
    )
    figure.add_trace(trace)


def _hover(row: ComparisonRow, metric: str) -> str:
    score = format_interval(row.score, metric) if row.score else ""
    lines = [f"{row.arm}, B={row.batch_size}", f"{metric} {score}, {row.num_seeds} seeds"]
    if row.num_diverged:
        lines.append(f"{row.num_diverged} of them diverged")
    return "<br>".join(escape(line) for line in lines)


def _draw_baseline(figure: go.Figure, comparison: Comparison, level: float | None) -> None:
    facts, baseline = comparison.facts, comparison.baseline
    if level is None or baseline is None or baseline.score is None:
        return
    sizes = [facts.baseline_batch_size, *facts.batch_sizes]
    line = go.Scatter(
        x=[min(sizes) / 1.3, max(sizes) * 1.5],
        y=[level, level],
        mode="lines",
        line={"color": GREY, "dash": "dash", "width": 1.2},
        name=f"{100 * facts.margin:g}% of the baseline" if facts.higher_is_better else "margin to the baseline",
        hoverinfo="skip",
    )
    marker = go.Scatter(
        x=[facts.baseline_batch_size],
        y=[baseline.score.mean],
        error_y=error_bars([baseline], GREY),
        mode="markers",
        marker={"symbol": "hourglass", "size": MARKER_SIZE, "color": GREY},
        name="baseline",
        hovertext=[_hover(baseline, facts.metric)],
        hoverinfo="text",
    )
    figure.add_traces([line, marker])


def _set_axes(figure: go.Figure, comparison: Comparison, scale: ScoreRange) -> None:
    facts = comparison.facts
    title = escape(score_title(facts.metric, "test", higher_is_better=facts.higher_is_better))
    set_score_axis(figure, scale, facts.metric)
    figure.update_yaxes(title_text=title)
    ticks = sorted({*facts.batch_sizes, *([facts.baseline_batch_size] if comparison.baseline else [])})
    figure.update_xaxes(
        type="log",
        tickvals=ticks,
        ticktext=[f"{tick:,}" for tick in ticks],
        title_text="batch size (samples, logarithmic)",
    )


def error_bars(rows: Sequence[ComparisonRow], colour: str) -> dict[str, Any]:
    """Return plotly's error bars for rows with a score. A row without an interval gets no bar."""
    widths = [0.0 if row.score is None or row.score.high is None else row.score.high - row.score.mean for row in rows]
    return {"type": "data", "array": widths, "color": colour, "thickness": 1.2, "width": 3}


def interval_ends(rows: Iterable[ComparisonRow]) -> list[float]:
    """Return both ends of each interval, except for arms with diverged seeds, which would stretch any axis."""
    scores = [row.score for row in rows if row.score is not None and not row.num_diverged]
    return [end for score in scores for end in (score.low, score.high) if end is not None]
