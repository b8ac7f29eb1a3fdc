"""Trainings an hour of LeNet in packs of 2 to 128, against the same trainings one after the other.

What `packing: auto` measures when the first trial of a kind comes up, for several batch sizes: a few updates alone
and in packs, in turns, medians of three. A pack's trainings have one seed and so share the samples, as those of one
search do.

    python benchmarks/packs.py [--batch-sizes 4 8 16 32 64 128] [--optimizers momentum date lamb] [--device cpu]
"""

import argparse

from trainers.pack_speed import measure_packs
from trainers.spec import OptimizerSpec, Placement, ScheduleSpec, TrainConfig


def main() -> None:
    """Prints a line an optimizer and batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[4, 8, 16, 32, 64, 128])
    parser.add_argument("--optimizers", nargs="+", default=["momentum", "date", "lamb"])
    parser.add_argument("--device", default="cpu")
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
            speed = measure_packs(config, Placement(device=arguments.device))
            gains = "  ".join(f"{size}: x{speed.alone / seconds:.2f}" for size, seconds in speed.packed.items())
            print(
                f"{optimizer:10} B={batch_size:4}  alone {1e3 * speed.alone:6.2f} ms an update  in packs of {gains}",
                flush=True,
            )


if __name__ == "__main__":
    main()
