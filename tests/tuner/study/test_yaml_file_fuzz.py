"""Any study file gives a study or an error message: never a traceback, never a hang."""

import contextlib
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import Study, shipped_studies, study_from_text
from zerotune.tuner.study.loading import build_study
from zerotune.tuner.study.yaml_file import StudyFile, parse_yaml

TEXTS = [path.read_text(encoding="utf-8") for path in shipped_studies().values()]
WORDS = st.sampled_from(
    [
        *("null", "true", "off", "-1", "0", "1", "1e-3", "1e999", ".nan", "99999999999999999999", "0x1f", "1:30", "''"),
        *("[]", "{}", "[[]]", "{a: 1}", "[1, x]", "{low: 1, high: 2}", "{choices: [1, 2]}", "{name: date}", "momentum"),
        *("&a 1", "*a", "!!int 1", "<<", "? a", "|", ">", "%", "\t", '"\\ud800"', "\x00", "\u2028", "é", "lr", "grid"),
        *("low: 0.1", "space:", "- name: x", "method: optuna", "tune:", "baseline:", "{lr: {low: 1e-9, high: 1e9}}"),
    ]
)


def told(text: str) -> Study | str:
    """Return the study in a text, or the messages that say why there is none."""
    try:
        return study_from_text(text, "x.yaml")
    except BadInput as error:
        return str(error)


@st.composite
def mutated_studies(draw: st.DrawFn) -> str:
    """Generate a shipped study with some of its words replaced, removed or doubled."""
    pieces = draw(st.sampled_from(TEXTS)).split(" ")
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(pieces) - 1))
        change = draw(st.sampled_from(["replace", "remove", "double", "break"]))
        if change == "replace":
            pieces[position] = draw(WORDS) + ("\n" if pieces[position].endswith("\n") else "")
        elif change == "remove":
            pieces[position] = ""
        elif change == "double":
            pieces.insert(position, pieces[position])
        else:
            pieces[position] = draw(WORDS) + "\n" + pieces[position]
    return " ".join(pieces)


@settings(max_examples=300, deadline=timedelta(seconds=20), suppress_health_check=[HealthCheck.too_slow])
@given(text=mutated_studies())
def test_a_mutated_study_is_a_study_or_a_sentence(text: str) -> None:
    found = told(text)
    if isinstance(found, str):
        assert all(line.startswith("x.yaml:") for line in found.split("\n"))
    else:
        assert Study.model_validate(found.resolved()).fingerprint == found.fingerprint


@settings(max_examples=300, deadline=timedelta(seconds=20))
@given(text=st.text(alphabet=st.characters(codec=None, exclude_categories=[]), max_size=60))
def test_a_short_text_of_any_characters_gets_a_sentence(text: str) -> None:
    found = told(text)
    assert isinstance(found, str)
    assert found.startswith("x.yaml")


LONG = "y" * 60_000


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"epochs: 1{':59' * 20_000}",
            f"epochs: {'1_' * 30_000}",
            f"epochs: 0x{'f' * 60_000}",
            f"epochs: {'9' * 60_000}",
        ),
        *(f"baseline: {{{LONG}: 1}}", f"{LONG}: 1", f"{LONG[:30_000]}: 1\n{LONG[:30_000]}: 1", f"name: '{LONG}'"),
        *(f"arms: [{{{LONG}: 1}}]", f"application: {LONG}", f"&{LONG} a", f"!{LONG} a", f"? [{LONG}]", f"%{LONG}"),
    ],
    ids=lambda text: text[:12],
)
def test_a_sentence_about_a_long_word_is_short(text: str) -> None:
    found = told(text)
    assert isinstance(found, str)
    assert max(map(len, found.split("\n"))) < 1_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [
        *("name", "data", "epochs", "batch_sizes", "seeds", "search_seed", "reference", "margin", "baseline", "arms"),
        *("resources", "budget", "tracking_uri", "application", "question"),
    ]
)
BASE = parse_yaml(TEXTS[0], "x.yaml").content


@settings(max_examples=200, deadline=timedelta(seconds=20))
@given(key=KEYS, value=JSON)
def test_a_key_with_any_value_is_a_study_or_a_sentence(key: str, value: object) -> None:
    file = StudyFile(name="x.yaml", content={**BASE, key: value}, lines={})
    with contextlib.suppress(BadInput):
        assert isinstance(build_study(file), Study)
