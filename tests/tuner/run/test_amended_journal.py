"""The journal of an amended study: what it keeps, who may read it, and whose amendments count."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import execute
from tests.tuner.run.amended_studies import LEGW, RANDOM, content_of, go_on, study
from tests.tuner.run.reused_studies import SESSION, trained
from zerotune.tuner.analysis.amendments import count_looks, read_amendments
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.errors import BadInput, StudyChanged
from zerotune.tuner.run import journal_content
from zerotune.tuner.run.amendment import stored_fingerprint
from zerotune.tuner.run.journal import Journal
from zerotune.tuner.run.reuse import ReusableResults
from zerotune.tuner.run.session import open_session
from zerotune.tuner.trial import Trial, TrialResult


def test_the_journal_keeps_every_amendment_and_the_fingerprint_of_the_beginning(tmp_path: Path) -> None:
    go_on(tmp_path, study(), stop_after=2)
    go_on(tmp_path, study(sizes=[128, 64]))
    go_on(tmp_path, study(sizes=[128, 64], others=[LEGW]))
    last = study(sizes=[128, 64], seeds=[1, 2, 3], others=[LEGW])
    go_on(tmp_path, last)
    before = (tmp_path / "journal.jsonl").read_bytes()
    go_on(tmp_path, last, amend=False)
    assert (tmp_path / "journal.jsonl").read_bytes() == before
    content = content_of(tmp_path)
    assert (content.unreadable_lines, len(content.earlier), content.definition["seeds"]) == (0, 3, [1, 2, 3])
    assert content.fingerprint == study().fingerprint == stored_fingerprint(last, tmp_path)
    assert stored_fingerprint(study(), tmp_path / "elsewhere") == study().fingerprint
    amendments = read_amendments(content.stored_sessions())
    assert [(each.added, each.after) for each in amendments] == [
        ("batch sizes 1 -> 2 (64)", "2 of 12"),
        ("arm legw", "22 of 22"),
        ("seeds 2 -> 3 (3)", "26 of 26"),
    ]
    assert [each.exploratory for each in amendments] == [(), ("legw",), ("tuned", "sqrt", "legw")]
    assert count_looks(amendments) == {"legw": 3, "tuned": 2, "sqrt": 2}


def test_an_amendment_changes_nothing_in_what_is_known_of_the_applications_code(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        journal.start_study({**study().content(), "application_code": "old"}, SESSION)
    assert stored_fingerprint(study(), tmp_path) == content_of(tmp_path).fingerprint != study().fingerprint
    go_on(tmp_path, study(seeds=[1, 2, 3]))
    assert content_of(tmp_path).definition["application_code"] == "old"
    assert stored_fingerprint(study(seeds=[1, 2, 3]), tmp_path) == content_of(tmp_path).fingerprint


def test_confirmations_of_a_former_choice_stay_billed_and_are_no_part_of_the_count(tmp_path: Path) -> None:
    def by_index(trial: Trial) -> float:
        return trial.index / 100 if trial.role == "search" else 0.5

    for trials in (6, 7, 8):
        go_on(tmp_path, study(RANDOM.replace("trials: 6", f"trials: {trials}")), score=by_index)
    content = content_of(tmp_path)
    assert [each.after for each in read_amendments(content.sessions)] == ["12 of 12", "13 of 13"]
    assert len(content.results) == 8 + 3 * 2 + 2 * 2  # each choice of the search was confirmed


def test_a_version_that_knows_no_amendments_refuses_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on(tmp_path, study())
    go_on(tmp_path, study(seeds=[1, 2, 3]))
    monkeypatch.setattr(journal_content, "AMENDED", 99)
    with pytest.raises(BadInput, match="written by another version of zerotune in format 2, which this version cannot"):
        content_of(tmp_path)


def test_a_copy_that_took_another_identity_is_amended_as_its_own_and_another_journals_amendment_does_not_count(
    tmp_path: Path,
) -> None:
    go_on(tmp_path / "ours", study())
    with closing(Journal(tmp_path / "ours")) as journal:
        journal.fork()
    go_on(tmp_path / "ours", study(seeds=[1, 2, 3]))
    go_on(tmp_path / "theirs", study())
    go_on(tmp_path / "theirs", study(seeds=[1, 2, 4]))
    path = tmp_path / "ours" / "journal.jsonl"
    path.write_bytes(path.read_bytes() + (tmp_path / "theirs" / "journal.jsonl").read_bytes())
    content = content_of(tmp_path / "ours")
    assert (len(content.earlier), content.definition["seeds"], content.unreadable_lines) == (1, [1, 2, 3], 0)
    assert content.foreign_results == 12 + 3
    go_on(tmp_path / "ours", study(seeds=[1, 2, 3, 4]))
    assert len(content_of(tmp_path / "ours").earlier) == 2


def test_an_amendment_whose_line_is_damaged_is_asked_for_again(tmp_path: Path) -> None:
    go_on(tmp_path, study())
    go_on(tmp_path, study(seeds=[1, 2, 3]))
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"format":2', b'"format":3'))
    assert (content_of(tmp_path).unreadable_lines, content_of(tmp_path).earlier) == (1, [])
    with pytest.raises(StudyChanged, match=r"seeds 2 -> 3 \(3\) \(may be added\)"):
        go_on(tmp_path, study(seeds=[1, 2, 3]), amend=False)
    go_on(tmp_path, study(seeds=[1, 2, 3]))


def test_other_studies_reuse_the_results_of_an_amended_one(tmp_path: Path) -> None:
    def with_epochs(trial: Trial, score: float | None) -> TrialResult:
        return trained(trial)

    session: dict[str, Any] = dict(SESSION)
    for definition in (study(), study(seeds=[1, 2, 3])):
        with closing(Journal(tmp_path / "grown")) as journal:
            open_session(definition, journal, session, amend=True, amend_command="")
            known = dict(journal.content.results)
            done = execute(Campaign(definition, known), known=known, make=with_epochs)
            for each in done.results.values():
                journal.finish(each)
    other = replace(done.asked[-1], study="other")
    reusable = ReusableResults(tmp_path, "other", session, "Some CPU")
    assert len(reusable) == len({trial.content_id for trial in done.asked})
    assert reusable.find(other) is not None
