"""Several workers train what one trains: the same losses, weights, optimizer states and statistics, to rounding."""

import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed

from tests.process_group_parts import same_bits
from zerotune.trainers.applications import APPLICATIONS, registry
from zerotune.trainers.applications.registry import register_application
from zerotune.trainers.applications.user_file import ApplicationFile
from zerotune.trainers.distributed.data_parallel import ProcessGroup, shard_bounds
from zerotune.trainers.distributed.local_workers import LocalWorkers, WorkerLost
from zerotune.trainers.loop import Training, train
from zerotune.trainers.models.ghost_batch_norm import ghost_batch_sizes
from zerotune.trainers.spec import OptimizerSpec, Placement, Recipe, ScheduleSpec, TrainConfig, TrainResult

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this build of torch has no gloo, which workers on CPUs need",
)

OWN = """
from functools import partial

import torch
from torch import nn

from zerotune.trainers.applications import Application
from zerotune.trainers.applications.classification import cross_entropy, num_correct, smoothed_cross_entropy
from zerotune.trainers.data.byte_images import crop_and_mirror
from zerotune.trainers.data.dataset import Dataset, DataSource, TensorSplit
from zerotune.trainers.models.cifar_resnet import CifarResNet
from zerotune.trainers.models.lenet import LeNet5
from zerotune.trainers.spec import Baseline, OptimizerSpec, ScheduleSpec


def drawn(folder, shape, num_train, augment=None):
    draw = torch.Generator().manual_seed(0)

    def split(n, augment=None):
        inputs = torch.randn(n, *shape, generator=draw)
        return TensorSplit(inputs=inputs, targets=torch.randint(10, (n,), generator=draw), augment=augment)

    return Dataset(train=split(num_train, augment), validation=split(20), test=split(20), info={"num_classes": 10})


class HalfUsed(nn.Module):  # an image decides which of two layers is used: the right one, of these images
    def __init__(self, num_classes):
        super().__init__()
        self.left, self.right = nn.Linear(784, num_classes), nn.Linear(784, num_classes)

    def forward(self, images):
        flat = images.flatten(1)
        return self.left(flat) if flat[0, 0] > 9 else self.right(flat)


def narrow_resnet50(num_classes):
    return CifarResNet(num_classes=num_classes, num_blocks=(3, 4, 6, 3), num_filters=2, bottleneck=True)


def application(build_model, shape, num_train, augment=None):
    return Application(
        description="of drawn images",
        source="",
        build_model=build_model,
        data_sources={"drawn": DataSource(load=partial(drawn, shape=shape, num_train=num_train, augment=augment))},
        loss=cross_entropy,
        smoothed_loss=smoothed_cross_entropy,
        score_sum=num_correct,
        metric="accuracy",
        higher_is_better=True,
        chance_score=0.1,
        target=0.5,
        epochs=2,
        baseline=Baseline(batch_size=8, schedule=ScheduleSpec(peak_lr=0.1), optimizer=OptimizerSpec(name="momentum")),
    )


resnet50 = application(narrow_resnet50, (3, 32, 32), 101)
cropped_resnet50 = application(narrow_resnet50, (3, 32, 32), 101, crop_and_mirror)
small_lenet = application(LeNet5, (1, 28, 28), 330)
half_used = application(HalfUsed, (1, 28, 28), 330)
"""
WORDS = [f"w{number}" for number in range(20)]


@pytest.fixture(scope="module", autouse=True)
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ApplicationFile]]:
    """Applications of our own, by name."""
    path = tmp_path_factory.mktemp("application") / "narrow.py"
    path.write_text(OWN, encoding="utf-8")
    names = ("resnet50", "cropped_resnet50", "small_lenet", "half_used")
    found = {name: ApplicationFile(path=str(path), name=name, code=path.read_bytes()) for name in names}
    for file in found.values():
        register_application(file)
    yield found
    for name in names:
        del APPLICATIONS[name], registry._origins[name]


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text in PTB's layout: 61 windows of 5 words to train on."""
    folder = tmp_path_factory.mktemp("text")
    draw = torch.Generator().manual_seed(0)
    for part, num_words in (("train", 305), ("valid", 40), ("test", 40)):
        words = [WORDS[i] for i in torch.randint(len(WORDS), (num_words,), generator=draw).tolist()]
        (folder / f"ptb.{part}.txt").write_text(" ".join(words) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pairs_folder(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first pairs of Multi30K; skips where GNMT's packages are absent."""
    for package in APPLICATIONS["gnmt_wmt16"].packages:
        pytest.importorskip(package, reason=f"{package} is not installed")
    folder = tmp_path_factory.mktemp("pairs")
    for part, count in (("train", 101), ("valid", 8), ("test", 8)):
        for language in ("en", "de"):
            lines = (data_folder / "multi30k" / f"{part}.{language}").read_bytes().splitlines(keepends=True)
            (folder / f"{part}.{language}").write_bytes(b"".join(lines[:count]))
    return folder


class Others(LocalWorkers):
    """One more worker, which finds our own applications."""

    def __init__(self, files: dict[str, ApplicationFile]) -> None:
        super().__init__(2)
        self.files = files

    def start_training(
        self, config: TrainConfig, placement: Placement, application: ApplicationFile | None = None
    ) -> ProcessGroup:
        return super().start_training(config, placement, application or self.files.get(config.application))


@pytest.fixture(scope="module")
def others(files: dict[str, ApplicationFile]) -> Iterator[Others]:
    with closing(Others(files)) as workers:
        yield workers


def lenet(**changes: Any) -> TrainConfig:
    plain: dict[str, Any] = {
        "application": "small_lenet",
        "data": "drawn",
        "batch_size": 80,
        "epochs": 2,
        "schedule": ScheduleSpec(peak_lr=0.02, warmup_epochs=0.5),
        "optimizer": OptimizerSpec(name="momentum"),
        "seed": 3,
        "recipe": Recipe(precision="float64"),
    }
    return TrainConfig(**{**plain, **changes})


def resnet(optimizer: str, **recipe: Any) -> TrainConfig:
    options = Recipe(**{"precision": "float64", "ghost_batch_size": 8, **recipe})
    changes = {"application": "resnet50", "data": "drawn", "batch_size": 48, "recipe": options}
    return lenet(**changes, optimizer=OptimizerSpec(name=optimizer, options={"weight_decay": 1e-3}))


def language_model(optimizer: str, **recipe: Any) -> TrainConfig:
    return lenet(
        application="ptb_small",
        data="text",
        data_options={"num_steps": 5, "vocabulary": 30},
        model_options={"num_hidden": 12},
        batch_size=9,
        optimizer=OptimizerSpec(name=optimizer),
        recipe=Recipe(precision="float64", **recipe),
    )


def translation(optimizer: str, **recipe: Any) -> TrainConfig:
    return lenet(
        application="gnmt_wmt16",
        data="multi30k",
        data_options={"vocabulary": 300},
        model_options={"num_hidden": 8, "num_layers": 2, "dropout": 0.0, "beam_size": 2},
        batch_size=17,
        epochs=1,
        optimizer=OptimizerSpec(name=optimizer),
        recipe=Recipe(precision="float64", **recipe),
    )


CASES = {
    "lenet momentum": lenet(),
    "lenet lars": lenet(optimizer=OptimizerSpec(name="lars", options={"weight_decay": 1e-4})),
    "lenet lamb": lenet(optimizer=OptimizerSpec(name="lamb", options={"weight_decay": 1e-4})),
    "lenet date": lenet(optimizer=OptimizerSpec(name="date", options={"weight_decay": 1e-4})),
    "lenet schedule-free": lenet(optimizer=OptimizerSpec(name="schedule-free-sgd")),
    "lenet clipped, in micro-batches": lenet(
        recipe=Recipe(precision="float64", clip_norm=0.5, micro_batch_size=30, label_smoothing=0.1)
    ),
    "language model lars": language_model("lars"),
    "language model date": language_model("date", clip_norm=1.0),
    "language model lamb": language_model("lamb", micro_batch_size=2),
    "resnet50 date": resnet("date"),
    "resnet50 lars": resnet("lars", micro_batch_size=8),
    "resnet50 lamb": resnet("lamb", ghost_batch_size=16),
    "resnet50, a ghost batch for two workers": replace(resnet("momentum"), batch_size=8),
    "resnet50 schedule-free": replace(resnet("schedule-free-sgd"), batch_size=49),
    "resnet50 on crops": replace(resnet("date", micro_batch_size=8), application="cropped_resnet50", epochs=1),
    "translation adam": translation("adam", clip_norm=5.0, label_smoothing=0.1, micro_batch_size=4),
    "translation date": translation("date"),
    "one sample for two workers": lenet(batch_size=1, epochs=1, schedule=ScheduleSpec(peak_lr=1e-4)),
}


def trained(config: TrainConfig, placement: Placement, process_group: ProcessGroup) -> Training:
    training = Training(config, placement, process_group)
    while not training.finished:
        training.run_epoch()
    return training


def learned(result: TrainResult) -> list[tuple[float, ...]]:
    """What must be equal of a result."""
    scores = [(e.epoch, e.lr, e.iterations, e.samples, e.flops, e.words) for e in result.epochs]
    losses = [(e.train_loss, e.validation_loss, e.validation_score) for e in result.epochs]
    return [*scores, *losses, (result.validation_score, result.test_score or 0.0, result.test_loss or 0.0)]


@pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())
def test_two_workers_train_what_one_does(config: TrainConfig, others: Others, request: pytest.FixtureRequest) -> None:
    if config.optimizer.name == "schedule-free-sgd":
        pytest.importorskip("schedulefree")
    fixture = {"ptb_small": "text_folder", "gnmt_wmt16": "pairs_folder"}.get(config.application)
    placement = Placement(data_folder=None if fixture is None else str(request.getfixturevalue(fixture)))
    alone = trained(config, placement, ProcessGroup())
    together = trained(config, placement, others.start_training(config, placement))
    for one, two in zip(learned(alone.result()), learned(together.result()), strict=True):
        assert two == pytest.approx(one, rel=1e-8, nan_ok=True)
    close = {"rtol": 1e-6, "atol": 1e-8}  # rounding, amplified in two epochs
    torch.testing.assert_close(together.model.state_dict(), alone.model.state_dict(), **close)
    torch.testing.assert_close(together.optimizer.state_dict()["state"], alone.optimizer.state_dict()["state"], **close)


def test_statistics_are_recomputed_in_pieces_of_a_share(others: Others) -> None:
    """The ghosts of 49 samples are 8 five times, and 9: shares of 24 and 25. Of 101 samples 3 are left."""
    pytest.importorskip("schedulefree")
    config = replace(resnet("schedule-free-sgd"), batch_size=49, epochs=1)
    training = Training(config, Placement(), others.start_training(config, Placement()))
    seen: list[int] = []
    training.model.register_forward_hook(
        lambda model, inputs, _: seen.append(len(inputs[0])) if model.training else None
    )
    training.run_epoch()
    assert seen == [24, 24, 3] + [24, 25] * 2 + [3]


def test_a_batch_is_micro_batch_times_accumulation_steps_times_workers(others: Others) -> None:
    config = lenet(batch_size=300, epochs=1, recipe=Recipe(micro_batch_size=50))
    result = trained(config, Placement(), others.start_training(config, Placement())).result()
    assert (result.micro_batch_size, result.accumulation_steps, result.num_workers) == (50, 3, 2)
    alone = trained(config, Placement(), ProcessGroup()).result()
    assert (alone.micro_batch_size, alone.accumulation_steps, alone.num_workers) == (50, 6, 1)
    whole = trained(replace(config, recipe=Recipe()), Placement(), ProcessGroup()).result()
    assert (whole.micro_batch_size, whole.accumulation_steps, whole.num_workers) == (None, 1, 1)


def test_the_fastest_micro_batch_is_of_a_worker(others: Others) -> None:
    config = lenet(batch_size=64, epochs=1, recipe=Recipe(micro_batch_size="auto"))
    result = trained(config, Placement(), others.start_training(config, Placement())).result()
    assert result.micro_batch_size in (16, 32)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_mixed_precision_learns_alike(batch_norm: bool, others: Others) -> None:
    """Two or three digits in bfloat16; measured, the losses differ by a thousandth of theirs at most."""
    config = lenet(recipe=Recipe(precision="bfloat16", clip_norm=1.0))
    if batch_norm:
        config = replace(resnet("lars", precision="bfloat16", micro_batch_size=8), schedule=config.schedule)
    alone = trained(config, Placement(), ProcessGroup())
    together = trained(config, Placement(), others.start_training(config, Placement()))
    for one, two in zip(alone.result().epochs, together.result().epochs, strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, rel=5e-3)
    assert {parameter.dtype for parameter in together.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_all_workers_have_the_same_bits(precision: Any, others: Others) -> None:
    config = lenet(
        application="lenet_mnist",
        data="mnist5k",
        batch_size=70,
        epochs=1,
        optimizer=OptimizerSpec(name="date"),
        recipe=Recipe(precision=precision, clip_norm=1.0, micro_batch_size=20),
    )
    assert same_bits(others.call("cpu", same_bits, config), "cpu", config)


def test_a_training_that_diverges_does_so_on_all_workers(others: Others) -> None:
    config = lenet(batch_size=30, schedule=ScheduleSpec(peak_lr=1e30), recipe=Recipe())
    training = trained(config, Placement(), others.start_training(config, Placement()))
    assert training.result().status == "diverged"
    again = lenet(epochs=1)  # the workers are at hand for the next one
    assert trained(again, Placement(), others.start_training(again, Placement())).result().status == "finished"


def test_a_training_may_be_left_early(others: Others) -> None:
    config = lenet()
    training = Training(config, Placement(), others.start_training(config, Placement()))
    training.run_epoch()
    training.stop()
    assert trained(config, Placement(), others.start_training(config, Placement())).result().status == "finished"


def test_seconds_are_the_sum_of_the_workers(others: Others) -> None:
    config = lenet(epochs=1)
    training = Training(config, Placement(), others.start_training(config, Placement()))
    begin = time.perf_counter()
    metrics = training.run_epoch()
    passed = time.perf_counter() - begin
    assert passed / 2 <= metrics.device_seconds / 2 <= passed
    assert metrics.samples == 330


def test_train_starts_the_workers_itself(others: Others) -> None:
    others.close()
    config = lenet(application="lenet_mnist", data="mnist5k", batch_size=1000)
    alone = train(config)
    together = train(config, Placement(num_workers=3))
    assert together.num_workers == 3
    for one, two in zip(learned(alone), learned(together), strict=True):
        assert two == pytest.approx(one, rel=1e-8)
    assert train(config, Placement(num_workers=2), lambda metrics: False).status == "running"


def test_it_resumes_from_its_checkpoint_with_the_same_samples(others: Others, tmp_path: Path) -> None:
    config = lenet(epochs=3)
    placement = Placement(checkpoint=str(tmp_path / "a.pt"), checkpoint_seconds=0.0)
    whole = trained(config, Placement(), others.start_training(config, Placement())).result()
    first = Training(config, placement, others.start_training(config, placement))
    first.run_epoch()
    first.stop()
    assert (tmp_path / "a.pt").exists()
    resumed = trained(config, placement, others.start_training(config, placement)).result()
    assert resumed.resumed_epochs == 1
    assert learned(resumed) == learned(whole)  # to the bit
    assert not (tmp_path / "a.pt").exists()


def test_a_lost_worker_ends_the_attempt_and_the_next_one_goes_on_from_the_checkpoint(
    others: Others, tmp_path: Path
) -> None:
    config = lenet(epochs=3)
    placement = Placement(checkpoint=str(tmp_path / "a.pt"), checkpoint_seconds=0.0)
    training = Training(config, placement, others.start_training(config, placement))
    training.run_epoch()
    os.kill(others.others[0].process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError):
        training.run_epoch()
    with pytest.raises(WorkerLost, match=r"^worker 1 of 2 was lost$"):
        others.failure()
    others.close()
    resumed = trained(config, placement, others.start_training(config, placement)).result()
    assert resumed.resumed_epochs == 1
    whole = trained(config, Placement(), ProcessGroup()).result()
    for one, two in zip(learned(whole), learned(resumed), strict=True):
        assert two == pytest.approx(one, rel=1e-8)


def test_two_workers_that_do_not_both_read_the_checkpoint_are_stopped(
    others: Others, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = lenet(epochs=3)
    placement = Placement(checkpoint=str(tmp_path / "a.pt"), checkpoint_seconds=0.0)
    first = Training(config, placement, others.start_training(config, placement))
    first.run_epoch()
    first.stop()
    monkeypatch.setattr("zerotune.trainers.loop.restore_checkpoint", lambda *_: None)
    with pytest.raises(RuntimeError, match=r"a\.pt: one worker could read this checkpoint and another could not\.$"):
        Training(config, placement, others.start_training(config, placement))
    assert "one worker could read this checkpoint" in (others.failure() or "")
    others.close()


@pytest.mark.parametrize("batch_size", [33, 330])  # the last update is the first one too: torch itself says nothing
@pytest.mark.parametrize("micro_batch_size", [None, 10])
def test_a_parameter_left_out_of_an_update_is_named(
    batch_size: int, micro_batch_size: int | None, others: Others
) -> None:
    config = lenet(
        application="half_used",
        batch_size=batch_size,
        epochs=1,
        recipe=Recipe(precision="float64", micro_batch_size=micro_batch_size),
    )
    assert trained(config, Placement(), ProcessGroup()).result().status == "finished"
    process_group = others.start_training(config, Placement())
    with pytest.raises(RuntimeError, match=r"the model left left\.weight out of one: take it out of the model, set"):
        trained(config, Placement(), process_group)
    others.close()


def test_what_another_worker_fails_with_is_told(others: Others) -> None:
    config = lenet()
    process_group = others.start_training(replace(config, data="no such data"), Placement())
    with pytest.raises(RuntimeError):
        trained(config, Placement(), process_group)
    assert "no such data" in (others.failure() or "")
    others.close()


def test_batch_normalisation_needs_ghosts(others: Others) -> None:
    config = resnet("momentum", ghost_batch_size=None)
    process_group = others.start_training(config, Placement())
    with pytest.raises(ValueError, match=r"^recipe: ghost_batch_size must be given where several workers"):
        Training(config, Placement(), process_group)
    others.close()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("ghosts", [None, 2, 8, 32])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 33, 96, 97, 100])
def test_shares_cover_every_batch_in_whole_ghosts(batch_size: int, ghosts: int | None, size: int) -> None:
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
