"""Weak scaling as tables on a terminal, with the assumptions behind them. At most 100 columns wide.

This module must not know plotly, nor how anything was measured.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...energy import EnergyConstants
from ...reports.tables.plain import plain_table
from ...reports.text.format import format_share
from .forecast import WeakScaling

FORECAST_WORKERS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)


def print_weak_scaling(found: WeakScaling, name: str, console: Console) -> None:
    """Print the measurements of an application, the machine's rates, the forecast and its assumptions."""
    console.print(Text(headline(found, name), style="bold"))
    console.print()
    console.print(_measured(found))
    for line in describe_machine(found):
        console.print(Text(line))
    console.print()
    console.print(_forecast(found))
    for note in notes(found):
        console.print(Text(note, style="dim"))


def weak_scaling_as_json(found: WeakScaling, name: str) -> Mapping[str, Any]:
    """Return what `print_weak_scaling` prints, as values in seconds, samples, FLOPs, bytes and words."""
    own, shared = found.forecast(shares_machine=False), found.forecast(shares_machine=True)
    errors, alone = found.errors(), found.alone
    return {
        "headline": headline(found, name),
        "measured": [
            {
                **asdict(point),
                "samples_per_second": point.samples / point.update_seconds,
                "efficiency": found.efficiency(point),
                "communication": None if point is alone else point.exchange_share,
                "slowdown": None if point is alone else point.apart_seconds / alone.apart_seconds,
                "forecast_error": errors.get(point.num_workers),
            }
            for point in found.points
        ],
        "machine": {
            "flops_per_second": found.flops,
            "peak_flops_per_second": found.rates.flops,
            "memory_bytes_per_second": found.rates.bytes,
            "intensity": found.intensity,
            "link_words_per_second": shared.link.words,
            "link_latency_seconds": shared.link.latency,
            "communication_energy_share": found.exchange_energy_share,
        },
        "forecast": [
            {
                "devices": number,
                "efficiency": own.efficiency(number),
                "samples_per_second": own.samples_per_second(number),
                "efficiency_slowed": alone.update_seconds / shared.update_seconds(number),
                "samples_per_second_slowed": shared.samples_per_second(number),
            }
            for number in FORECAST_WORKERS
        ],
        "notes": notes(found),
    }


def format_si(number: float) -> str:
    """Format a number to three digits with an SI prefix.

    >>> [format_si(number) for number in (25_557_032, 308.4, 0.0412, 8.2e9, 1_000_000)]
    ['25.6M', '308', '0.0412', '8.2G', '1M']
    """
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(number) >= size:
            size = 1e3 if prefix == "k" else size
            return f"{float(f'{number / size:.3g}'):g}{prefix}"
    return f"{float(f'{number:.3g}'):g}"


def headline(found: WeakScaling, name: str) -> str:
    """State the efficiency of the largest measured process group in one sentence."""
    largest = found.points[-1]
    if found.contradictions:
        return (
            f"{name}: nothing can be said, since the machine's speed changed while it was measured: run it again when "
            "nothing else runs"
        )
    return (
        f"{name}: {largest.num_workers} workers with {found.samples_per_worker} samples each do "
        f"{format_share(found.efficiency(largest))} of the work of as many independent workers"
    )


def _measured(found: WeakScaling) -> Table:
    table = plain_table(
        *("workers", "batch", "s per\nupdate", "samples\nper second", "efficiency"),
        *("commu-\nnication", "slowdown by\nothers", "forecast\nerror"),
    )
    errors = found.errors()
    for point in found.points:
        is_alone = point.num_workers == 1
        table.add_row(
            str(point.num_workers),
            f"{point.samples:,}",
            format_si(point.update_seconds),
            format_si(point.samples / point.update_seconds),
            format_share(found.efficiency(point)),
            "" if is_alone else format_share(point.exchange_share),
            "" if is_alone else f"{point.apart_seconds / found.alone.apart_seconds:.2f}x",
            "" if is_alone else f"{errors[point.num_workers]:+.1%}",
        )
    return table


def describe_machine(found: WeakScaling) -> list[str]:
    """Describe what a worker reaches of its device's peak, and the FLOPs per communicated word."""
    alone, rates = found.alone, found.rates
    link, energy = found.forecast(shares_machine=True).link, EnergyConstants()
    balance = rates.flops / link.words
    needed = alone.flops_per_sample * found.samples_per_worker / (2 * alone.num_parameters)
    return [
        f"One worker: {format_si(found.flops / 1e9)} GFLOP/s of the {format_si(rates.flops / 1e9)} of a matrix "
        f"product; memory {format_si(rates.bytes / 1e9)} GB/s.",
        f"Model: {format_si(alone.num_parameters)} parameters, {format_si(alone.flops_per_sample)} FLOPs per sample, "
        f"computational intensity {format_si(found.intensity)} (forward pass alone, as in DATE: a third).",
        f"Link: {format_si(4 * link.words / 1e9)} GB/s, {format_si(1e3 * link.latency)} ms per step. It keeps up with "
        f"the matrix product at {format_si(balance)} FLOPs per word; an update has {format_si(needed)}.",
        f"Modelled energy ({energy.picojoules_per_flop:g} pJ per FLOP, {energy.picojoules_per_word:,.0f} per word): "
        f"communication is {format_share(found.exchange_energy_share)} of an update.",
    ]


def _forecast(found: WeakScaling) -> Table:
    own, shared = found.forecast(shares_machine=False), found.forecast(shares_machine=True)
    table = plain_table("devices", "efficiency", "samples\nper second", "efficiency,\nslowed", "samples\nper second")
    for num_workers in FORECAST_WORKERS:
        table.add_row(
            f"{num_workers:,}",
            format_share(own.efficiency(num_workers)),
            format_si(own.samples_per_second(num_workers)),
            format_share(found.alone.update_seconds / shared.update_seconds(num_workers)),
            format_si(shared.samples_per_second(num_workers)),
        )
    return table


def notes(found: WeakScaling) -> tuple[str, ...]:
    """Return what a reader must know to trust the tables."""
    largest = found.points[-1].num_workers
    busy = [
        f"Measurements contradict each other: an update of {point.num_workers} "
        f"{'worker' if point.num_workers == 1 else 'workers'} took {format_si(point.update_seconds)} s and, without "
        f"communication, {format_si(point.apart_seconds)} s. Other work on the machine changed its speed in between."
        for point in found.contradictions
    ]
    hidden = "no part of it" if found.hidden == 0 else f"up to {format_share(found.hidden)} of the computation"
    return (
        *busy,
        "Efficiency: seconds per update of a single worker over those of this many, with the same local batch size. "
        "Communication: share of an update spent on the all-reduce of gradients. Slowdown by others: an update without "
        "communication over that of a single worker; what workers on one machine take from each other.",
        "Forecast: t(P) = c + max(0, s(P) - h c), s(P) = 2 (P-1)/P W/beta + ceil(log2 P) alpha: c is computation, s an "
        f"all-reduce of W words over links like that between the {largest} workers here; {hidden} overlaps (--hidden).",
        "It assumes that every link is as fast as that one and not shared, that no worker is slower than the others, "
        "and that data are loaded as fast as here. First pair of columns: every worker has its own device. Second "
        f"pair: workers are slowed as the {largest} were here. Forecast error: the second against the measurement. Its "
        f"link and slowdown come from the {largest} workers, whose own error is therefore the fit of the model.",
    )
