"""Upper pin of torch: the modules use names that torch does not promise to keep.

When torch is raised, these tests show what to check. Each name below is used in the module beside it.
"""

import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import torch
import torch.distributed
from packaging.requirements import Requirement

PRIVATE = {
    "torch.utils._pytree:tree_map": "trainers.data, trainers.sanity_check",
    "torch.utils._pytree:tree_leaves": "trainers.flops_and_memory",
    "torch.nn.modules.batchnorm:_BatchNorm": "trainers.recipe, trainers.models, trainers.distributed",
    "torch:_disable_dynamo": "trainers.compiler",
    "torch:_foreach_norm": "trainers.optimizers, trainers.diagnostics",
}


def torch_requirement() -> Requirement:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (found,) = (Requirement(each) for each in project["dependencies"] if Requirement(each).name == "torch")
    return found


def test_torch_is_pinned_from_above() -> None:
    assert "<" in {each.operator for each in torch_requirement().specifier}


def test_the_oldest_torch_can_set_a_process_groups_timeout() -> None:
    """`ProcessGroup.set_timeout` was added in torch 2.9."""
    assert not torch_requirement().specifier.contains("2.8.1")
    if torch.distributed.is_available():
        assert callable(torch.distributed.ProcessGroup.set_timeout)


@pytest.mark.parametrize("name", PRIVATE)
def test_a_private_name_of_torch_is_there(name: str) -> None:
    module, _, attribute = name.partition(":")
    assert hasattr(import_module(module), attribute), f"used in {PRIVATE[name]}"
