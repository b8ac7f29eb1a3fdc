"""Check before the first trial that a table of past trainings can answer its study."""

from collections.abc import Iterator
from typing import NamedTuple

from ...trainers.applications import APPLICATIONS
from ...trainers.data import DataError
from ...trainers.spec import Configuration, OptionValue, TrainConfig
from ...trainers.tabulated.look_up import split_names
from ...trainers.tabulated.table import NotTabulated, Table
from ..errors import BadInput
from .comprehensive import OPTIMIZER, searches_solver, solver_spaces
from .configure import baseline_config, rule_config, search_config
from .definition import ArmDefinition, Study
from .methods import SPACE_METHODS
from .search_space import middles


class CheckedTable(NamedTuple):
    """The number of training samples, or a number that none exceeds; and remarks on what the table's numbers mean."""

    num_train: int
    remarks: tuple[str, ...]


def refuse_table(study: Study, command: str) -> None:
    """Refuse an application that trains nothing, for a command that trains.

    Raises:
        BadInput: the study's application is a table.
    """
    if APPLICATIONS[study.application].look_up is not None:
        raise BadInput(
            f"application {study.application!r}: is a table of past trainings, and zerotune {command} trains: use "
            "zerotune run, or an application that trains"
        )


def check_table(study: Study) -> CheckedTable:
    """Check that the table of a study's application can be read and has its seeds, settings and batch sizes.

    Learning rates and other searched values are not checked: a trial that the table has no training of fails.

    Raises:
        BadInput: the table lacks something that every trial of an arm needs; a sentence says what.
    """
    application = APPLICATIONS[study.application]
    look_up = application.look_up
    assert look_up is not None
    for sentence in application.missing_packages():
        raise BadInput(f"application {study.application!r}: {sentence}")
    try:
        num_train = application.data_sources[study.data.source].count(None, study.data_options())
    except DataError as error:
        raise BadInput(f"data source {study.data.source!r}: {error}") from None
    if not look_up.table.seeds and len(study.seeds) > 1:
        raise BadInput(
            f"study {study.name!r}: seeds: {look_up.table.name} has one training of every configuration: state one seed"
        )
    for place, config in _configs(study):
        try:
            look_up.check_settings(config)
        except NotTabulated as error:
            if error.part == "seed":
                place = "seeds" if config.seed in study.seeds else "search_seed"
            raise BadInput(f"study {study.name!r}: {place}: {error}") from None
    return CheckedTable(num_train, (*_remarks(study, look_up.table),))


def _remarks(study: Study, table: Table) -> Iterator[str]:
    options = study.data_options()
    between, along = options["between"], " and ".join(split_names(str(options["along"])))
    if between == "interpolate" and along:
        yield (
            f"data: between two values of {along} in the table, scores and seconds are interpolated, linearly in the "
            "logarithm of what is above 0"
        )
    elif between == "nearest" and along:
        yield f"data: between two values of {along} in the table, the training of the nearer one answers"
    if table.test_scores is None:
        yield (
            "metric: the table has no test scores: what is called a test score is the validation score of the seeds "
            "that confirm"
        )
    if not table.seeds:
        yield (
            "seeds: the table has one training of every configuration, without seeds: the score of a search's choice "
            "is the one that it was chosen by, and so too good"
        )


def _configs(study: Study) -> Iterator[tuple[str, TrainConfig]]:
    """Yield a training of every place of the study with every seed that it uses, at the middle of what is searched."""
    tune = study.baseline.tune
    tuned = {} if tune is None else middles(tune.space)
    yield from _with_seeds(study, "baseline", baseline_config(study.baseline, study.recipe, tuned), study.epochs)
    for position, arm in enumerate(study.arms):
        definition = study.baseline_of(arm)
        params = {} if definition.tune is None else middles(definition.tune.space)
        for batch_size in study.batch_sizes:
            if arm.method in SPACE_METHODS:
                points = _points(study, arm, batch_size)
                configs = [search_config(study, arm, point, batch_size=batch_size) for point in points]
            elif arm.is_search:
                continue
            else:
                configs = [rule_config(study, arm, params, batch_size=batch_size, epochs=study.epochs_of(arm))]
            for found in configs:
                yield from _with_seeds(study, f"arms[{position}] ({arm.name})", found, study.epochs_of(arm))


def _points(study: Study, arm: ArmDefinition, batch_size: int) -> list[dict[str, OptionValue]]:
    """Return the middle of what an arm searches, of every solver if it searches the solver."""
    if not searches_solver(arm):
        return [middles(arm.space)]
    return [{OPTIMIZER: name, **middles(space)} for name, space in solver_spaces(study, arm, batch_size).items()]


def _with_seeds(study: Study, place: str, found: Configuration, epochs: int) -> Iterator[tuple[str, TrainConfig]]:
    for seed in (study.search_seed, *study.seeds):
        yield (
            place,
            TrainConfig(
                application=study.application,
                data=study.data.source,
                batch_size=found.batch_size,
                epochs=epochs,
                schedule=found.schedule,
                optimizer=found.optimizer,
                seed=seed,
                data_options=study.data_options(),
                model_options=study.model_options(found.model_options),
                recipe=found.recipe,
            ),
        )
