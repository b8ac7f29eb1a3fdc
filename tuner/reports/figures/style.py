"""The style of figures: one colour and symbol for an arm everywhere, escaped names, and score axes without outliers.

This module must not know results. It receives names and numbers.
"""

import html
import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import quantiles
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ....trainers.applications.metric_names import is_share, metric_bounds
from ...sanitize import sanitize_text
from ..text.scores import score_title

COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
    *("#882255", "#999933", "#785EF0", "#8C510A", "#44AA99", "#DC267F", "#332288"),
)
"""Okabe and Ito's palette (Color Universal Design, 2008) without its yellow, which is invisible on white; then colours
of Tol's and IBM's palettes."""
SYMBOLS = (
    *("circle", "diamond", "square", "pentagon", "bowtie", "hexagram", "triangle-ne"),
    *("diamond-wide", "star-square", "triangle-sw", "diamond-tall", "star-diamond", "triangle-nw", "triangle-se"),
)
"""Without those that mean something: a cross is a lost seed, a star K*, an upright triangle a score off the axis, an
hourglass the baseline."""
BASELINE_SYMBOL = "hourglass"
LOST_SYMBOL = "x-thin"
GREY = "#6B6B6B"
SCORE_COLOURS = "Cividis"
"""A colour scale from bad to good that is also legible to colour-blind readers (Nunez et al., 2018)."""
MARKER_SIZE = 11
EDGE_SIZE = 13
COLUMNS = 3
"""Panels in a row."""
_ROOM = 0.02
"""The share of a score axis beyond a metric's bound, so that a marker there is not cut."""


@dataclass(frozen=True, kw_only=True)
class ArmStyle:
    """The colour and symbol of an arm in every figure of a study."""

    colour: str
    symbol: str


@dataclass(frozen=True, kw_only=True)
class ScoreRange:
    """The range of a score axis, and which of its ends is the bad one."""

    low: float
    high: float
    higher_is_better: bool

    def off(self, score: float) -> bool:
        """Return whether a score is worse than any that the axis shows."""
        return score < self.low if self.higher_is_better else score > self.high

    def edge(self, place: int = 0) -> float:
        """Return where to mark a score off the axis: just inside the bad end, and further in for a higher place."""
        margin = (0.03 + 0.055 * place) * (self.high - self.low)
        return self.low + margin if self.higher_is_better else self.high - margin

    def including(self, score: float | None) -> "ScoreRange":
        """Return the range with its bad end extended if a score would be off the axis, such as that of a margin."""
        if score is None or not self.off(score):
            return self
        room = 0.05 * (self.high - self.low)
        return replace(self, low=score - room) if self.higher_is_better else replace(self, high=score + room)

    @property
    def edge_symbol(self) -> str:
        """The triangle that points off an upright axis."""
        return "triangle-down" if self.higher_is_better else "triangle-up"

    @property
    def level_edge_symbol(self) -> str:
        """The triangle that points off a level axis."""
        return "triangle-left" if self.higher_is_better else "triangle-right"


def arm_styles(arms: Sequence[str]) -> dict[str, ArmStyle]:
    """Return colours and symbols by an arm's place in the study; neither is used twice up to 14 arms.

    With more arms, the pairs of colour and symbol differ.

    >>> arm_styles(["tuned", "date"])["date"]
    ArmStyle(colour='#D55E00', symbol='diamond')
    """
    number = len(COLOURS)
    return {
        arm: ArmStyle(colour=COLOURS[i % number], symbol=SYMBOLS[(i + i // number) % number])
        for i, arm in enumerate(arms)
    }


def fit_score_range(scores: Sequence[float], metric: str, *, higher_is_better: bool) -> ScoreRange:
    """Fit a range to all scores except outliers on the bad side, so that a diverged run does not squash the others.

    Outliers follow Tukey (1977): worse than the worse quartile by more than 1.5 times its distance to the best score.
    The range ends at the metric's bounds, with room for a marker there.

    The scores are finite and of runs that did not diverge; without any, the range is one wide.
    """
    least, largest = metric_bounds(metric)
    if not scores:
        low = max(0.0, least)
        return ScoreRange(low=low, high=low + 1.0, higher_is_better=higher_is_better)
    sign = 1.0 if higher_is_better else -1.0
    values = sorted(sign * score for score in scores)
    best = values[-1]
    quartile = quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else best
    fence = quartile - 1.5 * (best - quartile)
    worst = min(value for value in values if value >= fence)
    padding = 0.10 * (best - worst) or 0.05 * abs(best) or 0.05
    low, high = sorted((sign * (worst - 1.5 * padding), sign * (best + padding)))
    room = _ROOM * (high - low)
    return ScoreRange(low=max(low, least - room), high=min(high, largest + room), higher_is_better=higher_is_better)


def escape(text: str) -> str:
    """Escape a name for a figure. plotly interprets a few HTML tags, and none may come from a name.

    >>> escape("<b>date</b> & co")
    '&lt;b&gt;date&lt;/b&gt; &amp; co'
    """
    return html.escape(sanitize_text(text), quote=False)


def wrap_text(sentence: str, width: int) -> str:
    """Escape a sentence and wrap it at spaces into lines of at most `width` characters."""
    words = " ".join(sentence.split())
    lines = textwrap.wrap(words, width, break_long_words=False, break_on_hyphens=False)
    return "<br>".join(escape(line) for line in lines)


def line_trace(
    x: Sequence[float | None],
    y: Sequence[float | None],
    colour: str,
    hovers: Sequence[str] | str | None = None,
    *,
    width: float = 2.0,
    dash: str | None = None,
    shape: str | None = None,
    name: str | None = None,
    group: str | None = None,
) -> go.Scatter:
    """Return a line. Without a name it has no legend entry; without escaped texts it has no hover."""
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": colour, "width": width, "dash": dash, "shape": shape},
        **_labels(hovers, name, group),
    )


def marker_trace(
    x: Iterable[float | None],
    y: Iterable[float | None],
    style: ArmStyle,
    hovers: Sequence[str] | str | None = None,
    *,
    size: float = MARKER_SIZE,
    name: str | None = None,
    group: str | None = None,
) -> go.Scatter:
    """Return markers without a line. Without a name they have no legend entry; without escaped texts no hover."""
    return go.Scatter(
        x=list(x),
        y=list(y),
        mode="markers",
        marker={"symbol": style.symbol, "size": size, "color": style.colour},
        **_labels(hovers, name, group),
    )


def lost_trace(
    x: Iterable[float | None], y: Iterable[float | None], colour: str, hovers: Sequence[str], *, group: str
) -> go.Scatter:
    """Return the crosses of lost seeds, with escaped hover texts. `legend_entry` explains them."""
    trace = marker_trace(x, y, ArmStyle(colour=colour, symbol=LOST_SYMBOL), hovers, size=8, group=group)
    return trace.update(marker_line={"color": colour, "width": 2})


def _labels(hovers: Sequence[str] | str | None, name: str | None, group: str | None) -> Mapping[str, Any]:
    return {
        "name": name,
        "legendgroup": group,
        "showlegend": None if name else False,
        "hovertext": hovers,
        "hoverinfo": "skip" if hovers is None else "text",
    }


def legend_entry(name: str, symbol: str, *, size: float = MARKER_SIZE) -> go.Scatter:
    """Return a legend entry for a symbol, without a point."""
    entry = marker_trace([None], [None], ArmStyle(colour=GREY, symbol=symbol), size=size, name=name)
    return entry.update(marker_line={"color": GREY, "width": 2}) if symbol == LOST_SYMBOL else entry


def fade(colour: str) -> str:
    """Return a nearly transparent version of a colour in `COLOURS`.

    >>> fade("#0072B2")
    'rgba(0, 114, 178, 0.15)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.15)"


def log_ticks(low: float, high: float) -> list[float]:
    """Return readable ticks for a logarithmic axis: 1, 2 and 5 in a decade, with finer steps on a short axis.

    0 < low < high.

    >>> log_ticks(8.0, 250.0)
    [10.0, 20.0, 50.0, 100.0, 200.0]
    >>> log_ticks(8.5, 11.9)
    [9.0, 10.0, 11.0]
    >>> log_ticks(16.0, 96.0)
    [20.0, 40.0, 60.0, 80.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if high / low > 1000:
        return [10.0**decade for decade in decades if low <= 10.0**decade <= high]
    ticks = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    ticks = [tick for tick in ticks if low <= tick <= high]
    step = 10.0 ** math.floor(math.log10(high - low))
    if len(ticks) >= 3:
        return ticks
    if (high - low) / step < 3:
        step /= 2
    elif (high - low) / step > 6:  # labels would overlap
        step *= 2
    first = math.ceil(low / step)
    return [round(i * step, 12) for i in range(first, math.floor(high / step) + 1)]


def log_axis(
    low: float, high: float, format: Callable[[float], str] = "{:g}".format, *, ticks: Sequence[float] | None = None
) -> dict[str, Any]:
    """Return the settings of a logarithmic axis from `low` to `high`, with the ticks of `log_ticks` by default."""
    ticks = log_ticks(low, high) if ticks is None else ticks
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": list(ticks),
        "ticktext": [format(tick) for tick in ticks],
    }


def num_rows(num_panels: int) -> int:
    """Return the number of rows of panels, at least one."""
    return max(1, math.ceil(num_panels / COLUMNS))


def make_panels(
    titles: Sequence[str], *, spacing: float, row_spacing: float = 0.22, shared_yaxes: bool | str = True
) -> go.Figure:
    """Return an empty figure of panels in rows of `COLUMNS`.

    `spacing` is the gap between two panels as a share of the width, `row_spacing` as a share of a row's height.
    """
    rows, columns = num_rows(len(titles)), min(COLUMNS, len(titles))
    return make_subplots(
        rows=rows,
        cols=columns,
        specs=[
            [{} if row * columns + place < len(titles) else None for place in range(columns)] for row in range(rows)
        ],
        subplot_titles=titles,
        shared_yaxes=shared_yaxes,
        horizontal_spacing=spacing,
        vertical_spacing=row_spacing / rows,
    )


def panel_place(number: int, num_columns: int = COLUMNS) -> dict[str, int]:
    """Return where plotly finds a panel, given its number from 0.

    >>> panel_place(4)
    {'row': 2, 'col': 2}
    """
    row, column = divmod(number, num_columns)
    return {"row": row + 1, "col": column + 1}


def score_axis(scale: ScoreRange, metric: str) -> dict[str, Any]:
    """Return the range and the ticks of a score axis, with accuracies in percent."""
    if not is_share(metric):
        return {"range": [scale.low, scale.high]}
    span = scale.high - scale.low
    return {"range": [scale.low, scale.high], "tickformat": f".{1 if span > 0.005 else 2}%"}


def set_score_axis(figure: go.Figure, scale: ScoreRange, metric: str) -> None:
    """Set the range and the ticks of every upright score axis."""
    figure.update_yaxes(score_axis(scale, metric))


def score_axis_title(scale: ScoreRange, metric: str, split: str) -> str:
    """Return the escaped title of a score axis."""
    return escape(score_title(metric, split, higher_is_better=scale.higher_is_better))


def apply_style(
    figure: go.Figure, *, title: str, subtitle: str, num_panels: int = 1, panels_height: float | None = None
) -> None:
    """Set title, legend, fonts and size in the style of all figures. The title is the finding.

    `panels_height` is that of all panels together in pixels; by default that of rows of `COLUMNS` panels.
    """
    panels_height = 390.0 * num_rows(num_panels) if panels_height is None else panels_height
    headline, below = wrap_text(title, 88), wrap_text(subtitle, 120)
    top = 104 + 24 * headline.count("<br>") + 20 * below.count("<br>")
    height = top + 70 + panels_height
    figure.update_layout(
        template="plotly_white",
        title={
            "text": f"<b>{headline}</b><br><span style='font-size:14px'>{below}</span>",
            "x": 0.01,
            "xanchor": "left",
            "y": 1 - 24 / height,
            "yanchor": "top",
            "font": {"size": 18},
        },
        font={"family": "Helvetica, Arial, sans-serif", "size": 13, "color": "#222222"},
        legend={"orientation": "v", "x": 1.02, "y": 1.0, "yanchor": "top", "tracegroupgap": 4},
        margin={"t": top, "l": 80, "r": 20, "b": 70},
        width=1150,
        height=height,
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(showline=True, linecolor="#999999", ticks="outside", gridcolor="#E8E8E8", automargin=True)
    figure.update_yaxes(showline=True, linecolor="#999999", ticks="outside", gridcolor="#E8E8E8", automargin=True)
