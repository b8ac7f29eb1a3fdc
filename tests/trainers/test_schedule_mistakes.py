"""Invalid schedules and their error messages."""

import math

import pytest

from tests.trainers.small_schedules import decay, schedule
from zerotune.trainers.spec import DecaySpec
from zerotune.trainers.tables import UnknownName


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"peak_lr": 0.0}, "peak_lr must be a finite number above 0, got 0.0"),
        ({"peak_lr": math.inf}, "peak_lr must be a finite number above 0, got inf"),
        ({"warmup_epochs": -1.0}, "warmup_epochs must be a finite number of at least 0, got -1.0"),
        ({"warmup_epochs": math.nan}, "warmup_epochs must be a finite number of at least 0, got nan"),
        ({"warmup_start": 1.1}, "a fraction of the peak learning rate, must be from 0 to 1, got 1.1"),
        ({"warmup_start": math.nan}, "a fraction of the peak learning rate, must be from 0 to 1, got nan"),
        ({"warmup": "constant", "warmup_epochs": 1.0}, "'constant' needs warmup_start"),
        ({"warmup": "none", "warmup_epochs": 1.0}, "warmup_epochs has no effect with warm-up 'none', got 1"),
        ({"warmup": "none", "warmup_start": 0.5}, "warmup_start has no effect with warm-up 'none', got 0.5"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"batch_size": 101}, "batch_size must be at most the number of training samples, 100, got 101"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"num_samples": 0}, "num_samples must be at least 1, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(changes: dict[str, float | str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        schedule(decay("constant"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("decay_spec", "sentence"),
    [
        (decay("multistep"), "option 'milestones' is missing"),
        (decay("multistep", milestones=(20, 10)), "'milestones' must rise"),
        (decay("multistep", milestones=(1,), factor=2.0), "'factor' must be from 0 to 1, got 2.0"),
        (decay("exponential", factor=0.4), "option 'start_epoch' is missing"),
        (decay("poly", power=-1.0), "'power' must be from 0 to 100, got -1.0"),
        (decay("date", floor=2.0), "'floor' must be at most the peak learning rate, 1, got 2"),
        (decay("date", as_printed=True), "have an effect only together"),
        (decay("date", baseline_warmup_epochs=1.0), "have an effect only together"),
        (decay("date", as_printed=True, baseline_warmup_epochs=4.0), "must be below the 4 epochs of the run"),
        (decay("constant", factor=0.1), "takes no options"),
        (decay("cosine", cycles=2), "takes no options"),
        (decay("cosine-fine", cycles=1), "'cycles' must be from 2 to 100000, got 1"),
        (decay("cosine-fine", cycles=2.5), "'cycles' must be a whole number, got 2.5"),
        (decay("cyclical"), "option 'cycle_epochs' is missing"),
        (decay("cyclical", cycle_epochs=0.0), "'cycle_epochs' must be at least 0.001, got 0.0"),
        (decay("cyclical", cycle_epochs=2.0, low=1.5), "'low' must be from 0 to 1, got 1.5"),
    ],
)
def test_bad_decay_options_are_refused(decay_spec: DecaySpec, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        schedule(decay_spec)


def test_unknown_names_are_refused_with_their_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown decay 'pol': did you mean 'poly'"):
        schedule(decay("pol"))
    with pytest.raises(UnknownName, match="unknown warm-up 'quadratik': did you mean 'quadratic'"):
        schedule(decay("constant"), warmup="quadratik")
    with pytest.raises(UnknownName, match="unknown option of decay 'poly' 'powr': did you mean 'power'"):
        schedule(decay("poly", powr=2.0))


@pytest.mark.parametrize("iteration", [0, 41])
def test_an_iteration_outside_the_run_is_refused(iteration: int) -> None:
    with pytest.raises(ValueError, match=f"iteration must be from 1 to 40, got {iteration}"):
        schedule(decay("constant")).lr(iteration)
