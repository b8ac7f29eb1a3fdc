"""Terminal control characters are shown as a mark and never sent to the terminal."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zerotune.tuner.sanitize import INVISIBLE, sanitize_console, sanitize_json, sanitize_text

HOSTILE = "a\x1b[2J\x1b]0;title\x07\x9b31m\x00\u202eb\u2066\ud800\rc"
SHOWN = "a�[2J�]0;title��31m��b���c"
PRINTED = "a�[2J�]0;title�31m��b��c"
"""Rich itself drops the bell and the carriage return."""
ANY_TEXT = st.text(alphabet=st.characters(codec=None, exclude_categories=[]))


def printed(*parts: object, **options: object) -> str:
    stream = io.StringIO()
    console = sanitize_console(Console(file=stream, width=80, color_system=None, markup=False, highlight=False))
    console.print(*parts, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def test_each_character_has_a_mark_in_its_place() -> None:
    assert sanitize_text(HOSTILE) == SHOWN


@given(ANY_TEXT)
def test_what_is_left_of_any_text_can_be_written_and_is_not_changed_again(text: str) -> None:
    shown = sanitize_text(text)
    shown.encode()
    assert len(shown) == len(text)
    assert sanitize_text(shown) == shown
    assert sanitize_text("Größe ± 3 µs → 5 ✓ 中\n\tx") == "Größe ± 3 µs → 5 ✓ 中\n\tx"


@given(ANY_TEXT)
def test_json_means_the_same_and_holds_none_of_them(text: str) -> None:
    shown = sanitize_json(json.dumps({text: text}, ensure_ascii=False))
    assert json.loads(shown) == {text: text}
    assert INVISIBLE.search(shown) is None


def test_a_console_prints_no_such_text_in_whatever_form() -> None:
    table = Table(box=None, padding=0, show_header=False)
    table.add_row(Text(HOSTILE))
    assert printed(HOSTILE) == f"{PRINTED}\n"
    assert printed(Text(HOSTILE), end="") == PRINTED
    assert printed(table).rstrip() == PRINTED
    assert printed(HOSTILE, soft_wrap=True) == f"{PRINTED}\n"


def test_a_console_keeps_its_own_colours() -> None:
    stream = io.StringIO()
    console = sanitize_console(Console(file=stream, width=80, force_terminal=True, color_system="standard"))
    console.print(Text(f"x{HOSTILE[1:5]}", style="red"))
    assert stream.getvalue() == "\x1b[31mx�[2J\x1b[0m\n"
