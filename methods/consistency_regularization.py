"""Consistency regularization (Zhang et al., Consistency Regularization for GANs, ICLR 2020)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lipbench.discriminators import Discriminator
from lipbench.method import Batch, Fraction, NonNegative, Penalty, Requires, Trait


class ConsistencyRegularization(Penalty):
    """Penalize what an augmentation of a real image changes in the discriminator's logit.

    coefficient * E_real[(D(x) - D(T(x)))^2], of logits. T flips an image with probability 1/2 and
    moves it by whole pixels, up to `shift` of its side in either direction, with black where
    nothing comes from: as in github.com/basiclab/GNGAN-PyTorch, with its 0.2. The coefficient 10
    is that of github.com/POSTECH-CVLab/PyTorch-StudioGAN. Turn `flip` off for
    data whose mirror images are other things, such as digits.
    """

    label = "CR"
    papers = ("zhang2020",)
    requires = Requires(images=True)
    traits = frozenset({Trait.BOUNDS_NOTHING})

    coefficient: NonNegative = 10.0
    shift: Fraction = 0.2
    flip: bool = True

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        logits = discriminator(augmented(batch.real, self.shift, self.flip))
        return self.coefficient * (batch.real_logits - logits).square().mean()


def augmented(images: Tensor, shift: float, flip: bool) -> Tensor:
    """Return images (B, C, H, W), each flipped or not, and moved by up to a share of its side."""
    (count, _, *sides), device = images.shape, images.device
    places = []
    for side in sides:
        limit = round(shift * side)
        moved = torch.randint(-limit, limit + 1, (count, 1), device=device)
        places.append(torch.arange(side, device=device) + moved)
    rows, columns = places
    if flip:
        flipped = torch.rand(count, 1, device=device) < 0.5
        columns = torch.where(flipped, sides[1] - 1 - columns, columns)
    height, width = sides
    padded = F.pad(images, (width, width, height, height), value=-1.0)
    of_image = torch.arange(count, device=device)[:, None, None]
    chosen = padded[of_image, :, rows[:, :, None] + height, columns[:, None, :] + width]
    return chosen.permute(0, 3, 1, 2)
