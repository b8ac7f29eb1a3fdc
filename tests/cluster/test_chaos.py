"""A short run of `benchmarks/chaos.py`: it kills a worker and the driver, and takes the store away and back."""

from dataclasses import replace
from pathlib import Path

from benchmarks.chaos import problems, run_study
from tests.cluster.nodes import MARKS

pytestmark = MARKS
TRIALS = 4
SEED = 10
"""Seed that draws a worker, the driver and twice the store, in this order."""


def test_a_study_under_fire_comes_to_what_an_undisturbed_one_comes_to(tmp_path: Path) -> None:
    said: list[str] = []
    outcomes = []
    asked = {"trials": TRIALS, "epochs": 6, "interval": 3.0, "seed": SEED}
    for faults, driver in ((0, "serial"), (4, "ray")):
        (tmp_path / driver).mkdir()
        options = ("--driver", driver)
        outcomes.append(run_study(tmp_path / driver, faults=faults, say=said.append, options=options, **asked))  # type: ignore[arg-type]
    calm, disturbed = outcomes
    assert problems(calm, disturbed, trials=TRIALS) == []
    assert len(said) == disturbed.faults.total()
    # The last fault, the store's return, may come after the study's end if trainings are fast.
    assert (disturbed.faults["worker"], disturbed.faults["driver"]) == (1, 1)
    assert disturbed.faults["store"] in (1, 2)

    slow = replace(disturbed, seconds=3 * calm.seconds)
    assert problems(calm, slow, trials=TRIALS) == []
    (sentence,) = problems(calm, slow, trials=TRIALS, most_times=1.5)
    assert sentence == "it takes at most 1.5 times as long as undisturbed: 3.00"
