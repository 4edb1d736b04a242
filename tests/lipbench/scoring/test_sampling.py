from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from lipbench.scoring.sampling import NonFiniteImages, frozen, sample, to_uint8


@pytest.fixture
def generator() -> nn.Module:
    """A generator with all that remembers: batch statistics, dropout, a power iteration."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            parametrizations.spectral_norm(nn.Linear(8, 48)),
            nn.BatchNorm1d(48),
            nn.Dropout(0.5),
            nn.Unflatten(1, (3, 4, 4)),
            nn.Tanh(),
        ).train()


def test_pixels_are_rounded_to_the_nearest_and_clamped() -> None:
    images = torch.tensor([-9.0, -1.0, -0.998, 0.0, 1 / 127.5, 0.9999, 1.0, 9.0])
    assert to_uint8(images).tolist() == [0, 0, 0, 128, 128, 255, 255, 255]
    every_value = torch.arange(256, dtype=torch.uint8)
    assert to_uint8(every_value.float() / 127.5 - 1).equal(every_value)


def test_a_live_generator_is_left_as_it_was(generator: nn.Module, cpu: torch.device) -> None:
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    sample(frozen(generator), torch.randn(30, 8), cpu)
    assert all(module.training for module in generator.modules())
    assert all(weight.requires_grad for weight in generator.parameters())
    after = generator.state_dict()
    assert all(after[name].equal(value) for name, value in before.items())


def test_images_do_not_depend_on_the_batch_size(generator: nn.Module, cpu: torch.device) -> None:
    latents = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    fixed = frozen(generator)
    small, large = (sample(fixed, latents, cpu, batch_size) for batch_size in (7, 50))
    assert small.shape == (50, 3, 4, 4)
    assert small.dtype == torch.uint8
    assert small.equal(large)


def test_a_bfloat16_generator_is_sampled_in_float32(
    generator: nn.Module, cpu: torch.device
) -> None:
    latents = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    fixed = frozen(generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = sample(fixed, latents, cpu)
    assert autocast.equal(sample(fixed, latents, cpu))
    assert frozen(generator.bfloat16())[0].weight.dtype == torch.float32


def test_the_global_precision_setting_is_restored(generator: nn.Module, cpu: torch.device) -> None:
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        sample(frozen(generator), torch.zeros(2, 8), cpu)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(precision)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_non_finite_pixel_is_refused(value: float, cpu: torch.device) -> None:
    latents = torch.zeros(300, 4)
    latents[299, 3] = value
    with pytest.raises(NonFiniteImages):
        sample(nn.Unflatten(1, (1, 2, 2)), latents, cpu)
