"""Weak scaling of the six convolutional networks of DATE, Section 5.1, on this machine's workers, and a forecast.

    python -m benchmarks.weak_scaling [--workers 2] [--samples 4] [--updates 2] [--rounds 5]

Every worker has the same local batch size and reads JPEG files in ImageNet's layout that are generated here: 1,000
classes, so that the models have their ImageNet sizes. The measurements are those of `zerotune scale`. The paper gives
64 images to a chip; a CPU core takes minutes for that many.

Columns:

- W parameters
- operations of a sample's forward and backward pass over W (DATE's computational intensity counts only the forward
  pass, a third)
- the fraction of a matrix product's rate that one worker reaches
- images a second of one worker and of several
- efficiency
- the fraction of an update that communication takes
- the slowdown of workers that run side by side without communication ("beside")
- the error of the model against the measured update
- forecasts of the efficiency with a device for each worker, over links like the one between the workers here
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks import turns
from benchmarks.scaling_part import part
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.distributed.local_workers import local_workers
from zerotune.trainers.recipe import has_batch_norm
from zerotune.trainers.spec import OptimizerSpec, Placement, Recipe, ScheduleSpec, TrainConfig
from zerotune.trainers.weak_scaling import measure_machine_rates
from zerotune.tuner.commands.weak_scaling.forecast import WeakScaling
from zerotune.tuner.commands.weak_scaling.text import format_si

MODELS = ("alexnet", "inception_v4", "mnasnet", "mobilenet", "resnet50", "squeezenet")
NUM_CLASSES, IMAGES_A_CLASS = 1_000, 2
FORECASTS = (4, 32, 256, 1024)


def draw_images(folder: Path) -> None:
    """Generate images per class: one to train on, one to validate with, and two to test."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in range(NUM_CLASSES):
            place = folder / split / f"n{label:08d}"
            place.mkdir(parents=True)
            for number in range(IMAGES_A_CLASS):
                coarse = generator.integers(0, 256, size=(16, 20, 3), dtype=np.uint8)
                Image.fromarray(coarse).resize((500, 400)).save(place / f"{number}.JPEG", quality=90)


def config_of(application: str, samples: int, num_workers: int) -> TrainConfig:
    """Configure momentum training, with batch normalisation over each worker's own samples, as on DATE's TPUs."""
    outline = APPLICATIONS[application].meta_model({})
    ghosts = samples if outline is not None and has_batch_norm(outline) else None
    return TrainConfig(
        application=application,
        data="imagenet",
        data_options={"validation_per_class": 1},
        batch_size=samples * num_workers,
        epochs=1,
        schedule=ScheduleSpec(peak_lr=1e-6),
        optimizer=OptimizerSpec(name="momentum"),
        seed=0,
        recipe=Recipe(ghost_batch_size=ghosts),
    )


def main(
    workers: Annotated[int, typer.Option(min=2, help="Workers of the larger group; the other has one.")] = 2,
    samples: Annotated[int, typer.Option(min=2, help="Images of an update, a worker.")] = 4,
    updates: Annotated[int, typer.Option(min=1, help="Updates of a round.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, whose median counts.")] = 5,
    models: Annotated[str, typer.Option(help="Models, by commas.")] = ",".join(MODELS),
) -> None:
    """Measure and forecast the weak scaling of DATE's six networks here."""
    rates = measure_machine_rates("cpu")
    measured, forecast = [], []
    with tempfile.TemporaryDirectory(prefix="drawn-") as folder:
        draw_images(Path(folder))
        for model in models.split(","):
            application = f"{model}_imagenet"
            points = []
            for number in (1, workers):
                placement = Placement(data_folder=folder)
                arguments = (config_of(application, samples, number), placement, None, updates, rounds)
                with local_workers(number) as others:
                    points.append(part(others.call("cpu", part, *arguments), "cpu", *arguments))
            found = WeakScaling(points=points, rates=rates)
            alone, several = points
            own = found.forecast(shares_machine=False)
            measured.append(
                [
                    model,
                    format_si(alone.num_parameters),
                    format_si(found.intensity),
                    f"{found.flops / rates.flops:.0%}",
                    f"{alone.samples / alone.update_seconds:.2f}",
                    f"{several.samples / several.update_seconds:.2f}",
                    f"{found.efficiency(several):.1%}",
                    f"{several.exchange_share:.1%}",
                    f"{several.apart_seconds / alone.apart_seconds:.2f}",
                ]
            )
            efficiencies = (f"{own.efficiency(number):.0%}" for number in FORECASTS)
            forecast.append([model, f"{found.errors()[workers]:+.1%}", *efficiencies])
            print(measured[-1], forecast[-1], flush=True)
    turns.print_table(
        f"{turns.machine()}: {samples} images a worker, medians of {rounds}; matrices {format_si(rates.flops)}FLOP/s",
        ["model", "W", "FLOPs/W", "of peak", "1: /s", f"{workers}: /s", "efficiency", "exchange", "beside"],
        measured,
    )
    turns.print_table(
        "the model's error, and efficiencies forecast with a device for each worker",
        ["model", f"off by at {workers}", *(f"{number:,}" for number in FORECASTS)],
        forecast,
    )


if __name__ == "__main__":
    typer.run(main)
