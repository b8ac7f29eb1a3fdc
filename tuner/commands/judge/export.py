"""Write the answer of past trainings: judge.html, judge.csv, judge.json and images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...analysis.past_judgement import ArmFinding, PastAnswer, PastArm, WorkloadFinding
from ...analysis.past_searches import PastSearch
from ...reports.html.document import page_figure, render_page
from ...reports.json_text import format_json
from ...reports.tables.result_tables import Table
from ..page_files import write_page_files
from .figures import BEST_READING, SCORES_READING, best_of_k_figure, scores_figure
from .tables import SEARCH_COLUMNS, WORKLOAD_COLUMNS, search_rows, searches_headline, workload_rows
from .text import headline, notes, published_pairs, sentences

NAME = "judge"


def write_past_answer(answer: PastAnswer, to: Path) -> list[Path]:
    """Write the page, the numbers as CSV and JSON, and the figures as images; return the files."""
    figures = {"scores": scores_figure(answer), "best_of_k": best_of_k_figure(answer)}
    readings = {"scores": SCORES_READING, "best_of_k": BEST_READING}
    page = render_page(
        f"zerotune judge {answer.collection}",
        [page_figure(name, figure, readings[name]) for name, figure in figures.items()],
        verdict=(headline(answer),),
        sentences=sentences(answer),
        numbers=Table(
            caption=f"Every arm that was not tuned against the best of {answer.num_trials} of {answer.tuned_name}.",
            columns=("arm", *(column.replace("\n", " ") for column in WORKLOAD_COLUMNS)),
            groups=tuple(tuple((arm.arm, *row) for row in workload_rows(arm)) for arm in answer.arms),
            words=frozenset({0, 1, 6}),
        ),
        notes=notes(answer),
    )
    named = {f"{NAME}_{name}": figure for name, figure in figures.items()}
    files = write_page_files(to, NAME, page=page, records=past_records(answer), figures=named)
    return [*files[:2], _write_json(to, past_answer_as_json(answer)), *files[2:]]


def write_searches(collection: str, searches: Sequence[PastSearch], to: Path) -> list[Path]:
    """Write a page with the table of searches, and their numbers as CSV and JSON; return the files."""
    page = render_page(
        f"zerotune judge {collection}",
        [],
        verdict=(searches_headline(collection, searches),),
        numbers=Table(
            caption="Every search: its best score, and the expected best of k of its trials.",
            columns=tuple(column.replace("\n", " ") for column in SEARCH_COLUMNS),
            groups=(tuple(search_rows(searches)),),
            words=frozenset({0, 1, 5}),
        ),
    )
    records = [{**asdict(one), "expected_best": None} for one in searches]
    for record, one in zip(records, searches, strict=True):
        del record["expected_best"]
        record |= {f"expected_best_of_{k}": score for k, score in one.expected_best.items()}
    keys = {key: None for record in records for key in record}
    files = write_page_files(to, NAME, page=page, records=[{**keys, **record} for record in records], figures={})
    return [*files, _write_json(to, searches_as_json(collection, searches))]


def _write_json(to: Path, content: Mapping[str, Any]) -> Path:
    file = to / f"{NAME}.json"
    file.write_text(format_json(NAME, content), encoding="utf-8")
    return file


def past_records(answer: PastAnswer) -> list[dict[str, Any]]:
    """Return one record per arm and workload; None for missing numbers."""
    return [_record(answer, arm, one) for arm in answer.arms for one in arm.workloads]


def _record(answer: PastAnswer, arm: ArmFinding, one: WorkloadFinding) -> dict[str, Any]:
    difference = one.verdict.difference
    return {
        "collection": answer.collection,
        "workload": one.workload,
        "family": answer.families[one.workload],
        "metric": one.metric,
        "arm": arm.arm,
        "reference": answer.reference,
        "verdict": one.verdict.kind,
        "finding": one.verdict.finding,
        "difference": difference.mean if difference else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "target": one.target,
        "target_is_stated": one.is_stated,
        **_side("", one.zero),
        **_side("reference_", one.tuned),
        "level": one.level,
        "trials_to_match": one.trials_to_match,
        **{f"best_of_{k}": best for k, best in enumerate(one.best_of_k, start=1)},
        "saved": one.saved if one.verdict.spares_tuning else None,
    }


def _side(prefix: str, arm: PastArm) -> dict[str, Any]:
    seconds = arm.seconds_to_target
    return {
        f"{prefix}studies": len(arm.studies),
        f"{prefix}lost": len(arm.seeds.lost),
        f"{prefix}reached": arm.reached,
        f"{prefix}test_scores": " ".join("-" if score is None else f"{score:.6g}" for score in arm.test_scores),
        f"{prefix}luck": arm.luck,
        f"{prefix}seconds_to_target": seconds if math.isfinite(seconds) else None,
        f"{prefix}device_seconds": arm.bill,
        f"{prefix}device_seconds_per_success": arm.seconds_per_success,
    }


def past_answer_as_json(answer: PastAnswer) -> dict[str, Any]:
    """Return the answer as plain JSON values."""
    return {
        "collection": answer.collection,
        "reference": answer.reference,
        "margin": answer.margin,
        "trials": answer.num_trials,
        "studies": answer.num_studies,
        "headline": headline(answer),
        "sentences": sentences(answer),
        "notes": notes(answer),
        "arms": [
            {
                "arm": arm.arm,
                "pooled": arm.pooled,
                "lost": arm.num_lost,
                "trainings": arm.num_trainings,
                "saved": arm.saved,
                "benchmark_score": arm.benchmark_score,
            }
            for arm in answer.arms
        ],
        "workloads": past_records(answer),
        "published": [
            {"arm": arm, "ruleset": ruleset, "score": ours, "published": theirs}
            for arm, ruleset, ours, theirs in published_pairs(answer)
        ],
    }


def searches_as_json(collection: str, searches: Sequence[PastSearch]) -> dict[str, Any]:
    """Return what searches found as plain JSON values."""
    return {
        "collection": collection,
        "headline": searches_headline(collection, searches),
        "searches": [
            {**asdict(one), "expected_best": {str(k): score for k, score in one.expected_best.items()}}
            for one in searches
        ],
    }
