"""One identity of what trains: a study goes on with it alone, unless a change is accepted, which every answer says."""

import json
from pathlib import Path

import pytest

from tests.user_applications import NUM_TRIALS, STUDY, Here, write
from zerotune.tuner.commands import page_files
from zerotune.tuner.execution import trial_runner
from zerotune.tuner.run.journal import read_journal

APP = ("--app", "plane.py:sides")
RUN = ("run", "plane.yaml", "--driver", "serial", *APP)
COMMAND = " ".join(("zerotune run plane.yaml", *APP, "--driver serial"))
RETRY = ("retry", "plane.yaml", "--failed", "--driver", "serial", *APP)
HELPER = "def factor():\n    return 1.0\n"
NUM_KEPT = 3


@pytest.fixture
def helped(here: Here) -> Here:
    """Return a folder whose application imports a module beside it, inside a function, and reads a file with labels."""
    write(
        here.folder, "    return cross_entropy(", "    from helper import factor\n    return factor() * cross_entropy("
    )
    file = here.folder / "plane.py"
    text = file.read_text(encoding="utf-8").replace(
        "(inputs, inputs.sum(dim=1) > 0)", "(inputs, torch.tensor([s == '1' for s in open('labels.txt').read()]))"
    )
    file.write_text(text, encoding="utf-8")
    (here.folder / "labels.txt").write_text("01" * 150, encoding="utf-8")
    (here.folder / "helper.py").write_text(HELPER, encoding="utf-8")
    return here


def journal(here: Here) -> Path:
    return here.folder / "mlruns/plane/journal.jsonl"


RAN: dict[bytes, dict[Path, bytes]] = {}
"""The files of a study that has ended, by the source of its application: running one takes a second."""


def stopped(here: Here) -> Here:
    """Run the study, and leave what a driver leaves that is killed after `NUM_KEPT` results."""
    source = (here.folder / "plane.py").read_bytes()
    if source not in RAN:
        here.done(*RUN)
        files = [path for path in (here.folder / "mlruns").rglob("*") if path.is_file()]
        RAN[source] = {path.relative_to(here.folder): path.read_bytes() for path in files}
    for path, content in RAN[source].items():
        (here.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (here.folder / path).write_bytes(content)
    lines = journal(here).read_text(encoding="utf-8").splitlines(keepends=True)
    results = [number for number, line in enumerate(lines, 1) if '"kind":"result"' in line]
    journal(here).write_text("".join(lines[: results[NUM_KEPT - 1]]), encoding="utf-8")
    return here


def mend_helper(here: Here, text: str = "def factor():\n    return 2.0\n") -> None:
    (here.folder / "helper.py").write_text(text, encoding="utf-8")


def refusal(here: Here, *words: str) -> str:
    """Return the message of a command that must be refused and must leave the journal as it was."""
    before = journal(here).read_bytes()
    said = here.refuse(*words)
    assert journal(here).read_bytes() == before
    return said


def test_an_edited_module_that_the_application_imports_is_refused_with_what_to_do(helped: Here) -> None:
    stopped(helped)
    mend_helper(helped)
    said = refusal(helped, *RUN)
    assert f"study 'plane' cannot go on with {NUM_KEPT} of its {NUM_KEPT} results, which were trained" in said
    assert "\n  application module helper.py changed\n" in said
    assert f"\n  {COMMAND} --accept-changes\n" in said


def test_accepted_changes_go_on_keep_results_and_are_reported_everywhere(helped: Here) -> None:
    stopped(helped)
    kept = read_journal(journal(helped)).results
    mend_helper(helped)
    printed = " ".join(helped.done(*RUN, "--accept-changes").split())
    assert "application module helper.py changed" in printed.partition("up to")[0]
    content = read_journal(journal(helped))
    assert {i: content.results[i] for i in kept} == kept
    sentence = (
        f"The {NUM_TRIALS} results were not all trained with the same code, packages, data and resources: {NUM_KEPT} "
        f"at first; {NUM_TRIALS - NUM_KEPT} after a change (application module helper.py changed)."
    )
    assert sentence in printed
    for words in (("compare", "plane"), ("report", "plane", "--format", "markdown")):
        assert sentence in " ".join(helped.done(*words).split())
    again = " ".join(helped.done(*RUN).split())  # once accepted, not asked again
    assert sentence in again
    assert f"{NUM_TRIALS} of them done before" in again


def test_going_back_to_what_trained_all_results_is_no_change(helped: Here) -> None:
    stopped(helped)
    mend_helper(helped)
    refusal(helped, *RUN)
    mend_helper(helped, f"# the factor\n{HELPER}")
    assert "not all trained" not in helped.done(*RUN)


def test_labels_that_were_shuffled_in_the_same_file_are_noticed(helped: Here) -> None:
    stopped(helped)
    (helped.folder / "labels.txt").write_text("10" * 150, encoding="utf-8")
    assert "\n  the training data have other content\n" in refusal(helped, *RUN)


def test_a_declared_environment_variable_counts_and_its_value_is_not_stored(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here.folder, "    chance_score=0.5,", "    chance_score=0.5,\n    environment=['SIDES_SIZE'],")
    monkeypatch.setenv("SIDES_SIZE", "the-value")
    stopped(here)
    assert b"the-value" not in journal(here).read_bytes()
    monkeypatch.setenv("SIDES_SIZE", "other")
    assert "\n  environment variable SIDES_SIZE was set to another value\n" in refusal(here, *RUN)
    monkeypatch.delenv("SIDES_SIZE")
    assert "environment variable SIDES_SIZE was set to another value, now it is not set" in refusal(here, *RUN)


def test_an_updated_package_that_the_application_imports_is_refused(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = here.folder / "site-packages"
    facts = installed / "sides_tool-1.5.0.dist-info"
    facts.mkdir(parents=True)
    (installed / "tool_of_sides.py").write_text("", encoding="utf-8")
    (facts / "top_level.txt").write_text("tool_of_sides\n", encoding="utf-8")
    metadata = "Metadata-Version: 2.1\nName: sides-tool\nVersion: {}\n"
    (facts / "METADATA").write_text(metadata.format("1.5.0"), encoding="utf-8")
    monkeypatch.syspath_prepend(installed)
    write(here.folder, "import torch\n", "import tool_of_sides\nimport torch\n")
    stopped(here)
    (facts / "METADATA").write_text(metadata.format("1.6.1"), encoding="utf-8")
    assert "\n  sides-tool 1.5.0 was used, 1.6.1 is installed\n" in refusal(here, *RUN)


def test_the_applications_own_file_is_refused_alike_and_accepted(here: Here) -> None:
    stopped(here)
    write(here.folder, "cross_entropy(outputs,", "cross_entropy(2 * outputs,")
    assert "\n  the application's file changed\n" in refusal(here, *RUN)
    assert "after a change (the application's file changed)" in " ".join(here.done(*RUN, "--accept-changes").split())
    assert "not all trained" in " ".join(here.done("compare", "plane").split())


def test_where_no_trial_has_finished_the_cause_is_mended_and_the_printed_command_runs(helped: Here) -> None:
    def broken(*_: object) -> None:
        raise OSError("broken")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_runner, "Training", broken)
        code, _, err = helped.zerotune(*RUN)
    assert code == 3
    command = err.strip().rpartition(": ")[2]
    assert command == f"zerotune retry plane.yaml {' '.join(APP)} --driver serial --failed"
    failed = read_journal(journal(helped)).results
    mend_helper(helped)
    printed = " ".join(helped.done(*command.split()[1:]).split())
    assert "no trial has finished yet, so these changes are taken: application module helper.py changed" in printed
    assert "not all trained" not in printed
    content = read_journal(journal(helped))
    assert {result.status for result in content.results.values()} == {"finished"}
    assert content.first_failures == failed


def test_another_study_takes_over_nothing_that_an_edited_module_trained(helped: Here) -> None:
    helped.done(*RUN)
    mend_helper(helped)
    (helped.folder / "second.yaml").write_text(STUDY.replace("name: plane", "name: second"), encoding="utf-8")
    helped.done("run", "second.yaml", "--driver", "serial", *APP)
    results = read_journal(helped.folder / "mlruns/second/journal.jsonl").results.values()
    assert [r.reused_from for r in results if (r.reused_from or "").startswith("plane/")] == []


def test_results_are_not_synced_as_those_of_edited_code_unless_that_is_accepted(helped: Here) -> None:
    stopped(helped)
    mend_helper(helped)
    said = refusal(helped, "sync", "plane.yaml", *APP)
    assert f"\n  zerotune sync plane.yaml {' '.join(APP)} --accept-changes\n" in said
    helped.done("sync", "plane.yaml", *APP, "--accept-changes")


def test_a_retry_is_checked_too(helped: Here) -> None:
    stopped(helped)
    mend_helper(helped)
    command = f"zerotune retry plane.yaml {' '.join(APP)} --driver serial --failed --accept-changes"
    assert f"\n  {command}\n" in refusal(helped, *RETRY)


def test_a_regime_search_is_checked_too(helped: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_files, "write_images", lambda *_, **__: ([], None))  # pictures have their own tests
    search = ("regime", "plane.yaml", "--to", "40", "--driver", "serial", *APP)
    helped.done(*search)
    path = helped.folder / "mlruns/plane-regime/journal.jsonl"
    before = path.read_bytes()
    mend_helper(helped)
    said = helped.refuse(*search)
    assert "\n  application module helper.py changed\n" in said
    command = f"zerotune regime plane.yaml --to 40 {' '.join(APP)} --driver serial --accept-changes"
    assert f"\n  {command}\n" in said
    assert path.read_bytes() == before
    assert "goes on and keeps" in helped.done(*search, "--accept-changes")


def test_what_changes_no_number_is_not_refused(helped: Here) -> None:
    stopped(helped)
    lines = journal(helped).read_text(encoding="utf-8").splitlines()
    session = json.loads(lines[0])["provenance"]
    assert session["training.application"].startswith(". ")
    mend_helper(helped, f"# a comment\n{HELPER.replace('1.0', '(1.0)')}")
    (helped.folder / "not_imported.py").write_text("x = 1\n", encoding="utf-8")
    helped.done(*RUN)
    assert len(read_journal(journal(helped)).sessions) == 1
