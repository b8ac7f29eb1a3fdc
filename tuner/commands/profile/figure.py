"""Performance profiles as a figure, and its files: a page, an image and the numbers behind them.

This module must not know where results come from.
"""

import math
from pathlib import Path

import plotly.graph_objects as go

from ...reports.figures.images import write_images
from ...reports.figures.style import ArmStyle, apply_style, arm_styles, escape, log_ticks
from ...reports.html.document import page_figure, render_page
from ...reports.tables.csv_files import write_csv
from ...reports.text.costs import cost_unit
from ...reports.text.format import format_share
from .profiles import TAU_MAX, ArmProfile, PerformanceProfiles
from .text import format_area, format_workloads, headline, notes, rank_arms

NAME = "profile"
READING = (
    "Each line is an arm: the share of workloads on which it is as good as the reference and costs at most this many "
    "times as much as the cheapest such arm. Higher and further left is better. The height at the left edge is how "
    "often the arm is the cheapest; at the right edge, how often it is as good at all. A marker is a workload."
)


def profile_figure(shown: PerformanceProfiles) -> go.Figure:
    """Draw rho(tau) against tau on a log axis, from 1 to `TAU_MAX`: a step line per arm, a marker per workload."""
    figure = go.Figure()
    styles = arm_styles([profile.arm for profile in shown.arms])
    thinner = min(1.5, 6 / len(shown.arms))
    for place, profile in enumerate(rank_arms(shown.arms)):
        width = 2 + thinner * (len(shown.arms) - 1 - place)
        figure.add_trace(_line(profile, styles[profile.arm], width=width))
        figure.add_trace(_markers(profile, styles[profile.arm]))
    baseline = "with" if shown.with_baseline else "without"
    apply_style(
        figure,
        title=headline(shown),
        subtitle=f"{format_workloads(shown)}; cost to a model {baseline} the baseline's search",
        num_panels=1,
    )
    ticks = log_ticks(1.0, TAU_MAX)
    figure.update_xaxes(
        type="log",
        range=[-0.02, math.log10(TAU_MAX)],
        tickvals=ticks,
        ticktext=[f"{tick:g}x" for tick in ticks],
        title_text=f"cost over that of the cheapest arm that is as good ({cost_unit(shown.currency, []).label})",
    )
    figure.update_yaxes(
        title_text="share of workloads, as good as the reference", range=[-0.03, 1.05], tickformat=".0%"
    )
    return figure


def _line(profile: ArmProfile, style: ArmStyle, *, width: float) -> go.Scatter:
    """Return the profile's line. Lines drawn later are thinner, so that coinciding arms stay visible."""
    taus = [1.0, *sorted(entry.ratio for entry in profile.entries if 1.0 < entry.ratio <= TAU_MAX), TAU_MAX]
    name = escape(profile.arm)
    return go.Scatter(
        x=taus,
        y=[profile.share_within(tau) for tau in taus],
        mode="lines",
        line={"shape": "hv", "color": style.colour, "width": width},
        name=f"{name}: area {format_area(profile.area)}",
        legendgroup=name,
        hoverinfo="skip",
    )


def _markers(profile: ArmProfile, style: ArmStyle) -> go.Scatter:
    solved = sorted((entry for entry in profile.entries if entry.ratio <= TAU_MAX), key=lambda entry: entry.ratio)
    name = escape(profile.arm)
    return go.Scatter(
        x=[entry.ratio for entry in solved],
        y=[profile.share_within(entry.ratio) for entry in solved],
        mode="markers",
        marker={"symbol": style.symbol, "size": 9, "color": style.colour},
        legendgroup=name,
        showlegend=False,
        hovertext=[
            f"{name} on {escape(entry.study)} at B={entry.batch_size:,}: {entry.finding}, {entry.ratio:.3g} times the "
            f"cheapest<br>{format_share(profile.share_within(entry.ratio))} of workloads within that"
            for entry in solved
        ],
        hoverinfo="text",
    )


def profile_records(shown: PerformanceProfiles) -> list[dict[str, object]]:
    """Return one record per workload and arm; the ratio is None if the arm is not as good as the reference."""
    return [
        {
            "study": entry.study,
            "batch_size": entry.batch_size,
            "arm": profile.arm,
            "finding": entry.finding,
            "currency": shown.currency,
            "with_baseline": shown.with_baseline,
            "bill": entry.bill,
            "ratio": entry.ratio if math.isfinite(entry.ratio) else None,
            "area": profile.area,
        }
        for profile in shown.arms
        for entry in profile.entries
    ]


def write_profile(shown: PerformanceProfiles, to: Path) -> tuple[list[Path], str | None]:
    """Write profile.html, profile.csv and profile.png, replacing earlier ones.

    Args:
        shown: the profiles.
        to: the folder, created if missing.

    Returns:
        The files and None; or the files without the image and a sentence that says why it could not be rendered.
    """
    to.mkdir(parents=True, exist_ok=True)
    figure = profile_figure(shown)
    page = to / f"{NAME}.html"
    table = to / f"{NAME}.csv"
    page.write_text(
        render_page(headline(shown), [page_figure(NAME, figure, READING)], notes=notes(shown)),
        encoding="utf-8",
    )
    write_csv(table, profile_records(shown))
    pictures, notice = write_images({NAME: figure}, to, formats=("png",))
    return [page, table, *pictures], notice
