"""Pydantic models of a study definition: its keys, their types and the allowed single values.

`tuner.study.checks` checks values against each other. Everything is frozen, and an unknown key is an error. This module
must not know files or lines.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator, model_validator

from ...trainers.applications import APPLICATIONS
from ...trainers.applications.registry import application_digest, find_application
from ...trainers.scaling import RULES, OnLongWarmup
from ...trainers.spec import DecaySpec, OptimizerSpec, OptionValue, Recipe
from ...trainers.tables import lookup
from ..trial import canonical_json
from .baseline_keys import TieKeys
from .comprehensive import TRIALS, searches_solver, solvers_of
from .default_space import DEFAULT_SPACE, fill_in_default_spaces
from .fields import (
    AscendingCounts,
    Count,
    Name,
    NotNegative,
    Objectives,
    OneLine,
    Positive,
    Pruner,
    Sampler,
    Seed,
    Seeds,
    Share,
    StartFrom,
    StudyName,
    Terminator,
    TrackingURI,
    Trials,
)
from .methods import COMPREHENSIVE, RULE_OPTIMIZERS, SEARCH_METHODS, UNFIXED_KEYS, without_ineffective
from .parts import Budget, DataDefinition, Definition, PriceDefinition, Resources
from .stopping import StopDefinition, complete_stop
from .values import (
    ApplicationName,
    DecayValue,
    OptimizerValue,
    OptionPlain,
    OptionValues,
    ParamValue,
    RecipeValue,
    SolversValue,
    WarmupValue,
    options_to_plain,
)


def _known_method(name: str) -> str:
    lookup("method", dict.fromkeys((*SEARCH_METHODS, *RULES)), name)
    return name


class SearchDefinition(Definition):
    """Search of hyperparameters.

    Attributes:
        method: a name in `SEARCH_METHODS`; in an arm also a rule.
        trials: number of configurations. A grid has as many as its space spans; if it is left out, defaults has all of
            them, and comprehensive `tuner.study.comprehensive.TRIALS`.
        space: ranges by hyperparameter: lr, warmup_epochs, warmup, warmup_start, decay, label_smoothing, clip_norm and
            the optimizer's options, and `model.NAME` for the model's. In an arm, `default` stands for
            `tuner.study.default_space`.
        sampler: Optuna's sampler, for optuna (`tuner.search.optuna_search.SAMPLERS`).
        pruner: early stopping, for optuna and gp.
        parallel: proposals of a round, for optuna and gp. A proposal depends on earlier rounds only, so that results do
            not depend on the number of workers.
    """

    method: Annotated[str, AfterValidator(_known_method)]
    trials: Trials | None = None
    space: dict[str, ParamValue] = Field(default_factory=dict)
    sampler: Sampler = "tpe"
    pruner: Pruner = "none"
    parallel: Annotated[int, Field(ge=1, le=1000)] = 4

    @field_validator("space", mode="before")
    @classmethod
    def _was_written_out(cls, space: Any) -> Any:
        if space == DEFAULT_SPACE:
            raise ValueError(
                "the default space rests on the learning rate of the study's baseline, and is for arms with its "
                "optimizer: state or search baseline.lr, or write the space out"
            )
        return space

    @property
    def is_search(self) -> bool:
        """Whether the method spends trials on a choice; False for a rule."""
        return self.method in SEARCH_METHODS


class TuneDefinition(SearchDefinition, TieKeys):
    """Search of a baseline at B0."""


class ScheduleDefinition(Definition):
    """Schedule of a baseline, stated or tuned.

    In an arm's `baseline`, keys that are left out have the values of the study's baseline. An arm with its own `lr` or
    `tune` does not use what the study's tuning chose.

    Attributes:
        lr: lr0; None if `tune` searches it.
        warmup_epochs: w0, epochs.
        warmup: a name in `trainers.schedules.WARMUPS`.
        warmup_start: initial learning rate of the warm-up over lr0; scaling rules keep that learning rate.
        tune: search that tunes the baseline at B0, which is billed separately; None if the baseline is stated.
    """

    lr: Positive | None = None
    warmup_epochs: NotNegative = 0.0
    warmup: WarmupValue = "linear"
    warmup_start: Share = 0.0
    decay: DecayValue = DecaySpec()
    tune: TuneDefinition | None = None


class BaselineDefinition(ScheduleDefinition):
    """Small-batch configuration that rules start from, with the keys of its schedule.

    Attributes:
        batch_size: B0, samples.
        optimizer: the optimizer; options left out have its defaults.
    """

    batch_size: Count
    optimizer: OptimizerValue


class ArmDefinition(SearchDefinition):
    """Arm of a study: one way to choose the configuration at every batch size, with the keys of its search.

    Attributes:
        name: name of the arm, unique in the study.
        optimizer: optimizer; None for the baseline's, for the rule `date` the optimizer of that name.
        epochs: epochs of the arm's trials; None for the study's. An arm that trains longer is billed for it.
        repeats: how often the search is run, with other proposals and another seed each time; each choice is confirmed.
        start_from: neighbour, to try first the arm's choice at the next smaller batch size, scaled by sqrt; or None.
        solvers: optimizers that a search tries, each with ranges of its own beside `space`; None for the arm's
            optimizer alone, for comprehensive for the baseline's and `tuner.study.comprehensive.SOLVERS`.
        fixed: values of hyperparameters that are not searched.
        objectives: "score" and a cost of `tuner.study.fields.COSTS`, for optuna and gp, which then search the front of
            both (`tuner.analysis.economy` chooses); None for the score alone.
        stop: when the search ends early, since the trials left hardly beat an arm that needs no tuning; None for never.
        terminator: Optuna's stopping rule, "regret_bound" (`tuner.search.terminator`); None for none.
        baseline: what a rule starts from, as far as it differs from the study's baseline.
        on_long_warmup: what a rule does if its warm-up is as long as the run.
        guard: most short trainings at B that correct a rule's learning rate (`tuner.search.guard`).
        exponent: p of the rule power, a of saturating; None for the rule's default.
        noise_batch_size: Bn of the rules surge and saturating, samples.
    """

    name: Name
    optimizer: OptimizerValue | None = None
    epochs: Count | None = None
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    start_from: StartFrom | None = None
    solvers: SolversValue | None = None
    fixed: dict[str, OptionPlain] = Field(default_factory=dict)
    objectives: Objectives | None = None
    stop: StopDefinition | None = None
    terminator: Terminator | None = None
    baseline: ScheduleDefinition | None = None
    on_long_warmup: OnLongWarmup = "error"
    guard: Annotated[int, Field(ge=0, le=10)] = 0
    exponent: float | None = None
    noise_batch_size: Positive | None = None

    @property
    def rule_numbers(self) -> dict[str, float]:
        """The numbers that are stated for the rule."""
        stated = {"exponent": self.exponent, "noise_batch_size": self.noise_batch_size}
        return {name: value for name, value in stated.items() if value is not None}


class Study(Definition):
    """Definition of a study, with all defaults filled in.

    Attributes:
        name: name of the study, its folder and its records.
        question: the question that it answers, one sentence; may be empty.
        application: a name in `trainers.applications.APPLICATIONS`.
        model: sizes of the application's model, as stated; the application has defaults for those left out.
        batch_sizes: target batch sizes, ascending.
        seeds: seeds of the confirmation runs.
        search_seed: seed of every search trial and of every search method.
        reference: name of the tuned arm that the others are compared with.
        margin: fraction of the baseline's score that counts as a match, in (0, 1].
        arms: arms, in the order of the report.
        tracking_uri: MLflow server or database; None for the local store.
    """

    name: StudyName
    question: OneLine = ""
    application: ApplicationName
    data: DataDefinition
    model: OptionValues = Field(default_factory=dict)
    epochs: Count
    batch_sizes: AscendingCounts
    seeds: Seeds
    search_seed: Seed = 0
    reference: str
    margin: Annotated[float, Field(gt=0, le=1)] = 0.995
    baseline: BaselineDefinition
    recipe: RecipeValue = Recipe()
    arms: Annotated[tuple[ArmDefinition, ...], Field(strict=False, min_length=1, max_length=100)]
    resources: Resources = Resources()
    budget: Budget = Budget()
    prices: PriceDefinition = PriceDefinition()
    tracking_uri: TrackingURI | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in_defaults(cls, content: Any) -> Any:
        """Take epochs and data source from the application if they are not stated."""
        if not isinstance(content, dict):
            return content
        name = content.get("application")
        try:
            application = find_application(name) if isinstance(name, str) else None
        except ValueError:
            application = None
        # An unknown application is reported once, not once more for each of its defaults.
        epochs, source = (application.epochs, next(iter(application.data_sources))) if application else (1, "")
        data = content.get("data", {})
        content = {**({} if epochs is None else {"epochs": epochs}), **content}
        return {
            **fill_in_default_spaces(content, application),
            "data": {"source": source, **data} if isinstance(data, dict) else data,
        }

    def arm(self, name: str) -> ArmDefinition:
        """Return the arm of that name; KeyError if there is none."""
        return {arm.name: arm for arm in self.arms}[name]

    def epochs_of(self, arm: ArmDefinition) -> int:
        """Return the epochs of the arm's trials."""
        return self.epochs if arm.epochs is None else arm.epochs

    def arm_optimizer(self, arm: ArmDefinition) -> OptimizerSpec:
        """Return the optimizer of an arm as stated; options left out are not filled in."""
        if arm.optimizer is not None:
            return arm.optimizer
        if arm.method in RULE_OPTIMIZERS:
            return OptimizerSpec(name=RULE_OPTIMIZERS[arm.method])
        return self.baseline.optimizer

    def baseline_of(self, arm: ArmDefinition) -> BaselineDefinition:
        """Return what an arm's rule starts from: the study's baseline with the arm's optimizer and stated values.

        Its `tune` is the arm's own or the study's, and None if the arm states its learning rate.
        """
        own = {} if arm.baseline is None else {key: getattr(arm.baseline, key) for key in arm.baseline.model_fields_set}
        if "lr" in own:
            own.setdefault("tune", None)
        return self.baseline.model_copy(update={"optimizer": self.arm_optimizer(arm), **own})

    def has_own_tune(self, arm: ArmDefinition) -> bool:
        """Return whether the arm tunes a baseline of its own."""
        return arm.baseline is not None and arm.baseline.tune is not None

    def model_options(self, chosen: Mapping[str, OptionValue] = MappingProxyType({})) -> dict[str, OptionValue]:
        """Return the model's options, those `chosen` by a search first, with the application's defaults filled in."""
        return APPLICATIONS[self.application].model_options.complete("model", {**self.model, **chosen})

    def data_options(self) -> dict[str, OptionValue]:
        """Return the data source's options with its defaults filled in."""
        source = APPLICATIONS[self.application].data_sources[self.data.source]
        return source.options.complete("data", self.data.options)

    def resolved(self) -> dict[str, Any]:
        """Return the definition with every default written out, as plain JSON values."""
        plain = self.model_dump(mode="json")
        plain["model"] = options_to_plain(self.model_options())
        data = {"source": self.data.source, "folder": self.data.folder}
        plain["data"] = {**data, **options_to_plain(self.data_options())}
        baseline = without_ineffective(plain["baseline"])
        first = {key: baseline[key] for key in ("batch_size", "optimizer")}  # pydantic has a base class's keys first
        plain["baseline"] = {**first, **baseline}
        plain["arms"] = [_resolved_arm(self, arm) for arm in self.arms]
        return plain

    def content(self) -> dict[str, Any]:
        """Return what determines the results: the resolved definition without `UNFIXED_KEYS` and the data folder.

        For a user application it includes a digest of its code, as `application_code`.
        """
        plain = {key: value for key, value in self.resolved().items() if key not in UNFIXED_KEYS}
        code = application_digest(self.application)
        own = {} if code is None else {"application_code": code}
        return {**plain, "data": {"source": self.data.source, **options_to_plain(self.data_options())}, **own}

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits of the content."""
        return hashlib.sha256(canonical_json(self.content()).encode()).hexdigest()[:12]


def _resolved_arm(study: Study, arm: ArmDefinition) -> dict[str, Any]:
    """Return an arm with its optimizer written out and without keys that have no effect with its method."""
    optimizer = None if searches_solver(arm) else study.arm_optimizer(arm)
    written_out = arm.model_copy(update={"optimizer": optimizer, "stop": complete_stop(study, arm)})
    if arm.method == COMPREHENSIVE:
        solvers = {solver: (arm.solvers or {}).get(solver, {}) for solver in solvers_of(study, arm)}
        stated = {"solvers": solvers, "trials": arm.trials or TRIALS}
        written_out = written_out.model_copy(update=stated)
    plain = without_ineffective(written_out.model_dump(mode="json"))
    if arm.baseline is not None:
        stated = {key: plain["baseline"][key] for key in sorted(arm.baseline.model_fields_set)}
        plain["baseline"] = without_ineffective(stated)
    return plain
