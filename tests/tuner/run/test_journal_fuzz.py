"""For any journal content, a study resumes from the valid part or is refused with a sentence, never a traceback."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.synthetic_study import facts
from tests.tuner.analysis.synthetic_results import make_result
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.errors import BadInput
from zerotune.tuner.run.journal import Journal, JournalContent, format_line, parse_line, read_journal
from zerotune.tuner.store import record
from zerotune.tuner.trial import TrialResult

DEFINITION = {"name": "small", "epochs": 2}
SESSION = {"python": "3.11"}
FEW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, 10**400, -(10**400), 2**53 + 1, 1e308, -1e308])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\x1b[2J", "\ud800", "../../x", "finished"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def results() -> list[TrialResult]:
    searched = [make_result("tuned", seed, role="search", lr=0.003 + seed, num_epochs=2) for seed in (0, 1)]
    return [*searched, *(make_result(arm, seed, num_epochs=2) for arm in ("tuned", "date") for seed in (1, 2))]


@cache
def lines() -> tuple[bytes, ...]:
    """Return a journal's lines, written once because every write is synced to disk."""
    with tempfile.TemporaryDirectory() as folder:
        with closing(Journal(Path(folder))) as journal:
            journal.start_study(DEFINITION, SESSION)
            for result in results():
                journal.start(result.trial.id)
                journal.progress(result.trial.id, result.epochs)
                journal.finish(result)
            journal.resume({"python": "3.12"})
        return tuple(journal.path.read_bytes().split(b"\n")[:-1])


def resealed(content: dict[str, Any]) -> bytes:
    """Return the line of a record from `parse_line`, which may have been changed, with a matching checksum."""
    content.pop("sum", None)
    return format_line(json.dumps(content)).encode()


def resumed(path: Path, content: bytes) -> JournalContent | None:
    """Return the content with which a driver resumes, checked to be storable and comparable; None if refused."""
    path.write_bytes(content)
    try:
        found, added = gone_on(path)
    except BadInput:
        return None
    assert added == read_journal(path).results[added.trial.id]
    for result in found.results.values():
        record.record_tags(result)
        record.points(result)
        record.params(result.trial)
    arms = ("tuned", "date", "legw")
    compare(facts(name="small", arms=arms, batch_sizes=(8192,), num_seeds=2), list(found.results.values()))
    return found


def resumed_without_one(folder: Path, content: Sequence[bytes]) -> JournalContent:
    """Return the content with which a driver resumes, checked to lack exactly one of the lines."""
    found = resumed(folder / "journal.jsonl", b"\n".join([*content, b""]))
    assert found is not None
    assert found.unreadable_lines == 1
    return found


def first_of(kind: str) -> int:
    """Return the number of the first line of a kind."""
    return next(i for i, line in enumerate(lines()) if f'"kind":"{kind}"'.encode() in line)


def gone_on(path: Path) -> tuple[JournalContent, TrialResult]:
    with closing(Journal(path.parent)) as journal:
        if not journal.content.definition:
            journal.start_study(DEFINITION, SESSION)
        journal.resume(SESSION)
        return journal.content, journal.finish(make_result("legw", seed=9))


def changed(content: Any, place: int, value: Any) -> Any:
    """Return JSON-like content with another value at one of its places, counted in reading order."""
    content = json.loads(json.dumps(content))
    places: list[tuple[Any, Any]] = []

    def collect(inner: Any) -> None:
        items = inner.items() if isinstance(inner, Mapping) else enumerate(inner) if isinstance(inner, list) else ()
        for key, item in items:
            places.append((inner, key))
            collect(item)

    collect(content)
    owner, key = places[place % len(places)]
    owner[key] = value
    return content


@FEW
@given(number=st.integers(0, 10**6), place=st.integers(0, 10**6), value=VALUES)
def test_a_record_with_any_value_at_any_key_is_taken_or_skipped(
    tmp_path: Path, number: int, place: int, value: object
) -> None:
    number %= len(lines())
    content = changed(parse_line(lines()[number]), place, value)
    changed_lines = [*lines()[:number], resealed(content), *lines()[number + 1 :]]
    resumed(tmp_path / "journal.jsonl", b"\n".join(changed_lines))


@FEW
@given(bits=st.lists(st.integers(0, 10**9), min_size=1, max_size=3))
def test_flipped_bits_never_change_a_result(tmp_path: Path, bits: list[int]) -> None:
    whole = bytearray(b"\n".join([*lines(), b""]))
    for bit in bits:
        whole[bit // 8 % len(whole)] ^= 1 << bit % 8
    found = resumed(tmp_path / "journal.jsonl", bytes(whole))
    if found is not None:
        written = {result.trial.id: result for result in results()}
        assert {name: result for name, result in found.results.items() if name in written} == {
            name: written[name] for name in found.results if name in written
        }
        assert set(found.results) - set(written) <= {make_result("legw", seed=9).trial.id}


@pytest.mark.parametrize("kind", ["epochs", "result"])
@pytest.mark.parametrize("key", [b'"sum"', b'"suM"'])
def test_a_line_with_another_digit_is_skipped_even_if_its_checksum_is_missing(
    tmp_path: Path, kind: str, key: bytes
) -> None:
    number = first_of(kind)
    damaged = lines()[number].replace(b'"samples":60000', b'"samples":60001', 1).replace(b'"sum"', key)
    assert b'"samples":60001' in damaged
    resumed_without_one(tmp_path, [*lines()[:number], damaged, *lines()[number + 1 :]])


@FEW
@given(order=st.lists(st.integers(0, 10**6), max_size=30))
def test_lines_in_any_order_and_number_keep_the_results_they_hold(tmp_path: Path, order: list[int]) -> None:
    chosen = [0, *(number % len(lines()) for number in order)]
    found = resumed(tmp_path / "journal.jsonl", b"\n".join([*(lines()[number] for number in chosen), b""]))
    assert found is not None
    held = {
        json.loads(lines()[number])["result"]["trial"]["index"] for number in chosen if b'"result"' in lines()[number]
    }
    assert {result.trial.index for result in found.results.values()} - {9} == held


@FEW
@given(garbage=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_no_journal_or_a_new_one(tmp_path: Path, garbage: bytes) -> None:
    found = resumed(tmp_path / "journal.jsonl", garbage)
    assert found is None or set(found.results) == {make_result("legw", seed=9).trial.id}


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"resumed","provenance":[1]}',
        '{"kind":"resumed","provenance":{"python":{}}}',
        '{"kind":"epochs","trial":"a","epochs":{}}',
        '{"kind":' + "9" * 5_000 + "}",
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        '{"a":' + "[" * 100_000 + "}",
    ],
    ids=lambda line: line[:50],
)
@pytest.mark.parametrize("seal", [format_line, str], ids=["format_line", "unsealed"])
def test_a_line_of_a_wrong_kind_is_skipped(tmp_path: Path, line: str, seal: Callable[[str], str]) -> None:
    assert DEFINITION == resumed_without_one(tmp_path, [*lines(), seal(line).encode()]).definition


@pytest.mark.parametrize(
    ("key", "value"),
    [("flops", 10**400), ("device_seconds", -1.0), ("samples", float("inf")), ("trials", float("nan"))],
)
def test_a_cost_that_no_training_has_is_no_result(tmp_path: Path, key: str, value: float) -> None:
    damaged = parse_line(lines()[first_of("result")])
    damaged["result"]["cost"][key] = value
    resumed_without_one(tmp_path, [*lines(), resealed(damaged)])


def test_an_epoch_that_no_training_has_is_not_billed(tmp_path: Path) -> None:
    damaged = parse_line(lines()[first_of("epochs")])
    damaged["trial"] = "another"
    damaged["epochs"][0]["device_seconds"] = -1.0
    assert "another" not in resumed_without_one(tmp_path, [*lines(), resealed(damaged)]).epochs


@pytest.mark.parametrize("key", ["definition", "provenance"])
@pytest.mark.parametrize("value", ["text", 17, [1], None])
def test_a_first_line_of_a_wrong_kind_is_refused(tmp_path: Path, key: str, value: object) -> None:
    first = {**parse_line(lines()[0]), key: value}
    assert resumed(tmp_path / "journal.jsonl", b"\n".join([resealed(first), *lines()[1:], b""])) is None
