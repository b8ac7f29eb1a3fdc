"""The marks of seeds in a figure: sound ones filled, lost ones crosses, and triangles where a score is off the axis."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ...analysis.lost_seeds import REPEAT_STEP, Loss, Seeds
from ..text.scores import format_score
from .style import LOST_SYMBOL, ArmStyle, ScoreRange, escape, legend_entry, lost_trace, marker_trace

SEED_SIZE = 7
LOST_SEED = "lost seed"
_REASONS = {"diverged": "diverged", "failed": "failed", "half-way": "nearer to guessing than to the baseline"}


@dataclass(frozen=True, kw_only=True)
class SeedMark:
    """The mark of a seed.

    Attributes:
        place: where on the score axis it stands: the seed's score, or the axis's end.
        across: where on the other axis.
        lost: why the seed is lost; None if it is sound.
        is_off: whether its score is off the axis, or there is none.
        hover: the escaped hover text.
    """

    place: float
    across: float
    lost: Loss | None
    is_off: bool
    hover: str


def seed_marks(seeds: Seeds, across: Sequence[float], scale: ScoreRange, metric: str, name: str) -> list[SeedMark]:
    """Return a mark for every seed in order. `across` has its places on the other axis, `name` begins each hover."""
    marks = []
    for (key, score, lost), place in zip(seeds.in_order, across, strict=True):
        is_off = score is None or scale.off(score)
        said = [name, f"{seed_name(key)}: {'no score' if score is None else format_score(score, metric)}"]
        said += [] if lost is None else [f"lost: {_REASONS[lost]}"]
        said += [] if seeds.median is None else [f"median of the sound seeds {format_score(seeds.median, metric)}"]
        marks.append(
            SeedMark(
                place=scale.edge() if score is None or is_off else score,
                across=place,
                lost=lost,
                is_off=is_off,
                hover="<br>".join(map(escape, said)),
            )
        )
    return marks


def seed_name(key: int) -> str:
    """Return the name of a seed by its key in `Seeds`, with the number of its search where that is a repeat.

    >>> seed_name(3), seed_name(REPEAT_STEP + 3)
    ('seed 3', 'search 2, seed 3')
    """
    repeat, seed = divmod(key, REPEAT_STEP)
    return f"search {repeat + 1}, seed {seed}" if repeat else f"seed {seed}"


def seed_traces(
    marks: Sequence[SeedMark], style: ArmStyle, scale: ScoreRange, group: str, *, is_level: bool = False
) -> list[go.Scatter]:
    """Return the traces of an arm's seeds; none is empty. The score axis is upright, unless it `is_level`."""
    sound = [mark for mark in marks if mark.lost is None and not mark.is_off]
    off = [mark for mark in marks if mark.lost is None and mark.is_off]
    lost = [mark for mark in marks if mark.lost is not None]
    edge = ArmStyle(colour=style.colour, symbol=scale.level_edge_symbol if is_level else scale.edge_symbol)
    traces = [
        marker_trace(*_axes(found, is_level), look, _hovers(found), size=size, group=group)
        for found, look, size in ((sound, style, SEED_SIZE), (off, edge, SEED_SIZE + 2))
        if found
    ]
    if lost:
        traces.append(lost_trace(*_axes(lost, is_level), style.colour, _hovers(lost), group=group))
    return traces


def lost_entry() -> go.Scatter:
    """Return the legend entry of the crosses."""
    return legend_entry(LOST_SEED, LOST_SYMBOL, size=8)


def _axes(marks: Sequence[SeedMark], is_level: bool) -> tuple[list[float], list[float]]:
    scores, across = [mark.place for mark in marks], [mark.across for mark in marks]
    return (scores, across) if is_level else (across, scores)


def _hovers(marks: Sequence[SeedMark]) -> list[str]:
    return [mark.hover for mark in marks]
