"""Layers that are cut over several devices, torch's DTensor, as FSDP2's `fully_shard` makes them.

A layer-wise rule is element-wise but for its norms. So every device steps its own shards as plain tensors, and only the
norms are added up over the devices: one small sum for all layers at once.
"""

import sys
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed
from torch import Tensor


@dataclass(frozen=True)
class Sharding:
    """How a layer is cut.

    Attributes:
        mesh: the devices, a `torch.distributed.device_mesh.DeviceMesh`.
        dims: dimensions of the mesh along which each device has another part; along the others all have the same.
    """

    mesh: Any
    dims: tuple[int, ...]

    def reduce_norms(self, norm_L: Tensor) -> Tensor:
        """Norms `_L` of whole layers from those of this device's shards; every device must ask for them."""
        squares_L = norm_L.double().square()
        for dim in self.dims:
            torch.distributed.all_reduce(squares_L, group=self.mesh.get_group(dim))
        return squares_L.sqrt().to(norm_L.dtype)


def find_sharding(param: Tensor) -> Sharding | None:
    """How a parameter is cut over devices; None where it is a plain tensor.

    Raises:
        RuntimeError: it is a sum that is still to be made over the devices.
    """
    tensors = sys.modules.get("torch.distributed.tensor")  # a second to import; without it there is no DTensor
    if tensors is None or not isinstance(param, tensors.DTensor):
        return None
    if any(placement.is_partial() for placement in param.placements):
        raise RuntimeError(f"a parameter of shape {tuple(param.shape)} is a sum over devices that is not made yet.")
    dims = tuple(dim for dim, placement in enumerate(param.placements) if not placement.is_replicate())
    return Sharding(param.device_mesh, dims)


def local_shard(tensor: Tensor) -> Tensor:
    """This device's part of a tensor that is cut over devices: the memory itself."""
    return cast(Tensor, cast(Any, tensor).to_local())


def local_shard_like(grad: Tensor, param: Tensor) -> Tensor:
    """This device's part of a gradient, cut as its parameter is."""
    cut, like = cast(Any, grad), cast(Any, param)
    if cut.placements != like.placements:
        cut = cut.redistribute(like.device_mesh, like.placements)
    return local_shard(cut)
