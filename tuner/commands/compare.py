"""The command `zerotune compare`."""

from ..run.command_text import STORE
from .options import AppOption, StoredStudyArgument, StoreOption, TrackingOption, read_stored_answer
from .terminal import console


def compare(
    study: StoredStudyArgument, store: StoreOption = STORE, tracking_uri: TrackingOption = None, app: AppOption = None
) -> None:
    """Print a study's answer from its store."""
    from ..reports.tables.terminal import print_answer

    print_answer(read_stored_answer(study, store, tracking_uri, app).comparison, console)
