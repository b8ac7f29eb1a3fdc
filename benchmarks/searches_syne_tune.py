"""The peer of `benchmarks.searches`: Syne Tune's conformal quantile regression with a local backend.

It runs in a Python of its own that has `syne-tune` and zerotune:

    PYTHON benchmarks/searches_syne_tune.py ORDER

The last line is JSON: hyperparameters and figures of every trial. Syne Tune starts this file again for every training.
"""

import json
import logging
import os
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

ORDER = "ZEROTUNE_SEARCHES_ORDER"
"""Variable that tells a training what it is part of."""


def search(order: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, float]]]:
    """Return hyperparameters and figures of the trials of one search."""
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import choice, loguniform, uniform
    from syne_tune.optimizer.baselines import CQR
    from syne_tune.tuner_callback import TunerCallback

    found: list[tuple[dict[str, Any], dict[str, float]]] = []

    class Keep(TunerCallback):  # type: ignore[misc]  # not installed where types are checked
        def on_trial_complete(self, trial: Any, result: dict[str, Any]) -> None:
            found.append((trial.config, {"score": result["score"], "seconds": result["seconds"]}))

    logging.getLogger().setLevel(logging.ERROR)
    low, high = order["learning_rates"]
    space = {name: choice(values) for name, values in order["choices"].items()}
    space |= {"lr": loguniform(low, high), "warmup_epochs": uniform(0.0, order["longest_warmup"])}
    os.environ[ORDER] = json.dumps(order)  # for the trainings
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=__file__),
        scheduler=CQR(space, metric="score", do_minimize=False, random_seed=order["seed"]),
        stop_criterion=StoppingCriterion(max_num_trials_finished=order["trials"]),
        n_workers=order["at_once"],
        sleep_time=0.5,
        save_tuner=False,
        callbacks=[Keep()],
    )
    tuner.run()
    return found[: order["trials"]]


def train_once() -> None:
    """Train what Syne Tune asks for."""
    from syne_tune import Reporter

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from benchmarks.searches_frameworks import training

    parser = ArgumentParser()
    for name, kind in (("optimizer", str), ("decay", str), ("lr", float), ("warmup_epochs", float)):
        parser.add_argument(f"--{name}", type=kind)
    params = vars(parser.parse_known_args()[0])
    Reporter()(**training(json.loads(os.environ[ORDER]), params))


if __name__ == "__main__":
    if sys.argv[1].startswith("{"):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SYNETUNE_FOLDER"] = folder
            print(json.dumps(search(json.loads(sys.argv[1]))))
    else:
        train_once()
