"""Check the parts of a study against each other before anything is trained.

Every configuration of a rule is built here, and every search at the ends of its ranges. So a study that loads does not
stop halfway because of a mistake in its file.
"""

from collections.abc import Iterator, Mapping

from ...trainers.applications import APPLICATIONS
from ...trainers.models.ghost_batch_norm import ghost_batch_sizes
from ...trainers.options import Options
from ...trainers.recipe import ghost_problems, recipe_problems
from ...trainers.scaling import RULES
from ...trainers.spec import Configuration, OptionValue
from ...trainers.tables import UnknownName, lookup
from .baseline_checks import carrying_problems
from .comprehensive import searches_solver
from .configure import baseline_config, rule_config, search_config
from .definition import ArmDefinition, BaselineDefinition, SearchDefinition, Study
from .lr_factor import with_lr_factor
from .methods import KEYS_OF, SPACE_METHODS
from .search_space import largest, middle
from .solver_checks import solver_problems
from .space_checks import Problem, check_training, name_problems, range_problems, space_problems
from .stopping import stop_problems
from .yaml_file import Location


def find_problems(study: Study) -> list[Problem]:
    """Return everything that is wrong with a study whose single values are valid; empty if it can be run."""
    found = [*_setup_problems(study), *_choice_problems(study), *_recipe_problems(study), *_reference_problems(study)]
    found += _baseline_problems(study, study.baseline, study.baseline.model_fields_set, ("baseline",))
    found += carrying_problems(study)
    for position, arm in enumerate(study.arms):
        where = ("arms", position)
        found += _key_problems(arm, where)
        found += _search_problems(study, arm, where) if arm.is_search else _rule_problems(study, arm, where)
    if found:
        return found  # a rule needs a valid baseline
    rules = [(("arms", position), arm) for position, arm in enumerate(study.arms) if not arm.is_search]
    return [problem for where, arm in rules for problem in _scaled_problems(study, arm, where)]


def _setup_problems(study: Study) -> Iterator[Problem]:
    """Check data, model, batch sizes, seeds and resources. Workers have whole devices of their own, and no packs."""
    application = APPLICATIONS[study.application]
    try:
        source = lookup("data source", application.data_sources, study.data.source)
    except UnknownName as error:
        yield ("data", "source"), str(error)
    else:
        yield from _option_problems(source.options, study.data.options, f"data source {study.data.source!r}", "data")
        if study.data.folder is None and source.num_train is not None:
            yield from size_problems(study, source.num_train)
    yield from _model_problems(study)
    if study.search_seed in study.seeds:
        yield ("seeds",), f"holds {study.search_seed}, the search_seed, but a confirmation must be a fresh run"
    resources, several = study.resources, study.resources.workers_per_trial > 1
    if not resources.gpus_per_trial.is_integer() and (several or resources.gpus_per_trial > 1):
        rule = "whole where a trial has several workers" if several else "whole above 1"
        yield ("resources", "gpus_per_trial"), f"must be {rule}, got {resources.gpus_per_trial:g}"
    if several and resources.packing not in ("off", 1):
        message = f"must be off where a trial has several workers, got {resources.packing}"
        yield ("resources", "packing"), message


def _model_problems(study: Study) -> Iterator[Problem]:
    """Check the sizes of the model one by one, then together by building the model's outline."""
    application = APPLICATIONS[study.application]
    found = list(_option_problems(application.model_options, study.model, f"model of {study.application!r}", "model"))
    yield from found
    if study.model and not found:
        try:
            application.meta_model(study.model)
        except ValueError as error:
            yield ("model",), str(error)


def _holds_out(study: Study) -> bool:
    """Return whether no training sample is a validation sample; True for an unknown source."""
    source = APPLICATIONS[study.application].data_sources.get(study.data.source)
    return source is None or source.holds_out


def _choice_problems(study: Study) -> Iterator[Problem]:
    """Refuse searches on data whose validation samples are trained on: they would select for memorisation."""
    if _holds_out(study):
        return
    searches: list[tuple[Location, SearchDefinition | None]] = [(("baseline", "tune"), study.baseline.tune)]
    for position, arm in enumerate(study.arms):
        searches.append((("arms", position), arm if arm.is_search else None))
        searches.append((("arms", position, "baseline", "tune"), arm.baseline.tune if arm.baseline else None))
    for where, search in searches:
        if search is not None:
            yield (
                where,
                f"searches, but data source {study.data.source!r} trains on its validation samples too, so nothing may "
                "be chosen by them: use arms that are rules, with values found on a source that holds samples out",
            )


def size_problems(study: Study, num_train: int) -> Iterator[Problem]:
    """Yield the batch sizes above the number of training samples, which for some sources only their files tell."""
    # The sizes were sorted, so their positions may differ from those in the file.
    sizes: list[tuple[Location, int]] = [(("batch_sizes",), batch_size) for batch_size in study.batch_sizes]
    sizes.append((("baseline", "batch_size"), study.baseline.batch_size))
    for where, batch_size in sizes:
        if batch_size > num_train:
            yield where, f"{batch_size} is above the {num_train} training samples of {study.data.source!r}"


def _option_problems(known: Options, given: Mapping[str, OptionValue], owner: str, key: str) -> Iterator[Problem]:
    """Yield options of the model or the data that are unknown, of the wrong kind or out of range."""
    for name, value in given.items():
        try:
            known.complete(owner, {name: value})
        except ValueError as error:
            yield (key, name), str(error)


def _recipe_problems(study: Study) -> Iterator[Problem]:
    """Check the recipe: its values, whether the application supports them, and sizes that split no batch."""
    application, recipe = APPLICATIONS[study.application], study.recipe
    found = [*recipe_problems(recipe, application)]
    if not [*_model_problems(study)]:
        found += ghost_problems(recipe, application, study.model, study.resources.workers_per_trial)
    largest_batch = max(*study.batch_sizes, study.baseline.batch_size)
    sizes = {"ghost_batch_size": recipe.ghost_batch_size, "micro_batch_size": recipe.micro_batch_size}
    for field, size in sizes.items():
        if not found and isinstance(size, int) and len(ghost_batch_sizes(largest_batch, size)) == 1:
            found.append((field, f"has no effect: {size} splits no batch size of the study (at most {largest_batch})"))
    yield from ((("recipe", field), message) for field, message in found)


def _reference_problems(study: Study) -> Iterator[Problem]:
    """Check the names of the arms and the reference."""
    arms: dict[str, ArmDefinition] = {}
    for position, arm in enumerate(study.arms):
        if arm.name in arms:
            yield ("arms", position, "name"), f"{arm.name!r} is the name of two arms"
        if arm.name == "baseline":
            yield ("arms", position, "name"), "'baseline' is the study's own baseline: choose another name"
        arms.setdefault(arm.name, arm)
    try:
        reference = lookup("arm", arms, study.reference)
    except UnknownName as error:
        yield ("reference",), str(error)
    else:
        if not reference.is_search and _holds_out(study):
            yield ("reference",), f"must be an arm that searches, but {reference.name!r} is the rule {reference.method}"


def _key_problems(search: SearchDefinition, where: Location) -> Iterator[Problem]:
    """Yield keys that have no effect with the method."""
    for key in KEYS_OF:
        if key in search.model_fields_set and search.method not in KEYS_OF[key]:
            takers = ", ".join(KEYS_OF[key])
            yield (*where, key), f"has no effect with method {search.method}: leave it out (for {takers})"


def _search_problems(study: Study, arm: ArmDefinition, where: Location) -> Iterator[Problem]:
    """Check an arm that searches."""
    optimizer = study.arm_optimizer(arm)
    if arm.method not in SPACE_METHODS and arm.optimizer is not None:
        yield (*where, "optimizer"), f"has no effect with method {arm.method}, which brings its own"
    yield from stop_problems(study, arm, where)
    if searches_solver(arm):
        yield from solver_problems(study, arm, where)
        return
    found = list(space_problems(study, arm, optimizer.name, where))
    if arm.method not in SPACE_METHODS:
        yield from found
        return
    found += name_problems(study, arm.fixed, optimizer.name, (*where, "fixed"))
    found += [
        ((*where, "fixed", name), "is also in space: a value is either fixed or searched")
        for name in arm.fixed
        if name in arm.space
    ]
    found += [
        ((*where, "optimizer"), f"option {name!r} is also in space or fixed: state it once")
        for name in (arm.optimizer.options if arm.optimizer else ())
        if name in arm.space or name in arm.fixed
    ]
    if "lr" not in arm.space and "lr" not in arm.fixed:
        found.append(((*where, "space"), "lr is neither searched nor fixed: put it in space, or in fixed"))
    found += _objective_problems(study, arm, where)
    epochs = study.epochs_of(arm)
    yield from found or range_problems(
        study,
        arm.space,
        lambda params: search_config(study, arm, params, batch_size=study.batch_sizes[0]),
        (*where, "space"),
        epochs=epochs,
    )


def _objective_problems(study: Study, arm: ArmDefinition, where: Location) -> Iterator[Problem]:
    """Refuse a cost that a table of past trainings does not tell its trials apart by."""
    is_table = APPLICATIONS[study.application].look_up is not None
    if arm.objectives and is_table and arm.objectives[-1] != "device_seconds":
        yield (
            (*where, "objectives"),
            f"{arm.objectives[-1]} of past trainings in a table are not known or all the same: choose device_seconds, "
            "or leave objectives out",
        )


def _baseline_problems(
    study: Study, definition: BaselineDefinition, stated: set[str], where: Location
) -> Iterator[Problem]:
    """Check a baseline; `stated` are the keys that are given at `where`, the others are the study's baseline's."""
    tune = definition.tune
    if tune is None or "tune" not in stated:
        if definition.lr is None and tune is None:
            yield (*where, "lr"), "is missing: state the baseline's learning rate, or search it in tune.space"
        return
    inside = (*where, "tune")
    if tune.method not in SPACE_METHODS:
        what = "brings its own configurations" if tune.is_search else "is a rule, which tunes nothing"
        yield (*inside, "method"), f"{tune.method!r} {what}: choose one of {', '.join(SPACE_METHODS)}"
        return
    found = [*_key_problems(tune, inside), *space_problems(study, tune, definition.optimizer.name, inside)]
    for name in tune.space:
        # A stated decay with options says what the searched decay of its name is.
        if name in stated and not (name == "decay" and definition.decay.options):
            found.append(((*where, name), "is also searched in tune.space: state it or search it"))
        if name in definition.optimizer.options and "optimizer" in stated:
            found.append(((*where, "optimizer"), f"option {name!r} is also searched in tune.space: state it once"))
    if definition.lr is None and "lr" not in tune.space:
        found.append(((*inside, "space"), "lr is neither stated in the baseline nor searched here"))

    def build(params: Mapping[str, OptionValue]) -> Configuration:
        return baseline_config(definition, study.recipe, params)

    yield from found or range_problems(study, tune.space, build, (*inside, "space"), epochs=study.epochs)


def _rule_problems(study: Study, arm: ArmDefinition, where: Location) -> Iterator[Problem]:
    """Check what an arm's rule starts from."""
    definition = study.baseline_of(arm)
    stated = set() if arm.baseline is None else set(arm.baseline.model_fields_set)
    yield from _ineffective_problems(arm, definition, stated, (*where, "baseline"))
    if stated:
        yield from _baseline_problems(study, definition, stated, (*where, "baseline"))
    if definition.optimizer.name != study.baseline.optimizer.name and not stated & {"lr", "tune"}:
        yield (
            where,
            f"optimizer {definition.optimizer.name!r} is not the baseline's, {study.baseline.optimizer.name!r}, whose "
            "learning rate says nothing about it: give this arm baseline.lr or baseline.tune",
        )


def _ineffective_problems(
    arm: ArmDefinition, definition: BaselineDefinition, stated: set[str], where: Location
) -> Iterator[Problem]:
    """Yield values of an arm's baseline that have no effect."""
    rule = RULES[arm.method]
    if "decay" in stated and rule.decay is not None and definition.decay.name != rule.decay.name:
        yield (
            (*where, "decay"),
            f"has no effect: rule {arm.method!r} brings its own decay, {rule.decay.name!r}; only its options can be "
            "chosen here",
        )
    if "warmup_epochs" in stated and rule.warmup_epochs(0.0, 1.0) == rule.warmup_epochs(1.0, 1.0):
        yield (*where, "warmup_epochs"), f"has no effect: rule {arm.method!r} brings its own warm-up"
    searched = definition.tune.space if definition.tune is not None and "tune" not in stated else {}
    for name in sorted(stated & set(searched)):
        yield (*where, name), "has no effect: the study's baseline.tune searches it"
    for name in arm.optimizer.options if arm.optimizer else ():
        if definition.tune is not None and name in definition.tune.space:
            yield (*where[:-1], "optimizer"), f"option {name!r} has no effect: the baseline's tune searches it"


def _scaled_problems(study: Study, arm: ArmDefinition, where: Location) -> Iterator[Problem]:
    """Build the rule's configuration at every batch size, with tuned values in the middle of their ranges."""
    definition = study.baseline_of(arm)
    params = {} if definition.tune is None else {name: middle(param) for name, param in definition.tune.space.items()}
    if definition.tune is not None and "warmup_epochs" in definition.tune.space:
        # The longest warm-up that tuning may choose must fit.
        params["warmup_epochs"] = largest(definition.tune.space["warmup_epochs"])
    epochs = study.epochs_of(arm)
    for batch_size in study.batch_sizes:
        try:
            scaled = rule_config(study, arm, params, batch_size=batch_size, epochs=epochs)
            lowest = with_lr_factor(scaled, 0.5 ** (arm.guard + 1) if arm.guard else 1.0)
            check_training(lowest.schedule, lowest.optimizer, epochs)
        except ValueError as error:
            yield where, f"arm {arm.name!r}: {error}"
