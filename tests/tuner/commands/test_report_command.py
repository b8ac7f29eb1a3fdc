"""`zerotune report`: one file from the store alone, and the same numbers in other formats."""

import json
import shutil
from pathlib import Path

import pytest

from tests.complete_study import few_results
from tests.reported_study import SESSION, definition, reported
from tests.tuner.tiny_study import TinyStudyFolder
from zerotune.tuner.run.answer import read_answer, write_answer
from zerotune.tuner.run.command_text import format_report_command
from zerotune.tuner.run.run import write_report
from zerotune.tuner.store import Store, default_tracking_uri

FINGERPRINT = "0123456789ab"
ONE_BATCH_SIZE = {"batch_sizes": [1024]}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the study and nothing else: no journal, no study file."""
    folder = tmp_path_factory.mktemp("written")
    store = Store(default_tracking_uri(folder), "synthetic", FINGERPRINT, definition(**ONE_BATCH_SIZE), {})
    store.write_sessions([SESSION])
    store.sync(few_results())
    return folder


@pytest.fixture
def here(written: Path, tiny: TinyStudyFolder) -> TinyStudyFolder:
    """A current folder with a copy of that store."""
    (tiny.folder / "mlruns").mkdir()
    shutil.copy(written / "mlflow.db", tiny.folder / "mlruns" / "mlflow.db")
    return tiny


def test_the_report_of_a_copied_store_is_one_file_whose_name_is_printed(here: TinyStudyFolder) -> None:
    ended = here.zerotune("report", "synthetic")
    assert (ended.code, ended.out, ended.err) == (0, "mlruns/synthetic/report/report.html\n", "")
    text = (here.folder / "mlruns" / "synthetic" / "report" / "report.html").read_text(encoding="utf-8")
    assert "Must LeNet be tuned again at a larger batch?" in text
    assert SESSION["git.commit"][:12] in text
    assert "<dd>zerotune report synthetic</dd>" in text
    assert list((here.folder / "mlruns" / "synthetic" / "report").iterdir()) == [
        here.folder / "mlruns" / "synthetic" / "report" / "report.html"
    ]


def test_a_run_and_an_export_leave_the_same_page(here: TinyStudyFolder) -> None:
    uri = default_tracking_uri(here.folder / "mlruns")
    here.zerotune("report", "synthetic", "--to", "alone.html")
    here.zerotune("export", "synthetic", "--to", "exported")
    found = read_answer("synthetic")
    store = Store(uri, "synthetic", FINGERPRINT, definition(**ONE_BATCH_SIZE), {})
    store.sync(few_results())
    write_answer(store, found, write_report(found, here.folder / "kept"))
    alone = (here.folder / "alone.html").read_bytes()
    assert (here.folder / "kept" / "report" / "report.html").read_bytes() == alone
    assert (here.folder / "exported" / "report.html").read_bytes() == alone


def test_json_on_standard_output_is_what_compare_finds(here: TinyStudyFolder) -> None:
    ended = here.zerotune("report", "synthetic", "--format", "json", "--cost", "flops")
    assert ended.code == 0
    content = json.loads(ended.out)
    expected = reported(definition(**ONE_BATCH_SIZE), few_results()).comparison
    scores = {row["arm"]: row["score"]["mean"] for row in content["comparison"]["rows"]}
    assert scores == {row.arm: row.score.mean for row in expected.rows if row.score}
    assert content["savings_in"] == "flops"
    assert content["provenance"]["fingerprint"] == FINGERPRINT


@pytest.mark.parametrize(
    ("format", "start"), [("markdown", "## synthetic\n"), ("latex", "% zerotune report synthetic\n")]
)
def test_tables_are_printed_or_written_to_a_file_alike(here: TinyStudyFolder, format: str, start: str) -> None:
    printed = here.zerotune("report", "synthetic", "--format", format)
    assert printed.out.startswith(start)
    named = here.zerotune("report", "synthetic", "--format", format, "--to", "folder/report.txt")
    assert named.out == "folder/report.txt\n"
    assert (here.folder / "folder" / "report.txt").read_text(encoding="utf-8") == printed.out


def test_the_terminal_says_the_same_as_the_report(here: TinyStudyFolder) -> None:
    compared = here.zerotune("compare", "synthetic").out
    cells = here.zerotune("report", "synthetic", "--format", "markdown").out
    date = next(line for line in cells.splitlines() if line.startswith("| 1,024 | date |"))
    scores, of_baseline, verdict = (date.split(" | ")[place] for place in (2, 3, 5))
    shown = next(line for line in compared.splitlines() if line.startswith("date"))
    assert [scores in shown, of_baseline in shown, verdict in shown] == [True, True, True]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["report", "sythetic"], "did you mean 'synthetic'? It holds: synthetic."),
        (["report", "synthetic", "--store", "nowhere"], "nowhere/mlflow.db: run a study first"),
        (["report", "synthetic", "--to", "mlruns"], "mlruns: the report cannot be written (Is a directory)"),
        (["report", "synthetic", "--to", "tiny.yaml/x"], "tiny.yaml/x: the report cannot be written"),
        (["report", "lost.yaml"], "no study file or shipped study 'lost.yaml'"),
    ],
)
def test_bad_input_is_one_sentence(here: TinyStudyFolder, words: list[str], sentence: str) -> None:
    refusal = here.refuse(*words)
    assert sentence in refusal
    assert refusal.count("\n") == 1


@pytest.mark.parametrize(
    ("uri", "store", "command"),
    [
        (default_tracking_uri(Path("mlruns")), "mlruns", "zerotune report one"),
        (default_tracking_uri(Path("my runs")), "my runs", "zerotune report one --store 'my runs'"),
        ("http://h:5000", "mlruns", "zerotune report one --tracking-uri http://h:5000"),
    ],
)
def test_the_command_that_rebuilds_a_report_holds_what_is_not_the_default(uri: str, store: str, command: str) -> None:
    assert format_report_command(uri, "one", Path(store)) == command
