"""The slice plot: validation score against each searched hyperparameter, at each batch size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ...analysis.comparison import Comparison
from ...study.comprehensive import RULE
from ...study.search_space import Choice, has_range
from ...trial import TrialResult, TrialStatus
from ..text.format import format_option
from .hyperparameters import ParamAxis, param_axis, param_names, trial_hover
from .searches import Search, chosen_trial, scored_searches, scores_without_diverged, searches
from .style import (
    COLUMNS,
    EDGE_SIZE,
    ArmStyle,
    ScoreRange,
    apply_style,
    arm_styles,
    escape,
    fit_score_range,
    legend_entry,
    line_trace,
    marker_trace,
    score_axis_title,
    set_score_axis,
)

_ROW_HEIGHT = 280
LOST: Mapping[TrialStatus, str] = {"pruned": "line-ns-open", "failed": "cross-thin-open"}
"""Symbols of trials without a final score."""
_Cell = tuple[int, str]
"""A batch size and a hyperparameter."""


@dataclass(frozen=True, kw_only=True)
class _Slice:
    """One search against one hyperparameter: its trials with a final score that have it, the others, and the choice."""

    comparison: Comparison
    axis: ParamAxis
    scale: ScoreRange
    search: Search
    style: ArmStyle
    trials: Sequence[TrialResult]
    lost: Sequence[TrialResult]
    best: TrialResult | None


def slices(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a marker for each search trial, a ring around chosen ones, and thin lines at the ends of a range.

    Pruned and failed trials are marks at the edge. The cost is ignored.
    """
    facts = comparison.facts
    found = scored_searches(facts, results)
    lost = searches(facts, [result for result in results if result.status in LOST])
    scale = fit_score_range(
        [score for trials in found.values() for score in scores_without_diverged(trials)],
        facts.metric,
        higher_is_better=facts.higher_is_better,
    )
    grid = _grid(comparison, found)
    figure = make_subplots(
        rows=len(grid),
        cols=max(map(len, grid)),
        specs=[[{} if place < len(cells) else None for place in range(max(map(len, grid)))] for cells in grid],
        subplot_titles=[f"{escape(name)}, B={size:,}" for cells in grid for size, name in cells],
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=100 / (_ROW_HEIGHT * max(2, len(grid))),
    )
    axes = {name: _axis(comparison, found, name) for cells in grid for _, name in cells}
    styles = arm_styles(facts.arms)
    named: set[str] = set()
    for row, cells in enumerate(grid, start=1):
        for column, (size, name) in enumerate(cells, start=1):
            for search, trials in found.items():
                tried = [trial for trial in trials if name in trial.trial.params]
                if search[1] == size and tried:
                    one = _Slice(
                        comparison=comparison,
                        axis=axes[name],
                        scale=scale,
                        search=search,
                        style=styles[search[0]],
                        trials=tried,
                        lost=[trial for trial in lost.get(search, ()) if name in trial.trial.params],
                        best=chosen_trial(facts, search[0], trials),
                    )
                    figure.add_traces(list(_traces(one, search[0] not in named)), rows=row, cols=column)
                    named.add(search[0])
            ticks, texts = axes[name].ticks()
            figure.update_xaxes(tickvals=ticks, ticktext=texts, title_text=escape(name), row=row, col=column)
    shown = {trial.status for search in found for trial in lost.get(search, ())}
    figure.add_traces([legend_entry(status, LOST[status]) for status in LOST if status in shown], rows=1, cols=1)
    figure.update_xaxes(range=[-0.06, 1.06], zeroline=False)
    set_score_axis(figure, scale, facts.metric)
    figure.update_yaxes(title_text=score_axis_title(scale, facts.metric, "validation"), col=1)
    apply_style(
        figure,
        title=_finding(comparison),
        subtitle=f"{facts.name}: validation score of every search trial against each hyperparameter that was searched",
        panels_height=_ROW_HEIGHT * len(grid),
    )
    return figure


def _grid(comparison: Comparison, found: Mapping[Search, Sequence[TrialResult]]) -> list[list[_Cell]]:
    """Return the panels row by row. Each batch size starts a row, unless there is only one hyperparameter."""
    tried = [trial.trial.params for trials in found.values() for trial in trials]
    names = [name for name in param_names(tried) if name != RULE]
    sizes = [size for size in comparison.facts.batch_sizes if any(search[1] == size for search in found)]
    blocks = [[(size, names[0]) for size in sizes]] if len(names) == 1 else [[(s, n) for n in names] for s in sizes]
    return [block[start : start + COLUMNS] for block in blocks for start in range(0, len(block), COLUMNS)]


def _axis(comparison: Comparison, found: Mapping[Search, Sequence[TrialResult]], name: str) -> ParamAxis:
    tried = [trial.trial.params for trials in found.values() for trial in trials]
    spaces = [comparison.facts.spaces.get(arm, {}) for arm in dict.fromkeys(arm for arm, _ in found)]
    values = [params[name] for params in tried if name in params]
    return param_axis(name, values, [space[name] for space in spaces if name in space])


def _finding(comparison: Comparison) -> str:
    """Return the headline: which choices lie on the edge of their range."""
    parts = [f"{edge.arm}'s {edge.name} at B={edge.batch_size:,}" for edge in comparison.edges]
    if parts:
        return f"Chosen on the edge of its range, so that a better value may lie outside: {', '.join(parts)}"
    if not has_range(comparison.facts.spaces.values()):
        return "Nothing was searched over a range, so a better value may lie outside what was tried"
    return "No chosen value lies on the edge of its range"


def _traces(one: _Slice, in_legend: bool) -> Iterator[go.Scatter]:
    """Return the traces of a search, lines first so that they do not cover markers."""
    arm, space = one.search[0], one.comparison.facts.spaces.get(one.search[0], {})
    name = one.axis.name
    bounds = space.get(name)
    if bounds is not None and not isinstance(bounds, Choice):
        ends = f"{arm} searched {name} from {bounds.low:g} to {bounds.high:g}"
        yield _vertical_lines(one, [one.axis.place(bounds.low), one.axis.place(bounds.high)], "solid", ends)
    if one.best is not None and name in one.best.trial.params:
        value = one.best.trial.params[name]
        yield _vertical_lines(one, [one.axis.place(value)], "dot", f"{arm} chose {name} = {format_option(value)}")
    on_axis = [trial for trial in one.trials if not _is_off(one, trial)]
    sound = _trial_markers(one, on_axis, one.style, size=8, name=escape(arm))
    yield sound.update(marker_opacity=0.75, showlegend=in_legend)
    off = [trial for trial in one.trials if _is_off(one, trial)]
    if off:
        triangle = ArmStyle(colour=one.style.colour, symbol=one.scale.edge_symbol)
        yield _trial_markers(one, off, triangle, size=9).update(y=[one.scale.edge()] * len(off))
    for status, symbol in LOST.items():
        marked = [trial for trial in one.lost if trial.status == status]
        if marked:
            marks = _trial_markers(one, marked, ArmStyle(colour=one.style.colour, symbol=symbol), size=9)
            yield marks.update(y=[one.scale.edge()] * len(marked))
    if one.best in on_axis:
        circle = ArmStyle(colour=one.style.colour, symbol="circle-open")
        ring = _trial_markers(one, [one.best], circle, size=EDGE_SIZE + 4)
        yield ring.update(marker_line_width=2, hovertext=[f"chosen: {ring.hovertext[0]}"])


def _trial_markers(
    one: _Slice, trials: Sequence[TrialResult], style: ArmStyle, *, size: float, name: str | None = None
) -> go.Scatter:
    """Return a marker for each trial; one that is not drawn if there are none, so that the legend has the arm."""
    places = [one.axis.place(trial.trial.params[one.axis.name]) for trial in trials]
    heights = [trial.validation_score for trial in trials]
    hovers = [trial_hover(trial, one.comparison.facts.metric) for trial in trials]
    group = escape(one.search[0])
    return marker_trace(places or [None], heights or [None], style, hovers, size=size, name=name, group=group)


def _is_off(one: _Slice, trial: TrialResult) -> bool:
    return trial.validation_score is not None and one.scale.off(trial.validation_score)


def _vertical_lines(one: _Slice, places: Sequence[float], dash: str, hover: str) -> go.Scatter:
    """Return vertical lines over the full height of the panel."""
    x = [x for place in places for x in (place, place, None)]
    y = [one.scale.low, one.scale.high, None] * len(places)
    group = escape(one.search[0])
    return line_trace(x, y, one.style.colour, escape(hover), width=1, dash=dash, group=group).update(opacity=0.6)
