"""Schedule a regime search: which method to train at which batch size next, given the results so far.

Every step is a `Campaign` of one arm at one batch size, so searches, confirmations and tuned baselines are those of a
study. Trials that a campaign asks for again (every campaign includes the baseline) are answered from earlier results.
First linear scaling alone is tried until B_L is found. Then, until B_H is found, linear scaling and the study's arms
are tried in order at each batch size until one holds. The schedule is a function of the study and the results, so a
resumed search asks for the same trials. This module must not know where trials run or are recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from ....trainers.applications import APPLICATIONS
from ....trainers.spec import EpochMetrics
from ...analysis.ledger import cost_ledger
from ...analysis.selection import BASELINE
from ...campaign.campaign import Campaign
from ...campaign.cell import Cell
from ...cost import Cost, total_cost
from ...errors import BadInput
from ...study import ArmDefinition, Study
from ...trial import Trial, TrialResult
from .bisection import next_rung
from .verdict import Attempt, Judge, Regime, RegimeQuestion, find_brackets, linear_verdicts, method_verdicts

LINEAR = "linear"
"""The rule of Definition 2.1, eta B / B0; also the name of its arm if the study has none."""


def add_linear_arm(study: Study) -> tuple[Study, str]:
    """Return the study with linear scaling of its baseline among its arms, and the name of that arm.

    Raises:
        BadInput: another arm has that name, or there is no other arm, so B_H would be B_L.
    """
    for arm in study.arms:
        if arm.method == LINEAR and arm.optimizer is None and arm.baseline is None:
            name = arm.name
            break
    else:
        if any(arm.name == LINEAR for arm in study.arms):
            raise BadInput(
                f"study {study.name!r}: its arm {LINEAR!r} is not linear scaling of the study's own baseline, by which "
                "B_L is defined: give that arm another name"
            )
        name = LINEAR
        study = study.model_copy(update={"arms": (ArmDefinition(name=LINEAR, method=LINEAR), *study.arms)})
    if len(study.arms) == 1:
        raise BadInput(
            f"study {study.name!r} has no arm that could hold where linear scaling fails: add the methods that B_H is "
            "to be found for, such as a rule or a search"
        )
    return study, name


def build_question(study: Study, linear: str, rungs: tuple[int, ...], num_train: int) -> RegimeQuestion:
    """Return the question. Linear scaling is tried first, then rules, then searches: cheap methods come first."""
    application = APPLICATIONS[study.application]
    ordered = sorted(study.arms, key=lambda arm: (arm.name != linear, arm.is_search))
    return RegimeQuestion(
        study=study.name,
        application=study.application,
        metric=application.metric,
        higher_is_better=application.higher_is_better,
        margin=study.margin,
        epochs=study.epochs,
        num_seeds=len(study.seeds),
        baseline_batch_size=study.baseline.batch_size,
        num_train=num_train,
        rungs=rungs,
        linear=linear,
        arms=tuple(arm.name for arm in ordered),
    )


class RegimeScheduler:
    """The ask/tell interface of a regime search.

    Args:
        study: the study, linear scaling among its arms. Its batch sizes are ignored.
        question: what to find.
        known: earlier results by trial id, as in `Campaign`. The mapping may grow during the search.
        first_failures: results of failed trials that are run again, as in `Campaign`.
        check: whether to try one batch size above each boundary too.
        max_trainings: number of trainings after which no new one is started; None for no limit. Trainings in `known`
            and reused results count, so that the result does not depend on the store.
        announce: called with every cell before its first trial is asked for.
    """

    def __init__(
        self,
        study: Study,
        question: RegimeQuestion,
        *,
        known: Mapping[str, TrialResult] = MappingProxyType({}),
        first_failures: Mapping[str, TrialResult] = MappingProxyType({}),
        check: bool = True,
        max_trainings: int | None = None,
        announce: Callable[[Cell], None] = lambda cell: None,
    ) -> None:
        self._study = study
        self._question = question
        self._known = known
        self._first_failures = first_failures
        self._check = check
        self._max_trainings = max_trainings
        self._announce = announce
        self._announced: set[tuple[str, int]] = set()
        self._results: dict[str, TrialResult] = {}
        self._running: set[str] = set()
        self._campaign: Campaign | None = None
        self._judge: Judge | None = None
        self._ended = False
        self.attempts: list[Attempt] = []
        self.ended_early = False

    def ask(self) -> Trial | Literal["wait", "done"]:
        """Return the next trial without a result."""
        while not self._ended:
            if self._campaign is None and not self._start_step():
                break
            assert self._campaign is not None
            trial = self._campaign.ask()
            if isinstance(trial, Trial):
                if trial.id in self._results:
                    self._campaign.tell(self._results[trial.id])
                    continue
                if self._may_train(trial):
                    self._running.add(trial.id)
                    return trial
                self._ended = self.ended_early = True
            elif trial == "wait" or self._running:
                return "wait"
            else:
                self._end_step(self._campaign)
        return "wait" if self._running else "done"

    def may_prune(self, trial: Trial) -> bool:
        """Return whether the trial's method may prune it."""
        return self._current_campaign().may_prune(trial)

    def report(self, trial: Trial, new_epochs: Sequence[EpochMetrics]) -> bool:
        """Pass validation scores to the method. False prunes the trial."""
        return self._current_campaign().report(trial, new_epochs)

    def tell(self, result: TrialResult) -> None:
        """Receive the result of a trial that was asked for."""
        self._running.discard(result.trial.id)
        self._results[result.trial.id] = result
        self._current_campaign().tell(result)

    def searcher_seconds(self, trial: Trial) -> float:
        """Return the seconds that the method took to propose this trial."""
        return self._current_campaign().searcher_seconds(trial)

    def found(self) -> Regime | None:
        """Return the result so far; None if the baseline has no score."""
        if self._judge is None:
            return None
        question = self._question
        order = {arm: place for place, arm in enumerate(question.arms)}
        attempts = tuple(sorted(self.attempts, key=lambda a: (a.batch_size, order[a.arm])))
        results = {**self._known, **self._results}.values()
        ledger = cost_ledger(results)
        judged = {self._baseline_cell, *((a.arm, a.batch_size) for a in attempts)}
        large, huge = find_brackets(question, attempts)
        return Regime(
            question=question,
            baseline=self._judge.attempt(*self._baseline_cell, self._judge.baseline, self._cost(*self._baseline_cell)),
            attempts=attempts,
            large=large,
            huge=huge,
            others=tuple(line for line in ledger.lines if (line.arm, line.batch_size) not in judged),
            total=ledger.total,
            reused=ledger.reused,
            ended_early=self.ended_early,
        )

    @property
    def _baseline_cell(self) -> tuple[str, int]:
        return BASELINE, self._question.baseline_batch_size

    def _cost(self, arm: str, batch_size: int) -> Cost:
        """Return the cost of all trials of an arm at a batch size, including those of earlier runs."""
        results = {**self._known, **self._results}.values()
        return total_cost(r.cost for r in results if (r.trial.arm, r.trial.batch_size) == (arm, batch_size))

    def _current_campaign(self) -> Campaign:
        """The campaign of every running trial: a step ends when all its trials have results."""
        assert self._campaign is not None
        return self._campaign

    def _may_train(self, trial: Trial) -> bool:
        if self._max_trainings is None or trial.id in self._known:
            return True
        return len(self._known.keys() | self._results.keys() | self._running) < self._max_trainings

    def _start_step(self) -> bool:
        """Choose an arm and a batch size; return False if both boundaries are found."""
        step = self._next_step()
        if step is None:
            self._ended = True
            return False
        arm, batch_size = step
        once = self._study.arm(arm).model_copy(update={"repeats": 1})  # a step rests on one search
        single = {"arms": (once,), "batch_sizes": (batch_size,)}
        known = {**self._known, **self._results}
        self._campaign = Campaign(self._study.model_copy(update=single), known, self._first_failures)
        for cell in self._campaign.cells:
            if (cell.arm, cell.batch_size) not in self._announced:
                self._announced.add((cell.arm, cell.batch_size))
                self._announce(cell)
        return True

    def _next_step(self) -> tuple[str, int] | None:
        question = self._question
        linear = linear_verdicts(self.attempts, question.linear)
        rung = next_rung(question.rungs, linear, "first failure", check=self._check)
        if rung is not None:
            return question.linear, rung
        methods = method_verdicts(self.attempts, question.arms)
        rung = next_rung(question.rungs, methods, "last success", check=self._check)
        if rung is None:
            return None
        tried = {attempt.arm for attempt in self.attempts if attempt.batch_size == rung}
        return next(arm for arm in question.arms if arm not in tried), rung

    def _end_step(self, campaign: Campaign) -> None:
        """Judge the arm's results. Without a baseline to compare with, the search ends."""
        baseline, cell = campaign.cells[0], campaign.cells[-1]
        confirmed = [r for r in baseline.results if r.trial.role == "confirmation"]
        self._campaign = None
        if not any(result.test_score is not None for result in confirmed):
            self._ended = True
            return
        self._judge = Judge(
            baseline=confirmed, margin=self._question.margin, higher_is_better=self._question.higher_is_better
        )
        confirmations = [r for r in cell.results if r.trial.role == "confirmation"]
        cost = self._cost(cell.arm, cell.batch_size)
        self.attempts.append(self._judge.attempt(cell.arm, cell.batch_size, confirmations, cost))
