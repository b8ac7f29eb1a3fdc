"""The Pareto figures and their fronts: cost against score, for arms and for single trials."""

import math
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from ...analysis.comparison import Comparison, ComparisonRow
from ...analysis.pareto import ParetoPoint, pareto_front, trial_points
from ...trial import TrialResult, is_score
from ..text.costs import cost_title, cost_unit
from ..text.format import format_amount
from ..text.headlines import summary_line
from ..text.scores import format_interval, format_score
from .panels import Panels
from .scores import error_bars, interval_ends
from .style import MARKER_SIZE, ArmStyle, arm_styles, escape, fit_score_range, marker_trace

_SIDEWAYS = 0.05
"""The horizontal offset between the markers of arms with the same cost, as a share of the cost."""


def pareto_arms(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw the cost to a model against the mean test score. Hollow markers add the baseline's bill."""
    facts = comparison.facts
    rows = [row for row in comparison.rows if row.score is not None and row.bill is not None]
    sound = [row.score for row in rows if row.score and not row.num_diverged]
    scale = fit_score_range([score.mean for score in sound], higher_is_better=facts.higher_is_better)
    panels = Panels(
        facts=facts,
        scale=scale.with_room(interval_ends(sound)),
        unit=cost_unit(cost, [row.bill[cost] for row in rows if row.bill]),
    )
    styles = arm_styles(facts.arms)
    on_axis = [row for row in rows if row.score and not panels.scale.off(row.score.mean)]
    for row in rows:
        same = [other for other in on_axis if other.batch_size == row.batch_size and _same_cost(other, row, cost)]
        place = same.index(row) - (len(same) - 1) / 2 if row in same else 0.0
        _draw_arm(panels, row, styles[row.arm], cost, shift=1 + _SIDEWAYS * place)
    for batch_size in facts.batch_sizes:
        panels.add_front(batch_size, arm_front(comparison, batch_size, cost))
    if any(row.baseline_bill[cost] for row in rows):
        panels.add_legend_entry("with the baseline's bill", "circle", hollow=True)
    return panels.finish(
        title=summary_line(comparison),
        subtitle=f"{facts.name}: what a model costs with each arm, and how well it scores",
        cost_title=cost_title(panels.unit, "cost to a model"),
        split="test",
    )


def _same_cost(row: ComparisonRow, other: ComparisonRow, cost: str) -> bool:
    """Return whether the markers of two arms would overlap."""
    return bool(row.bill and other.bill and math.isclose(row.bill[cost], other.bill[cost], rel_tol=_SIDEWAYS))


def _draw_arm(panels: Panels, row: ComparisonRow, style: ArmStyle, cost: str, *, shift: float) -> None:
    point = arm_points([row], cost)[0]
    if panels.scale.off(point.score):
        panels.add_off_axis(row.batch_size, [point], colour=style.colour, group=escape(row.arm), labelled=True)
        return
    name, x = escape(row.arm), panels.shown(point.cost) * shift
    hover = _hover(panels, row, cost)
    if row.baseline_bill[cost]:
        with_baseline = panels.shown(point.cost + row.baseline_bill[cost]) * shift
        bill = f"{hover}<br>with the baseline's bill: {format_amount(with_baseline / shift)} {panels.unit.label}"
        ends = [x, with_baseline]
        trace = marker_trace(ends, [point.score] * 2, style, [hover, bill], size=MARKER_SIZE - 1, group=name)
        trace.update(mode="lines+markers", marker_symbol=[style.symbol, f"{style.symbol}-open"])
        trace.update(line={"color": style.colour, "width": 1, "dash": "dot"})
        panels.add(row.batch_size, trace, costs=ends)
    trace = marker_trace([x], [point.score], style, [hover], name=name, group=name)
    scores = [row.score] if row.score else []
    panels.add(row.batch_size, trace.update(error_y=error_bars(scores, style.colour)), costs=[x])


def _hover(panels: Panels, row: ComparisonRow, cost: str) -> str:
    if row.score is None or row.bill is None:
        return escape(row.arm)
    lines = [
        f"{row.arm}, B={row.batch_size}",
        f"{panels.facts.metric} {format_interval(row.score, panels.facts.metric)}, {row.num_seeds} seeds",
        f"{format_amount(panels.shown(row.bill[cost]))} {panels.unit.label}, {row.search.trials} search trials",
        *(f"{name} = {value}" for name, value in row.params.items()),
    ]
    return "<br>".join(escape(line) for line in lines)


def pareto_trials(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw each trial's cost against its validation score: small markers for search, large ones for confirmation."""
    facts = comparison.facts
    trials = {batch_size: study_trials(comparison, results, batch_size) for batch_size in facts.batch_sizes}
    shown = [result for group in trials.values() for result in group]
    sound = [
        result.validation_score for result in shown if result.status != "diverged" and is_score(result.validation_score)
    ]
    panels = Panels(
        facts=facts,
        scale=fit_score_range(sound, higher_is_better=facts.higher_is_better),
        unit=cost_unit(cost, [point.cost for point in trial_points(shown, cost)]),
    )
    for batch_size, group in trials.items():
        for arm, style in arm_styles(facts.arms).items():
            _draw_trials(panels, [result for result in group if result.trial.arm == arm], style, cost)
        panels.add_front(batch_size, trial_front(comparison, shown, batch_size, cost))
    if any(panels.scale.off(point.score) for point in trial_points(shown, cost)):
        panels.add_legend_entry("diverged, or off the axis", panels.scale.edge_symbol)
    return panels.finish(
        title=_trials_finding(shown),
        subtitle=f"{facts.name}: what each training cost by itself, and how well it scored (small: search, large: "
        "confirmation)",
        cost_title=cost_title(panels.unit, "cost of the trial"),
        split="validation",
    )


def _trials_finding(trials: Sequence[TrialResult]) -> str:
    search = [result for result in trials if result.trial.role == "search"]
    num_diverged = sum(result.status == "diverged" for result in search)
    return f"{len(search)} search trials with a score, {num_diverged} of them diverged"


def _draw_trials(panels: Panels, results: Sequence[TrialResult], style: ArmStyle, cost: str) -> None:
    off: list[ParetoPoint] = []
    for role, size, opacity in (("confirmation", MARKER_SIZE, 0.9), ("search", 7, 0.6)):
        points = [(result, trial_points([result], cost)[0]) for result in results if result.trial.role == role]
        off += [point for _, point in points if panels.scale.off(point.score)]
        on_axis = [(result, point) for result, point in points if not panels.scale.off(point.score)]
        if not on_axis:
            continue
        name, batch_size = escape(on_axis[0][0].trial.arm), on_axis[0][1].batch_size
        costs = [panels.shown(point.cost) for _, point in on_axis]
        hovers = [_trial_hover(panels, result, point) for result, point in on_axis]
        scores = [point.score for _, point in on_axis]
        trace = marker_trace(costs, scores, style, hovers, size=size, name=name, group=name)
        panels.add(batch_size, trace.update(marker_opacity=opacity), costs=costs)
    if off:
        panels.add_off_axis(off[0].batch_size, off, colour=style.colour, group=escape(results[0].trial.arm))


def _trial_hover(panels: Panels, result: TrialResult, point: ParetoPoint) -> str:
    lines = [
        point.name,
        f"{panels.facts.metric} {format_score(point.score, panels.facts.metric)}",
        f"{format_amount(panels.shown(point.cost))} {panels.unit.label}",
        *(f"{name} = {value}" for name, value in result.trial.params.items()),
    ]
    return "<br>".join(escape(line) for line in lines)


def arm_points(rows: Iterable[ComparisonRow], currency: str) -> tuple[ParetoPoint, ...]:
    """Return a point for each row that has a cost to a model and a mean test score."""
    return tuple(
        ParetoPoint(name=row.arm, batch_size=row.batch_size, cost=row.bill[currency], score=row.score.mean)
        for row in rows
        if row.score is not None and row.bill is not None
    )


def arm_front(comparison: Comparison, batch_size: int, currency: str) -> tuple[ParetoPoint, ...]:
    """Return the Pareto front over the arms of a batch size."""
    rows = [row for row in comparison.rows if row.batch_size == batch_size]
    return pareto_front(arm_points(rows, currency), higher_is_better=comparison.facts.higher_is_better)


def study_trials(comparison: Comparison, results: Iterable[TrialResult], batch_size: int) -> list[TrialResult]:
    """Return the trials with a score of a study's arms at a batch size, without the baseline's."""
    return [
        result
        for result in results
        if result.trial.batch_size == batch_size
        and result.trial.role != "baseline"
        and result.trial.arm in comparison.facts.arms
        and is_score(result.validation_score)
    ]


def trial_front(
    comparison: Comparison, results: Sequence[TrialResult], batch_size: int, currency: str
) -> tuple[ParetoPoint, ...]:
    """Return the Pareto front over the trials of a batch size: cost against validation score."""
    points = trial_points(study_trials(comparison, results, batch_size), currency)
    return pareto_front(points, higher_is_better=comparison.facts.higher_is_better)
