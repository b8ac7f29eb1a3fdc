"""The front of a search for score and cost: what every trial cost and scored, and which one was chosen."""

from collections.abc import Iterator, Sequence

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...analysis.search_fronts import SearchFront
from ...trial import TrialResult, is_score
from ..text.costs import cost_title
from ..text.format import format_amount, format_share
from ..text.scores import format_score
from ..text.search_fronts import format_tolerance, front_unit
from .hyperparameters import trial_hover
from .searches import scores_without_diverged, searches
from .slice_plot import LOST
from .style import (
    EDGE_SIZE,
    GREY,
    ArmStyle,
    ScoreRange,
    apply_style,
    arm_styles,
    escape,
    fit_score_range,
    legend_entry,
    line_trace,
    make_panels,
    marker_trace,
    num_rows,
    panel_place,
    score_axis_title,
    set_score_axis,
)

_LOST = {"diverged": "x-thin-open", **LOST}
"""Symbols at the edge of trials that have no place on the front."""
_ROOM = 0.08
"""Share of the cost axis beyond the cheapest and the dearest trial."""


def has_search_fronts(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether a search for score and cost has a finished trial."""
    return bool(comparison.search_fronts)


def search_front(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw every trial of the searches for score and cost, their fronts and choices, in the cost that they lower.

    `cost` is ignored.
    """
    facts, fronts = comparison.facts, comparison.search_fronts
    trials = {(front.arm, front.batch_size): searches(facts, results)[front.arm, front.batch_size] for front in fronts}
    sound = [trial for group in trials.values() for trial in group if _is_finished(trial)]
    scale = fit_score_range(scores_without_diverged(sound), facts.metric, higher_is_better=facts.higher_is_better)
    figure = make_panels(
        [f"{escape(front.arm)}, B={front.batch_size:,}" for front in fronts], spacing=0.05, row_spacing=0.3
    )
    styles, named = arm_styles(facts.arms), set[str]()
    for place, front in enumerate(fronts):
        where, group = panel_place(place), trials[front.arm, front.batch_size]
        for trace in _traces(comparison, front, group, styles[front.arm], scale):
            if trace.name == escape(front.arm):
                trace.showlegend = front.arm not in named
                named.add(front.arm)
            figure.add_trace(trace, **where)
        unit = front_unit(comparison, front)
        costs = [float(getattr(trial.cost, front.currency)) / unit.size for trial in group]
        room = _ROOM * (max(costs) - min(costs)) or _ROOM * max(costs) or 1.0
        figure.update_xaxes(range=[min(costs) - room, max(costs) + room], title_text=cost_title(unit, "cost"), **where)
    figure.update_xaxes(tickformat=",")
    entries = [line_trace([None], [None], GREY, width=1.5, name="front")]
    entries.append(line_trace([None], [None], GREY, width=1.5, dash="dash", name="margin of the best"))
    entries.append(legend_entry("chosen", "circle-open", size=EDGE_SIZE))
    lost = {trial.status for group in trials.values() for trial in group}
    entries += [legend_entry(status, symbol, size=9) for status, symbol in _LOST.items() if status in lost]
    figure.add_traces(entries, rows=1, cols=1)
    set_score_axis(figure, scale, facts.metric)
    figure.update_yaxes(title_text=score_axis_title(scale, facts.metric, "validation"), col=1)
    apply_style(
        figure,
        title=_finding(comparison),
        subtitle=f"{facts.name}: what every trial of a search for score and cost took and scored; ringed: chosen",
        panels_height=390.0 * num_rows(len(fronts)),
    )
    return figure


def _is_finished(trial: TrialResult) -> bool:
    return trial.status == "finished" and is_score(trial.validation_score)


def _traces(
    comparison: Comparison, front: SearchFront, trials: Sequence[TrialResult], style: ArmStyle, scale: ScoreRange
) -> Iterator[go.Scatter]:
    """Return the traces of a search: front and margin below the markers."""
    size, metric, group = front_unit(comparison, front).size, comparison.facts.metric, escape(front.arm)

    def costs(shown: Sequence[TrialResult]) -> list[float]:
        return [float(getattr(trial.cost, front.currency)) / size for trial in shown]

    dearest = max(costs(trials))
    steps = [*((point.cost / size, point.score) for point in front.front), (dearest, front.front[-1].score)]
    yield line_trace([cost for cost, _ in steps], [score for _, score in steps], GREY, width=1.5, shape="hv")
    yield line_trace([min(costs(trials)), dearest], [front.limit] * 2, GREY, width=1.5, dash="dash")
    finished = [trial for trial in trials if _is_finished(trial)]
    on_axis = [trial for trial in finished if not scale.off(trial.validation_score or 0.0)]
    heights = [trial.validation_score for trial in on_axis]
    hovers = [trial_hover(trial, metric) for trial in on_axis]
    yield marker_trace(costs(on_axis), heights, style, hovers, size=8, name=group, group=group)
    off = [trial for trial in finished if scale.off(trial.validation_score or 0.0)]
    edge = [(off, scale.edge_symbol)]
    edge += [([one for one in trials if one.status == status], symbol) for status, symbol in _LOST.items()]
    for shown, symbol in edge:
        if not shown:
            continue
        look = ArmStyle(colour=style.colour, symbol=symbol)
        texts = [trial_hover(trial, metric) for trial in shown]
        yield marker_trace(costs(shown), [scale.edge()] * len(shown), look, texts, size=9, group=group)
    ring = ArmStyle(colour=style.colour, symbol="circle-open")
    place = [front.chosen.cost / size], [front.chosen.score]
    chosen = f"chosen: {format_score(front.chosen.score, metric)} for {format_amount(place[0][0])}"
    yield marker_trace(*place, ring, [escape(chosen)], size=EDGE_SIZE + 4, group=group).update(marker_line_width=2)


def _finding(comparison: Comparison) -> str:
    """Return the headline: what the choice saved against the best score of its search."""
    parts = []
    for front in comparison.search_fronts:
        is_cheaper = front.chosen.cost < front.best.cost
        saved = f"{format_share(1 - front.chosen.cost / front.best.cost)} less" if is_cheaper else "as much"
        parts.append(f"{saved} with {front.arm} at B={front.batch_size:,}")
    within = format_tolerance(comparison.facts.margin)
    return f"The choice, within {within} of the best score, costs against the best: {', '.join(parts)}"
