"""The upper bound: by hand, against dense matrices, and refused where nothing is proven."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.audit.bound import kernel_product, upper_bound
from lipbench.audit.layers import measured
from lipbench.audit.rules import BOUND_RULES
from lipbench.discriminators import Around
from lipbench.errors import UserError
from lipbench.rest import baked, in_float64


class Function(nn.Module):
    """A D with one linear head and any function of images before it."""

    def __init__(self, function, outputs):
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(2, 2, 1, bias=False)  # twice the identity
        self.head = nn.Linear(outputs, 1)
        with torch.no_grad():
            self.conv.weight.copy_(2 * torch.eye(2)[:, :, None, None])
            self.head.weight.fill_(3 / math.sqrt(outputs))  # norm 3

    def forward(self, images):
        return self.head(self.function(self, images).flatten(1)).squeeze(1)


def bound_of(network, *shape):
    exact = in_float64(network)
    image = torch.zeros(1, *shape, dtype=torch.float64)
    return upper_bound(baked(exact), image, measured(exact, image))


def kernels_of(network, *shape):
    exact = in_float64(network)
    image = torch.zeros(1, *shape, dtype=torch.float64)
    return kernel_product(baked(exact), image, measured(exact, image))


def reason_of(network, *shape):
    found = bound_of(network, *shape)
    assert found.constant is None
    (reason,) = found.reasons
    return reason


BY_HAND = {  # before the head: constant, of images (2, 4, 4)
    "a layer": (lambda d, x: d.conv(x), 2),
    "a layer used twice": (lambda d, x: d.conv(d.conv(x)), 4),
    "a residual branch": (lambda d, x: x + d.conv(x), 3),
    "a difference": (lambda d, x: d.conv(x) - x, 3),
    "an image added to itself": (lambda d, x: x + x, 2),
    "a residual of a residual": (lambda d, x: (x + d.conv(x)) + d.conv(x + d.conv(x)), 9),
    "branches side by side": (lambda d, x: torch.cat([x, d.conv(x)], 1), math.sqrt(5)),
    "an image beside itself": (lambda d, x: torch.cat([x, x], dim=1), math.sqrt(2)),
    "the larger of branches": (lambda d, x: torch.maximum(x, d.conv(x)), math.sqrt(5)),
    "a multiple": (lambda d, x: -3 * d.conv(x), 6),
    "a quotient": (lambda d, x: d.conv(x) / 4, 0.5),
    "a shift": (lambda d, x: 1 - d.conv(x), 2),
    "channels scaled": (lambda d, x: x * torch.tensor([5.0, -7]).double().view(2, 1, 1), 7),
    "a sigmoid": (lambda d, x: torch.sigmoid(d.conv(x)), 0.5),
    "a relu in place": (lambda d, x: F.relu(d.conv(x), inplace=True), 2),
    "a sum in place": (lambda d, x: d.conv(x).add_(x), 3),
    "a steep leaky relu": (lambda d, x: F.leaky_relu(x, -1.5), 1.5),
    "a steep elu": (lambda d, x: F.elu(x, alpha=2.5), 2.5),
    "an average of 2 x 2": (lambda d, x: F.avg_pool2d(x, 2), 0.5),
    "a mean over pixels": (lambda d, x: x.mean((2, 3)), 0.25),
    "a sum over pixels": (lambda d, x: x.sum([2, 3]), 4),
    "maxima that do not overlap": (lambda d, x: F.max_pool2d(x, 2), 1),
    "maxima that overlap": (lambda d, x: F.max_pool2d(x, 3, stride=1), 3),
    "maxima that overlap in part": (lambda d, x: F.max_pool2d(x, 3, 2, 1), 2),
    "a part": (lambda d, x: d.conv(x)[:, :1], 2),
    "a view by the batch's size": (lambda d, x: x.view(x.size(0), -1), 1),
    "a view by its shape": (lambda d, x: d.conv(x).reshape(x.shape[0], 32), 2),
    "nearest neighbours": (lambda d, x: F.interpolate(x, scale_factor=2), 2),
    "dropout at rest": (lambda d, x: F.dropout(x, 0.5, d.training), 1),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_an_operation_has_the_constant_known_by_hand(name):
    function, expected = BY_HAND[name]
    outputs = function(Function(lambda d, x: x, 1).double(), torch.ones(2, 2, 4, 4).double())
    found = bound_of(Function(function, outputs.flatten(1).shape[1]), 2, 4, 4)
    assert found.reasons == []
    assert found.constant == pytest.approx(3 * expected, rel=1e-6)
    assert found.factors[-1].constant == pytest.approx(3 * expected, rel=1e-6)


def test_a_constant_is_not_rounded_below_its_value():
    plain, divided = (
        bound_of(Function(function, 32), 2, 4, 4).constant
        for function in (lambda d, x: x, lambda d, x: x / 6)
    )
    assert divided == pytest.approx(plain / 6, rel=1e-12)


def test_no_bound_is_below_what_random_pairs_show(images):
    """An independent look at all the rules above: slopes between near and far images."""
    for function, _ in BY_HAND.values():
        probe = Function(function, 1).double().eval()
        x, y = images(64, 2, 4, 4).double(), images(64, 2, 4, 4, seed=1).double()
        near = x + 1e-4 * (y - x)
        outputs = function(probe, x.clone()).flatten(1)
        discriminator = Function(function, outputs.shape[1])
        constant = bound_of(discriminator, 2, 4, 4).constant
        for other in (y, near):
            rise = (outputs - function(probe, other.clone()).flatten(1)).norm(dim=1)
            slope = (rise / (x - other).flatten(1).norm(dim=1)).max().item()
            assert 3 * slope <= constant * (1 + 1e-6)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda d, x: x * x, "a product of two functions"),
        (lambda d, x: x / (1 + x.abs()), "a quotient with a function of the image below"),
        (lambda d, x: 1 / (2 + x), "a quotient with a function of the image below"),
        (lambda d, x: x.square(), "no rule for this operation"),
        (lambda d, x: torch.mul(x, other=3.0), "no rule for the arguments other"),
        (lambda d, x: torch.div(x, 2, rounding_mode="floor"), "arguments rounding_mode"),
        (lambda d, x: torch.add(x, d.conv(x), alpha=5), "no rule for the arguments alpha"),
        (lambda d, x: x - x.mean(0, keepdim=True), "images of a batch|rows are not the images"),
        (lambda d, x: x.flip(0), "the images of a batch see each other"),
        (lambda d, x: x.transpose(0, 1).reshape(-1, 32), "rows are not the images"),
        (lambda d, x: x.cumsum(0), "the images of a batch see each other"),
        (lambda d, x: x.roll(1, 0), "the images of a batch see each other"),
        (lambda d, x: x - x[-1:], "rows are not the images"),
        (lambda d, x: x + x[:, :1], "broadcasting repeats a branch"),
        (lambda d, x: x[:, :1].clamp(max=torch.ones(2, 1, 1).double()), "broadcasting repeats"),
        (lambda d, x: torch.div(input=x, other=2.0), "no rule for the arguments input, other"),
        (lambda d, x: F.max_pool2d(x[:, 0], 3, 1, 1), "pooling over 2 dimensions of a batch"),
        (lambda d, x: F.max_pool1d(x.flatten(1), 2), "pooling over 1 dimensions of a batch"),
        (lambda d, x: F.celu(x, -0.1), "no rule for alpha = -0.1, only for alpha > 0"),
        (lambda d, x: F.elu(x, -0.1), "no rule for alpha = -0.1, only for alpha > 0"),
        (lambda d, x: F.softplus(x, 1, 0.5), "softplus jumps at its threshold 0.5, below"),
        (lambda d, x: F.softplus(x, -1.0), "no rule for beta = -1, only for beta > 0"),
        (lambda d, x: x.mean((1, 2, 3), keepdim=True) * torch.ones(2, 4, 4), "broadcasting"),
        (lambda d, x: x[:, torch.tensor([0, 0, 0])], "an index list may repeat entries"),
        (lambda d, x: F.layer_norm(x, x.shape[1:]), "layer normalization divides by the image's"),
        (lambda d, x: (x > 0).double(), "not real numbers"),
        (lambda d, x: x if x.sum() > 0 else 2 * x, "cannot be traced: symbolically traced"),
        (lambda d, x: F.dropout(x, 0.5), "in place, or does what its graph has not|never stops"),
        (lambda d, x: (y := d.conv(x)).mul_(3) + y, "changes values in place"),
        (lambda d, x: (y := d.conv(x), F.elu(y, 2.5, True))[0], "changes values in place"),
        (lambda d, x: (y := d.conv(x), y.exp_())[0], "changes values in place"),
    ],
)
def test_what_is_not_proven_has_no_bound_and_a_reason(function, said):
    outputs = function(Function(lambda d, x: x, 1).double(), torch.ones(2, 2, 4, 4).double())
    found = bound_of(Function(function, outputs[0].numel()), 2, 4, 4)
    assert found.constant is None
    assert any(re.search(said, reason) for reason in found.reasons), found.reasons


@pytest.mark.parametrize(
    ("norm", "said"),
    [
        (nn.LayerNorm([2, 4, 4]), "norm (LayerNorm): layer normalization divides"),
        (nn.GroupNorm(1, 2), "norm (GroupNorm): group normalization divides"),
        (nn.InstanceNorm2d(2), "norm (InstanceNorm2d): instance normalization divides"),
        (nn.Threshold(0.1, 20), "norm (Threshold): no rule for this operation"),
    ],
)
def test_a_norm_has_no_bound_and_what_follows_still_its_own_factor(norm, said, images):
    network = nn.Sequential()
    network.add_module("norm", norm)
    network.add_module("flat", nn.Flatten())
    network.add_module("head", nn.Linear(32, 1))
    found = bound_of(network, 2, 4, 4)
    assert reason_of(network, 2, 4, 4).startswith(said)
    assert kernels_of(network, 2, 4, 4) is None
    head = found.factors[-1]
    assert head.lipschitz == pytest.approx(network.head.weight.detach().norm().item())
    assert (head.name, head.kind, head.constant) == ("head", "Linear", None)


class Kept(nn.Module):
    """Normalize by a function and statistics that are kept."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.register_buffer("mean", torch.tensor([0.5, -2.0, 1.0]))
        self.register_buffer("variance", torch.tensor([0.25, 4.0, 0.01]))
        self.gamma = nn.Parameter(torch.tensor([1.0, -9.0, 0.1]))

    def forward(self, x):
        return self.function(x, self.mean, self.variance, self.gamma)


def with_statistics(norm):
    """Return a normalization of three channels after training, at rest."""
    with torch.no_grad():
        norm.running_mean.copy_(torch.tensor([0.5, -2.0, 1.0]))
        norm.running_var.copy_(torch.tensor([0.25, 4.0, 0.01]))
        if norm.weight is not None:
            norm.weight.copy_(torch.tensor([1.0, -9.0, 0.1]))
    return norm


BY_RUNNING_STATISTICS = {  # and the largest |gamma| / sqrt(variance + epsilon), by hand
    "batch norm": (with_statistics(nn.BatchNorm2d(3, eps=0)), 4.5),
    "without gamma": (with_statistics(nn.BatchNorm2d(3, affine=False, eps=0)), 10.0),
    "a large epsilon": (with_statistics(nn.BatchNorm2d(3, affine=False, eps=0.99)), 1.0),
    "instance norm": (
        with_statistics(nn.InstanceNorm2d(3, eps=0, affine=True, track_running_stats=True)),
        4.5,
    ),
    "a call of batch norm": (Kept(lambda *given: F.batch_norm(*given, eps=0)), 4.5),
    "a call of instance norm": (
        Kept(lambda *given: F.instance_norm(*given, use_input_stats=False, eps=0)),
        4.5,
    ),
}


@pytest.mark.parametrize("name", BY_RUNNING_STATISTICS)
def test_a_norm_by_running_statistics_is_an_affine_map_of_a_known_norm(name, dense, filled):
    norm, expected = BY_RUNNING_STATISTICS[name]
    network = nn.Sequential()
    network.add_module("norm", norm)
    network.add_module("flat", nn.Flatten())
    network.add_module("head", filled(nn.Linear(3 * 4 * 4, 1)))

    found = bound_of(network, 3, 4, 4)

    exact = in_float64(norm)
    assert torch.linalg.matrix_norm(dense(exact, (3, 4, 4)), 2).item() == pytest.approx(expected)
    assert found.factors[0].lipschitz == pytest.approx(expected, rel=1e-6)
    head = network.head.weight.detach().norm().item()
    assert found.constant == pytest.approx(expected * head, rel=1e-6)
    whole = torch.linalg.matrix_norm(dense(in_float64(network), (3, 4, 4)), 2).item()
    assert whole <= found.constant
    assert kernels_of(network, 3, 4, 4) == pytest.approx(expected * head, rel=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda d, x: F.batch_norm(x, None, None, training=True),
        lambda d, x: F.batch_norm(
            x, torch.zeros(2).double(), torch.ones(2).double(), training=True
        ),
        lambda d, x: F.instance_norm(x),
        lambda d, x: F.instance_norm(
            x, torch.zeros(2).double(), torch.ones(2).double(), use_input_stats=True
        ),
    ],
)
def test_a_norm_by_the_images_own_statistics_has_no_bound(function):
    found = bound_of(Function(function, 32), 2, 4, 4)

    assert found.constant is None


def test_a_norm_that_stays_in_training_mode_has_no_bound():
    class Stubborn(nn.BatchNorm2d):
        def train(self, mode=True):
            return super().train(True)

    reason = reason_of(nn.Sequential(Stubborn(2), nn.Flatten(), nn.Linear(32, 1)), 2, 4, 4)

    assert "the batch's own deviation" in reason or "see each other" in reason


def test_a_linear_network_with_strides_a_residual_and_pooling_is_bounded_by_factors(filled, dense):
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv0 = nn.Conv2d(2, 3, 3, padding=1)
            self.conv1 = nn.Conv2d(3, 3, 3, padding=1)
            self.down = nn.Conv2d(3, 4, 4, 2, 1)
            self.head = nn.Linear(4 * 3 * 4, 1)

        def forward(self, images):
            hidden = self.conv0(images)
            hidden = self.down(hidden + self.conv1(hidden))
            return self.head(F.avg_pool2d(hidden, 2, 1, 1)[:, :, :3, :4].flatten(1))

    network = filled(Linear())
    exact = in_float64(network)
    true = dense(exact, (2, 6, 7)).norm().item()
    found = bound_of(network, 2, 6, 7)
    assert true < found.constant
    c = {name: torch.linalg.matrix_norm(dense(layer, shape), 2).item() for name, layer, shape in (
        ("conv0", exact.conv0, (2, 6, 7)),
        ("conv1", exact.conv1, (3, 6, 7)),
        ("down", exact.down, (3, 6, 7)),
        ("pool", lambda x: F.avg_pool2d(x, 2, 1, 1), (4, 3, 3)),
        ("head", exact.head, (48,)),
    )}  # fmt: skip
    by_hand = c["conv0"] * (1 + c["conv1"]) * c["down"] * c["pool"] * c["head"]
    assert found.constant == pytest.approx(by_hand, rel=1e-6)
    assert [f.lipschitz for f in found.factors if f.kind == "Conv2d"] == pytest.approx(
        [c["conv0"], c["conv1"], c["down"]]
    )
    (joined,) = [factor for factor in found.factors if factor.kind == "add"]
    larger = max(1, c["conv1"])
    assert joined.lipschitz == pytest.approx((1 + c["conv1"]) / larger)
    assert joined.reason.startswith("sum of the branches' constants")


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.1), nn.LeakyReLU(-2.0), nn.PReLU(init=1.5),
        nn.RReLU(), nn.ELU(1.5), nn.CELU(2.0), nn.SELU(), nn.SiLU(), nn.GELU(),
        nn.GELU(approximate="tanh"), nn.Mish(), nn.Hardtanh(), nn.Hardswish(), nn.Hardsigmoid(),
        nn.Tanh(), nn.Sigmoid(), nn.Softplus(2.0), nn.Softsign(), nn.LogSigmoid(),
        nn.Tanhshrink(), nn.Softshrink(),
    ],
    ids=str,
)  # fmt: skip
def test_an_activations_constant_is_its_steepest_slope(activation):
    network = nn.Sequential(activation, nn.Flatten(), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        network[2].weight.fill_(1.0)
    grid = torch.linspace(-12, 12, 240_001, dtype=torch.float64, requires_grad=True)
    values = activation.double().eval()(grid).sum()
    steepest = torch.autograd.grad(values, grid)[0].abs().max().item()
    found = bound_of(network, 1, 1, 1).constant
    loose = 1.5 if isinstance(activation, nn.RReLU) else 1 + 2e-4
    assert steepest <= found * (1 + 1e-7)  # torch has some constants in float32
    assert found <= steepest * loose


def test_a_module_states_its_own_constant_and_is_not_looked_into(filled):
    class Rotation(nn.Module):
        lipschitz = 0.25

        def forward(self, images):
            return images if images.square().sum() >= 0 else 5 * images  # cannot be traced

    network = filled(nn.Sequential(Rotation(), nn.Flatten(), nn.Linear(8, 1)))
    found = bound_of(network, 2, 2, 2)
    assert found.constant == pytest.approx(0.25 * network[2].weight.detach().norm().item())
    assert found.factors[0].reason == "stated by the module"


@pytest.mark.parametrize("where", ["itself", "within"])
def test_a_hook_voids_what_a_module_states(where, filled):
    class Stating(nn.Module):
        lipschitz = 1.0

        def __init__(self):
            super().__init__()
            self.within = nn.Identity()

        def forward(self, images):
            return self.within(images)

    network = filled(nn.Sequential(Stating(), nn.Flatten(), nn.Linear(8, 1)))
    norm = network[2].weight.detach().norm().item()
    assert bound_of(network, 2, 2, 2).constant == pytest.approx(norm)
    hooked = network[0] if where == "itself" else network[0].within
    hooked.register_forward_hook(lambda module, inputs, outputs: 50 * outputs)
    found = bound_of(network, 2, 2, 2).constant
    assert found is None or found == pytest.approx(50 * norm)


def test_a_subclass_with_another_forward_does_not_inherit_what_is_stated(filled):
    class Stating(nn.Module):
        lipschitz = 1.0

        def forward(self, images):
            return images

    class Tripled(Stating):
        def forward(self, images):
            return 3 * images

    class Stated(Tripled):
        lipschitz = 4.0

        def forward(self, images):
            return super().forward(images)

    constants = []
    for first in (Stating(), Tripled(), Stated()):
        network = filled(nn.Sequential(first, nn.Flatten(), nn.Linear(8, 1)))
        norm = network[2].weight.detach().norm().item()
        constants.append(bound_of(network, 2, 2, 2).constant / norm)
    assert constants == pytest.approx([1, 3, 4])


def test_a_negative_constant_is_none(filled):
    network = filled(nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(8, 1)))
    network[0].lipschitz = -1.0
    assert "lipschitz = -1, which no map has" in reason_of(network, 2, 2, 2)


def test_a_rule_that_cannot_read_a_call_gives_no_bound_and_says_so(monkeypatch, filled):
    def broken(step):
        raise IndexError("tuple index out of range")

    monkeypatch.setitem(BOUND_RULES, nn.Flatten, broken)
    network = filled(nn.Sequential(nn.Flatten(), nn.Linear(8, 1)))
    said = "0 (Flatten): its rule fails: IndexError: tuple index out of range"
    assert reason_of(network, 2, 2, 2) == said


def test_a_pool_that_takes_the_batch_for_channels_has_no_bound(filled):
    class Squeezed(nn.Module):
        def __init__(self, pool):
            super().__init__()
            self.pool = pool
            self.head = nn.Linear(16, 1)

        def forward(self, images):
            return self.head(self.pool(images.squeeze(1)).flatten(1))

    for pool in (nn.MaxPool2d(3, 1, 1), nn.AdaptiveMaxPool2d(4)):
        assert "the batch is taken for channels" in reason_of(filled(Squeezed(pool)), 1, 4, 4)


def test_a_discriminator_that_squeezes_without_a_dimension_is_bounded(filled):
    class Squeezing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 4)
            self.head = nn.Linear(3, 1)

        def forward(self, images):
            return self.head(self.conv(images).squeeze()).squeeze()

    network = filled(Squeezing())
    norms = (network.conv.weight.detach().flatten(1), network.head.weight.detach())
    expected = math.prod(torch.linalg.matrix_norm(norm, 2).item() for norm in norms)
    assert bound_of(network, 1, 4, 4).constant == pytest.approx(expected)


def test_a_subclass_with_another_forward_does_not_inherit_the_rule(filled):
    class Doubled(nn.ReLU):
        def forward(self, inputs):
            return 2 * super().forward(inputs)

    network = nn.Sequential(Doubled(), nn.Flatten(), nn.Linear(8, 1))
    found = bound_of(filled(network), 2, 2, 2)
    assert found.constant == pytest.approx(2 * network[2].weight.detach().norm().item())


def test_a_hook_that_changes_what_a_module_does_voids_its_rule(filled):
    network = filled(nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(8, 1)))
    network[0].register_forward_hook(lambda module, inputs, outputs: 100 * outputs)
    assert reason_of(network, 2, 2, 2).startswith("0 (ReLU): no rule")


def test_a_hook_of_a_layer_is_measured_with_it(filled):
    network = filled(nn.Sequential(nn.Flatten(), nn.Linear(8, 1)))
    network[1].register_forward_hook(lambda module, inputs, outputs: 100 * outputs)
    norm = network[1].weight.detach().norm().item()
    assert bound_of(network, 2, 2, 2).constant == pytest.approx(100 * norm)
    network[1].register_forward_hook(lambda module, inputs, outputs: outputs.square())
    with pytest.raises(UserError, match="taken for an affine map"):
        bound_of(network, 2, 2, 2)


def test_a_layer_called_by_keyword_is_one_too(filled):
    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(8, 1)

        def forward(self, images):
            return self.head(input=images.flatten(1))

    network = filled(Keyword())
    expected = network.head.weight.detach().norm().item()
    assert bound_of(network, 2, 2, 2).constant == pytest.approx(expected)
    assert kernels_of(network, 2, 2, 2) == pytest.approx(expected)


def test_weights_that_a_forward_computes_itself_are_measured_as_they_are_used(filled, dense):
    class Normalized(nn.Conv2d):
        def forward(self, inputs):
            weight = self.weight / self.weight.norm()
            return F.conv2d(inputs, weight, self.bias, padding=1)

    network = filled(nn.Sequential(Normalized(2, 3, 3), nn.Flatten(), nn.Linear(48, 1)))
    exact = in_float64(network)
    expected = torch.linalg.matrix_norm(dense(exact[0], (2, 4, 4)), 2).item()
    found = bound_of(network, 2, 4, 4)
    assert found.constant == pytest.approx(expected * network[2].weight.detach().norm().item())


def test_another_argument_of_a_discriminator_takes_its_default(filled):
    class Conditional(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(8, 1)

        def forward(self, images, labels=None):
            logits = self.head(images.flatten(1))
            return logits if labels is None else logits * labels

    network = filled(Conditional())
    expected = network.head.weight.detach().norm().item()
    assert bound_of(network, 2, 2, 2).constant == pytest.approx(expected)


def test_a_discriminator_around_another_is_traced_through_both(filled):
    class Halved(Around):
        def compute(self, inputs):
            return self.inner(inputs) / 2

    inner = filled(StandardDiscriminator((3, 16, 16), 0.0625))
    whole, half = bound_of(inner, 3, 16, 16), bound_of(Halved(inner), 3, 16, 16)
    assert half.constant == pytest.approx(whole.constant / 2)
    product = math.prod(f.lipschitz for f in whole.factors)
    assert whole.constant == pytest.approx(product)
    layers = measured(in_float64(inner), torch.zeros(1, 3, 16, 16).double())
    kernels = math.prod(layer.sigma_kernel for layer in layers)
    assert kernels_of(inner, 3, 16, 16) == pytest.approx(kernels)
    assert kernels < whole.constant


def test_a_layer_used_on_two_sizes_is_measured_on_each(filled, dense):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, 2, 1)

        def forward(self, images):
            return self.conv(self.conv(images)).flatten(1)

    network = filled(Twice())
    exact = in_float64(network)
    norms = [torch.linalg.matrix_norm(dense(exact.conv, (1, n, n)), 2).item() for n in (2, 1)]
    assert norms[0] != pytest.approx(norms[1])
    assert bound_of(network, 1, 2, 2).constant == pytest.approx(norms[0] * norms[1])


def test_every_rule_is_of_something_that_exists():
    methods = [key for key in BOUND_RULES if isinstance(key, str)]
    assert all(hasattr(torch.Tensor, name) for name in methods)
    assert not any(isinstance(key, type) and not issubclass(key, nn.Module) for key in BOUND_RULES)
