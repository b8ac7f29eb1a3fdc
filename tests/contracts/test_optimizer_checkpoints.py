"""Checkpoints of every optimizer: files, copies, torch's distributed checkpoints, and from one form to another."""

import copy
import itertools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.checkpoint import FileSystemReader, FileSystemWriter, load, save
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

from tests.contracts.optimizer_cases import (
    EVERY_FORM,
    EVERY_INSTALLED,
    EVERY_OWN,
    OWN,
    build,
    forms,
    set_form,
    through_file,
)
from tests.trainers.distributed.trainings import NEEDS_GLOO
from zerotune.trainers.optimizers import LAMB, LARS, OPTIMIZERS
from zerotune.trainers.optimizers.parameter_free import PARAMETER_FREE

LRS = [0.05, 0.04, 0.02, 0.05, 0.03, 0.01]
HALF = len(LRS) // 2


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def made(name: str, trained: nn.Module, form: bool | None) -> Optimizer:
    optimizer = build(name, dict(trained.named_parameters()), 0.1, weight_decay=0.01)
    set_form(optimizer, form)
    return optimizer


def train(trained: nn.Module, optimizer: Optimizer, steps: range) -> None:
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = LRS[step]
        inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(step))
        inputs = inputs.to(next(trained.parameters()).dtype)
        optimizer.zero_grad()
        trained(inputs).square().mean().backward()
        optimizer.step()


def weights(trained: nn.Module) -> list[Tensor]:
    whole = [getattr(param, "full_tensor", lambda p=param: p)() for param in trained.parameters()]
    return [tensor.detach().clone() for tensor in whole]


def half_trained(name: str, form: bool | None) -> tuple[nn.Module, Optimizer]:
    trained = model()
    optimizer = made(name, trained, form)
    train(trained, optimizer, range(HALF))
    return trained, optimizer


def expected(name: str, form: bool | None, later: bool | None) -> list[Tensor]:
    """Return the weights of a run that was not interrupted, and takes its later steps in another form."""
    trained, optimizer = half_trained(name, form)
    set_form(optimizer, later)
    train(trained, optimizer, range(HALF, len(LRS)))
    return weights(trained)


def assert_equal(actual: list[Tensor], wanted: list[Tensor]) -> None:
    for left, right in zip(actual, wanted, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


def form_pairs(name: str) -> list[tuple[bool | None, bool | None]]:
    """Return the first form with itself, and each form with the next."""
    own = forms(name)
    return list(dict.fromkeys([(own[0], own[0]), *zip(own, (*own[1:], own[0]), strict=True)]))


TWO_FORMS = pytest.mark.parametrize(
    ("name", "form", "later"), [(name, *pair) for name in EVERY_INSTALLED for pair in form_pairs(name)]
)


@TWO_FORMS
def test_a_state_dict_from_a_file_goes_on_in_the_same_and_in_another_form(
    name: str, form: bool | None, later: bool | None
) -> None:
    trained, optimizer = half_trained(name, form)
    resumed = copy.deepcopy(trained)
    other = made(name, resumed, form)
    other.load_state_dict(through_file(optimizer.state_dict()))
    set_form(other, later)
    train(resumed, other, range(HALF, len(LRS)))
    assert_equal(weights(resumed), expected(name, form, later))


@EVERY_FORM
@pytest.mark.parametrize("way", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"])
def test_a_model_and_its_optimizer_can_be_copied_and_pickled(
    name: str, form: bool | None, way: Callable[[Any], Any]
) -> None:
    trained, optimizer = way(half_trained(name, form))
    assert optimizer.param_groups[0]["params"][0] is next(trained.parameters())
    train(trained, optimizer, range(HALF, len(LRS)))
    assert_equal(weights(trained), expected(name, form, form))


OPTIONS = pytest.mark.parametrize(
    "options",
    [
        StateDictOptions(full_state_dict=full, flatten_optimizer_state_dict=flat)
        for full, flat in itertools.product((False, True), repeat=2)
    ],
    ids=["plain", "flattened", "full", "full and flattened"],
)
STATELESS = ("sgd", "date-sgd", "layerwise-sgd")
"""torch's function cannot load a full state dict without any state, also of its own SGD."""
SHARED_FORMS = pytest.mark.parametrize(
    ("name", "form", "later"),
    [(name, *pair) for name in OPTIMIZERS if name not in PARAMETER_FREE for pair in form_pairs(name)],
)
"""The packages of the others keep part of their state in the groups, which torch's function does not prime."""


@SHARED_FORMS
@OPTIONS
def test_torchs_distributed_state_dict_goes_on_in_the_same_and_in_another_form(
    name: str, form: bool | None, later: bool | None, options: StateDictOptions
) -> None:
    if options.full_state_dict and name in STATELESS:
        pytest.skip("torch needs a state")
    trained, optimizer = half_trained(name, form)
    state = copy.deepcopy(get_optimizer_state_dict(trained, optimizer, options=options))
    resumed = copy.deepcopy(trained)
    other = made(name, resumed, later)
    set_optimizer_state_dict(resumed, other, state, options=loading(options))
    set_form(other, later)
    train(resumed, other, range(HALF, len(LRS)))
    assert_equal(weights(resumed), expected(name, form, later))


def loading(options: StateDictOptions) -> StateDictOptions:
    """Return the options to load with: torch refuses a flattened dict that is called full, also of its own Adam."""
    if options.flatten_optimizer_state_dict:
        return StateDictOptions(flatten_optimizer_state_dict=True)
    return options


@pytest.mark.filterwarnings("ignore")  # torch's, of saving without a process group
@pytest.mark.parametrize("flat", [False, True], ids=["nested", "flattened"])
@EVERY_OWN
def test_a_checkpoint_written_by_torch_distributed_goes_on_bit_for_bit(name: str, flat: bool, tmp_path: Path) -> None:
    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    trained, optimizer = half_trained(name, None)
    state = {"optimizer": get_optimizer_state_dict(trained, optimizer, options=options)}
    save(state, storage_writer=FileSystemWriter(tmp_path), no_dist=True)
    resumed = copy.deepcopy(trained)
    other = made(name, resumed, None)
    read = {"optimizer": get_optimizer_state_dict(resumed, other, options=options)}
    load(read, storage_reader=FileSystemReader(tmp_path), no_dist=True)
    set_optimizer_state_dict(resumed, other, read["optimizer"], options=options)
    train(resumed, other, range(HALF, len(LRS)))
    assert_equal(weights(resumed), expected(name, None, None))


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def sharded(whole: nn.Module) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    return fully_shard(whole, mesh=init_device_mesh("cpu", (1,)))


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "plain": lambda whole: whole,
    "ddp": nn.parallel.DistributedDataParallel,
    "fsdp2": sharded,
}


@NEEDS_GLOO
@pytest.mark.parametrize(
    ("wrapper", "later", "options"),
    [
        ("plain", "fsdp2", StateDictOptions(full_state_dict=True)),
        ("fsdp2", "plain", StateDictOptions(full_state_dict=True)),
        ("ddp", "fsdp2", StateDictOptions(full_state_dict=True)),
        ("fsdp2", "fsdp2", StateDictOptions()),
        ("fsdp2", "fsdp2", StateDictOptions(flatten_optimizer_state_dict=True)),
    ],
)
def test_a_checkpoint_moves_between_a_plain_a_replicated_and_a_sharded_model(
    one_process: None, options: StateDictOptions, wrapper: str, later: str
) -> None:
    for name in [name for name in OWN if name not in STATELESS]:
        trained = WRAPPERS[wrapper](model().double())
        optimizer = made(name, trained, None)
        train(trained, optimizer, range(HALF))
        state = copy.deepcopy(get_optimizer_state_dict(trained, optimizer, options=options))
        plain = model().double()
        for param, value in zip(plain.parameters(), weights(trained), strict=True):
            param.data.copy_(value)
        resumed = WRAPPERS[later](plain)
        other = made(name, resumed, None)
        set_optimizer_state_dict(resumed, other, state, options=options)
        train(resumed, other, range(HALF, len(LRS)))
        whole = model().double()
        uninterrupted = made(name, whole, None)
        train(whole, uninterrupted, range(len(LRS)))
        for left, right in zip(weights(resumed), weights(whole), strict=True):
            torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-11, msg=f"{name}: {left} {right}")


@EVERY_OWN
def test_a_state_dict_without_a_newer_option_takes_the_optimizers(name: str) -> None:
    trained, optimizer = half_trained(name, None)
    state = copy.deepcopy(optimizer.state_dict())
    for option in [key for key in state["param_groups"][0] if key not in ("params", "lr")]:
        older = copy.deepcopy(state)
        for group in older["param_groups"]:
            del group[option]
        resumed = copy.deepcopy(trained)
        other = made(name, resumed, None)
        other.load_state_dict(older)
        train(resumed, other, range(HALF, len(LRS)))
        assert_equal(weights(resumed), expected(name, None, None))


@pytest.mark.parametrize("name", [name for name in OWN if "beta1" in OPTIMIZERS[name].defaults])
def test_a_checkpoint_of_earlier_versions_with_two_betas_and_plain_steps_is_read(name: str) -> None:
    trained, optimizer = half_trained(name, None)
    older = copy.deepcopy(optimizer.state_dict())
    for group in older["param_groups"]:
        group["beta1"], group["beta2"] = group.pop("betas")
    for state in older["state"].values():
        state["step"] = state["step"].item()
    resumed = copy.deepcopy(trained)
    other = made(name, resumed, None)
    other.load_state_dict(older)
    train(resumed, other, range(HALF, len(LRS)))
    assert_equal(weights(resumed), expected(name, None, None))


def test_a_checkpoint_of_earlier_versions_with_a_rate_as_a_number_is_read() -> None:
    trained, optimizer = half_trained("lars", None)
    older = copy.deepcopy(optimizer.state_dict())
    for state in older["state"].values():
        state["rate"] = state["rate"].item()
    resumed = copy.deepcopy(trained)
    other = made("lars", resumed, None)
    other.load_state_dict(older)
    train(resumed, other, range(HALF, len(LRS)))
    assert_equal(weights(resumed), expected("lars", None, None))


@EVERY_FORM
def test_every_state_is_a_tensor_and_there_from_the_first_step(name: str, form: bool | None) -> None:
    """torch primes the state of a fresh optimizer by a step of zeros, and loads only what it then finds."""
    trained = model()
    optimizer = made(name, trained, form)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    for param in trained.parameters():
        param.grad = torch.zeros_like(param)
    optimizer.step()
    primed = [set(state) for state in optimizer.state.values() if isinstance(state, dict)]
    _, later = half_trained(name, form)
    states = [state for state in later.state.values() if isinstance(state, dict)]
    if name in OWN:
        assert all(isinstance(value, Tensor) for state in states for value in state.values())
        assert primed == [set(state) for state in states]


@pytest.mark.parametrize("optimizer", [LARS, LAMB])
def test_a_state_dict_of_another_optimizer_or_of_other_parameters_is_refused(
    optimizer: Callable[..., Optimizer],
) -> None:
    trained, other = half_trained("lamb" if optimizer is LARS else "lars", None)
    with pytest.raises(ValueError, match=r"the loaded state dict has no '(momentum_buffer|exp_avg)' of parameter 0"):
        optimizer(model().parameters(), lr=0.1).load_state_dict(other.state_dict())
    trained, own = half_trained("lars" if optimizer is LARS else "lamb", None)
    with pytest.raises(ValueError, match=r"has the shape \(4, 3\) in the loaded state dict, and the parameter \(2,\)"):
        optimizer(reversed(list(trained.parameters())), lr=0.1).load_state_dict(own.state_dict())


def test_named_parameters_in_another_order_are_refused() -> None:
    square = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    named = list(square.named_parameters())
    state = LARS(named, lr=0.1).state_dict()
    with pytest.raises(ValueError, match=r"in another order: '0.weight' is in the place of '1.weight'"):
        LARS(named[::-1], lr=0.1).load_state_dict(state)
