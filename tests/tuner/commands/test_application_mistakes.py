"""Mistakes in a user application that only a batch reveals are told before any trial, by plan and by run."""

import pytest

from tests.user_applications import OWN, STUDY, Here, write


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "super().__init__(8, 2)",
            "super().__init__(9, 2)",
            "build_model: the model raised RuntimeError: mat1",
        ),
        ("super().__init__(8, 2)", "raise ValueError('no')", "build_model: it raised ValueError: no (at plane.py:13)"),
        ("targets.long()", "targets.float()", "loss: it, on train, raised RuntimeError"),
        (
            "(outputs, targets.long())",
            "(outputs, targets.long()) * len(targets)",
            "loss: doubles with the number of samples",
        ),
        (
            "score_sum=num_correct",
            "score_sum=lambda o, t: num_correct(o, t) / len(t)",
            "score_sum: does not grow with the number of samples",
        ),
        ("chance_score=0.5,", "chance_score=0.5, environment='X',", "environment: must list names of environment"),
        ("def load(folder):", "def load():", "data_sources: load raised TypeError: load() takes 0 positional"),
        ("test=test)", "test=None)", "data_sources: test must be a zerotune.trainers.data.Split, got NoneType"),
        (", generator=torch.Generator().manual_seed(0)", "", "load returns other samples in train at every call"),
        (
            "score_sum=num_correct",
            "score_sum=num_correct, finish_score=lambda mean: float('nan')",
            "finish_score: is nan before any training",
        ),
        (
            "divide((inputs,",
            "divide((inputs.index_fill(0, torch.tensor(250), float('inf')),",
            "data source 'drawn': inputs: sample 250 (counted from 0) is inf at index (0,): remove such samples",
        ),
        ("(0.6, 0.2, 0.2)", "(0.6, 0.2, 0.3)", "data source 'drawn': shares must be above 0 and sum to 1"),
    ],
)
def test_a_mistake_in_the_application_is_found_before_any_trial(here: Here, old: str, new: str, sentence: str) -> None:
    write(here.folder, old, new)
    assert sentence in here.refused("run", "plane.yaml", "--driver", "serial", "--app", "plane.py:sides")
    assert not (here.folder / "mlruns").exists()


COUPLED = "cross_entropy(outputs, targets.long(), weight=torch.tensor([1.0, 3.0]))"


def test_a_remark_is_shown_by_plan_and_run_and_stands_among_the_caveats(here: Here) -> None:
    write(here.folder, "cross_entropy(outputs, targets.long())", f"nn.functional.{COUPLED}")
    remark = "remark: loss: is no mean over the samples: what a sample adds depends on the others of its batch"
    app = ("--app", "plane.py:sides")
    assert remark in unwrapped(here.done("plan", "plane.yaml", *app))
    code, out, err = here.run()
    assert (code, err) == (0, "")
    assert remark in unwrapped(out)
    for where in (("plane",), ("plane.yaml", *app)):
        page = unwrapped(here.done("report", *where, "--format", "markdown"))
        assert page.count("- Of the application: loss: is no mean over the samples") == 1
        assert "so the objective itself depends on the batch size" in page


@pytest.mark.parametrize(
    ("addition", "sentence"),
    [
        ("resources: {workers_per_trial: 2}", "so that resources.workers_per_trial (2), which divides batches, would"),
        ("recipe: {micro_batch_size: 16}", "so that recipe.micro_batch_size (16), which divides batches, would"),
    ],
)
def test_batches_whose_samples_depend_on_each_other_may_not_be_divided(
    here: Here, addition: str, sentence: str
) -> None:
    write(here.folder, "cross_entropy(outputs, targets.long())", f"nn.functional.{COUPLED}")
    (here.folder / "plane.yaml").write_text(f"{STUDY}{addition}\n", encoding="utf-8")
    said = here.refused("plan", "plane.yaml", "--app", "plane.py:sides")
    assert "error: application 'sides': loss: is no mean over the samples" in said
    assert sentence in said


def test_a_model_that_needs_the_dataset_info_is_fine_with_workers_unless_it_normalises_batches(here: Here) -> None:
    code = OWN.replace("def __init__(self):\n        super().__init__(8, 2)", "def __init__(self, sides):\n{body}")
    code = code.replace("test=test)", "test=test, info={'sides': 2})").replace("nn.Linear)", "nn.Sequential)")
    (here.folder / "plane.yaml").write_text(f"{STUDY}resources: {{workers_per_trial: 2}}\n", encoding="utf-8")
    plain = "        super().__init__(nn.Linear(8, sides))"
    (here.folder / "plane.py").write_text(code.replace("{body}", plain), encoding="utf-8")
    assert "8 trials in all" in here.done("plan", "plane.yaml", "--app", "plane.py:sides")
    normalised = plain.replace("nn.Linear(8, sides)", "nn.BatchNorm1d(8), nn.Linear(8, sides)")
    (here.folder / "plane.py").write_text(code.replace("{body}", normalised), encoding="utf-8")
    said = here.refused("plan", "plane.yaml", "--app", "plane.py:sides")
    assert "recipe.ghost_batch_size: is required if several workers train a model with batch normalisation" in said


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_a_plan_tells_the_mistake_too(here: Here) -> None:
    write(here.folder, "super().__init__(8, 2)", "super().__init__(8, 1)")
    said = here.refused("plan", "plane.yaml", "--app", "plane.py:sides")
    assert "application 'sides': loss: it, on train, raised IndexError: Target 1 is out of bounds." in said
    assert "outputs are float32 (64, 1), targets bool (64,)" in said


def test_a_study_must_state_the_epochs_that_the_application_does_not(here: Here) -> None:
    (here.folder / "plane.yaml").write_text(STUDY.replace("epochs: 2\n", ""))
    said = here.refused("plan", "plane.yaml", "--app", "plane.py:sides")
    assert "epochs: is missing, and it has no default" in said
