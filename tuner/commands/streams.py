"""Standard streams and terminal settings that a shell, a cron job or a closed terminal may leave unusable.

This module must import nothing that looks at them.
"""

import io
import os
import sys


def repair_streams() -> None:
    """Make the standard streams usable: what is written to a closed one is discarded, and no character is refused.

    COLUMNS is removed if it is no number of columns, since 0 columns would show nothing.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # its descriptor is closed, and the next file that is opened would get it
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(nowhere, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115  # for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± shows a ?
    columns = os.environ.get("COLUMNS", "")
    if columns and not (columns.isascii() and columns.isdigit() and int(columns) > 0):
        del os.environ["COLUMNS"]
