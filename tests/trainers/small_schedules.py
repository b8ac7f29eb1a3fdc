"""Test-sized schedules."""

from zerotune.trainers.schedules import Schedule, build_schedule
from zerotune.trainers.spec import DecaySpec, OptionValue, ScheduleSpec


def decay(name: str, **options: OptionValue) -> DecaySpec:
    """Return a decay with options."""
    return DecaySpec(name=name, options=options)


def schedule(
    decay_spec: DecaySpec,
    *,
    peak_lr: float = 1.0,
    warmup_epochs: float = 0.0,
    warmup: str = "linear",
    warmup_start: float = 0.0,
    num_samples: int = 100,
    batch_size: int = 10,
    epochs: int = 4,
) -> Schedule:
    """Build a schedule; by default of 40 iterations without warm-up."""
    spec = ScheduleSpec(
        peak_lr=peak_lr, warmup_epochs=warmup_epochs, warmup=warmup, warmup_start=warmup_start, decay=decay_spec
    )
    return build_schedule(spec, num_samples=num_samples, batch_size=batch_size, epochs=epochs)
