"""Sanitize untrusted text before display: names and error messages from files, servers and workers.

Some characters control the terminal (colours, cursor, title), and others reverse the reading order. This module must
not know where texts come from.
"""

import re
from collections.abc import Iterable
from typing import Final, TypeVar

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment

INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters except tab and newline
    "\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"  # format, direction
    "\ud800-\udfff]"  # lone surrogates, which UTF-8 files cannot hold
)
"""Invisible characters that change how other text is displayed."""
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

ConsoleType = TypeVar("ConsoleType", bound=Console)


def sanitize_text(text: str) -> str:
    r"""Replace every character in `INVISIBLE` by the replacement character.

    >>> sanitize_text("loss \x1b[31mnan\u202e\n")
    'loss �[31mnan�\n'
    """
    return INVISIBLE.sub(REPLACEMENT, text)


def sanitize_json(text: str) -> str:
    r"""Escape every character in `INVISIBLE`; the JSON keeps its meaning.

    >>> sanitize_json('["\x9b"]')
    '["\\u009b"]'
    """
    return INVISIBLE.sub(lambda found: "".join(f"\\u{unit:04x}" for unit in _utf16(found[0])), text)


def _utf16(character: str) -> Iterable[int]:
    encoded = character.encode("utf-16-be", "surrogatepass")
    return (int.from_bytes(encoded[i : i + 2], "big") for i in range(0, len(encoded), 2))


def sanitize_console(console: ConsoleType) -> ConsoleType:
    """Stop a console from printing characters in `INVISIBLE`, and return it. Its own styling still works."""
    console.push_render_hook(_SanitizeHook())
    return console


def print_error(message: str) -> None:
    """Print an error message on the standard error stream."""
    errors = sanitize_console(Console(stderr=True, highlight=False, markup=False, emoji=False))
    errors.print("error: ", style="bold red", end="")
    errors.print(message, soft_wrap=True)


def print_note(sentence: str) -> None:
    """Print a sentence on the standard error stream, so that output which is piped elsewhere stays as it is."""
    sanitize_console(Console(stderr=True, highlight=False, markup=False, emoji=False)).print(
        sentence, style="dim", soft_wrap=True
    )


class _SanitizeHook(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Sanitized(renderable) for renderable in renderables]


class _Sanitized:
    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(sanitize_text(segment.text), segment.style)
