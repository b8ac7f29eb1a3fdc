"""A report without its figures: JSON to compute with, GitHub Markdown for a README, LaTeX for a paper.

Text goes in as it is and comes out escaped.
"""

from dataclasses import asdict

from ...sanitize import sanitize_text
from ..answer import Answer
from ..json_text import format_json
from ..text.amendments import describe_amendments
from ..text.caveats import caveats
from ..text.costs import blank_unknown
from ..text.findings import findings
from ..text.next_steps import next_steps
from ..text.provenance import origin_as_json
from ..text.searched_constants import searched_constants
from ..text.verdict import first_lines, verdict_text
from .repeats import repeats_table
from .result_tables import Cells, Table, answer_table, configuration_table, effort_table
from .terminal import table_notes
from .worth import worth_record, worth_table

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
"""Characters that LaTeX takes for commands, and signs that a text font may lack."""


def escape_markdown(text: str) -> str:
    """Escape text for GitHub's Markdown, on one line.

    >>> escape_markdown("a|b *c* <i>")
    'a\\\\|b \\\\*c\\\\* &lt;i&gt;'
    """
    escaped = "".join(f"\\{character}" if character in "\\`*_[]|~#" else character for character in sanitize_text(text))
    return " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def markdown_table(table: Table) -> str:
    """Return a GitHub table with its caption below."""
    rule = " | ".join("---" if i in table.words else "---:" for i in range(len(table.columns)))
    lines = [_markdown_row(table.columns), f"| {rule} |", *map(_markdown_row, table.rows)]
    return "\n".join([*lines, "", escape_markdown(table.caption)])


def _markdown_row(cells: Cells) -> str:
    return f"| {' | '.join(escape_markdown(cell) for cell in cells)} |"


def escape_latex(text: str) -> str:
    r"""Escape text for LaTeX; a hyphen before a number becomes a minus.

    >>> escape_latex("95.2% ± 0.3, a_b, -25%")
    '95.2\\% $\\pm$ 0.3, a\\_b, $-$25\\%'
    """
    text = " ".join(sanitize_text(text).splitlines())
    signed = [
        "$-$" if character == "-" and _is_minus(text, i) else _LATEX.get(character, character)
        for i, character in enumerate(text)
    ]
    return "".join(signed)


def _is_minus(text: str, place: int) -> bool:
    """Return whether the hyphen at a place is a minus: before a digit and after a space or bracket, as in "(-25%)"."""
    before, after = text[:place][-1:], text[place + 1 :][:1]
    return after.isdigit() and (not before or before in " (")


def latex_table(table: Table, label: str) -> str:
    r"""Return a table with booktabs rules, as wide as the page, with a rule between groups and a label for \ref."""
    sides = "".join("l" if i in table.words else "r" for i in range(len(table.columns)))
    headings = " & ".join(rf"\rotatebox{{90}}{{{escape_latex(column)}}}" for column in table.columns)
    groups = [" \\\\\n".join(" & ".join(map(escape_latex, row)) for row in group) + r" \\" for group in table.groups]
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{escape_latex(table.caption)}}}",
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


def report_json(subject: Answer) -> str:
    """Return the comparison with its verdict, caveats and provenance as JSON; non-finite numbers are strings."""
    comparison = subject.comparison
    content = {
        "missing": subject.missing,
        "verdict": verdict_text(comparison, cost=subject.cost),
        "findings": findings(comparison, cost=subject.cost),
        "savings_in": subject.cost,
        "comparison": blank_unknown(asdict(comparison), comparison.unknown),
        "worth": [
            {"arm": row.arm, "batch_size": row.batch_size, **worth_record(comparison, row)} for row in comparison.rows
        ],
        "caveats": caveats(subject),
        "next_steps": next_steps(subject),
        "provenance": origin_as_json(subject),
    }
    return format_json("report", content)


def report_markdown(subject: Answer) -> str:
    """Return question, verdict, findings, tables and notes as GitHub Markdown."""
    comparison, cost = subject.comparison, subject.cost
    effort, prices, repeats = effort_table(subject), worth_table(subject), repeats_table(subject)
    parts = [
        f"## {escape_markdown(comparison.facts.name)}",
        *(f"**{escape_markdown(sentence)}**" for sentence in subject.missing),
        escape_markdown(comparison.facts.question),
        *(f"**{escape_markdown(line)}**" for line in first_lines(comparison, cost=cost)),
        _markdown_list(findings(comparison, cost=cost)),
        markdown_table(answer_table(subject)),
        _markdown_list(table_notes(comparison, cost=cost)),
        markdown_table(prices) if prices.rows else "",
        markdown_table(effort) if effort.rows else "",
        markdown_table(repeats) if repeats.rows else "",
        markdown_table(configuration_table(subject)),
        _markdown_list(caveats(subject)),
        _markdown_list(next_steps(subject)),
        escape_markdown(f"Definition {subject.origin.fingerprint}. Rebuilt by: {subject.origin.command}"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def report_latex(subject: Answer) -> str:
    r"""Return the table of arms with its notes, for a paper that loads booktabs, rotating and amssymb."""
    comparison = subject.comparison
    notes = (
        *table_notes(comparison, cost=subject.cost),
        *describe_amendments(subject),
        *searched_constants(subject),
    )
    lines = [
        f"% {_comment(subject.origin.command)}",
        f"% definition {_comment(subject.origin.fingerprint)}",
        r"% \usepackage{booktabs,rotating,amssymb,textcomp}",
        *(rf"\par\noindent\textbf{{{escape_latex(sentence)}}}" for sentence in subject.missing),
        latex_table(answer_table(subject), "tab:zerotune"),
        *(rf"\par\noindent\footnotesize {escape_latex(note)}" for note in notes),
    ]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """Return text for a comment: one line."""
    return " ".join(sanitize_text(text).split())


def _markdown_list(sentences: tuple[str, ...]) -> str:
    return "\n".join(f"- {escape_markdown(sentence)}" for sentence in sentences)
