"""Costs and their units as text.

This module must not know rich or plotly.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ...cost import Cost
from .format import format_amount, pluralize

_LABELS = {
    "trials": "trainings",
    "epochs": "epochs",
    "iterations": "iterations",
    "samples": "samples",
    "flops": "FLOPs",
    "device_seconds": "device-seconds",
    "modelled_joules": "J (modelled)",
}


_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"))


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit for a currency: displayed value = value / `size`."""

    label: str
    size: float


def cost_unit(currency: str, amounts: Iterable[float]) -> Unit:
    """Return the unit of a currency, with a prefix for large counts of operations.

    >>> cost_unit("flops", [3e13, 2e12]).label
    'TFLOPs'
    """
    largest = max(amounts, default=0.0)
    if currency == "flops":
        for size, prefix in _PREFIXES:
            if largest >= size:
                return Unit(label=f"{prefix}FLOPs", size=size)
    return Unit(label=_LABELS[currency], size=1.0)


def cost_title(unit: Unit, what: str) -> str:
    """Return the title of a cost axis.

    >>> cost_title(Unit(label="TFLOPs", size=1e12), "cost to a model")
    'cost to a model (TFLOPs)'
    """
    return f"{what} ({unit.label})"


def format_reused(reused: Cost) -> str:
    """Format the note beside a bill that includes reused results; empty if there are none.

    >>> format_reused(Cost(trials=2, device_seconds=12.5))
    'Results of 2 trainings were reused, worth 12.5 device-seconds.'
    """
    if not reused.trials:
        return ""
    worth = f"{format_amount(reused.device_seconds)} device-seconds"
    return f"Results of {pluralize(reused.trials, 'training')} were reused, worth {worth}."
