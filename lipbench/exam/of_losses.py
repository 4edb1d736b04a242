"""The cases that every loss must pass, on free logits: no network is needed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lipbench.loss import Loss

Case = Callable[[Loss], str]

_STEPS, _LR = 200, 0.1  # of plain gradient descent on two logits: our choice


def it_gives_finite_scalars(loss: Loss) -> str:
    """Both losses and their gradients are finite scalars, for small batches and huge logits."""
    for count in (1, 5, 16):
        real, fake = _logits(count)
        for name, value in (("D", _of_d(loss, real, fake)), ("G", _of_g(loss, real, fake))):
            assert value.shape == (), f"the loss of {name} has the shape {tuple(value.shape)}"
    real, fake = (torch.tensor([200.0, -200.0], requires_grad=True) for _ in range(2))
    (_of_d(loss, real, fake) + _of_g(loss, real.detach(), fake)).backward()
    for name, logits in (("real", real), ("generated", fake)):
        found = logits.grad
        assert found is not None, f"no gradient by the {name} logits"
        assert found.isfinite().all(), f"at logits of 200 the gradient by {name} ones is {found}"
    return "batches of 1, 5 and 16; logits of 200"


def its_gradients_are_those_of_its_values(loss: Loss) -> str:
    """Gradients agree with finite differences, in float64."""
    real, fake = (logits.double().requires_grad_() for logits in _logits(5))
    torch.autograd.gradcheck(lambda r, f: _of_d(loss, r, f), (real, fake))
    torch.autograd.gradcheck(lambda f: _of_g(loss, real.detach(), f), (fake,))
    return "finite differences at 5 logits of each kind"


def it_is_a_mean_over_the_batch(loss: Loss) -> str:
    """A batch that is there twice has the same losses: they do not grow with its size."""
    real, fake = _logits(4)
    for name, of in (("D", _of_d), ("G", _of_g)):
        once = of(loss, real, fake)
        twice = of(loss, real.repeat(2), fake.repeat(2))
        close = torch.allclose(once, twice, rtol=1e-4, atol=1e-6)
        assert close, (
            f"the loss of {name} goes from {once:.4g} to {twice:.4g} with the batch twice"
        )
    return "4 images, and the same twice"


def its_d_tells_real_from_generated(loss: Loss) -> str:
    """Descending D's loss raises real logits above generated ones; G's raises generated ones."""
    real, fake = (torch.zeros(1, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([real, fake], _LR)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        _of_d(loss, real, fake).backward()
        optimizer.step()
    assert real > fake, f"D ends with {real.item():.2g} for real and {fake.item():.2g} for fakes"
    before = fake.item()
    (gradient,) = torch.autograd.grad(_of_g(loss, real.detach(), fake), fake)
    assert gradient <= 0, f"G's loss lowers its logit from {before:.2g}"
    return f"D ends at {real.item():.2g} for real and {before:.2g} for generated images"


def it_asks_for_real_logits_where_it_reads_them(loss: Loss) -> str:
    """`needs_real` says whether G's loss depends on the real logits."""
    real, fake = _logits(4)
    if not loss.needs_real:
        try:
            loss.generator(fake, None)
        except TypeError as error:
            raise AssertionError(
                f"generator reads real_logits ({error}): say needs_real = True"
            ) from error
        return "G's loss reads generated logits alone"
    change = (loss.generator(fake, real) - loss.generator(fake, real + 1)).abs()
    assert change > 0, "needs_real = True costs a pass of D, and real logits change nothing"
    return "G's loss reads real logits"


CASES: tuple[Case, ...] = (
    it_gives_finite_scalars,
    its_gradients_are_those_of_its_values,
    it_is_a_mean_over_the_batch,
    its_d_tells_real_from_generated,
    it_asks_for_real_logits_where_it_reads_them,
)


def _logits(count: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(count, generator=draw), torch.randn(count, generator=draw)


def _of_d(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    return loss.discriminator(real, fake)


def _of_g(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    return loss.generator(fake, real if loss.needs_real else None)
