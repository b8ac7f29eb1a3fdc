"""A study's agenda: the next trial, given all results so far.

A campaign consists of cells, each an arm at a batch size, or one of its repeated searches there. A search cell asks its
method for proposals, chooses the best by validation score and confirms the choice on the study's seeds. A rule cell has
nothing to search and confirms the rule's configuration. Rules wait for the baseline if the study tunes it, and a search
that starts from its neighbour for that. Everything is a function of the study and the results, so a resumed study asks
for the same trials. This module must not know where trials run or are recorded.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from ...trainers.applications import APPLICATIONS
from ...trainers.spec import Configuration, EpochMetrics, TrainConfig
from ..analysis.economy import economy_of
from ..analysis.selection import BASELINE
from ..search import METHODS, SearchContext
from ..search.baseline_search import BaselineSearch, num_further
from ..search.method import NOT_RUN, Outcome, Proposal
from ..study import ArmDefinition, SearchDefinition, Study, baseline_config, rule_config, search_config
from ..study.amendments import Beginning
from ..study.comprehensive import RULE, proposing_rules, searches_solver, solver_spaces
from ..study.configure import describe_schedule
from ..study.definition import TuneDefinition
from ..study.methods import COMPREHENSIVE
from ..study.search_space import Space
from ..study.stopping import complete_stop
from ..trial import Role, Trial, TrialResult, is_score
from .cell import Cell, Params
from .early_end import end_early
from .guarded_cell import guard_cell
from .neighbours import add_neighbours, start_from_neighbour
from .search_seeds import derive_seed, repetition_seed, search_seed_of


class Campaign:
    """The agenda of a study.

    Args:
        study: the definition.
        known: existing results by trial id. They count towards the budget from the start, and their trials are asked
            for even if the budget is spent.
        first_failures: first results of retried failed trials, by trial id. The method is told the first result again,
            so that its proposals stay the same; the choice uses the later result.
        begun: how the searches of an amended study began, by arm and batch size, so that they go on as they began.
    """

    def __init__(
        self,
        study: Study,
        known: Mapping[str, TrialResult] = MappingProxyType({}),
        first_failures: Mapping[str, TrialResult] = MappingProxyType({}),
        begun: Mapping[tuple[str, int], Beginning] = MappingProxyType({}),
    ) -> None:
        self._study, self._begun = study, begun
        self._known = {trial_id: result.cost.device_seconds for trial_id, result in known.items()}
        self._first_failures = first_failures
        self._application = APPLICATIONS[study.application]
        self._data_options = study.data_options()
        self._sign = 1.0 if self._application.higher_is_better else -1.0
        self._spent_trials = sum(result.trial.role != "confirmation" for result in known.values())
        self._spent_seconds = sum(result.cost.device_seconds for result in known.values())
        self._searcher_seconds: dict[str, float] = {}
        self._cell_of: dict[str, Cell] = {}
        self.cells = self._build_cells()

    def ask(self) -> Trial | Literal["wait", "done"]:
        """Return the next trial, with cells in the order of the study file.

        Nothing depends on the baseline's confirmations, so they come last. They keep workers busy while the last arm's
        confirmations wait for its search.
        """
        waiting = False
        baseline, *others = self.cells
        for cell, confirms in [(baseline, False), *((cell, True) for cell in others), (baseline, True)]:
            if not all(needed.is_searched for needed in cell.awaited):
                waiting = True
                continue
            trial = self._ask_cell(cell, confirms=confirms)
            if isinstance(trial, Trial):
                self._cell_of[trial.id] = cell
                return trial
            waiting = waiting or trial == "wait"
        return "wait" if waiting else "done"

    def may_prune(self, trial: Trial) -> bool:
        """Return whether the trial's method may prune it; it may not if it was told that the trial failed."""
        return (
            trial.id not in self._first_failures and trial.role != "confirmation" and self._cell_of[trial.id].may_prune
        )

    def report(self, trial: Trial, new_epochs: Sequence[EpochMetrics]) -> bool:
        """Report validation scores to the method; return False to end the trial as pruned."""
        if not self.may_prune(trial):
            return True
        method = self._cell_of[trial.id].method
        assert method is not None
        return all(method.report(trial.index, e.epoch, self._sign * e.validation_score) for e in new_epochs)

    def tell(self, result: TrialResult) -> None:
        """Receive the result of a trial that was asked for."""
        cell = self._cell_of[result.trial.id]
        cell.searches_running.discard(result.trial.id)
        cell.results.append(result)
        self._spent_seconds += result.cost.device_seconds - self._known.get(result.trial.id, 0.0)
        if result.trial.id not in self._first_failures:
            self._tell_method(cell, result)

    def _tell_method(self, cell: Cell, result: TrialResult) -> None:
        if result.trial.role != "confirmation" and cell.method is not None:
            score = self._sign * result.validation_score if is_score(result.validation_score) else None
            outcome = Outcome(
                score=score,
                pruned=result.status == "pruned",
                epoch_scores=tuple(self._sign * epoch.validation_score for epoch in result.epochs),
                diverged=result.status == "diverged",
                cost=result.cost,
            )
            cell.method.tell(result.trial.index, outcome)

    def searcher_seconds(self, trial: Trial) -> float:
        """Return the seconds the method took to propose this trial."""
        return self._searcher_seconds.get(trial.id, 0.0)

    def _ask_cell(self, cell: Cell, *, confirms: bool) -> Trial | Literal["wait", "done"]:
        if cell.is_searching:
            trial = self._ask_search(cell)
            if trial != "done":
                return trial
            cell.is_searching = False
        if not cell.is_searched:
            return "wait"
        if not confirms:
            return "done"
        params = cell.choice(self._sign)
        if params is None or cell.confirmations_asked == len(cell.seeds):
            return "done"
        if self._lacks_baseline(cell):
            return "done"  # every trial of its baseline failed, so there is nothing to scale
        index = cell.confirmations_asked
        cell.confirmations_asked += 1
        return self._trial(cell, "confirmation", index, params, cell.seeds[index])

    def _ask_search(self, cell: Cell) -> Trial | Literal["wait", "done"]:
        if cell.method is None or self._lacks_baseline(cell):
            return "done"
        start_from_neighbour(cell, self._sign, self._first_failures)
        while True:
            begin = time.perf_counter()
            proposal = cell.method.ask()
            seconds = time.perf_counter() - begin
            if not isinstance(proposal, Proposal):
                return proposal
            seed = repetition_seed(self._study, cell.search_seed, proposal.repeat)
            trial = self._trial(cell, cell.role, proposal.index, proposal.params, seed)
            if trial.id in self._known or not self._budget_is_spent():
                break
            # Known results may come after a trial that was lost when the study was stopped.
            cell.method.tell(proposal.index, NOT_RUN)
        self._spent_trials += trial.id not in self._known
        self._searcher_seconds[trial.id] = seconds
        cell.searches_running.add(trial.id)
        if trial.id in self._first_failures:
            self._tell_method(cell, self._first_failures[trial.id])
        return trial

    def _lacks_baseline(self, cell: Cell) -> bool:
        return any(needed.choice(self._sign) is None for needed in cell.needs)

    def _budget_is_spent(self) -> bool:
        budget = self._study.budget
        return (budget.trials is not None and self._spent_trials >= budget.trials) or (
            budget.device_seconds is not None and self._spent_seconds >= budget.device_seconds
        )

    def _trial(self, cell: Cell, role: Role, index: int, params: Params, seed: int) -> Trial:
        configuration = cell.configure(params)
        if RULE in params:
            params = {**params, **describe_schedule(configuration.schedule)}
        return Trial(
            study=self._study.name,
            arm=cell.arm,
            batch_size=cell.batch_size,
            role=role,
            index=index,
            params=params,
            config=TrainConfig(
                application=self._study.application,
                data=self._study.data.source,
                batch_size=cell.batch_size,
                epochs=cell.epochs,
                schedule=configuration.schedule,
                optimizer=configuration.optimizer,
                seed=seed,
                data_options=self._data_options,
                model_options=self._study.model_options(configuration.model_options),
                recipe=configuration.recipe,
            ),
            repeat=cell.repeat,
        )

    def _build_cells(self) -> list[Cell]:
        """Return the baseline, the arms' own baselines, then every arm at every batch size with its search repeats.

        Arms that a search must beat come before it.
        """
        study = self._study
        shared = self._cell(
            BASELINE,
            study.baseline.batch_size,
            "baseline",
            study.baseline.tune,
            lambda params: baseline_config(study.baseline, study.recipe, params),
            epochs=study.epochs,
            seeds=study.seeds,
        )
        own = {arm.name: self._own_baseline(arm) for arm in study.arms if study.has_own_tune(arm)}
        baselines = {arm.name: own.get(arm.name, shared) for arm in study.arms}
        cells = [shared, *own.values()]
        stops = {arm.name: stop for arm in study.arms if (stop := complete_stop(study, arm)) is not None}
        to_beat = {stop.arm for stop in stops.values()}
        for batch_size in study.batch_sizes:
            for arm in sorted(study.arms, key=lambda arm: arm.name not in to_beat):
                if arm.is_search:
                    cells += [self._searching_cell(arm, batch_size, repeat, baselines) for repeat in range(arm.repeats)]
                else:
                    cells.append(self._rule_cell(arm, batch_size, baselines[arm.name]))
                if stop := stops.get(arm.name):
                    end_early(cells, stop, study.margin, self._sign, self._first_failures)
        add_neighbours(cells, {arm.name: arm.space for arm in study.arms if arm.start_from})
        return cells

    def _own_baseline(self, arm: ArmDefinition) -> Cell:
        """Return a baseline tuned for one rule, trained as the rule trains at B0, such as DATE's with DATE's decay."""
        study, definition = self._study, self._study.baseline_of(arm)
        batch_size, epochs = definition.batch_size, study.epochs
        return self._cell(
            f"{arm.name} {BASELINE}",
            batch_size,
            "baseline",
            definition.tune,
            lambda params: rule_config(study, arm, params, batch_size=batch_size, epochs=epochs),
            epochs=epochs,
            seeds=(),
        )

    def _searching_cell(self, arm: ArmDefinition, batch_size: int, repeat: int, baselines: Mapping[str, Cell]) -> Cell:
        """Return a search of the arm, one of its repeats."""
        study, begun = self._study, self._begun.get((arm.name, batch_size))
        rules = [each for each in proposing_rules(study, arm) if begun is None or each.name in begun.arms]
        by_rule = {each.name: self._configure_by_rule(each, batch_size, baselines[each.name]) for each in rules}

        def configure(params: Params) -> Configuration:
            if RULE in params:
                return by_rule[str(params[RULE])](params)
            return search_config(study, arm, params, batch_size=batch_size)

        cell = self._cell(
            arm.name,
            batch_size,
            "repeat" if repeat else "search",
            arm,
            configure,
            epochs=study.epochs_of(arm),
            seeds=study.seeds,
            repeat=repeat,
            rules=tuple((each.name, study.arm_optimizer(each).name) for each in rules),
        )
        if arm.method == COMPREHENSIVE:
            tuned = [baselines[each.name] for each in rules if study.baseline_of(each).tune is not None]
            cell.needs = tuple({id(needed): needed for needed in tuned}.values())
        return cell

    def _rule_cell(self, arm: ArmDefinition, batch_size: int, baseline: Cell) -> Cell:
        study, configure = self._study, self._configure_by_rule(arm, batch_size, baseline)
        cell = self._cell(
            arm.name, batch_size, "search", None, configure, epochs=study.epochs_of(arm), seeds=study.seeds
        )
        cell.needs = () if study.baseline_of(arm).tune is None else (baseline,)
        return guard_cell(cell, arm.guard, self._application) if arm.guard else cell

    def _configure_by_rule(
        self, arm: ArmDefinition, batch_size: int, baseline: Cell
    ) -> Callable[[Params], Configuration]:
        study, tune = self._study, self._study.baseline_of(arm).tune

        def configure(params: Params) -> Configuration:
            """Return the rule's configuration, based on the tuned baseline's hyperparameters instead of `params`."""
            tuned = {} if tune is None else baseline.choice(self._sign)
            assert tuned is not None  # a cell is asked only once its baseline is chosen
            return rule_config(study, arm, tuned, batch_size=batch_size, epochs=study.epochs_of(arm))

        return configure

    def _cell(
        self,
        arm: str,
        batch_size: int,
        role: Role,
        search: SearchDefinition | None,
        configure: Callable[[Params], Configuration],
        *,
        epochs: int,
        seeds: tuple[int, ...],
        repeat: int = 0,
        rules: tuple[tuple[str, str], ...] = (),
    ) -> Cell:
        """Return a cell. A repeat of a search draws points of its own, and trains them with a seed of its own."""
        search_seed, method, num_search = self._study.search_seed, None, 0
        if search is not None:
            entry = METHODS[search.method]
            seed = derive_seed(search_seed, f"{arm} {repeat}" if repeat else arm, batch_size)
            spaces: dict[str, Space] = {}
            if isinstance(search, ArmDefinition) and searches_solver(search):
                spaces = solver_spaces(self._study, search, batch_size)
            context = SearchContext(
                seed=seed,
                epochs=epochs,
                spaces=spaces,
                rules=rules,
                begun=self._begun.get((arm, batch_size)),
                terminator=search.terminator if isinstance(search, ArmDefinition) else None,
                margin=self._study.margin,
            )
            method, num_search = entry.build(search, context), entry.num_trials(search)
            if isinstance(search, TuneDefinition) and num_further(search):
                method, num_search = BaselineSearch(method, search), num_search + num_further(search)
        return Cell(
            arm=arm,
            batch_size=batch_size,
            role=role,
            method=method,
            num_search=num_search,
            seeds=seeds,
            epochs=epochs,
            search_seed=search_seed_of(self._study, repeat, derive_seed(search_seed, f"repeat {repeat}", 0)),
            repeat=repeat,
            may_prune=search is not None and search.pruner != "none",
            smallest_ties=isinstance(search, TuneDefinition) and search.ties == "smallest",
            configure=configure,
            economy=economy_of(self._study, search) if isinstance(search, ArmDefinition) else None,
        )
