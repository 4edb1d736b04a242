"""Make the optimizer that a setting names."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import SGD, Adam, RMSprop

from lipbench.planning.spec import Setting


def make(setting: Setting, weights: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """Return a setting's optimizer of some weights, with a learning rate."""
    if setting.optimizer == "adam":
        assert setting.beta1 is not None
        assert setting.beta2 is not None
        return Adam(weights, lr, (setting.beta1, setting.beta2), fused=True)
    assert setting.momentum is not None
    if setting.optimizer == "sgd":
        return SGD(weights, lr, momentum=setting.momentum, fused=True)
    assert setting.alpha is not None
    return RMSprop(weights, lr, alpha=setting.alpha, momentum=setting.momentum)


def rate_of_g(setting: Setting) -> float:
    """Return the learning rate of G."""
    return setting.lr if setting.lr_g is None else setting.lr_g
