"""One figure for screens of any width and for paper: its layout, and what changes where there is less room.

A page shows a figure's title as text of its own, so the layouts here have none. On a narrow screen panels that stand
side by side come below each other, and the legend above them; on paper the legend is below. Pure functions of plotly's
plain values: this module must not know what a figure shows.
"""

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

Plain = dict[str, Any]

TOP = 44
"""Pixels above the panels, for their titles."""
NARROW_WIDTH, PRINTED_WIDTH = 330, 900
"""Pixels that a legend can use."""
PANEL_HEIGHT, PANEL_GAP = 280, 120
"""Pixels of a panel among stacked ones, and between two for axis and title."""
PRINTED_SHARE, TALLEST_PRINTED = 0.88, 1150
"""Share of its height that a figure keeps on paper; pixels that fit on a page with heading and caption, unscaled."""
SMALLEST_STACKED, SMALLEST_BARS, SMALLEST_OTHER = 280, 560, 720
"""Narrower than this a figure scrolls in its box: of panels; of bars with names and amounts beside them; others."""
_IN_PANELS = ("scatter", "scattergl", "bar", "box", "violin", "histogram", "heatmap", "contour")
_LEGEND_ROW, _LETTER, _KEY = 21, 6.6, 44
_TOLERANCE = 0.03


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """A pair of axes, by their keys in the layout, and where it stands, in shares of the plot."""

    x_key: str
    y_key: str
    left: float
    right: float
    bottom: float
    top: float


def split_title(figure: go.Figure) -> tuple[str, str]:
    """The title of a figure as text: the headline, and the line below it (empty where there is none)."""
    title = str(figure.layout.title.text or "")
    headline, _, below = title.partition("</b>") if "</b>" in title else (title, "", "")
    return _text(headline), _text(below)


def layouts(figure: go.Figure) -> dict[str, Any]:
    """What a page needs besides the figure's data.

    Returns:
        "layout", and the keys of it that differ when "wide", "narrow" and "printed"; "smallest_width" in pixels.
    """
    plain = json.loads(figure.to_json())
    layout, data = plain["layout"], plain["data"]
    layout.pop("title", None)
    layout.pop("width", None)
    margin = layout.get("margin", {})
    removed = max(0, margin.get("t", 100) - TOP)
    layout["height"] = layout.get("height", 450) - removed
    layout["margin"] = {**margin, "t": TOP}
    panels = _panels(layout)
    return {
        "layout": layout,
        "wide": {},
        "narrow": _narrow(layout, data, panels),
        "printed": _printed(layout, data),
        "smallest_width": _smallest_width(layout, data, panels),
    }


def _smallest_width(layout: Plain, data: Sequence[Plain], panels: Sequence[_Panel]) -> int:
    if not _can_stack(layout, data, panels):
        return SMALLEST_OTHER
    return SMALLEST_BARS if any(trace.get("orientation") == "h" for trace in data) else SMALLEST_STACKED


def _text(markup: str) -> str:
    """What a reader sees of plotly's markup."""
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", markup).split()))


def _panels(layout: Plain) -> list[_Panel]:
    """The panels from left to right, row by row; axes that lie over others have none of their own."""
    panels = []
    axes = {"yaxis": {}, **{key: axis for key, axis in layout.items() if key.startswith("yaxis")}}
    for key, axis in axes.items():
        if axis.get("overlaying"):
            continue
        x_key = "xaxis" + str(axis.get("anchor", "x")).removeprefix("x")
        left, right = layout.get(x_key, {}).get("domain", (0.0, 1.0))
        bottom, top = axis.get("domain", (0.0, 1.0))
        panels.append(_Panel(x_key=x_key, y_key=key, left=left, right=right, bottom=bottom, top=top))
    return sorted(panels, key=lambda panel: (-panel.top, panel.left))


def _can_stack(layout: Plain, data: Sequence[Plain], panels: Sequence[_Panel]) -> bool:
    """Whether all that is drawn lies in panels, and every title on the paper belongs to one of them."""
    if any(trace.get("type", "scatter") not in _IN_PANELS for trace in data):
        return False
    return len(panels) == 1 or all(
        _owner(note, panels) is not None for note in layout.get("annotations", ()) if _is_on_paper(note)
    )


def _is_on_paper(note: Mapping[str, Any]) -> bool:
    return "paper" in (note.get("xref"), note.get("yref"))


def _owner(note: Mapping[str, Any], panels: Iterable[_Panel]) -> _Panel | None:
    """The panel over whose middle a note stands, as a panel's title does."""
    for panel in panels:
        middle = (panel.left + panel.right) / 2
        if abs(note.get("x", 0) - middle) < _TOLERANCE and abs(note.get("y", 0) - panel.top) < _TOLERANCE:
            return panel
    return None


def _narrow(layout: Plain, data: Sequence[Plain], panels: Sequence[_Panel]) -> Plain:
    """Panels below each other, the legend above them; a finger scrolls the page and does not zoom."""
    legend_height = _legend_height(layout, data, NARROW_WIDTH)
    top = TOP + legend_height
    bottom = layout["margin"].get("b", 80)
    changed: Plain = {
        "dragmode": False,
        "font": {**layout.get("font", {}), "size": 12},
        "legend": {**layout.get("legend", {}), **_legend("top")},
        "margin": {**layout["margin"], "t": top, "l": 52, "r": 14},
        "height": layout["height"] + legend_height,
    }
    if len(panels) < 2 or not _can_stack(layout, data, panels):
        return changed
    panel_height = _panel_height(layout, panels)
    height = len(panels) * panel_height + (len(panels) - 1) * PANEL_GAP
    tops = {}
    for place, panel in enumerate(panels):
        start = height - place * (panel_height + PANEL_GAP)
        tops[panel] = start / height
        changed[panel.x_key] = {**_axis(layout, panel, panels, "x"), "domain": [0.0, 1.0]}
        domain = [max(0.0, (start - panel_height) / height), start / height]
        changed[panel.y_key] = {**_axis(layout, panel, panels, "y"), "domain": domain}
    changed["annotations"] = [_moved(note, panels, tops) for note in layout.get("annotations", ())]
    changed["height"] = height + top + bottom
    return changed


def _panel_height(layout: Plain, panels: Sequence[_Panel]) -> float:
    """Pixels of a stacked panel: where all stood below each other before, as many as the tallest had."""
    if len({panel.left for panel in panels}) > 1:
        return PANEL_HEIGHT
    margin = layout["margin"]
    plot = layout["height"] - margin["t"] - margin.get("b", 80)
    return float(plot * max(panel.top - panel.bottom for panel in panels))


def _axis(layout: Plain, panel: _Panel, panels: Sequence[_Panel], which: str) -> Plain:
    """A panel's axis as it stands alone: with the tick labels and the title that it shared with others of its row."""
    key = panel.x_key if which == "x" else panel.y_key
    axis: Plain = dict(layout.get(key, {}))
    if axis.get("matches"):
        axis["showticklabels"] = True
    if not (axis.get("title") or {}).get("text"):
        sharing = [
            other.x_key if which == "x" else other.y_key
            for other in panels
            if (other.left == panel.left if which == "x" else other.top == panel.top)
        ]
        titles = [layout.get(other, {}).get("title") or {} for other in sharing]
        axis["title"] = next((title for title in titles if title.get("text")), {})
    return axis


def _moved(note: Plain, panels: Sequence[_Panel], tops: Mapping[_Panel, float]) -> Plain:
    owner = _owner(note, panels) if _is_on_paper(note) else None
    return note if owner is None else {**note, "x": 0.5, "y": tops[owner]}


def _printed(layout: Plain, data: Sequence[Plain]) -> Plain:
    legend_height = _legend_height(layout, data, PRINTED_WIDTH)
    margin = layout["margin"]
    return {
        "legend": {**layout.get("legend", {}), **_legend("bottom")},
        "margin": {**margin, "b": margin.get("b", 80) + legend_height, "r": 14},
        "height": min(PRINTED_SHARE * layout["height"] + legend_height, TALLEST_PRINTED),
    }


def _legend(side: str) -> Plain:
    """A legend in rows at an end of the figure."""
    y = 1 if side == "top" else 0
    return {
        "orientation": "h",
        "xref": "container",
        "x": 0,
        "xanchor": "left",
        "yref": "container",
        "y": y,
        "yanchor": side,
    }


def _legend_height(layout: Plain, data: Sequence[Plain], width: float) -> int:
    """Pixels of a legend in rows, its entries as wide as their letters are on average."""
    named = [trace for trace in data if trace.get("showlegend") is not False and trace.get("name")]
    if layout.get("showlegend") is False or (len(named) < 2 and not any(trace.get("showlegend") for trace in named)):
        return 0
    rows, used = 1, 0.0
    for trace in named:
        entry = _KEY + _LETTER * len(_text(str(trace["name"])))
        if used and used + entry > width:
            rows, used = rows + 1, 0.0
        used += entry
    return _LEGEND_ROW * rows + 10
