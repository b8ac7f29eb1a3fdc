"""A study over ray://, Ray's client: it runs in the local program, and a lost head ends it with an error message."""

import time
from pathlib import Path

from tests.cluster.nodes import MARKS, PATIENCE_SECONDS, Nodes, ended, output, zerotune
from tests.user_applications import NUM_TRIALS, hang_until_mended
from zerotune.tuner.errors import Unreachable
from zerotune.tuner.run.journal import JournalContent, read_journal

pytestmark = MARKS


def journal_of(folder: Path) -> JournalContent:
    return read_journal(folder / "mlruns" / "plane" / "journal.jsonl")


def test_a_study_whose_head_is_killed_ends_with_a_sentence_and_goes_on_over_a_new_one(tmp_path: Path) -> None:
    """Trainings at the baseline's batch size hang, so that the study is certainly running when its head is killed."""
    hang_until_mended(tmp_path, tmp_path / "mended", "{max_concurrent: 1}")
    run = ("run", "plane.yaml", "--app", "plane.py:sides", "--address")
    with (
        Nodes(tmp_path, RAY_CLIENT_RECONNECT_GRACE_PERIOD="5") as nodes,
        ended(zerotune(tmp_path, nodes.environment, *run, f"ray://{nodes.client_address}")) as study,
    ):
        deadline = time.monotonic() + 2 * PATIENCE_SECONDS  # Ray may need 40 s to notice that its server is gone
        while not journal_of(tmp_path).started:
            assert study.poll() is None, output(study)
            assert time.monotonic() < deadline
            time.sleep(0.5)
        nodes.kill("127.0.0.1")
        text = output(study, seconds=150)
    assert study.returncode == Unreachable.exit_code, text
    assert text.splitlines()[-1] == (
        f"error: the Ray cluster was lost while the study ran: its head at {nodes.client_address} no longer answers. "
        "All results so far are kept; run the study again to resume it"
    )
    assert "Traceback" not in text

    (tmp_path / "mended").touch()
    with Nodes(tmp_path) as nodes:
        text = output(study := zerotune(tmp_path, nodes.environment, *run, f"ray://{nodes.client_address}"))
    assert study.returncode == 0, text
    assert f"here and on the cluster at ray://{nodes.client_address}: 1 machine, 2 CPUs" in text
    assert [result.status for result in journal_of(tmp_path).results.values()] == ["finished"] * NUM_TRIALS
