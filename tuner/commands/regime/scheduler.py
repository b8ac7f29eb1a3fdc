"""The agenda of a regime search: which method is trained at which batch size next, given everything told so far.

Every step is a `Campaign` of one arm at one batch size, so that searches, confirmations and tuned baselines are those
of a study. What a campaign asks for again (the baseline belongs to each of them) is told to it from the results at
hand. First linear scaling alone, until B_L is found; then, until B_H is found, linear scaling and the study's arms one
after the other, at each batch size until one of them holds. All of it is a function of the study and of the results,
so a search that is resumed meets the same trials again. This module must not know where trials run or are recorded.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from ....trainers.applications import APPLICATIONS
from ...analysis.ledger import cost_ledger
from ...analysis.selection import BASELINE
from ...campaign.campaign import Campaign
from ...campaign.cell import Cell
from ...cost import Cost, total_cost
from ...errors import BadInput
from ...study import ArmDefinition, Study
from ...trial import Progress, Trial, TrialResult
from .bisection import next_rung
from .verdict import Attempt, Judge, Regime, RegimeQuestion, find_brackets, linear_verdicts, method_verdicts

LINEAR = "linear"
"""The rule of Definition 2.1: B eta / B0. It is also the name of its arm where a study has none."""


def add_linear_arm(study: Study) -> tuple[Study, str]:
    """The study with linear scaling of its baseline among its arms, and the name of that arm.

    Raises:
        BadInput: the name is taken by something else, or there is no other arm, so that B_H would be B_L.
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
    """What is asked; linear scaling is tried first, then the rules, then the searches, cheap ones before dear ones."""
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
    """The agenda of a regime search.

    Args:
        study: the definition, linear scaling among its arms; its batch sizes have no part in it.
        question: what is asked of it.
        known: results at hand, by trial id, as `Campaign` takes them. The mapping may grow as the search goes on.
        first_failures: of failed trials that are run again, as `Campaign` takes them.
        check: whether one batch size above each boundary is tried too.
        max_trainings: trainings after which nothing new is begun, those in `known` and those whose results are taken
            over included, so that what is found does not depend on the store; None for no limit.
        announce: told of every arm at a batch size before its first trial is asked for.
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
        """The next trial that has not been told of yet."""
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
        """Whether the trial's method may end it early."""
        return self._current_campaign().may_prune(trial)

    def report(self, progress: Progress) -> bool:
        """Passes validation scores to the method; False ends the trial as pruned."""
        return self._current_campaign().report(progress)

    def tell(self, result: TrialResult) -> None:
        """Takes the result of a trial that was asked for."""
        self._running.discard(result.trial.id)
        self._results[result.trial.id] = result
        self._current_campaign().tell(result)

    def searcher_seconds(self, trial: Trial) -> float:
        """Seconds the method took to propose this trial."""
        return self._current_campaign().searcher_seconds(trial)

    def found(self) -> Regime | None:
        """What is known by now; None where the baseline has no score."""
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
            taken_over=ledger.reused,
            ended_early=self.ended_early,
        )

    @property
    def _baseline_cell(self) -> tuple[str, int]:
        return BASELINE, self._question.baseline_batch_size

    def _cost(self, arm: str, batch_size: int) -> Cost:
        """Of all trials of an arm at a batch size, those of earlier runs included."""
        results = {**self._known, **self._results}.values()
        return total_cost(r.cost for r in results if (r.trial.arm, r.trial.batch_size) == (arm, batch_size))

    def _current_campaign(self) -> Campaign:
        """The campaign that every running trial is of: a step ends when all its trials were told."""
        assert self._campaign is not None
        return self._campaign

    def _may_train(self, trial: Trial) -> bool:
        if self._max_trainings is None or trial.id in self._known:
            return True
        return len(self._known.keys() | self._results.keys() | self._running) < self._max_trainings

    def _start_step(self) -> bool:
        """Chooses an arm and a batch size; False where both boundaries are found."""
        step = self._next_step()
        if step is None:
            self._ended = True
            return False
        arm, batch_size = step
        single = {"arms": (self._study.arm(arm),), "batch_sizes": (batch_size,)}
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
        """Judges what the arm reached; without a baseline to judge it by, nothing more is asked for."""
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
