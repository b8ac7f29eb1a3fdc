"""Benchmark peers: the models of `trainers.models` and an epoch of training, as a user of torch writes them."""

from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader


class PlainRowLSTM(nn.Module):
    """DATE's LSTM over an image's rows, batch first."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = nn.Linear(28, 128)
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.classifier = nn.Linear(128, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of images (B, 1, 28, 28)."""
        outputs, _ = self.lstm(self.transform(images.squeeze(1)))
        logits: Tensor = self.classifier(outputs[:, -1])
        return logits


class PlainLanguageModel(nn.Module):
    """PTB-small's two LSTM layers of 200 units, as in torch's example word_language_model, batch first."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, 200)
        self.lstm = nn.LSTM(200, 200, 2, batch_first=True)
        self.classifier = nn.Linear(200, vocabulary_size)

    def forward(self, tokens: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return logits of windows (B, T), and the state to continue with."""
        outputs, state = self.lstm(self.embedding(tokens), state)
        return self.classifier(outputs), state


def plain_lenet() -> nn.Module:
    """Return LeNet-5 as tutorials write it."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def plain_epoch(model: nn.Module, loader: "DataLoader[Any]", optimizer: Optimizer, *, reads_loss: bool = True) -> float:
    """Train a classifier on all batches; return their mean loss, or 0.0 if none is read."""
    criterion = nn.CrossEntropyLoss()
    model.train()
    running = 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        if reads_loss:
            running += loss.item()
    return running / len(loader)
