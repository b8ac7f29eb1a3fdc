"""A journal has one writing driver at a time, and one that cannot be written is a sentence."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tuner.analysis.synthetic_results import make_result
from tests.tuner.run.test_journal import write
from zerotune.tuner.errors import BadInput, StudyLocked
from zerotune.tuner.run.journal import Journal, read_journal

# -- one driver at a time ----------------------------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from zerotune.tuner.run.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.start_study({"name": "small"}, {})
print("held", flush=True)
time.sleep(600)
"""


def test_a_second_process_is_refused_until_the_first_is_gone_even_by_kill(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(StudyLocked) as error:
                Journal(tmp_path)
        finally:
            os.kill(holder.pid, signal.SIGKILL)
    expected = f"{tmp_path}: another process is running this study: wait for it, or stop it, then run again"
    assert expected == str(error.value)
    journal = Journal(tmp_path)
    assert journal.content.definition == {"name": "small"}
    journal.close()


# -- unwritable journals -----------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "study"
    with pytest.raises(BadInput) as error:
        Journal(folder)
    expected = f"{folder}: the study's folder cannot be written (Not a directory): choose another --store"
    assert expected == str(error.value)


def test_a_journal_that_is_a_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(BadInput, match=r"journal\.jsonl: the journal cannot be read \(Is a directory\)"):
        Journal(tmp_path)


def test_a_disk_that_is_full_ends_in_a_sentence_and_the_study_can_be_resumed(tmp_path: Path) -> None:
    first, second = make_result(seed=1), make_result(seed=2)
    size = len(write(tmp_path, [first]))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = Journal(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
    try:
        with pytest.raises(BadInput, match=r"the journal cannot be written \(File too large\): fix that, then run"):
            journal.finish(second)
        journal.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    journal = Journal(tmp_path)
    assert {first.trial.id: first} == journal.content.results
    journal.finish(second)
    journal.close()
    assert {first.trial.id: first, second.trial.id: second} == read_journal(journal.path).results
