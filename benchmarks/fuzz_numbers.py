"""Numbers that are none, in journals and out of applications, for `benchmarks.fuzz`.

A journal's results get scores, losses, seconds and counts that are NaN, infinite, huge, text, booleans or missing, with
correct checksums, as other versions or programs may have written them. An application's loss, score or metric gives
such values, or raises, at some call of a real training. No such number may be chosen, shown, or end in a traceback.
"""

import contextlib
import io
import json
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from rich.console import Console
from torch import Tensor, nn

from benchmarks.fuzz_cases import SESSION, WholeJournal, finish
from benchmarks.many_trials import NoStore
from zerotune.trainers.applications import APPLICATIONS, Application
from zerotune.trainers.applications.classification import cross_entropy, num_correct
from zerotune.trainers.data import Dataset, DataSource, divide
from zerotune.trainers.spec import MAX_SCORE
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.errors import BadInput
from zerotune.tuner.execution.serial import run_serial
from zerotune.tuner.execution.trial_runner import Execution
from zerotune.tuner.reports.tables.markup import report_json, report_latex, report_markdown
from zerotune.tuner.reports.tables.terminal import print_answer
from zerotune.tuner.run.journal import Journal, JournalContent, format_line, read_journal
from zerotune.tuner.run.options import RunOptions, check_workload
from zerotune.tuner.run.progress_display import ProgressDisplay
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.run.reuse import ResultReuse, ReusableResults
from zerotune.tuner.run.run import answer_from_journal, open_session
from zerotune.tuner.store import record
from zerotune.tuner.study import Study, study_from_text
from zerotune.tuner.trial import TrialResult, canonical_json

NONE_OF_THEM: Final[Sequence[Any]] = (
    *(math.nan, math.inf, -math.inf, 1e308, -1e308, 1.7e308, 5e-324, -0.0, 10**400, -1.0, 1e9),
    *("0.9", "nan", "", True, False, None, [], {}, [0.9], {"a": 1}),
)
MISSING: Final = object()
NOT_A_NUMBER: Final = re.compile(r"(?<![a-z])(nan|-?inf|infinity)(?![a-z])", re.IGNORECASE)
FIELDS: Final[Mapping[str, Sequence[Sequence[str]]]] = {
    "scores": (("validation_score",), ("test_score",), ("epochs", "", "validation_score")),
    "losses": (("epochs", "", "train_loss"), ("epochs", "", "validation_loss"), ("epochs", "", "lr")),
    "other scores": (("test_other_scores",), ("test_other_scores", "top-5")),
    "costs": (
        *(("cost", name) for name in ("device_seconds", "flops", "samples", "trials", "iterations", "words")),
        *(("epochs", "", name) for name in ("device_seconds", "flops", "samples", "iterations", "words", "epoch")),
        *(("cost", "searcher_seconds"), ("finished_at",), ("num_workers",), ("micro_batch_size",)),
    ),
}


def _set(draw: random.Random, content: Any, path: Sequence[str], value: Any) -> None:
    """Set a value in a record; an empty name in the path stands for one of a list."""
    *above, last = path
    for name in above:
        if name:
            content = content[name]
        elif content:
            content = draw.choice(content)
        else:
            return
    if value is MISSING:
        content.pop(last, None)
    else:
        content[last] = value


def change_numbers(draw: random.Random, lines: Sequence[str], paths: Sequence[Sequence[str]]) -> list[str]:
    """Return a journal's lines with such numbers in one, some or all of its results."""
    places = [number for number, line in enumerate(lines) if '"kind":"result"' in line]
    chosen, value, path = draw.sample(places, draw.choice((1, 2, len(places)))), None, paths[0]
    changed, is_alike = list(lines), draw.random() < 0.5
    for number in chosen:
        if number == chosen[0] or not is_alike:
            value, path = draw.choice((*NONE_OF_THEM, MISSING)), draw.choice(paths)
        content = json.loads(lines[number])
        content.pop("sum")
        _set(draw, content["result"], path, value)
        changed[number] = format_line(canonical_json(content))
    return changed


def resume_with(fields: str, draw: random.Random, folder: Path, whole: WholeJournal) -> str:
    """Resume a study from a journal with such numbers, before its choices are confirmed or after."""
    lines = whole.content.decode().splitlines()
    if is_before := draw.random() < 0.7:
        confirmations = [i for i, line in enumerate(lines) if '"role":"confirmation"' in line]
        lines = lines[: confirmations[0]]
    lines = change_numbers(draw, lines, FIELDS[fields])
    study, options = whole.study, RunOptions(store=folder)
    journal_file = options.folder(study) / "journal.jsonl"
    journal_file.parent.mkdir()
    journal_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with contextlib.closing(Journal(options.folder(study))) as journal:
        open_session(study, journal, SESSION)
        reusable = ReusableResults(folder, "fuzz", SESSION, "made-up") if draw.random() < 0.5 else None
        finish(study, journal, reusable, Console(file=io.StringIO()))
    check_answer(study, options, read_journal(journal_file), were_chosen_now=is_before)
    return "a result"


def check_answer(study: Study, options: RunOptions, content: JournalContent, *, were_chosen_now: bool) -> None:
    """Check that an answer shows and chooses no number that is none."""
    results = list(content.results.values())
    for result in results:
        for _ in (
            record.record_tags(result),
            record.tags(result),
            record.points(result),
            record.run_name(result.trial),
        ):
            pass
    answer, text = answer_from_journal(study, options, content), io.StringIO()
    print_answer(answer.comparison, Console(file=text, width=180))
    for shown in (text.getvalue(), report_json(answer), report_markdown(answer), report_latex(answer)):
        found = NOT_A_NUMBER.search(shown)
        assert found is None, f"shown: {shown[max(0, found.start() - 60) : found.end() + 60]!r}"
    json.loads(report_json(answer), parse_constant=lambda name: 1 / 0)
    if were_chosen_now:
        for cell in {(result.trial.arm, result.trial.batch_size) for result in results}:
            _check_choice([result for result in results if (result.trial.arm, result.trial.batch_size) == cell])


def _check_choice(results: Sequence[TrialResult]) -> None:
    """Check that a searching arm confirmed a trial that no other has a better score than, among numbers."""
    searched = [result for result in results if result.trial.role in ("search", "baseline")]
    numbers = [
        (result.validation_score, result.trial.params["lr"])
        for result in searched
        if result.status in ("finished", "diverged")
        and isinstance(result.validation_score, float)
        and abs(result.validation_score) <= MAX_SCORE
    ]
    confirmed = {result.trial.params.get("lr") for result in results if result.trial.role == "confirmation"}
    if searched and confirmed:
        best = {lr for score, lr in numbers if score == max(numbers)[0]}
        assert confirmed <= best, f"confirmed {confirmed} of {numbers}"


# -- applications ------------------------------------------------------------------------------------------------------

STUDY: Final = """
name: fuzz
application: fuzz
epochs: 2
batch_sizes: [30]
seeds: [1, 2]
reference: tuned
baseline: {batch_size: 15, optimizer: momentum, lr: 0.05}
arms:
- {name: tuned, method: grid, space: {lr: {choices: [0.05, 0.1, 0.2]}}}
- {name: sqrt, method: sqrt}
"""
RAISED: Final[Sequence[type[Exception]]] = (OverflowError, ZeroDivisionError, ValueError, FloatingPointError, KeyError)
PARTS: Final = ("loss", "score_sum", "other", "finish_score", "measure", "data", "gradient")


def _faults(draw: random.Random) -> Iterator[bool]:
    """Yield whether a call is faulty: one of them, some, or all from some call on."""
    first = int(2 ** draw.uniform(0, 7))
    kind = draw.choice(("once", "from then on", "often"))
    number = 0
    while True:
        number += 1
        yield number >= first and {"once": number == first, "from then on": True, "often": number % 3 == 0}[kind]


def faulty_application(draw: random.Random, part: str) -> Application:
    """Return an application one part of which gives numbers that are none, or raises, at some calls."""
    inputs = torch.randn(100, 4, generator=torch.Generator().manual_seed(draw.randrange(1000)))
    targets = (inputs.sum(dim=1) > 0).long()
    value, faults = draw.choice(NONE_OF_THEM), _faults(draw)
    raised = draw.choice((None, None, draw.choice(RAISED)))
    as_tensor = draw.random() < 0.7

    def faulty(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            right = function(*given)
            if not next(faults):
                return right
            if raised is not None:
                raise raised("math range error")
            if isinstance(right, torch.Tensor) and as_tensor and isinstance(value, float):
                return right * 0 + value
            return value

        return call

    def load(folder: str | None) -> Dataset:
        if part == "data" and isinstance(value, float):
            inputs[draw.randrange(100), draw.randrange(4)] = value
        train, validation, test = divide((inputs, targets), (0.6, 0.2, 0.2))
        return Dataset(train=train, validation=validation, test=test)

    class Model(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            outputs = super().forward(inputs)
            is_faulty = part == "gradient" and self.training and next(faults)
            return outputs + 0 * self.weight.abs().sum().sub(1e9).sqrt() if is_faulty else outputs

    def measure(model: nn.Module, split: Any) -> float:
        return 0.5

    parts: dict[str, Any] = {"loss": cross_entropy, "score_sum": num_correct, "finish_score": float}
    if part == "measure":
        parts = {"loss": cross_entropy, "measure": faulty(measure)}
    elif part == "other":
        parts["other_scores"] = {"extra": faulty(num_correct)}
    elif part in parts:
        parts[part] = faulty(parts[part])
    return Application(
        build_model=Model,
        data_sources={"own": DataSource(load=load)},
        metric="points",
        higher_is_better=draw.random() < 0.5,
        chance_score=0.5,
        **parts,
    )


def train_with(part: str, draw: random.Random, folder: Path) -> str:
    """Train a study of a faulty application with the serial driver."""
    APPLICATIONS["fuzz"] = application = faulty_application(draw, part)
    try:
        study, options = study_from_text(STUDY, "fuzz.yaml"), RunOptions(store=folder)
        if draw.random() < 0.5:
            try:
                check_workload(study, None)
            except BadInput:
                return "refused before the first trial"
        with contextlib.closing(Journal(options.folder(study))) as journal:
            open_session(study, journal, SESSION)
            campaign = Campaign(study, journal.content.results)
            lines = Console(file=io.StringIO())
            display = ProgressDisplay(lines, metric="points", higher_is_better=application.higher_is_better)
            for cell in campaign.cells:
                display.plan(cell.arm, cell.batch_size, cell.num_planned)
            run_serial(RecordingAgenda(campaign, journal, NoStore(), display, ResultReuse(None)), Execution())
            content, trained = read_journal(journal.path), journal.content.results
        kept, told = (canonical_json([asdict(each) for each in some.values()]) for some in (content.results, trained))
        assert kept == told, "the journal gives back other results"
        for result in trained.values():
            scores = (result.validation_score, result.test_score, *result.test_other_scores.values())
            assert all(score is None or math.isfinite(score) for score in scores), f"recorded: {scores}"
            assert result.error is None or "Traceback" not in result.error, result.error
        if all(result.status == "failed" for result in trained.values()):
            return "all failed"
        check_answer(study, options, content, were_chosen_now=False)
        statuses = {result.status for result in trained.values()}
        return "diverged" if "diverged" in statuses else "some failed" if "failed" in statuses else "a result"
    finally:
        del APPLICATIONS["fuzz"]
