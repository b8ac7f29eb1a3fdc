"""Write a comparison to files: figures to look at, tables to compute with.

Every HTML file is complete and opens without a network. Images need Chrome or Chromium on the machine; nothing else
does. File names come from `FIGURES` alone, never from a study.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from ..analysis.bill import worth
from ..analysis.comparison import Comparison
from ..analysis.comparison_row import ComparisonRow
from ..analysis.tuning_budget import savings_by_budget
from ..analysis.tuning_effort import TuningEffort
from ..cost import CURRENCIES, Cost
from ..trial import TrialResult
from .answer import Answer
from .figures.images import write_images
from .figures.pareto import arm_front, trial_front
from .figures.registry import applicable_figures, draw_figure
from .figures.time_to_target import time_to_target_records
from .html.page import render_figure_page, render_report
from .tables.csv_files import write_csv
from .tables.markup import report_json
from .tables.worth import worth_record
from .text.costs import blank_unknown
from .text.seeds import format_seeds

Record = Mapping[str, Any]

PAGES = ("pareto_arms", "pareto_trials")
"""Figures that get a page too: each page holds all of plotly, 5 MB, and report.html has every figure."""


def export(subject: Answer, to: Path, *, pictures: bool = True) -> list[Path]:
    """Write the report of a study, its figures and its tables into a folder, replacing files of an earlier export.

    The folder is made if absent. `pictures` are PNG and SVG files, for each of which a browser takes about a second; if
    they cannot be drawn on this machine, stderr says so.

    Returns:
        The files: report.html with all figures that apply, and report.json; an HTML file of each figure in `PAGES`, a
        PNG and an SVG a figure; comparison.csv, trials.csv, fronts.csv, budgets.csv (empty where nothing is saved),
        ledger.csv and time_to_target.csv (empty where the baseline has no score).

    Raises:
        BadInput: there is no such cost axis.
    """
    comparison, results, cost = subject.comparison, subject.results, subject.cost
    figures = draw_figures(subject)
    to.mkdir(parents=True, exist_ok=True)
    files = [
        _write(to / "report.html", render_report(subject, figures)),
        _write(to / "report.json", report_json(subject)),
    ]
    files += [_write(to / f"{name}.html", render_figure_page(subject, name, figures[name])) for name in PAGES]
    if pictures:
        drawn, notice = write_images(figures, to)
        if notice:
            print(notice, file=sys.stderr)
        files += drawn
    tables = {
        "comparison": comparison_records(comparison),
        "trials": trial_records(results),
        "fronts": front_records(comparison, results, cost),
        "budgets": budget_records(comparison, results),
        "ledger": ledger_records(comparison),
        "time_to_target": time_to_target_records(comparison, results),
    }
    for name, records in tables.items():
        files.append(write_csv(to / f"{name}.csv", blank_unknown(records, comparison.unknown)))
    return files


def draw_figures(subject: Answer) -> dict[str, go.Figure]:
    """Draw every figure that applies to the study, by its name in `FIGURES`.

    Raises:
        BadInput: there is no such cost axis.
    """
    names = applicable_figures(subject.comparison, subject.results)
    return {name: draw_figure(name, subject.comparison, subject.results, subject.cost) for name in names}


def comparison_records(comparison: Comparison) -> list[Record]:
    """Return one record for each row of the comparison, the baseline's first, with costs in every currency."""
    rows = [*([comparison.baseline] if comparison.baseline else []), *comparison.rows]
    records: list[Record] = []
    for row in rows:
        verdict = row.verdict
        difference = verdict.difference if verdict else None
        record: dict[str, Any] = {
            "study": comparison.facts.name,
            "arm": row.arm,
            "batch_size": row.batch_size,
            "zero_tuning": row.zero_tuning,
            "guarded": row.guarded,
            "test_score": row.score.mean if row.score else None,
            "test_score_low": row.score.low if row.score else None,
            "test_score_high": row.score.high if row.score else None,
            "validation_score": row.validation_score,
            "scores": format_seeds(row.seeds, comparison.facts.metric),
            "median": row.seeds.median,
            "seeds": row.num_seeds,
            "lost": len(row.seeds.lost),
            "diverged": row.num_diverged,
            "failed": row.num_failed,
            "verdict": verdict.kind if verdict else None,
            "finding": verdict.finding if verdict else None,
            "improvement": difference.mean if difference else None,
            "improvement_low": difference.low if difference else None,
            "improvement_high": difference.high if difference else None,
            "tolerance": verdict.tolerance if verdict else None,
            "holds": row.holds,
            "search_trials": row.search.trials,
            "searches": len(row.searches),
            **_search_record(comparison, row),
            **_effort_record(row.effort),
            "params": json.dumps(dict(row.params)),
        }
        for currency in CURRENCIES:
            saving = row.savings.get(currency)
            usable = row.cost_per_usable_model
            record[f"cost_to_a_model.{currency}"] = row.bill[currency] if row.bill else None
            record[f"cost_per_usable_model.{currency}"] = usable[currency] if usable else None
            record[f"baseline_bill.{currency}"] = row.baseline_bill[currency]
            record[f"saved.{currency}"] = saving.share if saving else None
            record[f"saved_with_baseline.{currency}"] = saving.share_with_baseline if saving else None
            record[f"break_even.{currency}"] = saving.break_even if saving else None
        records.append({**record, **worth_record(comparison, row)})
    return records


def _search_record(comparison: Comparison, row: ComparisonRow) -> Record:
    """Return how many trials of the arm's search were useless or not spent; empty if it does not search."""
    place = (row.arm, row.batch_size)
    search = next((one for one in comparison.searches if (one.arm, one.batch_size) == place), None)
    return {
        "useless_trials": search.num_useless if search else None,
        "whole_trials": search.num_whole if search else None,
        "trials_not_spent": search.num_left if search else None,
    }


def _effort_record(effort: TuningEffort | None) -> Record:
    """Return what the reference's search takes to be as good; empty if there is no reference."""
    found = None if effort is None else effort.success
    return {
        "trials_to_match": effort.trials if effort else None,
        "trials_to_match_luck_included": effort.lucky_trials if effort else None,
        "seed_noise": effort.noise if effort else None,
        "searches_averaged": effort.num_searches if effort and effort.learned else None,
        "trials_as_good": found.num_successes if found else None,
        "trials_searched": found.num_trials if found else None,
        "success_rate": found.rate if found else None,
        "success_rate_low": found.low if found else None,
        "success_rate_high": found.high if found else None,
        "trials_for_95_percent": found.trials_for_confidence if found else None,
        "running_time.device_seconds": effort.running_time.get("device_seconds") if effort else None,
        "running_time.flops": effort.running_time.get("flops") if effort else None,
    }


def trial_records(results: Iterable[TrialResult]) -> list[Record]:
    """Return one record for each trial, in the order of batch size, arm, role and index."""
    ordered = sorted(results, key=_place)
    return [
        {
            "study": result.trial.study,
            "trial": result.trial.id,
            "arm": result.trial.arm,
            "batch_size": result.trial.batch_size,
            "role": result.trial.role,
            "repeat": result.trial.repeat,
            "index": result.trial.index,
            "seed": result.trial.config.seed,
            "params": json.dumps(dict(result.trial.params)),
            "status": result.status,
            "validation_score": result.validation_score,
            "test_score": result.test_score,
            **_cost_record(result.cost),
            "error": result.error,
            "divergence": result.divergence,
            "host": result.host,
            "device": result.device,
            "finished_at": result.finished_at,
            "reused_from": result.reused_from,
        }
        for result in ordered
    ]


def _place(result: TrialResult) -> tuple[int, str, str, int, int]:
    trial = result.trial
    return trial.batch_size, trial.arm, trial.role, trial.repeat, trial.index


def front_records(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> list[Record]:
    """Return one record for each point on a front: over the arms, the trials, and each search for score and cost."""
    records: list[Record] = []
    for batch_size in comparison.facts.batch_sizes:
        fronts = [
            ("arms", cost, arm_front(comparison, batch_size, cost)),
            ("trials", cost, trial_front(comparison, results, batch_size, cost)),
            *(
                (f"search of {one.arm}", one.currency, one.front)
                for one in comparison.search_fronts
                if one.batch_size == batch_size
            ),
        ]
        for over, currency, front in fronts:
            records += [
                {
                    "over": over,
                    "batch_size": batch_size,
                    "name": point.name,
                    "currency": currency,
                    "cost": point.cost,
                    "score": point.score,
                }
                for point in front
            ]
    return records


def budget_records(comparison: Comparison, results: Sequence[TrialResult]) -> list[Record]:
    """Return one record for each arm that saves something and each size of the reference's search, 1 to N trials."""
    prices = comparison.facts.prices
    return [
        {
            "arm": step.arm,
            "batch_size": step.batch_size,
            "trials": step.trials,
            "expected_best_score": step.best_score,
            "expected_best_score_luck_included": step.lucky_best_score,
            **{f"cost.{name}": amount for name, amount in step.cost.items()},
            "cost.money": worth(prices, step.cost["device_seconds"]).money,
            "currency": prices.currency or None,
            **{f"saved.{name}": step.saved.get(name) for name in CURRENCIES},
            **{f"saved_with_baseline.{name}": step.saved_with_baseline.get(name) for name in CURRENCIES},
        }
        for step in savings_by_budget(comparison, results)
    ]


def ledger_records(comparison: Comparison) -> list[Record]:
    """Return one record for each line of the ledger, and the total as the last."""
    lines = comparison.ledger.lines
    records: list[Record] = [
        {
            "arm": line.arm,
            "batch_size": line.batch_size,
            "role": line.role,
            **_cost_record(line.cost),
            "wall_seconds": line.wall_seconds,
            **_reused_record(line.reused),
            "diverged": line.num_diverged,
            "failed": line.num_failed,
        }
        for line in lines
    ]
    total = {
        "arm": "TOTAL",
        "batch_size": None,
        "role": None,
        **_cost_record(comparison.ledger.total),
        "wall_seconds": comparison.ledger.wall_seconds,
        **_reused_record(comparison.ledger.reused),
        "diverged": sum(line.num_diverged for line in lines),
        "failed": sum(line.num_failed for line in lines),
    }
    return [*records, total]


def _reused_record(cost: Cost) -> Record:
    """Return what earlier trainings had spent on reused results: no part of the line's own cost."""
    return {f"taken_over.{name}": getattr(cost, name) for name in ("trials", "samples", "flops", "device_seconds")}


def _cost_record(cost: Cost) -> Record:
    return {**{f.name: getattr(cost, f.name) for f in fields(cost)}, "modelled_joules": cost.modelled_joules}


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
