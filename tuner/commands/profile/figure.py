"""Performance profiles as a figure, and its files: a page, an image and the numbers behind them.

This module must not know where results come from.
"""

import math
from pathlib import Path

import plotly.graph_objects as go

from ...reports.figures.style import (
    ArmStyle,
    apply_style,
    arm_styles,
    escape,
    line_trace,
    log_axis,
    log_ticks,
    marker_trace,
)
from ...reports.html.document import page_figure, render_page
from ...reports.text.costs import cost_unit
from ...reports.text.format import format_share
from ..page_files import write_page_files
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
        # Lines drawn later are thinner, so that coinciding arms stay visible.
        width = 2 + thinner * (len(shown.arms) - 1 - place)
        figure.add_traces(_traces(profile, styles[profile.arm], width=width))
    baseline = "with" if shown.with_baseline else "without"
    apply_style(
        figure,
        title=headline(shown),
        subtitle=f"{format_workloads(shown)}; cost to a model {baseline} the baseline's search",
    )
    figure.update_xaxes(
        log_axis(10**-0.02, TAU_MAX, "{:g}x".format, ticks=log_ticks(1.0, TAU_MAX)),
        title_text=f"cost over that of the cheapest arm that is as good ({cost_unit(shown.currency, []).label})",
    )
    figure.update_yaxes(
        title_text="share of workloads, as good as the reference", range=[-0.03, 1.05], tickformat=".0%"
    )
    return figure


def _traces(profile: ArmProfile, style: ArmStyle, *, width: float) -> list[go.Scatter]:
    """Return an arm's profile as steps, and a marker for each workload that it solved."""
    solved = sorted((entry for entry in profile.entries if entry.ratio <= TAU_MAX), key=lambda entry: entry.ratio)
    taus = [1.0, *(entry.ratio for entry in solved if entry.ratio > 1.0), TAU_MAX]
    shares = [profile.share_within(tau) for tau in taus]
    name = escape(profile.arm)
    label = f"{name}: area {format_area(profile.area)}"
    heights = [profile.share_within(entry.ratio) for entry in solved]
    hovers = [
        f"{name} on {escape(entry.study)} at B={entry.batch_size:,}: {entry.finding}, {entry.ratio:.3g} times the "
        f"cheapest<br>{format_share(height)} of workloads within that"
        for entry, height in zip(solved, heights, strict=True)
    ]
    return [
        line_trace(taus, shares, style.colour, width=width, shape="hv", name=label, group=name),
        marker_trace([entry.ratio for entry in solved], heights, style, hovers, size=9, group=name),
    ]


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


def write_profile(shown: PerformanceProfiles, to: Path) -> list[Path]:
    """Write profile.html, profile.csv and profile.png, and return the files."""
    figure = profile_figure(shown)
    page = render_page(headline(shown), [page_figure(NAME, figure, READING)], notes=notes(shown))
    return write_page_files(to, NAME, page=page, records=profile_records(shown), figures={NAME: figure})
