"""The ResNets: the paper's tables, how labels enter, and where a method's layers stand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lipbench.architectures._conditional import ConditionalBatchNorm, LabelMaps, ProjectionHead
from lipbench.architectures._residual import DownBlock, FirstBlock, SumPool, UpBlock, relu
from lipbench.architectures.resnet import ResNet
from lipbench.discriminators import hidden, input_shapes
from lipbench.method import Batch, Method
from lipbench.networks import given, initialise
from lipbench.plugins import Registry

IMAGES = (3, 32, 32)
SMALL = ResNet(width=0.05)


def count(network):
    return sum(weight.numel() for weight in network.parameters())


def convolution(inputs, outputs, size):
    return inputs * outputs * size * size + outputs


def up(inputs, outputs):
    norms = 2 * (inputs + outputs)
    kernels = convolution(inputs, outputs, 3) + convolution(outputs, outputs, 3)
    return norms + kernels + convolution(inputs, outputs, 1)


def down(inputs, outputs, shortcut=True):
    kernels = convolution(inputs, inputs, 3) + convolution(inputs, outputs, 3)
    return kernels + shortcut * convolution(inputs, outputs, 1)


def first(outputs):
    kernels = convolution(3, outputs, 3) + convolution(outputs, outputs, 3)
    return kernels + convolution(3, outputs, 1)


def generator(size, channels):
    dense = (128 + 1) * channels[0] * size * size
    blocks = sum(map(up, channels, channels[1:]))
    return dense + blocks + 2 * channels[-1] + convolution(channels[-1], 3, 3)


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("size", "of_g", "of_d"),
    [
        (
            32,
            generator(4, [256] * 4),
            first(128) + down(128, 128) + 2 * down(128, 128, False) + 128,
        ),
        (
            48,
            generator(6, [512, 256, 128, 64]),
            first(64) + down(64, 128) + down(128, 256) + down(256, 512) + down(512, 1024) + 1025,
        ),
        (
            128,
            generator(4, [1024, 1024, 512, 256, 128, 64]),
            first(64) + down(64, 128) + down(128, 256) + down(256, 512) + down(512, 1024)
            + down(1024, 1024, False) + 1025,
        ),
    ],
)  # fmt: skip
def test_both_networks_have_the_weights_of_the_papers_table(size, of_g, of_d):
    with torch.device("meta"):
        assert count(ResNet().generator((3, size, size))) == of_g
        assert count(ResNet().discriminator((3, size, size))) == of_d


def test_at_32_pixels_the_counts_are_these():
    with torch.device("meta"):
        assert count(ResNet().generator(IMAGES)) == 4_276_739
        assert count(ResNet().discriminator(IMAGES)) == 1_053_824


@pytest.mark.parametrize("size", [32, 48, 64, 128])
def test_images_and_logits_have_their_shapes_at_each_size(size):
    images = SMALL.generator((3, size, size))(noise(2, 128))
    assert images.shape == (2, 3, size, size)
    assert SMALL.discriminator((3, size, size))(images).shape == (2,)


def test_the_maps_of_each_network_have_a_factor_of_their_own():
    with torch.device("meta"):
        network = ResNet(width_g=0.5, width_d=1.5)
        assert network.generator(IMAGES).blocks.block0.conv0.out_channels == 128
        assert network.discriminator(IMAGES).head.in_features == 192


def test_features_are_sums_over_pixels():
    maps = torch.arange(8.0).view(1, 2, 2, 2)
    assert SumPool()(maps).tolist() == [[0 + 1 + 2 + 3, 4 + 5 + 6 + 7]]


def test_a_block_whose_convolutions_are_zero_is_its_shortcut():
    identity = DownBlock(2, 2, False, lambda _: nn.Identity(), relu, 1.0, wide=False)
    half = DownBlock(2, 2, True, lambda _: nn.Identity(), relu, 1.0, wide=False)
    optimized = FirstBlock(2, 2, relu, 1.0)
    double = UpBlock(2, 2, nn.BatchNorm2d, 1.0)
    maps = noise(1, 2, 4, 4)
    with torch.no_grad():
        for block in (identity, half, optimized, double):
            for layer in block.modules():
                if isinstance(layer, nn.Conv2d):
                    layer.weight.zero_()
                    layer.bias.zero_()
                    if layer.kernel_size == (1, 1):
                        layer.weight.copy_(torch.eye(2)[..., None, None])
    means = nn.functional.avg_pool2d(maps, 2)
    torch.testing.assert_close(identity(maps), maps)
    torch.testing.assert_close(half(maps), means)
    torch.testing.assert_close(optimized(maps), means)
    torch.testing.assert_close(double(maps)[:, :, ::2, 1::2], maps)


def test_the_convolutions_of_blocks_start_with_a_gain_of_the_root_of_2():
    network = SMALL.discriminator(IMAGES)
    initialise(network, "xavier_uniform", 0, "discriminator")
    block = network.body.block1
    for layer, gain in ((block.body.conv0, math.sqrt(2)), (block.shortcut, 1.0)):
        fan = layer.kernel_size[0] ** 2 * (layer.in_channels + layer.out_channels)
        bound = gain * math.sqrt(6 / fan)
        assert 0.8 * bound < layer.weight.abs().max() <= bound


def test_a_methods_normalization_stands_in_each_block_but_the_first():
    made = []

    def norm(channels):
        made.append(channels)
        return nn.Identity()

    ResNet(width=0.125).discriminator((3, 48, 48), norm=norm)
    assert made == [8, 8, 16, 16, 32, 32, 64, 64]


def test_conditional_bn_with_equal_gains_and_shifts_is_bn():
    conditional, plain = ConditionalBatchNorm(2, 3), nn.BatchNorm2d(2)
    with torch.no_grad():
        conditional.gains.copy_(torch.tensor([2.0, 3.0]).expand(3, 2))
        conditional.shifts.copy_(torch.tensor([1.0, -1.0]).expand(3, 2))
        plain.weight.copy_(torch.tensor([2.0, 3.0]))
        plain.bias.copy_(torch.tensor([1.0, -1.0]))
    maps = noise(4, 2, 3, 3)
    with given(conditional, torch.tensor([0, 1, 2, 0])):
        torch.testing.assert_close(conditional(maps), plain(maps))


def test_a_label_adds_its_embeddings_product_with_the_features_to_the_logit():
    head = ProjectionHead(2, 3)
    with torch.no_grad():
        head.dense.weight.copy_(torch.tensor([[1.0, 1.0]]))
        head.dense.bias.fill_(0.5)
        head.embedding.weight.copy_(torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]))
    features = torch.tensor([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]])
    with given(head, torch.tensor([0, 1, 2])):
        assert head(features).tolist() == [[7.5], [7.5 + 3], [7.5 + 2 * 4]]


def test_the_embedding_of_a_label_stands_at_each_pixel_after_the_third_blocks_maps():
    maps = noise(2, 4, 3, 3)
    labels = LabelMaps(2, 3)
    with given(labels, torch.tensor([2, 0])):
        joined = labels(maps)
    assert torch.equal(joined[:, :4], maps)
    assert torch.equal(joined[0, 4:, 1, 2], labels.embedding.weight[:, 2])
    assert torch.equal(joined[1, 4:, 0, 0], labels.embedding.weight[:, 0])
    names = [n for n, _ in concat().body.named_children()]
    assert names[:5] == ["block0", "block1", "block2", "labels", "block3"]


def concat():
    return ResNet(width=0.05, condition="concat").discriminator(IMAGES, 3)


def test_at_128_pixels_the_fourth_block_of_concat_takes_256_and_128_maps():
    with torch.device("meta"):
        network = ResNet(condition="concat").discriminator((3, 128, 128), 1000)
    assert network.body.block3.body.conv0.in_channels == 256 + 128


def test_methods_reach_the_embeddings_and_count_that_of_the_head_as_no_hidden_layer():
    network = ResNet(width=0.05, condition="projection").discriminator(IMAGES, 3)
    assert network.head.embedding in network.layers()
    assert network.head.embedding not in hidden(network)


def test_minibatch_discrimination_joins_the_dense_layer_of_a_head_with_a_projection():
    method = Registry("methods")["minibatch_discrimination"].load(Method)()
    network = method.wrap(ResNet(width=0.05, condition="projection").discriminator(IMAGES, 3))
    assert network.head.dense.head.in_features == network.head.embedding.out_features
    with network.given(torch.tensor([0, 1])):
        assert network(noise(2, *IMAGES)).shape == (2,)


def test_virtual_batch_norm_shows_the_reference_batch_with_the_labels_it_came_with():
    method = Registry("methods")["virtual_batch_norm"].load(Method)()
    architecture = ResNet(width=0.05, condition="concat")
    network = method.wrap(architecture.discriminator(IMAGES, 3, norm=method.norm))
    reference, images = noise(2, *IMAGES), noise(3, *IMAGES)
    with torch.no_grad(), network.given(torch.tensor([0, 1])):
        method.prepare(network, reference)
    seen = []
    part = network.body.body.labels
    part.register_forward_hook(lambda part, *_: seen.append(part.labels.tolist()))
    with network.given(torch.tensor([2])):
        one = network(images)
    with network.given(torch.tensor([2, 2, 2])):
        torch.testing.assert_close(network(images), one)
    assert seen == [[0, 1, 2, 2, 2]] * 2


def test_feature_matching_sees_the_real_images_with_their_own_labels():
    network = ResNet(width=0.05, condition="concat").discriminator(IMAGES, 3)
    seen = []
    network.body.labels.register_forward_hook(lambda part, *_: seen.append(part.labels.tolist()))
    real, fake = noise(2, *IMAGES), noise(3, *IMAGES)
    theirs, wanted = torch.tensor([0, 1]), torch.tensor([2, 2, 2])
    batch = Batch(real, fake, torch.zeros(2), torch.zeros(3), labels=wanted, real_labels=theirs)
    method = Registry("methods")["feature_matching"].load(Method)()
    with network.given(wanted):
        method.generator_loss(torch.zeros(()), SMALL.generator(IMAGES), network, batch)
    assert seen == [[0, 1], [2, 2, 2]]


def test_jacobian_clamping_moves_the_latents_and_leaves_their_labels():
    seen = []
    generator = ResNet(width=0.05, condition="concat").generator(IMAGES, 3)
    generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method = Registry("methods")["jacobian_clamping"].load(Method)(distance=2.0)
    fake = torch.zeros(4, *IMAGES)
    batch = Batch(fake, fake, torch.zeros(4), torch.zeros(4))
    method.generator_loss(torch.zeros(()), generator, SMALL.discriminator(IMAGES), batch)
    before, after = seen[0].chunk(2)
    assert torch.equal(before[:, 128], after[:, 128])
    torch.testing.assert_close((after - before).norm(dim=1), torch.full((4,), 2.0))


def test_the_shapes_of_layers_inputs_are_found_without_labels():
    network = ResNet(width=0.05, condition="projection").discriminator(IMAGES, 3)
    shapes = input_shapes(network)
    assert shapes[network.head.embedding] == (3,)
    assert shapes[network.body.block1.shortcut] == (6, 16, 16)


def test_without_classes_a_conditional_architecture_makes_unconditional_networks():
    for condition in ("concat", "projection"):
        network = ResNet(width=0.05, condition=condition)
        assert network.discriminator(IMAGES)(network.generator(IMAGES)(noise(2, 128))).shape == (
            2,
        )
