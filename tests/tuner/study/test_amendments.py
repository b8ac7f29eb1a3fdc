"""What a definition adds to another one, and what it changes besides."""

import json
from typing import Any

import pytest

from tests.tuner.study.example_study import SQRT, study
from zerotune.tuner.study.amendments import Difference, beginnings, compare_definitions

GRID = (
    "    method: optuna\n    trials: 12\n    space:\n      lr: {low: 5e-3, high: 1, scale: log}\n"
    "      momentum: {choices: [0.8, 0.9]}\n      decay: {choices: [constant, poly]}\n",
    "    method: grid\n    space: {lr: {choices: [0.1, 0.2]}, decay: {choices: [poly, constant]}}\n",
)
COMPREHENSIVE = (
    f"{GRID[0]}    fixed: {{weight_decay: 0}}\n",
    "    method: comprehensive\n    trials: 12\n",
)


def stored(*edits: tuple[str, str]) -> dict[str, Any]:
    """Return the content of the example in the form that a journal holds."""
    return dict(json.loads(json.dumps(study(*edits).content(), sort_keys=True)))


def compared(*edits: tuple[str, str], before: tuple[tuple[str, str], ...] = ()) -> Difference:
    return compare_definitions(study(*before, *edits), stored(*before))


def test_a_definition_adds_nothing_to_itself() -> None:
    for edits in ((), (GRID,), (COMPREHENSIVE,)):
        found = compared(before=edits)
        assert (found.additions, found.refused, found.before) == ((), (), study(*edits))


EVERY = ("tuned", "sqrt", "date")


@pytest.mark.parametrize(
    ("edit", "before", "text", "arms"),
    [
        (("seeds: [1, 2]", "seeds: [1, 2, 7, 4]"), (), "seeds 2 -> 4 (7, 4)", EVERY),
        (("[512, 128]", "[512, 128, 64]"), (), "batch sizes 2 -> 3 (64)", ()),
        ((SQRT, f"  - {{name: legw, method: legw}}\n{SQRT}"), (), "arm legw", ("legw",)),
        (("trials: 12", "trials: 13"), (), "trials of tuned 12 -> 13", EVERY),
        (("trials: 12", "trials: 12\n    repeats: 3"), (), "repeats of tuned 1 -> 3", EVERY),
        (("[0.1, 0.2]", "[0.4, 0.1, 0.2]"), (GRID,), "grid of tuned 4 -> 6 points", EVERY),
        (
            (SQRT, f"{SQRT}  - {{name: other, method: random, trials: 9, space: {{lr: {{low: 1, high: 2}}}}}}\n"),
            ((SQRT, f"{SQRT}  - {{name: other, method: random, trials: 3, space: {{lr: {{low: 1, high: 2}}}}}}\n"),),
            "trials of other 3 -> 9",
            ("other",),
        ),
        (
            (SQRT, f"{SQRT}  - {{name: other, method: defaults}}\n"),
            ((SQRT, f"{SQRT}  - {{name: other, method: defaults, trials: 2}}\n"),),
            "trials of other 2 -> ",
            ("other",),
        ),
    ],
)
def test_more_of_the_same_is_an_addition(
    edit: tuple[str, str], before: tuple[tuple[str, str], ...], text: str, arms: tuple[str, ...]
) -> None:
    is_of_the_same_place = before != (GRID,)
    new = study(edit) if is_of_the_same_place else study(*before, edit)
    found = compare_definitions(new, stored(*before))
    assert found.refused == ()
    (addition,) = found.additions
    assert addition.text.startswith(text)
    assert addition.arms == arms
    assert found.before.content() == study(*before).content()


@pytest.mark.parametrize(
    ("edit", "before", "line"),
    [
        (("reference: tuned\n", "reference: tuned\nmargin: 0.9\n"), (), "margin: was 0.995, now 0.9 (a verdict's rul"),
        (("epochs: 12", "epochs: 13"), (), "epochs: was 12, now 13 (what was trained rests on it)"),
        (("momentum: 0.8", "momentum: 0.7"), (), "baseline.optimizer.momentum: was 0.8, now 0.7 (every rule rests on"),
        (("num: 3", "num: 5"), (), "baseline.tune.space.lr.num: was 3, now 5 (every rule rests on it)"),
        (("high: 1,", "high: 2,"), (), "arms.tuned.space.lr.high: was 1.0, now 2.0 (the trials of a search rest on"),
        (("seeds: [1, 2]", "seeds: [1]"), (), "seeds: was [1, 2], now [1] (those that are there stay, and stand fir"),
        (("seeds: [1, 2]", "seeds: [3, 1, 2]"), (), "seeds: was [1, 2], now [3, 1, 2] (those that are there stay"),
        (("[512, 128]", "[512]"), (), "batch_sizes: was [128, 512], now [512] (those that are there stay)"),
        (("trials: 12", "trials: 11"), (), "arms.tuned.trials: was 12, now 11 (trials may be added, not taken away)"),
        ((SQRT, ""), (), "arms.sqrt: was {'"),
        ((SQRT, ""), (), "now absent (an arm that is there stays)"),
        (("method: sqrt", "method: linear"), (), "arms.sqrt.method: was 'sqrt', now 'linear'"),
        (("[0.1, 0.2]", "[0.1, 0.4, 0.8]"), (GRID,), "arms.tuned.space.lr.choices: was [0.1, 0.2], now [0.1, 0.4, 0"),
        (("trials: 12", "trials: 24"), (COMPREHENSIVE,), "now 24 (comprehensive plans its stages and its race for th"),
        (
            ("trials: 12", "trials: 13"),
            (("trials: 12", "trials: 12\n    repeats: 2"),),
            "arms.tuned.trials: was 12, now 13 (a repeated search keeps its number of trials, so that its repeats stay",
        ),
    ],
)
def test_anything_else_is_refused_with_its_reason(
    edit: tuple[str, str], before: tuple[tuple[str, str], ...], line: str
) -> None:
    found = compared(edit, before=before)
    assert found.additions == ()
    (told,) = [each for each in found.refused if line in each]
    assert all(each is told or ".optimizer." in each for each in found.refused)  # arms have the baseline's optimizer


def test_arms_keep_their_order() -> None:
    last = "  - name: date\n    method: date\n    baseline: {lr: 0.003, warmup_epochs: 0.25}\n"
    found = compared((SQRT, ""), (last, f"{last}{SQRT}"))
    assert found.refused == ("arms: those that were there must keep their order: tuned, sqrt, date",)


def test_additions_and_changes_are_told_apart() -> None:
    found = compared(("seeds: [1, 2]", "seeds: [1, 2, 3]"), ("epochs: 12", "epochs: 13"), ("[512, 128]", "[512, 99]"))
    assert [addition.text for addition in found.additions] == ["seeds 2 -> 3 (3)"]
    assert sorted(line.partition(":")[0] for line in found.refused) == ["batch_sizes", "epochs"]
    assert "batch_sizes: was [128, 512], now [99, 512] (those that are there stay)" in found.refused
    assert found.seeds == (3,)


def test_a_search_knows_how_it_began_at_each_batch_size() -> None:
    legw = (SQRT, f"{SQRT}  - {{name: legw, method: legw}}\n")
    more = ("trials: 12", "trials: 24")
    definitions = [stored(), stored(legw, more), stored(legw, more, ("[512, 128]", "[512, 128, 64]"))]
    assert beginnings(definitions[:1]) == {}
    begun = beginnings(definitions)
    assert (begun["tuned", 128].trials, begun["tuned", 128].arms) == (12, {*EVERY})
    assert (begun["tuned", 64].trials, begun["tuned", 64].arms) == (24, {*EVERY, "legw"})
    assert len(begun["tuned", 128].spaces) == 3
