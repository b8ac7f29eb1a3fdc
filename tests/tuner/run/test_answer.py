"""A stored definition gives the facts that a comparison needs."""

from zerotune.tuner.analysis.provenance import Origin
from zerotune.tuner.analysis.study_facts import StudyFacts
from zerotune.tuner.run.answer import build_answer, stored_definition
from zerotune.tuner.study import study_from_text
from zerotune.tuner.study.search_space import Float

STUDY = """
name: facts
application: lenet_mnist
epochs: 12
batch_sizes: [512, 128]
seeds: [1, 2]
reference: tuned
baseline: {batch_size: 32, optimizer: momentum, tune: {method: grid, space: {lr: {choices: [0.01, 0.02]}}}}
arms:
  - {name: tuned, method: random, trials: 2, space: {lr: {low: 0.01, high: 0.1}}}
  - {name: sqrt, method: sqrt}
  - {name: stated, method: date, baseline: {lr: 0.004}}
  - {name: own, method: date, baseline: {tune: {method: grid, space: {lr: {choices: [0.002, 0.004]}}}}}
"""


def facts_in_a_store(text: str) -> StudyFacts:
    definition = stored_definition(study_from_text(text, "facts.yaml"))
    return build_answer([], Origin(definition=definition, fingerprint="", sessions=(), command="")).comparison.facts


def test_the_facts_follow_from_the_stored_definition_alone() -> None:
    facts = facts_in_a_store(STUDY)
    assert facts.arms == ("tuned", "sqrt", "stated", "own")
    assert facts.zero_tuning_arms == ("sqrt", "stated", "own")
    assert facts.stated_baselines == ("stated",)
    assert facts.learned_arms == ()
    assert facts.spaces["tuned"] == {"lr": Float(low=0.01, high=0.1)}
    assert sorted(facts.spaces) == ["baseline", "own baseline", "tuned"]
    assert facts.batch_sizes == (128, 512)
    assert facts.baseline_batch_size == 32
    assert facts.num_seeds == 2
    assert (facts.metric, facts.higher_is_better) == ("accuracy", True)


def test_a_search_by_optuna_learns_from_its_trials() -> None:
    assert facts_in_a_store(STUDY.replace("method: random", "method: optuna")).learned_arms == ("tuned",)
