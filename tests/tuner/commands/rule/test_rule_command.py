"""`zerotune rule`: its output and the requests that it refuses."""

import json
import re

import pytest

from tests.tuner.tiny_study import TinyStudyFolder
from zerotune.tuner.commands.terminal import PLAIN_WIDTH

BASELINE_36 = ["--baseline-batch-size", "1024", "--lr", "1.25e-3", "--warmup-epochs", "2"]
DATE_36 = ["rule", "date", *BASELINE_36, "--epochs", "30", "--num-samples", "60000", "--batch-size", "8192"]


def test_a_rule_prints_what_it_gives(tiny: TinyStudyFolder) -> None:
    """DATE 3.6, worked example."""
    ended = tiny.zerotune(*DATE_36)
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"8,192 +8 +3\.54e-3 +16 +117 +220\n", ended.out)
    assert max(len(line) for line in ended.out.splitlines()) <= PLAIN_WIDTH


def test_a_rule_prints_json_alone(tiny: TinyStudyFolder) -> None:
    ended = tiny.zerotune(*DATE_36, "--batch-size", "2048", "--json", "--plot", "curve.html")
    assert [row["total_iterations"] for row in json.loads(ended.out)["rows"]] == [220, 879]
    assert (tiny.folder / "curve.html").is_file()


def test_a_rule_names_the_plot_it_has_written(tiny: TinyStudyFolder) -> None:
    assert tiny.zerotune(*DATE_36, "--plot", "curve.html").out.endswith("\ncurve.html\n")


def test_a_rule_without_a_baseline_is_refused_with_an_example_to_copy(tiny: TinyStudyFolder) -> None:
    sentence = tiny.refuse("rule", "date")
    assert sentence.count("\n") == 1
    assert sentence.startswith(
        "error: rule date starts from a baseline and gives what to train with at a batch size: --baseline-batch-size, "
        "--lr, --epochs, --num-samples and --batch-size are missing (or name an --application that knows them). For"
    )
    example = sentence.split("For example: zerotune ")[1].split()
    assert tiny.zerotune(*example).code == 0


def test_a_rule_takes_an_applications_baseline_and_options_for_its_schedule(tiny: TinyStudyFolder) -> None:
    options = ["--warmup", "cosine", "--warmup-epochs", "1", "--decay", "poly", "--decay-option", "power=1"]
    ended = tiny.zerotune("rule", "legw", "--application", "lenet_mnist", *options, "--batch-size", "1024")
    assert ended.code == 0
    assert "Baseline: B0=256, learning rate 0.02, cosine warm-up over 1 epoch, decay poly (power=1)." in ended.out


def test_a_rule_that_knows_the_noise_batch_takes_it_in_samples(tiny: TinyStudyFolder) -> None:
    words = [word if word != "date" else "saturating" for word in DATE_36]
    ended = tiny.zerotune(*words, "--noise-batch-size", "2048", "--json")
    (row,) = json.loads(ended.out)["rows"]
    assert row["schedule"]["peak_lr"] == pytest.approx(1.25e-3 * 3 / 1.25)
    assert tiny.refuse(*words).startswith(
        "error: rule saturating needs --noise-batch-size: the batch size beyond which"
    )
    assert "--exponent has no effect: rule date needs none" in tiny.refuse(*DATE_36, "--exponent", "0.5")


def test_a_rules_long_warmup_is_refused_or_cut(tiny: TinyStudyFolder) -> None:
    words = [*DATE_36[:-1], "16384"]
    assert "its warm-up of 32 epochs would outlast the run of 30 epochs" in tiny.refuse(*words)
    assert tiny.zerotune(*words, "--on-long-warmup", "clamp").code == 0
