"""The answer of grids of trainings as figures: what rules lose against the batch size, and the best learning rates.

This module must not know files.
"""

import math

import plotly.graph_objects as go

from ...analysis.learning_rate_answer import GridsAnswer
from ...reports.figures.style import (
    COLOURS,
    GREY,
    apply_style,
    escape,
    fade,
    line_trace,
    log_axis,
    make_panels,
    num_rows,
    panel_place,
)
from ...reports.text.format import format_lr
from .layout import Layout
from .tables import shown_batch_sizes
from .text import format_excess, format_tokens, rank_rules

FLOOR, TOP = 0.02, 200.0
"""Ends of the axis of losses, in tolerances: less is drawn at the floor, more or off grid at the top."""

LOSSES_READING = (
    "Each panel is a rule, started from the best learning rate at B0. Line: median over the grids; shade: from the"
    " least to"
    " the most; dashed: the tolerance. Lower is better. At the top edge: that much or more, or off the grid."
)
BESTS_READING = (
    "Each line is a grid, a model and an amount of data; colours are thirds of the grids by tokens where they are"
    " known. On"
    " these axes a power of the batch size is a straight line, and a learning rate that levels off bends."
)


def losses_figure(answer: GridsAnswer, layout: Layout) -> go.Figure:
    """Draw the loss above the best against the batch size, on B's side of B0: a panel a rule, the best first."""
    names, sizes, question = rank_rules(answer), _beyond_baseline(answer), answer.question
    low, high = FLOOR * question.tolerance, TOP * question.tolerance
    figure = make_panels([escape(name) for name in names], spacing=0.04, row_spacing=0.3)
    for number, name in enumerate(names):
        colour, place = COLOURS[number % len(COLOURS)], panel_place(number)
        found = [answer.verdicts[name, size].losses for size in sizes]

        def inside(value: float) -> float:
            return min(max(value, low), high)

        shade = line_trace(
            [*sizes, *reversed(sizes)],
            [*(inside(one.excesses[-1]) for one in found), *(inside(one.excesses[0]) for one in reversed(found))],
            fade(colour),
            width=0,
        )
        figure.add_trace(shade.update(fill="toself", fillcolor=fade(colour)), **place)
        hovers = [
            f"{escape(name)} at {size:,}: median {format_excess(one.median)}, {format_excess(one.excesses[0])} to"
            f" {format_excess(one.excesses[-1])}, {one.within} of {len(one)} within"
            for size, one in zip(sizes, found, strict=True)
        ]
        medians = [inside(math.inf if one.median is None else one.median) for one in found]
        figure.add_trace(line_trace(sizes, medians, colour, hovers, width=2.5).update(mode="lines+markers"), **place)
        tolerance = [question.tolerance] * 2
        figure.add_trace(line_trace([sizes[0], sizes[-1]], tolerance, GREY, width=1, dash="dash"), **place)
    best = answer.verdict(names[0]).losses
    apply_style(
        figure,
        title=f"From {question.baseline_batch_size:,} to {question.batch_size:,} {layout.batch_unit}, {names[0]} is"
        f" within {f'{question.tolerance:g} {layout.unit}'.strip()} of the best on {best.within} of {len(best)} grids",
        subtitle="Loss above that of the best learning rate at each batch size",
        num_panels=len(names),
        panels_height=300.0 * num_rows(len(names)),
    )
    figure.update_xaxes(log_axis(sizes[0] * 0.9, sizes[-1] * 1.1, "{:,.0f}".format, ticks=_powers_of_4(sizes)))
    figure.update_xaxes(title_text=f"batch size, {escape(layout.batch_unit)}")
    figure.update_yaxes(log_axis(low, high * 1.1, "{:g}".format, ticks=_decades(low, high)))
    for row in range(num_rows(len(names))):
        figure.update_yaxes(title_text=f"loss above the best{_unit(layout)}", row=row + 1, col=1)
    return figure


def _beyond_baseline(answer: GridsAnswer) -> list[int]:
    """Return the batch sizes on B's side of B0."""
    start, asked = answer.question.baseline_batch_size, answer.question.batch_size
    shown = {asked, *shown_batch_sizes(answer)}
    return sorted(size for size in shown if (size > start) == (asked > start))


def _powers_of_4(sizes: list[int]) -> list[float]:
    return [4.0**power for power in range(40) if sizes[0] <= 4**power <= sizes[-1]] or [float(sizes[0])]


def _decades(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def _unit(layout: Layout) -> str:
    return f", {escape(layout.unit)}" if layout.unit else ""


def bests_figure(answer: GridsAnswer, layout: Layout) -> go.Figure:
    """Draw the best learning rate against the batch size: a line a grid."""
    figure = go.Figure()
    groups = _token_groups(answer)
    named: set[str] = set()
    for number, grid in enumerate(answer.grids):
        if not grid.bests:
            continue
        group = groups.get(grid.name, "")
        colour = COLOURS[list(dict.fromkeys(groups.values())).index(group) if group else number % len(COLOURS)]
        label = group or escape(grid.name)
        about = [f"{format_tokens(grid.parameters)} parameters"] if grid.parameters else []
        about += [f"{format_tokens(grid.tokens)} tokens"] if grid.tokens else []
        title = ", ".join(about) or escape(grid.name)
        hovers = [f"{title}<br>B={size:,}: best {format_lr(best.lr)}" for size, best in grid.bests.items()]
        line = line_trace(
            list(grid.bests),
            [best.lr for best in grid.bests.values()],
            colour,
            hovers,
            name=None if label in named else label,
            group=label,
        )
        figure.add_trace(line.update(mode="lines+markers", marker_size=5))
        named.add(label)
    sizes = sorted({size for grid in answer.grids for size in grid.bests})
    lrs = sorted(best.lr for grid in answer.grids for best in grid.bests.values())
    mean = answer.mean_exponent
    apply_style(
        figure,
        title="The best learning rate at each batch size"
        + (f": it grows as B^{mean.mean:.2f} on average over the grids" if mean else ""),
        subtitle=f"{len(answer.grids)} grids; batch sizes where the best is unknown are left out",
    )
    figure.update_xaxes(log_axis(sizes[0] * 0.9, sizes[-1] * 1.1, "{:,.0f}".format, ticks=_powers_of_4(sizes)))
    figure.update_xaxes(title_text=f"batch size, {escape(layout.batch_unit)}")
    figure.update_yaxes(log_axis(lrs[0] * 0.9, lrs[-1] * 1.1, format_lr), title_text="best learning rate")
    return figure


def _token_groups(answer: GridsAnswer) -> dict[str, str]:
    """Return the label of each grid's third by tokens, in ascending order."""
    ranges = sorted({group for _, group in answer.by_tokens})
    return {
        grid.name: f"{format_tokens(low)} to {format_tokens(high)} tokens"
        for low, high in ranges
        for grid in sorted(answer.grids, key=lambda one: one.tokens or 0.0)
        if grid.tokens and low <= grid.tokens <= high
    }
