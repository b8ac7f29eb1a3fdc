"""Which configuration is diagnosed, what is read from it, and the command from study file to table."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.outputs import read_csv
from tests.user_applications import Here
from zerotune.trainers.spec import Configuration, EpochMetrics
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.commands.diagnose.diagnosis import DiagnosisQuestion
from zerotune.tuner.commands.diagnose.figures import FIGURES
from zerotune.tuner.commands.diagnose.run import diagnose, needs_results, resolve_configuration, select_iterations
from zerotune.tuner.cost import Cost
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import Study, study_from_text
from zerotune.tuner.trial import Trial, TrialResult

STUDY = """
name: inside
application: lenet_mnist
data: {source: mnist5k}
epochs: 2
batch_sizes: [750, 1500]
seeds: [4, 5]
reference: tuned
baseline: {batch_size: 500, optimizer: momentum, lr: 0.01, warmup_epochs: 0.25}
arms:
  - {name: tuned, method: grid, space: {lr: {choices: [0.01, 0.02, 0.04]}}}
  - {name: linear, method: linear}
  - {name: legw, method: legw}
  - name: date
    method: date
    baseline: {tune: {method: grid, space: {lr: {choices: [0.001, 0.002]}}}}
"""
TUNED = STUDY.replace("lr: 0.01, warmup", "tune: {method: grid, space: {lr: {choices: [0.005, 0.03]}}}, warmup")
GUARDED = TUNED.replace("{name: linear, method: linear}", "{name: linear-guarded, method: linear, guard: 2}")
SMALLEST = TUNED.replace(
    "{method: grid, space: {lr: {choices: [0.005", "{method: grid, ties: smallest, space: {lr: {choices: [0.005"
)


def study(text: str = STUDY) -> Study:
    return study_from_text(text, "inside.yaml")


def played(definition: Study, score: Callable[[Trial], float]) -> list[TrialResult]:
    """Return the results of a whole campaign whose trials get the scores of this function."""
    campaign, results = Campaign(definition), []
    while isinstance(trial := campaign.ask(), Trial):
        results.append(
            TrialResult(
                trial=trial,
                status="finished",
                epochs=(),
                validation_score=score(trial),
                test_score=None,
                cost=Cost(),
                validation_samples=10,
            )
        )
        campaign.tell(results[-1])
    return results


@pytest.mark.parametrize(
    "text", [STUDY, TUNED, GUARDED, SMALLEST], ids=["stated", "tuned", "guarded", "smallest of ties"]
)
def test_the_configuration_is_the_one_that_the_study_confirms(text: str) -> None:
    definition = study(text)
    results = played(definition, lambda trial: float(trial.params.get("lr", 0.0)) * (-1) ** trial.batch_size)
    confirmed = [result.trial for result in results if result.trial.role == "confirmation"]
    assert {trial.arm.removesuffix("-guarded") for trial in confirmed} == {
        "baseline",
        "tuned",
        "linear",
        "legw",
        "date",
    }
    for trial in confirmed:
        found, _ = resolve_configuration(definition, trial.arm, trial.batch_size, results)
        asked = Configuration(
            batch_size=trial.batch_size,
            schedule=trial.config.schedule,
            optimizer=trial.config.optimizer,
            recipe=trial.config.recipe,
        )
        assert found == asked, trial.name


@pytest.mark.parametrize("by_rule", [True, False])
def test_the_configuration_of_a_comprehensive_search_is_the_one_that_it_chose(by_rule: bool) -> None:
    grid = "method: grid, space: {lr: {choices: [0.01, 0.02, 0.04]}}"
    definition = study(STUDY.replace(grid, "method: comprehensive, trials: 8"))
    results = played(definition, lambda trial: float(("rule" in trial.params) == by_rule))
    found, chosen = resolve_configuration(definition, "tuned", 750, results)
    (confirmed, _) = [one.trial.config for one in results if one.trial.name.startswith("tuned B=750 confirmation")]
    assert (found.schedule, found.optimizer) == (confirmed.schedule, confirmed.optimizer)
    assert chosen is not None
    assert ("rule" in chosen.params) == by_rule


def test_only_what_a_search_has_chosen_needs_the_store() -> None:
    needs = {name: needs_results(study(), name) for name in ("baseline", "tuned", "linear", "legw", "date")}
    assert needs == {"baseline": False, "tuned": True, "linear": False, "legw": False, "date": True}
    assert needs_results(study(TUNED), "linear")
    assert needs_results(study(GUARDED), "linear-guarded")


def test_a_rule_is_diagnosed_at_batch_sizes_the_study_has_not() -> None:
    found, chosen = resolve_configuration(study(), "legw", 2_000, ())
    schedule = found.schedule
    assert (schedule.peak_lr, schedule.warmup_epochs, chosen) == (0.02, 1.0, None)


def refusal(arm: str, batch_size: int, results: list[TrialResult]) -> str:
    with pytest.raises(BadInput) as refused:
        resolve_configuration(study(), arm, batch_size, results)
    return str(refused.value)


def test_a_search_without_trials_is_refused_with_what_to_do() -> None:
    assert "the store holds none of its trials: run the study first (zerotune run inside)" in refusal("tuned", 750, [])
    results = played(study(), lambda trial: 0.5)
    assert "it has been searched at 750, 1500" in refusal("tuned", 1_000, results)


def test_a_guarded_arm_is_refused_where_the_study_has_not_probed() -> None:
    definition = study(GUARDED)
    results = played(definition, lambda trial: 0.5)
    with pytest.raises(BadInput, match="follows from its probes there"):
        resolve_configuration(definition, "linear-guarded", 1_000, results)


def test_an_unknown_arm_is_reported_with_the_known_ones() -> None:
    assert "unknown arm 'lewg': did you mean 'legw'?" in refusal("lewg", 750, [])
    assert "the baseline is trained at 500 alone" in refusal("baseline", 750, [])


@pytest.mark.parametrize(("total", "points"), [(1, 50), (7, 50), (1_000, 40), (1_000, 2)])
def test_the_updates_measured_begin_with_the_first_and_end_with_the_last(total: int, points: int) -> None:
    iterations = select_iterations(total, every=None, points=points)
    assert (iterations[0], iterations[-1]) == (1, total)
    assert len(iterations) <= points
    assert iterations == sorted(set(iterations))


def test_a_diagnosis_has_a_training_a_batch_size_and_what_the_training_itself_says() -> None:
    question = DiagnosisQuestion(study=study(), arm="linear", batch_sizes=(3000, 1500), every=2, seed=7)
    said: list[str] = []
    diagnosis = diagnose(question, tell=said.append)
    assert said == ["B=1,500: 4 updates, measured before 2 of them", "B=3,000: 2 updates, measured before 1 of them"]
    run = diagnosis.runs[0]
    assert [seen.iteration for seen in run.observations] == [1, 3]
    assert (run.config.seed, run.iterations, run.num_samples) == (7, 4, 3_000)
    assert run.epoch_of(3) == 1.5
    metrics: tuple[EpochMetrics, ...] = run.result.epochs
    assert run.loss_gaps == [(m.epoch, m.validation_loss - m.train_loss) for m in metrics]


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_trained() -> None:
    question = DiagnosisQuestion(study=study(), arm="linear", batch_sizes=(1500, 3001))
    said: list[str] = []
    with pytest.raises(BadInput, match="--batch-size 3001: there are 3000 training samples"):
        diagnose(question, tell=said.append)
    assert said == []


def test_the_command_writes_table_page_and_figures(here: Here, without_images: list[str]) -> None:
    (here.folder / "inside.yaml").write_text(STUDY, encoding="utf-8")
    words = ("--arm", "legw", "--batch-size", "1500", "--batch-size", "500", "--points", "2", "--to", "out")
    out = here.done("diagnose", "inside.yaml", *words)
    assert "inside: legw from inside, seed 4" in out
    assert out.split()[-2:] == ["out/diagnosis.csv", "out/diagnosis.html"]
    assert without_images == [f"{name}.png" for name in FIGURES]
    rows = read_csv(Path("out/diagnosis.csv"))
    lipschitz = [(row["batch_size"], row["iteration"]) for row in rows if row["quantity"] == "lipschitz_constant"]
    assert lipschitz == [("500", "1"), ("500", "12"), ("1500", "1"), ("1500", "4")]
    assert len({row["layer"] for row in rows if row["quantity"] == "trust_ratio"}) == 10


def test_without_a_store_a_searched_arm_is_refused_in_a_sentence(here: Here) -> None:
    (here.folder / "inside.yaml").write_text(STUDY, encoding="utf-8")
    sentence = here.refused("diagnose", "inside.yaml", "--arm", "tuned", "--batch-size", "750")
    assert "study 'inside' searches for what this arm trains with" in sentence
    assert "Run the study first (zerotune run inside.yaml), name" in sentence


def test_points_beside_every_are_refused(here: Here) -> None:
    words = ("--arm", "legw", "--batch-size", "750", "--every", "1", "--points", "9")
    assert "--points has no effect beside --every" in here.refused("diagnose", "inside.yaml", *words)
