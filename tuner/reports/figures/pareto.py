"""The Pareto figures and their fronts: cost against score, for arms and for single trials."""

import math
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...analysis.lost_seeds import seed_key
from ...analysis.pareto import ParetoPoint, pareto_front, trial_points
from ...analysis.runs import confirmation_runs
from ...trial import TrialResult, is_score
from ..text.costs import cost_title, cost_unit
from ..text.format import format_amount
from ..text.scores import format_score
from ..text.search_trials import format_search_trials
from ..text.seeds import describe_seeds, format_lost
from ..text.verdict import summary_line
from .panels import Panels, arm_groups
from .seed_marks import LOST_SEED, seed_marks, seed_traces
from .style import LOST_SYMBOL, MARKER_SIZE, ArmStyle, arm_styles, escape, fit_score_range, lost_trace, marker_trace

_SIDEWAYS = 0.05
"""The horizontal offset between the markers of arms with the same cost, as a share of the cost."""


def pareto_arms(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw the cost to a model against the test score: seeds, and the median of the sound ones as a large marker.

    Hollow markers add the baseline's bill.
    """
    facts = comparison.facts
    rows = [row for row in comparison.rows if row.bill is not None]
    sound = [score for row in rows for score in row.seeds.scores.values()]
    panels = Panels(
        facts=facts,
        scale=fit_score_range(sound, facts.metric, higher_is_better=facts.higher_is_better),
        unit=cost_unit(cost, [row.bill[cost] for row in rows if row.bill], tabulated=comparison.tabulated),
    )
    styles, groups = arm_styles(facts.arms), arm_groups(facts)
    for row in rows:
        group = next(group for group in groups if row.arm in group)
        same = [
            other
            for other in rows
            if other.batch_size == row.batch_size and other.arm in group and _same_cost(other, row, cost)
        ]
        place = same.index(row) - (len(same) - 1) / 2
        _draw_arm(panels, row, styles[row.arm], cost, shift=(1 + _SIDEWAYS) ** place)
    for batch_size in facts.batch_sizes:
        panels.add_front(batch_size, arm_front(comparison, batch_size, cost))
    if any(row.baseline_bill[cost] for row in rows):
        panels.add_legend_entry("with the baseline's bill", "circle", hollow=True)
    if any(row.seeds.lost for row in rows):
        panels.add_legend_entry(LOST_SEED, LOST_SYMBOL)
    return panels.finish(
        title=summary_line(comparison),
        subtitle=f"{facts.name}: what a model costs with each arm, and how well its seeds score",
        cost_title=cost_title(panels.unit, "cost to a model"),
        split="test",
    )


def _same_cost(row: ComparisonRow, other: ComparisonRow, cost: str) -> bool:
    """Return whether the markers of two arms would overlap."""
    return bool(row.bill and other.bill and math.isclose(row.bill[cost], other.bill[cost], rel_tol=_SIDEWAYS))


def _draw_arm(panels: Panels, row: ComparisonRow, style: ArmStyle, cost: str, *, shift: float) -> None:
    if row.bill is None:
        return
    name, x, metric = escape(row.arm), panels.shown(row.bill[cost]) * shift, panels.facts.metric
    bill = f"{format_amount(x / shift)} {panels.unit.label}"
    marks = seed_marks(row.seeds, [x] * len(row.seeds), panels.scale, metric, f"{row.arm}, B={row.batch_size:,}")
    for trace in seed_traces(marks, style, panels.scale, name):
        panels.add(row.batch_size, trace, arm=row.arm, costs=[x])
    median = row.seeds.median
    if median is None or panels.scale.off(median):
        panels.add_arm_entry(row.batch_size, row.arm, style)
        return
    hover = _hover(row, metric, f"{bill}, {format_search_trials(row)} search trials")
    if row.baseline_bill[cost]:
        with_baseline = panels.shown(row.bill[cost] + row.baseline_bill[cost]) * shift
        whole = f"{hover}<br>with the baseline's bill: {format_amount(with_baseline / shift)} {panels.unit.label}"
        ends = [x, with_baseline]
        trace = marker_trace(ends, [median] * 2, style, [hover, whole], size=MARKER_SIZE - 1, group=name)
        trace.update(mode="lines+markers", marker_symbol=[style.symbol, f"{style.symbol}-open"])
        trace.update(line={"color": style.colour, "width": 1, "dash": "dot"})
        panels.add(row.batch_size, trace, arm=row.arm, costs=ends)
    trace = marker_trace([x], [median], style, [hover], name=name, group=name)
    panels.add(row.batch_size, trace, arm=row.arm, costs=[x])


def _hover(row: ComparisonRow, metric: str, bill: str) -> str:
    lines = [
        f"{row.arm}, B={row.batch_size:,}",
        f"seeds: {describe_seeds(row.seeds, metric)}",
        f"{format_lost(row.seeds)} lost",
        bill,
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
        scale=fit_score_range(sound, facts.metric, higher_is_better=facts.higher_is_better),
        unit=cost_unit(cost, [point.cost for point in trial_points(shown, cost)], tabulated=comparison.tabulated),
    )
    for batch_size, group in trials.items():
        for arm, style in arm_styles(facts.arms).items():
            own = [result for result in group if result.trial.arm == arm]
            lost = comparison.row(arm, batch_size).seeds.lost
            runs = [run for run in confirmation_runs(own, arm, batch_size) if seed_key(run.trial) in lost]
            _draw_trials(panels, [result for result in own if result not in runs], style, cost)
            if runs:
                panels.add_arm_entry(batch_size, arm, style)
                panels.add(batch_size, _lost_runs(panels, runs, style.colour, cost), arm=arm)
        panels.add_front(batch_size, trial_front(comparison, shown, batch_size, cost))
    if any(row.seeds.lost for row in comparison.rows):
        panels.add_legend_entry(LOST_SEED, LOST_SYMBOL)
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
    for role, size, opacity in (("confirmation", MARKER_SIZE, 0.9), ("search", 7, 0.6), ("probe", 7, 0.6)):
        points = [(result, trial_points([result], cost)[0]) for result in results if result.trial.role == role]
        off += [point for _, point in points if panels.scale.off(point.score)]
        on_axis = [(result, point) for result, point in points if not panels.scale.off(point.score)]
        if not on_axis:
            continue
        arm, batch_size = on_axis[0][0].trial.arm, on_axis[0][1].batch_size
        costs = [panels.shown(point.cost) for _, point in on_axis]
        hovers = [_trial_hover(panels, result, point) for result, point in on_axis]
        scores = [point.score for _, point in on_axis]
        trace = marker_trace(costs, scores, style, hovers, size=size, name=escape(arm), group=escape(arm))
        panels.add(batch_size, trace.update(marker_opacity=opacity), arm=arm, costs=costs)
    if off:
        panels.add_off_axis(off[0].batch_size, off, colour=style.colour, arm=results[0].trial.arm)


def _lost_runs(panels: Panels, runs: Sequence[TrialResult], colour: str, cost: str) -> go.Scatter:
    points = trial_points(runs, cost)
    heights = [panels.scale.edge() if panels.scale.off(point.score) else point.score for point in points]
    hovers = [f"{_trial_hover(panels, run, point)}<br>lost" for run, point in zip(runs, points, strict=True)]
    costs = [panels.shown(point.cost) for point in points]
    return lost_trace(costs, heights, colour, hovers, group=escape(runs[0].trial.arm))


def _trial_hover(panels: Panels, result: TrialResult, point: ParetoPoint) -> str:
    lines = [
        point.name,
        f"{panels.facts.metric} {format_score(point.score, panels.facts.metric)}",
        f"{format_amount(panels.shown(point.cost))} {panels.unit.label}",
        *(f"{name} = {value}" for name, value in result.trial.params.items()),
    ]
    return "<br>".join(escape(line) for line in lines)


def arm_points(rows: Iterable[ComparisonRow], currency: str) -> tuple[ParetoPoint, ...]:
    """Return a point for each row that has a cost to a model and lost no seed, at the median of its seeds."""
    return tuple(
        ParetoPoint(name=row.arm, batch_size=row.batch_size, cost=row.bill[currency], score=row.seeds.median)
        for row in rows
        if row.bill is not None and row.seeds.median is not None and not row.seeds.lost
    )


def arm_front(comparison: Comparison, batch_size: int, currency: str) -> tuple[ParetoPoint, ...]:
    """Return the Pareto front over the arms of a batch size that lost no seed."""
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
