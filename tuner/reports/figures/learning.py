"""The learning curves of the confirmation runs: validation score against epoch, in a panel for each batch size."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...analysis.lost_seeds import seed_key
from ...analysis.runs import confirmation_runs
from ...analysis.time_to_target import has_curve
from ...trial import TrialResult
from ..text.costs import Unit
from ..text.format import pluralize
from ..text.scores import format_score
from ..text.verdict import summary_line
from .panels import Panels
from .seed_marks import LOST_SEED
from .style import (
    LOST_SYMBOL,
    ArmStyle,
    arm_styles,
    escape,
    fit_score_range,
    line_trace,
    lost_trace,
    marker_trace,
)

Curve = Mapping[int, Sequence[float]]
"""Validation scores by epoch, one score for each run that reached the epoch."""

_FEW_EPOCHS = 10
"""Up to this number of epochs, every epoch has a tick. Automatic ticks would include half epochs."""


def has_epochs(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether the results hold a learning curve of an arm's confirmation run."""
    return any(
        has_curve(result)
        for result in results
        if result.trial.role == "confirmation" and result.trial.arm in comparison.facts.arms
    )


def learning_curves(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a thin line for each seed, dotted with a cross at its end if it is lost, and the median of the sound ones.

    The cost is ignored.
    """
    facts = comparison.facts
    runs = {(row.arm, row.batch_size): confirmation_runs(results, row.arm, row.batch_size) for row in comparison.rows}
    sound = {
        (row.arm, row.batch_size): [
            run for run in runs[row.arm, row.batch_size] if seed_key(run.trial) in row.seeds.scores
        ]
        for row in comparison.rows
    }
    curves = {key: learning_curve(found) for key, found in sound.items()}
    medians = [median(scores) for curve in curves.values() for scores in curve.values()]
    panels = Panels(
        facts=facts,
        scale=fit_score_range(medians, facts.metric, higher_is_better=facts.higher_is_better),
        unit=Unit(label="epochs", size=1.0),
    )
    styles = arm_styles(facts.arms)
    for (arm, size), curve in curves.items():
        lost = [run for run in runs[arm, size] if run not in sound[arm, size] and run.epochs]
        for found, dash in ((sound[arm, size], None), (lost, "dot")):
            if found:
                panels.add(size, _seeds(found, styles[arm].colour, dash, escape(arm)), arm=arm)
        if lost:
            panels.add(size, _ends(panels, arm, lost, styles[arm].colour), arm=arm)
        if curve:
            _draw_median(panels, arm, size, curve, styles[arm])
        elif lost:
            panels.add_arm_entry(size, arm, styles[arm])
    if any(row.seeds.lost for row in comparison.rows):
        panels.add_legend_entry(LOST_SEED, LOST_SYMBOL)
    figure = panels.finish(
        title=_finding(comparison, curves),
        subtitle=f"{facts.name}: validation score after every epoch; thin: a seed, thick: the median of the sound ones",
        cost_title="epoch",
        split="validation",
        logarithmic=False,
    )
    last = max((len(run.epochs) for found in runs.values() for run in found), default=1)
    figure.update_xaxes(range=[1 - 0.03 * last, 1.03 * last], dtick=1 if last <= _FEW_EPOCHS else None)
    return figure


def learning_curve(runs: Sequence[TrialResult]) -> Curve:
    """Return the scores of runs by epoch."""
    scores: dict[int, list[float]] = {}
    for run in runs:
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
        shown = {arm: curve for arm, curve in shown.items() if not comparison.row(arm, size).seeds.lost}
        if not shown:
            continue
        end = max(max(curve) for curve in shown.values())
        middle = max(1, end // 2)
        leaders = [
            best((arm for arm in shown if epoch in shown[arm]), key=lambda arm: median(shown[arm][epoch]), default="")
            for epoch in (middle, end)
        ]
        if not leaders[0]:
            continue
        then = "" if leaders[0] == leaders[1] else f", {leaders[1]}"
        return f"At B={size:,} {leaders[0]} led after epoch {middle} of {end}{then or ' and'} at the end"
    return summary_line(comparison)


def _seeds(runs: Sequence[TrialResult], colour: str, dash: str | None, group: str) -> go.Scatter:
    """Return one trace with a thin line for each run."""
    x: list[float | None] = []
    y: list[float | None] = []
    for run in runs:
        x += [*(epoch.epoch for epoch in run.epochs), None]
        y += [*(epoch.validation_score for epoch in run.epochs), None]
    y = [score if score is not None and math.isfinite(score) else None for score in y]
    return line_trace(x, y, colour, width=1, dash=dash, group=group).update(opacity=0.5)


def _ends(panels: Panels, arm: str, runs: Sequence[TrialResult], colour: str) -> go.Scatter:
    """Return the crosses at the ends of lost runs, at the edge of the axis if their last score is off it."""
    scale, metric = panels.scale, panels.facts.metric
    ends = [(run.trial.config.seed, run.epochs[-1].epoch, run.epochs[-1].validation_score) for run in runs]
    heights = [score if math.isfinite(score) and not scale.off(score) else scale.edge() for _, _, score in ends]
    hovers = [
        f"{escape(arm)}, seed {seed}, lost: "
        f"{format_score(score, metric) if math.isfinite(score) else 'no score'} after epoch {epoch}"
        for seed, epoch, score in ends
    ]
    return lost_trace([epoch for _, epoch, _ in ends], heights, colour, hovers, group=escape(arm))


def _draw_median(panels: Panels, arm: str, batch_size: int, curve: Curve, style: ArmStyle) -> None:
    name, epochs = escape(arm), list(curve)
    hovers = [
        f"{name}, epoch {epoch}: {format_score(median(scores), panels.facts.metric)}, "
        f"{format_score(min(scores), panels.facts.metric)} to {format_score(max(scores), panels.facts.metric)} "
        f"over {pluralize(len(scores), 'sound seed')}"
        for epoch, scores in curve.items()
    ]
    medians = [median(scores) for scores in curve.values()]
    line = marker_trace(epochs, medians, style, hovers, size=5, name=name, group=name)
    line.update(mode="lines+markers" if len(epochs) <= 30 else "lines", line={"color": style.colour, "width": 2.5})
    panels.add(batch_size, line, arm=arm, costs=epochs)
