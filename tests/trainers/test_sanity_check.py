"""An application's mistakes are reported before any trial, each with the field at fault."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerotune.trainers.applications import APPLICATIONS, Application
from zerotune.trainers.applications.checks import field_problems
from zerotune.trainers.applications.classification import cross_entropy, num_correct, smoothed_cross_entropy
from zerotune.trainers.applications.failure import ApplicationError
from zerotune.trainers.data import DataError, Dataset, DataSource, divide
from zerotune.trainers.data.dataset import load_on_device
from zerotune.trainers.options import NO_OPTIONS
from zerotune.trainers.sanity_check import load_data, run_sanity_check
from zerotune.trainers.spec import Baseline, OptimizerSpec, ScheduleSpec

NUM_SAMPLES, NUM_FEATURES, NUM_CLASSES = 200, 6, 3


def dataset(folder: str | None = None) -> Dataset:
    inputs = torch.randn(NUM_SAMPLES, NUM_FEATURES, generator=torch.Generator().manual_seed(0))
    train, validation, test = divide((inputs, inputs.argmax(dim=1) % NUM_CLASSES), (0.6, 0.2, 0.2))
    return Dataset(train=train, validation=validation, test=test)


def build_model(width: int = NUM_FEATURES, num_outputs: int = NUM_CLASSES) -> nn.Module:
    return nn.Linear(width, num_outputs)


SOUND = Application(
    build_model=build_model,
    data_sources={"drawn": DataSource(load=dataset)},
    loss=cross_entropy,
    score_sum=num_correct,
    smoothed_loss=smoothed_cross_entropy,
    other_scores={"top": num_correct},
    metric="accuracy",
    higher_is_better=True,
    chance_score=0.33,
)


class Outputs(nn.Linear):
    """A linear model that applies `change` to its outputs."""

    def __init__(self, change: Callable[[Tensor], Any]) -> None:
        super().__init__(NUM_FEATURES, NUM_CLASSES)
        self.change = change

    def forward(self, inputs: Tensor) -> Any:
        return self.change(super().forward(inputs))


class Normalised(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.BatchNorm1d(NUM_FEATURES), nn.Linear(NUM_FEATURES, NUM_CLASSES))


def error_message(application: Application, data: Dataset | None = None, **options: Any) -> str:
    """Return the message of a failing sanity check."""
    with pytest.raises(ApplicationError) as refused:
        run_sanity_check(application, data or dataset(), {}, **options)
    return str(refused.value)


def test_a_sound_application_passes_and_leaves_torchs_random_state_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    run_sanity_check(SOUND, dataset(), {}, batch_sizes=(7, 119), epochs=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_shipped_application_passes() -> None:
    application = APPLICATIONS["lenet_mnist"]
    run_sanity_check(
        application, load_data(application.data_sources["mnist5k"], None, {}), {}, batch_sizes=(32,), epochs=2
    )


def test_batch_normalisation_passes_unless_an_update_has_a_single_sample() -> None:
    run_sanity_check(replace(SOUND, build_model=Normalised), dataset(), {}, batch_sizes=(7,), epochs=2)
    message = error_message(replace(SOUND, build_model=Normalised), batch_sizes=(32, 7), epochs=1)  # 120 = 17 x 7 + 1
    assert "the model refuses a batch of one sample (ValueError: Expected more than 1 value per channel" in message
    assert "with 120 training samples and 1 epochs the last update at batch size 7 has one" in message


SHARED = build_model()
SHARED_WEIGHT = nn.Linear(NUM_FEATURES, NUM_CLASSES)


def frozen() -> nn.Module:
    return build_model().requires_grad_(False)


def from_elsewhere() -> nn.Module:
    model = nn.Linear(NUM_FEATURES, NUM_CLASSES)
    nn.init.constant_(model.weight, torch.rand((), generator=ELSEWHERE).item())
    return model


ELSEWHERE = torch.Generator().manual_seed(1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"build_model": lambda: SHARED}, "build_model: returned the same weights twice"),
        ({"build_model": lambda: nn.Sequential(SHARED_WEIGHT)}, "build_model: returned the same weights twice"),
        ({"build_model": from_elsewhere}, "build_model: weight has different initial values for the same seed"),
        ({"build_model": lambda: "model"}, "build_model: must return a torch.nn.Module, got str"),
        ({"build_model": frozen}, "build_model: the model has no parameters to train"),
        ({"build_model": nn.Identity}, "build_model: the model has no parameters to train"),
        ({"build_model": lambda: nn.LazyLinear(3)}, "build_model: weight belongs to a lazy layer"),
        (
            {"build_model": lambda: 1 / 0},
            "build_model: it raised ZeroDivisionError: division by zero (at test_sanity_check.py",
        ),
        ({"build_model": lambda: build_model(7)}, "build_model: the model raised RuntimeError: mat1 and mat2 shapes"),
        ({"build_model": lambda: build_model(7)}, "a batch of train has inputs float32 (64, 6)"),
        (
            {"build_model": lambda: Outputs(lambda y: (y, y))},
            "must return a tensor, got tuple of (float32",
        ),
        (
            {"build_model": lambda: Outputs(lambda y: {"logits": y})},
            "must return a tensor, got dict of ('logits': float32 (64, 3))",
        ),
        ({"build_model": lambda: Outputs(Tensor.detach)}, "loss: its gradient raised RuntimeError"),
        ({"build_model": lambda: Outputs(lambda y: y * float("nan"))}, "loss: is nan on train before any training"),
        ({"build_model": lambda: build_model(num_outputs=2)}, "loss: it, on train, raised IndexError: Target 2 is"),
        (
            {"loss": lambda o, t: F.cross_entropy(o, t, reduction="none")},
            "got float32 (64,): take its mean",
        ),
        (
            {"loss": lambda o, t: F.cross_entropy(o, t, reduction="sum")},
            "loss: doubles with the number of samples",
        ),
        (
            {"loss": lambda o, t: cross_entropy(o, t).item()},
            "loss: must return a scalar, the mean over",
        ),
        ({"loss": lambda o, t: cross_entropy(o, t.float())}, "outputs are float32 (64, 3), targets int64 (64,)"),
        (
            {"score_sum": lambda o, t: o.argmax(dim=1) == t},
            "score_sum: must return a scalar, the sum over",
        ),
        (
            {"score_sum": lambda o, t: (o.argmax(dim=1) == t).float().mean()},
            "score_sum: does not grow with the number of samples",
        ),
        ({"score_sum": lambda o, t: "many"}, "score_sum: must return a scalar"),
        ({"other_scores": {"top": lambda o, t: o.topk(9)}}, "other_scores['top']: it raised RuntimeError"),
        ({"finish_score": lambda mean: None}, "finish_score: must return a number"),
        ({"finish_score": lambda mean: mean / 0}, "finish_score: it raised ZeroDivisionError"),
        ({"smoothed_loss": cross_entropy}, "smoothed_loss: it, on train, raised TypeError"),
    ],
)
def test_each_mistake_is_reported_with_its_field(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in error_message(replace(SOUND, **changes))


def test_dataset_info_that_the_model_does_not_take_is_named() -> None:
    message = error_message(SOUND, replace(dataset(), info={"num_classes": 3}))
    assert "build_model: it raised TypeError: build_model() got an unexpected keyword argument 'num_classes'" in message
    assert message.endswith(": it was called with the dataset info num_classes=3")


def test_a_split_of_another_shape_is_found_before_training() -> None:
    data = dataset()
    narrow = replace(data.test, inputs=torch.zeros(40, 5))  # type: ignore[type-var]
    assert "a batch of test has inputs float32 (40, 5)" in error_message(SOUND, replace(data, test=narrow))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (DataSource(load=lambda folder: 3), "load must return a zerotune.Dataset, got int"),
        (DataSource(load=lambda: dataset()), "data_sources: load raised TypeError"),
        (
            DataSource(load=lambda folder: replace(dataset(), train=[1])),
            "must be a zerotune.trainers.data.Split, got list",
        ),
        (DataSource(load=dataset, check=lambda folder: 7), "check counts 7 training samples, load returns 120"),
        (DataSource(load=dataset, check=lambda folder: 1 / 0), "data_sources: check raised ZeroDivisionError"),
    ],
)
def test_a_source_that_gives_no_dataset_is_reported(source: DataSource, sentence: str) -> None:
    with pytest.raises(ApplicationError) as refused:
        load_data(source, None, {})
    assert sentence in str(refused.value)


def test_a_sources_own_error_stays() -> None:
    def load(folder: str | None) -> Dataset:
        raise DataError("digits.csv: no such file")

    with pytest.raises(DataError, match=r"^digits.csv: no such file$"):
        load_data(DataSource(load=load), None, {})


def with_hole(split: str, sample: int) -> Dataset:
    """Return the data with a number that is not finite, beyond the samples that the check trains on."""
    data = dataset()
    part = getattr(data, split)
    inputs = part.inputs.clone()
    inputs[sample, 4] = torch.nan
    return replace(data, **{split: replace(part, inputs=inputs)})


@pytest.mark.parametrize(("split", "sample"), [("train", 100), ("validation", 39), ("test", 0)])
def test_numbers_in_memory_that_are_not_finite_are_refused_with_the_place_of_the_first(split: str, sample: int) -> None:
    source = DataSource(load=lambda folder: with_hole(split, sample))
    place = rf"^{split} inputs: sample {sample} \(counted from 0\) is nan at index \(4,\): remove such samples, or put"
    with pytest.raises(DataError, match=place):
        load_data(source, None, {})
    with pytest.raises(DataError, match=place):  # so does a shipped source, which has no sanity check
        load_on_device(source, None, torch.device("cpu"))


@pytest.mark.parametrize("field", ["score_sum", "other_scores['top']"])
def test_a_score_that_is_not_finite_before_any_training_is_refused(field: str) -> None:
    def undefined(outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum() * torch.nan

    changes = {"score_sum": undefined} if field == "score_sum" else {"other_scores": {"top": undefined}}
    assert error_message(replace(SOUND, **changes)) == f"{field}: is nan on train before any training"


# Fields


@pytest.mark.parametrize("name", [name for name, found in APPLICATIONS.items() if found.look_up is None])
def test_a_shipped_application_has_sound_fields_and_the_papers_values(name: str) -> None:
    application = APPLICATIONS[name]
    assert list(field_problems(application)) == []
    stated = (application.target, application.epochs, application.baseline, application.description, application.source)
    assert all(stated)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("build_model", None),
        ("data_sources", {}),
        ("data_sources", {"drawn": dataset}),
        ("loss", "cross_entropy"),
        ("score_sum", 1),
        ("metric", None),
        ("metric", "two\nlines"),
        ("higher_is_better", "yes"),
        ("chance_score", float("nan")),
        ("chance_score", True),
        ("target", 0.2),
        ("target", "high"),
        ("epochs", 0),
        ("epochs", 1.5),
        ("baseline", 0.1),
        ("description", None),
        ("source", 3),
        ("model_options", {"width": 3}),
        ("smoothed_loss", 0.1),
        ("finish_score", None),
        ("measure", "BLEU"),
        ("other_scores", {"accuracy": num_correct}),
        ("other_scores", {"top 5 (%)": num_correct}),
        ("other_scores", [num_correct]),
        ("other_scores", {"loss": num_correct}),
        ("other_scores", {"score": num_correct}),
        ("packages", ["torch"]),
    ],
)
def test_an_invalid_field_is_named(field: str, value: Any) -> None:
    problems = list(field_problems(replace(SOUND, **{field: value})))
    assert [problem.split(":")[0] for problem in problems] == [field]


def test_optional_fields_may_be_set() -> None:
    baseline = Baseline(batch_size=8, schedule=ScheduleSpec(peak_lr=0.1), optimizer=OptimizerSpec(name="momentum"))
    given = replace(SOUND, target=0.9, epochs=3, baseline=baseline, model_options=NO_OPTIONS, description="d")
    assert list(field_problems(given)) == []
