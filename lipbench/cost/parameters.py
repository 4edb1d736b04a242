"""Count trainable parameters, and those that a method adds."""

from __future__ import annotations

import torch
from torch import nn

from lipbench.planning.spec import RunSpec
from lipbench.training.loop import TrainState


def trainable(*networks: nn.Module) -> int:
    """Return the number of trainable parameters of some networks together."""
    return sum(
        weight.numel()
        for network in networks
        for weight in network.parameters()
        if weight.requires_grad
    )


def extra(run: RunSpec, state: TrainState) -> int:
    """Return how many parameters D and G together train beyond those of the plain networks.

    Plain ones are the architecture's, without any method. Fewer is negative.
    """
    architecture = state.parts.architecture
    asked = run.dataset.shape, state.latents.classes
    with torch.device("meta"):  # shapes suffice
        plain = (architecture.generator(*asked), architecture.discriminator(*asked))
    return trainable(state.generator, state.discriminator) - trainable(*plain)
