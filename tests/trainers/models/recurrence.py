"""The recurrence of an LSTM, written out."""

import torch
from torch import Tensor, nn


def lstm_outputs(lstm: nn.LSTM, inputs: list[Tensor]) -> list[Tensor]:
    """Return the last layer's outputs; gates read the layer below and the previous step (Zaremba et al., Section 3)."""
    weights, outputs = dict(lstm.named_parameters()), inputs
    for layer in range(lstm.num_layers):
        hidden = cell = torch.zeros(lstm.hidden_size, dtype=inputs[0].dtype)
        below, outputs = outputs, []
        for values in below:
            gates = weights[f"weight_ih_l{layer}"] @ values + weights[f"bias_ih_l{layer}"]
            gates = gates + weights[f"weight_hh_l{layer}"] @ hidden + weights[f"bias_hh_l{layer}"]
            to_keep, to_forget, candidate, to_show = gates.chunk(4)
            cell = to_forget.sigmoid() * cell + to_keep.sigmoid() * candidate.tanh()
            hidden = to_show.sigmoid() * cell.tanh()
            outputs.append(hidden)
    return outputs
