"""A figure on a phone and on paper: nothing side by side on the one, nothing cut on the other."""

import itertools

import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from tests.reported_study import reported
from zerotune.tuner.reports.figures.registry import draw_figure
from zerotune.tuner.reports.figures.style import apply_style
from zerotune.tuner.reports.html.responsive import (
    PANEL_GAP,
    SMALLEST_BARS,
    SMALLEST_OTHER,
    SMALLEST_STACKED,
    TALLEST_PRINTED,
    layouts,
    split_title,
)


def panels(columns=3, rows=1):
    """A figure of panels with a shared score axis, dressed as all are."""
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
    assert narrow["height"] > 6 * 280


def test_a_panel_that_stands_alone_has_its_title_tick_labels_and_axis_titles():
    narrow = layouts(panels(3, 1))["narrow"]
    tops = [narrow[key]["domain"][1] for key in ("yaxis", "yaxis2", "yaxis3")]
    assert [(note["text"], note["x"], note["y"]) for note in narrow["annotations"]] == [
        (f"B={place}", 0.5, top) for place, top in enumerate(tops)
    ]
    assert all(narrow[key]["showticklabels"] for key in ("yaxis2", "yaxis3"))
    assert all(narrow[key]["title"]["text"] == "score" for key in ("yaxis", "yaxis2", "yaxis3"))


def test_panels_that_stood_below_each_other_keep_their_height_and_get_room_for_longer_labels():
    found = layouts(panels(1, 3))
    plain, narrow = found["layout"], found["narrow"]
    before = plain["yaxis"]["domain"][1] - plain["yaxis"]["domain"][0]
    after = narrow["yaxis"]["domain"][1] - narrow["yaxis"]["domain"][0]
    height = plain["height"] - plain["margin"]["t"] - plain["margin"]["b"]
    narrow_height = narrow["height"] - narrow["margin"]["t"] - narrow["margin"]["b"]
    assert after * narrow_height == pytest.approx(before * height)
    gap = narrow["yaxis"]["domain"][0] - narrow["yaxis2"]["domain"][1]
    assert gap * narrow_height == pytest.approx(PANEL_GAP)


def test_panels_with_a_note_beside_them_are_not_stacked_but_scroll():
    figure = panels(3, 1)
    figure.add_annotation(text="colour: score", xref="paper", yref="paper", x=1.1, y=0.4)
    found = layouts(figure)
    assert "yaxis2" not in found["narrow"]
    assert found["smallest_width"] == SMALLEST_OTHER


@pytest.mark.parametrize(
    ("figure", "width"),
    [
        (go.Figure(go.Scatter(x=[1], y=[1])), SMALLEST_STACKED),
        (go.Figure(go.Bar(x=[1], y=["a"], orientation="h")), SMALLEST_BARS),
        (go.Figure(go.Parcoords(dimensions=[{"values": [1, 2]}])), SMALLEST_OTHER),
        (go.Figure(go.Pie(values=[1])), SMALLEST_OTHER),
    ],
)
def test_what_needs_more_room_scrolls_sooner(figure, width):
    assert layouts(figure)["smallest_width"] == width


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


def test_a_longer_legend_takes_more_rows():
    few, many = panels(2, 1), panels(2, 1)
    for place in range(12):
        many.add_trace(go.Scatter(x=[1], y=[1], name=f"an arm with a long name {place}"))
    few, many = (layouts(figure)["narrow"]["margin"]["t"] for figure in (few, many))
    assert many >= few + 12 * 21


def test_a_figure_of_a_study_is_stacked():
    subject = reported()
    figure = draw_figure("pareto_arms", subject.comparison, subject.results, "flops")
    assert layouts(figure)["smallest_width"] == SMALLEST_STACKED
    assert layouts(figure)["narrow"]["yaxis3"]["domain"][0] == 0.0
