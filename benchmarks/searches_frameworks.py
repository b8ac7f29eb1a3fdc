"""`comprehensive` against Optuna's own optimize, Ray Tune and Syne Tune on the same trainings: best score and seconds.

Each searches with its defaults, two trainings at a time, over a space as a user writes it: the solver as a category,
the learning rate on a log scale, warm-up and decay. All call the same function to train. Every choice is trained again
on the fresh seeds, which is not timed. zerotune's seconds are those of `zerotune run` of the whole study, journal and
MLflow included; it also trains the rules, the baseline and all confirmations.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import turns
from benchmarks.coverage import table
from benchmarks.searches_trained import FIRST_SEARCH_SEED, FRESH_SEEDS, OURS, PROBLEMS, Problem, Trainings
from zerotune.trainers.loop import train
from zerotune.trainers.spec import Placement, TrainConfig
from zerotune.tuner.study import search_config
from zerotune.tuner.study.comprehensive import OPTIMIZER

if TYPE_CHECKING:
    from optuna import Trial

MODULE = "benchmarks.searches_frameworks"
AT_ONCE = 2
LEARNING_RATES = (1e-4, 1.0)
CHOICES = {OPTIMIZER: ["adam", "momentum", "lamb"], "decay": ["constant", "poly", "cosine"]}
PEERS = ("optuna", "tune", "syne-tune")

Asked = Mapping[str, Any]
"""A contestant's order: peer, problem, trials, seed, data and the Python of Syne Tune."""


def longest_warmup(problem: Problem) -> float:
    """Return the end of the range of warm-ups, epochs."""
    return problem.study_of(1, 0).epochs / 2


def config_of(problem: Problem, params: Mapping[str, Any], seed: int) -> TrainConfig:
    """Return the training of hyperparameters."""
    study = problem.study_of(1, 0)
    (batch_size,) = study.batch_sizes
    found = search_config(study, study.arm(OURS), params, batch_size=batch_size)
    return TrainConfig(
        application=study.application,
        data=study.data.source,
        data_options=study.data_options(),
        model_options=study.model_options(),
        batch_size=batch_size,
        epochs=study.epochs,
        schedule=found.schedule,
        optimizer=found.optimizer,
        recipe=found.recipe,
        seed=seed,
    )


def training(asked: Asked, params: Mapping[str, Any]) -> dict[str, float]:
    """Train; return the validation score, larger is better, and the seconds that the training held a core."""
    problem = PROBLEMS[asked["problem"]]
    begin = time.perf_counter()
    result = train(config_of(problem, params, asked["seed"]), Placement(data_folder=asked["data"]))
    sign = 1.0 if problem.higher_is_better else -1.0
    return {"score": sign * result.validation_score, "seconds": time.perf_counter() - begin}


def figures(trained: list[tuple[Mapping[str, Any], Mapping[str, float]]]) -> dict[str, Any]:
    """Return the figures of a search that has just ended: (hyperparameters, what `training` gave) of every trial."""
    best, _ = max(trained, key=lambda one: one[1]["score"])
    return {
        "ended": time.time(),
        "choice": {name: best[name] for name in (OPTIMIZER, "lr", "warmup_epochs", "decay")},
        "trainings": len(trained),
        "training_seconds": sum(found["seconds"] for _, found in trained),
    }


def run_optuna(asked: Asked) -> dict[str, Any]:
    """Run Optuna's optimize with its defaults, in two threads."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: list[tuple[Mapping[str, Any], Mapping[str, float]]] = []
    longest = longest_warmup(PROBLEMS[asked["problem"]])

    def objective(trial: "Trial") -> float:
        params: dict[str, Any] = {name: trial.suggest_categorical(name, choices) for name, choices in CHOICES.items()}
        params["lr"] = trial.suggest_float("lr", *LEARNING_RATES, log=True)
        params["warmup_epochs"] = trial.suggest_float("warmup_epochs", 0.0, longest)
        found.append((params, training(asked, params)))
        return found[-1][1]["score"]

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=asked["seed"]))
    study.optimize(objective, n_trials=asked["trials"], n_jobs=asked.get("at_once", AT_ONCE))
    return figures(found)


def run_tune(asked: Asked) -> dict[str, Any]:
    """Run Ray Tune with OptunaSearch."""
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    def trainable(config: dict[str, Any]) -> None:
        tune.report(training(asked, config))

    ray.init(address="local", num_cpus=AT_ONCE, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    low, high = LEARNING_RATES
    space = {name: tune.choice(choices) for name, choices in CHOICES.items()}
    space |= {
        "lr": tune.loguniform(low, high),
        "warmup_epochs": tune.uniform(0.0, longest_warmup(PROBLEMS[asked["problem"]])),
    }
    search = OptunaSearch(metric="score", mode="max", seed=asked["seed"])
    with tempfile.TemporaryDirectory(prefix="tune-peer-") as folder:
        results = tune.Tuner(
            trainable,
            param_space=space,
            tune_config=tune.TuneConfig(
                metric="score",
                mode="max",
                search_alg=search,
                num_samples=asked["trials"],
                max_concurrent_trials=AT_ONCE,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
    return figures([(result.config, result.metrics) for result in results])


def run_syne_tune(asked: Asked) -> dict[str, Any]:
    """Run Syne Tune's conformal quantile regression in a Python of its own."""
    script = Path(__file__).parent / "searches_syne_tune.py"
    order = {**asked, "longest_warmup": longest_warmup(PROBLEMS[asked["problem"]]), "at_once": AT_ONCE}
    order |= {"choices": CHOICES, "learning_rates": LEARNING_RATES}
    done = subprocess.run(
        [asked["syne_python"], script, json.dumps(order)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"Syne Tune failed:\n{done.stderr[-3000:]}")
    return figures([tuple(one) for one in json.loads(done.stdout.splitlines()[-1])])


def run_zerotune(asked: Asked) -> dict[str, Any]:
    """Run `zerotune run` of the arms comprehensive and rules."""
    from benchmarks.stopwatch import watching
    from zerotune.tuner.cli import app
    from zerotune.tuner.run.journal import read_journal
    from zerotune.tuner.store import Store

    problem = PROBLEMS[asked["problem"]]
    study = problem.study_of(asked["trials"], asked["seed"])
    plain = study.resolved()
    plain["arms"] = [arm for arm in plain["arms"] if arm["method"] in (OURS, "sqrt", "date")]
    del plain["arms"][0]["optimizer"]  # written out, but of no effect with this method
    with tempfile.TemporaryDirectory(prefix="searches-") as folder, watching(Store, "write") as written:
        file, store = Path(folder) / "searches.yaml", Path(folder) / "mlruns"
        file.write_text(json.dumps(plain))
        data = [] if asked["data"] is None else ["--data", asked["data"]]
        app(["run", str(file), "--store", str(store), *data], standalone_mode=False)
        results = list(read_journal(store / study.name / "journal.jsonl").results.values())
    last = max(place for place, result in enumerate(results) if result.trial.role == "search")
    return {
        "ended": time.time(),
        "search_ended": written[: len(results)][last].end,
        "trainings": len(results),
        "training_seconds": sum(result.cost.device_seconds for result in results),
        "fresh": [
            result.test_score for result in results if (result.trial.arm, result.trial.role) == (OURS, "confirmation")
        ],
    }


CONTESTANTS: dict[str, Callable[[Asked], dict[str, Any]]] = {
    "zerotune": run_zerotune,
    "optuna": run_optuna,
    "tune": run_tune,
    "syne-tune": run_syne_tune,
}


def table_frameworks(
    problem: str, repeats: int, trials: int, data: str | None, keep: Path | None, syne_python: str | None
) -> None:
    """Print score on fresh seeds and seconds of every framework, one search after the other."""
    trained = Trainings(keep, data)
    peers = ["zerotune", *(peer for peer in PEERS if peer != "syne-tune" or syne_python is not None)]
    rows: dict[str, list[dict[str, Any]]] = {peer: [] for peer in peers}
    for number in range(repeats):
        for peer in peers:
            order = {"peer": peer, "problem": problem, "trials": trials, "seed": FIRST_SEARCH_SEED + number}
            found = dict(turns.alone(MODULE, {**order, "data": data, "syne_python": syne_python}))
            if "choice" in found:
                found["fresh"] = _fresh_scores(PROBLEMS[problem], found["choice"], trained)
            rows[peer].append(found)
            print(f"{peer}: {json.dumps(found)}", file=sys.stderr, flush=True)
    table(
        f"{problem}: {trials} trainings of each search, two at a time ({turns.machine()}); medians of the seconds",
        [
            "search",
            "fresh score",
            "s to the search's end",
            "s in all",
            "trainings in all",
            "s of them training, a core",
        ],
        [[peer, *_row(PROBLEMS[problem], found)] for peer, found in rows.items()],
    )


def _fresh_scores(problem: Problem, choice: Mapping[str, Any], trained: Trainings) -> list[float]:
    scores = [trained(config_of(problem, choice, seed)).test_score for seed in FRESH_SEEDS]
    return [score for score in scores if score is not None]


def _row(problem: Problem, found: list[dict[str, Any]]) -> list[str]:
    seconds = [median(one.get(end, one["ended"]) - one["began"] for one in found) for end in ("search_ended", "ended")]
    return [
        " ".join(f"{problem.points * fmean(one['fresh']):.2f}" for one in found),
        *(f"{value:.0f}" for value in seconds),
        f"{median(one['trainings'] for one in found):.0f}",
        f"{median(one['training_seconds'] for one in found):.0f}",
    ]


def main() -> None:
    """Run one contestant."""
    asked = json.loads(sys.argv[sys.argv.index("--contestant") + 1])
    turns.tell({**CONTESTANTS[asked["peer"]](asked), "began": psutil.Process().create_time()})


if __name__ == "__main__":
    main()
