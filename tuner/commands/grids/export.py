"""Write the answer of grids of trainings to files: a page with figures, CSV tables and JSON.

This module must not know how the answer was found.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...analysis.learning_rate_answer import GridsAnswer
from ...analysis.learning_rate_rules import Losses
from ...reports.html.document import page_figure, render_page
from ...reports.tables.csv_files import write_csv
from ..page_files import write_page_files
from .figures import BESTS_READING, LOSSES_READING, bests_figure, losses_figure
from .layout import Layout
from .tables import page_table
from .text import headline, notes, sentences

NAME = "grids"


def write_grids(answer: GridsAnswer, layout: Layout, to: Path) -> list[Path]:
    """Write grids.html, grids.csv, grids_by_k.csv, grids_best.csv and two images into a folder; return the files."""
    figures = {f"{NAME}_losses": losses_figure(answer, layout), f"{NAME}_best_lr": bests_figure(answer, layout)}
    readings = dict(zip(figures, (LOSSES_READING, BESTS_READING), strict=True))
    page = render_page(
        f"zerotune grids {layout.name}",
        [page_figure(name, figure, readings[name]) for name, figure in figures.items()],
        verdict=(headline(answer, layout),),
        sentences=sentences(answer, layout),
        numbers=page_table(answer, layout),
        notes=notes(answer, layout),
    )
    files = write_page_files(to, NAME, page=page, records=rule_records(answer), figures=figures)
    bands = write_csv(to / f"{NAME}_by_k.csv", band_records(answer))
    bests = write_csv(to / f"{NAME}_best.csv", best_records(answer))
    return [*files[:2], bands, bests, *files[2:]]


def rule_records(answer: GridsAnswer) -> list[Mapping[str, Any]]:
    """Return a record a rule and batch size, from B0."""
    return [
        {
            "rule": name,
            "baseline_batch_size": answer.question.baseline_batch_size,
            "batch_size": size,
            **_losses(verdict.losses),
            "more_tokens": verdict.tokens,
            "verdict": verdict.kind,
        }
        for (name, size), verdict in answer.verdicts.items()
    ]


def band_records(answer: GridsAnswer) -> list[Mapping[str, Any]]:
    """Return a record a rule and range of k, over all pairs of batch sizes."""
    return [{"rule": name, "k": band, **_losses(losses)} for (name, band), losses in answer.bands.items()]


def best_records(answer: GridsAnswer) -> list[Mapping[str, Any]]:
    """Return a record a grid and batch size: its best learning rate and loss, or why they cannot be told."""
    return [
        {
            "grid": grid.name,
            "batch_size": size,
            "best_lr": curve.best and curve.best.lr,
            "best_loss": curve.best and curve.best.loss,
            "unknown_since": curve.flag,
        }
        for grid in answer.grids
        for size, curve in grid.curves.items()
    ]


def _losses(losses: Losses) -> Mapping[str, Any]:
    return {
        "cases": len(losses),
        "within_tolerance": losses.within,
        "off_grid": losses.left,
        "median": losses.median,
        "least": losses.excesses[0],
        "most": losses.excesses[-1],
    }


def answer_as_json(answer: GridsAnswer, layout: Layout) -> Mapping[str, Any]:
    """Return the answer as plain values: question, sentences, constants, losses, exponents and costs."""
    return {
        "layout": layout.name,
        "question": answer.question,
        "unit": layout.unit,
        "headline": headline(answer, layout),
        "sentences": sentences(answer, layout),
        "notes": notes(answer, layout),
        "rules": [
            {
                "rule": rule.form.name,
                "fitted": rule.form.constant,
                "value": rule.constant,
                "left_out": [{"size": size, "value": value} for size, value in rule.held_out.items()],
                "ends_at": answer.end(rule.form.name),
            }
            for rule in answer.rules
        ],
        "losses": rule_records(answer),
        "by_k": band_records(answer),
        "by_tokens": [
            {"rule": name, "fewest": low, "most": high, **_losses(losses)}
            for (name, (low, high)), losses in answer.by_tokens.items()
        ],
        "by_parameters": [
            {"rule": name, "parameters": size, **_losses(losses)} for (name, size), losses in answer.by_size.items()
        ],
        "exponents": answer.exponents,
        "mean_exponent": answer.mean_exponent,
        "largest_batch_sizes": answer.largest,
        "largest_power": answer.largest_power,
        "tuning": [
            {
                "grid": cost.grid.name,
                "trainings": cost.trainings,
                "device_hours": cost.device_hours,
                "saves": cost.excess,
                "more_tokens": cost.more_tokens,
            }
            for cost in answer.costs
        ],
    }
