"""Trainings an hour of LeNet in packs of 2 to 128, against the same trainings one after the other.

`packing: auto` measures this when the first trial of a kind comes up: a few updates alone and in packs, alternating,
medians of three. Here that measurement is repeated for several batch sizes. The medians are printed for the pack sizes
that most repeats reached. A pack's trainings have one seed and so share the samples, as those of one search do.

    python benchmarks/packs.py [--batch-sizes 4 8 16 32 64 128] [--optimizers momentum date lamb] [--device cpu]
        [--repeats 5]
"""

import argparse
from statistics import median

from zerotune.trainers.packing.benchmark import measure_packs
from zerotune.trainers.spec import OptimizerSpec, Placement, ScheduleSpec, TrainConfig


def main() -> None:
    """Print a line per optimizer and batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[4, 8, 16, 32, 64, 128])
    parser.add_argument("--optimizers", nargs="+", default=["momentum", "date", "lamb"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for optimizer in arguments.optimizers:
        for batch_size in arguments.batch_sizes:
            config = TrainConfig(
                application="lenet_mnist",
                data="mnist5k",
                batch_size=batch_size,
                epochs=1,
                schedule=ScheduleSpec(peak_lr=0.001),
                optimizer=OptimizerSpec(name=optimizer),
                seed=0,
            )
            placement = Placement(device=arguments.device)
            speeds = [measure_packs(config, placement) for _ in range(arguments.repeats)]
            found = {
                size: [speed.alone / speed.packed[size] for speed in speeds if size in speed.packed]
                for size in max((speed.packed for speed in speeds), key=len)
            }
            gains = "  ".join(
                f"{size}: x{median(gain):.2f}" for size, gain in found.items() if 2 * len(gain) > arguments.repeats
            )
            alone = median(speed.alone for speed in speeds)
            print(
                f"{optimizer:10} B={batch_size:4}  alone {1e3 * alone:6.2f} ms an update  in packs of {gains}",
                flush=True,
            )


if __name__ == "__main__":
    main()
