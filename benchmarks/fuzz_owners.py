"""Journals and MLflow runs of one study that met those of others, for `benchmarks.fuzz`.

Journals are joined, copied, moved, cut, and share one store; runs are deleted in MLflow. Whatever happens, every
journal counts its own results once, the store gives each back exactly what it holds, and no run of another is lost.
"""

import contextlib
import io
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from mlflow import MlflowClient
from rich.console import Console

from benchmarks.fuzz_cases import SESSION, finish
from benchmarks.many_trials import made_up
from zerotune.tuner.analysis.provenance import TRAINED_WITH
from zerotune.tuner.run.answer import make_store_opener, read_answer, write_answer
from zerotune.tuner.run.journal import Journal, JournalContent, format_line, read_journal
from zerotune.tuner.run.options import RunOptions
from zerotune.tuner.run.reuse import ReusableResults
from zerotune.tuner.run.run import answer_from_journal, open_session
from zerotune.tuner.store import Store, default_tracking_uri, record
from zerotune.tuner.study import Study, study_from_text
from zerotune.tuner.trial import Trial, TrialResult, canonical_json

STUDY: Final = """
name: {name}
application: lenet_mnist
data: {{source: mnist5k}}
epochs: 2
batch_sizes: [128]
seeds: [1]
reference: tuned
baseline: {{batch_size: 32, optimizer: momentum, lr: 0.05}}
arms:
- {{name: tuned, method: grid, space: {{lr: {{choices: [0.05, {lr}]}}}}}}
- {{name: sqrt, method: sqrt}}
"""
NUM_TRIALS: Final = 5
OTHER_TRAINING: Final = {**SESSION, **dict.fromkeys(TRAINED_WITH, "another")}


class Place:
    """A folder in which someone runs the study, and the store that all of them share."""

    def __init__(self, root: Path, name: str, *, session: Mapping[str, str] = SESSION, study: str = "fuzz") -> None:
        self.root, self.name, self.session, self.study_name = root, name, session, study
        self.uri = default_tracking_uri(root / "shared")

    @cached_property
    def study(self) -> Study:
        """The study; another one of another name."""
        lr = 0.1 if self.study_name == "fuzz" else 0.2
        return study_from_text(STUDY.format(name=self.study_name, lr=lr), "fuzz.yaml")

    @property
    def options(self) -> RunOptions:
        """Where the study is recorded."""
        return RunOptions(store=self.root / self.name, tracking_uri=self.uri)

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.options.folder(self.study) / "journal.jsonl"

    @property
    def content(self) -> JournalContent:
        """The journal's content."""
        return read_journal(self.journal)

    def make(self, trial: Trial, number: int) -> TrialResult:
        """Return a result that names this place."""
        at = 1_750_000_000.0 + sum(map(ord, self.name)) * 1_000 + number
        return replace(made_up(trial, number), host=self.name, status="finished", finished_at=at)

    def run(self, *, most: int | None = None, stores: bool = True) -> None:
        """Run the study for at most so many trials, then bring the store up to date as the writer does."""
        with contextlib.closing(Journal(self.options.folder(self.study))) as journal:
            open_session(self.study, journal, self.session)
            reusable = ReusableResults(self.options.root, self.study.name, self.session, "made-up")
            finish(self.study, journal, reusable, Console(file=io.StringIO()), most=most, make=self.make)
            if stores:
                self.store(journal)

    def store(self, journal: Journal) -> None:
        """Write the journal's results, and the answer of a finished study, as `zerotune sync` does."""
        content = journal.content
        opened = make_store_opener(self.study, self.uri, journal, NUM_TRIALS, begins=True)()
        opened.sync(content.results.values())
        if len(content.results) == NUM_TRIALS:
            write_answer(opened, answer_from_journal(self.study, self.options, content), [])

    def check(self) -> None:
        """Check that the journal counts its results once, and that the store gives back what it holds."""
        content = self.content
        assert len(content.results) == NUM_TRIALS, f"{self.name} holds {len(content.results)} results"
        assert sum(result.cost.trials for result in content.results.values()) == NUM_TRIALS
        answer = read_answer(self.study, store=self.options.root, tracking_uri=self.uri)
        stored = {result.trial.id: result for result in answer.results}
        assert stored == content.results, f"the store gives {self.name} other results than its journal holds"
        assert not answer.missing, answer.missing
        assert (
            answer.comparison.ledger.total
            == answer_from_journal(self.study, self.options, content).comparison.ledger.total
        )


def active_runs(place: Place) -> list[Any]:
    """Return the runs of a study that are not deleted."""
    client = MlflowClient(place.uri)
    experiment = client.get_experiment_by_name(place.study.name)
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id], max_results=1_000))


def measurements(place: Place) -> Counter[Any]:
    """Return how often each measurement of a trial is in the store."""
    return Counter(key for run in active_runs(place) if (key := record.measurement(run.data.tags)))


def _two(root: Path) -> tuple[Place, Place]:
    return Place(root, "ann"), Place(root, "bea", session=OTHER_TRAINING)


def _without_owner(line: str) -> str:
    content = json.loads(line)
    for key in ("owner", "identity", "sum"):
        content.pop(key, None)
    return format_line(canonical_json(content))


def _mix(draw: random.Random, root: Path, *, joined: bool, other: Place, of_old: bool) -> list[Place]:
    ann = Place(root, "ann")
    ann.run(most=draw.randrange(1, NUM_TRIALS), stores=False)
    other.run(most=draw.randrange(1, NUM_TRIALS + 1), stores=False)
    own = ann.content.results
    lines = ann.journal.read_text(encoding="utf-8").splitlines()
    added = other.journal.read_text(encoding="utf-8").splitlines()
    if of_old:
        added = [_without_owner(line) for line in added]
    if joined:
        lines += added
    else:
        for line in added[1:]:
            lines.insert(draw.randrange(1, len(lines) + 1), line)
    ann.journal.write_text("\n".join(lines) + "\n", encoding="utf-8")
    content = ann.content
    assert content.results == own, "results of another count, or own ones are lost"
    assert content.foreign_results == sum('"kind":"result"' in line for line in added), content.foreign_results
    shutil.rmtree(other.journal.parent)
    ann.run()
    strange = {result.host for result in ann.content.results.values()} - {"ann"}
    assert not strange, "a result of another is reused that was trained otherwise"
    return [ann]


def _joined(draw: random.Random, root: Path) -> list[Place]:
    return _mix(draw, root, joined=True, other=_two(root)[1], of_old=draw.random() < 0.3)


def _interleaved(draw: random.Random, root: Path) -> list[Place]:
    return _mix(draw, root, joined=False, other=_two(root)[1], of_old=False)


def _lines_of_another_study(draw: random.Random, root: Path) -> list[Place]:
    other = Place(root, "carl", session=OTHER_TRAINING, study="another")
    return _mix(draw, root, joined=draw.random() < 0.5, other=other, of_old=draw.random() < 0.5)


def _two_owners(draw: random.Random, root: Path) -> list[Place]:
    ann, bea = _two(root)
    for most in sorted(draw.sample(range(NUM_TRIALS), 2)):
        for place in draw.sample((ann, bea), 2):
            place.run(most=most)
    ann.run()
    bea.run()
    return [ann, bea]


def _copied(draw: random.Random, root: Path) -> list[Place]:
    ann, copy = Place(root, "ann"), Place(root, "copy")
    ann.run(most=draw.randrange(1, NUM_TRIALS), stores=draw.random() < 0.7)
    shutil.copytree(ann.options.root, copy.options.root)
    for place in draw.sample((ann, copy), 2):
        place.run(most=draw.choice((1, 2, None)))
    for place in draw.sample((ann, copy), 2):
        place.run()
    return [ann, copy]


def _moved(draw: random.Random, root: Path) -> list[Place]:
    ann, moved = Place(root, "ann"), Place(root, "moved")
    ann.run(most=draw.randrange(NUM_TRIALS + 1))
    shutil.move(ann.options.root, moved.options.root)
    moved.run()
    runs = measurements(moved)
    assert len(runs) == NUM_TRIALS, f"moving leaves {len(runs)} results in the store"
    return [moved]


def _lost_end(draw: random.Random, root: Path) -> list[Place]:
    ann = Place(root, "ann")
    ann.run(most=draw.randrange(2, NUM_TRIALS + 1))
    lines = ann.journal.read_bytes().splitlines(keepends=True)
    ann.journal.write_bytes(b"".join(lines[: draw.randrange(1, len(lines))]))
    again = Place(root, "again")
    shutil.move(ann.options.root, again.options.root)
    again.run()
    return [again]


def _delete(draw: random.Random, place: Place, roles: tuple[str, ...]) -> int:
    """Delete some runs of these roles in MLflow; return how many of them hold results."""
    found = [run for run in active_runs(place) if run.data.tags.get("role") in roles]
    chosen = draw.sample(found, draw.randrange(1, len(found) + 1))
    for run in chosen:
        MlflowClient(place.uri).delete_run(run.info.run_id)
    return sum(record.measurement(run.data.tags) is not None for run in chosen)


def _deleted(draw: random.Random, root: Path) -> list[Place]:
    ann = Place(root, "ann")
    ann.run()
    num = _delete(draw, ann, ("search", "confirmation"))
    missing = read_answer(ann.study, store=ann.options.root, tracking_uri=ann.uri).missing
    assert f"Missing: {num} of {NUM_TRIALS} results" in " ".join(missing), missing
    ann.run()
    return [ann]


def _deleted_parents(draw: random.Random, root: Path) -> list[Place]:
    ann = Place(root, "ann")
    ann.run(most=draw.choice((2, 3, None)))
    _delete(draw, ann, (record.ROLE_ARM, record.ROLE_STUDY, *draw.choice(((), ("search", "confirmation")))))
    ann.run()
    runs = {run.info.run_id for run in active_runs(ann)}
    orphans = [run for run in active_runs(ann) if run.data.tags.get(record.TAG_PARENT, run.info.run_id) not in runs]
    assert not orphans, f"{len(orphans)} trials stay below a deleted run"
    return [ann]


def _deleted_while_running(draw: random.Random, root: Path) -> list[Place]:
    ann, write, left = Place(root, "ann"), Store.write, [draw.randrange(1, NUM_TRIALS)]

    def deleting(self: Store, result: TrialResult) -> bool:
        left[0] -= 1
        if not left[0]:
            _delete(draw, ann, draw.choice((("search", "confirmation"), (record.ROLE_ARM,), (record.ROLE_STUDY,))))
        return write(self, result)

    ann.run(most=1)
    Store.write = deleting  # type: ignore[method-assign]
    try:
        with contextlib.suppress(Exception):  # the writer tries again later
            ann.run()
    finally:
        Store.write = write  # type: ignore[method-assign]
    ann.run()
    return [ann]


MIXTURES: Final[Mapping[str, Callable[[random.Random, Path], list[Place]]]] = {
    "journals joined": _joined,
    "lines of another journal": _interleaved,
    "lines of another study": _lines_of_another_study,
    "two owners in one store": _two_owners,
    "copied": _copied,
    "moved": _moved,
    "lost end": _lost_end,
    "runs deleted": _deleted,
    "parents deleted": _deleted_parents,
    "runs deleted while running": _deleted_while_running,
}


def mix_owners(name: str, draw: random.Random, folder: Path, empty_store: Path) -> str:
    """Let studies meet, then check every one of them; return how it ended.

    Args:
        name: how they meet.
        draw: all randomness.
        folder: an empty folder.
        empty_store: a folder with an MLflow database without studies, since making one takes seconds.
    """
    shutil.copytree(empty_store, folder / "shared")
    seen: Counter[Any] = Counter()
    sync = Store.sync

    def remembering(self: Store, results: Any) -> int:
        results = list(results)
        num = sync(self, results)
        seen.update({(result.trial.id, result.finished_at): 1 for result in results})
        return num

    Store.sync = remembering  # type: ignore[method-assign]
    try:
        places = MIXTURES[name](draw, folder)
    finally:
        Store.sync = sync  # type: ignore[method-assign]
    for place in places:
        place.check()
    found = measurements(places[0])
    lost = seen.keys() - found.keys()
    assert not lost, f"{len(lost)} results that were stored are gone"
    return "each counts its own"
