"""The command `zerotune rule` with the numbers of a study, so that a verdict can be used outside it."""

import shlex
from collections.abc import Iterable, Sequence

from ....trainers.scaling import RULES, scale
from ....trainers.spec import Baseline, OptionValue, TrainConfig
from ...analysis.runs import confirmation_runs
from ...analysis.selection import BASELINE, chosen_trial
from ...analysis.study_facts import StudyFacts
from ...study import Study, baseline_config
from ...trial import TrialResult


def format_rule_command(
    study: Study, facts: StudyFacts, results: Sequence[TrialResult], arm: str, batch_size: int
) -> str | None:
    """Format the command that gives what an arm of the study trained with at a batch size.

    None where there is none: the arm searches, nothing is confirmed, or the command would give another schedule.
    """
    definition = study.arm(arm)
    runs = [run for run in confirmation_runs(results, arm, batch_size) if run.status == "finished"]
    if definition.is_search or not runs:
        return None
    trained, num_samples = runs[0].trial.config, _num_samples(runs[0])
    baseline = _baseline(study, facts, results, arm)
    if num_samples is None or baseline is None:
        return None
    epochs, how = trained.epochs, definition.on_long_warmup
    numbers = definition.rule_numbers
    scaled = scale(
        definition.method, baseline, batch_size=batch_size, epochs=epochs, on_long_warmup=how, numbers=numbers
    )
    if scaled.schedule != trained.schedule:
        return None
    options = {
        "--baseline-batch-size": str(baseline.batch_size),
        **{f"--{name.replace('_', '-')}": repr(value) for name, value in numbers.items()},
        **_schedule_options(baseline),
        **_optimizer_options(definition.method, baseline),
        "--epochs": str(epochs),
        "--num-samples": str(num_samples),
        "--batch-size": str(batch_size),
        **({} if how == "error" else {"--on-long-warmup": how}),
    }
    words = [word for option, value in options.items() for word in (option, value)]
    words += [w for name, value in _decay_options(trained, baseline) for w in ("--decay-option", f"{name}={value}")]
    return shlex.join(["zerotune", "rule", definition.method, *words])


def _num_samples(run: TrialResult) -> int | None:
    """Return the number of training samples of an epoch, from what a finished training has processed."""
    samples, epochs = run.cost.samples, run.cost.epochs
    return samples // epochs if epochs and samples and samples % epochs == 0 else None


def _baseline(study: Study, facts: StudyFacts, results: Iterable[TrialResult], arm: str) -> Baseline | None:
    """Return the baseline that an arm's rule started from; None if its tuning has no result."""
    definition = study.baseline_of(study.arm(arm))
    if definition.tune is None:
        return baseline_config(definition, study.recipe, {})
    tuned = f"{arm} {BASELINE}" if study.has_own_tune(study.arm(arm)) else BASELINE
    trials = [result for result in results if (result.trial.arm, result.trial.role) == (tuned, "baseline")]
    best = chosen_trial(trials, higher_is_better=facts.higher_is_better, smallest=tuned in facts.smallest_ties)
    return None if best is None else baseline_config(definition, study.recipe, best.trial.params)


def _schedule_options(baseline: Baseline) -> dict[str, str]:
    schedule = baseline.schedule
    found = {"--lr": repr(schedule.peak_lr)}
    if schedule.warmup_epochs:
        found |= {"--warmup-epochs": repr(schedule.warmup_epochs), "--warmup": schedule.warmup}
        found |= {"--warmup-start": repr(schedule.warmup_start)}
    if schedule.decay.name != "constant":
        found["--decay"] = schedule.decay.name
    return found


def _decay_options(trained: TrainConfig, baseline: Baseline) -> list[tuple[str, str]]:
    """Return the options of the baseline's decay; a rule that prescribes another decay takes none."""
    decay = baseline.schedule.decay
    if trained.schedule.decay.name != decay.name:
        return []
    return [(name, _format(value)) for name, value in decay.options.items()]


def _optimizer_options(rule: str, baseline: Baseline) -> dict[str, str]:
    """Return the optimizer with those of its options that the rule changes; nothing if it changes none."""
    changed = RULES[rule].optimizer_options
    if not changed:
        return {}
    options = baseline.optimizer.options
    return {
        "--optimizer": baseline.optimizer.name,
        **{f"--{name}": repr(options[name]) for name in changed if name in options},
    }


def _format(value: OptionValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "".join(f"{number!r}," for number in value)
    return str(value)
