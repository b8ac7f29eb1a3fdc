"""Text is escaped in Markdown and LaTeX; the tests undo it with their own readers."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from zerotune.tuner.reports.tables.markup import escape_latex, escape_markdown, latex_table, markdown_table
from zerotune.tuner.reports.tables.result_tables import Table
from zerotune.tuner.sanitize import sanitize_text

ANY_TEXT = st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"])).map(sanitize_text)
TABLE = Table(
    caption="What & why",
    columns=("batch size", "arm", "score"),
    groups=((("256", "base_line", "1%"),), (("512", "a|b", "-2%"), ("512", "<c>", "±3"))),
)


def latex_undone(text: str) -> str:
    """Return the text that LaTeX would typeset."""
    for command, character in (
        (r"\textbackslash{}", "\\"),
        (r"\textasciitilde{}", "~"),
        (r"\textasciicircum{}", "^"),
        (r"\textless{}", "<"),
        (r"\textgreater{}", ">"),
        (r"\textbar{}", "|"),
        (r"\textquotedbl{}", '"'),
        (r"$\pm$", "±"),
        (r"$\checkmark$", "✓"),
        ("$-$", "-"),
    ):
        text = text.replace(command, f"\x00{ord(character)};")
    text = re.sub(r"\\([&%$#_{}])", lambda found: f"\x00{ord(found[1])};", text)
    assert not re.search(r"[\\&%$#_{}~^<>|\"]", text)
    return re.sub(r"\x00(\d+);", lambda found: chr(int(found[1])), text)


@given(ANY_TEXT)
def test_latex_sets_any_text_as_it_is(text):
    assert latex_undone(escape_latex(text)) == text


@given(ANY_TEXT)
def test_markdown_shows_any_text_as_it_is_on_one_line(text):
    escaped = escape_markdown(text)
    assert "<" not in escaped
    assert "\n" not in escaped
    shown = html.unescape(re.sub(r"\\([\\`*_\[\]|~#])", r"\1", escaped))
    assert shown.split() == text.split()


def test_a_markdown_table_has_a_rule_below_its_headings_and_words_at_the_left():
    assert markdown_table(TABLE).splitlines() == [
        "| batch size | arm | score |",
        "| ---: | --- | ---: |",
        "| 256 | base\\_line | 1% |",
        "| 512 | a\\|b | -2% |",
        "| 512 | &lt;c&gt; | ±3 |",
        "",
        "What &amp; why",
    ]


def test_a_latex_table_has_booktabs_rules_between_its_groups():
    lines = latex_table(TABLE, "tab:one").splitlines()
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\midrule", r"\bottomrule"]
    assert r"512 & a\textbar{}b & $-$2\% \\" in lines
    assert r"\begin{tabular}{rlr}" in lines
