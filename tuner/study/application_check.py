"""Check before the first trial that a user application can be trained as its study says."""

from typing import NamedTuple

from ...trainers.applications import APPLICATIONS
from ...trainers.applications.failure import ApplicationError
from ...trainers.data import DataError, Dataset
from ...trainers.sanity_check import load_data, run_sanity_check
from ..errors import BadInput
from . import Study


class CheckedData(NamedTuple):
    """The data of a study, and the sanity check's remarks on the application: what changes what its numbers mean."""

    data: Dataset
    remarks: tuple[str, ...]


def load_checked_data(study: Study, folder: str | None) -> CheckedData:
    """Load the data of a study from a folder, or the source's own, and check the application by training on one batch.

    Raises:
        BadInput: the data cannot be loaded, or the application cannot be trained on them; names the part that is wrong.
    """
    application = APPLICATIONS[study.application]
    try:
        data = load_data(application.data_sources[study.data.source], folder, study.data_options())
        batch_sizes = (study.baseline.batch_size, *study.batch_sizes)
        remarks = run_sanity_check(
            application,
            data,
            study.model_options(),
            batch_sizes=batch_sizes,
            epochs=study.epochs,
            recipe=study.recipe,
            num_workers=study.resources.workers_per_trial,
        )
    except DataError as error:
        raise BadInput(f"data source {study.data.source!r}: {error}") from None
    except ApplicationError as error:
        raise BadInput(f"application {study.application!r}: {error}") from None
    return CheckedData(data, remarks)
