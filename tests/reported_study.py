"""The synthetic study of `tests.complete_study` as a report needs it, with definition, fingerprint and sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.complete_study import complete_results
from zerotune.tuner.analysis.provenance import Origin
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.run.answer import build_answer, stored_definition
from zerotune.tuner.study import study_from_text
from zerotune.tuner.trial import TrialResult

STUDY = """
name: synthetic
question: Must LeNet be tuned again at a larger batch?
application: lenet_mnist
data: {source: mnist}
epochs: 30
batch_sizes: [1024, 2048, 4096]
seeds: [0, 1, 2]
search_seed: 9
reference: tuned
margin: 0.995
baseline:
  batch_size: 256
  optimizer: {name: momentum, momentum: 0.9}
  tune: {method: grid, space: {lr: {low: 0.005, high: 3.3, scale: log, num: 12}}}
arms:
  - name: tuned
    method: grid
    space: {lr: {low: 0.01, high: 0.08, scale: log, num: 4}, warmup_epochs: {low: 0.0, high: 4.0, num: 3}}
  - {name: date, method: date, optimizer: date, baseline: {lr: 0.002}}
  - {name: legw, method: legw}
  - {name: sqrt, method: sqrt}
  - {name: linear, method: linear}
  - {name: defaults, method: defaults, trials: 3}
"""
SESSION = {
    "begun_at": "1970-01-01T00:00:00+00:00",
    "version.zerotune": "0.1.0",
    "version.torch": "2.13.0",
    "python": "3.11.7",
    "cpu": "Some CPU",
    "cpu_cores": "2",
    "platform": "Linux",
    "git.commit": "0123456789abcdef0123456789abcdef01234567",
    "git.dirty": "true",
}
COMMAND = "zerotune report synthetic"


def definition(**changes: Any) -> dict[str, Any]:
    """Return the study's definition in a store's format, with some keys changed."""
    study = study_from_text(STUDY, "synthetic.yaml")
    return {**stored_definition(study), **changes}


def reported(
    stored: Mapping[str, Any] | None = None,
    results: Sequence[TrialResult] | None = None,
    sessions: Sequence[Mapping[str, str]] = (SESSION,),
) -> Answer:
    """Return the answer that these results give, by default all of the synthetic study."""
    stored = definition() if stored is None else stored
    results = complete_results() if results is None else results
    origin = Origin(definition=stored, fingerprint="0123456789ab", sessions=tuple(sessions), command=COMMAND)
    return build_answer(results, origin)


def renamed(arm: str, name: str) -> Answer:
    """Return the study with an arm and itself renamed."""
    stored = definition(name=name, question=name, reference=name)
    stored["arms"] = [{**entry, "name": name} if entry["name"] == arm else entry for entry in stored["arms"]]
    results = [
        replace(result, trial=replace(result.trial, arm=name), host=name, device=name)
        if result.trial.arm == arm
        else result
        for result in complete_results()
    ]
    return reported(stored, results, [{**SESSION, "cpu": name}])
