"""The surface: validation score over two hyperparameters of a grid, in a panel for each arm and batch size.

LIMIT Fig. 2 and LARS Fig. 4 show learning rate and warm-up this way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ....trainers.applications.metric_names import is_share
from ...analysis.comparison import Comparison
from ...analysis.selection import best_trial
from ...analysis.study_facts import StudyFacts
from ...analysis.verdict import tolerated_loss
from ...trial import TrialResult, is_score
from ..text.scores import format_score
from .hyperparameters import param_names, trial_hover
from .searches import Search, scores_without_diverged, searches, validation_scores
from .style import (
    COLUMNS,
    SCORE_COLOURS,
    ScoreRange,
    apply_style,
    escape,
    fit_score_range,
    panel_place,
    score_axis_title,
)

_CELL_HEIGHT = 44
_DIVERGED = "#D9D9D9"


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A grid of trials over two hyperparameters.

    Attributes:
        columns: values of the hyperparameter `across`, ascending.
        rows: values of the hyperparameter `upwards`, ascending.
        trials: by row and column; None where nothing was tried.
    """

    across: str
    upwards: str
    columns: tuple[float, ...]
    rows: tuple[float, ...]
    trials: tuple[tuple[TrialResult | None, ...], ...]


def has_surface(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether a search was a grid over exactly two numeric hyperparameters."""
    return bool(surfaces(comparison.facts, results))


def surfaces(facts: StudyFacts, results: Sequence[TrialResult]) -> dict[Search, Surface]:
    """Return the grids over two numeric hyperparameters: searches that tried most combinations of their values."""
    found = {}
    for search, trials in searches(facts, results).items():
        names = param_names(trial.trial.params for trial in trials)
        values = [trial.trial.params[name] for trial in trials for name in names if name in trial.trial.params]
        if len(names) != 2 or any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
            continue
        across, upwards = names
        at = {(_number(trial, across), _number(trial, upwards)): trial for trial in trials}
        columns, rows = (tuple(sorted({place[axis] for place in at})) for axis in (0, 1))
        if min(len(columns), len(rows)) < 2 or 2 * len(at) <= len(columns) * len(rows):
            continue
        cells = tuple(tuple(at.get((column, row)) for column in columns) for row in rows)
        found[search] = Surface(across=across, upwards=upwards, columns=columns, rows=rows, trials=cells)
    return found


def surface(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a coloured square for each trial; grey squares with a cross diverged. The cost is ignored."""
    facts = comparison.facts
    found = surfaces(facts, results)
    cells = [trial for one in found.values() for row in one.trials for trial in row if trial is not None]
    scale = fit_score_range(scores_without_diverged(cells), facts.metric, higher_is_better=facts.higher_is_better)
    num_columns = min(COLUMNS, len(found))
    num_rows = -(-len(found) // num_columns)
    row_height = 110 + _CELL_HEIGHT * max(len(one.rows) for one in found.values())
    figure = make_subplots(
        rows=num_rows,
        cols=num_columns,
        specs=[
            [{} if row * num_columns + column < len(found) else None for column in range(num_columns)]
            for row in range(num_rows)
        ],
        subplot_titles=[f"{escape(arm)}, B={size:,}" for arm, size in found],
        horizontal_spacing=0.08,
        vertical_spacing=100 / (row_height * max(2, num_rows)),
    )
    for place, one in enumerate(found.values()):
        where = panel_place(place, num_columns)
        figure.add_traces(_cells(one, facts, scale), rows=where["row"], cols=where["col"])
        _outline_choice(figure, one, where, higher_is_better=facts.higher_is_better)
        figure.update_xaxes(**_axis(one.across, one.columns), **where)
        figure.update_yaxes(**_axis(one.upwards, one.rows), **where)
    figure.update_layout(coloraxis=score_colours(scale, facts.metric))
    apply_style(
        figure,
        title=_finding(facts, found),
        subtitle=f"{facts.name}: validation score of every point of the grid; crossed out: diverged; framed: chosen",
        panels_height=row_height * num_rows,
    )
    return figure


def score_colours(scale: ScoreRange, metric: str) -> dict[str, Any]:
    """Return the colour axis of validation scores, with a bar that names them."""
    return {
        "colorscale": SCORE_COLOURS,
        "reversescale": not scale.higher_is_better,
        "cmin": scale.low,
        "cmax": scale.high,
        "colorbar": {
            "title": {"text": score_axis_title(scale, metric, "validation"), "side": "right"},
            "tickformat": ".1%" if is_share(metric) else None,
            "thickness": 14,
        },
    }


def _finding(facts: StudyFacts, found: dict[Search, Surface]) -> str:
    """Return the headline: how many grid points are within the margin of the best."""
    sign = 1.0 if facts.higher_is_better else -1.0
    parts = []
    for (arm, size), one in found.items():
        cells = [trial for row in one.trials for trial in row if trial is not None]
        scores = [sign * score for score in validation_scores(cells)]
        if not scores:
            continue
        near = sum(score >= max(scores) - tolerated_loss(facts.margin, max(scores)) for score in scores)
        diverged = sum(trial.status == "diverged" for trial in cells)
        parts.append(f"{near} of {len(cells)} with {arm} at B={size:,}{f' ({diverged} diverged)' if diverged else ''}")
    return f"Within {100 * (1 - facts.margin):.3g}% of the best grid point: {', '.join(parts)}"


def _cells(one: Surface, facts: StudyFacts, scale: ScoreRange) -> list[go.Heatmap]:
    """Return the scores as colours, with diverged and failed trials in grey."""
    places = {"x": list(range(len(one.columns))), "y": list(range(len(one.rows))), "xgap": 2, "ygap": 2}
    hover = [["" if trial is None else trial_hover(trial, facts.metric) for trial in row] for row in one.trials]
    sound = go.Heatmap(
        z=[[trial.validation_score if trial and _is_sound(trial) else None for trial in row] for row in one.trials],
        text=[[_score(trial, facts.metric) for trial in row] for row in one.trials],
        texttemplate="%{text}",
        coloraxis="coloraxis",
        hovertext=hover,
        hoverinfo="text",
        **places,
    )
    lost = go.Heatmap(
        z=[[1.0 if trial and not _is_sound(trial) else None for trial in row] for row in one.trials],
        text=[[_cross(trial) for trial in row] for row in one.trials],
        texttemplate="%{text}",
        textfont={"color": "#444444", "size": 15},
        colorscale=[[0, _DIVERGED], [1, _DIVERGED]],
        showscale=False,
        hovertext=hover,
        hoverinfo="text",
        **places,
    )
    return [sound, lost]


def _is_sound(trial: TrialResult) -> bool:
    return trial.status != "diverged" and is_score(trial.validation_score)


def _cross(trial: TrialResult | None) -> str:
    """Return the marker of a trial without a score."""
    if trial is None or _is_sound(trial):
        return ""
    return "×" if trial.status == "diverged" else "failed"


def _score(trial: TrialResult | None, metric: str) -> str:
    if trial is None or trial.validation_score is None or not _is_sound(trial):
        return ""
    return format_score(trial.validation_score, metric).removesuffix("%")


def _outline_choice(figure: go.Figure, one: Surface, where: Mapping[str, int], *, higher_is_better: bool) -> None:
    cells = [trial for cells in one.trials for trial in cells if trial is not None]
    picked = best_trial(cells, higher_is_better=higher_is_better)
    if picked is None:
        return
    x = one.columns.index(_number(picked, one.across))
    y = one.rows.index(_number(picked, one.upwards))
    corners = {"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5}
    figure.add_shape(type="rect", **corners, line={"color": "#D55E00", "width": 3}, **where)


def _axis(name: str, values: Sequence[float]) -> dict[str, object]:
    return {
        "title_text": escape(name),
        "tickvals": list(range(len(values))),
        "ticktext": [f"{value:.3g}" for value in values],
        "range": [-0.5, len(values) - 0.5],
        "showgrid": False,
    }


def _number(trial: TrialResult, name: str) -> float:
    value = trial.trial.params[name]
    assert isinstance(value, int | float)  # ensured by surfaces
    return float(value)
