"""The contract of a method: what a plugin file defines, and nothing else is asked of it."""

from __future__ import annotations

import difflib
import enum
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    Self,
    TypedDict,
    dataclass_transform,
    get_args,
)

from annotated_types import Ge, Gt, Le
from pydantic import ConfigDict
from torch import Tensor, nn

from lipbench import parameterized
from lipbench.discriminators import Discriminator
from lipbench.errors import unknown
from lipbench.networks import Generator

__all__ = [
    "HOOKS", "Batch", "Claim", "Count", "Discriminator", "Fraction", "Generator", "Method",
    "NonNegative", "Penalty", "Positive", "Projection", "Quantity", "Recipe", "Requires", "Trait",
    "Whole",
]  # fmt: skip

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Ge(1)]
Whole = Annotated[int, Ge(0)]


@dataclass(frozen=True, eq=False)
class Batch:
    """What one update sees: images (B, C, H, W) in [-1, 1], and D's logits (B,) of them.

    Or other samples, such as points (B, D), unless the method requires images. The logits are
    those of D as it stands. In an update of D they carry its graph, so a penalty on them costs no
    further pass through D. In an update of G, `fake_logits` carry the graph, and `real_logits`,
    constants for G, are computed when they are first read: that costs a pass of the real images
    through D. Real and generated images may differ in number there. `step` counts the updates of
    D before this one, `progress` is the share of the budget done, in [0, 1).

    Where training is conditional, `labels` (B,) are the classes of the generated images and
    `real_labels` those of the real ones; in an update of D they are the same. D is bound to
    `labels`, so a hook calls it as ever, but for the real images in an update of G: within
    `discriminator.given(batch.real_labels)`.
    """

    real: Tensor
    fake: Tensor
    _real_logits: Tensor | Callable[[], Tensor]  # or how to compute them
    fake_logits: Tensor
    step: int = 0
    progress: float = 0.0
    labels: Tensor | None = None
    real_labels: Tensor | None = None

    @cached_property
    def real_logits(self) -> Tensor:
        """Return D's logits (B,) of the real images."""
        logits = self._real_logits
        return logits if isinstance(logits, Tensor) else logits()

    @classmethod
    def of(
        cls,
        discriminator: nn.Module,
        real: Tensor,
        fake: Tensor,
        step: int = 0,
        progress: float = 0.0,
        labels: Tensor | None = None,
    ) -> Self:
        """Return the batch of these images, with the discriminator's logits of them."""
        logits = discriminator(real), discriminator(fake)
        return cls(real, fake, *logits, step, progress, labels, labels)


@dataclass(frozen=True)
class Recipe:
    """The Adam setting that a method's own paper or code recommends; see `settings: [recipe]`."""

    lr: float
    beta1: float
    beta2: float
    n_dis: int


@dataclass(frozen=True)
class Requires:
    """What a method cannot do without. A suite that says otherwise is refused when it is read.

    `images`: samples that have pixels, as points have not. `convolutions`: hidden layers of D that
    are convolutions, as those of an MLP are not. `labels`: a conditional architecture. Methods
    without these work on anything.
    """

    loss: str | None = None
    images: bool = False
    convolutions: bool = False
    labels: bool = False


class Trait(enum.Enum):
    """What a method does to D that other methods or losses may not bear: `planning.combinations`.

    The exam tells all but the last by what a method does, and holds it to what it declares.
    """

    BATCH_STATISTICS = "an image's logit depends on the other images of its batch"
    INPUT_GRADIENTS = "it differentiates D by its images"
    REPARAMETRIZES = "it computes D's weights from other parameters"
    TRAINS_OTHER_SHAPES = "what it trains in place of D's weights is of other shapes"
    APPLIES_TRANSFORM = "its layers apply a transform of their `.weight`, and not that"
    DIVIDES_BY_SIGMA = "it divides each of D's weights, as a matrix, by its largest singular value"
    DIVIDES_BY_GRADIENT = "it divides D's logit by the norm of its gradient"
    PENALIZES_WEIGHTS = "its penalty is of D's weights, whatever the images are"
    TWO_SIDED_PENALTY = "its penalty asks for gradients of norm 1, neither more nor less"
    BOUNDS_NOTHING = "neither its penalty nor the weights it computes hold D's gradients"


Quantity = Literal[
    "sigma_kernel", "sigma_operator", "frobenius_norm", "row_norm", "largest_weight",
    "input_gradient",
]  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """A bound that a method promises: `quantity` <= `bound` * (1 + `tolerance`).

    An estimate that follows the weights (power iteration) lags behind them while they move: the
    promise is of weights that stand still. `tolerance` is for rounding and slow convergence.

    Quantities of each layer: `sigma_kernel`, the largest singular value of the weight reshaped to
    (outputs, rest); `sigma_operator`, that of the layer as a linear map of its input, stride and
    padding included; `frobenius_norm` of the weight; `row_norm`, the largest norm of an output's
    weights; `largest_weight`, in magnitude. `input_gradient` is the largest norm of D's gradient
    by an image. See `lipbench.exam.bounds`. A method that projects promises it after projections.
    """

    quantity: Quantity
    bound: float
    tolerance: float
    layers: Literal["all", "convolutions"] = "all"

    def __post_init__(self) -> None:
        """Raise ValueError for a quantity that does not exist."""
        if self.quantity not in get_args(Quantity):
            raise ValueError(unknown("quantity", self.quantity, get_args(Quantity)))


HOOKS = (
    "norm", "activation", "wrap", "wrap_generator", "prepare", "penalty", "project",
    "generator_loss",
)  # fmt: skip


def _refuse_traps(cls: type[Method], abstract: bool) -> None:
    """Raise TypeError for what would otherwise be told late, or go wrong in silence."""
    if not isinstance(getattr(cls, "label", None), str) and not abstract:
        raise TypeError(f"{cls.__name__} has no label, the short name that legends show")
    if not (vars(cls).get("__doc__") or "").strip():
        raise TypeError(f"{cls.__name__} has no docstring; say what it does, and its paper")
    _refuse_methods(cls, abstract)
    _refuse_fields(cls)
    _refuse_attributes(cls)
    if not abstract:
        _refuse_idleness(cls)


def _refuse_methods(cls: type[Method], abstract: bool) -> None:
    """Refuse hooks of another form, and public methods that are no hooks: nothing calls them.

    Names that a base class has are allowed: they are for its hooks to call. An abstract class
    may add some. A class that stands within the method is a helper, as `_names` are.
    """
    known = {name for base in cls.__bases__ if issubclass(base, Method) for name in dir(base)}
    mixins = [base for base in cls.__mro__ if not issubclass(base, Method) and base is not object]
    for name, value in [item for part in (cls, *mixins) for item in vars(part).items()]:
        if name in HOOKS:
            _refuse_form(cls, name, value)
        elif _is_public_method(name, value) and name not in known:
            inherited = known - {*HOOKS, "hooks", "refuse_traps"}
            definable = (
                *HOOKS,
                *sorted(n for n in inherited if _is_public_method(n, getattr(cls, n, None))),
            )
            near = difflib.get_close_matches(name, definable, n=1, cutoff=0.8)
            if near or not abstract:
                raise TypeError(
                    f"{cls.__name__}.{name} is no hook"
                    + (f"; did you mean {near[0]!r}? " if near else ", so nothing calls it. ")
                    + f"A method can define {', '.join(definable)}; a helper's name starts with _"
                )


def _is_public_method(name: str, value: object) -> bool:
    """Return whether an attribute is a function of any kind, or a property, for others to use."""
    is_method = callable(value) or isinstance(value, (property, classmethod, cached_property))
    return is_method and not name.startswith("_") and not isinstance(value, type)


def _refuse_form(cls: type[Method], name: str, value: object) -> None:
    """Refuse a hook that cannot be called, or not with what training gives it."""
    takes = tuple(inspect.signature(getattr(Method, name)).parameters)
    function = value.__func__ if isinstance(value, classmethod) else value
    if not callable(function):
        raise TypeError(
            f"{cls.__name__}.{name} is a hook's name, so it should be a method that takes "
            f"({', '.join(takes)}), not {function!r}"
        )
    try:
        inspect.signature(function).bind(*takes)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.{name} should take ({', '.join(takes)})") from error


def _refuse_idleness(cls: type[Method]) -> None:
    """Refuse a method that changes nothing, but for the baseline, which must not change any."""
    hooks = cls.hooks()
    if cls.is_baseline and hooks:
        raise TypeError(f"{cls.__name__} is a baseline, but overrides {', '.join(hooks)}")
    if not cls.is_baseline and not hooks:
        raise TypeError(
            f"{cls.__name__} overrides no hook, so training would be that of `none`. "
            f"The hooks are {', '.join(HOOKS)}"
        )


def _refuse_fields(cls: type[Method]) -> None:
    """Refuse what a dataclass would get wrong: fields without annotation or default."""
    own: Mapping[str, Any] = vars(cls)
    annotated = own.get("__annotations__", {})
    for name, value in own.items():
        is_field = not name.startswith("_") and not callable(value)
        if is_field and not isinstance(value, (staticmethod, classmethod, property)):
            if name not in annotated and not hasattr(Method, name) and name != "label":
                raise TypeError(
                    f"{cls.__name__}.{name} has no annotation, so it would not be a "
                    f"hyperparameter; write `{name}: {type(value).__name__} = {value!r}`"
                )
            if isinstance(value, (list, dict, set)):
                raise TypeError(f"{cls.__name__}.{name} has a mutable default: {value!r}")
    for name, annotation in annotated.items():
        if name not in own and "ClassVar" not in str(annotation):
            raise TypeError(
                f"{cls.__name__}.{name} has no default; every hyperparameter needs one, so that "
                "the method's name alone is a method"
            )


def _refuse_attributes(cls: type[Method]) -> None:
    """Refuse what a method says about itself in another form than it is read in."""
    fits = {
        "papers": isinstance(cls.papers, tuple) and all(isinstance(p, str) for p in cls.papers),
        "requires": isinstance(cls.requires, Requires),
        "recipe": cls.recipe is None or isinstance(cls.recipe, Recipe),
        "traits": isinstance(cls.traits, frozenset)
        and all(isinstance(trait, Trait) for trait in cls.traits),
    }
    written = {
        "papers": 'a tuple of strings, such as ("key",)',
        "requires": 'Requires(loss="...", images=True, convolutions=True, labels=True)',
        "recipe": "Recipe(lr=..., beta1=..., beta2=..., n_dis=...)",
        "traits": "frozenset({Trait...})",
    }
    for name, good in fits.items():
        if not good:
            raise TypeError(
                f"{cls.__name__}.{name} should be {written[name]}, not {getattr(cls, name)!r}"
            )


@dataclass_transform(frozen_default=True)
@dataclass(frozen=True)
class Method:
    """One way of controlling a discriminator. The base class constrains nothing.

    A subclass is a frozen dataclass without being decorated: its annotated attributes are the
    hyperparameters that a suite can set, checked against their types and ranges (`Positive`,
    `NonNegative`, `Fraction`, `Count`, `Whole`, `Literal`, `bool`) when the suite is read. It
    overrides only the hooks that it needs, listed here in the order in which training calls them.
    It keeps no state: what must persist is a buffer of a network, so checkpoints hold it. Hooks
    run with the global random generator seeded for the update, so plain `torch.rand` is right,
    and reproducible, in them.
    """

    label: ClassVar[str]
    papers: ClassVar[tuple[str, ...]] = ()  # keys of references.bib beside the file, or BibTeX
    requires: ClassVar[Requires] = Requires()
    recipe: ClassVar[Recipe | None] = None
    traits: ClassVar[frozenset[Trait]] = frozenset()
    compiles: ClassVar[bool] = True  # torch.compile captures D, as wrapped, in one graph
    is_baseline: ClassVar[bool] = False  # it overrides no hook: others are compared with it

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    def __init_subclass__(cls, abstract: bool = False) -> None:
        _refuse_traps(cls, abstract)
        dataclass(frozen=True)(cls)

    @classmethod
    def refuse_traps(cls) -> None:
        """Raise TypeError for what can be told only once the class's file is loaded."""
        parameterized.adapter(cls)  # type: ignore[arg-type]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return what the method, with these hyperparameters, promises."""
        return ()

    def norm(self, channels: int) -> nn.Module:
        """Return the layer that normalizes a hidden layer of D, (B, channels, H, W) in and out.

        Called once for each convolution of D but the first; the layer stands between the
        convolution and its activation. In an MLP the units of a hidden dense layer are such
        channels, of 1 x 1 pixel. In a ResNet it stands before each activation of the residual
        blocks, the first block excepted.
        """
        return nn.Identity()

    def activation(self, channels: int) -> nn.Module:
        """Return the activation of a hidden layer of D, in place of the architecture's own.

        Called once for each convolution of D; (B, channels, H, W) in and out.
        """
        raise NotImplementedError

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        """Return the D to train: the same one, reparametrized in place, or a module around it.

        Called once, after initialisation and before the optimizers are made.
        """
        return discriminator

    def wrap_generator(self, generator: Generator) -> Generator:
        """Return the G to train: as `wrap` does for D."""
        return generator

    def prepare(self, discriminator: Discriminator, real: Tensor) -> None:
        """Take from a first batch of real images, (B, C, H, W), what depends on data.

        Called once, under `torch.no_grad()`, when the networks are wrapped: for reference batches
        and data-dependent initial values. What it sets must be parameters or buffers.
        """

    def penalty(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        """Return the scalar to add to D's loss at each of its updates."""
        return batch.real.new_zeros(())

    def project(self, discriminator: Discriminator, step: int) -> None:
        """Move D's weights back into the constraint set, after each step of D's optimizer.

        Called under `torch.no_grad()`; `step` counts the updates of D before this one. An in-place
        change of a reparametrized `.weight` would do nothing: change
        `lipbench.discriminators.original(layer)`.
        """

    def generator_loss(
        self, loss: Tensor, generator: Generator, discriminator: Discriminator, batch: Batch
    ) -> Tensor:
        """Return G's loss, a scalar: the adversarial one, with a term added, or another instead.

        `batch.real` is that of D's last update, `batch.fake` G's new images, with their graph.
        Both logits are of D after that update; reading `batch.real_logits`, which have no graph,
        costs a pass through D.
        """
        return loss

    @classmethod
    def hooks(cls) -> tuple[str, ...]:
        """Return the names of the hooks that the class overrides, in the order of their calls."""
        return tuple(name for name in HOOKS if getattr(cls, name) is not getattr(Method, name))


class Penalty(Method, abstract=True):
    """A term of D's loss, at every update or lazily: `every` times the term at each `every`-th.

    Lazy regularization is of Karras et al. (StyleGAN2, CVPR 2020), who take separate optimizer
    steps and rescale Adam's settings for it; here the term joins D's own step, and Adam's
    settings stay as they are.
    """

    every: Count = 1

    def __init_subclass__(cls, abstract: bool = False) -> None:
        super().__init_subclass__(abstract=abstract)
        if cls.term is Penalty.term and not abstract:
            raise TypeError(f"{cls.__name__} is a Penalty without a `term`")

    def term(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        """Return the scalar term, its coefficient included."""
        raise NotImplementedError

    def penalty(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        if batch.step % self.every:
            return batch.real.new_zeros(())
        return self.every * self.term(discriminator, batch)


class Projection(Method, abstract=True):
    """A projection of D's weights after each `every`-th update of D."""

    every: Count = 1

    def __init_subclass__(cls, abstract: bool = False) -> None:
        super().__init_subclass__(abstract=abstract)
        if cls.constrain is Projection.constrain and not abstract:
            raise TypeError(f"{cls.__name__} is a Projection without a `constrain`")

    def constrain(self, discriminator: Discriminator) -> None:
        """Move D's weights into the constraint set; called under `torch.no_grad()`."""
        raise NotImplementedError

    def project(self, discriminator: Discriminator, step: int) -> None:
        if (step + 1) % self.every == 0:
            self.constrain(discriminator)


class HiddenLayers(TypedDict, total=False):
    """What stands in D's hidden layers in place of the architecture's own, by channels."""

    norm: Callable[[int], nn.Module]
    activation: Callable[[int], nn.Module]


def hidden_layers(methods: Sequence[Method]) -> HiddenLayers:
    """Return what the methods put into D's hidden layers: all their norms, one's activation."""
    chosen: HiddenLayers = {}
    norms = [method.norm for method in methods if "norm" in method.hooks()]
    if norms:
        chosen["norm"] = norms[0] if len(norms) == 1 else _in_sequence(norms)
    for method in methods:
        if "activation" in method.hooks():
            chosen.setdefault("activation", method.activation)
    return chosen


def _in_sequence(layers: Sequence[Callable[[int], nn.Module]]) -> Callable[[int], nn.Module]:
    return lambda channels: nn.Sequential(*(layer(channels) for layer in layers))
