"""The figures of a diagnosis, each a pure function of it, listed in `FIGURES`.

A batch size has the same colour in every figure. This module must not know how anything was measured.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from ....trainers.diagnostics import LAWS, LayerNorms
from ...reports.figures.style import (
    COLOURS,
    GREY,
    ArmStyle,
    apply_style,
    escape,
    line_trace,
    make_panels,
    marker_trace,
    panel_place,
)
from .diagnosis import DiagnosedRun, Diagnosis
from .text import describe_distance, describe_peak_shift, format_gap, format_number, format_peaks

MAX_LAYERS = 12
"""Maximum number of layers drawn; those of a deeper model are evenly spaced."""
LAW_STYLES = {"log t": ("#D55E00", "solid"), "sqrt t": ("#0072B2", "dash")}
_LOG = {"type": "log", "exponentformat": "power", "dtick": 1}
"""An axis with a tick at every power of ten."""


@dataclass(frozen=True, kw_only=True)
class DiagnosisFigure:
    """A figure: how to read it, and the function that draws it."""

    reading: str
    draw: Callable[[Diagnosis], go.Figure]


def lipschitz(diagnosis: Diagnosis) -> go.Figure:
    """Draw the Lipschitz constant against updates and epochs, one line per batch size, its peak marked."""
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    for place, run in enumerate(diagnosis.runs):
        clocks: tuple[Callable[[int], float], ...] = (float, run.epoch_of)
        for column, time in enumerate(clocks, start=1):
            shown = [o for o in run.observations if math.isfinite(o.lipschitz)]
            line = _line(run, place, [time(o.iteration) for o in shown], [o.lipschitz for o in shown])
            line.showlegend = column == 1
            figure.add_trace(line, row=1, col=column)
            peak = run.peak
            if peak is not None and peak.is_inside:
                figure.add_trace(_star(time(peak.iteration), peak.value, place), row=1, col=column)
    places = format_peaks(diagnosis)
    what = f"local Lipschitz constant along the gradient{f'; largest {places}' if places else ''}"
    _dress(figure, diagnosis, title=describe_peak_shift(diagnosis), what=what)
    figure.update_xaxes(_LOG)
    figure.update_xaxes(title_text="update", col=1)
    figure.update_xaxes(title_text="epoch", col=2)
    figure.update_yaxes(title_text="L = g'Hg / |g|²  (1 / learning rate)", col=1)
    return figure


def trust_ratios(diagnosis: Diagnosis) -> go.Figure:
    """Draw |w| / |g| of every layer over the updates, one panel per batch size; dotted the ratio that is applied."""
    figure = _panels(diagnosis)
    names = _drawn_layers(diagnosis.runs[0].observations[0].layers)
    colours = sample_colorscale("Viridis", [0.9 * i / max(1, len(names) - 1) for i in range(len(names))])
    for place, run in enumerate(diagnosis.runs):
        for name, colour in zip(names, colours, strict=True):
            layers = [(o.iteration, layer) for o in run.observations for layer in o.layers if layer.name == name]
            kinds = {"solid": [(t, layer.trust_ratio) for t, layer in layers]}
            if any(layer.applied not in (None, 1.0) for _, layer in layers):
                kinds["dot"] = [(t, layer.applied) for t, layer in layers]
            for dash, points in kinds.items():
                label = escape(name) if dash == "solid" else f"{escape(name)}, applied"
                times, ratios = [t for t, _ in points], [ratio for _, ratio in points]
                line = line_trace(times, ratios, colour, dash=dash, name=label, group=escape(name))
                line.update(showlegend=place == 0 and dash == "solid", hoverinfo=None)
                figure.add_trace(line, **panel_place(place))
    _dress(figure, diagnosis, title=_ratio_finding(diagnosis), what="trust ratio of every layer")
    figure.update_xaxes(_LOG, title_text="update")
    figure.update_yaxes(_LOG)
    figure.update_yaxes(title_text="|w| / |g|", col=1)
    return figure


def distances(diagnosis: Diagnosis) -> go.Figure:
    """Draw |w - w0| over the updates on a log axis, one panel per batch size, with the fit of every law."""
    figure = _panels(diagnosis)
    for place, run in enumerate(diagnosis.runs):
        times = [t for t, _ in run.distances]
        measured = [distance for _, distance in run.distances]
        points = marker_trace(times, measured, ArmStyle(colour=GREY, symbol="circle"), size=6, name="measured")
        figure.add_trace(points.update(showlegend=place == 0, hoverinfo=None), **panel_place(place))
        for law, found in run.fits.items():
            colour, dash = LAW_STYLES[law]
            hover = f"{found.intercept:.3g} + {found.slope:.3g} {law}, R² = {found.r_squared:.3f}"
            fitted = [found.at(t) for t in times]
            line = line_trace(times, fitted, colour, hover, dash=dash, name=f"a + b {law}", group=law)
            figure.add_trace(line.update(showlegend=place == 0), **panel_place(place))
        texts = [f"{law}: R² = {run.fits[law].r_squared:.3f}" for law in LAWS if law in run.fits]
        figure.add_annotation(
            text="<br>".join(texts),
            x=0.03,
            y=0.97,
            xref="x domain",
            yref="y domain",
            xanchor="left",
            yanchor="top",
            align="left",
            showarrow=False,
            **panel_place(place),
        )
    _dress(figure, diagnosis, title=describe_distance(diagnosis), what="distance of the weights from their start")
    figure.update_xaxes(_LOG, title_text="updates made")
    figure.update_yaxes(title_text="|w - w0|", col=1)
    return figure


def loss_gaps(diagnosis: Diagnosis) -> go.Figure:
    """Draw validation minus training loss over the epochs, one line per batch size."""
    figure = go.Figure()
    for place, run in enumerate(diagnosis.runs):
        shown = [(epoch, gap) for epoch, gap in run.loss_gaps if math.isfinite(gap)]
        figure.add_trace(_line(run, place, [epoch for epoch, _ in shown], [gap for _, gap in shown]))
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    last = ", ".join(f"{format_gap(run)} at B={run.batch_size:,}" for run in diagnosis.runs)
    _dress(
        figure, diagnosis, title=f"Loss gap of the last epoch, in nats: {last}", what="validation minus training loss"
    )
    figure.update_xaxes(title_text="epoch", rangemode="tozero")
    figure.update_yaxes(title_text="validation minus training loss (nats)")
    return figure


def noise_scales(diagnosis: Diagnosis) -> go.Figure:
    """Draw the gradient noise scale over the epochs, one line per batch size; dashed the batch size itself."""
    figure = go.Figure()
    for place, run in enumerate(diagnosis.runs):
        seen = [o for o in run.observations if math.isfinite(o.noise.trace)]
        scales = [o.noise.scale for o in seen]
        figure.add_trace(_line(run, place, [run.epoch_of(o.iteration) for o in seen], scales))
        figure.add_hline(y=run.batch_size, line={"color": _colour(place), "width": 1, "dash": "dash"})
    last = ", ".join(f"{format_number(run.late_noise_scale)} at B={run.batch_size:,}" for run in diagnosis.runs)
    _dress(
        figure, diagnosis, title=f"Gradient noise scale towards the end, in samples: {last}", what="tr(Sigma) / |G|²"
    )
    figure.update_xaxes(_LOG, title_text="epoch")
    figure.update_yaxes(_LOG, title_text="tr(Sigma) / |G|² (samples)")
    return figure


FIGURES: Mapping[str, DiagnosisFigure] = {
    "lipschitz": DiagnosisFigure(
        reading="Curvature of the loss of fixed samples along its own gradient, before each measured update: a step is "
        "stable below 2 / L. A star marks the largest value if it is above twice the first and not the last. LEGW "
        "(arXiv 1901.08256v1, Figure 3) and DATE (Figure 11) see the peak move right as the batch grows. Time is shown "
        "in updates and in epochs, since with a larger batch the same number of updates is more epochs. A negative "
        "value means that the loss curves down.",
        draw=lipschitz,
    ),
    "trust_ratios": DiagnosisFigure(
        reading="Norm of a layer's weights over the norm of its gradient, from the first layer (dark) to the last "
        f"(light). Biases are left out, and at most {MAX_LAYERS} layers are drawn; the table holds all. Dotted: the "
        "factor by which the optimizer multiplies the layer's step, besides the learning rate, if it has one. LARS "
        "(arXiv 1708.03888, Table 2 and Figure 2), DATE (Figure 12).",
        draw=trust_ratios,
    ),
    "distances": DiagnosisFigure(
        reading="Distance of all weights from their initial values. On this axis log t is a straight line (Hoffer et "
        "al., arXiv 1705.08741: ultra-slow diffusion) and sqrt t bends up. Both are fitted by least squares to the "
        "same points. These are evenly spaced on this axis unless --every was given, so early updates weigh as much as "
        "late ones. LIMIT (arXiv 2006.08517, Figures 11 and 12).",
        draw=distances,
    ),
    "loss_gaps": DiagnosisFigure(
        reading="The training loss is the mean over the epoch while the weights moved, label smoothing included, so "
        "early gaps are below 0. LARS (arXiv 1708.03888, Figure 1).",
        draw=loss_gaps,
    ),
    "noise_scales": DiagnosisFigure(
        reading="Variance of the gradient over samples relative to the squared mean gradient, from the same samples as "
        "L; no point if the mean is lost in the noise. Dashed: the batch sizes. If a batch size lies far above its "
        "line, more samples per update gain little at any learning rate; if it lies far below, a larger batch still "
        "helps. McCandlish et al. (arXiv 1812.06162, Appendix A.1).",
        draw=noise_scales,
    ),
}


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _line(run: DiagnosedRun, place: int, x: Sequence[float], y: Sequence[float | None]) -> go.Scatter:
    name = f"B={run.batch_size:,}"
    line = line_trace(x, y, _colour(place), name=name, group=name)
    return line.update(mode="lines+markers", marker={"color": _colour(place), "size": 5}, hoverinfo=None)


def _star(x: float, y: float, place: int) -> go.Scatter:
    star = marker_trace([x], [y], ArmStyle(colour=_colour(place), symbol="star"), size=15)
    star.update(mode="markers+text", text=[format_number(x)], textposition="top center")
    star.update(textfont_color=_colour(place), marker_line={"color": "white", "width": 1}, hoverinfo="x+y")
    return star


def _panels(diagnosis: Diagnosis) -> go.Figure:
    """Return one panel per batch size, with a common value axis."""
    return make_panels([f"B={run.batch_size:,}" for run in diagnosis.runs], spacing=0.03, shared_yaxes="all")


def _dress(figure: go.Figure, diagnosis: Diagnosis, *, title: str, what: str) -> None:
    question = diagnosis.question
    subtitle = f"{question.study.name}, {question.arm}, seed {question.seed}: {what}"
    apply_style(figure, title=title, subtitle=subtitle, num_panels=sum(1 for _ in figure.select_xaxes()))


def _drawn_layers(layers: Sequence[LayerNorms]) -> list[str]:
    """Return the names of the layers to draw: no biases, evenly spaced if there are many."""
    names = _weight_names(layers)
    if len(names) <= MAX_LAYERS:
        return names
    return [names[round(i * (len(names) - 1) / (MAX_LAYERS - 1))] for i in range(MAX_LAYERS)]


def _weight_names(layers: Sequence[LayerNorms]) -> list[str]:
    """Return the layers without the biases, or all layers if there are only biases."""
    names = [layer.name for layer in layers]
    return [name for name in names if not name.endswith("bias")] or names


def _ratio_finding(diagnosis: Diagnosis) -> str:
    """Return how far apart the layers are at the first update, as in Table 2 of LARS."""
    first = diagnosis.runs[0].observations[0]
    shown = _weight_names(first.layers)
    ratios = {
        layer.name: layer.trust_ratio for layer in first.layers if layer.name in shown and layer.trust_ratio is not None
    }
    if not ratios:
        return "No layer has a trust ratio at the first update"
    low, high = min(ratios, key=lambda name: ratios[name]), max(ratios, key=lambda name: ratios[name])
    return (
        f"At update {first.iteration:,} and B={diagnosis.runs[0].batch_size:,} the trust ratio is from"
        f" {format_number(ratios[low])} ({low}) to {format_number(ratios[high])} ({high})"
    )
