"""The look-up of an application that is a table: the table, read when it is first needed, and a study's choices."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..data import DataError
from ..spec import TrainConfig, TrainResult
from .table import BETWEEN, Table

ALONG = "lr"
"""Axes for which values between those of the table are answered, unless a study says otherwise."""

UNKNOWN_SIZE = 2**53
"""Stands for a number of training samples that is not known, so that no batch size is refused for it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LookUp:
    """The look-up of an application's trainings.

    Attributes:
        load: reads the table; raises `trainers.data.DataError` if it cannot.
        num_train: training samples; None if not known.
    """

    load: Callable[[], Table]
    num_train: int | None = None

    @cached_property
    def table(self) -> Table:
        """The table, read once."""
        return self.load()

    def __call__(self, config: TrainConfig) -> TrainResult:
        """Return the result of a training.

        Raises:
            NotTabulated: the table does not have it.
        """
        between, along = _choices(config)
        return self.table.look_up(config, between=between, along=along)

    def all_seeds(self, config: TrainConfig) -> NDArray[np.float64]:
        """Return the test scores (S,) of a training on all seeds of the table, infinite where it diverged.

        Raises:
            NotTabulated: the table lacks one of them.
        """
        between, along = _choices(config)
        return self.table.look_up_seeds(config, between=between, along=along)

    def check_settings(self, config: TrainConfig) -> None:
        """Check that the table has trainings with the seed, the batch size and the fixed parts of a configuration.

        Raises:
            NotTabulated: it has none, whatever the other parts are.
        """
        between, along = _choices(config)
        self.table.check_settings(config, between=between, along=along)

    def check(self, data_folder: str | None, *, between: str, along: str) -> int:
        """Check the options of the data, and return the number of training samples.

        Raises:
            DataError: an option has another value than those allowed, or the table cannot be read.
        """
        if between not in BETWEEN:
            raise DataError(f"data.between must be one of {', '.join(BETWEEN)}, got {between!r}")
        numeric = [axis.name for axis in self.table.axes if axis.numbers]
        for name in split_names(along):
            if name not in numeric:
                raise DataError(f"data.along names {name!r}: {self.table.name} has numbers along {', '.join(numeric)}")
        return UNKNOWN_SIZE if self.num_train is None else self.num_train


def _choices(config: TrainConfig) -> tuple[str, list[str]]:
    """Return what is answered between two values of an axis, and the axes for which that holds."""
    options = config.data_options
    return str(options.get("between", BETWEEN[0])), split_names(str(options.get("along", ALONG)))


def split_names(along: str) -> list[str]:
    """Return the names of axes in an option.

    >>> split_names("lr, batch_size")
    ['lr', 'batch_size']
    """
    return along.replace(",", " ").split()
