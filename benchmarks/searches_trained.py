"""`comprehensive` against its peers by real trainings: LeNet-5 on 3,000 images, and a small language model.

Every search is an arm of one study with equal trials, and runs through the product's campaign; its choice is trained
again on five fresh seeds. The study is repeated with other search seeds, which change the points and the seed of the
search's trainings alike. A training is made once and kept in a file, so that an interrupted run goes on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

from pydantic import TypeAdapter

from benchmarks.coverage import table
from zerotune.trainers.checkpoint import config_fingerprint
from zerotune.trainers.loop import train
from zerotune.trainers.packing.benchmark import PackSpeed
from zerotune.trainers.spec import Placement, TrainConfig, TrainResult
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.execution.replay import run_replay
from zerotune.tuner.study import Study, study_from_text
from zerotune.tuner.trial import Trial, TrialResult

RESULT = TypeAdapter(TrainResult)
FRESH_SEEDS = (101, 102, 103, 104, 105)
FIRST_SEARCH_SEED = 1
OURS = "comprehensive"


class Trainings:
    """Trainings that are made once: a function from a configuration to its result, with a file as its memory.

    Args:
        file: lines of JSON, which another process may append to as well; None to keep nothing.
        data_folder: folder of the data source's files; None for its default.
    """

    def __init__(self, file: Path | None, data_folder: str | None = None) -> None:
        self._file, self._placement = file, Placement(data_folder=data_folder)
        self._known: dict[str, TrainResult] = {}
        if file is not None and file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                kept = json.loads(line)
                self._known[kept["config"]] = RESULT.validate_python(kept["result"])

    def __call__(self, config: TrainConfig) -> TrainResult:
        """Return the result of a training, with its last epoch alone."""
        key = config_fingerprint(config)
        if key not in self._known:
            result = train(config, self._placement)
            self._known[key] = result = replace(result, epochs=result.epochs[-1:])
            if self._file is not None:
                with self._file.open("a", encoding="utf-8") as opened:
                    opened.write(json.dumps({"config": key, "result": asdict(result)}) + "\n")
        return self._known[key]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is searched.

    Attributes:
        study: text of the study, with `{trials}`, `{seeds}`, `{search_seed}` and the spaces to fill in.
        momentum: space of the peers that search momentum.
        adam: space of the peers that search Adam.
        points: factor from a score to what is printed.
        higher_is_better: whether a larger score is better.
    """

    study: str
    momentum: str
    adam: str
    points: float = 1.0
    higher_is_better: bool = True

    def study_of(self, trials: int, search_seed: int) -> Study:
        """Return the study of one repeat."""
        spaces = {"momentum": self.momentum, "adam": self.adam}
        text = self.study.format(trials=trials, seeds=[*FRESH_SEEDS], search_seed=search_seed, **spaces)
        return study_from_text(text, "searches.yaml")


def space_of(inertia: str, *, lr: tuple[float, float], longest_warmup: float) -> str:
    """Return a space as a user writes it without a baseline, of the solver that has momentum or beta1."""
    low, high = (f"{end:.1e}" for end in lr)
    return (
        f"{{lr: {{low: {low}, high: {high}, scale: log}}, warmup_epochs: {{low: 0, high: {longest_warmup}}}, "
        f"decay: {{choices: [constant, poly, cosine]}}, {inertia}: {{low: 0.8, high: 0.98}}}}"
    )


LENET = Problem(
    points=100.0,
    momentum=space_of("momentum", lr=(0.001, 1.0), longest_warmup=2),
    adam=space_of("beta1", lr=(1e-4, 0.1), longest_warmup=2),
    study="""
name: searches_lenet
application: lenet_mnist
data: {{source: mnist5k}}
epochs: 5
batch_sizes: [512]
seeds: {seeds}
search_seed: {search_seed}
reference: comprehensive
baseline: {{batch_size: 32, lr: 0.01, optimizer: {{name: momentum, momentum: 0.9}}}}
arms:
  - {{name: comprehensive, method: comprehensive, trials: {trials}}}
  - {{name: tpe-momentum, method: optuna, trials: {trials}, space: {momentum}}}
  - {{name: random-adam, method: random, trials: {trials}, optimizer: adam, space: {adam}}}
  - {{name: sobol-adam, method: sobol, trials: {trials}, optimizer: adam, space: {adam}}}
  - {{name: gp-adam, method: gp, trials: {trials}, optimizer: adam, space: {adam}}}
  - {{name: sqrt, method: sqrt}}
  - {{name: date, method: date, baseline: {{lr: 0.0016, warmup_epochs: 0.25}}}}
""",
)
"""LeNet-5 at batch size 512, which the baseline of batch size 32 knows nothing of."""

TEXT = Problem(
    higher_is_better=False,
    momentum=space_of("momentum", lr=(0.01, 10.0), longest_warmup=0.5),
    adam=space_of("beta1", lr=(1e-4, 0.1), longest_warmup=0.5),
    study="""
name: searches_text
application: ptb_small
data: {{source: wikitext2-resplit, vocabulary: 500}}
model: {{num_hidden: 32}}
epochs: 1
batch_sizes: [160]
seeds: {seeds}
search_seed: {search_seed}
reference: comprehensive
recipe: {{clip_norm: 5.0}}
baseline: {{batch_size: 20, lr: 0.2, warmup_epochs: 0.2, optimizer: {{name: momentum, momentum: 0.9}}}}
arms:
  - {{name: comprehensive, method: comprehensive, trials: {trials}}}
  - {{name: tpe-momentum, method: optuna, trials: {trials}, space: {momentum}}}
  - {{name: random-momentum, method: random, trials: {trials}, space: {momentum}}}
  - {{name: gp-adam, method: gp, trials: {trials}, optimizer: adam, space: {adam}}}
  - {{name: sqrt, method: sqrt}}
""",
)
"""A small LSTM language model at batch size 160, tuned at 20 as in the study text_small."""

PROBLEMS = {"lenet": LENET, "text": TEXT}


@dataclass
class _Agenda:
    """A campaign whose results are kept in memory alone."""

    campaign: Campaign
    results: list[TrialResult]

    def __post_init__(self) -> None:
        self.ask, self.may_prune, self.report = self.campaign.ask, self.campaign.may_prune, self.campaign.report

    def tell(self, result: TrialResult) -> None:
        """Keep a result."""
        self.results.append(result)
        self.campaign.tell(result)

    def mark_started(self, trial: Trial) -> None:
        """Do nothing."""

    def record_pack_speed(self, trial: Trial, speed: PackSpeed) -> None:
        """Do nothing."""

    def add_note(self, sentence: str) -> None:
        """Do nothing."""

    def add_warning(self, trial: Trial, sentence: str) -> None:
        """Do nothing."""


def run_study(study: Study, trained: Callable[[TrainConfig], TrainResult]) -> list[TrialResult]:
    """Return all results of a study, one training after the other."""
    agenda = _Agenda(Campaign(study), [])
    run_replay(agenda, trained)
    return agenda.results


def fresh_scores(results: Sequence[TrialResult]) -> dict[str, float]:
    """Return the mean test score of every arm's choice on the fresh seeds."""
    found: dict[str, list[float]] = {}
    for result in results:
        if result.trial.role == "confirmation":
            assert result.test_score is not None
            found.setdefault(result.trial.arm, []).append(result.test_score)
    return {arm: fmean(scores) for arm, scores in found.items()}


def table_trained(
    problem: Problem, repeats: int, trials: int, trained: Callable[[TrainConfig], TrainResult], title: str
) -> Mapping[str, Sequence[float]]:
    """Print the fresh scores of every search and repeat; return them by search, better ones larger."""
    found: dict[str, list[float]] = {}
    for search_seed in range(FIRST_SEARCH_SEED, FIRST_SEARCH_SEED + repeats):
        for arm, score in fresh_scores(run_study(problem.study_of(trials, search_seed), trained)).items():
            found.setdefault(arm, []).append(problem.points * score)
    sign = 1.0 if problem.higher_is_better else -1.0
    ours = found[OURS]
    rows = []
    for arm, scores in found.items():
        gains = [sign * (our - score) for our, score in zip(ours, scores, strict=True)]
        rows.append(
            [
                arm,
                " ".join(f"{score:.2f}" for score in scores),
                f"{fmean(scores):.2f}",
                "" if arm == OURS else _mean(gains),
            ]
        )
    table(title, ["search", "repeats", "mean", "comprehensive is better by"], rows)
    return {arm: [sign * score for score in scores] for arm, scores in found.items()}


def _mean(values: Sequence[float]) -> str:
    error = f" ± {stdev(values) / len(values) ** 0.5:.2f}" if len(values) > 1 else ""
    return f"{fmean(values):+.2f}{error}"
