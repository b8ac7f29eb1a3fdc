"""Write the result of a regime search to files: a page with the figure, images, and the numbers as CSV and JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...reports.figures.images import FORMATS
from ...reports.html.document import page_figure, render_page
from ...reports.json_text import format_json
from ...reports.tables.result_tables import Table
from ..page_files import write_page_files
from .figure import READING, regime_figure
from .text import headline, loss_ratio, notes, score_share, sentences, table_headings, table_rows
from .verdict import Attempt, Regime


def write_regime(regime: Regime, to: Path) -> list[Path]:
    """Write regime.html, regime.csv, regime.json, and the figure if a browser can render it; return the files."""
    page, records, figures = regime_page(regime), attempt_records(regime), {"regime": regime_figure(regime)}
    files = write_page_files(to, "regime", page=page, records=records, figures=figures, formats=FORMATS)
    content = to / "regime.json"
    content.write_text(format_json("regime", regime_as_json(regime)), encoding="utf-8")
    return [*files[:2], content, *files[2:]]


def attempt_records(regime: Regime) -> list[Mapping[str, Any]]:
    """Return one record per attempt, the baseline first; None for missing numbers."""
    return [_record(regime, attempt) for attempt in (regime.baseline, *regime.attempts)]


def _record(regime: Regime, attempt: Attempt) -> Mapping[str, Any]:
    return {
        "study": regime.question.study,
        "batch_size": attempt.batch_size,
        "arm": attempt.arm,
        "test_score": attempt.score.mean if attempt.score else None,
        "test_score_low": attempt.score.low if attempt.score else None,
        "test_score_high": attempt.score.high if attempt.score else None,
        "share_of_baseline": score_share(regime, attempt),
        "validation_loss": attempt.loss if math.isfinite(attempt.loss) else None,
        "loss_ratio": loss_ratio(regime, attempt),
        "keeps_score": attempt.keeps_score,
        "score_is_certain": attempt.score_is_certain,
        "keeps_loss": attempt.keeps_loss,
        "loss_is_certain": attempt.loss_is_certain,
        "seeds": attempt.num_seeds,
        "diverged": attempt.num_diverged,
        "failed": attempt.num_failed,
        **asdict(attempt.cost),
    }


def regime_as_json(regime: Regime) -> Mapping[str, Any]:
    """Return the result as plain JSON values: question, boundaries, sentences, attempts and bill."""
    return {
        "question": asdict(regime.question),
        "headline": headline(regime),
        "sentences": list(sentences(regime)),
        "notes": list(notes(regime)),
        "large": {**asdict(regime.large), "shown": asdict(regime.certain_large)},
        "huge": {**asdict(regime.huge), "shown": asdict(regime.certain_huge)},
        "full": regime.question.num_train,
        "attempts": attempt_records(regime),
        "others": [asdict(line) for line in regime.others],
        "total": asdict(regime.total),
        "taken_over": asdict(regime.reused),
        "ended_early": regime.ended_early,
    }


def regime_page(regime: Regime) -> str:
    """Return a page that opens without a network: the boundaries, the figure, the table and the notes."""
    return render_page(
        f"zerotune regime {regime.question.study}",
        [page_figure("regime", regime_figure(regime), READING)],
        verdict=(headline(regime),),
        sentences=sentences(regime),
        numbers=Table(
            caption="Every attempt: its score, whether it holds, and what it cost.",
            columns=table_headings(regime),
            groups=(tuple(table_rows(regime)),),
            words=frozenset({1, 5}),
        ),
        notes=notes(regime),
    )
