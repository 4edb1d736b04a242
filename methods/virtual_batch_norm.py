"""Virtual batch norm (Salimans et al., Improved Techniques for Training GANs, NIPS 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipbench.discriminators import Discriminator, find, replace
from lipbench.networks import given, labels_of

from ._affine import Normalization


class ReferenceNorm(nn.Module):
    """Normalize a batch whose first `count` rows are the reference batch, by its statistics.

    A row after them is normalized by its own statistics too, as if it were one image more of the
    reference batch. Without a reference batch it is alone: that is instance normalization.
    """

    count = 0

    def forward(self, activations: Tensor) -> Tensor:
        """Return activations (count + B, C, H, W), normalized, in float32 at least."""
        x = activations.to(torch.promote_types(activations.dtype, torch.float32))
        moments = torch.stack([x.mean((2, 3)), x.square().mean((2, 3))])
        reference, own = moments[:, : self.count], moments[:, self.count :]
        total = reference.sum(1, keepdim=True)
        of_reference = (total / max(self.count, 1)).expand_as(reference)
        of_own = (total + own) / (self.count + 1)
        mean, square = torch.cat([of_reference, of_own], dim=1)[..., None, None]
        variance = (square - mean.square()).clamp(min=0)
        return ((x - mean) * (variance + 1e-5).rsqrt()).to(activations.dtype)


class WithReference(nn.Module):
    """Pass the reference batch through a module with the images, and drop its outputs.

    Where parts of the module need labels, the reference batch keeps its own, `labels`.
    """

    reference: Tensor
    labels: Tensor

    def __init__(self, body: nn.Module, none: Tensor) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("reference", none)
        self.register_buffer("labels", none.new_empty(0, dtype=torch.long), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the module's outputs for the images alone."""
        both = torch.cat([self.reference, images])
        labels = labels_of(self.body) if len(self.labels) else None
        if labels is None:
            return self.body(both)[len(self.reference) :]
        with given(self.body, torch.cat([self.labels, labels.repeat(len(images) // len(labels))])):
            return self.body(both)[len(self.reference) :]


class VirtualBatchNorm(Normalization):
    """Normalize hidden channels by statistics of a reference batch, fixed before training.

    With m and q the mean and the mean square of a channel over images and pixels, for an image x
    beside the B of the reference batch: m = (m(x) + B m(reference)) / (B + 1), q likewise, and
    (x - m) / sqrt(q - m^2 + 1e-5), as the authors' code has it (github.com/openai/improved-gan).
    The reference batch is one of real images, of the suite's batch size, and passes through D
    along with every batch, normalized by itself; so an image's logit depends on no other image of
    its batch, and D costs up to twice as much. After each convolution but the first, with a
    learned shift and without the multiplier gamma (our choice).
    """

    label = "VBN"
    papers = ("salimans2016improved",)

    def normalization(self, channels: int) -> nn.Module:
        return ReferenceNorm()

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        weight = next(discriminator.parameters())
        none = weight.new_empty(0, *discriminator.sample_shape)
        body = discriminator.body
        replace(discriminator, body, WithReference(body, none))
        return discriminator

    def prepare(self, discriminator: Discriminator, real: Tensor) -> None:
        part = find(discriminator, WithReference)
        part.reference = real.clone()
        if (labels := labels_of(part.body)) is not None:
            part.labels = labels.clone()
        for module in discriminator.modules():
            if isinstance(module, ReferenceNorm):
                module.count = len(real)
