"""The search curves: best validation score so far against cost so far, in a panel for each batch size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...analysis.evidence import Incumbent, incumbents
from ...analysis.lost_seeds import Seeds, seed_key
from ...analysis.runs import confirmation_runs
from ...analysis.study_facts import StudyFacts
from ...trial import TrialResult, is_score
from ..text.costs import cost_title, cost_unit
from ..text.format import format_amount, format_share, format_sizes
from ..text.scores import format_score
from .panels import Panels
from .searches import Search, searches
from .seed_marks import LOST_SEED, seed_marks, seed_traces
from .style import LOST_SYMBOL, ArmStyle, arm_styles, escape, fit_score_range, line_trace, marker_trace


def search_curves(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a step line for each search; for every other arm its seeds, and a dotted line at the median of the sound."""
    facts = comparison.facts
    curves = _curves(comparison, results, cost)
    fixed = {
        (row.arm, row.batch_size): _fixed(row, results, cost)
        for row in comparison.rows
        if not row.search.trials and len(row.seeds)
    }
    sound = [step.score for curve in curves.values() for step in curve]
    sound += [score for one in fixed.values() for score in one.seeds.scores.values()]
    costs = [curve[-1].cost for curve in curves.values()] + [spent for one in fixed.values() for spent in one.costs]
    panels = Panels(
        facts=facts,
        scale=fit_score_range(sound, facts.metric, higher_is_better=facts.higher_is_better),
        unit=cost_unit(cost, costs, tabulated=comparison.tabulated),
    )
    styles = arm_styles(facts.arms)
    for (arm, batch_size), curve in curves.items():
        _draw_curve(panels, arm, batch_size, curve, styles[arm])
    for (arm, batch_size), one in fixed.items():
        ends = [curve[-1].cost for (_, size), curve in curves.items() if size == batch_size]
        _draw_fixed(panels, arm, batch_size, one, styles[arm], max(ends, default=None))
    if any(one.seeds.lost for one in fixed.values()):
        panels.add_legend_entry(LOST_SEED, LOST_SYMBOL)
    return panels.finish(
        title=_finding(facts, curves, panels.unit.label),
        subtitle=f"{facts.name}: best validation score so far against the cost of the search; markers of arms that do "
        "not search are seeds",
        cost_title=cost_title(panels.unit, "spent"),
        split="best validation",
    )


@dataclass(frozen=True, kw_only=True)
class _Fixed:
    """The seeds of an arm that does not search: their validation scores, and what each of them cost."""

    seeds: Seeds
    costs: Sequence[float]


def _fixed(row: ComparisonRow, results: Sequence[TrialResult], currency: str) -> _Fixed:
    runs = {seed_key(run.trial): run for run in confirmation_runs(results, row.arm, row.batch_size)}
    scores = {seed: run.validation_score for seed, run in runs.items() if is_score(run.validation_score)}
    seeds = Seeds(
        scores={seed: score for seed, score in scores.items() if seed in row.seeds.scores},
        lost=row.seeds.lost,
        lost_scores={seed: score for seed, score in scores.items() if seed in row.seeds.lost},
    )
    return _Fixed(seeds=seeds, costs=[float(getattr(runs[seed].cost, currency)) for seed, _, _ in seeds.in_order])


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
        f"of the {unit} that its search took (at B={format_sizes(found)})"
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
    panels.add(batch_size, trace, arm=arm, costs=costs)


def _draw_fixed(panels: Panels, arm: str, batch_size: int, fixed: _Fixed, style: ArmStyle, end: float | None) -> None:
    seeds, name, scale = fixed.seeds, escape(arm), panels.scale
    places = [panels.shown(cost) for cost in fixed.costs]
    marks = seed_marks(seeds, places, scale, panels.facts.metric, f"{arm}, B={batch_size:,}")
    for trace in seed_traces(marks, style, scale, name):
        panels.add(batch_size, trace, arm=arm, costs=places)
    if seeds.median is None or scale.off(seeds.median):
        panels.add_arm_entry(batch_size, arm, style)
        return
    start = median(places)
    stop = start if end is None else max(start, panels.shown(end))
    level = line_trace([start, stop], [seeds.median] * 2, style.colour, width=1, dash="dot", group=name)
    panels.add(batch_size, level, arm=arm, costs=[start, stop])
    hover = f"{name}: median of the sound seeds {format_score(seeds.median, panels.facts.metric)}"
    panels.add(batch_size, marker_trace([start], [seeds.median], style, [hover], name=name, group=name), arm=arm)
