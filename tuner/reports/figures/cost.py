"""The cost breakdown: what each arm spent, by purpose, as one bar for each arm and batch size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...trial import TrialResult
from ..text.costs import Unit, cost_title, cost_unit
from ..text.format import format_amount, format_sizes, join_names, pluralize
from .style import GREY, apply_style, arm_styles, escape, fade

_BAR_HEIGHT = 30


@dataclass(frozen=True, kw_only=True)
class CostPart:
    """A part of an arm's cost and its fill pattern."""

    name: str
    pattern: str
    pale: bool = False


SEARCH = CostPart(name="search", pattern="")
PROBES = CostPart(name="probes of a guard", pattern="-")
TRAINING = CostPart(name="one training", pattern=".")
BASELINE_SEARCH = CostPart(name="search for the baseline", pattern="x", pale=True)
EVIDENCE = CostPart(name="evidence, not tuning", pattern="/", pale=True)
PARTS = (SEARCH, PROBES, TRAINING, BASELINE_SEARCH, EVIDENCE)
"""In the order of the bars. The cost to a model comes first, so that bars can be compared by eye."""


def has_bills(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether an arm has a cost to a model."""
    return any(row.bill is not None for row in comparison.rows)


def cost_parts(comparison: Comparison, row: ComparisonRow, currency: str) -> Mapping[str, float]:
    """Return a row's cost by the name of the part, in the currency's own unit; empty without a bill.

    Search, or a guard's probes, and one training add up to the cost to a model: a search has trained its model already,
    so nothing is billed for another training. Of repeated searches one is billed, their mean; the others, and the other
    confirmation runs, are evidence. These add up to what the arm's trials are worth in the ledger at that batch size:
    what was spent on them, and what had been spent before on reused results. The baseline's search is not divided: it
    is shown in full for every batch size and arm that depends on it.
    """
    if row.bill is None:
        return {}
    whole = sum(
        float(getattr(line.full_cost, currency))
        for line in comparison.ledger.lines
        if (line.arm, line.batch_size) == (row.arm, row.batch_size) and line.role != "baseline"
    )
    bill, has_searched = row.bill[currency], bool(row.search.trials)
    probes = float(getattr(row.search, currency)) if row.guarded else 0.0
    return {
        SEARCH.name: bill if has_searched and not row.guarded else 0.0,
        PROBES.name: probes,
        TRAINING.name: bill - probes if row.guarded else 0.0 if has_searched else bill,
        BASELINE_SEARCH.name: row.baseline_bill[currency],
        EVIDENCE.name: max(0.0, whole - bill),
    }


def cost_breakdown(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw stacked bars, the smallest batch size at the top, with the cost to a model beside each bar."""
    facts = comparison.facts
    rows = [row for row in comparison.rows if row.bill is not None]
    parts = [cost_parts(comparison, row, cost) for row in rows]
    wholes = [sum(part.values()) for part in parts]
    unit = cost_unit(cost, wholes, tabulated=comparison.tabulated)
    figure = go.Figure()
    for part in PARTS:
        if any(one[part.name] for one in parts):
            figure.add_traces(list(_bars(comparison, rows, [one[part.name] for one in parts], part, unit)))
            figure.add_trace(_legend_entry(part))
    figure.add_trace(
        go.Scatter(
            x=[whole / unit.size for whole in wholes],
            y=list(range(len(rows))),
            mode="text",
            text=[f" {format_amount(row.bill[cost] / unit.size)} to a model" for row in rows if row.bill],
            textposition="middle right",
            textfont={"size": 11, "color": "#222222"},
            showlegend=False,
            hoverinfo="skip",
        )
    )
    figure.update_xaxes(
        range=[0, 1.22 * max([*wholes, unit.size * 1e-9]) / unit.size], title_text=cost_title(unit, "cost")
    )
    figure.update_yaxes(
        range=[len(rows) - 0.4, -0.6],
        tickvals=list(range(len(rows))),
        ticktext=[escape(f"{row.arm}, B={row.batch_size:,}") for row in rows],
        title_text="arm and batch size",
    )
    apply_style(
        figure,
        title=_finding(comparison, rows, cost),
        subtitle=f"{facts.name}: what each arm spent, and on what; written beside a bar: the cost to a model",
        panels_height=60 + _BAR_HEIGHT * len(rows),
    )
    figure.update_layout(barmode="stack", bargap=0.25, legend_traceorder="normal")
    return figure


def _finding(comparison: Comparison, rows: Sequence[ComparisonRow], cost: str) -> str:
    """Return the headline: the cost to a model with the reference at every batch size, and the baselines' trials."""
    facts = comparison.facts
    bills = {row.batch_size: row.bill[cost] for row in rows if row.arm == facts.reference and row.bill}
    if not bills:
        return "What each arm spent, and on what"
    unit = cost_unit(cost, bills.values(), tabulated=comparison.tabulated)
    amounts = [format_amount(bill / unit.size) for bill in bills.values()]
    amounts = amounts[:1] if len(set(amounts)) == 1 else amounts
    baseline = sum(line.full_cost.trials for line in comparison.ledger.lines if line.role == "baseline")
    rest = f"; the baselines took {pluralize(baseline, 'trial')}" if baseline and facts.rule_arms else ""
    where = format_sizes(bills)
    return f"A model costs {join_names(amounts)} {unit.label} with {facts.reference} (at B={where}){rest}"


def _bars(
    comparison: Comparison, rows: Sequence[ComparisonRow], amounts: Sequence[float], part: CostPart, unit: Unit
) -> Iterator[go.Bar]:
    """Return the bars of one part, a trace for each arm in its colour."""
    styles = arm_styles(comparison.facts.arms)
    for arm in dict.fromkeys(row.arm for row in rows):
        colour = styles[arm].colour
        own = [
            (place, row, amount)
            for place, (row, amount) in enumerate(zip(rows, amounts, strict=True))
            if row.arm == arm
        ]
        yield go.Bar(
            x=[amount / unit.size for _, _, amount in own],
            y=[place for place, _, _ in own],
            orientation="h",
            marker={"color": colour, "line": {"color": colour, "width": 0.5}, "pattern": _pattern(part, colour)},
            legendgroup=escape(arm),
            showlegend=False,
            hovertext=[
                f"{escape(arm)}, B={row.batch_size:,}<br>{part.name}: {format_amount(amount / unit.size)} {unit.label}"
                for _, row, amount in own
            ],
            hoverinfo="text",
        )


def _pattern(part: CostPart, colour: str) -> dict[str, object]:
    if not part.pattern:
        return {"shape": ""}
    background, foreground = ("white", fade(colour).replace("0.15", "0.7")) if part.pale else (colour, "white")
    return {
        "shape": part.pattern,
        "fillmode": "replace",
        "bgcolor": background,
        "fgcolor": foreground,
        "size": 6,
        "solidity": 0.35,
    }


def _legend_entry(part: CostPart) -> go.Bar:
    """Return a legend entry for a pattern, without a bar."""
    return go.Bar(
        x=[None],
        y=[None],
        orientation="h",
        name=part.name,
        marker={"color": GREY, "line": {"color": GREY, "width": 0.5}, "pattern": _pattern(part, GREY)},
    )
