"""Train an arm and measure inside the trainings at selected updates.

Nothing is tuned here. If the study tunes, the configuration is the one its search chose, from results that the caller
has read. This module must not know the store, nor how a diagnosis is shown.
"""

from collections.abc import Callable, Sequence

from ....trainers.applications import APPLICATIONS
from ....trainers.applications.registry import is_shipped
from ....trainers.data import DataError
from ....trainers.diagnostics import TrainingObserver
from ....trainers.loop import Training
from ....trainers.spec import Configuration, Placement, TrainConfig
from ....trainers.tables import lookup
from ...analysis.economy import economy_of
from ...analysis.guards import find_guards
from ...analysis.selection import BASELINE, chosen_trial
from ...errors import BadInput
from ...reports.text.format import format_option
from ...study import ArmDefinition, BaselineDefinition, Study, baseline_config, rule_config
from ...study.application_check import load_checked_data
from ...study.lr_factor import with_lr_factor
from ...study.table_check import refuse_table
from ...trial import Trial, TrialResult
from .diagnosis import DiagnosedRun, Diagnosis, DiagnosisQuestion


def needs_results(study: Study, name: str) -> bool:
    """Return whether the configuration of an arm, or of "baseline", depends on a search of the study.

    Raises:
        BadInput: the study has no such arm.
    """
    if name == BASELINE:
        return study.baseline.tune is not None
    arm = _arm(study, name)
    return arm.is_search or arm.guard > 0 or study.baseline_of(arm).tune is not None


def diagnose(
    question: DiagnosisQuestion, results: Sequence[TrialResult] = (), *, tell: Callable[[str], None] = lambda _: None
) -> Diagnosis:
    """Train the arm's configuration at every batch size and measure inside, given the study's results if needed.

    `tell` receives a sentence before every training.

    Raises:
        BadInput: there is no such arm, the search it depends on has no results, it cannot be trained at a batch size,
            or the data or a package is missing.
    """
    folder = question.data_folder or question.study.data.folder
    num_train = _num_train(question.study, folder)
    configs, notes = [], []
    for batch_size in sorted(set(question.batch_sizes)):
        if batch_size > num_train:
            raise BadInput(f"--batch-size {batch_size}: there are {num_train} training samples")
        config, trial = _config(question, batch_size, results)
        configs.append(config)
        if trial is not None:
            notes.append(_format_choice(trial))
    runs = tuple(_run(question, config, folder, tell) for config in configs)
    return Diagnosis(question=question, runs=runs, notes=tuple(dict.fromkeys(notes)))


def select_iterations(total: int, *, every: int | None, points: int) -> list[int]:
    """Return the updates to measure before, of 1 .. total: every `every`-th, or evenly spaced in the logarithm of time.

    >>> select_iterations(10, every=4, points=50)
    [1, 5, 9]
    >>> select_iterations(1000, every=None, points=4)
    [1, 10, 100, 1000]
    """
    if every is not None:
        return list(range(1, total + 1, every))
    return sorted({round(total ** (place / max(1, points - 1))) for place in range(points)})


def _num_train(study: Study, folder: str | None) -> int:
    """Return the number of training samples, after checking that the application can be trained on them."""
    refuse_table(study, "diagnose")
    application = APPLICATIONS[study.application]
    for sentence in application.missing_packages():
        raise BadInput(f"application {study.application!r}: {sentence}")
    if not is_shipped(study.application):
        return len(load_checked_data(study, folder).data.train)
    try:
        return application.data_sources[study.data.source].count(folder, study.data_options())
    except DataError as error:
        raise BadInput(f"data source {study.data.source!r}: {error}") from None


def _run(
    question: DiagnosisQuestion, config: TrainConfig, folder: str | None, tell: Callable[[str], None]
) -> DiagnosedRun:
    resources = question.study.resources
    placement = Placement(
        data_folder=folder,
        device="cuda" if resources.gpus_per_trial > 0 else "cpu",
        num_threads=resources.cpus_per_trial,
    )
    try:
        training = Training(config, placement)
        total = training.schedule.total_iterations
        iterations = select_iterations(total, every=question.every, points=question.points)
        recorder = TrainingObserver(training, iterations, method=question.method)
    except ValueError as error:  # DataError is one
        raise BadInput(f"arm {question.arm!r} at batch size {config.batch_size}: {error}") from None
    tell(f"B={config.batch_size:,}: {total:,} updates, measured before {len(iterations):,} of them")
    training.updates.observer = recorder
    while not training.finished:
        training.run_epoch()
    return DiagnosedRun(
        config=config,
        num_samples=len(training.data.train),
        result=training.result(),
        observations=tuple(recorder.observations),
    )


def _config(
    question: DiagnosisQuestion, batch_size: int, results: Sequence[TrialResult]
) -> tuple[TrainConfig, Trial | None]:
    """Return what to train at a batch size, and the trial that its hyperparameters come from, if the study searches."""
    study = question.study
    try:
        configuration, rested_on = resolve_configuration(study, question.arm, batch_size, results)
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(f"arm {question.arm!r} at batch size {batch_size}: {error}") from None
    config = TrainConfig(
        application=study.application,
        data=study.data.source,
        batch_size=batch_size,
        epochs=study.epochs if question.arm == BASELINE else study.epochs_of(_arm(study, question.arm)),
        schedule=configuration.schedule,
        optimizer=configuration.optimizer,
        seed=question.seed,
        data_options=study.data_options(),
        model_options=study.model_options(configuration.model_options),
        recipe=configuration.recipe,
    )
    return config, rested_on


def resolve_configuration(
    study: Study, name: str, batch_size: int, results: Sequence[TrialResult]
) -> tuple[Configuration, Trial | None]:
    """Return what an arm of the study, or "baseline", trains with at a batch size.

    Args:
        study: the study.
        name: name of the arm.
        batch_size: the baseline's own for the baseline, one that was searched for a search, any for a rule.
        results: results of the study, if `needs_results`.

    Returns:
        The configuration, and the trial that its hyperparameters come from; None if nothing was searched.

    Raises:
        BadInput: there is no such arm, or the search it depends on has no results.
        ValueError: the rule gives no valid configuration, e.g. its warm-up outlasts the run.
    """
    if name == BASELINE:
        own = study.baseline.batch_size
        if batch_size != own:
            raise BadInput(f"--batch-size {batch_size}: the baseline is trained at {own} alone; for others name an arm")
        trial = _baseline_trial(study, study.baseline, BASELINE, results)
        return baseline_config(study.baseline, study.recipe, trial.params if trial else {}), trial
    arm = _arm(study, name)
    epochs = study.epochs_of(arm)
    if arm.is_search:
        found = _chosen(study, name, batch_size, results)
        trained = found.config
        return Configuration(
            batch_size=batch_size,
            schedule=trained.schedule,
            optimizer=trained.optimizer,
            recipe=trained.recipe,
            model_options=trained.model_options,
        ), found
    definition = study.baseline_of(arm)
    trial = _baseline_trial(study, definition, f"{name} {BASELINE}" if study.has_own_tune(arm) else BASELINE, results)
    params = trial.params if trial else {}
    rule = rule_config(study, arm, params, batch_size=batch_size, epochs=epochs)
    return with_lr_factor(rule, _guard_factor(study, arm, batch_size, results)), trial


def _guard_factor(study: Study, arm: ArmDefinition, batch_size: int, results: Sequence[TrialResult]) -> float:
    """Return the multiple of the rule's learning rate that an arm trains with; 1 without a guard."""
    if not arm.guard:
        return 1.0
    for guard in find_guards(results, [arm.name]):
        if guard.batch_size == batch_size and guard.factor is not None:
            return guard.factor
    raise BadInput(
        f"study {study.name!r}: what the guarded arm {arm.name!r} trains with at batch size {batch_size} follows from "
        f"its probes there, and the store holds no confirmation of it: run the study first (zerotune run "
        f"{study.name}), name its --store, or name a batch size of the study"
    )


def _arm(study: Study, name: str) -> ArmDefinition:
    try:
        return lookup("arm", {arm.name: arm for arm in study.arms}, name)
    except ValueError as error:
        raise BadInput(f'study {study.name!r}: {error} Its baseline can be named too: "{BASELINE}".') from None


def _baseline_trial(
    study: Study, definition: BaselineDefinition, name: str, results: Sequence[TrialResult]
) -> Trial | None:
    """Return the trial that tuning a baseline chose; None if the baseline is stated."""
    if definition.tune is None:
        return None
    return _chosen(study, name, definition.batch_size, results, smallest=definition.tune.ties == "smallest")


def _chosen(
    study: Study, arm: str, batch_size: int, results: Sequence[TrialResult], *, smallest: bool = False
) -> Trial:
    """Return the trial that the study's search chose for an arm (or a baseline) at a batch size."""
    trials = [
        result
        for result in results
        if (result.trial.arm, result.trial.batch_size) == (arm, batch_size)
        and result.trial.role in ("baseline", "search")
    ]
    economies = {each.name: economy_of(study, each) for each in study.arms}
    higher_is_better = APPLICATIONS[study.application].higher_is_better
    best = chosen_trial(trials, higher_is_better=higher_is_better, smallest=smallest, economy=economies.get(arm))
    if best is None:
        searched = {r.trial.batch_size for r in results if r.trial.arm == arm and r.trial.role != "confirmation"}
        there = f"; it has been searched at {', '.join(map(str, sorted(searched)))}" if searched else ""
        raise BadInput(
            f"study {study.name!r} finds the hyperparameters of {arm!r} at batch size {batch_size} by a search, and"
            f" the store holds none of its trials{there}: run the study first (zerotune run {study.name}), or name its"
            " --store"
        )
    return best.trial


def _format_choice(trial: Trial) -> str:
    values = ", ".join(f"{name} {format_option(value)}" for name, value in trial.params.items())
    return f"The study's search at B={trial.batch_size:,} chose for {trial.arm}: {values}."
