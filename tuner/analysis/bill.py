"""Bills in every currency, what one saves against another, and what they are worth at stated prices.

Energy is what the devices' meters counted where they counted all of it, else what stated watts make of the
device-seconds. Pure functions of numbers. This module must not know arms or results.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..cost import CURRENCIES, Cost

Amounts = Mapping[str, float]
"""Cost in every currency of `tuner.cost.CURRENCIES`."""

NO_COST: Amounts = dict.fromkeys(CURRENCIES, 0.0)
"""Zero in every currency."""

_SECONDS_PER_HOUR = 3600.0
_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, kw_only=True)
class Saving:
    """Savings of an arm against the reference, in one currency.

    Attributes:
        share: 1 - cost(arm) / cost(reference); negative if the arm costs more.
        share_with_baseline: the same with the search for the arm's baseline billed to this batch size.
        break_even: number of batch sizes after which the search for the baseline has paid for itself; 0 if there is no
            such search, None if the arm saves nothing.
    """

    share: float
    share_with_baseline: float
    break_even: int | None


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices of what a study spends, each None if it is not stated.

    Attributes:
        device_hour: price of a device for an hour, >= 0.
        currency: of `device_hour`, such as "EUR"; empty if that is not stated.
        watts: mean power of a device, > 0; it estimates energy where no meter counted it.
        gco2_per_kwh: grams of CO2 that the grid emits for a kilowatt-hour, >= 0.
    """

    device_hour: float | None = None
    currency: str = ""
    watts: float | None = None
    gco2_per_kwh: float | None = None


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What device-seconds are worth, each None if neither stated nor measured.

    Attributes:
        device_hours: device-seconds in hours.
        money: their price, in the currency of the prices.
        kwh: their energy.
        energy_source: whether a meter counted it, or stated watts estimate it; None without `kwh`.
        gco2: grams of CO2 of that energy.
    """

    device_hours: float
    money: float | None
    kwh: float | None
    energy_source: Literal["measured", "estimated"] | None
    gco2: float | None


def amounts_of(cost: Cost) -> Amounts:
    """Return a cost by currency."""
    return {currency: float(getattr(cost, currency)) for currency in CURRENCIES}


def fully_measured_joules(cost: Cost) -> float | None:
    """Return the energy of a cost by meters; None unless all its device-seconds were metered.

    >>> cost = Cost(device_seconds=10.0, measured_joules=500.0, metered_seconds=10.0)
    >>> fully_measured_joules(cost), fully_measured_joules(cost + Cost(device_seconds=1.0))
    (500.0, None)
    """
    is_whole = cost.device_seconds > 0 and math.isclose(cost.metered_seconds, cost.device_seconds, rel_tol=1e-6)
    return cost.measured_joules if is_whole else None


def saving(bill: float, reference_bill: float, baseline_bill: float) -> Saving | None:
    """Return the savings of a bill against the reference's in the same currency; None if that is zero.

    >>> saving(1.0, 13.0, 10.0)
    Saving(share=0.9230769230769231, share_with_baseline=0.15384615384615385, break_even=1)
    """
    if reference_bill <= 0:
        return None
    gained = reference_bill - bill
    break_even = 0 if baseline_bill == 0 else math.ceil(baseline_bill / gained) if gained > 0 else None
    return Saving(
        share=gained / reference_bill,
        share_with_baseline=(gained - baseline_bill) / reference_bill,
        break_even=break_even,
    )


def worth(prices: Prices, device_seconds: float, measured_joules: float | None = None) -> Worth:
    """Return what device-seconds, or the difference of two bills, are worth.

    Args:
        prices: those stated.
        device_seconds: in seconds.
        measured_joules: their energy by meters; None if not all of it was counted.

    >>> worth(Prices(device_hour=2.5, currency="EUR", watts=300.0, gco2_per_kwh=400.0), 7200.0)
    Worth(device_hours=2.0, money=5.0, kwh=0.6, energy_source='estimated', gco2=240.0)
    """
    joules = measured_joules
    if joules is None and prices.watts is not None:
        joules = prices.watts * device_seconds
    hours, kwh = device_seconds / _SECONDS_PER_HOUR, None if joules is None else joules / _JOULES_PER_KWH
    return Worth(
        device_hours=hours,
        money=None if prices.device_hour is None else prices.device_hour * hours,
        kwh=kwh,
        energy_source=None if kwh is None else "estimated" if measured_joules is None else "measured",
        gco2=None if kwh is None or prices.gco2_per_kwh is None else prices.gco2_per_kwh * kwh,
    )
