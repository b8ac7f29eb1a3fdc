"""The command line as a stranger meets it: exit codes, one clear sentence an error, nothing lost when it is stopped."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tuner import __version__
from tuner.cli import PLAIN_WIDTH, main
from tuner.journal import JournalContent, read_journal

STUDY = """
name: tiny
question: Is [/red] it [bold] tiny?
application: lenet_mnist
data: {source: mnist5k}
epochs: 1
batch_sizes: [3000]
seeds: [1, 2]
reference: tuned
baseline: {batch_size: 1500, optimizer: momentum, lr: 0.01}
arms:
  - {name: tuned, method: optuna, trials: 2, space: {lr: {low: 0.01, high: 0.3, scale: log}}}
  - {name: sqrt, method: sqrt}
"""
NUM_TRIALS = 8
DEAD = "127.0.0.1:9"
ZEROTUNE = [sys.executable, "-c", "from tuner.cli import main; main()"]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class Here:
    """A current folder with the file tiny.yaml, to run commands in."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.study = folder / "tiny.yaml"
        self.study.write_text(STUDY, encoding="utf-8")
        self._patch = patch
        self._capsys = capsys
        patch.chdir(folder)

    def zerotune(self, *words: str) -> Ended:
        """Runs a command in this process."""
        self._patch.setattr(sys, "argv", ["zerotune", *words])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self._capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    def refuse(self, *words: str, code: int = 2) -> str:
        """The sentence with which a command is refused."""
        ended = self.zerotune(*words)
        assert (ended.code, ended.out) == (code, "")
        return ended.err

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Starts a command as a process group of its own, with Ctrl-C working whatever started these tests."""
        return subprocess.Popen(
            [*ZEROTUNE, *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={**os.environ, "BROWSER_PATH": "/nonexistent"},
        )

    def journal(self) -> JournalContent:
        return read_journal(self.folder / "mlruns" / "tiny" / "journal.jsonl")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    monkeypatch.setattr("tuner.reports.export.write_pictures", lambda *_: ([], None))
    return Here(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A folder where `zerotune run` was stopped by Ctrl-C after its third trial, and how it ended."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        here = Here(folder, patch, None)  # type: ignore[arg-type]  # nothing is captured here
        process = here.start("run", "tiny.yaml", "--driver", "serial")
        first = after_trials(process, 3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    return folder, Ended(process.returncode, first + out, err)


@pytest.fixture
def resumed(stopped: tuple[Path, Ended], here: Here) -> Here:
    """A copy of that folder."""
    shutil.copytree(stopped[0] / "mlruns", here.folder / "mlruns")
    return here


def after_trials(process: "subprocess.Popen[str]", number: int) -> str:
    """Waits for so many lines of finished trials; what was written until then."""
    assert process.stdout is not None
    lines: list[str] = []
    while sum(line.startswith("[") for line in lines) < number:
        line = process.stdout.readline()
        assert line, f"ended early: {lines} {process.stderr.read() if process.stderr else ''}"
        lines.append(line)
    return "".join(lines)


# Stopping and going on


def test_ctrl_c_keeps_what_was_measured_and_says_how_to_go_on(stopped: tuple[Path, Ended]) -> None:
    _, ended = stopped
    assert ended.code == 130
    assert "Interrupted. What was measured is kept" in ended.out
    assert "  zerotune run tiny.yaml --driver serial\n" in ended.out
    assert ended.err == ""


def test_a_stopped_study_goes_on_without_repeating_a_finished_trial(resumed: Here) -> None:
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
    assert compared.out in ended.out
    assert "Is [/red] it [bold] tiny?" in compared.out
    assert "  mlruns/tiny/report/report.html\n  mlruns/tiny/report/pareto_arms.html\n" in ended.out
    assert ended.out.endswith("  zerotune ui tiny.yaml\n")
    assert max(len(line) for line in ended.out.splitlines()) <= PLAIN_WIDTH

    again = resumed.zerotune("run", "tiny.yaml", "--driver", "serial")
    assert again.code == 0
    assert not [line for line in again.out.splitlines() if line.startswith("[")]
    assert compared.out in again.out


def test_kill_9_loses_the_running_trial_only_and_a_second_run_is_locked_out_before(here: Here) -> None:
    process = here.start("run", "tiny.yaml", "--driver", "serial")
    after_trials(process, 2)
    locked = here.zerotune("run", "tiny.yaml", "--driver", "serial")
    assert (locked.code, locked.out) == (5, "")
    assert "error: mlruns/tiny: another process is running this study" in locked.err
    process.kill()
    process.communicate()
    kept = set(here.journal().results)
    assert len(kept) >= 2
    assert here.zerotune("run", "tiny.yaml", "--driver", "serial").code == 0
    assert {here.journal().started[trial] for trial in kept} == {1}
    assert sorted(here.journal().started.values())[: NUM_TRIALS - 1] == [1] * (NUM_TRIALS - 1)
    assert len(here.journal().results) == NUM_TRIALS


@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_study_on_ray_that_is_stopped_says_how_to_go_on(here: Here, number: signal.Signals) -> None:
    """Ctrl-C reaches every process of the terminal's group; SIGTERM reaches the program alone."""
    process = here.start("run", "tiny.yaml")
    first = after_trials(process, 2)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "  zerotune run tiny.yaml\n" in first + out
    assert "Traceback" not in err
    kept = set(here.journal().results)
    assert here.zerotune("run", "tiny.yaml", "--driver", "serial").code == 0
    assert {here.journal().started[trial] for trial in kept} == {1}


def test_the_command_to_go_on_holds_the_options_but_no_password(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tuner.run.run_study", interrupted)
    uri = "http://ann:secret@127.0.0.1:5000"
    ended = here.zerotune("run", "tiny.yaml", "--store", "my store", "--tracking-uri", uri, "--data", "d")
    assert ended.code == 130
    expected = "  zerotune run tiny.yaml --store 'my store' --tracking-uri 'http://***@127.0.0.1:5000' --data d\n"
    assert ended.out.endswith(expected)


def test_a_study_whose_trials_all_fail_exits_with_3(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no [memory] left")

    monkeypatch.setattr("tuner.drivers.work.Training", broken)
    ended = here.zerotune("run", "tiny.yaml", "--driver", "serial")
    assert ended.code == 3
    assert "all 6 trials failed; the first: out of memory: train on fewer samples at once" in ended.err
    assert "MemoryError: no [memory] left" in ended.err
    assert ended.err.endswith("Mend the cause, then run them again: zerotune retry STUDY --failed\n")
    assert ended.err.count("\n") == 1


def test_a_changed_study_is_refused_with_the_difference(resumed: Here) -> None:
    resumed.study.write_text(STUDY.replace("epochs: 1", "epochs: 2"), encoding="utf-8")
    assert "epochs: was 1, now 2" in resumed.refuse("run", "tiny.yaml", "--driver", "serial")


def test_a_full_disk_is_a_sentence(resumed: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tuner.journal.Journal.start", full)
    ended = resumed.zerotune("run", "tiny.yaml", "--driver", "serial")
    assert (ended.code, ended.err[:30]) == (1, "error: No space left on device")


# Bad input


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "quickstrat"], "no study file or shipped study 'quickstrat': did you mean 'quickstart'?"),
        (["plan", "nowhere/x.yaml"], "no study file or shipped study 'nowhere/x.yaml'"),
        (["run", "folder"], "folder: a folder, not a study file"),
        (["plan", "binary.yaml"], "binary.yaml:1: not UTF-8 text"),
        (["plan", ""], "no study file or shipped study ''"),
        (["run", "tiny.yaml", "--store", "binary.yaml"], "binary.yaml/tiny: the study's folder cannot be written"),
        (["run", "tiny.yaml", "--address", "auto", "--driver", "serial"], "--address has no effect with"),
        (
            ["compare", "tiny", "--store", "what?"],
            "store what?: the path of an MLflow database may hold no question",
        ),
        (["compare", "tiny"], "mlruns/mlflow.db: run a study first"),
        (["compare", "tiny.yaml", "--store", "binary.yaml"], "run a study first"),
        (["export", "tiny", "--to", "figures"], "mlruns/mlflow.db: run a study first"),
        (["ui", "tiny"], "mlruns/mlflow.db: run a study first"),
        (["compare", "tiny", "--tracking-uri", "./mlruns"], "tracking URI './mlruns': it must be sqlite:///FILE"),
        (["compare", "tiny", "--tracking-uri", "http://a:secret@h:x"], "'http://***@h:x': its host or port"),
        (["compare", "tiny", "--tracking-uri", "http://a:se/cret@h"], "'http://***@h': its host or port"),
        (["compare", "tiny", "--tracking-uri", "http://[::1"], "tracking URI 'http://[::1': its host or port"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(here: Here, words: list[str], sentence: str) -> None:
    (here.folder / "folder").mkdir()
    (here.folder / "binary.yaml").write_bytes(bytes(range(128, 256)))
    refusal = here.refuse(*words)
    assert sentence in refusal
    assert "secret" not in refusal
    assert refusal.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("epochs: 1", "epochs: [1", "not valid YAML"),
        ("epochs: 1", "epoch: 1", "tiny.yaml:6: epoch: unknown key 'epoch': did you mean 'epochs'?"),
        ("low: 0.01, high: 0.3", "low: 1.6, high: 0.1", "low must be below high, got low=1.6, high=0.1"),
        ("lr: 0.01}", "lr: 0.01, warmup_epochs: 5}", "would outlast the run"),
    ],
)
def test_a_mistake_in_a_study_is_named_with_its_line(here: Here, old: str, new: str, sentence: str) -> None:
    here.study.write_text(STUDY.replace(old, new, 1), encoding="utf-8")
    refusal = here.refuse("plan", "tiny.yaml")
    assert sentence in refusal
    assert all(re.match(r"(error: )?tiny\.yaml:\d+: ", line) for line in refusal.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ["run", "tiny.yaml", "--frobnicate"],
        ["run"],
        ["frobnicate"],
        ["run", "tiny.yaml", "--driver", "slurm"],
        ["export", "tiny", "--to", "x", "--cost", "money"],
        ["ui", "tiny", "--port", "99999"],
        ["list", "colours"],
    ],
)
def test_a_wrong_command_line_exits_with_2(here: Here, words: list[str]) -> None:
    assert "Usage: zerotune" in here.refuse(*words)


def test_missing_data_are_named(here: Here) -> None:
    here.study.write_text(STUDY.replace("mnist5k", "mnist"), encoding="utf-8")
    assert "nowhere: no such folder" in here.refuse("run", "tiny.yaml", "--driver", "serial", "--data", "nowhere")


@pytest.mark.parametrize("words", [["compare", "tiny"], ["ui", "tiny"], ["report", "tiny"]])
def test_a_store_that_does_not_answer_exits_with_4_and_keeps_the_password(here: Here, words: list[str]) -> None:
    refusal = here.refuse(*words, "--tracking-uri", f"http://ann:secret@{DEAD}", code=4)
    assert f"the MLflow store at http://***@{DEAD} did not answer" in refusal
    assert "secret" not in refusal


@pytest.mark.parametrize(
    ("address", "code", "sentence"),
    [
        (DEAD, 4, f"--address {DEAD}: nothing answers there"),
        ("nonsense", 2, "--address nonsense: must be auto, HOST:PORT or ray://HOST:PORT"),
        ("127.0.0.1:999999", 4, "--address 127.0.0.1:999999: nothing answers there"),
    ],
)
def test_a_cluster_that_is_not_there_is_named(here: Here, address: str, code: int, sentence: str) -> None:
    ended = here.zerotune("run", "tiny.yaml", "--address", address)
    assert (ended.code, ended.err.count("\n")) == (code, 1)
    assert sentence in ended.err


def test_a_cluster_that_says_nothing_is_given_up_and_holds_up_no_exit(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr("ray.init", lambda **_: answered.wait())
    monkeypatch.setattr("tuner.drivers.attach.CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        ended = here.zerotune("run", "tiny.yaml", "--address", address)
    (waiting,) = [thread for thread in threading.enumerate() if thread.name == "ray-join"]
    assert waiting.daemon
    answered.set()
    waiting.join()
    assert ended.code == 4
    assert f"--address {address}: the Ray cluster did not answer within" in ended.err


def test_export_into_a_file_is_refused(resumed: Here) -> None:
    assert "--to tiny.yaml: cannot be written" in resumed.refuse("export", "tiny", "--to", "tiny.yaml")


def test_export_names_its_files(resumed: Here) -> None:
    ended = resumed.zerotune("export", "tiny", "--to", "figures", "--cost", "flops")
    assert ended.code == 0
    assert "figures/report.html" in ended.out.splitlines()
    assert all((resumed.folder / line).is_file() for line in ended.out.splitlines())


def test_an_unknown_study_is_told_from_those_in_the_store(resumed: Here) -> None:
    assert "did you mean 'tiny'? It holds: tiny." in resumed.refuse("compare", "tyni")


def test_a_port_in_use_is_named(resumed: Here) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = resumed.zerotune("ui", "tiny", "--port", str(port))
    assert ended.code == 2
    assert f"--port {port}: cannot be used (Address already in use): choose another" in ended.err


# What is printed


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from tuner.cli import main; sys.argv = ['zerotune', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'ray', 'mlflow', 'optuna', 'plotly', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_output_that_knows_no_special_characters_is_no_crash(resumed: Here) -> None:
    done = subprocess.run(
        [*ZEROTUNE, "compare", "tiny"],
        cwd=resumed.folder,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Is [/red] it [bold] tiny?" in done.stdout


def test_the_version_is_the_packages(here: Here) -> None:
    assert here.zerotune("--version").out == f"zerotune {__version__}\n"


def test_a_plan_shows_every_column_and_takes_names_as_they_are(here: Here) -> None:
    out = here.zerotune("plan", "tiny.yaml").out
    assert out.startswith("tiny: Is [/red] it [bold] tiny?\n")
    assert re.search(r"arm +batch +trials +trials +iterations +[A-Z]FLOPs +core time", out)
    assert re.search(r"sqrt +3,000 +0 +2 +2 ", out)
    assert "8 trials in all" in out


@pytest.mark.parametrize("what", ["applications", "optimizers", "schedules", "rules", "methods", "studies"])
def test_listings_break_no_word(here: Here, what: str) -> None:
    from tuner.listing import listing

    out = here.zerotune("list", what).out
    for row in listing(what)[1]:
        assert set(" ".join(row).split()) <= set(out.split())


# What a rule gives

BASELINE_36 = ["--baseline-batch-size", "1024", "--lr", "1.25e-3", "--warmup-epochs", "2"]
DATE_36 = ["rule", "date", *BASELINE_36, "--epochs", "30", "--num-samples", "60000", "--batch-size", "8192"]


def test_a_rule_prints_what_it_gives(here: Here) -> None:
    """The worked example of DATE 3.6."""
    ended = here.zerotune(*DATE_36)
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"8,192 +8 +3\.54e-3 +16 +117 +220\n", ended.out)
    assert max(len(line) for line in ended.out.splitlines()) <= PLAIN_WIDTH


def test_a_rule_prints_json_alone(here: Here) -> None:
    ended = here.zerotune(*DATE_36, "--batch-size", "2048", "--json", "--plot", "curve.html")
    assert [row["total_iterations"] for row in json.loads(ended.out)["rows"]] == [220, 879]
    assert (here.folder / "curve.html").is_file()


def test_a_rule_names_the_plot_it_has_written(here: Here) -> None:
    assert here.zerotune(*DATE_36, "--plot", "curve.html").out.endswith("\ncurve.html\n")


def test_a_rule_without_a_baseline_is_refused_with_an_example_to_copy(here: Here) -> None:
    sentence = here.refuse("rule", "date")
    assert sentence.count("\n") == 1
    example = sentence.split("For example: zerotune ")[1].split()
    assert here.zerotune(*example).code == 0


def test_a_rule_takes_an_applications_baseline_and_options_for_its_schedule(here: Here) -> None:
    options = ["--warmup", "cosine", "--warmup-epochs", "1", "--decay", "poly", "--decay-option", "power=1"]
    ended = here.zerotune("rule", "legw", "--application", "lenet_mnist", *options, "--batch-size", "1024")
    assert ended.code == 0
    assert "Baseline: B0=256, learning rate 0.02, cosine warm-up over 1 epoch, decay poly (power=1)." in ended.out


def test_a_rules_long_warmup_is_refused_or_cut(here: Here) -> None:
    words = [*DATE_36[:-1], "16384"]
    assert "its warm-up of 32 epochs would outlast the run of 30 epochs" in here.refuse(*words)
    assert here.zerotune(*words, "--on-long-warmup", "clamp").code == 0
