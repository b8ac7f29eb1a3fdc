"""Panels: one for each batch size, with a shared score axis and a cost axis of its own.

Many arms are shown in groups: each batch size then has a panel for each group, with the reference in all of them. Every
figure of cost against score uses them. This module must not know what is drawn in the panels.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go

from ...analysis.pareto import ParetoPoint
from ...analysis.study_facts import StudyFacts
from ..text.costs import Unit
from ..text.format import format_amount
from ..text.scores import format_score
from .style import (
    EDGE_SIZE,
    GREY,
    ArmStyle,
    ScoreRange,
    apply_style,
    escape,
    legend_entry,
    line_trace,
    log_axis,
    make_panels,
    marker_trace,
    panel_place,
    score_axis_title,
    set_score_axis,
    wrap_text,
)

MOST_ARMS = 6
"""Arms that a panel shows beside the reference."""
_TITLE_WIDTH, _TITLE_LINES = 46, 2
"""Letters of a line of a panel's title, and lines."""


def arm_groups(facts: StudyFacts) -> list[tuple[str, ...]]:
    """Return the arms in groups that a panel can show, each of about the same number and with the reference."""
    others = [arm for arm in facts.arms if arm != facts.reference]
    num_groups = max(1, math.ceil(len(others) / MOST_ARMS))
    size = math.ceil(len(others) / num_groups)
    return [(facts.reference, *others[place * size : (place + 1) * size]) for place in range(num_groups)]


@dataclass(kw_only=True)
class Panels:
    """A figure of panels under construction, with this range of the score axis and unit of the cost axis."""

    facts: StudyFacts
    scale: ScoreRange
    unit: Unit
    figure: go.Figure = field(init=False)
    _costs: list[float] = field(default_factory=list)
    _named: set[str] = field(default_factory=set)
    _num_off: dict[int, int] = field(default_factory=dict)
    _fronts: dict[int, Sequence[ParetoPoint]] = field(default_factory=dict)
    _groups: Sequence[Sequence[str]] = field(init=False)

    def __post_init__(self) -> None:
        self._groups = arm_groups(self.facts)
        titles = [self._title(size, group) for size in self.facts.batch_sizes for group in self._groups]
        if len(self._groups) == 1:
            self.figure = make_panels(titles, spacing=0.03)
        else:
            self.figure = make_panels(titles, spacing=0.03, row_spacing=0.3)
            self.figure.update_annotations(font_size=12)

    def _title(self, batch_size: int, group: Sequence[str]) -> str:
        title = f"B={batch_size:,}"
        if len(self._groups) > 1:
            title = textwrap.shorten(f"{title}: {', '.join(group)}", _TITLE_LINES * _TITLE_WIDTH, placeholder=" …")
        return wrap_text(title, _TITLE_WIDTH)

    def add(self, batch_size: int, trace: go.Scatter, *, arm: str | None = None, costs: Sequence[float] = ()) -> None:
        """Add a trace to a batch size's panels: those that show the arm, or all. Each name is in the legend once."""
        first = self.facts.batch_sizes.index(batch_size) * len(self._groups)
        self._costs.extend(costs)
        for place, group in enumerate(self._groups, start=first):
            if arm is None or arm in group:
                trace.showlegend = bool(trace.name) and trace.name not in self._named
                if trace.showlegend:
                    self._named.add(trace.name)
                self.figure.add_trace(trace, **panel_place(place))

    def add_off_axis(
        self, batch_size: int, points: Sequence[ParetoPoint], *, colour: str, arm: str, labelled: bool = False
    ) -> None:
        """Mark an arm's scores off the axis at its edge, with their values beside them if labelled."""
        group = escape(arm)
        texts = [format_score(point.score, self.facts.metric) for point in points]
        place = self._num_off.get(batch_size, 0) if labelled else 0
        self._num_off[batch_size] = place + 1
        costs = [self.shown(point.cost) for point in points]
        hovers = [
            f"{group}: {text} for {format_amount(cost)} {self.unit.label}, off the axis"
            for text, cost in zip(texts, costs, strict=True)
        ]
        heights = [self.scale.edge(place)] * len(points)
        style = ArmStyle(colour=colour, symbol=self.scale.edge_symbol)
        trace = marker_trace(costs, heights, style, hovers, size=EDGE_SIZE, group=group)
        if labelled:
            trace.update(mode="markers+text", text=texts, textposition="middle right")
            trace.update(textfont={"size": 11, "color": colour})
        self.add(batch_size, trace, arm=arm, costs=costs if labelled else [])

    def add_front(self, batch_size: int, front: Sequence[ParetoPoint]) -> None:
        """Add a Pareto front. `finish` draws it as steps: the best score for a given cost."""
        on_axis = [point for point in front if not self.scale.off(point.score)]
        if on_axis:
            self._fronts[batch_size] = on_axis

    def add_arm_entry(self, batch_size: int, arm: str, style: ArmStyle) -> None:
        """Add a legend entry for an arm that has no marker of its own here, such as one without a sound seed."""
        self.add(batch_size, marker_trace([None], [None], style, name=escape(arm), group=escape(arm)), arm=arm)

    def add_legend_entry(self, name: str, symbol: str, *, hollow: bool = False) -> None:
        """Add a legend entry for a symbol, without drawing a point."""
        entry = legend_entry(name, f"{symbol}-open" if hollow else symbol, size=10)
        self.add(self.facts.batch_sizes[0], entry, arm=self._groups[0][-1])

    def shown(self, cost: float) -> float:
        """Convert a cost to the unit of the axis."""
        return cost / self.unit.size

    def finish(self, *, title: str, subtitle: str, cost_title: str, split: str, logarithmic: bool = True) -> go.Figure:
        """Draw the fronts, set the same axes in all panels, and apply the style.

        The cost axis is logarithmic, unless a cost is zero or `logarithmic` is False. `split` names the scores, as in
        "best validation".
        """
        logarithmic = logarithmic and bool(self._costs) and min(self._costs) > 0
        low, high = (
            (min(self._costs) / 1.35, max(self._costs) * 1.35) if logarithmic else (0.0, max([1.0, *self._costs]))
        )
        for batch_size, front in self._fronts.items():
            self._draw_front(batch_size, front, high)
        if logarithmic:
            self._clamp(low, high)
            self.figure.update_xaxes(log_axis(low, high, format_amount))
        self.figure.update_xaxes(title_text=cost_title)
        set_score_axis(self.figure, self.scale, self.facts.metric)
        self.figure.update_yaxes(title_text=score_axis_title(self.scale, self.facts.metric, split), col=1)
        apply_style(
            self.figure, title=title, subtitle=subtitle, num_panels=len(self.facts.batch_sizes) * len(self._groups)
        )
        return self.figure

    def _clamp(self, low: float, high: float) -> None:
        """Move markers beyond the cost axis (diverged trials that ended early) to its end."""
        inside_low, inside_high = low * (high / low) ** 0.03, high / (high / low) ** 0.03
        for trace in self.figure.data:
            if trace.mode == "markers":
                trace.x = [None if x is None else min(max(x, inside_low), inside_high) for x in trace.x]

    def _draw_front(self, batch_size: int, front: Sequence[ParetoPoint], end: float) -> None:
        costs = [self.shown(point.cost) for point in front]
        scores = [*(point.score for point in front), front[-1].score]
        self.add(batch_size, line_trace([*costs, end], scores, GREY, width=1.5, shape="hv", name="Pareto front"))
