import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerotune.trainers.scaling import RULES, WarmupTooLong, rule_remarks, scale
from zerotune.trainers.schedules import build_schedule
from zerotune.trainers.spec import Baseline, Configuration, DecaySpec, OptimizerSpec, OptionValue, ScheduleSpec
from zerotune.trainers.tables import UnknownName

IMAGENET = 1_281_167
POLY = DecaySpec(name="poly", options={"power": 2.0})


ADAM = OptimizerSpec(name="adam", options={"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01})


def baseline(batch_size: int, peak_lr: float, warmup_epochs: float, decay: DecaySpec = POLY) -> Baseline:
    schedule = ScheduleSpec(peak_lr=peak_lr, warmup_epochs=warmup_epochs, decay=decay)
    return Baseline(batch_size=batch_size, schedule=schedule, optimizer=ADAM)


MNIST_BASELINE = baseline(1024, 1.25e-3, 2.0)


def numbers_of(rule: str) -> dict[str, float]:
    """Return numbers for a rule that needs some."""
    return {name: {"exponent": 0.25, "noise_batch_size": 2048.0}[name] for name in RULES[rule].numbers}


def warmup_iterations(scaled: Configuration, *, num_samples: int, batch_size: int, epochs: int) -> int:
    schedule = build_schedule(scaled.schedule, num_samples=num_samples, batch_size=batch_size, epochs=epochs)
    return schedule.warmup_iterations


@pytest.mark.parametrize(
    ("rule", "peak_lr", "warmup_epochs", "decay"),
    [
        ("constant", 0.1, 1.0, "poly"),
        ("linear", 0.4, 1.0, "poly"),
        ("linear-warmup", 0.4, 5.0, "poly"),
        ("sqrt", 0.2, 1.0, "poly"),
        ("legw", 0.2, 4.0, "poly"),
        ("date", 0.2, 4.0, "date"),
        ("adam-sde", 0.2, 4.0, "poly"),
        ("power", 0.1 * math.sqrt(2), 1.0, "poly"),
        ("surge", 0.1 * (8**0.5 + 8**-0.5) / (2**0.5 + 2**-0.5), 4.0, "poly"),
        ("saturating", 0.1 * (9 / 3) ** 0.25, 4.0, "poly"),
    ],
)
def test_the_table_of_rules_at_four_times_the_batch(
    rule: str, peak_lr: float, warmup_epochs: float, decay: str
) -> None:
    scaled = scale(rule, baseline(256, 0.1, 1.0), batch_size=1024, epochs=30, numbers=numbers_of(rule))
    schedule = scaled.schedule
    assert (pytest.approx(peak_lr), warmup_epochs, decay) == (
        schedule.peak_lr,
        schedule.warmup_epochs,
        schedule.decay.name,
    )


def test_saturating_is_linear_below_the_noise_batch_where_no_exponent_is_stated() -> None:
    scaled = scale("saturating", baseline(256, 0.1, 1.0), batch_size=512, epochs=9, numbers={"noise_batch_size": 1e12})
    assert scaled.schedule.peak_lr == pytest.approx(0.2)


def test_without_a_warmup_only_rules_that_then_are_sqrt_are_said_to_be() -> None:
    start = baseline(256, 0.1, 0.0)
    said = {rule: rule_remarks(rule, start, has_ratio=None) for rule in ("legw", "surge", "saturating", "power")}
    assert {rule: ["'sqrt'" in remark for remark in remarks] for rule, remarks in said.items()} == {
        "legw": [True],
        "surge": [False],
        "saturating": [False],
        "power": [],
    }


@pytest.mark.parametrize(
    ("rule", "numbers", "sentence"),
    [
        ("power", {}, "rule 'power' needs exponent: state it beside the rule"),
        ("surge", {}, "rule 'surge' needs noise_batch_size"),
        ("surge", {"noise_batch_size": 0.0}, "noise_batch_size must be positive and finite, got 0.0"),
        ("power", {"exponent": math.nan}, "exponent must be finite, got nan"),
        ("surge", {"noise_batch_size": 9.0, "exponent": 1.0}, "exponent has no effect; it takes noise_batch_size"),
        ("sqrt", {"exponent": 0.5}, "exponent has no effect; it takes no number besides the baseline"),
    ],
)
def test_a_number_that_a_rule_needs_is_asked_for_and_another_refused(
    rule: str, numbers: dict[str, float], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        scale(rule, MNIST_BASELINE, batch_size=2048, epochs=30, numbers=numbers)


@pytest.mark.parametrize("rule", ["legw", "date"])
def test_mnist_8k_warms_up_for_16_epochs_of_117_iterations_to_3_54e_3(rule: str) -> None:
    """DATE 3.6."""
    scaled = scale(rule, MNIST_BASELINE, batch_size=8192, epochs=30)
    assert scaled.schedule.warmup_epochs == 16.0
    assert scaled.schedule.peak_lr == pytest.approx(3.54e-3, abs=5e-6)
    assert warmup_iterations(scaled, num_samples=60_000, batch_size=8192, epochs=30) == 117


def test_linear_scaling_of_the_mnist_baseline_peaks_at_0_01() -> None:
    """DATE 3.6: "the 8K batch size uses a peak learning rate of 0.01"."""
    assert scale("linear", MNIST_BASELINE, batch_size=8192, epochs=30).schedule.peak_lr == pytest.approx(0.01)


def test_the_lars_papers_linear_scaling_of_alexnet_from_512_to_4k() -> None:
    """LARS, Section 3: "we changed the base LR from 0.01 to 0.08"."""
    assert scale("linear", baseline(512, 0.01, 0.0), batch_size=4096, epochs=100).schedule.peak_lr == 0.08


def test_goyals_resnet50_from_256_to_8k_warms_up_for_5_epochs_to_3_2() -> None:
    """Goyal et al., Section 5.1: a reference learning rate of 0.1 at 256, where gradual warm-up starts."""
    start = baseline(256, 0.1, 0.0)
    goyal = replace(start, schedule=replace(start.schedule, warmup_start=1.0))
    scaled = scale("linear-warmup", goyal, batch_size=8192, epochs=90).schedule
    assert (scaled.peak_lr, scaled.warmup_epochs, scaled.warmup_start * scaled.peak_lr) == (3.2, 5.0, 0.1)


def test_date_fig_15_4_is_linear_warmup_with_poly_2_from_its_baseline() -> None:
    scaled = scale("linear-warmup", baseline(128, 0.01, 0.0), batch_size=8192, epochs=25).schedule
    assert (scaled.peak_lr, scaled.warmup_epochs, scaled.decay) == (0.64, 5.0, POLY)


@pytest.mark.parametrize("rule", ["legw", "date"])
def test_legw_33_scales_resnet50_down_from_32k_to_1k(rule: str) -> None:
    """LEGW 3.3: tune at 32K and derive the smaller batch sizes from it."""
    scaled = scale(rule, baseline(32768, 2.0**5, 10.0), batch_size=1024, epochs=90)
    assert scaled.schedule.peak_lr == pytest.approx(2**2.5)
    assert scaled.schedule.warmup_epochs == 0.3125


@pytest.mark.parametrize("rule", ["legw", "date"])
@pytest.mark.parametrize("doublings", range(6))
def test_resnet50_table_4_from_1k_to_32k(rule: str, doublings: int) -> None:
    """LEGW and DATE Table 4: LR 2^2.5 .. 2^5, warm-up 10/2^5 .. 10 epochs, the same 390 iterations throughout."""
    batch_size = 1024 * 2**doublings
    scaled = scale(rule, baseline(1024, 2**2.5, 0.3125), batch_size=batch_size, epochs=90)
    assert scaled.schedule.peak_lr == pytest.approx(2 ** (2.5 + doublings / 2))
    assert scaled.schedule.warmup_epochs == 10 / 2 ** (5 - doublings)
    assert warmup_iterations(scaled, num_samples=IMAGENET, batch_size=batch_size, epochs=90) == 390


@pytest.mark.parametrize("doublings", range(5))
def test_gnmt_table_3_from_256_to_4k(doublings: int) -> None:
    """DATE Table 3: LR 2^-0.5/10^3 .. 2^1.5/10^3, warm-up 0.0145 .. 0.2320 epochs, 200 iterations.

    0.0145 is rounded: for 200 iterations it needs n from 3,531,035 to 3,548,689. Table 2's rounded 3.5M would give 198.
    3.54M, which rounds to 3.5M, gives the paper's number.
    """
    batch_size = 256 * 2**doublings
    scaled = scale("date", baseline(256, 2**-0.5 / 1e3, 0.0145), batch_size=batch_size, epochs=2)
    assert scaled.schedule.peak_lr == pytest.approx(2 ** (-0.5 + doublings / 2) / 1e3)
    assert scaled.schedule.warmup_epochs == pytest.approx([0.0145, 0.0290, 0.0580, 0.1160, 0.2320][doublings])
    counts = [
        warmup_iterations(scaled, num_samples=num_samples, batch_size=batch_size, epochs=2)
        for num_samples in (3_500_000, 3_531_034, 3_531_035, 3_540_000, 3_548_689, 3_548_690)
    ]
    assert counts == [198, 199, 200, 200, 200, 201]


@pytest.mark.parametrize("rule", ["legw", "date"])
def test_mnist_16k_would_warm_up_for_32_of_30_epochs(rule: str) -> None:
    with pytest.raises(
        WarmupTooLong, match=f"rule '{rule}' at batch size 16384: its warm-up of 32 epochs would outlast"
    ):
        scale(rule, MNIST_BASELINE, batch_size=16384, epochs=30)


@pytest.mark.parametrize("rule", RULES)
def test_a_long_warmup_of_any_rule_is_refused_clamped_or_kept(rule: str) -> None:
    long = baseline(1024, 0.1, 5.0)
    with pytest.raises(WarmupTooLong, match="would outlast the run of 5 epochs"):
        scale(rule, long, batch_size=1024, epochs=5, numbers=numbers_of(rule))
    clamped = scale(rule, long, batch_size=1024, epochs=5, on_long_warmup="clamp", numbers=numbers_of(rule))
    kept = scale(rule, long, batch_size=1024, epochs=5, on_long_warmup="keep", numbers=numbers_of(rule))
    assert (clamped.schedule.warmup_epochs, kept.schedule.warmup_epochs) == (2.5, 5.0)


@pytest.mark.parametrize("rule", RULES)
def test_a_warmup_that_fits_is_not_clamped(rule: str) -> None:
    numbers = numbers_of(rule)
    plain = scale(rule, MNIST_BASELINE, batch_size=2048, epochs=30, numbers=numbers)
    assert plain == scale(rule, MNIST_BASELINE, batch_size=2048, epochs=30, on_long_warmup="clamp", numbers=numbers)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_keeps_the_shape_of_the_warmup(rule: str) -> None:
    quadratic = replace(MNIST_BASELINE, schedule=replace(MNIST_BASELINE.schedule, warmup="quadratic"))
    scaled = scale(rule, quadratic, batch_size=2048, epochs=30, numbers=numbers_of(rule))
    assert scaled.schedule.warmup == "quadratic"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_changes_the_optimizer_options_that_it_names_and_no_other(name: str) -> None:
    scaled = scale(name, MNIST_BASELINE, batch_size=2048, epochs=30, numbers=numbers_of(name)).optimizer
    assert scaled.name == "adam"
    assert (
        tuple(key for key in ADAM.options if scaled.options[key] != ADAM.options[key]) == RULES[name].optimizer_options
    )


@pytest.mark.parametrize("shape", ["linear", "constant"])
def test_a_warmup_starts_at_the_baselines_learning_rate_at_any_batch_size(shape: str) -> None:
    """Goyal et al., Section 2.2: the baseline's learning rate, for any peak."""
    schedule = ScheduleSpec(peak_lr=0.1, warmup_epochs=1.0, warmup=shape, warmup_start=0.5)
    start = replace(MNIST_BASELINE, schedule=schedule)
    starts = [
        scaled.peak_lr * scaled.warmup_start
        for scaled in (scale("sqrt", start, batch_size=1024 * k, epochs=5).schedule for k in (1, 4, 64))
    ]
    assert starts == pytest.approx([0.05] * 3)


def test_a_warmup_of_a_smaller_batch_starts_at_most_at_its_peak() -> None:
    start = replace(MNIST_BASELINE, schedule=ScheduleSpec(peak_lr=0.1, warmup_epochs=1.0, warmup_start=0.5))
    assert scale("linear", start, batch_size=256, epochs=5).schedule.warmup_start == 1.0


def test_a_rule_that_brings_a_warmup_rises_in_equal_steps_where_the_baseline_has_none() -> None:
    start = replace(MNIST_BASELINE, schedule=ScheduleSpec(peak_lr=0.1, warmup="none"))
    shapes = [scale(rule, start, batch_size=2048, epochs=30).schedule.warmup for rule in ("linear-warmup", "legw")]
    assert shapes == ["linear", "none"]


def test_date_keeps_the_options_of_a_baseline_that_decays_as_it_does() -> None:
    """Our reading of DATE 3.6: 0.497 of the peak at t = 118."""
    printed = DecaySpec(name="date", options={"as_printed": True, "baseline_warmup_epochs": 2.0})
    scaled = scale("date", baseline(1024, 1.25e-3, 2.0, printed), batch_size=8192, epochs=30).schedule
    assert scaled.decay == printed
    schedule = build_schedule(scaled, num_samples=60_000, batch_size=8192, epochs=30)
    assert schedule.lr(118) / scaled.peak_lr == pytest.approx(0.497, abs=5e-4)


@pytest.mark.parametrize(("batch_size", "expected"), [(4096, (0.6, 0.996, 5e-9)), (256, (0.975, 0.99975, 2e-8))])
def test_adam_sde_scales_memories_and_eps_both_ways(batch_size: int, expected: tuple[float, float, float]) -> None:
    """Malladi et al., arXiv 2205.10287: multiply 1-beta by k, divide eps by sqrt(k)."""
    options = scale("adam-sde", MNIST_BASELINE, batch_size=batch_size, epochs=30).optimizer.options
    assert [options[name] for name in ("beta1", "beta2", "eps")] == pytest.approx(expected)
    assert options["weight_decay"] == 0.01


def test_adam_sde_keeps_the_length_of_the_memories_in_samples() -> None:
    """The memory spans 1 / (1 - beta) updates of B samples each."""
    for batch_size in (128, 1024, 8192):
        options = scale("adam-sde", MNIST_BASELINE, batch_size=batch_size, epochs=30).optimizer.options
        assert batch_size / (1 - float(options["beta2"])) == pytest.approx(1024 / (1 - 0.999))  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [10, 11])
def test_adam_sde_ends_where_a_memory_would_be_shorter_than_an_update(k: int) -> None:
    with pytest.raises(
        ValueError,
        match=rf"rule 'adam-sde' at batch size {1024 * k}: 1 - beta1 is 0.1 .* k must be below 10, and is {k}\.",
    ):
        scale("adam-sde", MNIST_BASELINE, batch_size=1024 * k, epochs=30)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"momentum": 0.9}, "it changes beta1, beta2 and eps, but optimizer 'solver' states no beta1"),
        ({"beta1": 0.9, "beta2": 0.999}, "but optimizer 'solver' states no eps"),
        ({"beta1": True, "beta2": 0.999, "eps": 1e-8}, "option 'beta1' must be a finite number, got True"),
    ],
)
def test_adam_sde_needs_an_optimizer_with_its_three_options(options: dict[str, OptionValue], sentence: str) -> None:
    start = replace(MNIST_BASELINE, optimizer=OptimizerSpec(name="solver", options=options))
    with pytest.raises(ValueError, match=f"rule 'adam-sde' at batch size 2048: .*{sentence}"):
        scale("adam-sde", start, batch_size=2048, epochs=30)


@pytest.mark.parametrize("rule", sorted(RULES.keys() - {"date", "linear-warmup"}))
def test_at_the_baselines_own_batch_size_nothing_changes(rule: str) -> None:
    scaled = scale(rule, MNIST_BASELINE, batch_size=1024, epochs=30, numbers=numbers_of(rule))
    assert scaled == MNIST_BASELINE


@given(
    rule=st.sampled_from(["legw", "date"]),
    base=st.integers(1, 512),
    k=st.integers(1, 64),
    warmup_epochs=st.floats(0.01, 1.0),
    num_samples=st.integers(40_000, 200_000),
)
def test_legw_and_date_keep_the_number_of_warmup_iterations(
    rule: str, base: int, k: int, warmup_epochs: float, num_samples: int
) -> None:
    start = baseline(base, 0.1, warmup_epochs)
    counts = {
        warmup_iterations(
            scale(rule, start, batch_size=size, epochs=65), num_samples=num_samples, batch_size=size, epochs=65
        )
        for size in (base, k * base)
    }
    assert len(counts) == 1


@given(
    rule=st.sampled_from(["sqrt", "linear", "legw", "adam-sde"]),
    base=st.integers(1, 4096),
    target=st.integers(1, 4096),
    peak_lr=st.floats(1e-6, 1e3),
    warmup_epochs=st.floats(0.0, 20.0),
)
def test_scaling_there_and_back_is_the_baseline(
    rule: str, base: int, target: int, peak_lr: float, warmup_epochs: float
) -> None:
    options = {"beta1": 0.9999, "beta2": 0.99999, "eps": 1e-8}
    start = replace(baseline(base, peak_lr, warmup_epochs), optimizer=OptimizerSpec(name="adam", options=options))
    there = scale(rule, start, batch_size=target, epochs=10**6)
    back = scale(rule, there, batch_size=base, epochs=10**6)
    assert (peak_lr, warmup_epochs) == pytest.approx((back.schedule.peak_lr, back.schedule.warmup_epochs))
    assert options == pytest.approx(back.optimizer.options)


@given(rule=st.sampled_from(sorted(RULES)), target=st.integers(1, 639), epochs=st.integers(1, 12))
def test_no_rule_ever_exceeds_its_peak(rule: str, target: int, epochs: int) -> None:
    start, numbers = baseline(64, 0.1, 0.1), numbers_of(rule)
    scaled = scale(rule, start, batch_size=target, epochs=epochs, on_long_warmup="clamp", numbers=numbers)
    schedule = build_schedule(scaled.schedule, num_samples=4000, batch_size=target, epochs=epochs)
    step = max(1, schedule.total_iterations // 50)
    rates = [schedule.lr(t) for t in range(1, schedule.total_iterations + 1, step)]
    assert max(rates) <= math.nextafter(scaled.schedule.peak_lr, math.inf)


def test_an_unknown_rule_names_its_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown rule 'leg': did you mean 'legw'"):
        scale("leg", MNIST_BASELINE, batch_size=1024, epochs=30)


@pytest.mark.parametrize(
    ("batch_size", "epochs", "sentence"), [(0, 30, "batch_size must be"), (1024, 0, "epochs must be")]
)
def test_sizes_below_one_are_refused(batch_size: int, epochs: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"{sentence} at least 1, got 0"):
        scale("date", MNIST_BASELINE, batch_size=batch_size, epochs=epochs)


def test_an_unknown_way_with_long_warmups_is_refused() -> None:
    with pytest.raises(UnknownName, match="unknown on_long_warmup 'clip'"):
        scale("date", MNIST_BASELINE, batch_size=1024, epochs=30, on_long_warmup="clip")  # type: ignore[arg-type]
