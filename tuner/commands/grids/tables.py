"""The answer of grids of trainings as tables, for a terminal and for a page.

This module must not know rich, plotly or files.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from ...analysis.learning_rate_answer import BANDS, GridsAnswer
from ...analysis.learning_rate_rules import Losses
from ...reports.tables.result_tables import Cells, Table
from .layout import Layout
from .text import format_excess, format_more, format_tokens, rank_rules

Group = TypeVar("Group", bound=Hashable)

FEWEST = 3
"""Batch sizes with fewer grids are left out of tables and figures."""


def shown_batch_sizes(answer: GridsAnswer) -> list[int]:
    """Return the batch sizes with at least `FEWEST` grids, ascending."""
    return [size for size in answer.batch_sizes if len(answer.verdicts["constant", size].losses) >= FEWEST]


def rules_table(answer: GridsAnswer, layout: Layout) -> Table:
    """Return what every rule loses at B, the best first."""
    question = answer.question
    rows = []
    for name in rank_rules(answer):
        end = answer.end(name)
        rows.append((name, *verdict_cells(answer, name, question.batch_size), "" if end is None else f"{end:,}"))
    return Table(
        caption=f"From {question.baseline_batch_size:,} to {question.batch_size:,} {layout.batch_unit}: loss above"
        " that of"
        f" the best learning rate{f', {layout.unit}' if layout.unit else ''}. More tokens would make up for the"
        " median; ends"
        " at: the largest batch size up to which the median is within the tolerance.",
        columns=(
            "rule",
            f"within {question.tolerance:g}",
            "median",
            "least",
            "most",
            "more tokens",
            "verdict",
            "ends at",
        ),
        groups=(tuple(rows),),
        words=frozenset({0, 6}),
    )


def verdict_cells(answer: GridsAnswer, rule: str, batch_size: int) -> Cells:
    """Return how often a rule is within the tolerance, median, least and most loss, more tokens and verdict."""
    verdict = answer.verdicts[rule, batch_size]
    losses = verdict.losses
    return (
        f"{losses.within} of {len(losses)}",
        *(format_excess(value) for value in (losses.median, losses.excesses[0], losses.excesses[-1])),
        format_more(verdict.tokens),
        verdict.kind,
    )


def batch_table(answer: GridsAnswer) -> Table:
    """Return the median loss of every rule at every batch size, from B0."""
    sizes = shown_batch_sizes(answer)
    rows: list[Cells] = [("grids", *(str(len(answer.verdicts["constant", size].losses)) for size in sizes))]
    for rule in answer.rules:
        name = rule.form.name
        rows.append((name, *(format_excess(answer.verdicts[name, size].losses.median) for size in sizes)))
    return Table(
        caption=f"Median loss above the best by batch size, from {answer.question.baseline_batch_size:,}:",
        columns=("rule", *(f"{size:,}" for size in sizes)),
        groups=(tuple(rows),),
        words=frozenset({0}),
    )


def band_table(answer: GridsAnswer) -> Table:
    """Return median and share within the tolerance by k = B / B0, over all pairs of batch sizes."""
    names = [name for name, _ in BANDS if ("constant", name) in answer.bands]
    rows: list[Cells] = [("pairs", *(str(len(answer.bands["constant", name])) for name in names))]
    for rule in answer.rules:
        found = [answer.bands[rule.form.name, name] for name in names]
        cells = (f"{format_excess(one.median)} {one.within / len(one):.2f}" for one in found)
        rows.append((rule.form.name, *cells))
    return Table(
        caption=f"Median loss, and share within {answer.question.tolerance:g}, by k = B/B0 over all pairs of batch"
        " sizes:",
        columns=("rule", *(name if name == "down" else f"k {name}" for name in names)),
        groups=(tuple(rows),),
        words=frozenset({0}),
    )


def group_tables(answer: GridsAnswer) -> list[Table]:
    """Return the median loss at B by tokens and by parameters, as far as the table has them."""
    tokens = {group: f"{format_tokens(group[0])}-{format_tokens(group[1])}" for _, group in answer.by_tokens}
    sizes = {group: format_tokens(group) for _, group in answer.by_size}
    return [
        *([_group_table(answer, answer.by_tokens, tokens, "tokens, thirds of the grids")] if tokens else []),
        *([_group_table(answer, answer.by_size, sizes, "parameters")] if sizes else []),
    ]


def _group_table(
    answer: GridsAnswer, found: Mapping[tuple[str, Group], Losses], headings: Mapping[Group, str], what: str
) -> Table:
    names = [rule.form.name for rule in answer.rules]
    question = answer.question
    return Table(
        caption=f"At {question.batch_size:,}, median loss and grids within {question.tolerance:g}, by {what}:",
        columns=("rule", *headings.values()),
        groups=(tuple((name, *_cells(found, name, list(headings))) for name in names),),
        words=frozenset({0}),
    )


def _cells(found: Mapping[tuple[str, Group], Losses], rule: str, groups: Sequence[Group]) -> list[str]:
    losses = [found[rule, group] for group in groups]
    return [f"{format_excess(one.median)} {one.within}/{len(one)}" for one in losses]


def page_table(answer: GridsAnswer, layout: Layout) -> Table:
    """Return every rule at every batch size, a group a batch size."""
    groups = [
        tuple((f"{size:,}", name, *verdict_cells(answer, name, size)) for name in rank_rules(answer))
        for size in shown_batch_sizes(answer)
    ]
    question = answer.question
    return Table(
        caption=f"From {question.baseline_batch_size:,} {layout.batch_unit}: loss above that of the best learning rate"
        " at"
        f" each batch size{f', {layout.unit}' if layout.unit else ''}; how many grids are within"
        f" {question.tolerance:g}, and"
        " the tokens that would make up for the median.",
        columns=("batch size", "rule", "within", "median", "least", "most", "more tokens", "verdict"),
        groups=tuple(groups),
        words=frozenset({1, 7}),
    )
