"""The tables of a report as plain text: what was found, what was trained, and the whole bill.

Every format draws the same table cells, so a page, a README and a paper cannot differ. This module must not know HTML,
Markdown or LaTeX.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from ....trainers.applications.metric_names import is_share
from ...analysis.comparison_row import ComparisonRow
from ...analysis.selection import BASELINE
from ...analysis.tuning_effort import TuningEffort
from ...cost import Cost
from ...study.searched import chosen_model_options
from ..answer import Answer
from ..text.configuration import confirmed_config, format_arm, format_baseline, format_config, format_values
from ..text.costs import NOT_KNOWN, Unit, cost_unit
from ..text.format import format_amount
from ..text.savings import format_trials_to_match
from ..text.scores import format_score
from ..text.search_trials import format_search_trials
from ..text.seeds import format_lost, format_seeds
from .cells import (
    format_break_even,
    format_improvement,
    format_median,
    format_savings,
    format_share_of_baseline,
    format_verdict,
)

Cells = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        caption: what it shows, one or two sentences.
        columns: the headings; the first column names the group, the second the row.
        groups: rows that belong together, one group a batch size.
        words: positions of the columns that hold words, which start at the left; numbers end at the right.
    """

    caption: str
    columns: Cells
    groups: tuple[tuple[Cells, ...], ...]
    words: frozenset[int] = frozenset({1})

    @property
    def rows(self) -> tuple[Cells, ...]:
        """All rows in order."""
        return tuple(row for group in self.groups for row in group)


def answer_table(subject: Answer) -> Table:
    """Return what every arm scored at every batch size, what it cost and what it saves; the baseline's row is first."""
    comparison, facts, cost = subject.comparison, subject.comparison.facts, subject.cost
    rows = [*([comparison.baseline] if comparison.baseline else []), *comparison.rows]
    operations = cost_unit("flops", [row.bill["flops"] for row in rows if row.bill])
    amounts = [found[cost] for row in rows if (found := row.cost_per_usable_model)]
    usable = cost_unit(cost, amounts, tabulated=comparison.tabulated)
    points = " (points)" if is_share(facts.metric) else ""
    return Table(
        caption=f"Every arm at every batch size: test {facts.metric} of each seed, how many are lost, verdict against "
        f"{facts.reference}, and what a model costs; per usable model: over the share of seeds that are "
        f"not lost. Saved: {cost_unit(cost, [], tabulated=comparison.tabulated).label}.",
        columns=(
            "batch size",
            "arm",
            f"test {facts.metric} by seed",
            "lost",
            "median",
            "of B0's",
            "verdict",
            f"better than {facts.reference} by{points}",
            "K*",
            "search trials",
            "epochs",
            cost_unit("device_seconds", [], tabulated=comparison.tabulated).label,
            operations.label,
            f"{usable.label} per usable model",
            "saved",
            "incl. baseline",
            "pays off after",
        ),
        groups=grouped([_answer_row(subject, row, operations, usable) for row in rows]),
        words=frozenset({1, 2, 6}),
    )


def _answer_row(subject: Answer, row: ComparisonRow, operations: Unit, usable: Unit) -> Cells:
    comparison, cost, whole = subject.comparison, subject.cost, row.cost_per_usable_model
    bill: Cells = ("-",) * 3
    if row.bill is not None:
        amounts = {name: row.bill[name] for name in ("epochs", "device_seconds", "flops")}
        amounts["flops"] /= operations.size
        unknown = comparison.unknown
        bill = tuple(NOT_KNOWN if name in unknown else format_amount(amount) for name, amount in amounts.items())
    is_baseline = row.arm == BASELINE
    return (
        f"{row.batch_size:,}",
        row.arm,
        format_seeds(row.seeds, comparison.facts.metric) or "none yet",
        format_lost(row.seeds) if len(row.seeds) else "",
        format_median(comparison, row),
        "" if is_baseline else format_share_of_baseline(comparison, row),
        "B0" if is_baseline else format_verdict(comparison, row),
        format_improvement(comparison, row),
        format_trials_to_match(row.effort),
        format_search_trials(row),
        *bill,
        "-" if whole is None else format_amount(whole[cost] / usable.size),
        *format_savings(row, cost),
        format_break_even(row, cost),
    )


def effort_table(subject: Answer) -> Table:
    """Return what the reference's search takes to match each arm: K*, success rate and expected running time."""
    facts, cost = subject.comparison.facts, subject.cost
    rows = [row for row in subject.comparison.rows if row.effort is not None]
    times = [row.effort.running_time.get(cost, 0.0) for row in rows if row.effort]
    unit = cost_unit(cost, times, tabulated=subject.comparison.tabulated)
    return Table(
        caption=f"How much of {facts.reference}'s search it takes to validate as well as each arm does. Success: a "
        "trial at least as good as the arm's mean, with Clopper and Pearson's 95% interval. Trials for 95%: of so many "
        "one succeeds with that probability, were the rate exact. Running time: the cost of all trials over those that "
        'succeeded. "more": no trial did.',
        columns=(
            "batch size",
            "arm",
            f"validation {facts.metric}",
            "K*",
            "trials as good",
            "success rate",
            "trials for 95%",
            f"expected running time ({unit.label})",
        ),
        groups=grouped([_effort_row(row, row.effort, facts.metric, cost, unit) for row in rows if row.effort]),
    )


def _effort_row(row: ComparisonRow, effort: TuningEffort, metric: str, cost: str, unit: Unit) -> Cells:
    found, time = effort.success, effort.running_time.get(cost)
    return (
        f"{row.batch_size:,}",
        row.arm,
        "" if row.validation_score is None else format_score(row.validation_score, metric),
        format_trials_to_match(effort),
        f"{found.num_successes} of {found.num_trials}",
        f"{100 * found.rate:.0f}% ({100 * found.low:.0f}% to {100 * found.high:.0f}%)",
        "more" if found.trials_for_confidence is None else f"{found.trials_for_confidence:,}",
        "more" if time is None else format_amount(time / unit.size),
    )


def configuration_table(subject: Answer) -> Table:
    """Return the confirmed configurations: the hyperparameters that were searched, and all others."""
    comparison = subject.comparison
    rows = [*([comparison.baseline] if comparison.baseline else []), *comparison.rows]
    shown, cells = chosen_model_options(subject.origin.study), []
    for row in rows:
        config = confirmed_config(subject.results, row.arm, row.batch_size)
        if config is not None:
            searched, trained = format_values(row.params) or "-", format_config(config, shown)
            cells.append((f"{row.batch_size:,}", row.arm, searched, trained))
    of_first = " Of repeated searches it is the first one's." if comparison.facts.repeats else ""
    return Table(
        caption="The configuration behind every score. Searched: the values that the arm's search chose on validation; "
        f"a rule has none.{of_first}",
        columns=("batch size", "arm", "searched", "trained with"),
        groups=grouped(cells),
        words=frozenset({1, 2, 3}),
    )


def arms_table(subject: Answer) -> Table:
    """Return where the configurations of the baseline and of every arm come from, as the study defines them."""
    study = subject.origin.study
    sizes = ", ".join(f"{size:,}" for size in study.batch_sizes)
    return Table(
        caption="Where configurations come from, as defined before the first trial. A search is run anew at every "
        "batch size.",
        columns=("batch size", "arm", "configuration"),
        groups=(
            ((f"{study.baseline.batch_size:,}", "baseline", format_baseline(study.baseline)),),
            tuple((sizes, arm.name, format_arm(study, arm)) for arm in study.arms),
        ),
        words=frozenset({0, 1, 2}),
    )


def ledger_table(subject: Answer) -> Table:
    """Return every training of the study by batch size, arm and role; the last row is the total."""
    ledger, unknown = subject.comparison.ledger, subject.comparison.unknown
    operations = cost_unit("flops", [ledger.total.flops])
    lines = [
        (
            f"{line.batch_size:,}",
            line.arm,
            line.role,
            f"{line.reused.trials:,}",
            *_bill(line.cost, line.num_diverged, line.num_failed, operations, unknown),
        )
        for line in ledger.lines
    ]
    diverged = sum(line.num_diverged for line in ledger.lines)
    failed = sum(line.num_failed for line in ledger.lines)
    total = ("", "total", "", f"{ledger.reused.trials:,}", *_bill(ledger.total, diverged, failed, operations, unknown))
    return Table(
        caption="Every training that was started, searches, confirmations, diverged, pruned, failed and repeated ones: "
        "the lines add up to the total. Reused: trials whose results an earlier training gave; the study spent "
        "nothing on them, and the cost to a model counts them all the same. FLOPs and seconds are rounded here and "
        "exact in ledger.csv and in the store.",
        columns=(
            "batch size",
            "arm",
            "role",
            "reused",
            "trainings",
            "diverged",
            "failed",
            "epochs",
            "iterations",
            "samples",
            operations.label,
            cost_unit("device_seconds", [], tabulated=subject.comparison.tabulated).label,
            "searcher-seconds",
            "J (modelled)",
            "J (measured)",
        ),
        groups=(*grouped(lines), (total,)),
        words=frozenset({1, 2}),
    )


def _bill(cost: Cost, num_diverged: int, num_failed: int, operations: Unit, unknown: Collection[str]) -> Cells:
    measured = cost.measured_joules
    cells = {
        "trials": f"{cost.trials:,}",
        "diverged": f"{num_diverged:,}",
        "failed": f"{num_failed:,}",
        "epochs": f"{cost.epochs:,}",
        "iterations": f"{cost.iterations:,}",
        "samples": f"{cost.samples:,}",
        "flops": f"{cost.flops / operations.size:,.3f}",
        "device_seconds": f"{cost.device_seconds:,.1f}",
        "searcher_seconds": f"{cost.searcher_seconds:,.2f}",
        "modelled_joules": f"{cost.modelled_joules:,.1f}",
    }
    known = (NOT_KNOWN if name in unknown else text for name, text in cells.items())
    return (*known, "-" if measured is None else f"{measured:,.1f}")


def grouped(rows: Sequence[Cells]) -> tuple[tuple[Cells, ...], ...]:
    """Group rows by their first table cell, in their order."""
    return tuple(tuple(group) for _, group in groupby(rows, key=lambda row: row[0]))
