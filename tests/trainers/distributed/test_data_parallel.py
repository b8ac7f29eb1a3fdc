"""Several workers train what one trains: the same losses, weights, optimizer states and statistics, to rounding."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from tests.process_group_parts import same_bits
from tests.trainers.distributed.trainings import CASES, NEEDS_GLOO, TwoWorkers, learned, lenet, resnet, trained
from zerotune.trainers.distributed.data_parallel import ProcessGroup, shard_bounds
from zerotune.trainers.loop import Training
from zerotune.trainers.models.ghost_batch_norm import ghost_batch_sizes
from zerotune.trainers.spec import OptimizerSpec, Placement, Recipe, TrainConfig

pytestmark = NEEDS_GLOO


@pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())
def test_two_workers_train_what_one_worker_trains(
    config: TrainConfig, workers: TwoWorkers, request: pytest.FixtureRequest
) -> None:
    if config.optimizer.name == "schedule-free-sgd":
        pytest.importorskip("schedulefree")
    fixture = {"ptb_small": "text_folder", "gnmt_wmt16": "pairs_folder"}.get(config.application)
    placement = Placement(data_folder=None if fixture is None else str(request.getfixturevalue(fixture)))
    alone = trained(config, placement, ProcessGroup())
    together = trained(config, placement, workers.start_training(config, placement))
    for one, two in zip(learned(alone.result()), learned(together.result()), strict=True):
        assert two == pytest.approx(one, rel=1e-8, nan_ok=True)
    close = {"rtol": 1e-6, "atol": 1e-8}  # rounding, amplified in two epochs
    torch.testing.assert_close(together.model.state_dict(), alone.model.state_dict(), **close)
    torch.testing.assert_close(together.optimizer.state_dict()["state"], alone.optimizer.state_dict()["state"], **close)


def test_statistics_are_recomputed_in_batches_of_a_shard(workers: TwoWorkers) -> None:
    """49 samples are ghosts of 8, five times, and 9: shards of 24 and 25. Of 101 samples 3 remain."""
    pytest.importorskip("schedulefree")
    config = replace(resnet("schedule-free-sgd"), batch_size=49)
    training = Training(config, Placement(), workers.start_training(config, Placement()))
    seen: list[int] = []
    training.model.register_forward_hook(
        lambda model, inputs, _: seen.append(len(inputs[0])) if model.training else None
    )
    training.run_epoch()
    assert seen == [24, 24, 3] + [24, 25] * 2 + [3]


def test_a_batch_is_micro_batch_times_accumulation_steps_times_workers(workers: TwoWorkers) -> None:
    config = lenet(batch_size=300, epochs=1, recipe=Recipe(micro_batch_size=50))
    result = trained(config, Placement(), workers.start_training(config, Placement())).result()
    assert (result.micro_batch_size, result.accumulation_steps, result.num_workers) == (50, 3, 2)
    alone = trained(config, Placement(), ProcessGroup()).result()
    assert (alone.micro_batch_size, alone.accumulation_steps, alone.num_workers) == (50, 6, 1)
    whole = trained(replace(config, recipe=Recipe()), Placement(), ProcessGroup()).result()
    assert (whole.micro_batch_size, whole.accumulation_steps, whole.num_workers) == (None, 1, 1)


def test_the_fastest_micro_batch_size_is_that_of_one_worker(workers: TwoWorkers) -> None:
    config = lenet(batch_size=64, epochs=1, recipe=Recipe(micro_batch_size="auto"))
    result = trained(config, Placement(), workers.start_training(config, Placement())).result()
    assert result.micro_batch_size in (16, 32)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_mixed_precision_trains_alike_on_two_workers(batch_norm: bool, workers: TwoWorkers) -> None:
    """bfloat16 holds two or three digits; measured losses differ by a thousandth at most."""
    config = lenet(recipe=Recipe(precision="bfloat16", clip_norm=1.0))
    if batch_norm:
        config = replace(resnet("lars", precision="bfloat16", micro_batch_size=8), schedule=config.schedule)
    alone = trained(config, Placement(), ProcessGroup())
    together = trained(config, Placement(), workers.start_training(config, Placement()))
    for one, two in zip(alone.result().epochs, together.result().epochs, strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, rel=5e-3)
    assert {parameter.dtype for parameter in together.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_all_workers_have_identical_weights(precision: Any, workers: TwoWorkers) -> None:
    config = lenet(
        application="lenet_mnist",
        data="mnist5k",
        batch_size=70,
        epochs=1,
        optimizer=OptimizerSpec(name="date"),
        recipe=Recipe(precision=precision, clip_norm=1.0, micro_batch_size=20),
    )
    assert same_bits(workers.call("cpu", same_bits, config), "cpu", config)


@pytest.mark.parametrize(
    ("batch_size", "micro_batch_size"),
    [(33, None), (330, None), (330, 10)],  # of 330, the first update is the last one too: torch itself says nothing
)
def test_a_parameter_without_a_gradient_is_named(
    batch_size: int, micro_batch_size: int | None, workers: TwoWorkers
) -> None:
    config = lenet(
        application="half_used",
        batch_size=batch_size,
        epochs=1,
        recipe=Recipe(precision="float64", micro_batch_size=micro_batch_size),
    )
    assert trained(config, Placement(), ProcessGroup()).result().status == "finished"
    process_group = workers.start_training(config, Placement())
    with pytest.raises(RuntimeError, match=r"the model left left\.weight out of one: take it out of the model, set"):
        trained(config, Placement(), process_group)
    workers.close()


def test_batch_normalisation_needs_ghosts(workers: TwoWorkers) -> None:
    config = resnet("momentum", ghost_batch_size=None)
    process_group = workers.start_training(config, Placement())
    with pytest.raises(ValueError, match=r"^recipe: ghost_batch_size is required if several workers"):
        Training(config, Placement(), process_group)
    workers.close()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("ghosts", [None, 2, 8, 32])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 33, 96, 97, 100])
def test_shards_cover_every_batch_in_whole_ghosts(batch_size: int, ghosts: int | None, size: int) -> None:
    full = shard_bounds(batch_size, size, batch_size=batch_size, ghost_batch_size=ghosts)
    units = batch_size if ghosts is None else len(ghost_batch_sizes(batch_size, ghosts))
    for num_samples in range(1, batch_size + 1):
        cuts = shard_bounds(num_samples, size, batch_size=batch_size, ghost_batch_size=ghosts)
        assert cuts[0] == 0
        assert cuts[-1] == num_samples
        assert cuts == sorted(cuts)
        for cut, full_cut in zip(cuts[:-1], full, strict=False):
            assert cut in (min(full_cut, num_samples), num_samples)
        if ghosts is not None:
            shares = [end - begin for begin, end in pairwise(cuts) if end > begin]
            together = [piece for share in shares for piece in ghost_batch_sizes(share, ghosts)]
            assert together == ghost_batch_sizes(num_samples, ghosts)
    largest = max(end - begin for begin, end in pairwise(full))
    assert largest <= (ghosts or 1) * math.ceil(units / size) + 1
