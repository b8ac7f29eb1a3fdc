"""A roofline: whether a worker that communicates gradients is bound by its matrix products or by its link.

The form is that of Williams, Waterman and Patterson (2009, Communications of the ACM 52(4)), with communicated words in
place of bytes of memory traffic. This module must not know how anything was measured.
"""

from dataclasses import replace

import plotly.graph_objects as go

from ...reports.figures.style import GREY, apply_style, arm_styles, line_trace, log_axis, marker_trace
from ...reports.text.format import format_share
from .forecast import WeakScaling, communicated_words
from .text import format_si

READING = (
    "The grey roof is the most that a worker can reach: bound by its link to the left of the bend, by its matrix "
    "products to the right. Each marker is a measured number of workers. The line is the forecast for other local "
    "batch sizes, with workers slowed as on this machine. Larger local batches move a training to the right."
)
MODEL, MEASURED, ALONE = "model, other local batch sizes", "measured", "one worker alone"
_AROUND = 64.0
"""Factor by which the axis extends beyond the markers."""


def roofline_figure(found: WeakScaling, name: str) -> go.Figure:
    """Draw the FLOP/s of a worker of an application against its FLOPs per communicated word, both on log axes.

    Several workers must have been measured.
    """
    several = [point for point in found.points if point.num_workers > 1]
    largest = several[-1]
    model = found.forecast(shares_machine=True)
    roof, link = found.rates.flops, model.link.words
    update_flops = found.alone.flops_per_sample * found.samples_per_worker
    places = {
        point.num_workers: update_flops / communicated_words(largest.num_parameters, point.num_workers)
        for point in several
    }
    bend, here = roof / link, places[largest.num_workers]
    low, high = min(bend, here, *places.values()) / _AROUND, max(bend, here, *places.values()) * _AROUND
    along = [low * (high / low) ** (step / 60) for step in range(61)]
    styles = arm_styles([MODEL, MEASURED])
    figure = go.Figure()
    roof_name = "roof: link, then matrix product"
    figure.add_trace(line_trace([low, bend, high], [low * link, roof, roof], GREY, name=roof_name))
    alone = line_trace([low, high], [found.flops] * 2, GREY, width=1, dash="dot", name=ALONE)
    figure.add_trace(alone.update(hovertemplate=f"{ALONE}: {format_si(found.flops)}FLOP/s<extra></extra>"))
    reached = []
    for place in along:
        times = place / here
        forecast = replace(model, compute_seconds=times * model.compute_seconds)
        reached.append(times * update_flops / forecast.update_seconds(largest.num_workers))
    line = line_trace(along, reached, styles[MODEL].colour, width=2.5, name=MODEL)
    line.update(customdata=[place / here * found.samples_per_worker for place in along])
    line.update(hovertemplate="%{customdata:.3g} samples a worker: %{y:.3s}FLOP/s<extra></extra>")
    figure.add_trace(line)
    rates = {point.num_workers: update_flops / point.update_seconds for point in several}
    hovers = [
        f"{workers} workers: {format_si(rate)}FLOP/s each, {format_share(rate / roof)} of the matrix product's"
        for workers, rate in rates.items()
    ]
    figure.add_trace(marker_trace(places.values(), rates.values(), styles[MEASURED], hovers, name=MEASURED))
    bound = "its link" if here < bend else "its matrix products"
    apply_style(
        figure,
        title=f"{name} with {found.samples_per_worker} samples a worker: bound by {bound}",
        subtitle=(
            f"{format_si(here)} FLOPs a word with {largest.num_workers} workers; the roof bends at {format_si(bend)}: "
            f"{format_si(bend / here * found.samples_per_worker)} samples a worker"
        ),
    )
    bottom = min(low * link, *reached, found.flops)
    figure.update_xaxes(log_axis(low, high, format_si), title_text="FLOPs of a worker per communicated word")
    figure.update_yaxes(log_axis(bottom, 2 * roof, format_si), title_text="FLOP/s of a worker")
    return figure
