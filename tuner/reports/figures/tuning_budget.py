"""The tuning budget: what each arm saves against a search of k trials, in a panel for each batch size."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from ...analysis.bill import worth
from ...analysis.comparison import Comparison
from ...analysis.tuning_budget import BudgetStep, savings_by_budget
from ...trial import TrialResult
from ..text.costs import cost_unit
from ..text.format import format_amount, format_share
from ..text.scores import format_score
from .style import (
    EDGE_SIZE,
    ArmStyle,
    apply_style,
    arm_styles,
    escape,
    legend_entry,
    line_trace,
    log_axis,
    make_panels,
    marker_trace,
    panel_place,
)

_LOWEST = -1.0
"""Lower end of the axis of savings: with a baseline's bill, a search of one trial is far below."""


def has_savings(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether an arm saves something, so that there is a curve."""
    return bool(savings_by_budget(comparison, results))


def tuning_budget(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw the share that each arm saves against k trials, dotted with its baseline's bill, and a star at K*."""
    facts = comparison.facts
    curves: dict[int, dict[str, list[BudgetStep]]] = {}
    for step in savings_by_budget(comparison, results):
        if cost in step.saved:
            curves.setdefault(step.batch_size, {}).setdefault(step.arm, []).append(step)
    sizes = list(curves)
    figure = make_panels([_panel_title(comparison, size, curves[size]) for size in sizes] or [""], spacing=0.05)
    styles, named = arm_styles(facts.arms), set[str]()
    for place, arms in enumerate(curves.values()):
        for arm, steps in arms.items():
            for trace in _traces(comparison, steps, styles[arm], cost):
                trace.showlegend = trace.name is not None and arm not in named
                named |= {arm} if trace.showlegend else set()
                figure.add_trace(trace, **panel_place(place))
    figure.add_trace(legend_entry(f"K*: {escape(facts.reference)} reaches it", "star"))
    largest = max([2, *(step.trials for arms in curves.values() for steps in arms.values() for step in steps)])
    figure.update_xaxes(log_axis(0.9, 1.1 * largest, format_amount), title_text="k (search trials of the budget)")
    figure.update_yaxes(range=[_LOWEST, 1.05], tickformat=".0%")
    unit = cost_unit(cost, [], tabulated=comparison.tabulated)
    figure.update_yaxes(title_text=escape(f"saved, {unit.label}"), col=1)
    apply_style(
        figure,
        title=_finding(comparison, curves, cost),
        subtitle=f"{facts.name}: what an arm saves against a search of k trials; dotted: with its baseline's bill; "
        "arms that cost the same lie on each other",
        num_panels=len(sizes),
    )
    return figure


def _panel_title(comparison: Comparison, batch_size: int, arms: Mapping[str, Sequence[BudgetStep]]) -> str:
    """Return the title of a panel: the batch size, and what a trial costs where a price is stated."""
    prices, step = comparison.facts.prices, next(iter(arms.values()))[-1]
    money = worth(prices, step.cost["device_seconds"]).money
    price = "" if money is None else f" ({format_amount(money / step.trials)} {escape(prices.currency)} a trial)"
    return f"B={batch_size:,}{price}"


def _traces(comparison: Comparison, steps: Sequence[BudgetStep], style: ArmStyle, cost: str) -> list[go.Scatter]:
    """Return an arm's traces at a batch size: its saving, that with its baseline's bill if there is one, and K*."""
    row, name = comparison.row(steps[0].arm, steps[0].batch_size), escape(steps[0].arm)
    ks, saved = [float(step.trials) for step in steps], [step.saved[cost] for step in steps]
    hovers = [f"{name}: {_hover(comparison, step, cost)}" for step in steps]
    traces = [line_trace(ks, saved, style.colour, hovers, name=name, group=name)]
    traces[0].update(mode="lines+markers", marker={"color": style.colour, "size": 5})
    if row.baseline_bill[cost] > 0:
        with_baseline = [step.saved_with_baseline[cost] for step in steps]
        traces.append(line_trace(ks, with_baseline, style.colour, dash="dot", width=1.5, group=name))
    reached = [step for step in steps if row.trials_to_match == step.trials]
    look = ArmStyle(colour=style.colour, symbol="star")
    for step in reached:
        hover = f"{escape(comparison.facts.reference)} does as well on average after K* = {step.trials} trials"
        traces.append(
            marker_trace([step.trials], [step.saved[cost]], look, [f"{name}: {hover}"], size=EDGE_SIZE, group=name)
        )
    return traces


def _hover(comparison: Comparison, step: BudgetStep, cost: str) -> str:
    facts, unit = comparison.facts, cost_unit(cost, [step.cost[cost]], tabulated=comparison.tabulated)
    money = worth(facts.prices, step.cost["device_seconds"]).money
    price = "" if money is None else f", {format_amount(money)} {escape(facts.prices.currency)}"
    spent = f"{format_amount(step.cost[cost] / unit.size)} {unit.label}{price}"
    best = f"the best of {step.trials} validates at {format_score(step.best_score, facts.metric)} on average"
    return f"saves {format_share(step.saved[cost])} against {spent}<br>{best}"


def _finding(comparison: Comparison, curves: Mapping[int, Mapping[str, Sequence[BudgetStep]]], cost: str) -> str:
    """Return the headline: what the first arm saves at the largest batch size against a small and a large budget."""
    if not curves:
        return "What each arm saves against the size of the tuning budget"
    batch_size = max(curves)
    arm, steps = next(iter(curves[batch_size].items()))
    shown = [steps[place] for place in sorted({0, len(steps) // 2, len(steps) - 1})]
    saved = ", ".join(f"{format_share(step.saved[cost])} against {step.trials}" for step in shown)
    unit, reference = cost_unit(cost, [], tabulated=comparison.tabulated).label, comparison.facts.reference
    return (
        f"What is saved depends on the budget: at B={batch_size:,} {arm} saves {saved} trials of {reference} ({unit})"
    )
