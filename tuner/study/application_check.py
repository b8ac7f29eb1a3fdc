"""Whether an application that is not ours can be trained as a study says, found out before any trial."""

from ...trainers.applications import APPLICATIONS
from ...trainers.applications.failure import ApplicationError
from ...trainers.data import DataError, Dataset
from ...trainers.sanity_check import load_data, run_sanity_check
from ..errors import BadInput
from . import Study


def load_checked_data(study: Study, folder: str | None) -> Dataset:
    """The data of a study, after one batch of them has gone through the application.

    Args:
        study: the definition.
        folder: the folder of the data; None for the source's own.

    Raises:
        BadInput: the data cannot be loaded, or the application cannot be trained on them; says which part of it is
            wrong, and how.
    """
    application = APPLICATIONS[study.application]
    try:
        data = load_data(application.data_sources[study.data.source], folder, study.data_options())
        batch_sizes = (study.baseline.batch_size, *study.batch_sizes)
        run_sanity_check(application, data, study.model_options(), batch_sizes=batch_sizes, epochs=study.epochs)
    except DataError as error:
        raise BadInput(f"data source {study.data.source!r}: {error}") from None
    except ApplicationError as error:
        raise BadInput(f"application {study.application!r}: {error}") from None
    return data
