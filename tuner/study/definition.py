"""The models of a study definition: its keys, their types and what a single value may be.

What several values must be to each other is in `tuner.study.checks`. Everything is frozen, and an unknown key is an
error. This module must not know files or lines.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from ...trainers.applications import APPLICATIONS
from ...trainers.applications.registry import application_digest, find_application
from ...trainers.scaling import RULES, OnLongWarmup
from ...trainers.spec import DecaySpec, OptimizerSpec, OptionValue, Recipe
from ...trainers.tables import UnknownName, lookup
from ..trial import canonical_json
from .default_space import DEFAULT_SPACE, fill_in_default_spaces
from .fields import (
    AscendingCounts,
    Count,
    Name,
    NotNegative,
    OneLine,
    Positive,
    Pruner,
    Seed,
    Seeds,
    Share,
    StudyName,
    TrackingURI,
    Trials,
    is_stored,
)
from .parts import Budget, DataDefinition, Definition, Resources
from .values import (
    DecayValue,
    OptimizerValue,
    OptionPlain,
    OptionValues,
    ParamValue,
    RecipeValue,
    WarmupValue,
    option_to_plain,
)

SEARCH_METHODS: Final = ("grid", "random", "optuna", "defaults")
"""Methods that search; every other method of an arm is a rule of `trainers.scaling.RULES`."""

SPACE_METHODS: Final = ("grid", "random", "optuna")
"""Methods that search a space; `defaults` tries the configurations of `tuner.study.defaults.DEFAULTS`."""

RULE_OPTIMIZERS: Final = {"date": "date"}
"""Rules that bring their own optimizer (DATE, Algorithm 1, is a schedule and a solver); others take the baseline's."""

KEYS_OF: Final = {
    "trials": ("random", "optuna", "defaults"),
    "space": SPACE_METHODS,
    "fixed": SPACE_METHODS,
    "repeats": ("random", "optuna"),
    "pruner": ("optuna",),
    "parallel": ("optuna",),
    "baseline": tuple(RULES),
    "on_long_warmup": tuple(RULES),
}
"""Keys of an arm that only some methods take; all others have no effect there."""

UNFIXED_KEYS: Final = ("question", "resources", "budget", "tracking_uri")
"""Keys that do not change what any trial learns, so that they may differ when a study is resumed."""


def _known_method(name: str) -> str:
    lookup("method", dict.fromkeys((*SEARCH_METHODS, *RULES)), name)
    return name


def _known_application(name: str, info: ValidationInfo) -> str:
    if is_stored(info):
        return name
    try:
        find_application(name)
    except UnknownName as error:
        raise ValueError(f"{error} Your own comes in with --app FILE.py:{name}.") from None
    return name


class SearchDefinition(Definition):
    """How hyperparameters are searched.

    Attributes:
        method: a name in `SEARCH_METHODS`; in an arm also a rule.
        trials: number of configurations, for random, optuna and defaults; a grid has as many as its space spans.
        space: ranges by hyperparameter: lr, warmup_epochs, warmup, warmup_start, decay, label_smoothing, clip_norm and
            the optimizer's options. The word `default`, in an arm, stands for `tuner.study.default_space`.
        pruner: early stopping, for optuna.
        parallel: proposals a round, for optuna. A proposal rests on earlier rounds only, so that the results do not
            depend on the number of workers.
    """

    method: Annotated[str, AfterValidator(_known_method)]
    trials: Trials | None = None
    space: dict[str, ParamValue] = Field(default_factory=dict)
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
        """Whether trials are spent on choosing; False for a rule."""
        return self.method in SEARCH_METHODS


class TuneDefinition(SearchDefinition):
    """How the baseline is tuned at its own batch size. Billed on a line of its own."""


class ScheduleDefinition(Definition):
    """The schedule of a baseline, stated or tuned.

    An arm's `baseline` is one of these: what it leaves out is the study's baseline's. An arm that states its own `lr`,
    or its own `tune`, takes no part in tuning the study's baseline.

    Attributes:
        lr: lr0; None where `tune` searches it.
        warmup_epochs: w0, epochs.
        warmup: a name in `trainers.schedules.WARMUPS`.
        warmup_start: learning rate at the beginning of the warm-up over lr0; rules keep that learning rate.
        decay: what follows the warm-up.
        tune: how the study itself tunes the baseline at B0; None where it is stated.
    """

    lr: Positive | None = None
    warmup_epochs: NotNegative = 0.0
    warmup: WarmupValue = "linear"
    warmup_start: Share = 0.0
    decay: DecayValue = DecaySpec()
    tune: TuneDefinition | None = None


class BaselineDefinition(ScheduleDefinition):
    """The small-batch configuration that rules start from.

    Attributes:
        batch_size: B0, samples.
        optimizer: the optimizer; options left out have its defaults.
    """

    batch_size: Count
    optimizer: OptimizerValue


class ArmDefinition(SearchDefinition):
    """One way of finding the configuration of every batch size.

    Attributes:
        name: of the arm, unique in the study.
        optimizer: the solver; None for the baseline's, for `date` the optimizer of that name.
        fixed: values of hyperparameters that are not searched.
        baseline: where a rule starts from something else than the study's baseline.
        on_long_warmup: what a rule does where its warm-up would outlast the run.
        epochs: of the arm's trials; None for the study's. An arm that trains longer is billed for it.
        repeats: how often a search that draws is run in all, each time with draws and a seed of its own. The first is
            the arm's search; the others choose nothing and show how much its outcome varies.
    """

    name: Name
    optimizer: OptimizerValue | None = None
    epochs: Count | None = None
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    fixed: dict[str, OptionPlain] = Field(default_factory=dict)
    baseline: ScheduleDefinition | None = None
    on_long_warmup: OnLongWarmup = "error"


class Study(Definition):
    """A study definition, all defaults filled in.

    Attributes:
        name: of the study, its folder and its records.
        question: one sentence; empty where there is none.
        application: a name in `trainers.applications.APPLICATIONS`.
        data: where the samples come from.
        model: sizes of the application's model, as stated; those left out have the application's defaults.
        epochs: of every trial.
        batch_sizes: target batch sizes, ascending.
        seeds: of the confirmation runs.
        search_seed: of every search trial and of every search method.
        reference: the tuned arm that the others are compared with.
        margin: share of the reference's score that counts as a match, in (0, 1].
        baseline: what rules start from.
        recipe: clipping, label smoothing, ghost batches, micro-batches and precision of every trial.
        arms: in the order of the report.
        resources: of a trial.
        budget: of the search.
        tracking_uri: MLflow server or database; None for the local store.
    """

    name: StudyName
    question: OneLine = ""
    application: Annotated[str, AfterValidator(_known_application)]
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
    tracking_uri: TrackingURI | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in_defaults(cls, content: Any) -> Any:
        """Epochs and data source are the application's where they are not stated."""
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
        """The arm of that name; KeyError where there is none."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def epochs_of(self, arm: ArmDefinition) -> int:
        """How long the arm's trials train."""
        return self.epochs if arm.epochs is None else arm.epochs

    def arm_optimizer(self, arm: ArmDefinition) -> OptimizerSpec:
        """The solver that an arm trains with, as stated: options left out are not filled in."""
        if arm.optimizer is not None:
            return arm.optimizer
        if arm.method in RULE_OPTIMIZERS:
            return OptimizerSpec(name=RULE_OPTIMIZERS[arm.method])
        return self.baseline.optimizer

    def baseline_of(self, arm: ArmDefinition) -> BaselineDefinition:
        """What a rule starts from: the study's baseline with the arm's optimizer and the arm's own values.

        Its `tune` is the arm's own, or the study's, or None where the arm states its learning rate.
        """
        own = {} if arm.baseline is None else {key: getattr(arm.baseline, key) for key in arm.baseline.model_fields_set}
        if "lr" in own:
            own.setdefault("tune", None)
        return self.baseline.model_copy(update={"optimizer": self.arm_optimizer(arm), **own})

    def has_own_tune(self, arm: ArmDefinition) -> bool:
        """Whether the arm's baseline is tuned on its own, not together with the study's."""
        return arm.baseline is not None and arm.baseline.tune is not None

    def model_options(self) -> dict[str, OptionValue]:
        """The model's options, with the application's defaults of those left out."""
        return APPLICATIONS[self.application].model_options.complete("model", self.model)

    def data_options(self) -> dict[str, OptionValue]:
        """The data source's options, with its defaults of those left out."""
        source = APPLICATIONS[self.application].data_sources[self.data.source]
        return source.options.complete("data", self.data.options)

    def resolved(self) -> dict[str, Any]:
        """The whole definition with every default written out, as JSON can hold it."""
        plain = self.model_dump(mode="json")
        plain["model"] = _as_plain(self.model_options())
        plain["data"] = {"source": self.data.source, "folder": self.data.folder, **_as_plain(self.data_options())}
        baseline = _without_ineffective(plain["baseline"])
        first = {key: baseline[key] for key in ("batch_size", "optimizer")}  # pydantic has a base class's keys first
        plain["baseline"] = {**first, **baseline}
        plain["arms"] = [_resolved_arm(self, arm) for arm in self.arms]
        return plain

    def content(self) -> dict[str, Any]:
        """What fixes the results: the resolved definition without question, resources, budget, folder and URI.

        An application that is not shipped is fixed by its code too, as `application_code`.
        """
        plain = {key: value for key, value in self.resolved().items() if key not in UNFIXED_KEYS}
        code = application_digest(self.application)
        own = {} if code is None else {"application_code": code}
        return {**plain, "data": {"source": self.data.source, **_as_plain(self.data_options())}, **own}

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits of the content."""
        return hashlib.sha256(canonical_json(self.content()).encode()).hexdigest()[:12]


def _as_plain(options: Mapping[str, OptionValue]) -> dict[str, Any]:
    return {name: option_to_plain(value) for name, value in options.items()}


def _resolved_arm(study: Study, arm: ArmDefinition) -> dict[str, Any]:
    """An arm with its optimizer written out and without the keys its method does not take."""
    written_out = arm.model_copy(update={"optimizer": study.arm_optimizer(arm)})
    plain = _without_ineffective(written_out.model_dump(mode="json"))
    if arm.baseline is not None:
        stated = {key: plain["baseline"][key] for key in sorted(arm.baseline.model_fields_set)}
        plain["baseline"] = _without_ineffective(stated)
    return plain


def _without_ineffective(plain: dict[str, Any]) -> dict[str, Any]:
    """Drops, from an arm, a baseline and its tune, the keys that the method does not take."""
    if plain.get("tune"):
        plain = {**plain, "tune": _without_ineffective(plain["tune"])}
    method = plain.get("method")
    return {key: value for key, value in plain.items() if method is None or method in KEYS_OF.get(key, (method,))}
