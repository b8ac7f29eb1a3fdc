"""The numbered files that `benchmarks.fuzz` reads, and what a command does with them.

study      loaded as `zerotune run` does, up to the first trial
journal    resumed as `zerotune run` does: read, replayed and finished with synthetic results, searched for results of
           other studies, converted into the store's records, compared and printed
"""

import contextlib
import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from benchmarks.many_trials import NoStore, made_up
from benchmarks.mutations import JOURNAL_MUTATIONS, STUDY_MUTATIONS, Mutation, bombs
from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.provenance import TRAINED_WITH
from zerotune.tuner.analysis.study_facts import facts_of
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.reports.tables.terminal import print_answer
from zerotune.tuner.run.dry_run import dry_run
from zerotune.tuner.run.journal import Journal
from zerotune.tuner.run.progress_display import ProgressDisplay
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.run.reuse import ResultReuse, ReusableResults
from zerotune.tuner.run.session import open_session, warn_about_damage
from zerotune.tuner.sanitize import INVISIBLE, sanitize_console
from zerotune.tuner.store import record
from zerotune.tuner.study import Study, load_study, shipped_studies, study_from_text
from zerotune.tuner.trial import Trial, TrialResult, canonical_json

SESSION = {**dict.fromkeys(TRAINED_WITH, "fuzz"), "python": "3.11"}
STUDY = """
name: fuzz
application: lenet_mnist
data: {{source: mnist5k}}
epochs: 2
batch_sizes: [128]
seeds: [1, 2]
reference: tuned
baseline:
  batch_size: 32
  optimizer: momentum
  tune: {{method: random, trials: 2, space: {{lr: {{low: 0.01, high: 1}}}}}}
arms:
- {{name: tuned, {search}}}
- {{name: legw, method: legw}}
"""
Kind = Literal["files", "training", "owners", "numbers"]
SEARCHES = (
    "method: random, trials: 4, repeats: 2, space: {lr: {low: 0.001, high: 1.0, scale: log}}",
    "method: optuna, trials: 4, pruner: median, space: {lr: {low: 0.1, high: 1}, decay: {choices: [constant, poly]}}",
    "method: grid, space: {lr: {low: 0.001, high: 1.0, scale: log, num: 3}, warmup_epochs: {low: 0, high: 1, num: 2}}",
)
"""Searches of the studies whose journals are mutated: every kind of search method."""
MEANT = ("records", "odd line")
"""Mutations that write whole lines. All others are damage, and no result that they changed may be accepted."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file.

    Attributes:
        kind: what reads it.
        source: what it was made from.
        mutation: how it was changed.
        content: its bytes; of a kind without a file, the seed of its changes.
    """

    kind: Literal["study", "journal", "training", "owners", "numbers"]
    source: str
    mutation: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class WholeJournal:
    """A journal, its study, and its results by trial id."""

    study: Study
    content: bytes
    results: Mapping[str, TrialResult]


@dataclass(frozen=True, kw_only=True)
class Wholes:
    """Originals to mutate: studies by name, journals, and a folder for an empty MLflow database; what is changed."""

    studies: dict[str, bytes]
    journals: list[WholeJournal]
    empty_store: Path
    kind: Kind = "files"
    mutations: Sequence[str] = ()

    def case(self, seed: int, number: int) -> Case:
        """Return the file of that number, the same one at every call."""
        draw = random.Random(f"{seed}/{number}")
        if self.kind != "files":
            mutation = self.mutations[number % len(self.mutations)]
            return Case(kind=self.kind, source="", mutation=mutation, content=f"{seed}/{number}".encode())
        if number % 4 == 3:
            place = draw.randrange(len(self.journals))
            name, changed = _mutated(draw, JOURNAL_MUTATIONS, self.journals[place].content)
            return Case(kind="journal", source=str(place), mutation=name, content=changed)
        by_hand, studies_before = list(bombs().items()), number - (number + 1) // 4
        if studies_before < len(by_hand):
            name, content = by_hand[studies_before]
            return Case(kind="study", source="", mutation=name, content=content)
        source = draw.choice(list(self.studies))
        name, changed = _mutated(draw, STUDY_MUTATIONS, self.studies[source])
        return Case(kind="study", source=source, mutation=name, content=changed)


def _mutated(draw: random.Random, mutations: Mapping[str, Mutation], whole: bytes) -> tuple[str, bytes]:
    name = draw.choice(list(mutations))
    return name, mutations[name](draw, whole)


def wholes(folder: Path) -> Wholes:
    """Read the shipped studies, and write journals into a folder."""
    studies = {name: path.read_bytes() for name, path in shipped_studies().items()}
    journals = [_journal(search, folder / str(i)) for i, search in enumerate(SEARCHES)]
    return Wholes(studies=studies, journals=journals, empty_store=folder / "empty")


def _journal(search: str, folder: Path) -> WholeJournal:
    study = study_from_text(STUDY.format(search=search), "fuzz.yaml")
    with contextlib.closing(Journal(folder)) as journal:
        open_session(study, journal, SESSION)
        finish(study, journal, None, Console(file=io.StringIO()))
        journal.resume({**SESSION, "python": "3.12"})
        return WholeJournal(study=study, content=journal.path.read_bytes(), results=journal.content.results)


def finish(
    study: Study,
    journal: Journal,
    reusable: ReusableResults | None,
    lines: Console,
    *,
    most: int | None = None,
    make: Callable[[Trial, int], TrialResult] = made_up,
) -> None:
    """Replay a journal and answer all other trials, or at most so many, at once, as a driver would over hours."""
    campaign = Campaign(study, journal.content.results)
    display = ProgressDisplay(lines, metric="accuracy", higher_is_better=True)
    for cell in campaign.cells:
        display.plan(cell.arm, cell.batch_size, cell.num_planned)
    agenda = RecordingAgenda(campaign, journal, NoStore(), display, ResultReuse(reusable))
    number = 0
    while number != most and isinstance(trial := agenda.ask(), Trial):
        result = make(trial, number)
        agenda.report(trial, result.epochs)
        agenda.tell(result)
        number += 1
    assert number == most or trial == "done"


def load(case: Case, folder: Path) -> str:
    """Load a study and ask for its first trial."""
    file = folder / "study.yaml"
    file.write_bytes(case.content)
    study = load_study(str(file))
    canonical_json(study.resolved())
    Campaign(study).ask()
    return "a result"


def resume(case: Case, folder: Path, given: Wholes) -> str:
    """Resume a study with a journal, and print its answer."""
    whole = given.journals[int(case.source)]
    study, text = whole.study, io.StringIO()
    place, lines = folder / study.name, sanitize_console(Console(file=text, width=110, color_system=None))
    place.mkdir()
    (place / "journal.jsonl").write_bytes(case.content)
    with contextlib.closing(Journal(place)) as journal:
        if case.mutation not in MEANT:
            for name, result in journal.content.results.items():
                assert result == whole.results.get(name), "a damaged result was taken for what it was"
        open_session(study, journal, SESSION)
        warn_about_damage(journal, lines)
        other = ReusableResults(folder, "another", SESSION, "made-up")
        reusable = ReusableResults(folder, study.name, SESSION, "made-up")
        dry_run(Campaign(study, journal.content.results), journal.content, other)
        finish(study, journal, reusable, lines)
        content = journal.content
    for result in content.results.values():
        record.record_tags(result)
        record.tags(result)
        record.params(result.trial)
        record.run_name(result.trial)
        record.points(result)
    canonical_json(content.sessions)
    application = APPLICATIONS[study.application]
    facts = facts_of(study, metric=application.metric, higher_is_better=application.higher_is_better)
    print_answer(compare(facts, list(content.results.values())), lines)
    assert INVISIBLE.search(text.getvalue()) is None, "something that a terminal obeys was printed"
    return "lines skipped" if content.unreadable_lines else "a result"
