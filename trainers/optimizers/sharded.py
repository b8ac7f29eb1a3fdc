"""Layers sharded over several devices: torch's DTensor, as created by FSDP2's `fully_shard`.

A layer-wise rule is element-wise except for its norms. So every device steps its local shards as plain tensors, and
only norms are reduced over devices, in one small all-reduce for all layers.

Shape suffixes: L layers.
"""

import sys
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed
from torch import Tensor


@dataclass(frozen=True)
class Sharding:
    """The sharding of a layer.

    Attributes:
        mesh: the devices, a `torch.distributed.device_mesh.DeviceMesh`.
        dims: mesh dimensions over which the layer is sharded; it is replicated over the others.
    """

    mesh: Any
    dims: tuple[int, ...]

    def reduce_norms(self, norm_L: Tensor) -> Tensor:
        """Return the norms `_L` of whole layers from those of local shards; every device must call it."""
        squares_L = norm_L.double().square()
        for dim in self.dims:
            torch.distributed.all_reduce(squares_L, group=self.mesh.get_group(dim))
        return squares_L.sqrt().to(norm_L.dtype)


def find_sharding(param: Tensor) -> Sharding | None:
    """Return the sharding of a parameter; None for a plain tensor.

    Raises:
        RuntimeError: the parameter is a partial sum that is not reduced over the devices.
    """
    tensors = sys.modules.get("torch.distributed.tensor")  # a second to import; without it no DTensor exists
    if tensors is None or not isinstance(param, tensors.DTensor):
        return None
    if any(placement.is_partial() for placement in param.placements):
        raise RuntimeError(
            f"a parameter of shape {tuple(param.shape)} is a partial sum that is not reduced over the devices."
        )
    dims = tuple(dim for dim, placement in enumerate(param.placements) if not placement.is_replicate())
    return Sharding(param.device_mesh, dims)


def local_shard(tensor: Tensor) -> Tensor:
    """Return the local shard of a DTensor, without copying."""
    return cast(Tensor, cast(Any, tensor).to_local())


def local_shard_like(grad: Tensor, param: Tensor) -> Tensor:
    """Return the local shard of a gradient, sharded like its parameter."""
    cut, like = cast(Any, grad), cast(Any, param)
    if cut.placements != like.placements:
        cut = cut.redistribute(like.device_mesh, like.placements)
    return local_shard(cut)
