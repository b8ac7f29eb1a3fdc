"""Sanity check of a user application: one batch of every split through it, before any trial.

Every mistake becomes a sentence that begins with the field of `Application` where it lies. Nothing is trained, and
torch's random state is left alone. This module must not know what is studied.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.utils._pytree import tree_map

from .applications.application import Application, Dataset, Split
from .applications.failure import ApplicationError, describe_error
from .data import Batch, DataError, DataSource
from .data.dataset import check_finite
from .evaluation import reset_state
from .flops_and_memory import training_flops_per_sample
from .spec import OptionValue

NUM_SAMPLES = 64
"""Samples of the batch: few enough for any model, enough for an untrained classifier to get some of them right."""


def load_data(source: DataSource, folder: str | None, options: Mapping[str, OptionValue]) -> Dataset:
    """Load a user application's data and check them.

    Raises:
        ApplicationError: loading fails, or does not give a `Dataset` of three splits with samples.
        DataError: the source itself reports what is wrong with its files, or a number in memory is not finite.
    """
    counted = None
    if source.check is not None:
        with _attribute_to("data_sources", "check"):
            counted = source.check(folder, **options)
    with _attribute_to("data_sources", "load"):
        data = source.load(folder, **options)
    if not isinstance(data, Dataset):
        raise ApplicationError(f"data_sources: load must return a zerotune.Dataset, got {type(data).__name__}")
    for name, split in _splits(data):
        if not isinstance(split, Split):
            raise ApplicationError(
                f"data_sources: {name} must be a zerotune.trainers.data.Split, got {type(split).__name__}: "
                "zerotune.as_split makes one of tensors, a data set or a DataLoader"
            )
        with _attribute_to("data_sources", f"the length of {name}"):
            size, least = len(split), 2 if name == "train" else 1
        if size < least:
            raise ApplicationError(f"data_sources: {name} has {size} samples, and must have at least {least}")
    if counted is not None and counted != len(data.train):
        raise ApplicationError(
            f"data_sources: check counts {counted!r} training samples, load returns {len(data.train)}"
        )
    check_finite(data)
    return data


def run_sanity_check(
    application: Application,
    data: Dataset,
    model_options: Mapping[str, OptionValue],
    *,
    batch_sizes: Iterable[int] = (),
    epochs: int = 1,
) -> None:
    """Build the model, and run a batch of every split through model, loss, gradient and scores, on the CPU.

    Args:
        application: the application to check.
        data: its data, as `load_data` returns them.
        model_options: as `TrainConfig.model_options`.
        batch_sizes: batch sizes of the trainings to come, whose last update may be left with a single sample.
        epochs: epochs of those trainings.

    Raises:
        ApplicationError: a part of the application cannot be used; the message begins with its field.
    """
    with torch.random.fork_rng(devices=[]):
        model = _new_model(application, data, model_options)
        for name, split in _splits(data):
            _check_batch(application, model, name, split)
        _check_gradient(application, model, data.train)
        _check_single_sample(model, data.train, batch_sizes, epochs)
        with _attribute_to("build_model", "a step of two samples, whose operations are counted,"):
            training_flops_per_sample(application, data, model_options)


def _splits(data: Dataset) -> Iterator[tuple[str, Split]]:
    return iter((("train", data.train), ("validation", data.validation), ("test", data.test)))


@contextmanager
def _attribute_to(field: str, what: str, about: str = "") -> Iterator[None]:
    """Turn any error of this block into an ApplicationError of a field; an ApplicationError or DataError stays."""
    try:
        yield
    except (ApplicationError, DataError):
        raise
    except Exception as error:  # an application may raise anything
        raise ApplicationError(f"{field}: {what} raised {describe_error(error)}{about}") from error


def _new_model(application: Application, data: Dataset, options: Mapping[str, OptionValue]) -> nn.Module:
    info = ", ".join(f"{name}={value!r}" for name, value in data.info.items())
    about = f": it was called with the dataset info {info}" if info else ""

    def build() -> Any:
        torch.manual_seed(0)
        with _attribute_to("build_model", "it", about):
            return application.new_model(data.info, options)

    model, again = build(), build()
    if not isinstance(model, nn.Module):
        raise ApplicationError(f"build_model: must return a torch.nn.Module, got {type(model).__name__}")
    if model is again or {id(p) for p in model.parameters()} & {id(p) for p in again.parameters()}:
        raise ApplicationError(
            "build_model: returned the same weights twice, so that one trial would continue with another's: make a "
            "new model at every call"
        )
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not trained:
        raise ApplicationError("build_model: the model has no parameters to train (requires_grad)")
    for name, parameter in model.named_parameters():
        if isinstance(parameter, UninitializedParameter):
            raise ApplicationError(f"build_model: {name} belongs to a lazy layer, which has no size yet: give it one")
    other = dict(again.named_parameters())
    for name, parameter in model.named_parameters():
        if not torch.equal(parameter, other[name]):
            raise ApplicationError(
                f"build_model: {name} has different initial values for the same seed: draw them from torch's global "
                "generator"
            )
    return model


def _first_batch(name: str, split: Split) -> Batch:
    """Return the first samples of a split, checked to be inputs and targets."""
    with _attribute_to("data_sources", f"a batch of {name}"):
        keys = next(iter(split.evaluation_keys()))[:NUM_SAMPLES]
        batch = next(iter(split.batches([keys])))
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ApplicationError(f"data_sources: a batch of {name} must be (inputs, targets), got {_describe(batch)}")
    inputs, targets = batch
    if not isinstance(targets, Tensor) or targets.dim() == 0 or len(targets) != len(keys):
        raise ApplicationError(
            f"data_sources: targets of {name} must be a tensor whose first dimension counts the {len(keys)} samples of "
            f"the batch, got {_describe(targets)}"
        )
    return inputs, targets


def _check_batch(application: Application, model: nn.Module, name: str, split: Split) -> None:
    """Check outputs, loss and scores of one batch in evaluation mode."""
    inputs, targets = _first_batch(name, split)
    with torch.inference_mode():
        outputs = _forward(model.eval(), name, inputs, targets)
        about = f": outputs are {_describe(outputs)}, targets {_describe(targets)}"
        with _attribute_to("loss", f"it, on {name},", about):
            loss = application.loss(outputs, targets)
        if not isinstance(loss, Tensor) or loss.dim() != 0:
            hint = ": take its mean" if isinstance(loss, Tensor) and len(loss) == len(targets) else ""
            raise ApplicationError(
                f"loss: must return a scalar, the mean over the samples, got {_describe(loss)}{hint}"
            )
        if not math.isfinite(loss):
            raise ApplicationError(f"loss: is {loss.item()} on {name} before any training{about}")
        if _doubles(application.loss, outputs, targets) is True:
            raise ApplicationError(
                "loss: doubles with the number of samples: it must be the mean over the samples, not their sum"
            )
        sums = {f"other_scores[{key!r}]": score for key, score in application.other_scores.items()}
        if application.score_sum is not None:
            sums["score_sum"] = application.score_sum
        for field, score_sum in sums.items():
            _check_score(field, score_sum, outputs, targets, about)
        if application.score_sum is not None:
            with _attribute_to("finish_score", "it"):
                finished = application.finish_score(float(application.score_sum(outputs, targets)) / len(targets))
            if not isinstance(finished, int | float):
                raise ApplicationError(f"finish_score: must return a number, got {_describe(finished)}")
            if finished != finished:
                raise ApplicationError(f"finish_score: is nan on {name} before any training")
        if application.smoothed_loss is not None:
            with _attribute_to("smoothed_loss", "it", about):
                smoothed = application.smoothed_loss(outputs, targets, label_smoothing=0.1)
            if not isinstance(smoothed, Tensor) or smoothed.dim() != 0:
                raise ApplicationError(f"smoothed_loss: must return a scalar, got {_describe(smoothed)}")


def _forward(model: nn.Module, name: str, inputs: Any, targets: Tensor) -> Tensor:
    reset_state(model)
    with _attribute_to("build_model", "the model", f": a batch of {name} has inputs {_describe(inputs)}"):
        outputs = model(inputs)
    if not isinstance(outputs, Tensor):
        raise ApplicationError(
            f"build_model: the model must return a tensor, got {_describe(outputs)}: wrap it in a module that picks one"
        )
    return outputs


def _check_score(
    field: str, score_sum: Callable[[Tensor, Tensor], Any], outputs: Tensor, targets: Tensor, about: str
) -> None:
    with _attribute_to(field, "it", about):
        score = score_sum(outputs, targets)
    is_array = isinstance(score, Tensor) and score.dim() != 0
    if is_array or not isinstance(score, Tensor | int | float):
        hint = ": add them up" if is_array and len(score) == len(targets) else ""
        raise ApplicationError(f"{field}: must return a scalar, the sum over the samples, got {_describe(score)}{hint}")
    if not math.isfinite(score):
        raise ApplicationError(f"{field}: is {float(score)} before any training{about}")
    if _doubles(score_sum, outputs, targets) is False:
        raise ApplicationError(
            f"{field}: does not grow with the number of samples: it must be the sum over the samples, not their mean"
        )


def _doubles(measured: Callable[[Tensor, Tensor], Any], outputs: Tensor, targets: Tensor) -> bool | None:
    """Return whether a value doubles (True) or stays (False) if every sample occurs twice; None if neither, or zero."""
    if outputs.dim() == 0 or len(outputs) != len(targets):
        return None
    try:
        once = float(measured(outputs, targets))
        twice = float(measured(torch.cat([outputs, outputs]), torch.cat([targets, targets])))
    except Exception:  # a function that takes no other number of samples cannot be checked
        return None
    if not math.isfinite(once) or abs(once) < 1e-12:
        return None
    if math.isclose(twice, 2 * once, rel_tol=1e-3):
        return True
    return False if math.isclose(twice, once, rel_tol=1e-3) else None


def _check_gradient(application: Application, model: nn.Module, train: Split) -> None:
    inputs, targets = _first_batch("train", train)
    outputs = _forward(model.train(), "train", inputs, targets)
    with _attribute_to("loss", "its gradient"):
        application.loss(outputs, targets).backward()  # type: ignore[no-untyped-call]
    if all(parameter.grad is None for parameter in model.parameters()):
        raise ApplicationError("loss: no parameter of the model gets a gradient from it")


def _check_single_sample(model: nn.Module, train: Split, batch_sizes: Iterable[int], epochs: int) -> None:
    """Check that a last update of a single sample works, which batch normalisation, for one, refuses."""
    single = [size for size in batch_sizes if size > 1 and epochs * len(train) % size == 1]
    if not single:
        return
    inputs, _ = _first_batch("train", train)
    try:
        model.train()
        reset_state(model)
        model(tree_map(lambda tensor: tensor[:1], inputs))
    except Exception as error:  # a model may raise anything
        raise ApplicationError(
            f"build_model: the model refuses a batch of one sample ({describe_error(error)}), but with {len(train)} "
            f"training samples and {epochs} epochs the last update at batch size {single[0]} has one: choose another "
            "batch size"
        ) from error


def _describe(value: Any) -> str:
    """Describe a value by its type and shape."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, tuple | list) and len(value) <= 8:
        return f"{type(value).__name__} of ({', '.join(_describe(part) for part in value)})"
    return f"a value of type {type(value).__name__}"
