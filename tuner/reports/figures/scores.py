"""The score figure: the seeds of every arm in a row of its own, in a panel for each batch size."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...trial import TrialResult
from ..text.scores import format_score
from ..text.verdict import summary_line
from .seed_marks import SeedMark, lost_entry, seed_marks, seed_traces
from .style import (
    GREY,
    ArmStyle,
    ScoreRange,
    apply_style,
    arm_styles,
    escape,
    fit_score_range,
    line_trace,
    make_panels,
    num_rows,
    panel_place,
    score_axis,
    score_axis_title,
)

_ROW_HEIGHT = 27
_LONGEST_NAME = 24
_SPREAD, _HALF_LINE = 0.22, 0.38
"""How far from the middle of its row a seed, and the line of the median, may be."""
_TEXT_ROOM = 0.35
"""The share of the axis that a score written at its end may need."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    """An arm's row: its number from the top, its style, and whose seeds are in it.

    It has the arm's name beside it, so that all seeds are circles.
    """

    number: int
    style: ArmStyle
    arm: ComparisonRow

    @property
    def places(self) -> list[float]:
        """The seeds' places, spread over the row so that equal scores can be told apart."""
        last = max(1, len(self.arm.seeds) - 1)
        return [
            self.number + _SPREAD * (2 * seed / last - 1) * (len(self.arm.seeds) > 1)
            for seed in range(len(self.arm.seeds))
        ]


def scores(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw every seed's test score, and the median of an arm's sound ones as a line. The cost is ignored."""
    facts, limit = comparison.facts, comparison.yardstick.limit
    scale = _scale(comparison)
    names = _names(comparison)
    figure = make_panels([f"B={size:,}" for size in facts.batch_sizes], spacing=0.03)
    named: set[str] = set()
    for place, batch_size in enumerate(facts.batch_sizes):
        traces = list(_levels(comparison, batch_size, limit, len(names)))
        for row in _rows(comparison, batch_size):
            traces += _row_traces(row, scale, facts.metric)
        if any(row.seeds.lost for row in comparison.rows):
            traces.append(lost_entry())
        for trace in traces:
            trace.showlegend = bool(trace.name) and trace.name not in named
            named.update([trace.name] if trace.name else [])
        figure.add_traces(traces, **{f"{axis}s": number for axis, number in panel_place(place).items()})
    figure.update_xaxes(score_axis(scale, facts.metric), nticks=6)
    figure.update_xaxes(title_text=score_axis_title(scale, facts.metric, "test"))
    figure.update_yaxes(
        range=[len(names) - 0.4, -0.6], tickvals=list(range(len(names))), ticktext=names, zeroline=False
    )
    figure.update_yaxes(title_text="arm", col=1)
    apply_style(
        figure,
        title=summary_line(comparison),
        subtitle=f"{facts.name}: test score of every seed; the upright line is the median of an arm's sound seeds",
        panels_height=num_rows(len(facts.batch_sizes)) * (110 + _ROW_HEIGHT * len(names)),
    )
    return figure


def _scale(comparison: Comparison) -> ScoreRange:
    shown = [row.seeds for row in _all_rows(comparison)]
    sound = [score for seeds in shown for score in seeds.scores.values()]
    limit = comparison.yardstick.limit
    facts = comparison.facts
    scale = fit_score_range(
        [*sound, *([] if limit is None else [limit])], facts.metric, higher_is_better=facts.higher_is_better
    )
    return scale.including(limit)


def _all_rows(comparison: Comparison) -> list[ComparisonRow]:
    return [*([] if comparison.baseline is None else [comparison.baseline]), *comparison.rows]


def _names(comparison: Comparison) -> list[str]:
    """Return the escaped names of the rows, the baseline's first."""
    baseline, facts = comparison.baseline, comparison.facts
    first = [] if baseline is None else [f"{baseline.arm} (B={facts.baseline_batch_size:,})"]
    return [escape(textwrap.shorten(name, _LONGEST_NAME, placeholder="…")) for name in (*first, *facts.arms)]


def _rows(comparison: Comparison, batch_size: int) -> list[_Row]:
    styles = arm_styles(comparison.facts.arms)
    own = [row for row in _all_rows(comparison) if row is comparison.baseline or row.batch_size == batch_size]
    colours = [styles[row.arm].colour if row.arm in styles else GREY for row in own]
    return [
        _Row(number=number, style=ArmStyle(colour=colour, symbol="circle"), arm=row)
        for number, (row, colour) in enumerate(zip(own, colours, strict=True))
    ]


def _levels(comparison: Comparison, batch_size: int, limit: float | None, num_names: int) -> Iterator[go.Scatter]:
    """Return upright lines through a panel: the margin, and the reference's median."""
    facts, ends = comparison.facts, [-0.6, num_names - 0.4]
    if limit is not None:
        name = f"{100 * facts.margin:g}% of the baseline" if facts.higher_is_better else "margin to the baseline"
        yield line_trace([limit] * 2, ends, GREY, width=1.2, dash="dash", name=name)
    median = comparison.row(facts.reference, batch_size).seeds.median
    if median is not None:
        style = arm_styles(facts.arms)[facts.reference]
        name = f"median of {escape(facts.reference)}"
        yield line_trace([median] * 2, ends, style.colour, width=1, dash="dot", name=name)


def _row_traces(row: _Row, scale: ScoreRange, metric: str) -> Iterator[go.Scatter]:
    seeds, group = row.arm.seeds, escape(row.arm.arm)
    marks = seed_marks(seeds, row.places, scale, metric, f"{row.arm.arm}, B={row.arm.batch_size:,}")
    if seeds.median is not None and not scale.off(seeds.median):
        ends = [row.number - _HALF_LINE, row.number + _HALF_LINE]
        yield line_trace([seeds.median] * 2, ends, row.style.colour, width=3, group=group)
    yield from seed_traces(marks, row.style, scale, group, is_level=True)
    if text := _off_text(row, marks, scale, metric):
        yield go.Scatter(
            x=[scale.edge(1)],
            y=[row.number],
            mode="text",
            text=[text],
            textposition="middle right" if scale.higher_is_better else "middle left",
            textfont={"size": 11, "color": row.style.colour},
            hoverinfo="skip",
        )


def _off_text(row: _Row, marks: Sequence[SeedMark], scale: ScoreRange, metric: str) -> str:
    """Return the score off the axis, or of how many seeds it is; empty if there is none or it would cover a mark."""
    bad_end, good_end = (scale.low, scale.high) if scale.higher_is_better else (scale.high, scale.low)
    on_axis = [mark.place for mark in marks if not mark.is_off]
    if any((place - bad_end) / (good_end - bad_end) < _TEXT_ROOM for place in on_axis):
        return ""
    off = [entry for entry, mark in zip(row.arm.seeds.in_order, marks, strict=True) if mark.is_off]
    if len(off) != 1:
        return f"{len(off)} of {len(row.arm.seeds)}" if off else ""
    (score,) = (score for _, score, _ in off)
    return "no score" if score is None else format_score(score, metric)
