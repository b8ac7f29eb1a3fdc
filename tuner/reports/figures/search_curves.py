"""The search curves: best validation score so far against cost so far, in a panel for each batch size."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from ...analysis.comparison import Comparison, ComparisonRow
from ...analysis.evidence import Incumbent, incumbents
from ...analysis.pareto import ParetoPoint
from ...analysis.study_facts import StudyFacts
from ...trial import TrialResult
from ..text.costs import cost_title, cost_unit
from ..text.format import format_amount, format_share
from ..text.scores import format_score
from .panels import Panels
from .searches import Search, searches
from .style import ArmStyle, arm_styles, escape, fit_score_range, line_trace, marker_trace


def search_curves(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a step line for each search, and a marker with a dotted line for each arm that does not search."""
    facts = comparison.facts
    curves = _curves(comparison, results, cost)
    fixed = [
        row
        for row in comparison.rows
        if not row.search.trials and row.training is not None and row.validation_score is not None
    ]
    sound = [step.score for curve in curves.values() for step in curve]
    sound += [row.validation_score for row in fixed if row.validation_score is not None and not row.num_diverged]
    costs = [curve[-1].cost for curve in curves.values()] + [row.training[cost] for row in fixed if row.training]
    panels = Panels(
        facts=facts,
        scale=fit_score_range(sound, higher_is_better=facts.higher_is_better),
        unit=cost_unit(cost, costs),
    )
    styles = arm_styles(facts.arms)
    for (arm, batch_size), curve in curves.items():
        _draw_curve(panels, arm, batch_size, curve, styles[arm])
    for row in fixed:
        ends = [curve[-1].cost for (_, batch_size), curve in curves.items() if batch_size == row.batch_size]
        _draw_fixed(panels, row, styles[row.arm], cost, max(ends, default=None))
    return panels.finish(
        title=_finding(facts, curves, panels.unit.label),
        subtitle=f"{facts.name}: best validation score so far against the cost of the search; markers are single "
        "trainings",
        cost_title=cost_title(panels.unit, "spent"),
        split="best validation",
    )


def _curves(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> dict[Search, tuple[Incumbent, ...]]:
    """Return the best-so-far curve of every search that has a score."""
    higher_is_better = comparison.facts.higher_is_better
    curves = {
        search: incumbents(trials, cost, higher_is_better=higher_is_better)
        for search, trials in searches(comparison.facts, results).items()
    }
    return {search: curve for search, curve in curves.items() if curve}


def _finding(facts: StudyFacts, curves: Mapping[Search, Sequence[Incumbent]], unit: str) -> str:
    """Return the headline: the share of its search that the reference had spent when it found its best."""
    found = {size: curves[facts.reference, size] for size in facts.batch_sizes if (facts.reference, size) in curves}
    if not found:
        return "What each search found, and what it had cost by then"
    shares = [
        next(step.cost for step in curve if step.score == curve[-1].score) / curve[-1].cost if curve[-1].cost else 1.0
        for curve in found.values()
    ]
    return (
        f"{facts.reference} had its best configuration after {', '.join(format_share(share) for share in shares)} "
        f"of the {unit} that its search took (at B={', '.join(map(str, found))})"
    )


def _draw_curve(panels: Panels, arm: str, batch_size: int, curve: Sequence[Incumbent], style: ArmStyle) -> None:
    costs = [panels.shown(step.cost) for step in curve]
    name = escape(arm)
    hovers = [
        f"{name}, {place} trials<br>{format_score(step.score, panels.facts.metric)} after "
        f"{format_amount(cost)} {panels.unit.label}"
        for place, (step, cost) in enumerate(zip(curve, costs, strict=True), start=1)
    ]
    scores = [step.score for step in curve]
    trace = marker_trace(costs, scores, style, hovers, size=6, name=f"{name} (search)", group=name)
    trace.update(mode="lines+markers", line={"shape": "hv", "color": style.colour, "width": 2})
    panels.add(batch_size, trace, costs=costs)


def _draw_fixed(panels: Panels, row: ComparisonRow, style: ArmStyle, cost: str, end: float | None) -> None:
    if row.training is None or row.validation_score is None:
        return
    point = ParetoPoint(name=row.arm, batch_size=row.batch_size, cost=row.training[cost], score=row.validation_score)
    if panels.scale.off(point.score):
        panels.add_off_axis(row.batch_size, [point], colour=style.colour, group=escape(row.arm), labelled=True)
        return
    name, start = escape(row.arm), panels.shown(point.cost)
    stop = start if end is None else max(start, panels.shown(end))
    level = line_trace([start, stop], [point.score] * 2, style.colour, width=1, dash="dot", group=name)
    panels.add(row.batch_size, level, costs=[start, stop])
    hover = f"{name}: {format_score(point.score, panels.facts.metric)} for {format_amount(start)} {panels.unit.label}"
    panels.add(row.batch_size, marker_trace([start], [point.score], style, [hover], name=name, group=name))
