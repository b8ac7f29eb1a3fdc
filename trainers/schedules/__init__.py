"""Learning-rate schedules: iteration -> learning rate, as pure functions.

A schedule is a warm-up (a name in `WARMUPS`) followed by a decay (a name in `DECAYS`); they combine freely. It is
specified in epochs (`trainers.spec.ScheduleSpec`) and converted to iterations here, where the number of samples and the
batch size are known. This package must not know torch, nor which rule chose the numbers.

Notation: n training samples, B batch size, E epochs, w warm-up epochs, t the 1-based iteration, e = t B / n the current
epoch (DATE, Algorithm 1, line 4), T = ceil(E n / B) the total number of iterations.

>>> from zerotune.trainers.spec import DecaySpec, ScheduleSpec
>>> spec = ScheduleSpec(peak_lr=1.25e-3, warmup_epochs=2, decay=DecaySpec(name="poly", options={"power": 1.0}))
>>> schedule = build_schedule(spec, num_samples=60_000, batch_size=1024, epochs=30)
>>> schedule.total_iterations, schedule.warmup_iterations
(1758, 117)
>>> f"{schedule.lr(117):.6f} {schedule.lr(118):.6f} {schedule.lr(1758):.6f}"
'0.001248 0.001249 0.000000'
"""

from .decays import DECAYS, DecayEntry, ScheduleStep
from .schedule import Schedule, build_schedule, check_schedule
from .warmups import WARMUPS, WarmupEntry

__all__ = [
    "DECAYS",
    "WARMUPS",
    "DecayEntry",
    "Schedule",
    "ScheduleStep",
    "WarmupEntry",
    "build_schedule",
    "check_schedule",
]
