"""Costs and their units as text.

This module must not know rich or plotly.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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


NOT_KNOWN = "not known"
"""Stands for an amount that a table of past trainings does not state."""


def cost_unit(currency: str, amounts: Iterable[float], *, tabulated: bool = False) -> Unit:
    """Return the unit of a currency, with a prefix for large counts of operations.

    Args:
        currency: a name in `tuner.cost.CURRENCIES`.
        amounts: what is to be shown.
        tabulated: whether the amounts are those of a table of past trainings.

    >>> cost_unit("flops", [3e13, 2e12]).label, cost_unit("device_seconds", [], tabulated=True).label
    ('TFLOPs', 'tabulated seconds')
    """
    if tabulated and currency == "device_seconds":
        return Unit(label="tabulated seconds", size=1.0)
    largest = max(amounts, default=0.0)
    if currency == "flops":
        for size, prefix in _PREFIXES:
            if largest >= size:
                return Unit(label=f"{prefix}FLOPs", size=size)
    return Unit(label=_LABELS[currency], size=1.0)


def blank_unknown(value: Any, unknown: Collection[str]) -> Any:
    """Return records or values with None for the costs that are not known, whose keys end in their names.

    >>> blank_unknown({"arm": "sqrt", "bill": {"flops": 0.0, "trials": 1.0}, "spent.flops": 0}, {"flops"})
    {'arm': 'sqrt', 'bill': {'flops': None, 'trials': 1.0}, 'spent.flops': None}
    """
    if isinstance(value, Mapping):
        return {
            key: None if str(key).rpartition(".")[2] in unknown else blank_unknown(item, unknown)
            for key, item in value.items()
        }
    return [blank_unknown(item, unknown) for item in value] if isinstance(value, list | tuple) else value


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
