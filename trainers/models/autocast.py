"""What torch's autocast leaves to the caller."""

import torch
from torch import Tensor


def cast_for_autocast(inputs: Tensor) -> Tensor:
    """An LSTM's inputs, of any shape, in autocast's number format where that is on; themselves elsewhere.

    The LSTM would do the same, but torch 2.13 decides before that whether oneDNN can: on a CPU without bfloat16
    instructions it takes oneDNN for float32 inputs, and fails.
    """
    device = inputs.device.type
    return inputs.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else inputs
