"""What was added after test scores were known makes verdicts less certain, and every answer says so."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.judged_study import AS_FIVE, FAR, FIVE, LIKELY, ONE_LOST, OPEN, judged
from tests.reported_study import SESSION
from zerotune.tuner.analysis.amendments import MAX_LOOKS, as_exploratory, count_looks, read_amendments
from zerotune.tuner.analysis.provenance import AMENDED, AMENDED_AFTER, EXPLORATORY, is_same_program
from zerotune.tuner.analysis.verdict import Kind, Verdict
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.reports.tables.markup import report_json, report_latex, report_markdown
from zerotune.tuner.reports.tables.terminal import notes
from zerotune.tuner.reports.text.caveats import caveats
from zerotune.tuner.reports.text.provenance import origin_facts
from zerotune.tuner.run.answer import build_answer
from zerotune.tuner.run.summary import TAG_AMENDED, study_tags

BEFORE = judged(
    {
        1024: {"tuned": FIVE, "legw": AS_FIVE, "sqrt": FAR},
        2048: {"tuned": FIVE, "legw": LIKELY, "sqrt": AS_FIVE},
        4096: {"tuned": FIVE, "legw": ONE_LOST, "sqrt": OPEN},
    }
)


def amended(*exploratory: str, times: int = 1) -> Answer:
    """Return the answer after amendments that these arms' verdicts rest on."""
    facts = {AMENDED: "seeds 3 -> 5 (4, 5)", AMENDED_AFTER: "30 of 30", EXPLORATORY: " ".join(exploratory)}
    sessions = (SESSION, *({**SESSION, **facts, "begun_at": f"2026-12-0{n + 1}T10:00:00+00:00"} for n in range(times)))
    return build_answer(BEFORE.results, replace(BEFORE.origin, sessions=sessions))


def kinds(answer: Answer, arm: str) -> list[Kind]:
    rows = [row for row in answer.comparison.rows if row.arm == arm]
    return [row.verdict.kind for row in rows if row.verdict]


EVERY = ("tuned", "legw", "sqrt")


def test_an_exploratory_verdict_is_less_certain_and_a_no_stays_a_no() -> None:
    assert kinds(BEFORE, "legw") == ["yes", "yes, but", "unreliable"]
    assert kinds(BEFORE, "sqrt") == ["worse", "yes", "not shown"]
    after = amended(*EVERY)
    assert kinds(after, "legw") == ["yes, but", "not shown", "unreliable"]
    assert kinds(after, "sqrt") == ["worse", "yes, but", "not shown"]
    assert kinds(amended(*EVERY, times=4), "legw")[0] == "yes, but"
    assert kinds(amended(*EVERY, times=5), "legw")[0] == "not shown"
    assert {row.verdict.seeds_needed for row in after.comparison.rows if row.verdict} == {None}


def test_verdicts_that_rest_on_nothing_added_stay_as_they_are() -> None:
    after = amended("legw")
    assert kinds(after, "legw") == ["yes, but", "not shown", "unreliable"]
    assert kinds(after, "sqrt") == kinds(BEFORE, "sqrt")
    assert kinds(amended(), "legw") == kinds(BEFORE, "legw")


def test_a_less_certain_yes_keeps_its_level_for_five_looks() -> None:
    assert MAX_LOOKS == 5
    assert as_exploratory(Verdict(kind="yes", tolerance=0.0), 5).kind == "yes, but"
    assert as_exploratory(Verdict(kind="yes", tolerance=0.0), 6).kind == "not shown"


LINE = "Amended on 2026-12-01 after 30 of 30 results: seeds 3 -> 5 (4, 5)"


@pytest.mark.parametrize("written", [report_json, report_markdown, report_latex], ids=["json", "markdown", "latex"])
def test_every_report_says_when_a_study_was_amended(written: Any) -> None:
    def plain(text: str) -> str:
        return text.replace("\\", "").replace("textgreater{}", ">").replace("$>$", ">")

    assert "Amended on" not in written(BEFORE)
    assert LINE.split(":")[0] in plain(written(amended(*EVERY)))


def test_the_answer_says_what_an_amendment_means_for_its_verdicts() -> None:
    line, meaning, *_ = caveats(amended(*EVERY))
    assert line == f"{LINE}."
    assert meaning.startswith(
        "Test scores were known before that, so that the verdicts on legw and sqrt are exploratory: whoever adds until "
    )
    assert caveats(amended())[1] == (
        "Nothing was added to a comparison after its test scores were known, so that each verdict keeps its level."
    )
    assert origin_facts(amended())["Amendments"] == LINE
    assert study_tags(amended())[TAG_AMENDED] == LINE
    assert TAG_AMENDED not in study_tags(BEFORE)
    assert amended(*EVERY).first_lines[0].startswith("Yes, but less certain: skip tuning at B=1,024 (legw).")


def test_only_a_study_that_was_not_amended_claims_a_level_of_studies() -> None:
    def claims(sentences: Sequence[str]) -> list[bool]:
        text = " ".join(sentences)
        return ["at most 5% of studies have a false yes" in text, "at a one-sided level of 0.025, counting all" in text]

    shown = [claims(notes(answer.comparison, cost="flops")) for answer in (BEFORE, amended())]
    assert shown == [[True, False], [False, True]]


def test_an_amendment_is_a_session_and_changes_no_program() -> None:
    after = amended("legw", times=2)
    amendments = read_amendments(after.origin.sessions)
    assert [each.at for each in amendments] == ["2026-12-01T10:00:00+00:00", "2026-12-02T10:00:00+00:00"]
    assert count_looks(amendments) == {"legw": 3}
    assert is_same_program(after.origin.sessions[0], after.origin.sessions[1])
    assert json.loads(report_json(after))["comparison"]["facts"]["looks"] == {"legw": 3}
