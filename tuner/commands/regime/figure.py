"""The regime figure: test score against batch size, with the regimes shaded.

A boundary is drawn halfway (logarithmically) between the last batch size that holds and the first that fails.
"""

import math

import plotly.graph_objects as go

from ...reports.figures.scores import ScorePlot, ScorePoint
from ...reports.figures.style import apply_style, escape, log_axis
from ...reports.text.scores import format_interval
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
    question = regime.question
    figure = go.Figure()
    _shade(figure, regime)
    share = question.margin if question.higher_is_better else 2 - question.margin
    ScorePlot(
        arms=question.arms,
        points=[point for attempt in regime.attempts if (point := _point(regime, attempt))],
        baseline=_point(regime, regime.baseline),
        metric=question.metric,
        higher_is_better=question.higher_is_better,
        margin=question.margin,
        margin_name=f"{100 * share:.4g}% of the baseline",
        ends=_edges(regime),
    ).draw(figure)
    ticks = [question.baseline_batch_size, *question.rungs]
    # Labels closer than a fifth of a doubling would overlap.
    kept = [t for t, following in zip(ticks, [*ticks[1:], math.inf], strict=True) if following / t > 1.15]
    axis = log_axis(*_edges(regime), "{:,}".format, ticks=kept)
    figure.update_xaxes(axis, title_text="batch size (samples, logarithmic)")
    apply_style(
        figure,
        title=headline(regime),
        subtitle=f"{question.study}, {question.application}: mean test {question.metric} and 95% interval over "
        f"{question.num_seeds} seeds, after {question.epochs} epochs",
    )
    return figure


def _point(regime: Regime, attempt: Attempt) -> ScorePoint | None:
    if attempt.score is None:
        return None
    metric, ratio = regime.question.metric, loss_ratio(regime, attempt)
    lines = [
        f"{attempt.arm}, B={attempt.batch_size:,}",
        f"{metric} {format_interval(attempt.score, metric)}, {attempt.num_seeds} seeds",
        "loss not finite" if ratio is None else f"{ratio:.3g} times the baseline's validation loss",
    ]
    if attempt is not regime.baseline:
        lines.append(format_verdict(regime, attempt))
    holds = attempt.keeps_both if attempt.arm == regime.question.linear else attempt.keeps_score
    return ScorePoint(
        arm=attempt.arm,
        batch_size=attempt.batch_size,
        score=attempt.score,
        hover="<br>".join(escape(line) for line in lines),
        has_diverged=attempt.num_diverged > 0,
        is_hollow=not holds,
    )


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
