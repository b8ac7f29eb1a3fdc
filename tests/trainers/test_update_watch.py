"""A schedule that is not stepped once an update, or resumed from another run, gives a warning; a right one does not."""

import copy
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import SequentialLR

from zerotune.trainers.scale_up import ScheduleLR, scale_up
from zerotune.trainers.schedules import Schedule, build_schedule
from zerotune.trainers.spec import Baseline, DecaySpec, OptimizerSpec, ScheduleSpec

SPEC = ScheduleSpec(peak_lr=0.1, warmup_epochs=1, decay=DecaySpec(name="poly", options={"power": 1.0}))


def schedule(batch_size: int = 250, **changes: Any) -> Schedule:
    return build_schedule(SPEC, **{"num_samples": 1_000, "batch_size": batch_size, "epochs": 5, **changes})


def run(schedule: Schedule, kind: type[Optimizer] = SGD) -> tuple[Optimizer, ScheduleLR]:
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    optimizer = kind([weight], lr=0.1)  # type: ignore[call-arg]
    return optimizer, ScheduleLR(optimizer, schedule)


@contextmanager
def nothing_told() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_one_step_an_update_tells_nothing(kind: type[Optimizer]) -> None:
    with nothing_told():
        optimizer, scheduler = run(schedule(), kind)
        for _ in range(20):
            optimizer.step()
            scheduler.step()
        del scheduler


def test_a_schedule_stepped_once_an_epoch_is_reported_in_the_first_epoch() -> None:
    optimizer, _scheduler = run(schedule())
    for _ in range(2):
        optimizer.step()
    with pytest.warns(UserWarning, match=r"3 updates without a call of scheduler.step\(\): all .* rate of update 1\."):
        optimizer.step()


def test_a_schedule_that_falls_behind_later_is_reported_once() -> None:
    optimizer, scheduler = run(schedule())
    optimizer.step()
    scheduler.step()
    for _ in range(4):
        optimizer.step()
    with pytest.warns(UserWarning, match="made 4 updates since the last call .* the learning rate of update 2"):
        scheduler.step()
    with nothing_told():
        for _ in range(4):
            optimizer.step()
        scheduler.step()


def test_four_calls_an_update_are_reported_after_the_second_update() -> None:
    """As accelerate calls a prepared scheduler: once for every process."""
    optimizer, scheduler = run(schedule())
    for update in range(2):
        optimizer.step()
        for call in range(4):
            if (update, call) == (1, 1):
                with pytest.warns(UserWarning, match=r"called 4 times after one update .* out of accelerator.prepare"):
                    scheduler.step()
            else:
                scheduler.step()


@pytest.mark.filterwarnings("ignore:Detected call of")  # torch's own, of the same skipped update
def test_updates_that_a_gradient_scaler_skips_tell_nothing() -> None:
    with nothing_told():
        warnings.filterwarnings("ignore", message="Detected call of")
        optimizer, scheduler = run(schedule())
        for step in range(20):
            if step not in (0, 1, 2, 5, 11, 12):
                optimizer.step()
            scheduler.step()


def test_a_step_that_primes_a_checkpoint_and_a_compiled_step_tell_nothing() -> None:
    with nothing_told():
        optimizer, scheduler = run(schedule(), AdamW)
        optimizer.param_groups[0]["lr"] = 0.0
        optimizer.step()
        optimizer.param_groups[0]["lr"] = schedule().lr(1)
        for _ in range(3):
            optimizer.step()
            scheduler.step()


def test_accumulated_gradients_tell_nothing() -> None:
    with nothing_told():
        optimizer, scheduler = run(schedule())
        for micro_batch in range(12):
            if micro_batch % 3 == 2:
                optimizer.step()
                scheduler.step()


def test_a_wrapper_without_hooks_and_a_closure_are_scheduled_as_ever() -> None:
    class Wrapper(Optimizer):
        """As accelerate's: torch's base class is not initialised."""

        def __init__(self, inner: Optimizer) -> None:
            self.inner, self.param_groups, self.defaults, self.state = inner, inner.param_groups, {}, inner.state

        def step(self, closure: Any = None) -> Any:
            return self.inner.step(closure)

    with nothing_told():
        optimizer = SGD([nn.Parameter(torch.ones(2))], lr=0.1)
        wrapped = Wrapper(optimizer)
        scheduler = ScheduleLR(wrapped, schedule())
        for update in range(1, 5):
            assert optimizer.param_groups[0]["lr"] == schedule().lr(update)
            wrapped.step(lambda: 1.0)
            scheduler.step()


def test_two_schedules_in_a_sequence_tell_nothing() -> None:
    with nothing_told():
        weight = nn.Parameter(torch.ones(2))
        weight.grad = torch.ones(2)
        optimizer = AdamW([weight])
        both = [ScheduleLR(optimizer, schedule()), ScheduleLR(optimizer, schedule(epochs=3))]
        warnings.filterwarnings("ignore", message="The epoch parameter")  # SequentialLR's own call
        sequence = SequentialLR(optimizer, both, milestones=[8])
        for update in range(1, 16):
            expected = schedule().lr(update) if update <= 8 else schedule(epochs=3).lr(update - 8)
            assert optimizer.param_groups[0]["lr"] == expected
            optimizer.step()
            sequence.step()


@pytest.mark.filterwarnings("ignore:Seems like .optimizer.step..")  # torch's own, whose wrapper is not copied
@pytest.mark.parametrize("way", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"])
def test_a_copied_run_goes_on_and_is_watched(way: Any) -> None:
    optimizer, scheduler = way(run(schedule()))
    assert scheduler.optimizer is optimizer
    for update in range(1, 5):
        assert optimizer.param_groups[0]["lr"] == schedule().lr(update)
        optimizer.param_groups[0]["params"][0].grad = torch.ones(2)
        optimizer.step()
        scheduler.step()
    optimizer.step()
    optimizer.step()
    with pytest.warns(UserWarning, match="made 2 updates since the last call"):
        scheduler.step()


def states(updates: int, kind: type[Optimizer] = AdamW) -> tuple[dict[str, Any], dict[str, Any]]:
    optimizer, scheduler = run(schedule(), kind)
    for _ in range(updates):
        optimizer.step()
        scheduler.step()
    return copy.deepcopy(optimizer.state_dict()), copy.deepcopy(scheduler.state_dict())


def test_the_state_of_another_schedule_is_refused_with_the_differences_and_nothing_changes() -> None:
    _, state = states(6)
    optimizer, scheduler = run(schedule(batch_size=125, epochs=8))
    sentence = r"of another schedule: batch_size is 250 there and 125 here; epochs is 5 there and 8 here\. Create"
    with pytest.raises(ValueError, match=sentence):
        scheduler.load_state_dict(state)
    assert (scheduler.last_epoch, optimizer.param_groups[0]["lr"]) == (0, schedule(batch_size=125, epochs=8).lr(1))
    del state["run"]  # as the sentence says
    scheduler.load_state_dict(state)
    assert scheduler.last_epoch == 6


def test_a_state_of_earlier_versions_without_the_schedules_numbers_is_read() -> None:
    optimizer_state, state = states(6)
    older = {name: value for name, value in state.items() if name not in ("run", "updates_before")}
    with nothing_told():
        optimizer, scheduler = run(schedule(), AdamW)
        optimizer.load_state_dict(optimizer_state)
        scheduler.load_state_dict(older)
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == schedule().lr(8)


@pytest.mark.parametrize(("loaded", "made", "position"), [("optimizer", 7, 1), ("scheduler", 1, 7)])
def test_a_resumed_run_that_loads_one_of_the_two_states_is_reported(loaded: str, made: int, position: int) -> None:
    optimizer_state, state = states(6)
    optimizer, scheduler = run(schedule(), AdamW)
    if loaded == "optimizer":
        optimizer.load_state_dict(optimizer_state)
    else:
        scheduler.load_state_dict(state)
    optimizer.step()
    sentence = f"has made {made} updates by its own count, and the schedule is at update {position}"
    with pytest.warns(UserWarning, match=sentence):
        scheduler.step()


def test_a_second_schedule_on_an_optimizer_that_has_trained_tells_nothing_and_resumes() -> None:
    optimizer, scheduler = run(schedule(), AdamW)
    for _ in range(20):
        optimizer.step()
        scheduler.step()
    with nothing_told():
        second = ScheduleLR(optimizer, schedule(epochs=2))
        del scheduler
        optimizer.step()
        second.step()
        saved = copy.deepcopy((optimizer.state_dict(), second.state_dict()))
        resumed, third = run(schedule(epochs=2), AdamW)
        resumed.load_state_dict(saved[0])
        third.load_state_dict(saved[1])
        resumed.step()
        third.step()


def test_a_loader_that_drops_the_last_batch_is_reported_at_the_end_and_its_sample_count_is_the_remedy() -> None:
    """1,000 samples at batch size 300 are 17 updates in 5 epochs; with drop_last, 15."""
    optimizer, scheduler = run(schedule(batch_size=300))
    for _ in range(15):
        optimizer.step()
        scheduler.step()
    with pytest.warns(UserWarning, match="ended after 15 of the 17 updates of its schedule, .* with drop_last=True"):
        del scheduler
    with nothing_told():
        optimizer, scheduler = run(schedule(batch_size=300, num_samples=3 * 300))
        for _ in range(15):
            optimizer.step()
            scheduler.step()
        assert scheduler.schedule.total_iterations == 15
        del scheduler


@pytest.mark.parametrize(
    ("rule", "optimizer", "warmup_epochs", "sentences"),
    [
        ("legw", "momentum", 0.0, ["rule 'legw' multiplies the baseline's warm-up by k, and this baseline has none"]),
        ("date", "date", 0.0, ["rule 'date' multiplies the baseline's warm-up by k, and this baseline has none"]),
        ("date", "momentum", 0.5, ["optimizer 'momentum' has none: only the schedule is DATE's"]),
        ("date", "adam", 0.0, ["this baseline has none", "optimizer 'adam' has none: only the schedule is DATE's"]),
        ("adam-sde", "adam", 0.0, ["rule 'adam-sde' multiplies the baseline's warm-up by k"]),
        ("date", "lars", 0.5, []),
        ("legw", "momentum", 0.5, []),
        ("sqrt", "momentum", 0.0, []),
        ("linear-warmup", "momentum", 0.0, []),
    ],
)
def test_a_rule_that_does_less_than_its_name_says_is_reported(
    rule: str, optimizer: str, warmup_epochs: float, sentences: list[str]
) -> None:
    baseline = Baseline(
        batch_size=32,
        schedule=ScheduleSpec(peak_lr=0.01, warmup_epochs=warmup_epochs),
        optimizer=OptimizerSpec(name=optimizer),
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scale_up(nn.Linear(2, 1), baseline, rule=rule, global_batch_size=128, num_samples=1_000, epochs=10)
    assert [sentence in str(found.message) for sentence, found in zip(sentences, caught, strict=True)] == [True] * len(
        caught
    )
