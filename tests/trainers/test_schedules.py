import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.small_schedules import decay, schedule
from zerotune.trainers.schedules import DECAYS, WARMUPS, Schedule
from zerotune.trainers.spec import DecaySpec, OptionValue

MNIST = 60_000
PEAK_8K = 1.25e-3 * math.sqrt(8)
EXAMPLE_OPTIONS: dict[str, dict[str, OptionValue]] = {
    "multistep": {"milestones": (10.0, 20.0, 27.0)},
    "exponential": {"start_epoch": 7.0, "factor": 0.4},
    "cyclical": {"cycle_epochs": 1.5},
}


def lrs(chosen: Schedule) -> list[float]:
    return [chosen.lr(t) for t in range(1, chosen.total_iterations + 1)]


def mnist_8k(decay_spec: DecaySpec) -> Schedule:
    """Return the worked example of DATE 3.6."""
    return schedule(decay_spec, peak_lr=PEAK_8K, warmup_epochs=16, num_samples=MNIST, batch_size=8192, epochs=30)


def test_date_example_has_117_warmup_iterations_at_both_batch_sizes() -> None:
    baseline = schedule(decay("constant"), warmup_epochs=2, num_samples=MNIST, batch_size=1024, epochs=30)
    assert (baseline.warmup_iterations, mnist_8k(decay("date")).warmup_iterations) == (117, 117)


def test_date_example_has_220_iterations() -> None:
    assert mnist_8k(decay("date")).total_iterations == 220


def test_date_example_is_continuous_at_the_end_of_warmup() -> None:
    example = mnist_8k(decay("date"))
    assert example.lr(117) / PEAK_8K == pytest.approx(117 * 8192 / 60_000 / 16)
    assert example.lr(118) / PEAK_8K == pytest.approx(0.9935, abs=5e-5)


def test_date_example_as_printed_drops_to_half_the_peak() -> None:
    example = mnist_8k(decay("date", as_printed=True, baseline_warmup_epochs=2))
    assert example.lr(118) / PEAK_8K == pytest.approx(102 / ((1 - 2 / 30) * 220))
    assert example.lr(118) / PEAK_8K == pytest.approx(0.497, abs=5e-4)


def test_date_ends_at_its_floor() -> None:
    assert pytest.approx((mnist_8k(decay("date")).lr(220), mnist_8k(decay("date", floor=1e-5)).lr(220))) == (1e-6, 1e-5)


def test_date_36_baseline_has_the_papers_iteration_counts() -> None:
    """Warm-up 117, then 469, 586, 410 and 176 iterations at 1, 0.1, 0.01 and 0.001 of the peak."""
    baseline = schedule(
        decay("multistep", milestones=(10, 20, 27)),
        peak_lr=1.25e-3,
        warmup_epochs=2,
        num_samples=MNIST,
        batch_size=1024,
        epochs=30,
    )
    after = [round(math.log10(lr / 1.25e-3)) for lr in lrs(baseline)[117:]]
    assert [after.count(-power) for power in range(4)] == [469, 586, 410, 176]
    assert baseline.lr(1758) == pytest.approx(1.25e-6)


def test_date_36_manual_8k_schedule_warms_up_for_two_epochs_and_drops_at_10_20_27() -> None:
    manual = schedule(
        decay("multistep", milestones=(10, 20, 27)),
        peak_lr=0.01,
        warmup_epochs=2,
        num_samples=MNIST,
        batch_size=8192,
        epochs=30,
    )
    values = lrs(manual)
    drops = [t for t in range(16, 221) if values[t - 1] < 0.5 * values[t - 2]]
    assert (manual.warmup_iterations, drops) == (14, [74, 147, 199])


def test_exponential_is_ptbs_seven_constant_epochs_then_times_0_4_an_epoch() -> None:
    ptb = schedule(decay("exponential", start_epoch=7, factor=0.4), num_samples=10, batch_size=10, epochs=13)
    assert lrs(ptb) == pytest.approx([1.0] * 7 + [0.4**power for power in range(1, 7)])


def test_exponential_changes_with_the_first_iteration_of_an_epoch() -> None:
    stepped = schedule(decay("exponential", start_epoch=1, factor=0.5), num_samples=4, batch_size=2, epochs=3)
    assert lrs(stepped) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_poly_falls_from_the_end_of_warmup_to_zero() -> None:
    squared = schedule(decay("poly"), warmup_epochs=1, num_samples=2, batch_size=1, epochs=3)
    assert lrs(squared) == pytest.approx([0.5, 1.0, 0.75**2, 0.5**2, 0.25**2, 0.0])


def test_quadratic_warmup_is_the_square_of_the_linear_one() -> None:
    options = {"warmup_epochs": 2.0, "num_samples": 4, "batch_size": 2, "epochs": 4}
    linear = schedule(decay("constant"), warmup="linear", **options)  # type: ignore[arg-type]
    quadratic = schedule(decay("constant"), warmup="quadratic", **options)  # type: ignore[arg-type]
    assert lrs(linear) == [0.25, 0.5, 0.75] + [1.0] * 5
    assert lrs(quadratic) == [0.0625, 0.25, 0.5625] + [1.0] * 5


def test_cosine_warmup_is_half_a_cosine() -> None:
    """LIMIT Fig. 29: after a sixth, a third, a half ... of warm-up the rate is 0.067, 0.25, 0.5 ... of the peak."""
    cosine = schedule(decay("constant"), warmup="cosine", warmup_epochs=1, num_samples=6, batch_size=1, epochs=2)
    third = math.sqrt(3) / 2
    assert lrs(cosine) == pytest.approx(
        [(1 - third) / 2, 0.25, 0.5, 0.75, (1 + third) / 2, 1.0] + [1.0] * 6,
    )


def test_constant_warmup_stays_at_its_start_then_jumps_to_the_peak() -> None:
    """Goyal et al., Section 2.2, from batch size 256 to 1,024: 5 epochs at 0.1, then 0.4."""
    goyal = schedule(
        decay("constant"),
        peak_lr=0.4,
        warmup="constant",
        warmup_start=0.25,
        warmup_epochs=5,
        num_samples=2,
        batch_size=1,
        epochs=7,
    )
    assert lrs(goyal) == [0.1] * 9 + [0.4] * 5


def test_a_warmup_rises_from_its_start() -> None:
    """Goyal et al., Section 2.2, gradual warm-up: equal steps from the baseline's learning rate to the peak."""
    gradual = schedule(decay("constant"), warmup_start=0.2, warmup_epochs=2, num_samples=2, batch_size=1, epochs=3)
    assert lrs(gradual) == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("warmup", WARMUPS)
def test_every_warmup_of_no_epochs_starts_at_the_peak(warmup: str) -> None:
    start = 0.5 if warmup == "constant" else 0.0
    assert lrs(schedule(decay("constant"), peak_lr=0.5, warmup=warmup, warmup_start=start)) == [0.5] * 40


@pytest.mark.parametrize("warmup", WARMUPS)
def test_a_shape_of_warmup_rises_within_zero_and_one(warmup: str) -> None:
    rises = [WARMUPS[warmup].shape(part / 50) for part in range(51)]
    assert rises == sorted(rises)
    assert all(0.0 <= value <= 1.0 for value in rises)


def test_cosine_falls_along_half_a_cosine_from_the_end_of_warmup_to_zero() -> None:
    """LIMIT Figs 28 and 29."""
    half = schedule(decay("cosine"), warmup_epochs=1, num_samples=2, batch_size=1, epochs=4)
    third = math.sqrt(3) / 2
    assert lrs(half) == pytest.approx([0.5, 1.0, (1 + third) / 2, 0.75, 0.5, 0.25, (1 - third) / 2, 0.0])


def test_fine_and_coarse_cosine_differ_in_their_number_of_restarts() -> None:
    """LIMIT Figs 25 and 27, read as SGDR's warm restarts: every cycle ends at 0 and the next starts near the peak."""
    counts = {}
    for name in ("cosine-fine", "cosine-coarse"):
        rates = lrs(schedule(decay(name), warmup_epochs=1, num_samples=160, batch_size=1, epochs=5))[160:]
        counts[name] = (
            sum(lr == pytest.approx(0.0, abs=1e-12) for lr in rates),
            sum(later > earlier for earlier, later in itertools.pairwise(rates)),
        )
    assert counts == {"cosine-fine": (16, 15), "cosine-coarse": (4, 3)}


def test_a_cosine_cycle_jumps_back_to_the_peak_or_rises_smoothly() -> None:
    jumping = schedule(decay("cosine-coarse", cycles=2), num_samples=2, batch_size=1, epochs=4)
    smooth = schedule(decay("cosine-coarse", cycles=2, smooth=True), num_samples=3, batch_size=1, epochs=4)
    half = math.sqrt(0.5)
    falling = [(1 + half) / 2, 0.5, (1 - half) / 2, 0.0]
    assert lrs(jumping) == pytest.approx([*falling, *falling])
    assert lrs(smooth) == pytest.approx([*falling, *falling[-2::-1], 1.0, *falling])


def test_cyclical_falls_to_its_low_end_and_rises_again() -> None:
    """LIMIT Figs 32 and 33, Smith's triangular policy: two epochs down to a quarter of the peak, then two up."""
    cyclical = schedule(decay("cyclical", cycle_epochs=4), warmup_epochs=1, num_samples=1, batch_size=1, epochs=8)
    assert lrs(cyclical) == pytest.approx([1.0, 0.625, 0.25, 0.625, 1.0, 0.625, 0.25, 0.625])


def test_cyclical_takes_its_low_end() -> None:
    cyclical = schedule(decay("cyclical", cycle_epochs=2, low=0), num_samples=2, batch_size=1, epochs=2)
    assert lrs(cyclical) == pytest.approx([0.5, 0.0, 0.5, 1.0])


def test_legw_32_multistep_example_at_2k() -> None:
    """LEGW 3.2: 0.625 epochs up to 2^3, times 0.1 at epochs 30, 60 and 80 of 90."""
    steps = schedule(
        decay("multistep", milestones=(30, 60, 80)),
        peak_lr=8.0,
        warmup_epochs=0.625,
        num_samples=1_281_167,
        batch_size=2048,
        epochs=90,
    )
    iterations = [round(epoch * 1_281_167 / 2048) for epoch in (1, 29.9, 30.1, 59.9, 60.1, 79.9, 80.1, 90)]
    assert [steps.lr(t) for t in iterations] == pytest.approx([8, 8, 0.8, 0.8, 0.08, 0.08, 0.008, 0.008])


def test_legw_32_poly_example_ends_at_zero() -> None:
    """LEGW 3.2: "the final LR of poly decay is 0.0". LARS, Algorithm 1: (1 - t/T)^2 without warm-up."""
    poly = schedule(decay("poly"), num_samples=10, batch_size=2, epochs=4)
    assert lrs(poly) == pytest.approx([(1 - t / 20) ** 2 for t in range(1, 21)])
    assert poly.lr(20) == 0.0


def test_a_batch_that_does_not_divide_the_samples_rounds_the_iterations_up() -> None:
    assert schedule(decay("constant"), num_samples=10, batch_size=4, epochs=3).total_iterations == 8


def test_total_iterations_are_exact_for_numbers_beyond_float_precision() -> None:
    huge = schedule(decay("constant"), num_samples=10**17 + 1, batch_size=1, epochs=3)
    assert huge.total_iterations == 3 * 10**17 + 3


def test_a_warmup_longer_than_the_run_never_reaches_the_peak() -> None:
    long = schedule(decay("date"), warmup_epochs=8, num_samples=10, batch_size=5, epochs=2)
    assert (long.warmup_iterations, lrs(long)) == (4, [0.0625, 0.125, 0.1875, 0.25])


def test_a_warmup_as_long_as_the_run_ends_at_the_peak() -> None:
    assert lrs(schedule(decay("poly"), warmup_epochs=2, num_samples=3, batch_size=2, epochs=2)) == pytest.approx(
        [1 / 3, 2 / 3, 1.0]
    )


@pytest.mark.parametrize("name", DECAYS)
@pytest.mark.parametrize("warmup", WARMUPS)
@pytest.mark.parametrize("warmup_epochs", [0.0, 0.37, 2.0, 3.999, 4.0, 9.0])
@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_any_warmup_composes_with_any_decay_within_zero_and_peak(
    name: str, warmup: str, warmup_epochs: float, batch_size: int
) -> None:
    options = EXAMPLE_OPTIONS.get(name, {})
    chosen = schedule(
        decay(name, **options),
        peak_lr=0.3,
        warmup=warmup,
        warmup_start=0.2 if warmup == "constant" else 0.0,
        warmup_epochs=0.0 if warmup == "none" else warmup_epochs,
        batch_size=batch_size,
    )
    assert all(0.0 <= lr <= 0.3 for lr in lrs(chosen))


@given(
    name=st.sampled_from(["constant", "poly", "date", "cosine", "cyclical"]),
    num_samples=st.integers(200, 5000),
    batch_size=st.integers(1, 200),
    epochs=st.integers(1, 30),
    part=st.floats(0.01, 0.9),
)
def test_continuous_decays_go_on_from_where_warmup_ends(
    name: str, num_samples: int, batch_size: int, epochs: int, part: float
) -> None:
    """The step across the end of warm-up changes the rate by at most one iteration's slope on either side."""
    options: dict[str, OptionValue] = {"power": 1.0} if name == "poly" else {}
    if name == "cyclical":
        options = {"cycle_epochs": 2.0 * epochs, "low": 0.0}
    chosen = schedule(
        decay(name, **options),
        warmup_epochs=part * epochs,
        num_samples=num_samples,
        batch_size=batch_size,
        epochs=epochs,
    )
    end = chosen.warmup_iterations
    if not 1 <= end < chosen.total_iterations:
        return
    length = part * epochs * num_samples / batch_size
    steepest = math.pi / 2 if name == "cosine" else 1.0  # of the decay, relative to the run after warm-up
    slopes = 1 / length + 2 * steepest / ((1 - part) * chosen.total_iterations)
    assert abs(chosen.lr(end + 1) - chosen.lr(end)) <= slopes + 1e-9
