"""Weak scaling as a figure, and its files: a page, images and the numbers behind them.

This module must not know how anything was measured.
"""

from pathlib import Path

import plotly.graph_objects as go

from ...reports.figures.style import apply_style, arm_styles, line_trace, log_axis, marker_trace
from ...reports.html.document import page_figure, render_page
from ..page_files import write_page_files
from . import roofline
from .forecast import WeakScaling
from .text import FORECAST_WORKERS, describe_machine, format_si, headline, notes

NAME = "scale"
ROOFLINE = "scale_roofline"
READING = (
    "Each marker is a measured number of workers, each line a forecast. Higher is better: 100% means that the workers "
    "neither wait for each other nor share resources."
)
OWN, SHARED, MEASURED = "forecast: a device each", "forecast: workers slowed as here", "measured"


def weak_scaling_figure(found: WeakScaling, name: str) -> go.Figure:
    """Draw efficiency against the number of workers on a log axis: measured, and by two forecasts."""
    styles = arm_styles([OWN, SHARED, MEASURED])
    workers = [1, 2, *FORECAST_WORKERS]
    figure = go.Figure()
    for label, dash in ((OWN, "solid"), (SHARED, "dash")):
        shared = label == SHARED
        model = found.forecast(shares_machine=shared)
        begin = 1 if shared else 0
        shown = workers[begin:]
        efficiencies = [found.alone.update_seconds / model.update_seconds(number) for number in shown]
        line = line_trace(shown, efficiencies, styles[label].colour, width=2.5, dash=dash, name=label)
        figure.add_trace(line.update(hovertemplate="%{x:,} workers: %{y:.1%}<extra>" + label + "</extra>"))
    points = found.points
    hovers = [
        f"{point.num_workers} workers: {found.efficiency(point):.1%}, "
        f"{format_si(point.samples / point.update_seconds)} samples a second"
        for point in points
    ]
    workers_measured = [point.num_workers for point in points]
    measured = map(found.efficiency, points)
    figure.add_trace(marker_trace(workers_measured, measured, styles[MEASURED], hovers, name=MEASURED))
    apply_style(
        figure,
        title=headline(found, name),
        subtitle=f"{found.samples_per_worker} samples a worker; computational intensity {format_si(found.intensity)}",
    )
    axis = log_axis(10**-0.05, workers[-1] * 10**0.05, "{:,}".format, ticks=[4**power for power in range(6)])
    figure.update_xaxes(axis, title_text="workers")
    figure.update_yaxes(title_text="weak-scaling efficiency", range=[0, 1.08], tickformat=".0%")
    return figure


def weak_scaling_records(found: WeakScaling) -> list[dict[str, object]]:
    """Return one record per number of workers: measured and forecast, or forecast only."""
    own, shared = found.forecast(shares_machine=False), found.forecast(shares_machine=True)
    measured = {point.num_workers: point for point in found.points}
    records: list[dict[str, object]] = []
    for number in sorted({*measured, *FORECAST_WORKERS}):
        point = measured.get(number)
        records.append(
            {
                "workers": number,
                "batch_size": number * found.samples_per_worker,
                "update_seconds": point and point.update_seconds,
                "apart_seconds": point and point.apart_seconds,
                "sum_seconds": point and point.sum_seconds,
                "efficiency": point and found.efficiency(point),
                "exchange_share": point and point.exchange_share,
                "forecast_own_device_seconds": own.update_seconds(number),
                "forecast_own_device_efficiency": own.efficiency(number),
                "forecast_shared_seconds": shared.update_seconds(number),
                "forecast_shared_efficiency": found.alone.update_seconds / shared.update_seconds(number),
            }
        )
    return records


def write_weak_scaling(found: WeakScaling, name: str, to: Path) -> list[Path]:
    """Write scale.html, scale.csv, scale.png and scale_roofline.png for an application, and return the files."""
    figures = {NAME: weak_scaling_figure(found, name), ROOFLINE: roofline.roofline_figure(found, name)}
    readings = {NAME: READING, ROOFLINE: roofline.READING}
    page = render_page(
        headline(found, name),
        [page_figure(key, figure, readings[key]) for key, figure in figures.items()],
        notes=(*describe_machine(found), *notes(found)),
    )
    return write_page_files(to, NAME, page=page, records=weak_scaling_records(found), figures=figures)
