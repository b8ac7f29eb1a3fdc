"""Figures on a phone and on paper: on a phone no panels side by side, on paper nothing cut off."""

import itertools

import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from tests.reported_study import reported
from zerotune.tuner.reports.figures.registry import draw_figure
from zerotune.tuner.reports.figures.style import apply_style
from zerotune.tuner.reports.html.responsive import (
    BAR_HEIGHT,
    LEGEND_ROW,
    PANEL_GAP,
    PANEL_HEIGHT,
    SMALLEST,
    SMALLEST_BARS,
    TALLEST_PRINTED,
    layouts,
    smallest_width,
    split_title,
)


def panels(columns=3, rows=1):
    """Return a figure of panels with a shared score axis, in the style of all figures."""
    figure = make_subplots(
        rows=rows, cols=columns, shared_yaxes=True, subplot_titles=[f"B={i}" for i in range(columns * rows)]
    )
    for place in range(columns * rows):
        row, column = divmod(place, columns)
        figure.add_trace(go.Scatter(x=[1, 2], y=[3, 4], name=f"arm {place}"), row=row + 1, col=column + 1)
    figure.update_yaxes(title_text="score", col=1)
    figure.update_xaxes(title_text="cost")
    apply_style(figure, title="legw does <well>", subtitle="what it shows", num_panels=columns * rows)
    return figure


def test_panels_come_below_each_other_in_their_order_and_do_not_overlap():
    narrow = layouts(panels(3, 2))["narrow"]
    domains = [narrow[f"yaxis{i}" if i > 1 else "yaxis"]["domain"] for i in range(1, 7)]
    assert domains[0][1] == 1.0
    assert domains[-1][0] == 0.0
    assert all(above[0] > below[1] for above, below in itertools.pairwise(domains))
    assert all(narrow[f"xaxis{i}" if i > 1 else "xaxis"]["domain"] == [0.0, 1.0] for i in range(1, 7))
    assert narrow["height"] > 6 * PANEL_HEIGHT


def test_a_panel_that_stands_alone_has_its_title_tick_labels_and_axis_titles():
    narrow = layouts(panels(3, 1))["narrow"]
    titles = [(note["text"], note["xref"], note["yref"], note["x"], note["y"]) for note in narrow["annotations"]]
    assert titles == [
        (f"B={i}", f"x{i + 1 if i else ''} domain", f"y{i + 1 if i else ''} domain", 0.5, 1) for i in range(3)
    ]
    assert all(narrow[key]["showticklabels"] for key in ("yaxis2", "yaxis3"))
    assert all(narrow[key]["title"]["text"] == "score" for key in ("yaxis", "yaxis2", "yaxis3"))


def test_a_colour_bar_lies_below_the_panels_of_a_narrow_screen():
    figure = panels(2, 1)
    figure.update_layout(coloraxis={"colorbar": {"title": {"text": "accuracy", "side": "right"}, "thickness": 14}})
    found, plain = layouts(figure), layouts(panels(2, 1))
    bar = found["narrow"]["coloraxis"]["colorbar"]
    assert (bar["orientation"], bar["yref"], bar["y"], bar["thickness"]) == ("h", "container", 0, 14)
    assert bar["title"] == {"text": "accuracy", "side": "top"}
    assert found["narrow"]["height"] == plain["narrow"]["height"] + BAR_HEIGHT
    assert found["narrow"]["margin"]["b"] == plain["narrow"]["margin"]["b"] + BAR_HEIGHT
    assert "orientation" not in found["layout"]["coloraxis"]["colorbar"]


def test_panels_that_stood_below_each_other_keep_their_height_and_get_room_for_longer_labels():
    figure = panels(1, 3)
    figure.update_layout(height=2400)
    found = layouts(figure)
    plain, narrow = found["layout"], found["narrow"]
    before = plain["yaxis"]["domain"][1] - plain["yaxis"]["domain"][0]
    after = narrow["yaxis"]["domain"][1] - narrow["yaxis"]["domain"][0]
    height = plain["height"] - plain["margin"]["t"] - plain["margin"]["b"]
    legend_height = 3 / 2 * LEGEND_ROW
    narrow_height = narrow["height"] - narrow["margin"]["t"] - narrow["margin"]["b"] - legend_height
    assert after * narrow_height == pytest.approx(before * height)
    gap = narrow["yaxis"]["domain"][0] - narrow["yaxis2"]["domain"][1]
    assert gap * narrow_height == pytest.approx(PANEL_GAP)


@pytest.mark.parametrize(
    ("figure", "width"),
    [
        (go.Figure(go.Scatter(x=[1], y=[1])), SMALLEST),
        (go.Figure(go.Bar(x=["a"], y=[1])), SMALLEST),
        (go.Figure(go.Bar(x=[1], y=["a"], orientation="h")), SMALLEST_BARS),
    ],
)
def test_bars_with_names_beside_them_scroll_sooner(figure, width):
    assert smallest_width(figure) == width


def test_the_title_is_text_of_the_page_and_leaves_no_room_behind():
    figure = panels()
    assert split_title(figure) == ("legw does <well>", "what it shows")
    found = layouts(figure)["layout"]
    assert "title" not in found
    assert "width" not in found
    panel_height = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    assert found["height"] - found["margin"]["t"] - found["margin"]["b"] == panel_height


def test_a_figure_without_a_title_has_none():
    assert split_title(go.Figure()) == ("", "")


def test_on_paper_no_figure_is_taller_than_a_page():
    assert layouts(panels(3, 5))["printed"]["height"] == TALLEST_PRINTED
    assert layouts(panels(3, 1))["printed"]["height"] < layouts(panels(3, 1))["layout"]["height"] + 60


def test_a_figure_is_taller_by_the_rows_of_its_legend():
    few, many = panels(2, 1), panels(2, 1)
    for place in range(12):
        many.add_trace(go.Scatter(x=[1], y=[1], name=f"an arm with a long name {place}"))
    few, many = (layouts(figure)["narrow"]["height"] for figure in (few, many))
    assert many == few + 12 / 2 * LEGEND_ROW


def test_a_figure_of_a_study_is_stacked():
    subject = reported()
    figure = draw_figure("pareto_arms", subject.comparison, subject.results, "flops")
    assert smallest_width(figure) == SMALLEST
    assert layouts(figure)["narrow"]["yaxis3"]["domain"][0] == pytest.approx(0.0)
