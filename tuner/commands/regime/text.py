"""The regimes of an application in sentences, shared by terminal, page, figure and JSON, and their table.

It must not know plotly.
"""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from ...reports.tables.plain import plain_table
from ...reports.text.costs import cost_unit, format_reused
from ...reports.text.format import format_amount, pluralize
from ...reports.text.scores import format_interval, format_score
from .bisection import Bracket
from .verdict import LOSS_FACTOR, Attempt, CertainBounds, Regime, RegimeQuestion


def headline(regime: Regime) -> str:
    """State the three boundaries in a line."""
    parts = (_large_headline(regime), _huge_headline(regime), f"full at {regime.question.num_train:,}")
    return ", ".join(parts).capitalize()


def _large_headline(regime: Regime) -> str:
    found = regime.large
    return f"not large up to {found.holds:,}" if found.fails is None else f"large from {_from(regime, found)}"


def _huge_headline(regime: Regime) -> str:
    found = regime.huge
    if found.fails is not None:
        return f"huge above {_above(regime, found)}"
    return "huge not found" if found.holds is None else f"not huge up to {found.holds:,}"


def _floor(regime: Regime, found: Bracket) -> int:
    """Return the largest batch size that holds below the boundary. B0 holds by definition."""
    return regime.question.baseline_batch_size if found.holds is None else found.holds


def _is_exact(regime: Regime, found: Bracket) -> bool:
    """Return whether no batch size that could be tried lies between one that holds, B0 included, and one that fails."""
    question = regime.question
    return found.closed and (found.holds is not None or question.rungs[0] <= 2 * question.baseline_batch_size)


def _from(regime: Regime, found: Bracket) -> str:
    if _is_exact(regime, found):
        return f"{found.fails:,}"
    return f"somewhere above {_floor(regime, found):,}, at most {found.fails:,}"


def _above(regime: Regime, found: Bracket) -> str:
    if _is_exact(regime, found):
        return f"{_floor(regime, found):,}"
    return f"somewhere from {_floor(regime, found):,} to below {found.fails:,}"


def sentences(regime: Regime) -> tuple[str, ...]:
    """Describe the boundaries one by one, with the evidence for each and what the intervals confirm."""
    large = _format_shown(
        regime, regime.large, regime.certain_large, holding="linear scaling holds", failing="linear scaling fails"
    )
    huge = _format_shown(regime, regime.huge, regime.certain_huge, holding="a method holds", failing="all methods fail")
    return (
        f"{_format_large(regime)} {large}",
        f"{_format_huge(regime)} {huge}",
        f"Full batch (B_F): {regime.question.num_train:,}, the number of training samples.",
    )


def _format_large(regime: Regime) -> str:
    question, found = regime.question, regime.large
    linear = {attempt.batch_size: attempt for attempt in regime.attempts if attempt.arm == question.linear}
    if found.fails is None:
        return f"Large (B_L): above {found.holds:,} at least; linear scaling holds there, the largest tried."
    why = _shortfall(regime, linear[found.fails])
    start = f"Large (B_L): from {_from(regime, found)}; linear scaling"
    if found.holds is None:
        return f"{start} fails at {found.fails:,} already, the smallest tried ({why})."
    return f"{start} holds at {found.holds:,} and fails at {found.fails:,} ({why})."


def _format_huge(regime: Regime) -> str:
    question, found = regime.question, regime.huge
    if found.holds is None and found.fails is None:
        return "Huge (B_H): not found, for the search ended before all methods were tried at one batch size."
    if found.fails is None:
        assert found.holds is not None
        which = "the full batch" if found.holds == question.num_train else "the largest tried"
        return (
            f"Huge (B_H): above {found.holds:,} at least; {_first_holding(regime, found.holds)} holds there, {which}."
        )
    tried = regime.at(found.fails)
    best = min(tried, key=lambda attempt: _rank(question, attempt))
    none = f"none of {pluralize(len(tried), 'method')}"
    nearest = f"(nearest: {best.arm}, {_score_shortfall(regime, best)})"
    start = f"Huge (B_H): above {_above(regime, found)};"
    if found.holds is None:
        return f"{start} {none} holds at {found.fails:,}, the smallest tried {nearest}."
    return (
        f"{start} {_first_holding(regime, found.holds)} holds at {found.holds:,}, {none} at {found.fails:,} {nearest}."
    )


def _first_holding(regime: Regime, batch_size: int) -> str:
    return next(attempt.arm for attempt in regime.at(batch_size) if attempt.keeps_score)


def _rank(question: RegimeQuestion, attempt: Attempt) -> float:
    if attempt.score is None:
        return float("inf")
    return -attempt.score.mean if question.higher_is_better else attempt.score.mean


def _shortfall(regime: Regime, attempt: Attempt) -> str:
    """Describe how an attempt with linear scaling failed."""
    parts = [] if attempt.keeps_score else [_score_shortfall(regime, attempt)]
    if not attempt.keeps_loss and attempt.score is not None:
        ratio = loss_ratio(regime, attempt)
        loss = "its loss is not finite" if ratio is None else f"{ratio:.3g} times its validation loss"
        parts.append(f"{loss}, {LOSS_FACTOR} allowed")
    return "; ".join(parts)


def _score_shortfall(regime: Regime, attempt: Attempt) -> str:
    question = regime.question
    if attempt.score is None:
        return f"none of {pluralize(attempt.num_failed, 'run')} gave a score: {attempt.error}"
    share = score_share(regime, attempt)
    if share is None:
        return f"{question.metric} {format_score(attempt.score.mean, question.metric)}"
    needed = question.margin if question.higher_is_better else 2.0 - question.margin
    word = "needed" if question.higher_is_better else "allowed"
    return f"{100 * share:.2f}% of the baseline's {question.metric}, {100 * needed:.4g}% {word}"


def score_share(regime: Regime, attempt: Attempt) -> float | None:
    """Return the mean score divided by the baseline's; None if one is missing or the baseline's is zero."""
    baseline = regime.baseline.score
    return attempt.score.mean / baseline.mean if attempt.score and baseline and baseline.mean else None


def loss_ratio(regime: Regime, attempt: Attempt) -> float | None:
    """Return the mean validation loss divided by the baseline's; None if not finite or the baseline's is zero."""
    ratio = attempt.loss / regime.baseline.loss if regime.baseline.loss else float("inf")
    return ratio if abs(ratio) < float("inf") else None


def _format_shown(regime: Regime, found: Bracket, shown: CertainBounds, *, holding: str, failing: str) -> str:
    """Describe what the intervals confirm of the decision by means."""
    seeds = pluralize(regime.question.num_seeds, "seed")
    if (shown.low, shown.high) == (_floor(regime, found), found.fails):
        return f"The 95% intervals over {seeds} confirm this."
    parts = [
        f"{holding} at {shown.low:,}" if shown.low > regime.question.baseline_batch_size else "",
        f"{failing} at {shown.high:,}" if shown.high is not None else "",
    ]
    confirmed = " and that ".join(part for part in parts if part)
    start = f"The means over {seeds} decide; their 95% intervals"
    return f"{start} confirm only that {confirmed}." if confirmed else f"{start} confirm none of it."


def notes(regime: Regime) -> tuple[str, ...]:
    """Return what a reader must know to trust the boundaries: definitions, monotonicity, lost runs and the bill."""
    question, spent = regime.question, regime.total
    operations = cost_unit("flops", [spent.flops])
    needed = f"{100 * question.margin:.4g}%" if question.higher_is_better else f"{100 * (2 - question.margin):.4g}%"
    lines = [
        f"Holds: mean test {question.metric} over {pluralize(question.num_seeds, 'seed')} "
        f"{'at least' if question.higher_is_better else 'at most'} {needed} of the baseline's after the same "
        f"{pluralize(question.epochs, 'epoch')}; linear scaling below B_L also at most "
        f"{LOSS_FACTOR} times its validation loss (LIMIT, arXiv 2006.08517, Definitions 2.1 and 2.2).",
        "Methods are tried in order until one holds. ?: the 95% interval of the difference over seeds leaves it "
        "open. ±: Student's 95% interval.",
        *_format_monotone(regime),
        *_format_lost(regime),
        f"Spent: {pluralize(spent.trials, 'training')}, {format_amount(spent.device_seconds)} device-seconds, "
        f"{format_amount(spent.flops / operations.size)} {operations.label}. "
        f"{format_reused(regime.reused)}".rstrip(),
    ]
    if regime.ended_early:
        lines.append("The budget of trainings ended the search; a larger one resumes it.")
    return tuple(lines)


def _format_monotone(regime: Regime) -> list[str]:
    subjects = (
        ("linear scaling fails", "holds again", regime.large),
        ("all methods fail", "one holds again", regime.huge),
    )
    found = [
        f"Not monotone: {fails} at {_join_sizes(found.contradictions[0])}, but {holds} at "
        f"{_join_sizes(found.contradictions[1])}. Bisection then finds only one of several changes. More seeds show "
        "whether it is chance; --from and --to search for another one."
        for fails, holds, found in subjects
        if found.contradictions[0]
    ]
    sizes = pluralize(len({attempt.batch_size for attempt in regime.attempts}), "batch size")
    return found or [
        f"Bisection assumes that what fails at a batch size fails at every larger one. None of the {sizes} tried "
        "contradicts it."
    ]


def _join_sizes(sizes: Sequence[int]) -> str:
    return ", ".join(f"{size:,}" for size in sizes)


def _format_lost(regime: Regime) -> list[str]:
    lines = []
    for attempt in (regime.baseline, *regime.attempts):
        if attempt.num_diverged or attempt.num_failed:
            runs = pluralize(attempt.num_seeds + attempt.num_failed, "confirmation run")
            error = f" ({attempt.error})" if attempt.error else ""
            lines.append(
                f"{attempt.arm} at B={attempt.batch_size:,}: of {runs} {attempt.num_diverged} diverged and "
                f"{attempt.num_failed} failed{error}."
            )
    return lines


def format_verdict(regime: Regime, attempt: Attempt) -> str:
    """Format whether an attempt holds, with a question mark if the interval leaves it open."""
    if attempt.arm == regime.question.linear and attempt.keeps_score:
        return ("holds" if attempt.keeps_loss else "score only") + ("" if attempt.both_are_certain else " ?")
    return ("holds" if attempt.keeps_score else "fails") + ("" if attempt.score_is_certain else " ?")


def table_rows(regime: Regime) -> list[tuple[str, ...]]:
    """Return the rows of the table: the baseline, every attempt, and the rest of the bill.

    Trainings and seconds add up to the total, including reused results.
    """
    question = regime.question
    rows = []
    for attempt in (regime.baseline, *regime.attempts):
        share, ratio = score_share(regime, attempt), loss_ratio(regime, attempt)
        score = "none" if attempt.score is None else format_interval(attempt.score, question.metric)
        verdict = "baseline" if attempt is regime.baseline else format_verdict(regime, attempt)
        measured = (score, "-" if share is None else f"{100 * share:.2f}%", "-" if ratio is None else f"{ratio:.3g}")
        rows.append((attempt.batch_size, attempt.arm, *measured, verdict, attempt.cost))
    rows += [(line.batch_size, f"{line.arm}, {line.role}", "", "", "", "", line.full_cost) for line in regime.others]
    return [
        (f"{batch_size:,}", *words, str(cost.trials), format_amount(cost.device_seconds))
        for batch_size, *words, cost in sorted(rows, key=lambda row: row[0])
    ]


def table_headings(regime: Regime) -> tuple[str, ...]:
    """Return the column headings of `table_rows`."""
    metric = f"test {regime.question.metric}"
    return ("B", "method", metric, "of B0's", "loss /\nB0's", "holds", "trials", "device-\nseconds")


_STYLES = {"holds": "green", "fails": "red", "score only": "yellow"}


def print_regime(regime: Regime, console: Console) -> None:
    """Print the boundaries, the table of attempts, and the notes."""
    question = regime.question
    console.print(Text(f"{question.study}, {question.application}: {headline(regime)}", style="bold"))
    console.print()
    for sentence in sentences(regime):
        console.print(Text(f"• {sentence}"))
    console.print()
    table = plain_table()
    for place, heading in enumerate(table_headings(regime)):
        justify = "left" if place in (1, 5) else "right"
        table.add_column(heading, justify=justify, no_wrap=place == 5, overflow="fold")  # type: ignore[arg-type]
    previous = ""
    for row in table_rows(regime):
        shown = [Text("" if row[0] == previous else row[0]), *map(Text, row[1:])]
        shown[5].stylize(_STYLES.get(row[5].removesuffix(" ?"), ""))
        previous = row[0]
        table.add_row(*shown)
    console.print(table)
    console.print()
    for note in notes(regime):
        console.print(Text(note, style="dim"))
