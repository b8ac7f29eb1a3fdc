"""The learning curves of the confirmation runs: validation score against epoch, in a panel for each batch size."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

import plotly.graph_objects as go

from ...analysis.comparison import Comparison, confirmation_runs
from ...analysis.pareto import ParetoPoint
from ...trial import TrialResult
from ..text.costs import Unit
from ..text.format import pluralize
from ..text.headlines import summary_line
from ..text.scores import format_score
from .panels import Panels
from .style import ArmStyle, arm_styles, escape, fade, fit_score_range, line_trace, marker_trace

Curve = Mapping[int, Sequence[float]]
"""Validation scores by epoch, one score for each run that reached the epoch."""

_FEW_EPOCHS = 10
"""Up to this number of epochs, every epoch has a tick. Automatic ticks would include half epochs."""


def has_epochs(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether the results hold the epochs of an arm's confirmation run."""
    return any(
        result.epochs
        for result in results
        if result.trial.role == "confirmation" and result.trial.arm in comparison.facts.arms
    )


def learning_curves(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw the mean over seeds, with a band from the lowest to the highest score. The cost is ignored.

    The mean excludes diverged runs. Triangles mark the epochs at which they ended.
    """
    facts = comparison.facts
    runs = {(arm, size): confirmation_runs(results, arm, size) for size in facts.batch_sizes for arm in facts.arms}
    curves = {key: learning_curve(found) for key, found in runs.items()}
    means = [fmean(scores) for curve in curves.values() for scores in curve.values()]
    panels = Panels(
        facts=facts,
        scale=fit_score_range(means, higher_is_better=facts.higher_is_better),
        unit=Unit(label="epochs", size=1.0),
    )
    styles = arm_styles(facts.arms)
    for (arm, size), curve in curves.items():
        if curve:
            _draw_curve(panels, arm, size, curve, styles[arm])
        diverged = [
            ParetoPoint(name=arm, batch_size=size, cost=float(len(run.epochs)), score=run.validation_score)
            for run in runs[arm, size]
            if run.status == "diverged" and run.epochs and run.validation_score is not None
        ]
        if diverged:
            panels.add_off_axis(size, diverged, colour=styles[arm].colour, group=escape(arm))
    figure = panels.finish(
        title=_finding(comparison, curves),
        subtitle=f"{facts.name}: validation score after every epoch of the confirmation runs, mean and range over "
        "seeds",
        cost_title="epoch",
        split="validation",
        logarithmic=False,
    )
    last = max((len(run.epochs) for found in runs.values() for run in found), default=1)
    figure.update_xaxes(range=[1 - 0.03 * last, 1.03 * last], dtick=1 if last <= _FEW_EPOCHS else None)
    return figure


def learning_curve(runs: Sequence[TrialResult]) -> Curve:
    """Return the scores of the runs that did not diverge, by epoch."""
    scores: dict[int, list[float]] = {}
    for run in runs:
        if run.status == "finished":
            for epoch in run.epochs:
                if math.isfinite(epoch.validation_score):
                    scores.setdefault(epoch.epoch, []).append(epoch.validation_score)
    return dict(sorted(scores.items()))


def _finding(comparison: Comparison, curves: Mapping[tuple[str, int], Curve]) -> str:
    """Return the headline: which arm led halfway and at the end, at the largest batch size with curves."""
    facts = comparison.facts
    best = max if facts.higher_is_better else min
    for size in reversed(facts.batch_sizes):
        shown = {arm: curves[arm, size] for arm in facts.arms if curves[arm, size]}
        if not shown:
            continue
        end = max(max(curve) for curve in shown.values())
        middle = max(1, end // 2)
        leaders = [
            best((arm for arm in shown if epoch in shown[arm]), key=lambda arm: fmean(shown[arm][epoch]))
            for epoch in (middle, end)
        ]
        then = "" if leaders[0] == leaders[1] else f", {leaders[1]}"
        return f"At B={size} {leaders[0]} led after epoch {middle} of {end}{then or ' and'} at the end"
    return summary_line(comparison)


def _draw_curve(panels: Panels, arm: str, batch_size: int, curve: Curve, style: ArmStyle) -> None:
    name, epochs = escape(arm), list(curve)
    if any(len(scores) > 1 for scores in curve.values()):
        outline = [*(max(curve[epoch]) for epoch in epochs), *(min(curve[epoch]) for epoch in reversed(epochs))]
        band = line_trace([*epochs, *reversed(epochs)], outline, style.colour, width=0, group=name)
        panels.add(batch_size, band.update(fill="toself", fillcolor=fade(style.colour)))
    hovers = [
        f"{name}, epoch {epoch}: {format_score(fmean(scores), panels.facts.metric)}, "
        f"{format_score(min(scores), panels.facts.metric)} to {format_score(max(scores), panels.facts.metric)} "
        f"over {pluralize(len(scores), 'seed')}"
        for epoch, scores in curve.items()
    ]
    means = [fmean(scores) for scores in curve.values()]
    line = marker_trace(epochs, means, style, hovers, size=5, name=name, group=name)
    line.update(mode="lines+markers" if len(epochs) <= 30 else "lines", line={"color": style.colour, "width": 2})
    panels.add(batch_size, line, costs=epochs)
