"""What methods on D's input gradient share: where they take it, its norm, a D normalized by it."""

from __future__ import annotations

import torch
from torch import Tensor

from lipbench.discriminators import Around, Discriminator, gradient


def between(real: Tensor, fake: Tensor) -> Tensor:
    """Return a point of the line between each real image and a generated one, uniform on it."""
    return fake.lerp(real, one_each(real))


def one_each(samples: Tensor) -> Tensor:
    """Return a number for each sample, uniform on [0, 1), that can be multiplied with samples."""
    shape = (len(samples), *[1] * (samples.dim() - 1))
    return torch.rand(shape, dtype=samples.dtype, device=samples.device)


def norms(discriminator: Discriminator, images: Tensor) -> Tensor:
    """Return the norms (B,) of D's gradients by images: over all of an image, not a pixel's."""
    return gradient(discriminator, images)[1].flatten(1).norm(dim=1)


def squared_norms(discriminator: Discriminator, images: Tensor) -> Tensor:
    """Return the squared norms (B,) of D's gradients by images."""
    return gradient(discriminator, images)[1].flatten(1).square().sum(1)


class GradientNormalized(Around):
    """A discriminator whose logit is made of another's, f, and the norm of its gradient.

    It computes that gradient in eval mode and under `torch.no_grad()` too, where its result
    carries no graph. The images may require a gradient or not; they are left as they are.
    """

    def compute(self, inputs: Tensor) -> Tensor:
        """Return the logits."""
        differentiable = torch.is_grad_enabled()
        with torch.enable_grad():
            images = inputs if inputs.requires_grad else inputs.detach().requires_grad_()
            logits = self.inner(images)
            (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=differentiable)
            result = self.normalized(logits, _smooth_norm(gradients))
        return result if differentiable else result.detach()

    def normalized(self, logits: Tensor, norms: Tensor) -> Tensor:
        """Return what stands for the logits (B,) whose gradients have these norms (B,)."""
        raise NotImplementedError


def _smooth_norm(gradients: Tensor) -> Tensor:
    """Return each image's norm, with derivatives of all orders 0 at 0.

    Those of `Tensor.norm` are NaN there from the second on, which a gradient penalty needs.
    """
    squares = gradients.flatten(1).square().sum(1)
    nonzero = squares > 0
    return torch.where(nonzero, squares, 1).sqrt() * nonzero
