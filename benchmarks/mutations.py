"""Study files and journals as an accident or an attacker leaves them: cut, swapped, flipped and filled with bombs.

All randomness comes from the given generator, so that a seed reproduces its file.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from zerotune.tuner.run.journal import format_line
from zerotune.tuner.study.yaml_file import parse_yaml

Mutation = Callable[[random.Random, bytes], bytes]
"""Function of a generator and a whole file; returns a changed file."""

HUGE: Final = "1" + "0" * 5_000
SCALARS: Final[Sequence[str]] = (
    *("null", "~", "true", "off", "''", "-1", "0", "1", "2", "1e-3", "1e400", "-1e400", "1e308", "1e-320", ".inf"),
    *(".nan", "9007199254740993", "99999999999999999999", HUGE, f"1e{HUGE[:40]}", f"0x{HUGE[:400]}", "0o17"),
    *(f"1{':59' * 400}", "[]", "{}", "[[[]]]", "{a: 1}", "[1, x]", "{low: 1, high: 2}", "{choices: [1, 2]}"),
    *("{low: 1e-300, high: 1e300, scale: log}", "{low: 1, high: 9007199254740992, type: int}"),
    *("{low: 0, high: 1, num: 1000000000}", "{name: date}", "momentum", "grid", "optuna", "default", "1000000"),
    *("[1000000, 999999]", "[1, 1]", "2147483647", "&a 1", "*a", "&a [*a]", "!!int 1", "!!binary QQ=="),
    *("!!python/object/apply:os.system ['true']", "<<: *a", "? a", "|", ">", "%YAML 1.1", "---", "...", "\t", "'"),
    *('"', '"\\ud800"', '"\\x1b[2J"', "\x00", "\x1b[2J", "\x85", "\u2028", "\u202e", "\ufeff", "\ud800", "é"),
    *("../../x", "/etc/passwd", "x" * 3_000, "'" + "y" * 60_000 + "'", "#", ":", "- -"),
)
"""Replacements for a study's words: limits, other types, and YAML that does more than state a value."""

VALUES: Final[Sequence[Any]] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), -float("inf")),
    *(2**31, 2**53 + 1, 2**63, 2**64, 10**30, 10**300, 10**400, -(10**400)),
    *("", "x", "finished", "nan", "1", "\x1b[2J", "\u202e", "\ud800", "../../x", "x" * 10_000),
    *([], {}, [[]], [1, "x"], {"a": 1}, {"": {"": []}}, [None] * 100),
)
"""Replacements for a value in a journal's record."""


def bombs() -> dict[str, bytes]:
    """Return hand-made study files that try to exhaust time or memory, or to crash the reader."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    texts = {
        "billion laughs": "\n".join(lines),
        "merge keys": "base: &base {a: 1}\n" + "\n".join(f"k{i}: {{<<: *base, b: {i}}}" for i in range(500)),
        "anchor in itself": "name: &a [*a]\n",
        "deep lists": "name: " + "[" * 20_000,
        "deep mappings": "{a: " * 15_000,
        "deep blocks": "\n".join(" " * depth + "a:" for depth in range(300)),
        "deep dashes": "- " * 30_000,
        "questions": "? " * 30_000,
        "a huge word": "name: " + "x" * 65_000,
        "a huge number": f"epochs: {'9' * 60_000}",
        "a huge exponent": "epochs: 1e" + "9" * 60_000,
        "a huge fraction": f"margin: 0.{'3' * 60_000}",
        "a number in sixties": f"epochs: 1{':59' * 20_000}",
        "underscores": f"epochs: 1{'_' * 60_000}1",
        "many keys": "\n".join(f"k{i}: 1" for i in range(6_000)),
        "one key often": "name: x\n" * 7_000,
        "many arms": "arms:\n" + "- {name: a, method: date}\n" * 2_400,
        "many seeds": f"seeds: [{', '.join(map(str, range(10_000)))}]",
        "a wide grid": "arms: [{name: a, method: grid, space: {"
        + ", ".join(f"k{i}: {{low: 0, high: 1, num: 10000}}" for i in range(1_000))
        + "}}]",
        "documents": "---\nname: x\n" * 4_000,
        "quotes": "name: " + "''" * 30_000,
        "escapes": 'name: "' + "\\u0041" * 10_000 + '"',
        "surrogates": 'name: "' + "\\ud800" * 10_000 + '"',
        "object": "name: !!python/object/apply:os.system ['true']",
        "module": "name: !!python/module:os\n",
        "directive": "%TAG ! tag:yaml.org,2002:python/\n---\nname: !object/apply:os.system [x]\n",
        "windows": "name: x\r\nepochs: 2\r\n",
        "old mac": "name: x\repochs: 2\r",
        "mark": "\ufeffname: x\n",
        "two marks": "\ufeff\ufeffname: x\n",
        "nothing": "",
        "a word": "x",
        "spaces": " " * 60_000,
        "newlines": "\n" * 60_000,
        "comments": "#\n" * 30_000,
    }
    raw = {
        "null bytes": b"name: \x00x\n",
        "not UTF-8": b"name: \xff\xfe\n",
        "UTF-16": "name: x\n".encode("utf-16"),
        "UTF-32": "name: x\n".encode("utf-32"),
        "only nulls": b"\x00" * 60_000,
        "too large": b"name: x\n" + b"#" * 10**6,
    }
    return {**{name: text.encode("utf-8") for name, text in texts.items()}, **raw}


def _flipped(draw: random.Random, whole: bytes) -> bytes:
    changed = bytearray(whole)
    for _ in range(draw.choice((1, 1, 2, 8))):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _overwritten(draw: random.Random, whole: bytes) -> bytes:
    changed = bytearray(whole)
    start = draw.randrange(len(changed) + 1)
    length = draw.choice((0, 1, 4, 100))
    changed[start : start + length] = draw.randbytes(draw.choice((0, 1, 4, 100)))
    return bytes(changed)


def _cut(draw: random.Random, whole: bytes) -> bytes:
    return whole[: draw.randrange(len(whole) + 1)]


def _lines_changed(draw: random.Random, whole: bytes) -> bytes:
    """Swap, duplicate, drop, indent or join lines."""
    lines = whole.split(b"\n")
    for _ in range(draw.choice((1, 1, 2, 5))):
        one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
        match draw.randrange(6):
            case 0:
                lines[one], lines[other] = lines[other], lines[one]
            case 1:
                lines.insert(other, lines[one])
            case 2 if len(lines) > 1:
                del lines[one]
            case 3:
                lines[one] = b" " * draw.randrange(1, 5) + lines[one]
            case 4:
                lines[one] = lines[one].lstrip(b" ")
            case _:
                lines[one] += lines[other]
    return b"\n".join(lines)


def _words_changed(draw: random.Random, whole: bytes) -> bytes:
    """Replace, drop or duplicate words of a study."""
    pieces = whole.decode("utf-8").split(" ")
    for _ in range(draw.choice((1, 1, 2, 4))):
        place = draw.randrange(len(pieces))
        end = "\n" if pieces[place].endswith("\n") else ""
        match draw.randrange(4):
            case 0:
                pieces[place] = ""
            case 1:
                pieces.insert(place, pieces[place])
            case 2:
                pieces[place] = f"{draw.choice(SCALARS)}\n{pieces[place]}"
            case _:
                pieces[place] = draw.choice(SCALARS) + end
    return " ".join(pieces).encode("utf-8", "surrogatepass")


def _with_a_bomb(draw: random.Random, whole: bytes) -> bytes:
    """Put a bomb before, inside or after a study, or return it alone."""
    bomb = draw.choice(list(bombs().values()))
    lines = whole.split(b"\n")
    place = draw.randrange(len(lines) + 1)
    return draw.choice((bomb, b"\n".join([*lines[:place], bomb, *lines[place:]])))


def _written_otherwise(draw: random.Random, whole: bytes) -> bytes:
    """Write the same study in the format of Windows, of an old Mac or in another encoding."""
    text = whole.decode("utf-8")
    return draw.choice(
        (
            *(text.replace("\n", "\r\n").encode(), text.replace("\n", "\r").encode(), b"\xef\xbb\xbf" + whole),
            *(text.encode("utf-16"), text.encode("utf-32"), text.replace(" ", "\t").encode(), whole + b"\x00"),
        )
    )


def _values_changed(draw: random.Random, whole: bytes) -> bytes:
    """Change some values of a study, of every type at every key; written as JSON, which is YAML too."""
    content: Any = parse_yaml(whole.decode(), "a study").content
    for _ in range(draw.choice((1, 1, 3))):
        content = mutated_content(draw, content, VALUES)
    return json.dumps(content).encode()


def mutated_content(draw: random.Random, content: Any, values: Sequence[Any]) -> Any:
    """Return a copy of JSON-like content with one value, key or item changed."""
    content = json.loads(json.dumps(content))
    places: list[tuple[Any, Any]] = []
    _list_places(content, places)
    if not places:
        return draw.choice(values)
    owner, key = draw.choice(places)
    match draw.randrange(5):
        case 0:
            del owner[key]
        case 1 if isinstance(owner, dict):
            owner[draw.choice(("", "x", "epochs", "name", "\ud800"))] = owner.pop(key)
        case 2:
            owner[key] = [owner[key]]
        case _:
            owner[key] = draw.choice(values)
    return content


def _list_places(content: Any, places: list[tuple[Any, Any]]) -> None:
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        places.append((content, key))
        _list_places(value, places)


def _records_changed(draw: random.Random, whole: bytes) -> bytes:
    """Put wrong values of every type into a journal's records, at every key."""
    lines = whole.split(b"\n")
    for _ in range(draw.choice((1, 1, 3))):
        place = draw.randrange(len(lines) - 1)
        record = mutated_content(draw, json.loads(lines[place]), VALUES)
        if isinstance(record, dict):
            record.pop("sum", None)
        lines[place] = _sealed(json.dumps(record))
    return b"\n".join(lines)


def _with_a_line(draw: random.Random, whole: bytes) -> bytes:
    """Add a line that no driver wrote to a journal."""
    result, started, first = '{"kind":"result","result":', '{"kind":"started","trial":', '{"kind":"study"'
    line = draw.choice(
        (
            *("[" * 100_000, '{"a":' * 50_000, f"{result}{'[' * 3_000}", f"{started}{'[' * 900}", "\x00" * 100_000),
            *(HUGE, f'{{"kind":{HUGE}}}', f'{result}{{"cost":{{"flops":{HUGE}}}}}}}', "NaN", "-Infinity", "1e999"),
            *(first + "}", '{"kind":"resumed"}', started + "{}}", '{"kind":[]}', "{}", "[]", " ", '"x"', "x" * 10**6),
            *(f'{first},"format":1,"definition":[],"provenance":1}}', '{"kind":"resumed","provenance":[1]}'),
            *('{"kind":"resumed","provenance":{"training.code":{}}}', '{"kind":"epochs","trial":"a","epochs":{}}'),
            f'{started}"{"x" * 10**6}"}}',
        )
    )
    lines = whole.split(b"\n")
    lines.insert(draw.randrange(len(lines) + 1), _sealed(line))
    return b"\n".join(lines)


def _sealed(line: str) -> bytes:
    """Add a checksum if the line is a record, so that the checks behind it are reached."""
    return (format_line(line) if line.startswith('{"') else line).encode()


STUDY_MUTATIONS: Final[Mapping[str, Mutation]] = {
    "bytes": _overwritten,
    "bits": _flipped,
    "cut": _cut,
    "lines": _lines_changed,
    "words": _words_changed,
    "values": _values_changed,
    "bomb": _with_a_bomb,
    "encoding": _written_otherwise,
}
JOURNAL_MUTATIONS: Final[Mapping[str, Mutation]] = {
    "bytes": _overwritten,
    "bits": _flipped,
    "cut": _cut,
    "lines": _lines_changed,
    "records": _records_changed,
    "odd line": _with_a_line,
}
