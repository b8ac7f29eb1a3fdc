"""A terminal table of what a study would do."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...campaign.plan import Plan, PlannedCell
from ...study import Study, study_remarks
from ...study.comprehensive import searches_solver
from ..text.configuration import describe_start, format_arm
from ..text.costs import cost_unit
from ..text.format import format_amount, format_duration, pluralize
from ..text.searches import describe_early_ends


def print_plan(study: Study, cells: Sequence[PlannedCell], console: Console) -> None:
    """Print what a study would do, one line for each arm and batch size."""
    console.print(Text(f"{study.name}: {study.question}" if study.question else study.name, style="bold"))
    console.print(
        Text(
            f"{study.application} on {study.data.source}: {pluralize(study.epochs, 'epoch')} a trial, every choice "
            f"confirmed on {pluralize(len(study.seeds), 'seed')}, reference arm {study.reference}\n"
        )
    )
    console.print(_plan_table(cells))
    trials = sum(cell.search_trials + cell.confirmation_trials for cell in cells)
    seconds = [cell.seconds for cell in cells if cell.seconds is not None]
    if isinstance(cells, Plan) and cells.tabulated:
        estimate = (
            "looked up in a table of past trainings, nothing is trained; its seconds are those that were recorded"
        )
    elif seconds:
        estimate = f"about {format_duration(sum(seconds))} of one CPU core like this machine's, by a measured step"
    else:
        estimate = "no time estimate: the data are not there to measure a step with"
    console.print(Text(f"\n{pluralize(trials, 'trial')} in all; {estimate}."))
    for name, what in _solver_searches(study).items():
        console.print(Text(f"{name}: {what}."))
    for remark in study_remarks(study):
        console.print(Text(remark, style="yellow"))
    for sentence in describe_early_ends(study):
        console.print(Text(sentence))
    for arm in study.arms:
        if start := describe_start(study, arm):
            console.print(Text(f"The search of {arm.name} starts from a neighbour: {start}."))
    budget = study.budget
    if budget.trials is not None:
        console.print(f"Searching stops after {pluralize(budget.trials, 'search trial')} (budget.trials).")
    if budget.device_seconds is not None:
        console.print(
            f"Searching stops after {format_duration(budget.device_seconds)} of device time (budget.device_seconds)."
        )


def plan_as_json(study: Study, plan: Plan) -> Mapping[str, Any]:
    """Return what `print_plan` and `print_remarks` print, as values: seconds on one CPU core, FLOPs and numbers."""
    seconds = [cell.seconds for cell in plan if cell.seconds is not None]
    return {
        "study": study.name,
        "question": study.question,
        "application": study.application,
        "data": study.data.source,
        "epochs": study.epochs,
        "seeds": study.seeds,
        "reference": study.reference,
        "cells": tuple(plan),
        "solver_searches": _solver_searches(study),
        "trials": sum(cell.search_trials + cell.confirmation_trials for cell in plan),
        "seconds": sum(seconds) if seconds else None,
        "tabulated": plan.tabulated,
        "budget": study.budget.model_dump(),
        "early_ends": describe_early_ends(study),
        "remarks": (*study_remarks(study), *plan.remarks),
    }


def _solver_searches(study: Study) -> dict[str, str]:
    """Return what is searched by arms that search the solver: the ranges do not stand in the study file."""
    return {arm.name: format_arm(study, arm) for arm in study.arms if searches_solver(arm)}


def print_remarks(remarks: Sequence[str], console: Console) -> None:
    """Print the sanity check's remarks on an application."""
    for remark in remarks:
        console.print(Text(f"remark: {remark}", style="yellow"))


def _times(repeats: int, trials: int) -> str:
    """Format trials, such as "5 x 12" of a search that is run five times."""
    return f"{repeats} x {trials // repeats}" if repeats > 1 else str(trials)


def _plan_table(cells: Sequence[PlannedCell]) -> Table:
    operations = cost_unit("flops", [cell.flops for cell in cells if cell.flops is not None])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("arm", overflow="fold")
    for column in ("batch", "search\ntrials", "confirming\ntrials", "iterations", operations.label, "core time"):
        table.add_column(column, justify="right", no_wrap=True)
    for cell in cells:
        table.add_row(
            Text(cell.arm),
            f"{cell.batch_size:,}",
            _times(cell.repeats, cell.search_trials),
            _times(cell.repeats, cell.confirmation_trials),
            "-" if cell.iterations is None else f"{cell.iterations:,}",
            "-" if cell.flops is None else format_amount(cell.flops / operations.size),
            "-" if cell.seconds is None else format_duration(cell.seconds),
        )
    return table
