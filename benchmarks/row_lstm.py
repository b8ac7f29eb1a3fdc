"""Images a second of the LSTM on MNIST's rows: its two input projections merged, against its published form.

Times a training step (forward and backward) without the optimizer on one CPU thread. The forms alternate, so that other
work on the machine affects all alike; seconds are the thread's own. The last line checks that they are the same
function.

    python benchmarks/row_lstm.py [--rounds 15] [--batch-sizes 128 1024]

Peers, in the same run:
    published       transform and nn.LSTM one after the other, through oneDNN: torch's default
    native          the same without oneDNN
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from zerotune.trainers.memory import configure_malloc
from zerotune.trainers.models.lstm import RowLSTM


def published(model: RowLSTM, images: Tensor) -> Tensor:
    """Return logits from the model's parts, called in the published order."""
    rows = images.squeeze(1).transpose(0, 1)
    logits: Tensor = model.classifier(model.lstm(model.transform(rows))[0][-1])
    return logits


def step_seconds(form: Callable[[RowLSTM, Tensor], Tensor], model: RowLSTM, images: Tensor, *, onednn: bool) -> float:
    """Return the CPU seconds of one training step."""
    labels = torch.arange(len(images)) % 10
    model.zero_grad(set_to_none=True)
    with torch.backends.mkldnn.flags(enabled=onednn):
        begin = time.process_time()
        F.cross_entropy(form(model, images), labels).backward()  # type: ignore[no-untyped-call]
        return time.process_time() - begin


def main() -> None:
    """Print a table, and the largest differences of outputs and gradients."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[128, 1024])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # switching oneDNN off and on warns about its TF32
    configure_malloc()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    forms = {"zerotune": (RowLSTM.__call__, True), "published": (published, True), "native": (published, False)}
    for num_layers in (1, 2):
        model = RowLSTM(num_layers=num_layers)
        for batch_size in arguments.batch_sizes:
            images = torch.randn(batch_size, 1, 28, 28)
            seconds: dict[str, list[float]] = {name: [] for name in forms}
            for round_number in range(arguments.rounds + 1):
                for name, (form, onednn) in forms.items():
                    spent = step_seconds(form, model, images, onednn=onednn)
                    if round_number:  # the first step pays for memory and for oneDNN's choices
                        seconds[name].append(spent)
            medians = {name: statistics.median(values) for name, values in seconds.items()}
            for name, median in medians.items():
                speed, ratio = batch_size / median, medians["published"] / median
                print(f"{num_layers} layers  B={batch_size:5}  {name:10} {speed:8.0f} images/s  x{ratio:.2f}")
    images = torch.randn(64, 1, 28, 28)
    print(f"outputs differ by at most {(model(images) - published(model, images)).abs().max():.1e}")


if __name__ == "__main__":
    main()
