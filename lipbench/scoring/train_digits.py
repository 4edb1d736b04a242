"""Train the digits classifier: `python -m lipbench.scoring.train_digits` (half a minute).

It rewrites digits_cnn.safetensors, whose sha256 protocols.py pins, and digits_cnn.json, which
says how good it is. It learns from the training split only. One thread, seeded: the same CPU
kind and torch version give the same weights.
"""

from __future__ import annotations

import json
import math

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from lipbench import atomic, data, streams
from lipbench.dataset import load
from lipbench.datasets.digits import Digits
from lipbench.paths import cache_root
from lipbench.scoring import weights
from lipbench.scoring.digits import WEIGHTS, DigitsNetwork

_SEED = 0
_EPOCHS = 60
_BATCH_SIZE = 64
_LR = 3e-3


def main() -> None:
    """Train, measure and write the classifier."""
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    digits = load(Digits(), Digits().inspect(cache_root()), cache_root(), cpu)
    network = train(digits.train, epochs=_EPOCHS, seed=_SEED)
    content = safetensors.torch.save(network.state_dict())
    facts = {
        "accuracy": accuracy(network, digits.test),
        "accuracy_train": accuracy(network, digits.train),
        "dataset_fingerprint": digits.fingerprint,
        "epochs": _EPOCHS,
        "n_test": len(digits.test),
        "n_train": len(digits.train),
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "seed": _SEED,
        "sha256": weights.digest(content),
        "torch": torch.__version__,
    }
    atomic.replace(WEIGHTS, lambda file: file.write(content))
    atomic.replace_text(WEIGHTS.with_suffix(".json"), json.dumps(facts, indent=2) + "\n")


def train(split: data.Split, epochs: int, seed: int) -> DigitsNetwork:
    """Return a network fitted to a split by AdamW, with shifted, turned and scaled images."""
    images, labels = split.samples.permute(0, 3, 1, 2), split.labels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(streams.derive(seed, "digits classifier"))
        network = DigitsNetwork()
        steps = epochs * math.ceil(len(images) / _BATCH_SIZE)
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LR, steps)
        for _ in range(epochs):
            for index in torch.randperm(len(images)).split(_BATCH_SIZE):
                logits = network(augmented(images[index]))[1]
                loss = F.cross_entropy(logits, labels[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return network.eval()


def augmented(images: Tensor) -> Tensor:
    """Return images (B, 1, H, W) turned by up to 9°, scaled by up to 10%, shifted by up to 10%."""
    noise = torch.rand(4, len(images)) * 2 - 1
    angle, scale, shift = 0.16 * noise[0], 1 + 0.1 * noise[1], 0.2 * noise[2:]
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    rows = [torch.stack([cosine, -sine, shift[0]]), torch.stack([sine, cosine, shift[1]])]
    grid = F.affine_grid(torch.stack(rows).permute(2, 0, 1), list(images.shape), False)
    return F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)


def accuracy(network: DigitsNetwork, split: data.Split) -> float:
    """Return the share of a split that the network classifies correctly."""
    with torch.inference_mode():
        predicted = network(split.samples.permute(0, 3, 1, 2))[1].argmax(dim=1)
    return round((predicted == split.labels).float().mean().item(), 4)


if __name__ == "__main__":
    main()
