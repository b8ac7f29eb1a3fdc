"""A study that grows, in a folder of its own, without any training."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.campaigns import Executed, Score, by_chance, execute, result
from tests.tuner.run.reused_studies import SESSION
from tests.tuner.study.example_study import edited
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.run.journal import Journal, JournalContent, read_journal
from zerotune.tuner.run.session import open_session
from zerotune.tuner.study import Study
from zerotune.tuner.trial import Trial, TrialResult

STUDY = """
name: grown
application: lenet_mnist
data: {source: mnist5k}
epochs: 12
batch_sizes: [SIZES]
seeds: [SEEDS]
reference: tuned
baseline: {batch_size: 32, optimizer: momentum, lr: 0.02}
arms:
  - {name: tuned, SEARCH}
OTHERS
"""
SPACE = "space: {lr: {low: 0.005, high: 1, scale: log}, decay: {choices: [poly, constant]}}"
RANDOM = f"method: random, trials: 6, {SPACE}"
TPE = f"method: optuna, trials: 6, {SPACE}"
LEGW = "  - {name: legw, method: legw}"


def study(
    search: str = RANDOM, *, sizes: Sequence[int] = (128,), seeds: Sequence[int] = (1, 2), others: Sequence[str] = ()
) -> Study:
    return edited(
        STUDY,
        *[("SIZES", ", ".join(map(str, sizes))), ("SEEDS", ", ".join(map(str, seeds)))],
        *[("SEARCH", search), ("OTHERS", "\n".join(("  - {name: sqrt, method: sqrt}", *others)))],
    )


def made(trial: Trial, score: float | None) -> TrialResult:
    return result(trial, score, test_score=score if trial.role == "confirmation" else None)


def go_on(
    folder: Path,
    definition: Study,
    *,
    amend: bool = True,
    score: Score = by_chance,
    stop_after: int | None = None,
) -> Executed:
    """Start, resume or amend a study in a folder; no trial that has a result may be trained again."""
    with closing(Journal(folder)) as journal:
        open_session(definition, journal, SESSION, amend=amend, amend_command="zerotune run x --amend")
        content = journal.content
        known = dict(content.results)
        campaign = Campaign(definition, known, content.first_failures, content.beginnings)
        done = execute(campaign, score, known=known, make=made, stop_after=stop_after)
        for each in done.results.values():
            journal.finish(each)
    assert not done.results.keys() & known.keys()
    searched = {id for id, each in known.items() if each.trial.role != "confirmation"}
    assert stop_after is not None or searched <= done.ids()
    return done


def at_once(definition: Study, score: Score = by_chance) -> Executed:
    return execute(Campaign(definition), score, make=made)


def content_of(folder: Path) -> JournalContent:
    return read_journal(folder / "journal.jsonl")
