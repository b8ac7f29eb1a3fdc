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

from ...sanitize import sanitize_text
from ..text.scores import is_share, score_title

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette (Color Universal Design, 2008) without its yellow, which is invisible on white."""
SYMBOLS = ("circle", "diamond", "square", "cross", "x", "star", "triangle-up", "pentagon", "hexagram", "bowtie")
GREY = "#6B6B6B"
SCORE_COLOURS = "Cividis"
"""A colour scale from bad to good that is also legible to colour-blind readers (Nunez et al., 2018)."""
MARKER_SIZE = 11
EDGE_SIZE = 13
COLUMNS = 3
"""Panels in a row."""


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

    def with_room(self, scores: Iterable[float]) -> "ScoreRange":
        """Return the range with its good end extended for these scores (ends of intervals), by a third at most."""
        room = (self.high - self.low) / 3
        if self.higher_is_better:
            return replace(self, high=min(max(self.high, *scores, self.high), self.high + room))
        return replace(self, low=max(min(self.low, *scores, self.low), self.low - room))

    @property
    def edge_symbol(self) -> str:
        """The triangle that points off the axis."""
        return "triangle-down" if self.higher_is_better else "triangle-up"


def arm_styles(arms: Sequence[str]) -> dict[str, ArmStyle]:
    """Return colours and symbols by an arm's place in the study. With more arms than colours, the symbols differ.

    >>> arm_styles(["tuned", "date"])["date"]
    ArmStyle(colour='#D55E00', symbol='diamond')
    """
    return {
        arm: ArmStyle(colour=COLOURS[i % len(COLOURS)], symbol=SYMBOLS[i % len(SYMBOLS)]) for i, arm in enumerate(arms)
    }


def fit_score_range(scores: Sequence[float], *, higher_is_better: bool) -> ScoreRange:
    """Fit a range to all scores except outliers on the bad side, so that a diverged run does not squash the others.

    Outliers follow Tukey (1977): worse than the worse quartile by more than 1.5 times its distance to the best score.

    The scores are finite and of runs that did not diverge; without any, the range is 0 to 1.
    """
    if not scores:
        return ScoreRange(low=0.0, high=1.0, higher_is_better=higher_is_better)
    sign = 1.0 if higher_is_better else -1.0
    values = sorted(sign * score for score in scores)
    best = values[-1]
    quartile = quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else best
    fence = quartile - 1.5 * (best - quartile)
    worst = min(value for value in values if value >= fence)
    padding = 0.10 * (best - worst) or 0.05 * abs(best) or 0.05
    ends = sorted((sign * (worst - 1.5 * padding), sign * (best + padding)))
    return ScoreRange(low=ends[0], high=ends[1], higher_is_better=higher_is_better)


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
    return marker_trace([None], [None], ArmStyle(colour=GREY, symbol=symbol), size=size, name=name)


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


def make_panels(titles: Sequence[str], *, spacing: float, shared_yaxes: bool | str = True) -> go.Figure:
    """Return an empty figure of panels in rows of `COLUMNS`. `spacing` is the gap between two, as a share."""
    return make_subplots(
        rows=num_rows(len(titles)),
        cols=min(COLUMNS, len(titles)),
        subplot_titles=titles,
        shared_yaxes=shared_yaxes,
        horizontal_spacing=spacing,
        vertical_spacing=0.22 / num_rows(len(titles)),
    )


def panel_place(number: int, num_columns: int = COLUMNS) -> dict[str, int]:
    """Return where plotly finds a panel, given its number from 0.

    >>> panel_place(4)
    {'row': 2, 'col': 2}
    """
    row, column = divmod(number, num_columns)
    return {"row": row + 1, "col": column + 1}


def set_score_axis(figure: go.Figure, scale: ScoreRange, metric: str) -> None:
    """Set the range and the ticks of every score axis, with accuracies in percent."""
    percent = ".1%" if is_share(metric) and scale.high - scale.low > 0.005 else None
    figure.update_yaxes(range=[scale.low, scale.high], tickformat=percent)


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
    headline = wrap_text(title, 88)
    top = 104 + 24 * headline.count("<br>")
    height = top + 70 + panels_height
    figure.update_layout(
        template="plotly_white",
        title={
            "text": f"<b>{headline}</b><br><span style='font-size:14px'>{wrap_text(subtitle, 120)}</span>",
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
