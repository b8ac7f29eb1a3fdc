"""What bills are worth at stated prices: device-hours, money, energy and CO2, as text.

Only what is stated or measured is written. This module escapes nothing.
"""

from collections.abc import Sequence

from ...analysis.bill import Prices, Worth, worth
from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from .format import format_amount


def spared_worth(comparison: Comparison, row: ComparisonRow) -> Worth | None:
    """Return what an arm spares against the reference at its batch size; None without both bills.

    Energy is measured if that of both bills is; else stated watts estimate it for both.
    """
    reference = comparison.row(comparison.facts.reference, row.batch_size)
    if row.bill is None or reference.bill is None:
        return None
    joules = None
    if row.measured_joules is not None and reference.measured_joules is not None:
        joules = reference.measured_joules - row.measured_joules
    seconds = reference.bill["device_seconds"] - row.bill["device_seconds"]
    return worth(comparison.facts.prices, seconds, joules)


def describe_worth(found: Sequence[Worth], prices: Prices) -> list[str]:
    """Describe what amounts are worth, each part as a range if they differ; parts of which one is not above 0 are left
    out.

    >>> prices = Prices(device_hour=2.5, currency="EUR", watts=300.0)
    >>> describe_worth([worth(prices, 7200.0)], prices)
    ['2 device-hours (5 EUR)', '0.6 kWh (estimated at 300 W a device)']
    """
    parts = []
    hours, money = _range([one.device_hours for one in found]), _range([one.money for one in found])
    if hours and money:
        parts.append(f"{hours} device-hours ({money} {prices.currency})")
    kwh, sources = _range([one.kwh for one in found]), {one.energy_source for one in found}
    if kwh and len(sources) == 1:
        how = "measured" if "measured" in sources else f"estimated at {prices.watts:g} W a device"
        parts.append(f"{kwh} kWh ({how})")
        if gco2 := _range([one.gco2 for one in found]):
            parts.append(f"{gco2} g of CO2 (at {prices.gco2_per_kwh:g} g a kWh)")
    return parts


def format_prices(prices: Prices) -> str:
    """Format the stated prices; empty if there are none.

    >>> format_prices(Prices(device_hour=2.5, currency="EUR", gco2_per_kwh=400.0))
    '2.5 EUR a device-hour, 400 g of CO2 a kWh'
    """
    found = [
        "" if prices.device_hour is None else f"{prices.device_hour:g} {prices.currency} a device-hour",
        "" if prices.watts is None else f"{prices.watts:g} W a device",
        "" if prices.gco2_per_kwh is None else f"{prices.gco2_per_kwh:g} g of CO2 a kWh",
    ]
    return ", ".join(part for part in found if part)


def _range(amounts: Sequence[float | None]) -> str:
    """Format amounts as one or as a range; empty if one of them is unknown or not above 0."""
    known = [amount for amount in amounts if amount is not None and amount > 0]
    if not known or len(known) < len(amounts):
        return ""
    low, high = format_amount(min(known)), format_amount(max(known))
    return low if low == high else f"{low} to {high}"
