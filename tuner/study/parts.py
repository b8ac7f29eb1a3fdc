"""Parts of a study that no method searches: data, resources, budget and prices, and the base class of all parts.

This module must not know arms, baselines or the study they stand in.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .fields import Count, Currency, NotNegative, Packing, Positive, Price, Seconds, Watts
from .values import OptionValues


class Definition(BaseModel):
    """Base class of a part of a study: frozen, without unknown keys; of all types only int converts, to float."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class DataDefinition(Definition):
    """Data of a study. Every key besides `source` and `folder` is an option of the source.

    Attributes:
        folder: folder of its files; None for the source's own.
        options: options of the source, as stated.
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
    """Resources of a trial.

    Attributes:
        cpus_per_trial: cores, and torch threads, of each worker.
        gpus_per_trial: GPUs of each worker; below 1, several trials share a GPU.
        workers_per_trial: processes that train a trial together, each on its local batch
            (`trainers.distributed.data_parallel`); scores equal those of one worker up to rounding.
        max_concurrent: most trials at once; None for as many as fit.
        packing: trials that a worker trains at once as one stacked model (`trainers.packing.packed_training`), 1 to
            128; "off" for one; "auto" for the number that a measurement on the device finds fastest. Scores then
            depend on the number by rounding, and with "auto" on a measurement, so it is off by default.
        time_limit: seconds after which an attempt at a trial fails; None for no limit.
    """

    cpus_per_trial: Count = 1
    gpus_per_trial: NotNegative = 0.0
    workers_per_trial: Annotated[int, Field(ge=1, le=4096)] = 1
    max_concurrent: Count | None = None
    packing: Packing = "off"
    time_limit: Seconds | None = None


class Budget(Definition):
    """Budget of the searches. Once it is spent no search trial starts; choices are still confirmed.

    Reused results count as if they had been trained, so that a study makes the same choices whatever its store holds.

    Attributes:
        trials: search trials of the whole study; None for no limit.
        device_seconds: device-seconds of the whole study; None for no limit.
    """

    trials: Count | None = None
    device_seconds: Positive | None = None


class PriceDefinition(Definition):
    """Prices of what the study spends; what is not stated is not shown. They change no training and no verdict.

    Attributes:
        device_hour: price of a device for an hour.
        currency: of `device_hour`, such as EUR.
        watts: mean power of a device. It estimates energy where no meter counts it.
        gco2_per_kwh: grams of CO2 that the grid emits for a kilowatt-hour.
    """

    device_hour: Price | None = None
    currency: Currency | None = None
    watts: Watts | None = None
    gco2_per_kwh: Price | None = None

    @model_validator(mode="after")
    def _names_the_currency(self) -> "PriceDefinition":
        if self.device_hour is not None and self.currency is None:
            raise ValueError(f"states device_hour {self.device_hour:g} of no currency: add one, such as currency: EUR")
        if self.device_hour is None and self.currency is not None:
            raise ValueError(f"states the currency {self.currency} of no price: add device_hour, or leave it out")
        return self
