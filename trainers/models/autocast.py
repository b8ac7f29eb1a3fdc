"""A cast that torch's autocast leaves to the caller."""

import torch
from torch import Tensor


def cast_for_autocast(inputs: Tensor) -> Tensor:
    """Cast an LSTM's inputs, of any shape, to autocast's dtype if autocast is enabled.

    The LSTM would cast them itself, but torch 2.13 selects oneDNN before that: on a CPU without bfloat16 instructions
    it chooses oneDNN for float32 inputs and fails.
    """
    device = inputs.device.type
    return inputs.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else inputs
