"""The tables of `zerotune judge` on a terminal, and the rows that pages share with them."""

import math
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from ...analysis.past_judgement import ArmFinding, PastAnswer
from ...analysis.past_searches import SIZES, PastSearch
from ...analysis.verdict import Kind
from ...reports.tables.plain import plain_table
from ...reports.text.format import format_share, pluralize
from .text import format_difference, format_reached, headline, notes, of_kind, sentences

KINDS: tuple[Kind, ...] = ("yes", "yes, but", "worse", "unreliable", "not shown")
ARM_COLUMNS = (
    *("arm", "yes", "yes,\nbut", "worse", "unre-\nliable", "not\nshown", "lost", "target\nreached", "over\nfamilies"),
    *("saved", "score", "pub-\nlished"),
)
WORKLOAD_COLUMNS = (
    *("workload", "target\nreached", "by\ntuned", "lost", "against\ntuned", "verdict", "K*", "hours to\ntarget"),
    *("hours of\ntuned", "saved"),
)
SEARCH_COLUMNS = ("workload", "arm", "batch size", "trials", "lost", "score", "best", *(f"best of\n{k}" for k in SIZES))


def arm_rows(answer: PastAnswer) -> list[tuple[str, ...]]:
    """Return a row an arm, in the columns `ARM_COLUMNS`."""
    published = answer.benchmark.published.get("zero-tuned", {}) if answer.benchmark else {}
    return [
        (
            arm.arm,
            *(str(len(of_kind(arm, kind))) for kind in KINDS),
            f"{arm.num_lost}/{arm.num_trainings}",
            format_reached(one.zero for one in arm.workloads).replace(" of ", "/"),
            format_difference(arm.pooled.difference.mean) if arm.pooled.difference else "-",
            _saved(arm.saved),
            "-" if arm.benchmark_score is None else f"{arm.benchmark_score:.3f}",
            f"{published[arm.arm]:.3f}" if arm.arm in published else "-",
        )
        for arm in answer.arms
    ]


def workload_rows(arm: ArmFinding) -> list[tuple[str, ...]]:
    """Return a row a workload, in the columns `WORKLOAD_COLUMNS`; saved only where the verdict allows a saving."""
    return [
        (
            one.workload,
            f"{one.zero.reached}/{len(one.zero.studies)}",
            f"{one.tuned.reached}/{len(one.tuned.studies)}",
            f"{len(one.zero.seeds.lost)}/{len(one.zero.seeds)}",
            format_difference(one.verdict.difference.mean) if one.verdict.difference else "-",
            one.verdict.kind,
            f">{len(one.best_of_k)}" if one.trials_to_match is None else str(one.trials_to_match),
            _hours(one.zero.seconds_to_target),
            _hours(one.tuned.seconds_to_target),
            _saved(one.saved if one.verdict.spares_tuning else None),
        )
        for one in arm.workloads
    ]


def search_rows(searches: Iterable[PastSearch]) -> list[tuple[str, ...]]:
    """Return a row a search, in the columns `SEARCH_COLUMNS`."""
    return [
        (
            one.workload,
            one.arm,
            "-" if one.batch_size is None else f"{one.batch_size:,}",
            str(one.num_trials),
            str(one.num_lost),
            one.metric,
            *("-" if score is None else f"{score:.4g}" for score in (one.best, *map(one.expected_best.get, SIZES))),
        )
        for one in searches
    ]


def _saved(share: float | None) -> str:
    """Format a saving, rounded towards zero; what costs more has a minus."""
    if share is None:
        return "-"
    return format_share(share) if share >= 0 else f"-{format_share(-share)}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f}" if seconds < math.inf else "-"


def print_past_answer(answer: PastAnswer, console: Console) -> None:
    """Print the first sentence, a table of the arms and one of the first arm's workloads, all sentences and notes."""
    console.print(Text(f"{answer.collection}: {headline(answer)}", style="bold"))
    console.print()
    _print_table(ARM_COLUMNS, arm_rows(answer), console)
    console.print()
    console.print(
        Text(f"{answer.arms[0].arm}, not tuned, against the best of {answer.num_trials} of {answer.tuned_name}:")
    )
    _print_table(WORKLOAD_COLUMNS, workload_rows(answer.arms[0]), console)
    console.print()
    for sentence in sentences(answer):
        console.print(Text(f"• {sentence}"))
    console.print()
    for note in notes(answer):
        console.print(Text(note, style="dim"))


def print_searches(collection: str, searches: Sequence[PastSearch], console: Console) -> None:
    """Print what searches found in a collection without zero-tuned trainings."""
    console.print(Text(searches_headline(collection, searches), style="bold"))
    console.print()
    _print_table(SEARCH_COLUMNS, search_rows(searches), console)


def searches_headline(collection: str, searches: Sequence[PastSearch]) -> str:
    """Say in one sentence that nothing can be judged, and what is shown instead."""
    trials = pluralize(sum(one.num_trials for one in searches), "training")
    return (
        f"{collection}: nothing was trained without tuning ({trials} of searches), so no arm can be judged; the table "
        "shows what a search of k trials finds on average."
    )


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], console: Console) -> None:
    table = plain_table()
    for place, heading in enumerate(columns):
        is_word = place == 0 or heading in ("verdict", "arm")
        table.add_column(heading, justify="left" if is_word else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
