"""Images or tokens a second of training: zerotune's loop against the loop that a good user of torch writes.

One CPU thread each, each side in its own process (zerotune sets glibc's thresholds, the plain loop leaves them
unchanged). Both train the same number of updates of the same model on the same samples: whole epochs without
evaluation, the first one not counted. They alternate by epoch within each round; each figure is the median over the
rounds. Seconds are the process's own CPU seconds: with one thread they equal wall seconds if nothing else runs.

    python -m benchmarks.trainer_throughput [--data DIR] [--rounds 7] [--batch-sizes 128,1024,8192]

DIR holds MNIST's files and a text in PTB's layout, in the folders `mnist` and `text-ptb-layout`. Without it the image
models train on mnist5k, whose 3,000 training images limit the batch sizes, and the language model is skipped.

Contestants, in the same run:
    plain           DataLoader(TensorDataset, shuffle=True), torch.nn's layers, torch.optim.SGD, loss.item() every step
    plain, no item  the same without loss.item()
    zerotune        zerotune.trainers.loop.Training; validation and test are cut to two samples
    zerotune, auto  the same with `recipe: {micro_batch_size: auto}`, in pieces of the size found fastest when the
                    training is set up; for batch sizes from 1,024

Both read the text in streams, so its DataLoader does not shuffle and the LSTM's state is carried over, as in torch's
own example word_language_model. Both accumulate a batch of text above 1,024 windows from pieces: its logits alone would
take 6.5 GB.

The limit is the rate of a product of 1024 x 1024 float32 matrices on one thread, measured in turns too. Operations are
counted as published (`trainers.flops_and_memory`). The LSTM on rows does fewer here, since it merges its two input
projections.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import turns
from benchmarks.plain_models import PlainLanguageModel, PlainRowLSTM, plain_epoch, plain_lenet
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import DataError, Dataset, DataSource
from zerotune.trainers.data.dataset import TensorSplit
from zerotune.trainers.data.windows import WindowSplit
from zerotune.trainers.flops_and_memory import training_flops_per_sample
from zerotune.trainers.loop import Training
from zerotune.trainers.sampling import stream_order
from zerotune.trainers.spec import OptimizerSpec, Placement, Recipe, ScheduleSpec, TrainConfig

MODULE = "benchmarks.trainer_throughput"
SOURCE = "benchmark"
MOMENTUM, LR = 0.9, 0.01
MOST_EPOCHS = 1_000
MATRIX = 1024
AUTO, AUTO_FROM = "zerotune, auto", 1024


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A model and data to train.

    Attributes:
        application: name of the application; `PLAIN` holds the plain model of the same name.
        unit: what is counted.
        samples: samples of an epoch, enough to take seconds, unless the batch is larger.
        largest_piece: samples in memory at once.
        least_updates: fewest updates of an epoch.
    """

    application: str
    unit: str
    samples: int
    largest_piece: int
    least_updates: int = 2


WORKLOADS = (
    Workload(application="lenet_mnist", unit="images", samples=16_384, largest_piece=65_536),
    Workload(application="lstm_mnist", unit="images", samples=16_384, largest_piece=65_536),
    Workload(application="ptb_small", unit="tokens", samples=1_024, largest_piece=1_024, least_updates=1),
)


def full_data(application: str, folder: str | None) -> Dataset:
    """Return all of the workload's samples in `folder`; without a folder, images of mnist5k."""
    sources = APPLICATIONS[application].data_sources
    if application == "ptb_small":
        if folder is None:
            raise DataError("a text in PTB's layout is needed: --data DIR")
        return sources["text"].load(f"{folder}/text-ptb-layout", **sources["text"].options.defaults)
    return sources["mnist5k"].load(None) if folder is None else sources["mnist"].load(folder)


def cut(data: Dataset, workload: Workload, batch_size: int) -> Dataset:
    """Cut the data to the whole batches of one round, as far as they go, and to next to nothing for evaluation.

    Raises:
        DataError: the data hold no whole batch.
    """
    whole = len(data.train) // batch_size
    if not whole:
        raise DataError(f"B={batch_size:,} is above the {len(data.train):,} training samples")
    num_samples = batch_size * min(whole, max(workload.least_updates, workload.samples // batch_size))
    return replace(data, train=first(data.train, num_samples), validation=first(data.test, 2), test=first(data.test, 2))


def first(split: object, num_samples: int) -> TensorSplit | WindowSplit:
    """Return the first samples of a split."""
    if isinstance(split, WindowSplit):
        return replace(split, text=split.text[: num_samples * split.num_steps + 1])
    assert isinstance(split, TensorSplit)
    return replace(split, inputs=split.inputs[:num_samples], targets=split.targets[:num_samples])


def seconds_of(epoch: Callable[[], object]) -> float:
    """Return the CPU seconds of this process."""
    begin = time.process_time()
    epoch()
    return time.process_time() - begin


def zerotune_epochs(workload: Workload, data: Dataset, batch_size: int, *, auto: bool) -> Callable[[], float]:
    """Yield the seconds of our next epoch."""
    name = workload.application
    APPLICATIONS[name] = replace(APPLICATIONS[name], data_sources={SOURCE: DataSource(load=lambda folder: data)})
    whole_or_piece = workload.largest_piece if batch_size > workload.largest_piece else None
    config = TrainConfig(
        application=name,
        data=SOURCE,
        batch_size=batch_size,
        epochs=MOST_EPOCHS,
        schedule=ScheduleSpec(peak_lr=LR),
        optimizer=OptimizerSpec(name="momentum", options={"momentum": MOMENTUM}),
        seed=0,
        recipe=Recipe(micro_batch_size="auto" if auto else whole_or_piece),
    )
    training = Training(config, Placement())
    return lambda: seconds_of(training.run_epoch)


def plain_images(model: nn.Module, data: TensorSplit, batch_size: int, *, reads_loss: bool) -> Iterator[None]:
    """Train a classifier for one epoch at every `next`."""
    loader = DataLoader(TensorDataset(data.inputs, data.targets), batch_size=batch_size, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    while True:
        plain_epoch(model, loader, optimizer, reads_loss=reads_loss)
        yield


def plain_text(
    model: PlainLanguageModel, data: WindowSplit, batch_size: int, piece: int, *, reads_loss: bool
) -> Iterator[None]:
    """Train the language model for one epoch at every `next`: windows in stream order, the state carried over."""
    _, _, keys = stream_order(1, epochs=1, num_windows=len(data), batch_size=batch_size)
    tokens, targets = next(data.batches([keys]))
    loader = DataLoader(TensorDataset(tokens.tokens, targets), batch_size=min(batch_size, piece))
    pieces = max(1, batch_size // piece)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    model.train()
    while True:
        running = 0.0
        states: list[tuple[Tensor, Tensor] | None] = [None] * pieces
        for number, (inputs, words) in enumerate(loader):
            place = number % pieces
            if place == 0:
                optimizer.zero_grad()
            logits, (hidden, cell) = model(inputs, states[place])
            states[place] = hidden.detach(), cell.detach()
            loss = F.cross_entropy(logits.flatten(0, 1), words.flatten(), reduction="sum") / batch_size
            loss.backward()  # type: ignore[no-untyped-call]
            if reads_loss:
                running += loss.item()
            if place == pieces - 1:
                optimizer.step()
        yield


def plain_epochs(workload: Workload, data: Dataset, batch_size: int, *, reads_loss: bool) -> Callable[[], float]:
    """Yield the seconds of the plain loop's next epoch."""
    torch.manual_seed(0)
    if isinstance(data.train, WindowSplit):
        language_model = PlainLanguageModel(data.info["vocabulary_size"])
        epochs = plain_text(language_model, data.train, batch_size, workload.largest_piece, reads_loss=reads_loss)
    else:
        assert isinstance(data.train, TensorSplit)
        model = plain_lenet() if workload.application == "lenet_mnist" else PlainRowLSTM()
        epochs = plain_images(model, data.train, batch_size, reads_loss=reads_loss)
    return lambda: seconds_of(lambda: next(epochs))


def matmul_rate() -> float:
    """Measure floating-point operations a second of one thread: products of square matrices for about half a second."""
    left, right = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    product = left @ right
    begin, count = time.process_time(), 0
    while time.process_time() - begin < 0.5:
        torch.mm(left, right, out=product)
        count += 1
    return count * 2 * MATRIX**3 / (time.process_time() - begin)


SIDES = {
    "plain": lambda *where: plain_epochs(*where, reads_loss=True),
    "plain, no item": lambda *where: plain_epochs(*where, reads_loss=False),
    "zerotune": lambda *where: zerotune_epochs(*where, auto=False),
    AUTO: lambda *where: zerotune_epochs(*where, auto=True),
}


def take_part(side: str, application: str, batch_size: int, folder: str | None) -> None:
    """Run one contestant in its own process: an epoch of warm-up, then an epoch per turn."""
    torch.set_num_threads(1)
    if side == "matmul":
        turns.serve(lambda: {"rate": matmul_rate()})
        return
    workload = next(workload for workload in WORKLOADS if workload.application == application)
    data = cut(full_data(application, folder), workload, batch_size)
    units = len(data.train) * (data.train.num_steps if isinstance(data.train, WindowSplit) else 1)
    flops = training_flops_per_sample(APPLICATIONS[application], data) * len(data.train) / units
    seconds = SIDES[side](workload, data, batch_size)
    seconds()
    turns.serve(lambda: {"rate": units / seconds(), "flops": flops})


def compete(workload: Workload, batch_size: int, folder: str | None, rounds: int) -> list[list[str]]:
    """Return the rows of one workload at one batch size."""
    sides = [side for side in SIDES if side != AUTO or batch_size >= AUTO_FROM]
    with ExitStack() as processes:
        contestants = {}
        for side in (*sides, "matmul"):
            where = {"side": side, "application": workload.application, "batch_size": batch_size, "folder": folder}
            contestants[side] = processes.enter_context(turns.Contestant(MODULE, where)).turn
        figures = turns.take_turns(rounds, contestants)
    rates = {side: turns.middle(found, "rate") for side, found in figures.items()}
    flops = turns.middle(figures["zerotune"], "flops")
    return [
        [
            workload.application,
            f"{batch_size:,}",
            side,
            f"{rates[side]:,.0f} {workload.unit}",
            f"{rates[side] / rates['plain']:.2f}",
            f"{rates[side] * flops / rates['matmul']:.0%} of {rates['matmul'] / 1e9:.0f} GFLOP/s",
        ]
        for side in sides
    ]


def main(
    data: Annotated[str | None, typer.Option(metavar="DIR", help="Holds mnist and text-ptb-layout.")] = None,
    rounds: Annotated[int, typer.Option(help="Epochs of each side, of which the median counts.")] = 7,
    batch_sizes: Annotated[str, typer.Option(help="Samples an update, by commas.")] = "128,1024,8192",
    workloads: Annotated[str, typer.Option(help="Applications, by commas; all if left out.")] = "",
    contestant: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure training images or tokens a second on one CPU thread against a plain PyTorch loop with a DataLoader."""
    if contestant is not None:
        take_part(**json.loads(contestant))
        return
    chosen = workloads.split(",") if workloads else [workload.application for workload in WORKLOADS]
    rows = []
    for workload in (workload for workload in WORKLOADS if workload.application in chosen):
        for batch_size in map(int, batch_sizes.split(",")):
            try:
                cut(full_data(workload.application, data), workload, batch_size)
            except DataError as error:
                turns.console().print(f"{workload.application} is left out: {error}")
                continue
            rows += compete(workload, batch_size, data, rounds)
            turns.console().print(" ".join(rows[-1]), style="dim")
    headings = ["application", "B", "side", "a CPU second", "to plain", "share of the matmul rate"]
    turns.print_table(f"{turns.machine()}: medians of {rounds}, one thread", headings, rows, num_names=3)


if __name__ == "__main__":
    typer.run(main)
