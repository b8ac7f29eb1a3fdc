"""The score figure: test score against batch size, a line for each arm."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from ...analysis.comparison import Comparison, ComparisonRow, tolerated_loss
from ...analysis.evidence import Interval
from ...trial import TrialResult
from ..text.headlines import summary_line
from ..text.scores import format_interval, format_score, is_share
from .style import (
    EDGE_SIZE,
    GREY,
    ArmStyle,
    ScoreRange,
    apply_style,
    arm_styles,
    escape,
    fit_score_range,
    line_trace,
    marker_trace,
    score_axis_title,
    set_score_axis,
)

_SPREAD = 0.06
"""The horizontal offset between arms, as a share of a doubling of the batch size."""


@dataclass(frozen=True, kw_only=True)
class ScorePoint:
    """A mean test score at a batch size, with its escaped hover text. No axis is fitted to it if a seed diverged."""

    arm: str
    batch_size: int
    score: Interval
    hover: str
    has_diverged: bool
    is_hollow: bool = False


@dataclass(frozen=True, kw_only=True)
class ScorePlot:
    """Scores of arms against batch size, with the score of the baseline and the worst that keeps it.

    Attributes:
        arms: all arms, which decide colours, symbols and offsets.
        margin: share of the baseline's score that still counts as kept, in (0, 1].
        margin_name: what the line at the margin is called.
        ends: the batch sizes at which that line begins and ends.
    """

    arms: Sequence[str]
    points: Sequence[ScorePoint]
    baseline: ScorePoint | None
    metric: str
    higher_is_better: bool
    margin: float
    margin_name: str
    ends: tuple[float, float]

    def draw(self, figure: go.Figure) -> None:
        """Add a line for each arm, triangles for scores off the axis, and the baseline; set the score axis."""
        level, scale = self._level(), self._scale()
        for arm, style in arm_styles(self.arms).items():
            own = [point for point in self.points if point.arm == arm]
            if own:
                figure.add_trace(self._line(own, style, scale))
        for batch_size in sorted({point.batch_size for point in self.points}):
            off = [point for point in self.points if point.batch_size == batch_size and scale.off(point.score.mean)]
            if off:
                figure.add_trace(self._triangles(off, scale))
        if self.baseline is not None and level is not None:
            figure.add_trace(line_trace(self.ends, [level] * 2, GREY, width=1.2, dash="dash", name=self.margin_name))
            look, mean = ArmStyle(colour=GREY, symbol="hourglass"), self.baseline.score.mean
            marker = marker_trace([self.baseline.batch_size], [mean], look, [self.baseline.hover], name="baseline")
            figure.add_trace(marker.update(error_y=error_bars([self.baseline.score], GREY)))
        set_score_axis(figure, scale, self.metric)
        figure.update_yaxes(title_text=score_axis_title(scale, self.metric, "test"))

    def _level(self) -> float | None:
        """Return the worst score within the margin of the baseline's."""
        if self.baseline is None:
            return None
        mean = self.baseline.score.mean
        loss = tolerated_loss(self.margin, mean)
        return mean - loss if self.higher_is_better else mean + loss

    def _scale(self) -> ScoreRange:
        level = self._level()
        means = [point.score.mean for point in self.points if not point.has_diverged]
        scale = fit_score_range([*means, *([] if level is None else [level])], higher_is_better=self.higher_is_better)
        shown = [*self.points, *([] if self.baseline is None else [self.baseline])]
        sound = [point.score for point in shown if not point.has_diverged]
        ends = [*interval_ends(sound), *(score.mean for score in sound)]
        return scale.with_room([min(end, 1.0) for end in ends] if is_share(self.metric) else ends)

    def _places(self, points: Sequence[ScorePoint]) -> list[float]:
        """Return the points' batch sizes, shifted slightly by the arm's place."""
        middle = (len(self.arms) - 1) / 2
        return [point.batch_size * 2.0 ** (_SPREAD * (self.arms.index(point.arm) - middle)) for point in points]

    def _line(self, points: Sequence[ScorePoint], style: ArmStyle, scale: ScoreRange) -> go.Scatter:
        """Return a line through an arm's scores. A score off the axis breaks it."""
        name, hovers = escape(points[0].arm), [point.hover for point in points]
        heights = [None if scale.off(point.score.mean) else point.score.mean for point in points]
        trace = marker_trace(self._places(points), heights, style, hovers, name=name, group=name)
        trace.update(mode="lines+markers", line={"color": style.colour, "width": 1.5})
        trace.update(marker_symbol=[f"{style.symbol}-open" if point.is_hollow else style.symbol for point in points])
        return trace.update(error_y=error_bars([point.score for point in points], style.colour))

    def _triangles(self, points: Sequence[ScorePoint], scale: ScoreRange) -> go.Scatter:
        """Return triangles at the bad end of the axis, one above the other, with the scores beside them."""
        styles = arm_styles(self.arms)
        colours = [styles[point.arm].colour for point in points]
        return go.Scatter(
            x=self._places(points),
            y=[scale.edge(place) for place in range(len(points))],
            mode="markers+text",
            text=[f" {format_score(point.score.mean, self.metric)}" for point in points],
            textposition="middle right",
            textfont={"size": 11, "color": colours},
            marker={"symbol": scale.edge_symbol, "size": EDGE_SIZE, "color": colours},
            name="off the axis",
            showlegend=False,
            hovertext=[point.hover for point in points],
            hoverinfo="text",
            cliponaxis=False,
        )


def scores(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw the mean test score with its 95% interval against batch size (log2). The cost is ignored."""
    facts, baseline = comparison.facts, comparison.baseline
    sizes = [facts.baseline_batch_size, *facts.batch_sizes]
    figure = go.Figure()
    ScorePlot(
        arms=facts.arms,
        points=[point for row in comparison.rows if (point := _point(row, facts.metric))],
        baseline=None if baseline is None else _point(baseline, facts.metric),
        metric=facts.metric,
        higher_is_better=facts.higher_is_better,
        margin=facts.margin,
        margin_name=f"{100 * facts.margin:g}% of the baseline" if facts.higher_is_better else "margin to the baseline",
        ends=(min(sizes) / 1.3, max(sizes) * 1.5),
    ).draw(figure)
    ticks = sorted({*facts.batch_sizes, *([] if baseline is None else [facts.baseline_batch_size])})
    figure.update_xaxes(
        type="log",
        tickvals=ticks,
        ticktext=[f"{tick:,}" for tick in ticks],
        title_text="batch size (samples, logarithmic)",
    )
    apply_style(
        figure,
        title=summary_line(comparison),
        subtitle=f"{facts.name}: test score against batch size, mean and 95% interval over seeds",
    )
    return figure


def _point(row: ComparisonRow, metric: str) -> ScorePoint | None:
    if row.score is None:
        return None
    lines = [f"{row.arm}, B={row.batch_size}", f"{metric} {format_interval(row.score, metric)}, {row.num_seeds} seeds"]
    if row.num_diverged:
        lines.append(f"{row.num_diverged} of them diverged")
    hover = "<br>".join(escape(line) for line in lines)
    return ScorePoint(
        arm=row.arm, batch_size=row.batch_size, score=row.score, hover=hover, has_diverged=row.num_diverged > 0
    )


def error_bars(scores: Iterable[Interval], colour: str) -> dict[str, Any]:
    """Return plotly's error bars. A score without an interval gets no bar."""
    widths = [0.0 if score.high is None else score.high - score.mean for score in scores]
    return {"type": "data", "array": widths, "color": colour, "thickness": 1.2, "width": 3}


def interval_ends(scores: Iterable[Interval]) -> list[float]:
    """Return both ends of each interval."""
    return [end for score in scores for end in (score.low, score.high) if end is not None]
