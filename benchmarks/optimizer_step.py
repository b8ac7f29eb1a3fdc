"""Milliseconds of one optimizer step: ours against torch's and other packages', and against the memory's speed.

All optimizers step the same kind of parameters, alternating by step within each round, so that other load on the
machine affects all of them. Each figure is the median over the rounds. The floor is the time that the memory needs to
read and write each word once (weights, gradients and state in, weights and state out), at the speed of an in-place
multiplication measured here. A set that fits in the cache can be faster.

Command: python benchmarks/optimizer_step.py [--device cuda] [--threads 1] [--rounds 30]
Peers: pip install pytorch-optimizer; pip install --no-deps timm. A peer that is not installed is skipped with a notice.
"""

import gc
import importlib
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from zerotune.trainers.flops_and_memory import device_model
from zerotune.trainers.memory import configure_malloc
from zerotune.trainers.models.lenet import LeNet5
from zerotune.trainers.optimizers import DATE, LAMB, LARS

Shapes = list[tuple[int, ...]]
Build = Callable[[list[nn.Parameter]], Optimizer]
LR = 1e-4
DECAY = 1e-4


@dataclass(frozen=True)
class Contestant:
    """An optimizer to time: `peer` is the reference of its ratio, `words` the number it must move per weight."""

    name: str
    build: Build
    peer: str
    words: int


def lenet() -> Shapes:
    return [tuple(parameter.shape) for parameter in LeNet5().parameters()]


def lstm_language_model(width: int = 1500, vocabulary: int = 10_000, layers: int = 2) -> Shapes:
    """Return PTB-large (DATE 4.1.2): embedding, two LSTM layers, classifier; 66 million weights."""
    layer: Shapes = [(4 * width, width), (4 * width, width), (4 * width,), (4 * width,)]
    return [(vocabulary, width), *(layer * layers), (vocabulary, width), (vocabulary,)]


def resnet50() -> Shapes:
    """Return the 161 tensors of He et al., arXiv 1512.03385, Table 1: 25.6 million weights."""
    shapes: Shapes = [(64, 3, 7, 7), (64,), (64,)]
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            convolutions = [(width, inputs, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
            if block == 0:
                convolutions.append((4 * width, inputs, 1, 1))
            for convolution in convolutions:
                shapes += [convolution, (convolution[0],), (convolution[0],)]
            inputs = 4 * width
    return [*shapes, (1000, 2048), (1000,)]


SETS: dict[str, Callable[[], Shapes]] = {"ResNet-50": resnet50, "LSTM LM": lstm_language_model, "LeNet": lenet}


def contestants() -> Iterator[Contestant]:
    """Yield all optimizers, with momentum 0.9 or Adam's betas, and weight decay."""
    sgd, adamw = "torch SGD foreach", "torch AdamW foreach"
    momentum = partial(SGD, lr=LR, momentum=0.9, weight_decay=DECAY)
    yield Contestant(sgd, partial(momentum, foreach=True), sgd, 5)
    yield Contestant("torch SGD loop", partial(momentum, foreach=False), sgd, 5)
    yield Contestant("torch SGD fused", partial(momentum, fused=True), sgd, 5)
    yield Contestant("zerotune LARS", partial(LARS, lr=LR, weight_decay=DECAY), sgd, 5)
    yield Contestant("zerotune DATE", partial(DATE, lr=LR, base_options={"weight_decay": DECAY}), sgd, 5)
    yield from peers("timm.optim.lars", "Lars", "timm LARS", sgd, 5)
    yield from peers("pytorch_optimizer", "LARS", "pytorch-optimizer LARS", sgd, 5)
    yield Contestant(adamw, partial(AdamW, lr=LR, weight_decay=DECAY, foreach=True), adamw, 7)
    yield Contestant("torch AdamW loop", partial(AdamW, lr=LR, weight_decay=DECAY, foreach=False), adamw, 7)
    yield Contestant("torch AdamW fused", partial(AdamW, lr=LR, weight_decay=DECAY, fused=True), adamw, 7)
    yield Contestant("zerotune LAMB", partial(LAMB, lr=LR, weight_decay=DECAY), adamw, 7)
    yield from peers("timm.optim.lamb", "Lamb", "timm LAMB", adamw, 7, max_grad_norm=None)
    yield from peers("pytorch_optimizer", "Lamb", "pytorch-optimizer LAMB", adamw, 7)


def peers(module: str, optimizer: str, name: str, peer: str, words: int, **options: object) -> Iterator[Contestant]:
    """Yield the contestant of another package, or none if it cannot be imported."""
    try:
        if module.startswith("timm."):
            enter_without_models("timm", "timm.optim")
        build = getattr(importlib.import_module(module), optimizer)
    except ImportError as error:
        print(f"{name} is left out: {module} cannot be imported ({error})", file=sys.stderr)
        return
    yield Contestant(name, partial(build, lr=LR, weight_decay=DECAY, **options), peer, words)


def enter_without_models(*packages: str) -> None:
    """Import packages as empty ones: timm's models need torchvision, its optimizers torch alone."""
    for package in packages:
        if package not in sys.modules:
            spec = importlib.util.find_spec(package)
            if spec is None or spec.submodule_search_locations is None:
                raise ImportError(f"{package} is not installed: pip install --no-deps timm")
            sys.modules[package] = ModuleType(package)
            sys.modules[package].__path__ = list(spec.submodule_search_locations)
            sys.modules[package].__spec__ = spec


def parameters(shapes: Shapes, device: str) -> list[nn.Parameter]:
    """Return weights and gradients of the shapes, the same for all contestants."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for shape in shapes:
        parameter = nn.Parameter(torch.randn(shape, generator=generator).to(device) * 0.05)
        parameter.grad = torch.randn(shape, generator=generator).to(device) * 0.01
        made.append(parameter)
    return made


def seconds(work: Callable[[], object], device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def bytes_per_second(device: str) -> float:
    """Measure the memory's speed: read and write 256 MiB in place, as a step does with weights; the fastest of ten."""
    numbers = torch.ones(64 * 2**20, device=device)
    fastest = min(seconds(lambda: numbers.mul_(1.0), device) for _ in range(10))
    return 2 * numbers.numel() * numbers.element_size() / fastest


def race(shapes: Shapes, device: str, rounds: int) -> dict[str, float]:
    """Return every contestant's median seconds of a step."""
    entrants = list(contestants())
    # All share one set of weights: a step's cost does not depend on the values, and one set fits in memory.
    weights: list[nn.Parameter] = parameters(shapes, device)
    start: list[Tensor] = [weight.detach().clone() for weight in weights]
    optimizers = {entrant.name: entrant.build(weights) for entrant in entrants}
    times: dict[str, list[float]] = {name: [] for name in optimizers}
    for round_number in range(rounds + 2):
        for name, optimizer in optimizers.items():
            elapsed = seconds(optimizer.step, device)
            if round_number >= 2:  # the first steps create state and warm up
                times[name].append(elapsed)
        with torch.no_grad():
            torch._foreach_copy_(tuple(weights), start)
    return {name: statistics.median(values) for name, values in times.items()}


def main(
    device: Annotated[str, typer.Option(help="cpu or a CUDA device.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    rounds: Annotated[int, typer.Option(help="Steps of every optimizer, of which the median counts.")] = 30,
) -> None:
    configure_malloc()
    torch.set_num_threads(threads)
    speed = bytes_per_second(device)
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(
        f"{device_model(device)}, {threads} thread(s), torch {torch.__version__}, memory {speed / 1e9:.1f} GB/s"
    )
    for title, shapes_of in SETS.items():
        shapes = shapes_of()
        numbers = sum(torch.Size(shape).numel() for shape in shapes)
        medians = race(shapes, device, rounds)
        table = Table(
            title=f"{title}: {len(shapes)} tensors, {numbers / 1e6:.2f} million weights", title_justify="left"
        )
        for heading in ("optimizer", "ms a step", "to torch's foreach", "to the floor"):
            table.add_column(heading, justify="left" if heading == "optimizer" else "right")
        for entrant in contestants():
            floor = entrant.words * 4 * numbers / speed
            table.add_row(
                entrant.name,
                f"{1e3 * medians[entrant.name]:.3f}",
                f"{medians[entrant.name] / medians[entrant.peer]:.2f}",
                f"{medians[entrant.name] / floor:.2f}",
            )
        console.print(table)
        gc.collect()


if __name__ == "__main__":
    typer.run(main)
