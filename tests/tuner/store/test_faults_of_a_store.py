"""An unwritable or damaged store ends a study with a sentence, and the study resumes when it is run again."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.user_applications import NUM_TRIALS, Here
from zerotune.tuner.run import journal
from zerotune.tuner.run.journal import read_journal

JOURNAL = "mlruns/plane/journal.jsonl"


def statuses(here: Here) -> list[str]:
    return [result.status for result in read_journal(here.folder / JOURNAL).results.values()]


def test_a_disk_that_fills_up_ends_the_study_with_a_sentence_and_it_goes_on_from_there(here: Here) -> None:
    """The disk is full at the fifth synced line, after the definition and three results."""
    fsync, calls = os.fsync, 0

    def filling_up(number: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.os, "fsync", filling_up)
        code, _, err = here.run()
    assert code == 2
    error = "the journal cannot be written (No space left on device): fix that, then run the study again to resume it\n"
    assert err.startswith("error: ")
    assert err.endswith(f"{JOURNAL}: {error}")
    assert 3 <= len(statuses(here)) < NUM_TRIALS
    before = (here.folder / JOURNAL).read_bytes()
    assert here.run()[0] == 0
    assert ["finished"] * NUM_TRIALS == statuses(here)
    assert (here.folder / JOURNAL).read_bytes().startswith(before)


def test_a_store_that_can_only_be_read_is_refused_with_a_sentence(here: Here) -> None:
    assert here.run()[0] == 0
    before = (here.folder / JOURNAL).read_bytes()
    really_open = os.open

    def read_only(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if Path(str(path)).name in ("journal.jsonl", "lock") and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return really_open(path, flags, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", read_only)
        code, _, err = here.run()
    assert (code, err) == (
        2,
        "error: mlruns/plane: the study's folder cannot be written (Read-only file system): choose another --store\n",
    )
    assert before == (here.folder / JOURNAL).read_bytes()


@pytest.mark.parametrize("damage", [b"\xff\x00 no text \x80", b'{"kind":"result","result":'], ids=["garbage", "cut"])
def test_a_damaged_line_in_the_middle_is_said_and_its_trial_is_run_again(here: Here, damage: bytes) -> None:
    assert here.run()[0] == 0
    path = here.folder / JOURNAL
    lines = path.read_bytes().split(b"\n")
    middle = [i for i, line in enumerate(lines) if line.startswith(b'{"kind":"result"')][3]
    lines[middle] = damage
    path.write_bytes(b"\n".join(lines))
    assert len(statuses(here)) == NUM_TRIALS - 1
    code, out, _ = here.run()
    assert code == 0
    assert f"{JOURNAL}: 1 damaged lines skipped; the trials they recorded run again" in out
    assert ["finished"] * NUM_TRIALS == statuses(here)
