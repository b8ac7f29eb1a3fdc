"""The best-of-k figure: the expected best validation score after k trials, and K*, in a panel for each batch size."""

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...analysis.evidence import Incumbent
from ...analysis.pareto import ParetoPoint
from ...analysis.tuning_effort import expected_best
from ...trial import TrialResult
from ..text.costs import cost_unit
from ..text.format import format_sizes
from ..text.scores import format_score
from ..text.seeds import format_lost
from .panels import Panels
from .searches import Search, searches
from .style import EDGE_SIZE, ArmStyle, arm_styles, escape, fit_score_range, line_trace, marker_trace

_CERTAIN_SHARE = 5
"""Up to k = N / 5 of N trials the curve is drawn in full. Beyond that, bootstrap intervals under-cover."""
_PALE = 0.45
_MOST_NAMED = 4
"""Of more arms the headline names the range of K* only."""


def best_of_k_curves(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a curve for each search, a dotted line for each other arm, and a star where the reference reaches it.

    The cost is ignored.
    """
    facts = comparison.facts
    repeats = searches(facts, results, "repeat")
    curves = {
        search: expected_best(
            trials,
            repeats.get(search, ()),
            learned=search[0] in facts.learned_arms,
            higher_is_better=facts.higher_is_better,
            noise=comparison.seed_noise.get(search[1]),
        )
        for search, trials in searches(facts, results).items()
    }
    levels = [row for row in comparison.rows if not row.search.trials and row.validation_score is not None]
    sound = [step.score for curve in curves.values() for step in curve]
    sound += [row.validation_score for row in levels if row.validation_score is not None]
    panels = Panels(
        facts=facts,
        scale=fit_score_range(sound, facts.metric, higher_is_better=facts.higher_is_better),
        unit=cost_unit("trials", []),
    )
    styles = arm_styles(facts.arms)
    for (arm, batch_size), curve in curves.items():
        _draw_curve(panels, arm, batch_size, curve, styles[arm])
    for row in levels:
        ends = [curve[-1].cost for (_, size), curve in curves.items() if size == row.batch_size and curve]
        _draw_level(panels, row, styles[row.arm], end=max([2.0, *ends]))
    if curves and levels:
        panels.add_legend_entry(f"K*: {escape(facts.reference)} reaches it", "star")
    return panels.finish(
        title=_finding(comparison, curves),
        subtitle=f"{facts.name}: expected best validation score of k trials; dotted: one training without any search",
        cost_title="k (search trials)",
        split="expected best validation",
    )


def _finding(comparison: Comparison, curves: Mapping[Search, Sequence[Incumbent]]) -> str:
    """Return the headline: K* of every rule."""
    facts = comparison.facts
    sizes = [size for size in facts.batch_sizes if curves.get((facts.reference, size))]
    parts = []
    for arm in facts.rule_arms:
        rows = [comparison.row(arm, size) for size in sizes]
        if any(row.effort is not None and not row.seeds.lost for row in rows):
            parts.append(f"{arm}: {', '.join(map(_needed, rows))}")
    if not parts:
        return "What the best of k trials can be expected to score"
    where = format_sizes(sizes)
    if len(parts) > _MOST_NAMED:
        return (
            f"Trials that {facts.reference} needs{_basis(comparison)} to match an arm that lost no seed: "
            f"{_range(comparison, sizes)} (at B={where})"
        )
    return f"Trials that {facts.reference} needs{_basis(comparison)} to match {'; '.join(parts)} (at B={where})"


def _range(comparison: Comparison, sizes: Sequence[int]) -> str:
    """Return the smallest and the largest K* of all rules."""
    arms = comparison.facts.rule_arms
    rows = [comparison.row(arm, size) for size in sizes for arm in arms]
    sound = [row for row in rows if row.effort is not None and not row.seeds.lost]
    ordered = sorted(sound, key=lambda row: math.inf if row.trials_to_match is None else row.trials_to_match)
    ends = list(dict.fromkeys([_needed(ordered[0]), _needed(ordered[-1])]))
    return " to ".join(ends)


def _needed(row: ComparisonRow) -> str:
    """Return K* of an arm, or why there is none."""
    if row.seeds.lost:
        return "lost seeds"
    if row.effort is None:
        return "not trained"
    return f"more than {row.effort.num_trials}" if row.effort.trials is None else str(row.effort.trials)


def _basis(comparison: Comparison) -> str:
    """State what K* rests on: an average, or the single run of a search that learns."""
    efforts = [row.effort for row in comparison.rows if row.effort is not None]
    once = any(effort.learned and effort.num_searches == 1 for effort in efforts)
    return ", in the one search that was run," if once else " on average"


def _draw_curve(panels: Panels, arm: str, batch_size: int, curve: Sequence[Incumbent], style: ArmStyle) -> None:
    """Draw the curve of a search. For exchangeable trials it is full up to k = N / 5 and paler beyond."""
    if arm in panels.facts.learned_arms:
        _draw_part(panels, arm, batch_size, curve, style, pale=True)
        return
    certain = max(1, len(curve) // _CERTAIN_SHARE)
    _draw_part(panels, arm, batch_size, curve[:certain], style, pale=False)
    _draw_part(panels, arm, batch_size, curve[certain - 1 :], style, pale=True)


def _draw_part(
    panels: Panels, arm: str, batch_size: int, curve: Sequence[Incumbent], style: ArmStyle, *, pale: bool
) -> None:
    learned = arm in panels.facts.learned_arms
    ks = [step.cost for step in curve]
    name = escape(arm)
    hovers = [
        f"{name}, {'best after' if learned else 'best of'} {step.cost:g} trials: "
        f"{format_score(step.score, panels.facts.metric)}"
        for step in curve
    ]
    label = f"{name} (learns: best so far)" if learned else f"{name} (search)"
    trace = marker_trace(ks, [step.score for step in curve], style, hovers, size=6, name=label, group=name)
    shape, dash = ("hv", "dash") if learned else ("linear", "solid")
    line = {"color": style.colour, "width": 2.5, "dash": dash, "shape": shape}
    trace.update(mode="lines+markers", line=line, opacity=_PALE if pale else 1.0)
    panels.add(batch_size, trace, arm=arm, costs=ks)


def _draw_level(panels: Panels, row: ComparisonRow, style: ArmStyle, *, end: float) -> None:
    if row.validation_score is None:
        return
    name, level = escape(row.arm), row.validation_score
    if panels.scale.off(level):
        point = ParetoPoint(name=row.arm, batch_size=row.batch_size, cost=1.0, score=level)
        panels.add_off_axis(row.batch_size, [point], colour=style.colour, arm=row.arm, labelled=True)
        return
    lost = f", of its sound seeds; {format_lost(row.seeds)} lost" if row.seeds.lost else ""
    hover = f"{name}: {format_score(level, panels.facts.metric)} without any search{lost}"
    line = line_trace([1, end], [level] * 2, style.colour, [hover] * 2, width=1.5, dash="dot", name=name, group=name)
    panels.add(row.batch_size, line, arm=row.arm, costs=[1, end])
    if row.trials_to_match is None or row.seeds.lost:
        return
    hover = f"{escape(panels.facts.reference)} reaches {name} after K* = {row.trials_to_match} trials"
    look = ArmStyle(colour=style.colour, symbol="star")
    star = marker_trace([row.trials_to_match], [level], look, [hover], size=EDGE_SIZE, group=name)
    panels.add(row.batch_size, star.update(marker_line={"color": "white", "width": 1}), arm=row.arm)
