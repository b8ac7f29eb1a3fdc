"""A report's tables and sentences as HTML, GitHub Markdown and LaTeX: text goes in as it is and comes out escaped.

This module must not know what the tables show.
"""

import html
from collections.abc import Iterable

from ...sanitize import sanitize_text
from .result_tables import Cells, Table

_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "✓": r"$\checkmark$",
}
"""What LaTeX would take for a command, and signs that a text font may lack."""


def html_text(text: str) -> str:
    """Text that HTML shows as it is, in an element or a quoted attribute."""
    return html.escape(sanitize_text(text))


def html_list(sentences: Iterable[str]) -> str:
    """Sentences as a list."""
    return f"<ul>{''.join(f'<li>{html_text(sentence)}</li>' for sentence in sentences)}</ul>"


def html_table(table: Table, name: str) -> str:
    """A table in a box that scrolls where the page is narrow.

    Args:
        table: the table.
        name: letters that no other table of the page has.
    """
    headings = "".join(f'<th scope="col"{_side(table, i)}>{html_text(c)}</th>' for i, c in enumerate(table.columns))
    bodies = "".join(f"<tbody>{''.join(_html_row(table, row) for row in group)}</tbody>" for group in table.groups)
    return (
        f'<p class="caption" id="caption-{name}">{html_text(table.caption)}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="caption-{name}">'
        f'<table id="table-{name}" aria-labelledby="caption-{name}">'
        f"<thead><tr>{headings}</tr></thead>{bodies}</table></div>"
    )


def _html_row(table: Table, row: Cells) -> str:
    cells = [
        f'<th scope="row"{_side(table, i)}>{html_text(cell)}</th>'
        if i == 1
        else f"<td{_side(table, i)}>{html_text(cell)}</td>"
        for i, cell in enumerate(row)
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _side(table: Table, column: int) -> str:
    return ' class="words"' if column in table.words else ""


def markdown_text(text: str) -> str:
    """Text that GitHub's Markdown shows as it is, on one line.

    >>> markdown_text("a|b *c* <i>")
    'a\\\\|b \\\\*c\\\\* &lt;i&gt;'
    """
    escaped = "".join(f"\\{character}" if character in "\\`*_[]|~#" else character for character in sanitize_text(text))
    return " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def markdown_table(table: Table) -> str:
    """A GitHub table, its caption below it."""
    rule = " | ".join("---" if i in table.words else "---:" for i in range(len(table.columns)))
    lines = [_markdown_row(table.columns), f"| {rule} |", *map(_markdown_row, table.rows)]
    return "\n".join([*lines, "", markdown_text(table.caption)])


def _markdown_row(cells: Cells) -> str:
    return f"| {' | '.join(markdown_text(cell) for cell in cells)} |"


def latex_text(text: str) -> str:
    r"""Text that LaTeX sets as it is; a minus before a number is one.

    >>> latex_text("95.2% ± 0.3, a_b, -25%")
    '95.2\\% $\\pm$ 0.3, a\\_b, $-$25\\%'
    """
    text = " ".join(sanitize_text(text).splitlines())
    signed = [
        "$-$" if character == "-" and _is_minus(text, i) else _LATEX.get(character, character)
        for i, character in enumerate(text)
    ]
    return "".join(signed)


def _is_minus(text: str, place: int) -> bool:
    """Whether the hyphen at a place stands before a number and after none, as in "(-25%)"."""
    before, after = text[:place][-1:], text[place + 1 :][:1]
    return after.isdigit() and (not before or before in " (")


def latex_table(table: Table, label: str) -> str:
    r"""A table with booktabs' rules, as wide as the page; groups are set apart.

    Args:
        table: the table.
        label: for \ref, letters, digits and hyphens.
    """
    sides = "".join("l" if i in table.words else "r" for i in range(len(table.columns)))
    headings = " & ".join(rf"\rotatebox{{90}}{{{latex_text(column)}}}" for column in table.columns)
    groups = [" \\\\\n".join(_latex_row(row) for row in group) + r" \\" for group in table.groups]
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{latex_text(table.caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{sides}}}",
        r"\toprule",
        rf"{headings} \\",
        r"\midrule",
        "\n\\midrule\n".join(groups),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines)


def _latex_row(cells: Cells) -> str:
    return " & ".join(latex_text(cell) for cell in cells)
