"""The regime figure: test scores against batch size, with the regimes shaded.

A boundary is drawn halfway (logarithmically) between the last batch size that holds and the first that fails.
"""

import math
from collections.abc import Iterator, Sequence

import plotly.graph_objects as go

from ...analysis.verdict import tolerated_loss
from ...reports.figures.seed_marks import lost_entry, seed_marks, seed_traces
from ...reports.figures.style import (
    BASELINE_SYMBOL,
    EDGE_SIZE,
    GREY,
    ArmStyle,
    ScoreRange,
    apply_style,
    arm_styles,
    escape,
    fit_score_range,
    line_trace,
    log_axis,
    marker_trace,
    score_axis_title,
    set_score_axis,
)
from ...reports.text.format import pluralize
from ...reports.text.seeds import describe_seeds
from .bisection import Bracket
from .text import format_verdict, headline, loss_ratio
from .verdict import Attempt, Regime

SHADES = {"large": "#56B4E9", "huge": "#E69F00", "full": "#D55E00"}
_ENDS = 1.35
"""Factor by which the axis extends beyond the outermost batch sizes."""
_HALF_WIDTH = 1.05
"""Half the width of the full batch's band, as a factor."""

_SPREAD = 0.06
"""The horizontal offset between arms, as a share of a doubling of the batch size."""

READING = (
    "Small markers are seeds, a cross is one that diverged or has no score. The line joins the medians of the others, "
    "filled where the method holds, hollow where it fails; the mean over all seeds decides that. Markers of one batch "
    "size are moved apart. The dashed line is the score that must be kept. Boundaries are drawn halfway between the "
    "last batch size that holds and the first that fails. Markers at the bad end of the axis are scores off it."
)


def regime_figure(regime: Regime) -> go.Figure:
    """Draw the test scores of seeds and their medians against batch size (log2), and the regimes."""
    question, level = regime.question, kept_score(regime)
    attempts = [regime.baseline, *regime.attempts]
    sound = [score for attempt in attempts for score in attempt.seeds.scores.values()]
    scale = fit_score_range(
        [*sound, *([] if level is None else [level])], question.metric, higher_is_better=question.higher_is_better
    ).including(level)
    figure = go.Figure()
    _shade(figure, regime)
    styles = arm_styles(question.arms)
    for arm, style in styles.items():
        own = [attempt for attempt in regime.attempts if attempt.arm == arm]
        figure.add_traces(list(_arm_traces(regime, own, style, scale)))
    if level is not None:
        share = question.margin if question.higher_is_better else 2 - question.margin
        name = f"{100 * share:.4g}% of the baseline"
        figure.add_trace(line_trace(_edges(regime), [level] * 2, GREY, width=1.2, dash="dash", name=name))
    baseline_style = ArmStyle(colour=GREY, symbol=BASELINE_SYMBOL)
    figure.add_traces(list(_arm_traces(regime, [regime.baseline], baseline_style, scale)))
    if any(attempt.seeds.lost for attempt in attempts):
        figure.add_trace(lost_entry())
    set_score_axis(figure, scale, question.metric)
    figure.update_yaxes(title_text=score_axis_title(scale, question.metric, "test"))
    ticks = [question.baseline_batch_size, *question.rungs]
    # Labels closer than a fifth of a doubling would overlap.
    kept = [t for t, following in zip(ticks, [*ticks[1:], math.inf], strict=True) if following / t > 1.15]
    axis = log_axis(*_edges(regime), "{:,}".format, ticks=kept)
    figure.update_xaxes(axis, title_text="batch size (samples, logarithmic)")
    apply_style(
        figure,
        title=headline(regime),
        subtitle=f"{question.study}, {question.application}: test {question.metric} of "
        f"{pluralize(question.num_seeds, 'seed')} and their median, after {question.epochs} epochs",
    )
    return figure


def kept_score(regime: Regime) -> float | None:
    """Return the worst score that keeps the margin of the baseline's; None if that has no score."""
    if regime.baseline.score is None:
        return None
    mean = regime.baseline.score.mean
    loss = tolerated_loss(regime.question.margin, mean)
    return mean - loss if regime.question.higher_is_better else mean + loss


def _arm_traces(
    regime: Regime, attempts: Sequence[Attempt], style: ArmStyle, scale: ScoreRange
) -> Iterator[go.Scatter]:
    """Return a method's seeds, and a line through the medians of the sound ones; one off the axis breaks it."""
    if not attempts:
        return
    name, metric = escape(attempts[0].arm), regime.question.metric
    places = [_place(regime, attempt) for attempt in attempts]
    for attempt, place in zip(attempts, places, strict=True):
        across = [place] * len(attempt.seeds)
        marks = seed_marks(attempt.seeds, across, scale, metric, f"{attempt.arm}, B={attempt.batch_size:,}")
        yield from seed_traces(marks, style, scale, name)
    medians = [attempt.seeds.median for attempt in attempts]
    heights = [None if median is None or scale.off(median) else median for median in medians]
    hovers = [_hover(regime, attempt) for attempt in attempts]
    trace = marker_trace(places, heights, style, hovers, size=EDGE_SIZE, name=name, group=name)
    trace.update(mode="lines+markers", line={"color": style.colour, "width": 1.5})
    symbols = [style.symbol if _holds(regime, attempt) else f"{style.symbol}-open" for attempt in attempts]
    yield trace.update(marker_symbol=symbols)


def _place(regime: Regime, attempt: Attempt) -> float:
    """Return an attempt's batch size, shifted slightly by the arm's place."""
    arms = regime.question.arms
    if attempt.arm not in arms:
        return float(attempt.batch_size)
    shift = _SPREAD * (arms.index(attempt.arm) - (len(arms) - 1) / 2)
    return attempt.batch_size * float(2.0**shift)


def _holds(regime: Regime, attempt: Attempt) -> bool:
    return attempt.keeps_both if attempt.arm == regime.question.linear else attempt.keeps_score


def _hover(regime: Regime, attempt: Attempt) -> str:
    metric, ratio = regime.question.metric, loss_ratio(regime, attempt)
    lines = [
        f"{attempt.arm}, B={attempt.batch_size:,}",
        f"{metric} of the seeds: {describe_seeds(attempt.seeds, metric)}",
        "loss not finite" if ratio is None else f"{ratio:.3g} times the baseline's validation loss",
    ]
    if attempt is not regime.baseline:
        lines.append(format_verdict(regime, attempt))
    return "<br>".join(escape(line) for line in lines)


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
