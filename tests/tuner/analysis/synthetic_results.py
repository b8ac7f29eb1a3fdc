"""Synthetic results for the tests of the store, made without training."""

import json
from dataclasses import asdict

from zerotune.trainers.spec import DecaySpec, EpochMetrics, OptimizerSpec, ScheduleSpec, TrainConfig
from zerotune.tuner.cost import Cost
from zerotune.tuner.trial import Role, Trial, TrialResult, TrialStatus, canonical_json, result_from_content

NUM_TRAIN = 60_000
FLOPS_A_SAMPLE = 1_234_567


def make_result(
    arm: str = "date",
    seed: int = 0,
    *,
    batch_size: int = 8192,
    role: Role = "confirmation",
    status: TrialStatus = "finished",
    lr: float = 0.003535533905932738,
    num_epochs: int = 3,
) -> TrialResult:
    """Return a trial whose score falls with the distance of `lr` from 0.0035 and whose loss falls with each epoch."""
    config = TrainConfig(
        application="mnist-lenet",
        data="mnist",
        batch_size=batch_size,
        epochs=num_epochs,
        schedule=ScheduleSpec(
            peak_lr=lr, warmup_epochs=2.5, decay=DecaySpec(name="polynomial", options={"power": 2.0})
        ),
        optimizer=OptimizerSpec(name="lamb", options={"weight_decay": 0.01, "betas": (0.9, 0.999), "nesterov": True}),
        seed=seed,
    )
    trial = Trial(
        study="small", arm=arm, batch_size=batch_size, role=role, index=seed, params={"lr": lr}, config=config
    )
    iterations = -(-NUM_TRAIN // batch_size)
    epochs = tuple(
        EpochMetrics(
            epoch=epoch,
            lr=lr * epoch / num_epochs,
            train_loss=2.3 / epoch + 0.01 * seed,
            validation_loss=2.4 / epoch + 0.01 * seed,
            validation_score=0.99 - 0.3 / epoch - abs(lr - 0.0035) - 0.001 * seed,
            iterations=iterations,
            samples=NUM_TRAIN,
            flops=FLOPS_A_SAMPLE * NUM_TRAIN,
            device_seconds=4.1 + 0.1 * seed,
        )
        for epoch in range(1, num_epochs + 1)
    )
    score = {"finished": epochs[-1].validation_score, "pruned": epochs[-1].validation_score, "diverged": 0.1}
    return TrialResult(
        trial=trial,
        status=status,
        epochs=epochs,
        validation_score=score.get(status),
        test_score=epochs[-1].validation_score - 0.002 if role == "confirmation" and status == "finished" else None,
        cost=Cost(
            trials=1,
            epochs=num_epochs,
            iterations=iterations * num_epochs,
            samples=NUM_TRAIN * num_epochs,
            flops=FLOPS_A_SAMPLE * NUM_TRAIN * num_epochs,
            device_seconds=sum(epoch.device_seconds for epoch in epochs),
            searcher_seconds=0.001,
            words=61_706 * iterations * num_epochs,
            peak_memory_bytes=2**31 + 1,
        ),
        error="the worker was lost" if status == "failed" else None,
        host="node-1",
        device="Some CPU @ 2.00GHz",
        finished_at=1_750_000_000.123456 + 60 * seed,
    )


def read_back(result: TrialResult) -> TrialResult:
    """Return the result after it was written as JSON, as in a journal or a store."""
    return result_from_content(json.loads(canonical_json(asdict(result))))
