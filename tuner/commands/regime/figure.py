"""The regime figure: test score against batch size, with the regimes shaded.

A boundary is drawn halfway (logarithmically) between the last batch size that holds and the first that fails.
"""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from ...analysis.comparison import tolerated_loss
from ...reports.figures.style import (
    EDGE_SIZE,
    GREY,
    MARKER_SIZE,
    ScoreRange,
    apply_style,
    arm_styles,
    escape,
    fit_score_range,
)
from ...reports.text.scores import format_interval, format_score, is_share, score_title
from .bisection import Bracket
from .text import format_verdict, headline, loss_ratio
from .verdict import Attempt, Regime

SHADES = {"large": "#56B4E9", "huge": "#E69F00", "full": "#D55E00"}
_ENDS = 1.35
"""Factor by which the axis extends beyond the outermost batch sizes."""
_HALF_WIDTH = 1.05
"""Half the width of the full batch's band, as a factor."""

READING = (
    "A marker is a method's mean test score over seeds with its 95% interval: filled if it holds, hollow if it fails. "
    "Markers of one batch size are moved apart. The dashed line is the score that must be kept. Boundaries are drawn "
    "halfway between the last batch size that holds and the first that fails. Triangles are scores off the axis."
)


def regime_figure(regime: Regime) -> go.Figure:
    """Draw mean test scores with their 95% intervals against batch size (log2), and the regimes."""
    question, baseline = regime.question, regime.baseline
    assert baseline.score is not None  # without one there is no regime
    loss = tolerated_loss(question.margin, baseline.score.mean)
    level = baseline.score.mean - loss if question.higher_is_better else baseline.score.mean + loss
    means = [a.score.mean for a in regime.attempts if a.score and not a.num_diverged]
    scale = fit_score_range([*means, level, baseline.score.mean], higher_is_better=question.higher_is_better)
    ends = _ends((baseline, *regime.attempts))
    scale = scale.with_room([min(end, 1.0) for end in ends] if is_share(question.metric) else ends)
    figure = go.Figure()
    _shade(figure, regime)
    for arm in question.arms:
        _draw_arm(figure, regime, [a for a in regime.attempts if a.arm == arm and a.score is not None], scale)
    for batch_size in sorted({attempt.batch_size for attempt in regime.attempts}):
        off = [a for a in regime.at(batch_size) if a.score is not None and scale.off(a.score.mean)]
        _draw_off_axis(figure, regime, off, scale)
    _draw_baseline(figure, regime, level)
    apply_style(
        figure,
        title=headline(regime),
        subtitle=f"{question.study}, {question.application}: mean test {question.metric} and 95% interval over "
        f"{question.num_seeds} seeds, after {question.epochs} epochs",
        num_panels=1,
    )
    _set_axes(figure, regime, scale)
    return figure


def _ends(attempts: Sequence[Attempt]) -> list[float]:
    scores = [attempt.score for attempt in attempts if attempt.score is not None and not attempt.num_diverged]
    return [end for score in scores for end in (score.low, score.high) if end is not None]


def _edges(regime: Regime) -> tuple[float, float]:
    question = regime.question
    return question.baseline_batch_size / _ENDS, max(*question.rungs, question.num_train) * _ENDS


def _middle(regime: Regime, found: Bracket) -> float | None:
    """Return where a boundary is drawn; None if it was not reached."""
    if found.fails is None:
        return None
    return math.sqrt((found.holds or regime.question.baseline_batch_size) * found.fails)


def regime_bands(regime: Regime) -> dict[str, tuple[float, float]]:
    """Return where each regime begins and ends on the axis, in samples; regimes that were not reached are left out.

    The full batch is a single size, so its band is always a narrow one around it.
    """
    left, _ = _edges(regime)
    num_train, tried_to = regime.question.num_train, regime.question.rungs[-1]
    end = min(tried_to * _HALF_WIDTH, num_train / _HALF_WIDTH)
    huge = _middle(regime, regime.huge) or end
    large = min(_middle(regime, regime.large) or end, huge)
    bands = {"small": (left, large), "large": (large, huge), "huge": (huge, end)}
    bands["full"] = (num_train / _HALF_WIDTH, num_train * _HALF_WIDTH)
    return {name: (begin, stop) for name, (begin, stop) in bands.items() if begin < stop}


def _shade(figure: go.Figure, regime: Regime) -> None:
    """Shade the regimes behind the markers, with their names above."""
    for name, (begin, stop) in regime_bands(regime).items():
        if name in SHADES:
            figure.add_vrect(x0=begin, x1=stop, fillcolor=SHADES[name], opacity=0.16, layer="below", line_width=0)
        figure.add_annotation(
            text=name,
            x=math.log10(math.sqrt(begin * stop)),  # plotly takes a logarithmic axis's annotations as exponents
            y=1.0,
            yref="paper",
            yanchor="bottom",
            showarrow=False,
            font={"size": 13, "color": "#444444"},
        )


def _shown_batch_size(regime: Regime, attempt: Attempt) -> float:
    """Return the batch size, shifted a little per method."""
    arms = regime.question.arms
    return float(attempt.batch_size * 2.0 ** (0.05 * (arms.index(attempt.arm) - (len(arms) - 1) / 2)))


def _draw_arm(figure: go.Figure, regime: Regime, attempts: Sequence[Attempt], scale: ScoreRange) -> None:
    if not attempts:
        return
    style = arm_styles(regime.question.arms)[attempts[0].arm]
    symbols = [style.symbol if _holds(regime, a) else f"{style.symbol}-open" for a in attempts]
    figure.add_trace(
        go.Scatter(
            x=[_shown_batch_size(regime, attempt) for attempt in attempts],
            y=[None if a.score is None or scale.off(a.score.mean) else a.score.mean for a in attempts],
            error_y=_error_bars(attempts, style.colour),
            mode="lines+markers",
            line={"color": style.colour, "width": 1.2},
            marker={
                "symbol": symbols,
                "size": MARKER_SIZE,
                "color": style.colour,
                "line": {"width": 2, "color": style.colour},
            },
            name=escape(attempts[0].arm),
            hovertext=[_hover(regime, attempt) for attempt in attempts],
            hoverinfo="text",
        )
    )


def _holds(regime: Regime, attempt: Attempt) -> bool:
    return attempt.keeps_both if attempt.arm == regime.question.linear else attempt.keeps_score


def _error_bars(attempts: Sequence[Attempt], colour: str) -> dict[str, object]:
    widths = [0.0 if a.score is None or a.score.high is None else a.score.high - a.score.mean for a in attempts]
    return {"type": "data", "array": widths, "color": colour, "thickness": 1.0, "width": 3}


def _draw_off_axis(figure: go.Figure, regime: Regime, attempts: Sequence[Attempt], scale: ScoreRange) -> None:
    """Draw triangles at the worse end of the axis, one above the other, with their scores."""
    if not attempts:
        return
    metric, styles = regime.question.metric, arm_styles(regime.question.arms)
    colours = [styles[attempt.arm].colour for attempt in attempts]
    figure.add_trace(
        go.Scatter(
            x=[_shown_batch_size(regime, attempt) for attempt in attempts],
            y=[scale.edge(place) for place in range(len(attempts))],
            mode="markers+text",
            text=[f" {format_score(attempt.score.mean, metric)}" for attempt in attempts if attempt.score],
            textposition="middle right",
            textfont={"size": 11, "color": colours},
            marker={"symbol": scale.edge_symbol, "size": EDGE_SIZE, "color": colours},
            name="off the axis",
            showlegend=False,
            hovertext=[_hover(regime, attempt) for attempt in attempts],
            hoverinfo="text",
            cliponaxis=False,
        )
    )


def _hover(regime: Regime, attempt: Attempt) -> str:
    metric, ratio = regime.question.metric, loss_ratio(regime, attempt)
    score = "no score" if attempt.score is None else format_interval(attempt.score, metric)
    lines = [f"{attempt.arm}, B={attempt.batch_size:,}", f"{metric} {score}, {attempt.num_seeds} seeds"]
    lines.append("loss not finite" if ratio is None else f"{ratio:.3g} times the baseline's validation loss")
    if attempt is not regime.baseline:
        lines.append(format_verdict(regime, attempt))
    return "<br>".join(escape(line) for line in lines)


def _draw_baseline(figure: go.Figure, regime: Regime, level: float) -> None:
    question, baseline = regime.question, regime.baseline
    share = question.margin if question.higher_is_better else 2 - question.margin
    line = go.Scatter(
        x=list(_edges(regime)),
        y=[level, level],
        mode="lines",
        line={"color": GREY, "dash": "dash", "width": 1.2},
        name=f"{100 * share:.4g}% of the baseline",
        hoverinfo="skip",
    )
    marker = go.Scatter(
        x=[baseline.batch_size],
        y=[baseline.score.mean if baseline.score else None],
        error_y=_error_bars([baseline], GREY),
        mode="markers",
        marker={"symbol": "hourglass", "size": MARKER_SIZE, "color": GREY},
        name="baseline",
        hovertext=[_hover(regime, baseline)],
        hoverinfo="text",
    )
    figure.add_traces([line, marker])


def _set_axes(figure: go.Figure, regime: Regime, scale: ScoreRange) -> None:
    question = regime.question
    percent = ".1%" if is_share(question.metric) and scale.high - scale.low > 0.005 else None
    title = escape(score_title(question.metric, "test", higher_is_better=question.higher_is_better))
    figure.update_yaxes(range=[scale.low, scale.high], tickformat=percent, title_text=title)
    ticks = [question.baseline_batch_size, *question.rungs]
    # Labels closer than a fifth of a doubling would overlap.
    kept = [t for t, following in zip(ticks, [*ticks[1:], math.inf], strict=True) if following / t > 1.15]
    figure.update_xaxes(
        type="log",
        range=[math.log10(edge) for edge in _edges(regime)],
        tickvals=kept,
        ticktext=[f"{tick:,}" for tick in kept],
        title_text="batch size (samples, logarithmic)",
    )
