"""The command line as a new user sees it: exit codes, output, and nothing lost when it is stopped."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tuner.tiny_study import NUM_TRIALS, STUDY, ZEROTUNE, TinyStudyFolder
from tests.user_applications import Ended
from zerotune import __version__
from zerotune.tuner.commands.terminal import PLAIN_WIDTH
from zerotune.tuner.execution import trial_runner
from zerotune.tuner.run import run as run_module
from zerotune.tuner.run.journal import Journal


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A folder where Ctrl-C stopped `zerotune run` after its third trial, and the command's exit code and output."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        tiny = TinyStudyFolder(folder, patch, None)  # type: ignore[arg-type]  # nothing is captured here
        process = tiny.start("run", "tiny.yaml", "--driver", "serial")
        first = after_trials(process, 3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    return folder, Ended(process.returncode, first + out, err)


@pytest.fixture
def resumed(stopped: tuple[Path, Ended], tiny: TinyStudyFolder) -> TinyStudyFolder:
    """A copy of the folder of the stopped study."""
    shutil.copytree(stopped[0] / "mlruns", tiny.folder / "mlruns")
    return tiny


def after_trials(process: "subprocess.Popen[str]", number: int) -> str:
    """Wait for this many lines of finished trials; return the output until then."""
    assert process.stdout is not None
    lines: list[str] = []
    while sum(line.startswith("[") for line in lines) < number:
        line = process.stdout.readline()
        assert line, f"ended early: {lines} {process.stderr.read() if process.stderr else ''}"
        lines.append(line)
    return "".join(lines)


# Stopping and resuming


def test_ctrl_c_keeps_what_was_measured_and_says_how_to_go_on(stopped: tuple[Path, Ended]) -> None:
    _, ended = stopped
    assert ended.code == 130
    assert "Interrupted. All results so far are kept" in ended.out
    assert "  zerotune run tiny.yaml --driver serial\n" in ended.out
    assert ended.err == ""


def test_a_stopped_study_goes_on_without_repeating_a_finished_trial(resumed: TinyStudyFolder) -> None:
    before = set(resumed.journal().results)
    ended = resumed.zerotune("run", "tiny.yaml", "--driver", "serial")
    assert ended.code == 0
    assert f"up to 8 trials, {len(before)} of them done before; journal and figures in mlruns/tiny\n" in ended.out
    assert [line[:5] for line in ended.out.splitlines() if line.startswith("[")] == [
        f"[{number}/8]" for number in range(len(before) + 1, NUM_TRIALS + 1)
    ]
    starts = resumed.journal().started
    assert {starts[trial] for trial in before} == {1}
    assert len(resumed.journal().results) == NUM_TRIALS

    compared = resumed.zerotune("compare", "tiny")
    assert compared.code == 0
    answer, _, steps = compared.out.partition("\nWhat to do next:\n")
    assert answer in ended.out
    assert steps
    assert "Is [/red] it [bold] tiny?" in compared.out
    assert "  mlruns/tiny/report/report.html\n  mlruns/tiny/report/pareto_arms.html\n" in ended.out
    assert "  zerotune ui tiny.yaml\n\nWhat to do next:\n" in ended.out
    before_steps = ended.out.partition("\nWhat to do next:\n")[0]
    assert max(len(line) for line in before_steps.splitlines()) <= PLAIN_WIDTH

    again = resumed.zerotune("run", "tiny.yaml", "--driver", "serial")
    assert again.code == 0
    assert not [line for line in again.out.splitlines() if line.startswith("[")]
    assert answer in again.out


def test_kill_9_loses_the_running_trial_only_and_a_second_run_is_locked_out_before(tiny: TinyStudyFolder) -> None:
    process = tiny.start("run", "tiny.yaml", "--driver", "serial")
    after_trials(process, 2)
    locked = tiny.zerotune("run", "tiny.yaml", "--driver", "serial")
    assert (locked.code, locked.out) == (5, "")
    assert "error: mlruns/tiny: another process is running this study" in locked.err
    process.kill()
    process.communicate()
    kept = set(tiny.journal().results)
    assert len(kept) >= 2
    assert tiny.zerotune("run", "tiny.yaml", "--driver", "serial").code == 0
    assert {tiny.journal().started[trial] for trial in kept} == {1}
    assert sorted(tiny.journal().started.values())[: NUM_TRIALS - 1] == [1] * (NUM_TRIALS - 1)
    assert len(tiny.journal().results) == NUM_TRIALS


@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_study_on_ray_that_is_stopped_says_how_to_go_on(tiny: TinyStudyFolder, number: signal.Signals) -> None:
    """Ctrl-C reaches every process of the terminal's group. SIGTERM reaches the program alone."""
    one_worker = "resources: {max_concurrent: 1}\n"  # each takes seconds to start
    tiny.study.write_text(STUDY + one_worker, encoding="utf-8")
    process = tiny.start("run", "tiny.yaml")
    first = after_trials(process, 2)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, err
    assert "  zerotune run tiny.yaml\n" in first + out
    assert "Traceback" not in err
    kept = set(tiny.journal().results)
    assert tiny.zerotune("run", "tiny.yaml", "--driver", "serial").code == 0
    assert {tiny.journal().started[trial] for trial in kept} == {1}


def test_the_command_to_go_on_holds_the_options_but_no_password(
    tiny: TinyStudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "run_study", interrupted)
    uri = "http://ann:secret@127.0.0.1:5000"
    ended = tiny.zerotune("run", "tiny.yaml", "--store", "my store", "--tracking-uri", uri, "--data", "d")
    assert ended.code == 130
    expected = "  zerotune run tiny.yaml --store 'my store' --tracking-uri 'http://***@127.0.0.1:5000' --data d\n"
    assert ended.out.endswith(expected)


def test_a_study_whose_trials_all_fail_exits_with_3(tiny: TinyStudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no [memory] left")

    monkeypatch.setattr(trial_runner, "Training", broken)
    ended = tiny.zerotune("run", "tiny.yaml", "--driver", "serial", "--prices", "watts=100")
    assert ended.code == 3
    assert "all 6 trials failed; the first: out of memory: train on fewer samples at once" in ended.err
    assert "MemoryError: no [memory] left" in ended.err
    retry = "retry tiny.yaml --prices watts=100 --driver serial --failed"
    assert ended.err.endswith(f"Fix the cause, then run them again: zerotune {retry}\n")
    assert ended.err.count("\n") == 1
    assert tiny.zerotune(*retry.split()).err.endswith(f"zerotune {retry}\n")


def test_a_changed_study_is_refused_with_the_difference(resumed: TinyStudyFolder) -> None:
    resumed.study.write_text(STUDY.replace("epochs: 1", "epochs: 2"), encoding="utf-8")
    assert "epochs: was 1, now 2" in resumed.refuse("run", "tiny.yaml", "--driver", "serial")


def test_a_full_disk_is_a_sentence(resumed: TinyStudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "start", full)
    ended = resumed.zerotune("run", "tiny.yaml", "--driver", "serial")
    assert (ended.code, ended.err[:30]) == (1, "error: No space left on device")


def test_export_into_a_file_is_refused(resumed: TinyStudyFolder) -> None:
    assert "--to tiny.yaml: cannot be written" in resumed.refuse("export", "tiny", "--to", "tiny.yaml")


def test_export_names_its_files(resumed: TinyStudyFolder) -> None:
    ended = resumed.zerotune("export", "tiny", "--to", "figures", "--cost", "flops")
    assert ended.code == 0
    assert "figures/report.html" in ended.out.splitlines()
    assert all((resumed.folder / line).is_file() for line in ended.out.splitlines())


def test_an_unknown_study_is_answered_with_those_in_the_store(resumed: TinyStudyFolder) -> None:
    assert "did you mean 'tiny'? It holds: tiny." in resumed.refuse("compare", "tyni")


def test_a_port_in_use_is_named(resumed: TinyStudyFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = resumed.zerotune("ui", "tiny", "--port", str(port))
    assert ended.code == 2
    assert f"--port {port}: cannot be used (Address already in use): choose another" in ended.err


def test_an_address_that_is_not_this_machines_is_named(resumed: TinyStudyFolder) -> None:
    for host, reason in (("192.0.2.1", "Cannot assign requested address"), ("a..b", "no such address")):
        refusal = resumed.refuse("ui", "tiny", "--host", host)
        assert f"--host {host} --port 5000: cannot be used ({reason}): choose another" in refusal


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_a_ui_that_others_reach_is_warned_of(
    resumed: TinyStudyFolder, monkeypatch: pytest.MonkeyPatch, host: str, warns: bool
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execvpe", lambda file, arguments, environment: started.append(arguments))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ended = resumed.zerotune("ui", "tiny", "--host", host, "--port", port)
    assert ended.code == 0
    assert started[0][started[0].index("--host") + 1] == host
    assert (f"Everyone who can reach {host}:{port} can read, change and delete" in ended.out) == warns


# Output


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from zerotune.tuner.cli import main; sys.argv = ['zerotune', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'ray', 'mlflow', 'optuna', 'plotly', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_output_that_knows_no_special_characters_is_no_crash(resumed: TinyStudyFolder) -> None:
    done = subprocess.run(
        [*ZEROTUNE, "compare", "tiny"],
        cwd=resumed.folder,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Is [/red] it [bold] tiny?" in done.stdout


def test_the_version_is_the_packages(tiny: TinyStudyFolder) -> None:
    assert tiny.zerotune("--version").out == f"zerotune {__version__}\n"


def test_a_plan_shows_every_column_and_takes_names_as_they_are(tiny: TinyStudyFolder) -> None:
    out = tiny.zerotune("plan", "tiny.yaml").out
    assert out.startswith("tiny: Is [/red] it [bold] tiny?\n")
    assert re.search(r"arm +batch +trials +trials +iterations +[A-Z]FLOPs +core time", out)
    assert re.search(r"sqrt +3,000 +0 +2 +2 ", out)
    assert "8 trials in all" in out


@pytest.mark.parametrize("what", ["applications", "optimizers", "schedules", "rules", "methods", "studies"])
def test_listings_break_no_word(tiny: TinyStudyFolder, what: str) -> None:
    from zerotune.tuner.commands.list.entries import list_entries

    out = tiny.zerotune("list", what).out
    for row in list_entries(what)[1]:
        assert set(" ".join(row).split()) <= set(out.split())
