"""A synthetic study with known results: six arms, three batch sizes, three seeds, diverged and failed runs."""

import random
from typing import Any

from zerotune.trainers.spec import EpochMetrics, OptimizerSpec, ScheduleSpec, TrainConfig
from zerotune.tuner.analysis.study_facts import StudyFacts
from zerotune.tuner.cost import Cost
from zerotune.tuner.trial import Role, Trial, TrialResult, TrialStatus

CHANCE = 0.1
NUM_SEARCH_TRIALS = 12
MEANS = {
    "tuned": {1024: 0.9890, 2048: 0.9874, 4096: 0.9850},
    "date": {1024: 0.9891, 2048: 0.9872, 4096: 0.9852},
    "legw": {1024: 0.9885, 2048: 0.9860, 4096: 0.9815},
    "sqrt": {1024: 0.9870, 2048: 0.9800, 4096: 0.9650},
    "linear": {1024: 0.9860, 2048: 0.9600, 4096: CHANCE},
    "defaults": {1024: 0.9780, 2048: 0.9740, 4096: 0.9600},
}


def facts(**changes: Any) -> StudyFacts:
    given: dict[str, Any] = {
        "name": "synthetic",
        "question": "Must LeNet be tuned again at a larger batch?",
        "reference": "tuned",
        "margin": 0.995,
        "metric": "accuracy",
        "higher_is_better": True,
        "arms": tuple(MEANS),
        "zero_tuning_arms": ("date", "legw", "sqrt", "linear"),
        "batch_sizes": (1024, 2048, 4096),
        "baseline_batch_size": 256,
        "num_seeds": 3,
        "chance_score": CHANCE,
    }
    return StudyFacts(**(given | changes))


def result(
    arm: str,
    batch_size: int,
    role: Role,
    index: int,
    *,
    validation: float | None,
    test: float | None = None,
    status: TrialStatus = "finished",
    epochs: int = 30,
    seconds: float | None = None,
    lr: float = 0.1,
    finished_at: float | None = None,
    seed: int | None = None,
) -> TrialResult:
    """Return one result. Its cost follows from its epochs; its seed is its index unless given."""
    config = TrainConfig(
        application="lenet_mnist",
        data="mnist5k",
        batch_size=batch_size,
        epochs=30,
        schedule=ScheduleSpec(peak_lr=lr),
        optimizer=OptimizerSpec(name="momentum"),
        seed=index if seed is None else seed,
    )
    params = {} if role == "confirmation" and arm not in ("tuned", "defaults") else {"lr": lr}
    cost = Cost(
        trials=1,
        epochs=epochs,
        iterations=epochs * (4000 // batch_size + 1),
        samples=epochs * 4000,
        flops=epochs * 4000 * 2_500_000,
        device_seconds=epochs * (0.3 + 40 / batch_size) if seconds is None else seconds,
        words=epochs * 60_000,
    )
    return TrialResult(
        trial=Trial(
            study="synthetic", arm=arm, batch_size=batch_size, role=role, index=index, params=params, config=config
        ),
        status=status,
        epochs=(),
        validation_score=validation,
        test_score=test,
        cost=cost,
        error="out of memory" if status == "failed" else None,
        finished_at=float(index) if finished_at is None else finished_at,
    )


def epoch_metrics(epoch: int, score: float, **changes: Any) -> EpochMetrics:
    """Return an epoch with this validation score."""
    given: dict[str, Any] = {
        "lr": 0.1,
        "train_loss": 1.0,
        "validation_loss": 1.0,
        "iterations": 4,
        "samples": 4000,
        "flops": 10**10,
        "device_seconds": 0.3,
    }
    return EpochMetrics(epoch=epoch, validation_score=score, **(given | changes))


DATE_LR = 0.11
"""Learning rate of the confirmation runs of "date"."""


def confirmations(arm: str, batch_size: int, tests: list[float]) -> list[TrialResult]:
    """Return one confirmation run for each of these test scores; every arm trains with a learning rate of its own."""
    lr = 0.1 + 0.01 * [*MEANS, "baseline"].index(arm)
    return [
        result(arm, batch_size, "confirmation", seed, validation=test, test=test, lr=lr)
        for seed, test in enumerate(tests)
    ]


def study_results() -> list[TrialResult]:
    """Return every result of the study, the same on every call."""
    noise = random.Random(20)
    results = _search(noise, "baseline", 256, "baseline", 0.990)
    results += _confirm(noise, "baseline", 256, 0.990)
    for batch_size in facts().batch_sizes:
        results += _search(noise, "tuned", batch_size, "search", MEANS["tuned"][batch_size])
        for arm in MEANS:
            results += _confirm(noise, arm, batch_size, MEANS[arm][batch_size])
    return results


def _search(noise: random.Random, arm: str, batch_size: int, role: Role, best: float) -> list[TrialResult]:
    results = []
    for index in range(NUM_SEARCH_TRIALS):
        lr = round(0.005 * 1.8**index, 4)
        seconds = 30 * (0.3 + 40 / batch_size) * noise.uniform(0.9, 1.15)
        if index == NUM_SEARCH_TRIALS - 3:
            results.append(result(arm, batch_size, role, index, validation=None, status="failed", epochs=2, lr=lr))
        elif index >= NUM_SEARCH_TRIALS - 2:
            results.append(result(arm, batch_size, role, index, validation=CHANCE, status="diverged", epochs=3, lr=lr))
        else:
            score = best - 0.0016 * (index - 6) ** 2 + noise.gauss(0, 0.0008)
            results.append(result(arm, batch_size, role, index, validation=score, lr=lr, seconds=seconds))
    noise.shuffle(results)
    return results


def _confirm(noise: random.Random, arm: str, batch_size: int, mean: float) -> list[TrialResult]:
    results = []
    for seed in range(3):
        diverged = mean == CHANCE or (arm, batch_size, seed) == ("sqrt", 4096, 1)
        test = CHANCE if diverged else mean + noise.gauss(0, 0.0012)
        validation = CHANCE if diverged else mean + noise.gauss(0.0005, 0.0008)
        results.append(
            result(
                arm,
                batch_size,
                "confirmation",
                seed,
                validation=validation,
                test=test,
                status="diverged" if diverged else "finished",
                epochs=4 if diverged else 30,
            )
        )
    return results


def traces(figure, name):
    """Return a figure's traces of one name."""
    return [trace for trace in figure.data if trace.name == name]
