"""What an audit finds: plain values, and their form as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from pydantic import TypeAdapter
from torch import Tensor

LEVELS = tuple(i / 20 for i in range(21))  # of quantiles: 0, 0.05, ..., 1


@dataclass(frozen=True)
class Layer:
    """One affine layer of D, `name` as in `named_modules`, `input_shape` without the batch.

    Of its weight in use, reshaped to (outputs, rest): `sigma_kernel`, the largest singular value;
    `spectrum_kernel`, all of them, descending; `effective_rank` (Roy and Vetterli 2007) and
    `stable_rank`. Of the trained parameter that a weight of the same shape is computed from:
    `sigma_original`, and `sigma_estimate`, what the method's power iteration holds that to be.
    Of the layer as a map of images: `sigma_operator`, exact for stride, padding and input size;
    `spectrum_circular`, of the convolution with its input wrapped around, at most 256 values
    (`singular_values.circular_spectrum`). `shape` is that of `.weight`, None where there is none.

    What a layer has not is None: a layer that computes otherwise than with its `.weight`, as a
    Cayley convolution does, has none of what is said of weights.
    """

    name: str
    kind: str
    shape: list[int] | None
    input_shape: list[int]
    sigma_kernel: float | None
    sigma_original: float | None
    sigma_estimate: float | None
    sigma_operator: float
    effective_rank: float | None
    stable_rank: float | None
    spectrum_kernel: list[float] | None
    spectrum_circular: list[float] | None


@dataclass(frozen=True)
class Factor:
    """One step of the upper bound, in the order of the graph.

    `lipschitz` is the step's own constant; where branches join, what the join makes of the
    largest of their constants. `constant` is that of all up to here, with respect to the image.
    None is what has no proven constant; `reason` says why, or where the number is from.
    """

    name: str
    kind: str
    lipschitz: float | None
    constant: float | None
    reason: str


@dataclass(frozen=True)
class Distribution:
    """How values are spread: `std` is the population's, quantiles at 0, 0.05, ..., 1."""

    n: int
    mean: float
    std: float
    quantiles: list[float]

    @classmethod
    def of(cls, values: Tensor) -> Self:
        """Return the distribution of a vector of values."""
        values = values.double().cpu()
        # Not `torch.quantile`, which refuses more than 16 million values.
        ordered = values.sort().values
        places = torch.tensor(LEVELS, dtype=torch.float64) * (len(values) - 1)
        below, above = ordered[places.floor().long()], ordered[places.ceil().long()]
        return cls(
            n=len(values),
            mean=values.mean().item(),
            std=values.std(correction=0).item(),
            quantiles=below.lerp(above, places.frac()).tolist(),
        )


@dataclass(frozen=True)
class Saturation:
    """How many units of an activation layer pass little on: see `saturation.saturation`."""

    name: str
    share: float
    dead: float


@dataclass(frozen=True)
class Facts:
    """What was measured of a discriminator at rest.

    `upper_bound` is proven: D's Lipschitz constant (Euclidean, of one image) is at most this, up
    to rounding. None where a part of D has none, for the reasons `no_upper_bound`, and where a
    lower bound refutes it; `factors` say how it came about.

    `upper_bound_kernel` is NOT a bound, whatever its name begins with: it is the same product
    with `sigma_kernel` in place of `sigma_operator`, which spectral normalization of reshaped
    kernels controls and a convolution exceeds. It says what would be so if kernels were the maps.

    `lower_bounds` are steepnesses found, each a lower bound of the constant on [-1, 1]: the
    largest gradient norm at real, generated and interpolated images, and what an attack found;
    of points in the plane, in the smallest box that holds those given, and on its `grid` too.
    `lower_bound` is the largest. There are none where `per_image` is False: the images of a batch
    see each other in eval mode too, so one image has no constant of its own.

    `tightness` is lower_bound / upper_bound. `gradient_norms`, `logits` and `saturation` are of
    float32, in eval mode: a batch normalization uses its running statistics there, which is
    another function than the one that trains. `overfitting_gap` is the mean logit of training
    images minus that of held-out ones; the losses are D's, on (train, fake), (held-out, fake)
    (Miyato et al. 2018, Fig. 15a, is of such losses). `seconds` is what the audit took.
    """

    seconds: float
    layers: list[Layer]
    factors: list[Factor]
    upper_bound: float | None
    no_upper_bound: list[str]
    upper_bound_kernel: float | None
    per_image: bool
    lower_bounds: dict[str, float]
    lower_bound: float | None
    tightness: float | None
    gradient_norms: dict[str, Distribution]
    saturation: list[Saturation]
    logits: dict[str, Distribution]
    overfitting_gap: float | None
    loss_train: float | None
    loss_heldout: float | None
    counts: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the facts as values that JSON has."""
        return TypeAdapter(type(self)).dump_python(self, mode="json")

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Return the facts of such a record. Keys that are not the audit's own are passed over.

        Raises pydantic.ValidationError for a record of another form.
        """
        return TypeAdapter(cls).validate_python(record)
