"""Replicates as sentences and tables for a terminal, and as JSON. At most 110 columns wide."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...analysis.verdict import LEVEL, Kind
from ...reports.tables.plain import plain_table
from ...reports.text.format import format_share, pluralize
from ...reports.text.scores import format_points
from ...reports.text.verdict import KINDS
from .replicates import Replicates
from .summary import ArmSummary, Quartiles, Summary

CLAIMS: tuple[Kind, ...] = ("yes", "yes, but", "worse", "batch too large", "unreliable")
"""Kinds that are true or false; the others claim nothing."""


def print_replicates(replicates: Replicates, found: Summary, console: Console) -> None:
    """Print what was said how often, how often it was true, and savings, K* and regret."""
    console.print(Text(first_line(replicates, found), style="bold"))
    console.print(_said_table(found))
    console.print(Text("Verdicts: how often each was said, and of how many it was true.\n", style="dim"))
    console.print(_amounts_table(replicates, found))
    for note in notes(replicates, found):
        console.print(Text(note, style="dim"))


def replicates_as_json(replicates: Replicates, found: Summary) -> Mapping[str, Any]:
    """Return what `print_replicates` prints, as values."""
    return {
        "study": replicates.study.name,
        "application": replicates.study.application,
        "seed": replicates.seed,
        "headline": first_line(replicates, found),
        "replicates": found.num_replicates,
        "trials": found.num_trials,
        "failed": found.num_failed,
        "level": LEVEL,
        "studies_with_false": dict(found.studies_with_false),
        "arms": [asdict(arm) for arm in found.arms],
        "notes": notes(replicates, found),
    }


def first_line(replicates: Replicates, found: Summary) -> str:
    """Say in one sentence how often the verdicts were true."""
    said = [
        f'"{kind}" was said {found.said(kind):,} times and true {found.true(kind):,} times'
        for kind in CLAIMS
        if found.said(kind)
    ]
    start = f"{replicates.study.name}, looked up {pluralize(found.num_replicates, 'time')} with other seeds"
    return f"{start}: {'; '.join(said) if said else 'no verdict claimed anything'}."


def notes(replicates: Replicates, found: Summary) -> tuple[str, ...]:
    """Return what to know of the numbers."""
    known, asked = len(replicates.table.seeds), len(replicates.study.seeds)
    wrong = " and ".join(f'{number:,} had a false "{kind}"' for kind, number in found.studies_with_false.items())
    said = [
        f"Of {found.num_replicates:,} studies {wrong}; the level of the verdict is {100 * LEVEL:g}% of studies with "
        "either.",
        f"True by the means over all {known} seeds of the table, of which a study confirms {asked}: with the seeds of "
        "the truth among its own, a study is wrong less often than with fresh ones.",
    ]
    if replicates.shares_seeds:
        said.append("The table has no other seeds: searches train with one that confirms, and are luckier for it.")
    if found.num_failed:
        said.append(
            f"{found.num_failed:,} of {pluralize(found.num_trials, 'look-up')} failed: the table does not have them."
        )
    return tuple(said)


def _said_table(found: Summary) -> Table:
    kinds = [kind for kind in KINDS if found.said(kind)]
    table = plain_table("B", "arm", *kinds)
    for arm in found.arms:
        if arm.said:
            table.add_row(f"{arm.batch_size:,}", arm.arm, *(_said(arm, kind) for kind in kinds))
    return table


def _said(arm: ArmSummary, kind: Kind) -> str:
    number = arm.said.get(kind, 0)
    if not number:
        return "-"
    return f"{number:,} ({arm.true.get(kind, 0):,} true)" if kind in CLAIMS else f"{number:,}"


def _amounts_table(replicates: Replicates, found: Summary) -> Table:
    metric = replicates.facts.metric
    table = plain_table("B", "arm", "truly better by", "saving", "K*", "regret of the search")
    for arm in found.arms:
        gain = _format(arm.true_gain, lambda value: format_points(value, metric))
        saving = _format(arm.saving, format_share)
        matched = _format(arm.trials_to_match, partial(_format_trials, num_trials=arm.num_trials))
        regret = _format(arm.regret, lambda value: format_points(value, metric, signed=False))
        table.add_row(f"{arm.batch_size:,}", arm.arm, gain, saving, matched, regret)
    table.caption = "Medians, with quartiles."
    return table


def _format_trials(trials: float, *, num_trials: int) -> str:
    return f"{trials:.0f}" if math.isfinite(trials) else f">{num_trials}"


def _format(found: Quartiles | None, format_one: Callable[[float], str]) -> str:
    if found is None:
        return "-"
    low, middle, high = map(format_one, found)
    return f"{middle} ({low.removesuffix(' points')} to {high.removesuffix(' points')})"
