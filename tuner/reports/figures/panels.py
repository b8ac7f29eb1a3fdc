"""Panels: one for each batch size, with a shared score axis and a cost axis of its own.

Every figure of cost against score uses them. This module must not know what is drawn in the panels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ...analysis.pareto import ParetoPoint
from ...analysis.study_facts import StudyFacts
from ..text.costs import Unit
from ..text.format import format_amount
from ..text.scores import format_score
from .style import COLUMNS, EDGE_SIZE, GREY, ScoreRange, log_ticks, num_rows, set_score_axis


@dataclass(kw_only=True)
class Panels:
    """A figure of panels under construction.

    Attributes:
        facts: facts of the study.
        scale: range of the score axis.
        unit: unit of the cost axis.
        figure: what is drawn so far.
    """

    facts: StudyFacts
    scale: ScoreRange
    unit: Unit
    figure: go.Figure = field(init=False)
    _costs: list[float] = field(default_factory=list)
    _named: set[str] = field(default_factory=set)
    _num_off: dict[int, int] = field(default_factory=dict)
    _fronts: dict[int, Sequence[ParetoPoint]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = self.facts.batch_sizes
        self.figure = make_subplots(
            rows=num_rows(len(sizes)),
            cols=min(COLUMNS, len(sizes)),
            subplot_titles=[f"B={size}" for size in sizes],
            shared_yaxes=True,
            horizontal_spacing=0.03,
            vertical_spacing=0.22 / num_rows(len(sizes)),
        )

    def add(self, batch_size: int, trace: go.Scatter, *, costs: Sequence[float] = ()) -> None:
        """Add a trace to a batch size's panel. Each name is in the legend once."""
        row, column = divmod(self.facts.batch_sizes.index(batch_size), COLUMNS)
        trace.showlegend = trace.showlegend is not False and trace.name not in self._named
        if trace.showlegend:
            self._named.add(trace.name)
        self._costs.extend(costs)
        self.figure.add_trace(trace, row=row + 1, col=column + 1)

    def add_off_axis(
        self, batch_size: int, points: Sequence[ParetoPoint], *, colour: str, group: str, labelled: bool = False
    ) -> None:
        """Mark scores off the axis at its edge, with their values beside them if labelled."""
        texts = [format_score(point.score, self.facts.metric) for point in points]
        place = self._num_off.get(batch_size, 0) if labelled else 0
        self._num_off[batch_size] = place + 1
        trace = go.Scatter(
            x=[self.shown(point.cost) for point in points],
            y=[self.scale.edge(place)] * len(points),
            mode="markers+text" if labelled else "markers",
            text=texts if labelled else None,
            textposition="middle right",
            textfont={"size": 11, "color": colour},
            marker={"symbol": self.scale.edge_symbol, "size": EDGE_SIZE, "color": colour},
            legendgroup=group,
            showlegend=False,
            hovertext=[
                f"{group}: {text} for {format_amount(self.shown(point.cost))} {self.unit.label}, off the axis"
                for text, point in zip(texts, points, strict=True)
            ],
            hoverinfo="text",
        )
        self.add(batch_size, trace, costs=[self.shown(point.cost) for point in points] if labelled else [])

    def add_front(self, batch_size: int, front: Sequence[ParetoPoint]) -> None:
        """Add a Pareto front. `finish` draws it as steps: the best score for a given cost."""
        on_axis = [point for point in front if not self.scale.off(point.score)]
        if on_axis:
            self._fronts[batch_size] = on_axis

    def add_legend_entry(self, name: str, symbol: str, *, hollow: bool = False) -> None:
        """Add a legend entry for a symbol, without drawing a point."""
        marker = {"symbol": f"{symbol}-open" if hollow else symbol, "size": 10, "color": GREY}
        self.add(self.facts.batch_sizes[0], go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=name))

    def shown(self, cost: float) -> float:
        """Convert a cost to the unit of the axis."""
        return cost / self.unit.size

    def finish(self, *, cost_title: str, score_title: str, logarithmic: bool = True) -> go.Figure:
        """Draw the fronts and set the same axes in all panels.

        The cost axis is logarithmic, unless a cost is zero or `logarithmic` is False.
        """
        logarithmic = logarithmic and bool(self._costs) and min(self._costs) > 0
        low, high = (
            (min(self._costs) / 1.35, max(self._costs) * 1.35) if logarithmic else (0.0, max([1.0, *self._costs]))
        )
        for batch_size, front in self._fronts.items():
            self._draw_front(batch_size, front, high)
        if logarithmic:
            self._clamp(low, high)
            ticks = log_ticks(low, high)
            axis = {"type": "log", "range": [math.log10(low), math.log10(high)], "tickvals": ticks}
            self.figure.update_xaxes(**axis, ticktext=[format_amount(tick) for tick in ticks])
        self.figure.update_xaxes(title_text=cost_title)
        set_score_axis(self.figure, self.scale, self.facts.metric)
        self.figure.update_yaxes(title_text=score_title, col=1)
        return self.figure

    def _clamp(self, low: float, high: float) -> None:
        """Move markers beyond the cost axis (diverged trials that ended early) to its end."""
        inside_low, inside_high = low * (high / low) ** 0.03, high / (high / low) ** 0.03
        for trace in self.figure.data:
            if trace.mode == "markers":
                trace.x = [None if x is None else min(max(x, inside_low), inside_high) for x in trace.x]

    def _draw_front(self, batch_size: int, front: Sequence[ParetoPoint], end: float) -> None:
        costs = [self.shown(point.cost) for point in front]
        trace = go.Scatter(
            x=[*costs, end],
            y=[*(point.score for point in front), front[-1].score],
            mode="lines",
            line={"shape": "hv", "color": GREY, "width": 1.5},
            name="Pareto front",
            hoverinfo="skip",
        )
        self.add(batch_size, trace)
