"""Contracts of every page, for any template: text stays text, and a missing value is an error."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from zerotune.tuner.reports.html.document import environment, render_page
from zerotune.tuner.reports.tables.result_tables import Table
from zerotune.tuner.sanitize import INVISIBLE, sanitize_text

ANY_TEXT = st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"])).map(sanitize_text)
TABLE = Table(
    caption="What & why",
    columns=("batch size", "arm", "score"),
    groups=((("256", "base_line", "1%"),), (("512", "a|b", "-2%"), ("512", "<c>", "±3"))),
)
TEXT = environment().from_string('<p title="{{ text }}">{{ text }}</p>')


@given(ANY_TEXT)
def test_html_shows_any_text_as_it_is(text: str) -> None:
    shown = TEXT.render(text=text)
    attribute, content = shown.removeprefix('<p title="').removesuffix("</p>").split('">')
    assert not set(content) & set("<>\"'")
    assert html.unescape(attribute) == html.unescape(content) == text


@given(st.text())
def test_no_character_that_is_not_seen_is_written(text: str) -> None:
    assert INVISIBLE.search(TEXT.render(text=text)) is None


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        TEXT.render()


def test_an_html_table_sets_its_groups_apart_and_scrolls_in_a_box_that_keys_reach() -> None:
    text = render_page("one", [], numbers=TABLE)
    assert text.count("<tbody>") == 2
    assert '<div class="scroll" tabindex="0" role="region" aria-labelledby="caption-numbers">' in text
    assert '<th scope="row" class="words">&lt;c&gt;</th>' in text


def test_what_is_not_given_leaves_no_trace_on_the_page() -> None:
    text = render_page("one", [])
    for tag in ("<ul>", "<table", 'class="question"', 'class="verdict"', "<section", "<nav"):
        assert tag not in text.split("</style>")[1].split("<script>")[0]
