"""The command `zerotune compare`."""

from .options import StoredStudy, takes_options
from .terminal import console


@takes_options
def compare(stored: StoredStudy) -> None:
    """Print a study's answer from its store."""
    from ..reports.tables.terminal import print_answer

    found = stored.read_answer()
    print_answer(found.comparison, console, found.missing)
