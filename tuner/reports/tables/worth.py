"""What a model costs with each arm in device-hours, money, energy and CO2: a table, and records for files."""

from collections.abc import Mapping
from typing import Any

from ...analysis.bill import Worth, fully_measured_joules, worth
from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ..answer import Answer
from ..text.format import format_amount
from ..text.worth import format_prices, spared_worth
from .result_tables import Cells, Table, grouped

_HOURS, _KWH, _ENERGY, _GCO2, _MODELLED = "device-hours", "kWh", "energy", "g of CO2", "J (modelled)"


def worth_record(comparison: Comparison, row: ComparisonRow) -> Mapping[str, Any]:
    """Return what a row's model costs and spares at the stated prices, for a table of numbers."""
    found, spared = _row_worth(comparison, row), spared_worth(comparison, row) if row.savings else None
    return {
        "device_hours": found.device_hours if found else None,
        "money": found.money if found else None,
        "currency": comparison.facts.prices.currency or None,
        "kwh": found.kwh if found else None,
        "energy_source": found.energy_source if found else None,
        "gco2": found.gco2 if found else None,
        "spared.money": spared.money if spared else None,
        "spared.kwh": spared.kwh if spared else None,
        "spared.energy_source": spared.energy_source if spared else None,
        "spared.gco2": spared.gco2 if spared else None,
    }


def worth_table(subject: Answer) -> Table:
    """Return what a model costs with every arm at the stated prices; empty if none is stated and no energy measured."""
    comparison, prices = subject.comparison, subject.comparison.facts.prices
    rows = [*([comparison.baseline] if comparison.baseline else []), *comparison.rows]
    money = f"{prices.currency}"
    usable = f"{money if prices.device_hour is not None else _HOURS} per usable model"
    total = comparison.ledger.total
    whole = worth(prices, total.device_seconds, fully_measured_joules(total))
    lines = [
        ((f"{row.batch_size:,}", row.arm), {**_cells(found, row.bill["modelled_joules"]), usable: _usable(row, found)})
        for row in rows
        if row.bill is not None and (found := _row_worth(comparison, row)) is not None
    ]
    spent = ("", "all that the study spent"), {**_cells(whole, total.modelled_joules), usable: ""}
    has_worth = any(cells[name] for _, cells in (*lines, spent) for name in ("money", _KWH))
    headings = [_HOURS, "money", _KWH, _ENERGY, _GCO2, _MODELLED, usable]
    shown = [name for name in headings if any(cells[name] for _, cells in (*lines, spent))]
    table_rows: list[Cells] = [(*place, *(cells[name] for name in shown)) for place, cells in lines if has_worth]
    groups = grouped(table_rows)
    if has_worth:
        groups = (*groups, ((*spent[0], *(spent[1][name] for name in shown)),))
    stated = format_prices(prices)
    return Table(
        caption=f"What a model costs with every arm{f' at {stated}' if stated else ''}. Energy is measured where "
        "meters counted all of the bill, else estimated from stated watts; modelled joules are DATE's model (Section "
        "4.5). Per usable model: over the share of seeds that are not lost.",
        columns=("batch size", "arm", *(money if name == "money" else name for name in shown)),
        groups=groups,
        words=frozenset({1, *(2 + place for place, name in enumerate(shown) if name == _ENERGY)}),
    )


def _row_worth(comparison: Comparison, row: ComparisonRow) -> Worth | None:
    if row.bill is None:
        return None
    return worth(comparison.facts.prices, row.bill["device_seconds"], row.measured_joules)


def _usable(row: ComparisonRow, found: Worth) -> str:
    amount = found.device_hours if found.money is None else found.money
    sound = len(row.seeds.scores)
    return format_amount(amount * len(row.seeds) / sound) if sound else "none usable"


def _cells(found: Worth, modelled_joules: float) -> dict[str, str]:
    return {
        _HOURS: format_amount(found.device_hours),
        "money": "" if found.money is None else format_amount(found.money),
        _KWH: "" if found.kwh is None else format_amount(found.kwh),
        _ENERGY: found.energy_source or "",
        _GCO2: "" if found.gco2 is None else format_amount(found.gco2),
        _MODELLED: format_amount(modelled_joules),
    }
