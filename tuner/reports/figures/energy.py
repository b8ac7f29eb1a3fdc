"""The energy figure: the energy of a training and of a model, by DATE's model, and by energy meters if available.

Modelled energy follows from the ledger's counts of operations and words (`tuner.energy`; DATE, Section 4.5, Fig. 19).
"""

from collections.abc import Iterable, Sequence
from statistics import fmean

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ...analysis.bill import Amounts
from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...analysis.selection import BASELINE
from ...cost import Cost
from ...energy import Energy, modelled_energy
from ...trial import TrialResult
from ..text.format import format_amount
from .cost import has_bills
from .style import (
    BASELINE_SYMBOL,
    GREY,
    ArmStyle,
    apply_style,
    arm_styles,
    escape,
    legend_entry,
    log_axis,
    marker_trace,
)

_COMPUTE, _COMMUNICATION, _MEASURED = "#C4C9CF", "#4D4D4D", "#8C6D31"
_SPREAD, _MARKER_SIZE = 0.14, 9
"""The largest horizontal offset between arms, as a share of the distance between two batch sizes."""


def has_energy(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether an arm has a cost to a model, and the operations and words of trainings are known."""
    return has_bills(comparison, results) and "modelled_joules" not in comparison.unknown


def energy(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw the energy of one training by batch size as bars, and the energy to a model by arm as markers, in joules."""
    sizes = _batch_sizes(comparison)
    trainings = {size: _whole_trainings(results, size) for size in sizes}
    modelled = {size: _modelled(trainings[size]) for size in sizes}
    measured = {size: _measured(trainings[size]) for size in sizes}
    metered = any(joules is not None for joules in measured.values())
    titles = ["One training, modelled", "To a model, modelled", *(["One training, measured"] if metered else [])]
    figure = make_subplots(cols=len(titles), rows=1, subplot_titles=titles, horizontal_spacing=0.09)
    figure.update_xaxes(
        tickvals=list(range(len(sizes))),
        ticktext=[f"{size:,}" for size in sizes],
        range=[-0.6, len(sizes) - 0.4],
        title_text="batch size (samples)",
        zeroline=False,
    )
    _draw_modelled(figure, list(modelled.values()))
    _draw_models(figure, comparison, sizes)
    if metered:
        _draw_measured(figure, list(measured.values()))
    figure.update_layout(barmode="stack")
    apply_style(
        figure,
        title=_finding(modelled),
        subtitle=f"{comparison.facts.name}: energy by the papers' model, 100 pJ an operation and 2,500 pJ a word "
        f"moved. {_meter_sentence(comparison)}",
    )
    return figure


def _batch_sizes(comparison: Comparison) -> list[int]:
    """Return the study's batch sizes in order, including the baseline's if it has results."""
    own = [comparison.facts.baseline_batch_size] if comparison.baseline else []
    return sorted({*own, *comparison.facts.batch_sizes})


def _whole_trainings(results: Iterable[TrialResult], batch_size: int) -> list[Cost]:
    """Return the costs of uninterrupted trainings that finished. These differ in seconds only.

    A training that repeated epochs after an interruption did more work than one training.
    """
    costs = [r.cost for r in results if r.status == "finished" and r.trial.batch_size == batch_size]
    least = min((cost.flops for cost in costs), default=0)
    return [cost for cost in costs if cost.flops == least]


def _modelled(trainings: Sequence[Cost]) -> Energy | None:
    return modelled_energy(trainings[0].flops, trainings[0].words) if trainings else None


def _measured(trainings: Sequence[Cost]) -> float | None:
    """Return the mean over the trainings that a meter covered from start to end."""
    joules = [
        cost.measured_joules
        for cost in trainings
        if cost.measured_joules is not None and cost.metered_seconds == cost.device_seconds
    ]
    return fmean(joules) if joules else None


def _draw_modelled(figure: go.Figure, energies: Sequence[Energy | None]) -> None:
    places = range(len(energies))
    compute = [None if e is None else e.compute_joules for e in energies]
    communication = [None if e is None else e.communication_joules for e in energies]
    shares = ["" if e is None else _format_share(e) for e in energies]
    hovers = [
        ""
        if e is None
        else f"{format_amount(e.compute_joules)} J computation<br>{format_amount(e.communication_joules)} J "
        "communication"
        for e in energies
    ]
    bars = {"x": list(places), "width": 0.6, "hovertext": hovers, "hoverinfo": "text"}
    figure.add_trace(go.Bar(y=compute, name="computation", marker={"color": _COMPUTE}, **bars), row=1, col=1)
    figure.add_trace(
        go.Bar(
            y=communication,
            name="communication<br>(its share above)",
            marker={"color": _COMMUNICATION},
            text=shares,
            textposition="outside",
            cliponaxis=False,
            **bars,
        ),
        row=1,
        col=1,
    )
    highest = max((e.joules for e in energies if e is not None), default=0.0)
    figure.update_yaxes(range=[0.0, 1.12 * highest or 1.0], title_text="energy (J)", row=1, col=1)


def _draw_models(figure: go.Figure, comparison: Comparison, sizes: Sequence[int]) -> None:
    """Draw filled markers for the total energy to a model, hollow ones for communication alone."""
    arms, styles = comparison.facts.arms, arm_styles(comparison.facts.arms)
    shown: list[float] = []
    for place, arm in enumerate(arms):
        rows = [row for row in comparison.rows if row.arm == arm and row.bill is not None]
        shift = min(_SPREAD, 0.84 / len(arms)) * (place - (len(arms) - 1) / 2)
        shown += _draw_arm(
            figure, escape(arm), rows, styles[arm], [sizes.index(row.batch_size) + shift for row in rows]
        )
    if comparison.baseline is not None and comparison.baseline.bill is not None:
        baseline, style = comparison.baseline, ArmStyle(colour=GREY, symbol=BASELINE_SYMBOL)
        shown += _draw_arm(figure, BASELINE, [baseline], style, [sizes.index(baseline.batch_size)])
    figure.add_trace(legend_entry("communication alone", "circle-open", size=_MARKER_SIZE), row=1, col=2)
    low, high = (min(shown) / 1.5, max(shown) * 1.5) if shown else (1.0, 10.0)
    figure.update_yaxes(log_axis(low, high, format_amount), title_text="energy (J, logarithmic)", row=1, col=2)


def _draw_arm(
    figure: go.Figure, name: str, rows: Sequence[ComparisonRow], style: ArmStyle, places: Sequence[float]
) -> list[float]:
    """Draw an arm's markers and return the joules that the axis must include."""
    energies = [_split(row.bill) for row in rows if row.bill is not None]
    whole = [energy.joules for energy in energies]
    moved = [energy.communication_joules or None for energy in energies]  # a logarithmic axis cannot show zero
    group = None if name == BASELINE else name
    hollow = ArmStyle(colour=style.colour, symbol=f"{style.symbol}-open")
    for joules, look, what in ((whole, style, "in all"), (moved, hollow, "to communicate")):
        hovers = [
            f"{name}, B={row.batch_size:,}: {format_amount(amount or 0.0)} J {what}"
            for row, amount in zip(rows, joules, strict=True)
        ]
        trace = marker_trace(places, joules, look, hovers, size=_MARKER_SIZE, name=name, group=group)
        figure.add_trace(trace.update(showlegend=look is style), row=1, col=2)
    return [joules for joules in (*whole, *moved) if joules]


def _split(bill: Amounts) -> Energy:
    """Split a bill's modelled energy into computation and communication."""
    compute = modelled_energy(bill["flops"], 0).joules
    return Energy(compute_joules=compute, communication_joules=max(0.0, bill["modelled_joules"] - compute))


def _draw_measured(figure: go.Figure, joules: Sequence[float | None]) -> None:
    trace = go.Bar(
        x=list(range(len(joules))),
        y=list(joules),
        width=0.6,
        marker={"color": _MEASURED},
        name="measured",
        text=["" if amount is None else format_amount(amount) for amount in joules],
        textposition="outside",
        cliponaxis=False,
    )
    figure.add_trace(trace, row=1, col=3)
    highest = max(amount for amount in joules if amount is not None)
    figure.update_yaxes(range=[0.0, 1.12 * highest or 1.0], title_text="energy (J)", row=1, col=3)


def _format_share(energy: Energy) -> str:
    """Format communication's share of the energy to two digits."""
    return f"{100 * energy.communication_joules / energy.joules:.2g}%" if energy.joules else ""


def _finding(modelled: dict[int, Energy | None]) -> str:
    """Return the headline: the share of communication at the smallest and at the largest batch size."""
    known = {size: energy for size, energy in modelled.items() if energy is not None and energy.joules}
    if not known:
        return "No training has ended yet"
    small, large = min(known), max(known)
    if small == large:
        return f"Communication is {_format_share(known[small])} of a training's modelled energy at B={small:,}"
    return (
        f"Communication is {_format_share(known[small])} of a training's modelled energy at B={small:,} and "
        f"{_format_share(known[large])} at B={large:,}"
    )


def _meter_sentence(comparison: Comparison) -> str:
    spent = comparison.ledger.total
    if spent.measured_joules is None:
        return "No meter: nothing was measured."
    share = f"{100 * spent.metered_seconds / spent.device_seconds:.3g}%" if spent.device_seconds else "none"
    return f"Meters counted {format_amount(spent.measured_joules)} J in {share} of the study's device-seconds."
