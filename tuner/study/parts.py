"""The parts of a study that no method searches: data, recipe, resources and budget, and what all parts have in common.

This module must not know arms, baselines or the study they stand in.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .fields import Count, NotNegative, Packing, Positive, Seconds
from .values import OptionValues


class Definition(BaseModel):
    """A part of a study: frozen, no unknown keys, no conversion of types but of whole numbers to decimals."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class DataDefinition(Definition):
    """The data; every key besides `source` and `folder` is an option of the source.

    Attributes:
        source: one of the application's data sources.
        folder: the folder that holds its files; None for the source's own.
        options: of the source, as stated.
    """

    source: str
    folder: str | None = None
    options: OptionValues = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        own = {key: value for key, value in content.items() if key in ("source", "folder")}
        return {**own, "options": {key: value for key, value in content.items() if key not in own}}


class Resources(Definition):
    """What a trial holds while it runs, and how many share it.

    Attributes:
        cpus_per_trial: cores, and torch threads, of each of its workers.
        gpus_per_trial: GPUs of each; below 1, several trials share one.
        workers_per_trial: processes that train a trial together, each with its share of every batch
            (`trainers.distributed.data_parallel`); scores are those of one worker but for rounding.
        max_concurrent: most trials at once; None for as many as fit.
        packing: how many trials a worker trains at once as one stacked model (`trainers.packing.packed_training`): 1 to
            128; "off" for one; "auto" for what a measurement on the device finds fastest. Scores differ from those of
            training alone by rounding, which a timing then decides: so it is off unless asked for.
        time_limit: seconds that an attempt at a trial may take, after which it has failed; None for no limit.
    """

    cpus_per_trial: Count = 1
    gpus_per_trial: NotNegative = 0.0
    workers_per_trial: Annotated[int, Field(ge=1, le=4096)] = 1
    max_concurrent: Count | None = None
    packing: Packing = "off"
    time_limit: Seconds | None = None


class Budget(Definition):
    """Searching stops when this is spent; confirmation runs of what was found are still made.

    Trials whose results are taken over from earlier trainings count as if they were trained: the same study chooses the
    same, whatever lies in the store.
    """

    trials: Count | None = None
    device_seconds: Positive | None = None
