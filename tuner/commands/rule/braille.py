"""A curve as lines of braille characters, two by four dots each, so that a terminal shows its shape."""

from collections.abc import Sequence

BLANK = 0x2800
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of a dot by column and by row from the top (Unicode, Braille Patterns)."""


def braille(values: Sequence[float], height: int) -> list[str]:
    """A curve through values from left to right, a column of dots each, jumps drawn as vertical lines.

    Args:
        values: from 0 (the lowest dot) to 1 (the highest), an even number of them.
        height: lines of text, >= 1.

    Returns:
        `height` lines of `len(values) / 2` characters, the highest first; a cell without dots is a space.

    >>> braille([0.0, 0.0, 0.33, 0.66, 1.0, 1.0], 1)
    ['⣀⠔⠉']
    """
    cells = [[BLANK] * (len(values) // 2) for _ in range(height)]
    rows = [round((1.0 - value) * (4 * height - 1)) for value in values]
    for column, row in enumerate(rows):
        # Down from, or up to, where the column before ended: at most that dot is left out.
        before = rows[column - 1] if column else row
        low, high = (before + 1, row) if before < row else (row, max(row, before - 1))
        for dot in range(low, high + 1):
            cells[dot // 4][column // 2] |= DOTS[column % 2][dot % 4]
    return ["".join(" " if cell == BLANK else chr(cell) for cell in line) for line in cells]
