"""The look of a table on a terminal."""

from rich import box
from rich.table import Table


def plain_table(*headings: str) -> Table:
    """Return a table with a rule below its headings, whose columns end at the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1), collapse_padding=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table
