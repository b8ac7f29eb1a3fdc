"""Seconds a trial beyond training: zerotune against bare Ray Tune with its MLflow callback.

Everything is on: journal, MLflow store, progress lines. The trials train next to nothing (LeNet, one epoch of 3,000
images at batch 3,000). The same number of training steps is done by every peer, so that the difference is the platform.

    python benchmarks/trial_overhead.py [--trials 64] [--repeats 3]

Peers, in the same run, each in a process of its own:
    zerotune            zerotune's Ray driver (workers kept alive), start-up of the cluster left out and told apart
    tune+mlflow         Tune's function trainable and MLflowLoggerCallback, a new process a trial (Tune's default)
    tune+mlflow reuse   the same with reuse_actors=True
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STUDY = """
name: overhead
application: lenet_mnist
data: {{source: mnist5k}}
epochs: 1
batch_sizes: [3000]
seeds: [1]
reference: random
baseline: {{batch_size: 3000, lr: 0.01, optimizer: momentum}}
arms:
  - name: random
    method: random
    trials: {trials}
    space: {{lr: {{low: 0.001, high: 0.1, scale: log}}}}
"""


def run_zerotune(trials: int) -> dict[str, float]:
    """The platform, whole: `zerotune run` as a user calls it, minus the time to start it."""
    from tuner.cli import app

    folder = Path(tempfile.mkdtemp())
    study = folder / "overhead.yaml"
    study.write_text(STUDY.format(trials=trials - 2))  # one baseline and one confirmation run besides
    begin = time.perf_counter()
    app(["run", str(study), "--store", str(folder / "mlruns")], standalone_mode=False)
    wall = time.perf_counter() - begin
    journal = (folder / "mlruns" / "overhead" / "journal.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in journal]
    starts = [r["at"] for r in records if r["kind"] == "started"]
    ends = [r["result"]["finished_at"] for r in records if r["kind"] == "result"]
    return {"trials": len(ends), "wall": wall, "span": max(ends) - min(starts)}


def run_tune(trials: int, *, reuse: bool) -> dict[str, float]:
    """Stock Ray Tune: a function that trains the same configuration, and Tune's own MLflow callback."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    folder = tempfile.mkdtemp()

    def trainable(config: dict[str, float]) -> None:
        from trainers.loop import train
        from trainers.spec import OptimizerSpec, ScheduleSpec, TrainConfig

        result = train(
            TrainConfig(
                application="lenet_mnist",
                data="mnist5k",
                batch_size=3000,
                epochs=1,
                schedule=ScheduleSpec(peak_lr=config["lr"]),
                optimizer=OptimizerSpec(name="momentum"),
                seed=0,
            )
        )
        tune.report({"validation_score": result.validation_score})

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    callback = MLflowLoggerCallback(
        tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name="overhead", save_artifact=False
    )
    begin = time.perf_counter()
    tune.Tuner(
        trainable,
        param_space={"lr": tune.loguniform(0.001, 0.1)},
        tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=reuse),
        run_config=tune.RunConfig(storage_path=folder, callbacks=[callback], verbose=0),
    ).fit()
    span = time.perf_counter() - begin
    return {"trials": trials, "wall": span, "span": span}


PEERS = {
    "zerotune": lambda trials: run_zerotune(trials),
    "tune+mlflow": lambda trials: run_tune(trials, reuse=False),
    "tune+mlflow reuse": lambda trials: run_tune(trials, reuse=True),
}


def main() -> None:
    """Runs every peer in turn, `repeats` times, and prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", choices=PEERS)
    arguments = parser.parse_args()
    if arguments.peer:
        print("\nRESULT " + json.dumps(PEERS[arguments.peer](arguments.trials)))
        return
    seconds: dict[str, list[float]] = {name: [] for name in PEERS}
    for _ in range(arguments.repeats):
        for name in PEERS:
            command = [sys.executable, __file__, "--peer", name, "--trials", str(arguments.trials)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
            if line is None:
                sys.exit(f"{name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
            result = json.loads(line.removeprefix("RESULT "))
            seconds[name].append(result["span"] / result["trials"])
            print(f"  {name}: {seconds[name][-1]:.3f} s a trial, {result['wall']:.1f} s in all", flush=True)
    ours = statistics.median(seconds["zerotune"])
    print(f"\n{'peer':<20}{'s a trial (median)':>20}{'x zerotune':>12}")
    for name, values in seconds.items():
        print(f"{name:<20}{statistics.median(values):>20.3f}{statistics.median(values) / ours:>12.1f}")


if __name__ == "__main__":
    main()
