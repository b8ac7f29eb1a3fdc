"""Panels: one for each batch size, with a shared score axis and a cost axis of its own.

Every figure of cost against score uses them. This module must not know what is drawn in the panels.
"""

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
    legend_entry,
    line_trace,
    log_axis,
    make_panels,
    marker_trace,
    panel_place,
    score_axis_title,
    set_score_axis,
)


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

    def __post_init__(self) -> None:
        self.figure = make_panels([f"B={size}" for size in self.facts.batch_sizes], spacing=0.03)

    def add(self, batch_size: int, trace: go.Scatter, *, costs: Sequence[float] = ()) -> None:
        """Add a trace to a batch size's panel. Each name is in the legend once."""
        trace.showlegend = trace.showlegend is not False and trace.name not in self._named
        if trace.showlegend:
            self._named.add(trace.name)
        self._costs.extend(costs)
        self.figure.add_trace(trace, **panel_place(self.facts.batch_sizes.index(batch_size)))

    def add_off_axis(
        self, batch_size: int, points: Sequence[ParetoPoint], *, colour: str, group: str, labelled: bool = False
    ) -> None:
        """Mark scores off the axis at its edge, with their values beside them if labelled."""
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
        self.add(batch_size, trace, costs=costs if labelled else [])

    def add_front(self, batch_size: int, front: Sequence[ParetoPoint]) -> None:
        """Add a Pareto front. `finish` draws it as steps: the best score for a given cost."""
        on_axis = [point for point in front if not self.scale.off(point.score)]
        if on_axis:
            self._fronts[batch_size] = on_axis

    def add_legend_entry(self, name: str, symbol: str, *, hollow: bool = False) -> None:
        """Add a legend entry for a symbol, without drawing a point."""
        entry = legend_entry(name, f"{symbol}-open" if hollow else symbol, size=10)
        self.add(self.facts.batch_sizes[0], entry)

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
        apply_style(self.figure, title=title, subtitle=subtitle, num_panels=len(self.facts.batch_sizes))
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
