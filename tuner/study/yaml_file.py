"""Parse study files into plain values, and remember the line of each.

Only a small and unambiguous part of YAML is read: mappings, lists, text, true and false, null, integers and decimals.
Everything that YAML parsers read in different ways is refused: yes, no, on and off, anchors and tags, octal and
sexagesimal numbers, duplicate keys. This module is the only user of the yaml package. It must not know what a study is.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ..errors import BadInput

MAX_BYTES: Final = 64 * 1024
"""Largest study file that is read; usual ones have a few thousand characters."""
MAX_DEPTH: Final = 16
"""Deepest nesting of mappings and lists."""
LONGEST_SENTENCE: Final = 800
"""Longest error message; longer ones, which quote a long value, are cut in the middle."""
MAX_WHOLE_NUMBER: Final = 2**53
"""Largest integer that every JSON parser keeps."""

Location = tuple[str | int, ...]
"""Location of a value: keys and list positions from the top, such as ("arms", 1, "space", "lr")."""

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_NUMBER_LIKE = re.compile(r"[-+]?(0[0-9_]+|0[xXbBoO][0-9a-fA-F_]+|[0-9]+_[0-9_]*|[0-9]+(:[0-5]?[0-9])+)(\.[0-9_]*)?")
_NOT_FINITE = re.compile(r"([-+]?\.?inf(inity)?|\.?nan)", re.IGNORECASE)
_AMBIGUOUS: Final = frozenset({"yes", "no", "on", "off"})
_CONSTANTS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """Content of a study file.

    Attributes:
        name: the file as the user named it, for error messages.
        content: dicts, lists, text, numbers, booleans and None.
        lines: 1-based line of every key and list item.
    """

    name: str
    content: dict[str, Any]
    lines: Mapping[Location, int]

    def error(self, location: Location, message: str) -> str:
        """Format an error as FILE:LINE: location: message; a location that is not in the file has its parent's line."""
        known = location
        while known and known not in self.lines:
            known = known[:-1]
        place = f"{format_location(location)}: " if location else ""
        return f"{self.name}:{self.lines.get(known, 1)}: {_shorten(place + message)}"


def _shorten(sentence: str) -> str:
    """Cut the middle out of a long sentence: a value that it quotes may be as long as the file."""
    if len(sentence) <= LONGEST_SENTENCE:
        return sentence
    return f"{sentence[: LONGEST_SENTENCE // 2]} ... {sentence[-LONGEST_SENTENCE // 2 :]}"


def format_location(location: Location) -> str:
    """Format a location for error messages.

    >>> format_location(("arms", 1, "space", "lr"))
    'arms[1].space.lr'
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


class _RefusedError(Exception):
    """Part of a file that is refused, with its 1-based line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _StrictYamlLoader(yaml.SafeLoader):
    """Loader that refuses everything that could make a small text large or ambiguous."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise _RefusedError(line, f"aliases such as *{event.anchor} are not supported: write the value out")
        if event.anchor is not None:
            raise _RefusedError(line, f"anchors such as &{event.anchor} are not supported: write the value out")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise _RefusedError(line, f"tags such as {tag} are not supported: write the plain value")
        if self.depth == MAX_DEPTH:
            raise _RefusedError(line, f"nested deeper than {MAX_DEPTH} levels")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _plain_scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    """Return the value of a scalar; in quotes or in a block it is always text."""
    text, line = node.value, node.start_mark.line + 1
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise _RefusedError(line, f"text may hold printable characters only, got {text[:40]!r}")
    if node.style:
        return str(text)
    if text.lower() in _AMBIGUOUS:
        raise _RefusedError(
            line, f"{text} is true or false to some readers, text to others: write true, false or '{text}'"
        )
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _NUMBER_LIKE.fullmatch(text):
        raise _RefusedError(line, f"{text} is not one number to all readers: write a plain decimal number, or '{text}'")
    if _WHOLE.fullmatch(text):
        if len(text) > 17 or abs(int(text)) > MAX_WHOLE_NUMBER:
            raise _RefusedError(line, f"the whole number {text[:20]} is beyond {MAX_WHOLE_NUMBER}")
        return int(text)
    is_decimal = _DECIMAL.fullmatch(text) is not None
    if _NOT_FINITE.fullmatch(text) or (is_decimal and not math.isfinite(float(text))):
        raise _RefusedError(line, f"numbers must be finite, got {text[:20]}")
    return float(text) if is_decimal else str(text)


def _build(node: yaml.Node, location: Location, lines: dict[Location, int]) -> Any:
    """Return the plain value of a node, and record the lines of it and of all that it holds."""
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*location, position), lines) for position, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        assert isinstance(node, yaml.ScalarNode)  # YAML has these three kinds
        return _plain_scalar(node)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _plain_scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            raise _RefusedError(line, f"a key must be a word, got {key_node.value!r:.40}")
        place = (*location, key)
        if key in result:
            raise _RefusedError(line, f"{format_location(place)}: given twice, first on line {lines[place]}: keep one")
        lines[place] = line
        result[key] = _build(value_node, place, lines)
    return result


def parse_yaml(text: str, name: str) -> StudyFile:
    """Parse the text of a study file, which error messages call `name`.

    Raises:
        BadInput: the text is not in the part of YAML that study files use; gives the line.

    >>> parse_yaml("epochs: 2", "x.yaml").content
    {'epochs': 2}
    """
    lines: dict[Location, int] = {}
    try:
        node = yaml.compose(text, Loader=_StrictYamlLoader)
        content = None if node is None else _build(node, (), lines)
    except _RefusedError as refused:
        raise BadInput(f"{name}:{refused.line}: {_shorten(str(refused))}.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise BadInput(f"{name}:{line}: not valid YAML: {_shorten(str(error.problem or error.context))}.") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"{name}: not valid YAML: {reason}.") from None
    if not isinstance(content, dict):
        raise BadInput(f"{name}:1: a study file holds keys and values such as 'name: quickstart'.")
    return StudyFile(name=name, content=content, lines=lines)


def read_yaml(path: Path, name: str) -> StudyFile:
    """Read and parse a study file, which error messages call `name`.

    Raises:
        BadInput: the file cannot be read, is too large, is not UTF-8 or not in the part of YAML that study files use.
    """
    if path.is_dir():
        raise BadInput(f"{name}: a folder, not a study file.")
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror or error}.") from None
    if len(raw) > MAX_BYTES:
        raise BadInput(f"{name}: larger than {MAX_BYTES // 1024} KiB, which no study file is.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadInput(f"{name}:{line}: not UTF-8 text (byte {error.start}).") from None
    return parse_yaml(text, name)
