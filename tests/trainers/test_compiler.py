"""Steps taken without torch's compiler equal torch's own, and do not import the compiler."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from zerotune.trainers.compiler import bypass_compiler_in_step

TRAIN = """
import sys
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.loop import train
from zerotune.trainers.spec import OptimizerSpec, ScheduleSpec, TrainConfig

model = APPLICATIONS["gnmt_wmt16"].meta_model({})
print(all(parameter.is_meta for parameter in model.parameters()), "torch._dynamo" in sys.modules)
for name in sys.argv[1:]:
    train(TrainConfig(
        application="lenet_mnist", data="mnist5k", batch_size=1500, epochs=1, seed=0,
        schedule=ScheduleSpec(peak_lr=0.01), optimizer=OptimizerSpec(name=name),
    ))
print("torch._dynamo" in sys.modules)
"""


def test_neither_a_model_without_values_nor_training_imports_the_compiler():
    """The import would waste two seconds of a core in every process. GNMT draws normal values."""
    run = [sys.executable, "-c", TRAIN, "momentum", "adam", "lars", "lamb", "date"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        (torch.optim.Adam, {}),
        (torch.optim.AdamW, {"foreach": True}),
        (torch.optim.Adagrad, {}),
        (torch.optim.RMSprop, {}),
        (torch.optim.Adadelta, {}),
    ],
)
def test_steps_are_those_of_torch(solver, options):
    """Bitwise, with closures and hooks."""

    def trained(kind):
        torch.manual_seed(0)
        model, inputs = nn.Linear(3, 2), torch.randn(4, 3)
        optimizer = kind(model.parameters(), lr=0.1, **options)
        seen = []
        optimizer.register_step_post_hook(lambda *_: seen.append(torch.is_grad_enabled()))

        def loss():
            optimizer.zero_grad()
            value = model(inputs).square().sum()
            value.backward()
            return value

        values = [optimizer.step(loss).item() for _ in range(5)]
        return values, [p.tolist() for p in model.parameters()], seen

    assert trained(bypass_compiler_in_step(solver)) == trained(solver)
