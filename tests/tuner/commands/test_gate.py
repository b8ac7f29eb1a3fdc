"""`zerotune compare --require`: the exit code tells a script whether tuning can be skipped."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.judged_study import AS_FIVE, FAR, FIVE, LIKELY, ONE_LOST, OPEN, judged
from tests.tuner.tiny_study import TinyStudyFolder
from zerotune.tuner.commands.options import StoredStudy
from zerotune.tuner.reports.answer import Answer

YES_AND_WORSE = {"tuned": FIVE, "legw": AS_FIVE, "sqrt": FAR}
GOOD = judged({1024: YES_AND_WORSE, 2048: YES_AND_WORSE})
MIXED = judged({1024: YES_AND_WORSE, 2048: {"tuned": FIVE, "legw": ONE_LOST, "sqrt": OPEN}})
LESS_CERTAIN = judged({1024: {"tuned": FIVE, "legw": LIKELY}})

Compared = Callable[..., tuple[int, str, str]]


@pytest.fixture
def compared(tiny: TinyStudyFolder, monkeypatch: pytest.MonkeyPatch) -> Compared:
    """Run `zerotune compare` on an answer; return the exit code, stdout and stderr."""

    def run(answer: Answer, *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(StoredStudy, "read_answer", lambda stored: answer)
        return tiny.zerotune("compare", "synthetic", *words)

    return run


@pytest.mark.parametrize("requirement", ["yes", "matches", "likely"])
def test_a_yes_at_every_batch_size_passes(compared: Compared, requirement: str) -> None:
    code, out, err = compared(GOOD, "--require", requirement)
    assert (code, err) == (0, "")
    assert out == compared(GOOD)[1]


def test_no_yes_at_one_batch_size_is_exit_code_6_and_the_answer_is_printed_first(compared: Compared) -> None:
    code, out, err = compared(MIXED, "--require", "yes")
    assert code == 6
    assert out.startswith("Yes: skip tuning at B=1,024 (legw).")
    assert err == 'error: --require yes: no verdict is "yes" at B=2,048 (legw: unreliable, sqrt: not shown)\n'


def test_a_less_certain_yes_passes_only_where_likely_is_asked_for(compared: Compared) -> None:
    row = LESS_CERTAIN.comparison.row("legw", 1024)
    assert row.verdict is not None
    assert row.verdict.kind == "yes, but"
    assert [compared(LESS_CERTAIN, "--require", asked)[0] for asked in ("yes", "matches", "likely")] == [6, 6, 0]


def test_an_arm_and_a_batch_size_can_be_asked_for(compared: Compared) -> None:
    assert compared(MIXED, "--require", "yes", "--batch-size", "1024")[0] == 0
    code, _, err = compared(MIXED, "--require", "yes", "--batch-size", "1024", "--arm", "sqrt")
    assert (code, err) == (6, 'error: --require yes: no verdict is "yes" at B=1,024 (sqrt: worse)\n')
    assert compared(GOOD, "--require", "yes", "--arm", "legw")[0] == 0


def test_an_unfinished_study_is_exit_code_7_whatever_its_verdict(compared: Compared) -> None:
    unfinished = replace(GOOD, missing=("Unfinished: 7 of up to 9 results so far.",))
    code, out, err = compared(unfinished, "--require", "yes")
    assert code == 7
    assert err == "error: --require yes: the answer is not final: Unfinished: 7 of up to 9 results so far.\n"
    assert out.startswith("Unfinished")


def test_an_arm_that_never_trained_does_not_hold_up_the_others(compared: Compared) -> None:
    answer = judged({1024: {"tuned": FIVE, "legw": AS_FIVE, "sqrt": []}})
    assert "Not confirmed by every seed: sqrt" in answer.missing[0]
    assert compared(answer, "--require", "yes")[0] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--require", "yes", "--arm", "lwge"], "--arm: unknown arm 'lwge': did you mean 'legw'? Known: legw, sqrt."),
        (["--require", "yes", "--arm", "tuned"], "--arm tuned: is the reference"),
        (["--require", "yes", "--batch-size", "512"], "--batch-size 512: study 'synthetic' has 1024, 2048"),
        (["--arm", "legw"], "add --require yes, or leave them out"),
    ],
)
def test_what_cannot_be_required_is_refused(compared: Compared, words: list[str], sentence: str) -> None:
    code, _, err = compared(GOOD, *words)
    assert code == 2
    assert sentence in err


def test_a_study_that_is_not_there_is_bad_input(tiny: TinyStudyFolder) -> None:
    assert "run a study first" in tiny.refuse("compare", "synthetic", "--require", "yes")
