"""A short run of `benchmarks/chaos.py`: kills of workers and drivers, Ctrl-C, a store that comes and goes."""

from pathlib import Path

from benchmarks.chaos import problems, run_study
from tests.cluster.nodes import MARKS

pytestmark = MARKS
TRIALS = 6


def test_a_study_under_fire_comes_to_what_an_undisturbed_one_comes_to(tmp_path: Path) -> None:
    said: list[str] = []
    outcomes = []
    for faults, name in ((0, "calm"), (4, "disturbed")):
        (tmp_path / name).mkdir()
        outcomes.append(
            run_study(tmp_path / name, trials=TRIALS, epochs=6, faults=faults, interval=4.0, seed=3, say=said.append)
        )
    assert problems(*outcomes, trials=TRIALS) == []
    assert len(said) == outcomes[1].faults.total() > 0
