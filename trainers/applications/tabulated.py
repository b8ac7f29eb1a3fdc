"""Applications whose trainings were made before and are looked up in a table.

This module must not know where tables come from.
"""

from collections.abc import Callable, Mapping

from ..data import DataSource
from ..options import NO_OPTIONS, Options
from ..tabulated.look_up import ALONG, LookUp
from ..tabulated.table import BETWEEN, Table
from .application import Application, train_nothing


def tabulated_application(
    *,
    name: str,
    load: Callable[[], Table],
    metric: str,
    higher_is_better: bool,
    chance_score: float,
    epochs: int | None,
    model_options: Options = NO_OPTIONS,
    num_train: int | None = None,
    description: str = "",
    source: str = "",
    packages: Mapping[str, str] | None = None,
) -> Application:
    """Return an application that looks its trainings up in a table.

    Its only data source is the table. A study's `data` says what is answered between the table's values: `between` is
    one of `trainers.tabulated.table.BETWEEN`, and `along` names the axes for which it holds, "lr" by default.

    Args:
        name: name of the data source.
        load: reads the table; raises `trainers.data.DataError` if it cannot.
        metric, higher_is_better, chance_score, epochs, description, source, packages: as in `Application`.
        model_options: the axes that are no part of optimizer, schedule and recipe; one value of each is a study's.
        num_train: training samples; None if not known.
    """
    look_up = LookUp(load=load, num_train=num_train)
    data = DataSource(
        load=train_nothing,
        check=look_up.check,
        num_train=num_train,
        description="a table of past trainings",
        options=Options(defaults={"between": BETWEEN[0], "along": ALONG}),
    )
    return Application(
        build_model=train_nothing,
        loss=train_nothing,
        score_sum=train_nothing,
        data_sources={name: data},
        metric=metric,
        higher_is_better=higher_is_better,
        chance_score=chance_score,
        epochs=epochs,
        model_options=model_options,
        description=description,
        source=source,
        packages=packages or {},
        look_up=look_up,
    )
