"""Run a study many times by look-up, each time with other seeds, and keep what it said and whether that was true.

Nothing is written: no journal, no store. A replicate depends on the study, the seed and its own number alone. This
module must not know how replicates are shown.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ....trainers.applications import APPLICATIONS
from ....trainers.packing.benchmark import PackSpeed
from ....trainers.spec import TrainConfig, TrainResult
from ....trainers.tabulated.look_up import LookUp
from ....trainers.tabulated.table import Table
from ...analysis.comparison import Comparison, compare
from ...analysis.comparison_row import ComparisonRow
from ...analysis.lost_seeds import Guessing
from ...analysis.runs import Runs
from ...analysis.selection import BASELINE
from ...analysis.study_facts import StudyFacts, facts_of
from ...analysis.verdict import Kind
from ...campaign.campaign import Campaign
from ...campaign.search_seeds import derive_seed
from ...errors import BadInput
from ...execution.replay import run_replay
from ...study import SPACE_METHODS, Study
from ...trial import Trial, TrialResult
from .truth import TrueScores, Truth, together

CURRENCIES = ("device_seconds", "trials")
"""Currencies of a saving: the recorded seconds, or trials where the table has none."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """What a replicate said of an arm at a batch size.

    Attributes:
        kind: its verdict; None for the reference.
        is_true: whether the verdict is true (`Truth.is_true`); None if it claims nothing.
        true_gain: the true improvement over the reference, positive if the arm is better; None without a choice of
            either.
        saving: share of the reference's cost that the arm spares; None unless the verdict allows a saving.
        trials_to_match: K*; None if it was not reached, or for the reference.
        num_trials: upper limit of K*; 0 without a K*.
        regret: what the choice of a search is truly worse than the best of its space, >= 0; None for other arms.
    """

    arm: str
    batch_size: int
    kind: Kind | None = None
    is_true: bool | None = None
    true_gain: float | None = None
    saving: float | None = None
    trials_to_match: int | None = None
    num_trials: int = 0
    regret: float | None = None


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """What one study said.

    Attributes:
        number: of the replicate, from 0.
        sentences: one for every batch size and arm, in the study's order.
        num_trials: trainings that were looked up.
        num_failed: those that the table does not have.
    """

    number: int
    sentences: tuple[Sentence, ...]
    num_trials: int
    num_failed: int

    def says_falsely(self, kind: Kind) -> bool:
        """Whether any verdict of this kind is false."""
        return any(one.kind == kind and one.is_true is False for one in self.sentences)


def find_look_up(study: Study) -> LookUp:
    """Return the look-up of a study's application.

    Raises:
        BadInput: the application trains.
    """
    look_up = APPLICATIONS[study.application].look_up
    if not isinstance(look_up, LookUp):
        raise BadInput(
            f"study {study.name!r}: its application {study.application!r} trains its models, and replicates are looked "
            "up in a table of past trainings: name a study of a table (zerotune list applications marks them)"
        )
    return look_up


class Replicates:
    """Replicates of a study, each of which may be run alone and in any order.

    Replicate r trains with a permutation of the table's seeds that is drawn for r: the first are those of the
    confirmations, the others those of the searches. Where the table has no other, searches train with the first. The
    methods draw other points for every r.

    Args:
        study: the definition. Its own search seed has no effect, and its other seeds are only labels.
        seed: of everything that differs between replicates, >= 0.

    Raises:
        BadInput: the study's application trains, or the table has fewer seeds than the study confirms.
    """

    def __init__(self, study: Study, *, seed: int = 0) -> None:
        self.study, self.seed = study, seed
        application, self._look_up = APPLICATIONS[study.application], find_look_up(study)
        if not self.table.seeds:
            raise BadInput(
                f"study {study.name!r}: the table {self.table.name} names no seeds, so that replicates would differ in "
                "nothing: look the study up once, with zerotune run"
            )
        if len(self.table.seeds) < len(study.seeds):
            raise BadInput(
                f"study {study.name!r}: seeds: asks for {len(study.seeds)} confirmations, and the table "
                f"{self.table.name} has {len(self.table.seeds)} seeds: name at most as many"
            )
        self.facts: StudyFacts = facts_of(
            study,
            metric=application.metric,
            higher_is_better=application.higher_is_better,
            chance_score=application.chance_score,
        )
        guessing = Guessing(
            score=application.chance_score, metric=application.metric, higher_is_better=application.higher_is_better
        )
        self.truth = Truth(all_seeds=self._look_up.all_seeds, guessing=guessing, margin=study.margin)
        self._best: dict[tuple[str, int], float | None] = {}

    @cached_property
    def table(self) -> Table:
        """The table."""
        return self._look_up.table

    @property
    def shares_seeds(self) -> bool:
        """Whether searches train with a seed that also confirms, because the table has no other."""
        return len(self.table.seeds) == len(self.study.seeds)

    def run_all(self, times: int) -> Iterator[Replicate]:
        """Yield replicates 0 .. times - 1."""
        return (self.run(number) for number in range(times))

    def run(self, number: int) -> Replicate:
        """Return one replicate."""
        results, comparison = self.look_up_study(number)
        return Replicate(
            number=number,
            sentences=self._sentences(comparison, Runs(results)),
            num_trials=len(results),
            num_failed=sum(result.status == "failed" for result in results),
        )

    def look_up_study(self, number: int) -> tuple[Sequence[TrialResult], Comparison]:
        """Return the results of one replicate and their comparison."""
        search_seed = 1 + max(self.study.seeds) + derive_seed(self.seed, f"replicate {number}", 0)
        study = self.study.model_copy(update={"search_seed": search_seed})
        agenda = _Agenda(Campaign(study))
        column = self._seeds_of(number)

        def look_up(config: TrainConfig) -> TrainResult:
            return self._look_up(replace(config, seed=column(config.seed)))

        run_replay(agenda, look_up)
        return agenda.results, compare(self.facts, agenda.results)

    def _seeds_of(self, number: int) -> Callable[[int], int]:
        """Return the function from a seed of the study to one of the table."""
        labels, seeds = self.study.seeds, self.table.seeds
        order = random.Random(f"{self.seed}/{number}").sample(seeds, len(seeds))
        confirming, others = dict(zip(labels, order, strict=False)), order[len(labels) :] or order
        return lambda seed: confirming[seed] if seed in confirming else others[seed % len(others)]

    def _sentences(self, comparison: Comparison, runs: Runs) -> tuple[Sentence, ...]:
        baseline = self._true_scores(runs, BASELINE, self.facts.baseline_batch_size)
        said = []
        for batch_size in self.facts.batch_sizes:
            scores = {arm: self._true_scores(runs, arm, batch_size) for arm in self.facts.arms}
            reference = scores[self.facts.reference]
            for arm in self.facts.arms:
                row = comparison.row(arm, batch_size)
                said.append(self._sentence(row, runs, scores[arm], reference, baseline))
        return tuple(said)

    def _sentence(
        self,
        row: ComparisonRow,
        runs: Runs,
        scores: TrueScores | None,
        reference: TrueScores | None,
        baseline: TrueScores | None,
    ) -> Sentence:
        kind, is_true, gain = row.verdict.kind if row.verdict else None, None, None
        if scores is not None and reference is not None:
            gain = self.truth.sign * (scores.mean - reference.mean)
            if kind is not None:
                is_true = self.truth.is_true(kind, scores, reference, baseline or reference)
        saving = next((row.savings[name].share for name in CURRENCIES if name in row.savings), None)
        return Sentence(
            arm=row.arm,
            batch_size=row.batch_size,
            kind=kind,
            is_true=is_true,
            true_gain=gain,
            saving=saving,
            trials_to_match=row.trials_to_match,
            num_trials=row.effort.num_trials if row.effort else 0,
            regret=None if scores is None else self._regret(row, runs, scores),
        )

    def _true_scores(self, runs: Runs, arm: str, batch_size: int) -> TrueScores | None:
        """Return the true scores of the arm's choice; None if it has none, or if the table lacks it.

        Of repeated searches they are those of all choices, one after the other.
        """
        found = []
        for confirmations in runs.confirmations_by_search(arm, batch_size):
            confirmed = [run for run in confirmations if run.status != "failed"]
            found += [self.truth.scores(confirmed[0].trial.config)] if confirmed else []
        return together(found) if found else None

    def _regret(self, row: ComparisonRow, runs: Runs, scores: TrueScores) -> float | None:
        arm, place = self.study.arm(row.arm), (row.arm, row.batch_size)
        if arm.method not in SPACE_METHODS:
            return None
        if place not in self._best:
            like = runs.confirmations(*place)[0].trial.config
            self._best[place] = self.truth.best_in_space(self.table, self.study, arm, like)
        best = self._best[place]
        return None if best is None else max(0.0, self.truth.sign * (best - scores.mean))


class _Agenda:
    """A campaign whose results are kept in memory alone."""

    def __init__(self, campaign: Campaign) -> None:
        self.results: list[TrialResult] = []
        self._campaign = campaign
        self.ask = campaign.ask
        self.may_prune = campaign.may_prune
        self.report = campaign.report

    def tell(self, result: TrialResult) -> None:
        """Keep a result."""
        self.results.append(result)
        self._campaign.tell(result)

    def mark_started(self, trial: Trial) -> None:
        """Do nothing: a look-up takes no time."""

    def record_pack_speed(self, trial: Trial, speed: PackSpeed) -> None:
        """Do nothing: nothing is packed."""

    def add_note(self, sentence: str) -> None:
        """Do nothing: nothing is shown."""

    def add_warning(self, trial: Trial, sentence: str) -> None:
        """Do nothing: nothing is shown."""
