"""Performance profiles as a table for a terminal, and their notes. At most 100 columns wide.

This module must not know plotly, nor where results come from.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...reports.tables.plain import plain_table
from ...reports.text.costs import cost_unit
from ...reports.text.format import join_names, pluralize
from .profiles import TAU_MAX, ArmProfile, PerformanceProfiles

FACTORS = (2.0, 10.0)
"""Cost relative to the cheapest arm, for the columns "within"."""

_NOISE = "The seconds of equal trainings vary with the machine's load; their FLOPs do not (--cost flops)."


def print_profiles(shown: PerformanceProfiles, other: PerformanceProfiles, console: Console) -> None:
    """Print a row per arm, the largest area first.

    `other` is the same without the baseline's cost if `shown` includes it, else with it: it gives the second area.
    """
    console.print(Text(headline(shown), style="bold"))
    console.print(Text(f"Over {format_workloads(shown)}.\n"))
    console.print(_table(shown, {profile.arm: profile.area for profile in other.arms}))
    for note in notes(shown):
        console.print(Text(note, style="dim"))


def profiles_as_json(shown: PerformanceProfiles, other: PerformanceProfiles) -> Mapping[str, Any]:
    """Return what `print_profiles` prints, as values; `other_area` is the area with the baseline's cost the other way.

    A ratio is infinite where the arm is not as good as the reference.
    """
    areas = {profile.arm: profile.area for profile in other.arms}
    return {
        "headline": headline(shown),
        "currency": shown.currency,
        "with_baseline": shown.with_baseline,
        "workloads": shown.num_workloads,
        "arms": [
            {
                "arm": profile.arm,
                "as_good": sum(math.isfinite(entry.ratio) for entry in profile.entries),
                "not_shown": sum(entry.finding == "not shown" for entry in profile.entries),
                "cheapest": sum(entry.ratio == 1.0 for entry in profile.entries),
                "within": {f"{tau:g}": sum(entry.ratio <= tau for entry in profile.entries) for tau in FACTORS},
                "area": profile.area,
                "other_area": areas[profile.arm],
                "entries": profile.entries,
            }
            for profile in rank_arms(shown.arms)
        ],
        "notes": notes(shown),
    }


def headline(shown: PerformanceProfiles) -> str:
    """Say in one sentence which arm, or which arms, have the largest area among those compared."""
    ranked = rank_arms(shown.arms)
    best = [profile.arm for profile in ranked if profile.area == ranked[0].area]
    if len(ranked) == 1:
        return f"{ranked[0].arm} is the only arm that all studies have: there is nothing to compare it with"
    if len(best) > 1:
        return f"{join_names(best)} come first together, with an area of {format_area(ranked[0].area)} each"
    solved = sum(math.isfinite(entry.ratio) for entry in ranked[0].entries)
    cheapest = sum(entry.ratio == 1.0 for entry in ranked[0].entries)
    return (
        f"Of {len(ranked)} arms {best[0]} comes first, with an area of {format_area(ranked[0].area)}: cheapest of "
        f"those as good as the reference on {cheapest} of {pluralize(shown.num_workloads, 'workload')}, and as good "
        f"on {solved}"
    )


def format_area(area: float) -> str:
    """Format an area to two digits, rounded down, so that 0.999 does not read as cheapest everywhere.

    >>> format_area(0.999), format_area(1.0)
    ('0.99', '1.00')
    """
    return f"{int(100 * area + 1e-9) / 100:.2f}"


def rank_arms(arms: Sequence[ArmProfile]) -> list[ArmProfile]:
    """Sort the arms by descending area; equal arms keep the study's order."""
    return sorted(arms, key=lambda profile: -profile.area)


def format_workloads(shown: PerformanceProfiles) -> str:
    """Format the workloads that are counted, by study."""
    sizes: dict[str, list[str]] = {}
    for entry in shown.arms[0].entries:  # every arm has an entry for each
        sizes.setdefault(entry.study, []).append(f"{entry.batch_size:,}")
    return "; ".join(f"{study} at B={', '.join(found)}" for study, found in sizes.items())


def _table(shown: PerformanceProfiles, other_areas: dict[str, float]) -> Table:
    table = plain_table()
    table.add_column("arm", max_width=24, overflow="fold")
    within = [f"within\n{factor:g}x" for factor in FACTORS]
    other = "area without\nbaseline" if shown.with_baseline else "area incl.\nbaseline"
    for heading in ("as good", "not shown", "cheapest", *within, "area", other):
        table.add_column(heading, justify="right")
    for profile in rank_arms(shown.arms):
        ratios = [entry.ratio for entry in profile.entries if math.isfinite(entry.ratio)]
        not_shown = sum(entry.finding == "not shown" for entry in profile.entries)
        numbers = [len(ratios), not_shown, *(sum(ratio <= tau for ratio in ratios) for tau in (1.0, *FACTORS))]
        table.add_row(
            Text(profile.arm),
            *(f"{number} of {shown.num_workloads}" for number in numbers),
            format_area(profile.area),
            format_area(other_areas[profile.arm]),
        )
    return table


def notes(shown: PerformanceProfiles) -> tuple[str, ...]:
    """Return what a reader must know to trust the profiles, and what was left out."""
    unit = cost_unit(shown.currency, []).label
    baseline = (
        "plus the full search for its baseline on every workload"
        if shown.with_baseline
        else "without the search for its baseline"
    )
    return (
        "A workload is a study at one batch size. As good: the reference itself, or an arm whose verdict is a yes, "
        "less certain ones included; not shown does not count.",
        f"Cost: {unit} to a model, including all search trials of the arm at that batch size, {baseline}. Cheapest and "
        "within: relative to the cheapest of these arms that is as good.",
        f"Area: under the share of workloads solved within a factor of the cheapest, over that factor from 1 to "
        f"{TAU_MAX:g} on a log axis. 1: as good and cheapest everywhere; 0: never as good within {TAU_MAX:g} times.",
        *([_NOISE] if shown.currency == "device_seconds" else []),
        *shown.left_out,
    )
