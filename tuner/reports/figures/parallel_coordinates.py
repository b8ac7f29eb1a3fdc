"""Parallel coordinates: a line for each search trial through its hyperparameters to its validation score.

Each arm has a panel of ordinary lines, because plotly's own parallel coordinates support neither logarithmic axes nor
text beside lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from ...analysis.comparison import Comparison
from ...analysis.verdict import tolerated_loss
from ...trial import TrialResult
from ..text.format import pluralize
from .hyperparameters import ParamAxis, param_axis, param_names, trial_hover
from .searches import Search, chosen_trial, scored_searches, scores_without_diverged
from .style import (
    EDGE_SIZE,
    GREY,
    SCORE_COLOURS,
    ScoreRange,
    apply_style,
    escape,
    fit_score_range,
    score_axis_title,
    set_score_axis,
)

BATCH_SIZE = "batch size"
_ROW_HEIGHT = 320


@dataclass(frozen=True, kw_only=True)
class _ArmPanel:
    """An arm's axes, in the order in which its lines cross them; the score axis is last."""

    arm: str
    axes: Sequence[ParamAxis]
    scale: ScoreRange

    def place(self, axis: ParamAxis, trial: TrialResult) -> float:
        """Return the height of a trial on an axis, in the unit of the score axis."""
        value = trial.trial.batch_size if axis.name == BATCH_SIZE else trial.trial.params[axis.name]
        return self.height(axis.place(value))

    def height(self, fraction: float) -> float:
        """Convert a fraction of an axis to the unit of the score axis."""
        return self.scale.low + (0.05 + 0.9 * fraction) * (self.scale.high - self.scale.low)


def parallel_coordinates(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a line for each search trial, coloured by score, with thick lines for chosen trials. The cost is ignored."""
    facts = comparison.facts
    found = scored_searches(facts, results)
    arms = list(dict.fromkeys(arm for arm, _ in found))
    scale = fit_score_range(
        [score for trials in found.values() for score in scores_without_diverged(trials)],
        facts.metric,
        higher_is_better=facts.higher_is_better,
    )
    figure = make_subplots(
        rows=len(arms),
        cols=1,
        subplot_titles=[escape(arm) for arm in arms],
        vertical_spacing=90 / (_ROW_HEIGHT * max(2, len(arms))),
    )
    for row, arm in enumerate(arms, start=1):
        panel = _ArmPanel(arm=arm, axes=_axes(comparison, found, arm), scale=scale)
        picked = [chosen_trial(facts, arm, trials) for search, trials in found.items() if search[0] == arm]
        trials = [trial for search, trials in found.items() if search[0] == arm for trial in trials]
        # Good trials last, so that they are drawn on top.
        trials.sort(key=lambda trial: trial.validation_score or 0.0, reverse=not facts.higher_is_better)
        lines = [_line(panel, trial, facts.metric, trial in picked) for trial in trials]
        figure.add_traces(lines, rows=row, cols=1)
        _draw_axes(figure, panel, row)
        names = [escape(axis.name) for axis in panel.axes]
        end = len(names)
        figure.update_xaxes(
            row=row,
            tickvals=list(range(end + 1)),
            ticktext=[*names, escape(facts.metric)],
            range=[-0.3, end + 0.1],
            title_text="hyperparameters, and the score they led to",
        )
    set_score_axis(figure, scale, facts.metric)
    title = score_axis_title(scale, facts.metric, "validation")
    figure.update_yaxes(title_text=title, side="right", showgrid=False, zeroline=False)
    apply_style(
        figure,
        title=_finding(comparison, found),
        subtitle=f"{facts.name}: a line a search trial, yellow where it scored well; thick: the chosen ones",
        panels_height=_ROW_HEIGHT * len(arms),
    )
    figure.update_xaxes(showline=False, ticks="", showgrid=False, zeroline=False)
    return figure


def _axes(comparison: Comparison, found: Mapping[Search, Sequence[TrialResult]], arm: str) -> list[ParamAxis]:
    """Return the axes of an arm: the batch size if there are several, then what all of its trials have a value of."""
    trials = [trial for search, trials in found.items() if search[0] == arm for trial in trials]
    space = comparison.facts.spaces.get(arm, {})
    axes = []
    if len(comparison.facts.batch_sizes) > 1:
        sizes = comparison.facts.batch_sizes
        axes.append(ParamAxis(name=BATCH_SIZE, categories=tuple(map(str, sizes))))
    for name in param_names(trial.trial.params for trial in trials):
        values = [trial.trial.params[name] for trial in trials if name in trial.trial.params]
        if len(values) == len(trials):  # solvers of a search have hyperparameters of their own
            axes.append(param_axis(name, values, [space[name]] if name in space else []))
    return axes


def _finding(comparison: Comparison, found: Mapping[Search, Sequence[TrialResult]]) -> str:
    """Return the headline: how many trials of the first search came within the margin of its best."""
    facts = comparison.facts
    sign = 1.0 if facts.higher_is_better else -1.0
    near, tried = 0, 0
    arm = next(iter(found))[0]
    for search, trials in found.items():
        if search[0] != arm:
            continue
        scores = [sign * trial.validation_score for trial in trials if trial.validation_score is not None]
        near += sum(score >= max(scores) - tolerated_loss(facts.margin, max(scores)) for score in scores)
        tried += len(scores)
    share = f"{100 * (1 - facts.margin):.3g}%"
    return f"{near} of {arm}'s {pluralize(tried, 'search trial')} came within {share} of the best of their search"


def _draw_axes(figure: go.Figure, panel: _ArmPanel, row: int) -> None:
    """Draw the axes and the values beside them, on white so that no line crosses a number."""
    for place, axis in enumerate(panel.axes):
        fractions, texts = axis.ticks()
        upright = go.Scatter(
            x=[place] * (len(fractions) + 2),
            y=[panel.height(fraction) for fraction in sorted([0.0, *fractions, 1.0])],
            mode="lines+markers",
            line={"color": GREY, "width": 1},
            marker={"symbol": "line-ew-open", "size": [0, *[7] * len(fractions), 0], "color": GREY},
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_trace(upright, row=row, col=1)
        for fraction, text in zip(fractions, texts, strict=True):
            figure.add_annotation(
                x=place,
                y=panel.height(fraction),
                text=text,
                showarrow=False,
                xanchor="right",
                xshift=-7,
                bgcolor="rgba(255, 255, 255, 0.8)",
                borderpad=1,
                font={"size": 12},
                row=row,
                col=1,
            )


def _line(panel: _ArmPanel, trial: TrialResult, metric: str, thick: bool) -> go.Scatter:
    """Return a trial's line. If its score is off the axis, the line is grey and ends in a triangle at the edge."""
    score, scale = trial.validation_score or 0.0, panel.scale
    is_off = scale.off(score)
    fraction = (score - scale.low) / (scale.high - scale.low)
    good = min(1.0, max(0.0, fraction if scale.higher_is_better else 1 - fraction))
    colour = "#BBBBBB" if is_off else sample_colorscale(SCORE_COLOURS, [good])[0]
    end = len(panel.axes)
    return go.Scatter(
        x=list(range(end + 1)),
        y=[*(panel.place(axis, trial) for axis in panel.axes), scale.edge() if is_off else score],
        mode="lines+markers",
        line={"color": colour, "width": 4 if thick else 1.5},
        marker={
            "symbol": [*["circle"] * end, scale.edge_symbol if is_off else "circle"],
            "size": [*[4] * end, EDGE_SIZE - 3 if is_off else 6],
            "color": colour,
        },
        showlegend=False,
        hovertext=[trial_hover(trial, metric)] * (end + 1),
        hoverinfo="text",
    )
