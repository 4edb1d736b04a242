"""What penalties on a weight's distance from an orthonormal one share."""

from __future__ import annotations

import torch
from torch import Tensor


def gram_defect(weight: Tensor) -> Tensor:
    """Return G - I, with G the smaller Gram matrix of a weight (m, n): zero can be reached."""
    tall = weight.mT if weight.shape[0] < weight.shape[1] else weight
    gram = tall.mT @ tall
    return gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
