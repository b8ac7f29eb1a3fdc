"""The figures of past trainings: scores of the arms by workload, and the best of k trials of the reference."""

from collections.abc import Iterator, Sequence

import plotly.graph_objects as go

from ...analysis.past_judgement import PastAnswer, PastArm, WorkloadFinding
from ...reports.figures.style import (
    BASELINE_SYMBOL,
    GREY,
    LOST_SYMBOL,
    ArmStyle,
    ScoreRange,
    apply_style,
    arm_styles,
    escape,
    fit_score_range,
    legend_entry,
    line_trace,
    lost_trace,
    make_panels,
    marker_trace,
    num_rows,
    panel_place,
)

SCORES_READING = (
    "Each marker is a study: of the reference the test score of the best of its trials, of another arm that of one "
    "training, as a share of the reference's median on that workload. Triangles are scores off the axis, crosses lost "
    "trainings."
)
BEST_READING = (
    "The line is the expected best validation score of k trials of the reference, exact over all subsets of its "
    "studies' trials, as a share of the target, where scores end. Markers beside it are what one training of an arm "
    "that was not tuned validates at on average, triangles those off the axis. A star is K* of the first arm: there "
    "the line comes within the margin of it."
)
LOWEST = 0.9
"""Lower end of the axis of the best of k, as a share of the target."""
_ROW = 44
"""Height of a workload in pixels."""
_STEP = 0.35
"""Distance between the arms beside a curve, in trials."""
_SPREAD = 0.72
"""Share of a workload's row over which arms are spread."""


def scores_figure(answer: PastAnswer) -> go.Figure:
    """Draw the studies' test scores as shares of the reference's median: a row a workload, a colour an arm."""
    first, figure = answer.arms[0], go.Figure()
    styles = arm_styles([arm.arm for arm in answer.arms])
    sides = [
        (
            f"{answer.reference} (tuned)",
            ArmStyle(colour=GREY, symbol=BASELINE_SYMBOL),
            [w.tuned for w in first.workloads],
        )
    ]
    sides += [(arm.arm, styles[arm.arm], [w.zero for w in arm.workloads]) for arm in answer.arms]
    shares = [score for _, _, found in sides[:2] for one in found for score in one.seeds.scores.values()]
    scale = fit_score_range(shares, "score", higher_is_better=True)
    names = [one.workload for one in first.workloads]
    for place, (name, style, found) in enumerate(sides):
        shift = _SPREAD * (place / (len(sides) - 1) - 0.5)
        figure.add_traces(list(_score_traces(name, style, found, names, shift, scale)))
    if any(one.seeds.lost for _, _, found in sides for one in found):
        figure.add_trace(legend_entry("lost", LOST_SYMBOL))
    figure.update_xaxes(
        range=[scale.low, scale.high + 0.03 * (scale.high - scale.low)],
        tickformat=".0%",
        title_text="test score, as a share of the tuned median",
    )
    figure.update_yaxes(
        range=[len(names) - 0.5, -0.5], tickvals=list(range(len(names))), ticktext=[escape(name) for name in names]
    )
    figure.add_vline(x=1.0, line_color=GREY, line_width=1)
    apply_style(
        figure,
        title=f"Arms that were not tuned, against the best of {answer.num_trials} of {answer.tuned_name}",
        subtitle=f"{answer.collection}: test score of every study",
        panels_height=float(_ROW * len(names)),
    )
    return figure


def _score_traces(
    name: str, style: ArmStyle, found: Sequence[PastArm], workloads: Sequence[str], shift: float, scale: ScoreRange
) -> Iterator[go.Scatter]:
    shown, off, lost = [], [], []
    for row, (one, workload) in enumerate(zip(found, workloads, strict=True)):
        for study, score, why in one.seeds.in_order:
            place = row + shift
            text = escape(f"{name} on {workload}, study {study}: {'lost' if why else f'{score:.2%}'}")
            if why is not None or score is None:
                lost.append((scale.edge(), place, text))
            elif scale.off(score):
                off.append((scale.edge(1), place, text))
            else:
                shown.append((score, place, text))
    x, y, hovers = _columns(shown)
    yield marker_trace(x, y, style, hovers, size=8, name=escape(name), group=name)
    if off:
        x, y, hovers = _columns(off)
        triangle = ArmStyle(colour=style.colour, symbol=scale.level_edge_symbol)
        yield marker_trace(x, y, triangle, hovers, size=8, group=name)
    if lost:
        x, y, hovers = _columns(lost)
        yield lost_trace(x, y, style.colour, hovers, group=name)


def _columns(points: Sequence[tuple[float, float, str]]) -> tuple[list[float], list[float], list[str]]:
    return [x for x, _, _ in points], [y for _, y, _ in points], [text for _, _, text in points]


def best_of_k_figure(answer: PastAnswer) -> go.Figure:
    """Draw the reference's expected best validation score against k, and the arms' own, in a panel a workload."""
    first = answer.arms[0].workloads
    figure = make_panels([escape(one.workload) for one in first], spacing=0.03, row_spacing=0.35)
    scale = ScoreRange(low=LOWEST, high=1.008, higher_is_better=True)
    for number in range(len(first)):
        for trace in (_curve(answer, number), *_levels(answer, number, scale), *_stars(answer, number, scale)):
            trace.showlegend = number == 0 and trace.name is not None
            figure.add_trace(trace, **panel_place(number))
    largest = max(len(one.best_of_k) for one in first)
    figure.update_xaxes(
        range=[0.6, largest + 1.4 + _STEP * len(answer.arms)],
        tickvals=[*range(1, largest + 1), largest + 1 + _STEP * (len(answer.arms) - 1) / 2],
        ticktext=[*map(str, range(1, largest + 1)), "not tuned"],
    )
    figure.update_yaxes(range=[scale.low, scale.high], tickformat=".0%")
    for arm, style in arm_styles([arm.arm for arm in answer.arms]).items():
        figure.add_trace(marker_trace([None], [None], style, size=8, name=escape(arm), group=arm))
    figure.add_trace(legend_entry(f"K* of {escape(answer.arms[0].arm)}", "star"))
    apply_style(
        figure,
        title=f"What {answer.tuned_name} tuned by k trials reaches, and other arms without tuning",
        subtitle=f"{answer.collection}: best validation score, as a share of the target",
        num_panels=len(first),
        panels_height=210.0 * num_rows(len(first)),
    )
    return figure


def _curve(answer: PastAnswer, number: int) -> go.Scatter:
    """Return the reference's expected best of k on a workload."""
    one = answer.arms[0].workloads[number]
    shares = [share_of_target(one, best) for best in one.best_of_k]
    trials = [float(k) for k in range(1, len(shares) + 1)]
    hovers = [f"best of {k:g}: {share:.2%} of the target" for k, share in zip(trials, shares, strict=True)]
    name = f"{escape(answer.reference)} (tuned)"
    trace = line_trace(trials, shares, GREY, hovers, name=name, group="k")
    return trace.update(mode="lines+markers", marker={"color": GREY, "size": 6})


def _levels(answer: PastAnswer, number: int, scale: ScoreRange) -> Iterator[go.Scatter]:
    """Return a marker for each arm that was not tuned, at the right of the curve."""
    styles = arm_styles([arm.arm for arm in answer.arms])
    for place, arm in enumerate(answer.arms):
        one = arm.workloads[number]
        share, x = share_of_target(one, one.level), len(one.best_of_k) + 1 + _STEP * place
        is_off = scale.off(share)
        look = ArmStyle(colour=styles[arm.arm].colour, symbol=scale.edge_symbol if is_off else styles[arm.arm].symbol)
        text = [escape(f"{arm.arm}, not tuned: {share:.2%} of the target")]
        height = scale.edge() if is_off else share
        yield marker_trace([x], [height], look, text, size=8, group=arm.arm)


def _stars(answer: PastAnswer, number: int, scale: ScoreRange) -> Iterator[go.Scatter]:
    """Return a star at K* of the first arm, if its height is on the axis."""
    arm = answer.arms[0]
    one = arm.workloads[number]
    if one.trials_to_match is None:
        return
    share = share_of_target(one, one.best_of_k[one.trials_to_match - 1])
    if not scale.off(share):
        look = ArmStyle(colour=arm_styles([arm.arm])[arm.arm].colour, symbol="star")
        yield marker_trace([one.trials_to_match], [share], look, [escape(f"{arm.arm}: K* = {one.trials_to_match}")])


def share_of_target(one: WorkloadFinding, score: float) -> float:
    """Return a score as a share of the target: 1 at the target, less if it is worse by that share of it."""
    sign = 1.0 if one.higher_is_better else -1.0
    return 1.0 + sign * (score - one.target) / (abs(one.target) or 1.0)
