"""Contours: the validation score over the two most important hyperparameters of each search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from ...analysis.comparison import Comparison
from ...analysis.study_facts import StudyFacts
from ...study.comprehensive import OPTIMIZER
from ...study.search_space import Choice, Space
from ...trial import TrialResult, is_score
from ..text.format import format_option, join_names, pluralize
from .hyperparameters import ParamAxis, param_axis, param_names, trial_hover
from .ranked_searches import ranked_searches
from .searches import Search, chosen_trial, scores_without_diverged, searches
from .style import (
    GREY,
    LOST_SYMBOL,
    ArmStyle,
    apply_style,
    escape,
    fit_score_range,
    legend_entry,
    marker_trace,
    panel_place,
)
from .surface import score_colours, surfaces

CELLS = 60
"""Places along an axis of numbers at which the score is estimated."""
UNIFORM_SPREAD = 0.29
"""Standard deviation of values spread evenly over an axis from 0 to 1, for Scott's bandwidth."""
FARTHEST = 1.25
"""Bandwidths from the nearest trial beyond which no score is estimated."""
MANY_TRIALS = 100
"""With more trials in a panel, markers are smaller."""
_COLUMNS = 2
_ROW_HEIGHT = 330
_CHOSEN = "#D55E00"
_LOST: Mapping[str, str] = {"diverged": LOST_SYMBOL, "pruned": "circle-open", "failed": "cross-thin"}
"""Symbols of trials without a score of their own colour."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The two most important hyperparameters of a search and the trials that have both.

    Attributes:
        across: the more important one.
        upwards: the other one.
        trials: the trials with both.
        num_trials: all trials of the search.
        chosen: the search's choice; None without any.
    """

    across: ParamAxis
    upwards: ParamAxis
    trials: Sequence[TrialResult]
    num_trials: int
    chosen: TrialResult | None

    def places(self, trials: Sequence[TrialResult]) -> tuple[list[float], list[float]]:
        """Return where trials lie on both axes, from 0 to 1."""
        across, upwards = self.across, self.upwards
        return (
            [across.place(trial.trial.params[across.name]) for trial in trials],
            [upwards.place(trial.trial.params[upwards.name]) for trial in trials],
        )


def has_contours(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether the hyperparameters of a search can be ranked that is not drawn as a grid."""
    return bool(ranked_searches(comparison.facts, results).keys() - surfaces(comparison.facts, results).keys())


def pairs(facts: StudyFacts, results: Sequence[TrialResult]) -> dict[Search, Pair]:
    """Return the two most important hyperparameters of every search that is not drawn as a grid over two."""
    drawn, all_trials = surfaces(facts, results), searches(facts, results)
    found = {}
    for search, ranked in ranked_searches(facts, results).items():
        if search in drawn:
            continue
        names = ranked.names(higher_is_better=facts.higher_is_better)[:2]
        trials = [trial for trial in all_trials[search] if all(name in trial.trial.params for name in names)]
        has_solvers = any(OPTIMIZER in params for params in ranked.params)  # which have ranges of their own
        ranges = {} if has_solvers else ranked.space
        across, upwards = (_axis(name, trials, ranges) for name in names)
        found[search] = Pair(
            across=across,
            upwards=upwards,
            trials=trials,
            num_trials=len(all_trials[search]),
            chosen=chosen_trial(facts, search[0], all_trials[search]),
        )
    return found


def _axis(name: str, trials: Sequence[TrialResult], ranges: Space) -> ParamAxis:
    """Return a hyperparameter's axis. Listed values have no neighbours, even if they are numbers."""
    values, param = [trial.trial.params[name] for trial in trials], ranges.get(name)
    if isinstance(param, Choice):
        listed = dict.fromkeys(format_option(value) for value in (*param.choices, *values))
        return ParamAxis(name=name, categories=tuple(listed))
    return param_axis(name, values, [] if param is None else [param])


def contours(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a marker for each trial over the mean score of the trials nearby. The cost is ignored."""
    facts = comparison.facts
    found = pairs(facts, results)
    sound = [trial for one in found.values() for trial in _sound(one.trials)]
    scale = fit_score_range(scores_without_diverged(sound), facts.metric, higher_is_better=facts.higher_is_better)
    num_columns = min(_COLUMNS, len(found))
    num_rows = -(-len(found) // num_columns)
    figure = make_subplots(
        rows=num_rows,
        cols=num_columns,
        specs=[
            [{} if row * num_columns + column < len(found) else None for column in range(num_columns)]
            for row in range(num_rows)
        ],
        subplot_titles=[_title(search, one) for search, one in found.items()],
        horizontal_spacing=0.12,
        vertical_spacing=100 / (_ROW_HEIGHT * max(2, num_rows)),
    )
    for place, one in enumerate(found.values()):
        where = panel_place(place, num_columns)
        figure.add_traces(_traces(facts, one), rows=where["row"], cols=where["col"])
        for update, axis in ((figure.update_xaxes, one.across), (figure.update_yaxes, one.upwards)):
            ticks, texts = axis.ticks()
            update(tickvals=ticks, ticktext=texts, title_text=escape(axis.name), **where)
    lost = {trial.status for one in found.values() for trial in one.trials if not _is_sound(trial)}
    entries = [legend_entry("chosen", "circle-open", size=13).update(marker_color=_CHOSEN)]
    entries += [_lost_entry(status) for status in _LOST if status in lost]
    figure.add_traces(entries, rows=1, cols=1)
    figure.update_xaxes(range=[-0.04, 1.04], zeroline=False, showgrid=False)
    figure.update_yaxes(range=[-0.04, 1.04], zeroline=False, showgrid=False)
    figure.update_layout(coloraxis=score_colours(scale, facts.metric))
    apply_style(
        figure,
        title=_finding(found),
        subtitle=f"{facts.name}: validation score of every search trial, as its colour, over the mean of those nearby",
        panels_height=_ROW_HEIGHT * num_rows,
    )
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(showgrid=False)
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": -70 / (_ROW_HEIGHT * num_rows), "yanchor": "top"})
    return figure


def nearby_means(
    pair: Pair, trials: Sequence[TrialResult]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean score of nearby trials on a grid over the pair's axes: NaN where no trial is near.

    Weights are Gaussian with Scott's bandwidth (1992) for evenly spread values; a category has no neighbours.

    Returns:
        Places along the axis across (X), upwards (Y), and the means (Y, X).
    """
    bandwidth = UNIFORM_SPREAD * len(trials) ** (-1 / 6)
    scores = np.array([trial.validation_score for trial in trials])
    places_x, places_y = (np.array(places) for places in pair.places(trials))
    grid_x, weights_x = _weights(pair.across, places_x, bandwidth)
    grid_y, weights_y = _weights(pair.upwards, places_y, bandwidth)
    weight = weights_y @ weights_x.T
    nearest = np.zeros_like(weight)
    for along_x, along_y in zip(weights_x.T, weights_y.T, strict=True):
        np.maximum(nearest, np.outer(along_y, along_x), out=nearest)
    is_near = nearest >= np.exp(-(FARTHEST**2) / 2)
    means = np.divide(weights_y * scores @ weights_x.T, weight, out=np.full_like(weight, np.nan), where=is_near)
    return grid_x, grid_y, means


def _weights(
    axis: ParamAxis, places: NDArray[np.float64], bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the places along an axis, and the weight of every trial at each."""
    if axis.categories:
        grid = np.array([axis.place(category) for category in axis.categories])
        return grid, np.isclose(grid[:, None], places).astype(np.float64)
    grid = np.linspace(0.0, 1.0, CELLS)
    return grid, np.exp(-(((grid[:, None] - places) / bandwidth) ** 2) / 2)


def _title(search: Search, pair: Pair) -> str:
    arm, size = search
    part = f" ({len(pair.trials)} of {pluralize(pair.num_trials, 'trial')} have both)"
    return f"{escape(arm)}, B={size:,}{part if len(pair.trials) < pair.num_trials else ''}"


def _traces(facts: StudyFacts, pair: Pair) -> list[Any]:
    sound = _sound(pair.trials)
    size = 9 if len(pair.trials) <= MANY_TRIALS else 5
    traces: list[Any] = [_background(pair, sound)] if sound else []
    for status, symbol in _LOST.items():
        lost = [trial for trial in pair.trials if trial.status == status and not _is_sound(trial)]
        traces += [_markers(facts, pair, lost, symbol, size=size).update(marker=_lost_look(symbol))] if lost else []
    shown = _markers(facts, pair, sound, "circle", size=size)
    rim = {"color": "white", "width": 1 if size > 5 else 0.5}
    scores = [trial.validation_score for trial in sound]
    traces.append(shown.update(marker={"color": scores, "coloraxis": "coloraxis", "line": rim}))
    if pair.chosen is not None and pair.chosen in pair.trials:
        ring = _markers(facts, pair, [pair.chosen], "circle-open", size=size + 7)
        traces.append(ring.update(marker={"color": _CHOSEN, "line": {"width": 3}}))
    return traces


def _background(pair: Pair, sound: Sequence[TrialResult]) -> go.Contour | go.Heatmap:
    """Return the means of nearby trials: with contour lines between numbers, as bars along a category."""
    grid_x, grid_y, means = nearby_means(pair, sound)
    both_numbers = not (pair.across.categories or pair.upwards.categories)
    look: dict[str, Any] = (
        {"contours": {"coloring": "heatmap"}, "line": {"width": 0.5, "color": "rgba(255, 255, 255, 0.6)"}}
        if both_numbers
        else {"xgap": 2 if pair.across.categories else 0, "ygap": 2 if pair.upwards.categories else 0}
    )
    draw = go.Contour if both_numbers else go.Heatmap
    return draw(x=grid_x, y=grid_y, z=means, coloraxis="coloraxis", connectgaps=False, hoverinfo="skip", **look)


def _markers(facts: StudyFacts, pair: Pair, trials: Sequence[TrialResult], symbol: str, *, size: float) -> go.Scatter:
    hovers = [trial_hover(trial, facts.metric) for trial in trials]
    return marker_trace(*pair.places(trials), ArmStyle(colour=GREY, symbol=symbol), hovers, size=size)


def _lost_look(symbol: str) -> dict[str, Any]:
    return {"color": "black", "line": {"color": "black", "width": 2 if symbol.endswith("thin") else 1.2}}


def _lost_entry(status: str) -> go.Scatter:
    return legend_entry(status, _LOST[status], size=9).update(marker=_lost_look(_LOST[status]))


def _is_sound(trial: TrialResult) -> bool:
    return trial.status == "finished" and is_score(trial.validation_score)


def _sound(trials: Sequence[TrialResult]) -> list[TrialResult]:
    return [trial for trial in trials if _is_sound(trial)]


def _finding(found: Mapping[Search, Pair]) -> str:
    """Return the headline: which pairs are drawn, and in how many searches each."""
    counts: dict[str, int] = {}
    for one in found.values():
        name = join_names(param_names([dict.fromkeys(sorted((one.across.name, one.upwards.name)), 0.0)]))
        counts[name] = counts.get(name, 0) + 1
    parts = ", ".join(f"{name}{f' in {counts[name]}' if len(found) > 1 else ''}" for name in counts)
    of = f", of {pluralize(len(found), 'search')}" if len(found) > 1 else ""
    return f"The score over the two hyperparameters with the largest importances{of}: {parts}"
