"""The command `zerotune compare`."""

from .options import StoredStudy, takes_options
from .terminal import console


@takes_options
def compare(stored: StoredStudy) -> None:
    """Print a study's answer from its store."""
    from ..reports.tables.terminal import print_answer, print_caveats
    from ..reports.text.mixed_trainings import mixed_trainings

    found = stored.read_answer()
    print_answer(found.comparison, console, found.missing)
    print_caveats(mixed_trainings(found), console)
