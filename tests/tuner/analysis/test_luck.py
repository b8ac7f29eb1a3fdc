"""The luck in the best of k trials, where the true scores are known."""

import numpy as np
import pytest

from benchmarks.luck import LEVEL_K, SEARCHES, bias
from tests.synthetic_study import result
from zerotune.tuner.analysis.evidence import best_of_k
from zerotune.tuner.analysis.luck import seed_noise, true_best_of_k
from zerotune.tuner.analysis.tuning_effort import effort_to_match


@pytest.mark.parametrize("name", ["plain", "a third lost"])
def test_two_thirds_of_the_luck_are_taken_out_and_k_star_comes_near_the_true_one(name: str) -> None:
    found = bias(SEARCHES[name], 24, np.random.default_rng(3), repeats=25)
    assert found.observed > 0.005  # nearly one standard deviation of a seed
    assert abs(found.corrected) < 0.45 * found.observed
    assert found.trials < LEVEL_K
    assert found.trials <= found.corrected_trials <= LEVEL_K + 2


def test_without_noise_the_best_of_k_is_the_observed_one() -> None:
    scores = [0.90, 0.93, 0.91, 0.96]
    assert true_best_of_k(scores, 0.0, higher_is_better=True) == best_of_k(scores, higher_is_better=True)
    hardly = true_best_of_k(scores, 1e-6, higher_is_better=True)
    assert hardly == pytest.approx(best_of_k(scores, higher_is_better=True), abs=1e-5)


def test_where_lower_is_better_luck_is_low() -> None:
    scores = [100.0, 103.0, 101.0, 106.0]
    lower = true_best_of_k(scores, 2.0, higher_is_better=False)
    assert lower == pytest.approx([-best for best in true_best_of_k([-s for s in scores], 2.0, higher_is_better=True)])
    assert lower[-1] > 100.0
    assert lower[0] == pytest.approx(102.5, abs=1e-3)


def test_the_curve_never_gets_worse_and_is_the_same_on_every_call() -> None:
    scores = [0.1, 0.95, 0.97, 0.968, 0.1, 0.972, 0.96]
    curve = true_best_of_k(scores, 0.006, higher_is_better=True)
    assert list(curve) == sorted(curve)
    assert curve == true_best_of_k(scores[::-1], 0.006, higher_is_better=True)
    assert true_best_of_k([], 0.006, higher_is_better=True) == ()
    assert true_best_of_k([0.9], 0.006, higher_is_better=True) == (0.9,)


def test_one_unstable_configuration_does_not_set_the_noise() -> None:
    generator = np.random.default_rng(0)
    sound = generator.normal(0.97, 0.006, size=(300, 5)).tolist()
    assert seed_noise(sound) == pytest.approx(0.006, rel=0.06)
    assert seed_noise([*sound, [0.68, 0.84, 0.89]]) == pytest.approx(seed_noise(sound), rel=0.01)
    assert seed_noise([[0.97], []]) is None


def test_k_star_is_without_luck_and_the_lucky_one_stands_beside_it() -> None:
    scores = (0.950, 0.954, 0.958, 0.962, 0.966, 0.970)
    search = [result("tuned", 1024, "search", index, validation=score) for index, score in enumerate(scores)]

    def effort(noise: float | None, *, learned: bool = False) -> tuple[int | None, int | None, float | None]:
        found = effort_to_match(search, [], 0.965, learned=learned, higher_is_better=True, noise=noise)
        assert found is not None
        return found.trials, found.lucky_trials, found.noise

    assert effort(None) == (3, 3, None)
    assert effort(0.006) == (None, 3, 0.006)
    assert effort(0.006, learned=True) == (5, 5, None)
