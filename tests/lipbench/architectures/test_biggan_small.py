"""BigGAN at 32 pixels: parts of the latents, the shared embedding, modulated BN."""

from __future__ import annotations

import torch
from torch import nn

from lipbench.architectures.biggan_small import BigGANSmall, ModulatedBatchNorm, SharedEmbedding
from lipbench.networks import given

IMAGES = (3, 32, 32)


def count(network):
    return sum(weight.numel() for weight in network.parameters())


def convolution(inputs, outputs, size):
    return inputs * outputs * size * size + outputs


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_the_weights_are_those_of_256_maps_and_of_vectors_of_128_and_32_values():
    norms = 2 * 2 * 256 * (128 + 32)  # two of a block, each with a gain and a shift
    up = norms + 2 * convolution(256, 256, 3) + convolution(256, 256, 1)
    dense = (32 + 1) * 256 * 4 * 4
    first = convolution(3, 256, 3) + convolution(256, 256, 3) + convolution(3, 256, 1)
    keep = 2 * convolution(256, 256, 3)
    with torch.device("meta"):
        g = BigGANSmall().generator(IMAGES, 10)
        d = BigGANSmall().discriminator(IMAGES, 10)
    assert count(g) == dense + 3 * up + 2 * 256 + convolution(256, 3, 3) + 10 * 128
    assert count(d) == first + 3 * keep + convolution(256, 256, 1) + 256 + 1 + 10 * 256


def test_each_block_gets_its_part_of_the_latents_and_the_same_embedding():
    network = BigGANSmall(width=0.05, latent_dim=9).generator(IMAGES, 3)
    assert network.parts == [3, 2, 2, 2]
    seen = []
    for block in network.blocks:
        block.register_forward_pre_hook(lambda block, inputs: seen.append(inputs[1]))
    latents = torch.cat([noise(2, 9), torch.tensor([[0.0], [2.0]])], dim=1)
    network(latents)
    for index, vectors in enumerate(seen):
        assert torch.equal(vectors[:, :6], network.shared.embedding.weight[[0, 2]])
        assert torch.equal(vectors[:, 6:], latents[:, 3 + 2 * index : 5 + 2 * index])


def test_a_modulated_bn_of_a_vector_of_zero_is_bn():
    maps = noise(4, 2, 3, 3)
    layer = ModulatedBatchNorm(2, 5)
    torch.testing.assert_close(layer(maps, torch.zeros(4, 5)), nn.BatchNorm2d(2)(maps))


def test_one_label_is_that_of_all_inputs():
    layer = SharedEmbedding(3, 2)
    with given(layer, torch.tensor([1])):
        joined = layer(noise(4, 5))
    assert torch.equal(joined[:, :2], layer.embedding.weight[1].expand(4, 2))


def test_methods_on_g_leave_the_shared_embedding_alone():
    network = BigGANSmall(width=0.05).generator(IMAGES, 3)
    assert network.shared.embedding not in network.layers()
    assert network.blocks.block0.norm0.gain_of in network.layers()
