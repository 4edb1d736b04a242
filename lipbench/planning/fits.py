"""Refuse what does not fit together: methods, losses, layers, shapes, batches, protocols."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lipbench import data, protocols, yamlmarks
from lipbench.architecture import Architecture
from lipbench.data import described
from lipbench.discriminators import convolutions
from lipbench.errors import Mark, UserError, blaming, place_of, shortened, unknown
from lipbench.loss import Loss
from lipbench.method import HiddenLayers, hidden_layers
from lipbench.networks import INITIALISATIONS, ChannelLayer, Shape
from lipbench.planning import combinations
from lipbench.planning.choices import Choice, entry_mark
from lipbench.planning.suite import Suite
from lipbench.plugins import Plugins
from lipbench.protocols import Protocol


def check_names(suite: Suite, document: yamlmarks.Document, plugins: Plugins) -> None:
    """Refuse names of an initialisation, a loss or an allowed combination that do not exist."""
    losses = plugins.losses.plugins
    if suite.initialisation is not None and suite.initialisation not in INITIALISATIONS:
        told = unknown("initialisation", suite.initialisation, INITIALISATIONS)
        raise UserError(told, document.mark(("initialisation",)))
    if suite.loss and suite.loss.name not in losses:
        raise UserError(plugins.losses.unknown(suite.loss.name), document.mark(("loss",)))
    for index, entry in enumerate(suite.methods):
        if entry.loss and entry.loss.name not in losses:
            mark = entry_mark(document, index, "loss")
            raise UserError(plugins.losses.unknown(entry.loss.name), mark)
    for index, name in enumerate(suite.allow):
        rules = [rule.name for rule in combinations.RULES.values() if not rule.impossible]
        if name not in rules:
            raise UserError(unknown("combination", name, rules), document.mark(("allow", index)))


def check_shape(
    name: str,
    architecture: Architecture,
    shape: Shape,
    mark: Mark | None,
    hint: str = "; set dataset.image_size",
) -> None:
    """Refuse samples that the architecture cannot make; `hint` is for images of another size."""
    with blaming(architecture.takes):
        takes = architecture.takes(shape)
    if not takes:
        told = described(shape)
        hint = hint if len(shape) == 3 and any(len(e) == 3 for e in architecture.examples) else ""
        raise UserError(f"{name} makes {architecture.shapes}; these are {told}{hint}", mark)


def check_classes(
    name: str, architecture: Architecture, info: data.DatasetInfo, mark: Mark | None
) -> None:
    """Refuse a conditional architecture for samples without classes."""
    if architecture.is_conditional and len(info.classes) < 2:
        had = "one class" if info.classes else "no labels"
        raise UserError(
            f"{name} is conditional with these parameters, but {info.name} has {had}", mark
        )


def check_augmentation(suite: Suite, document: yamlmarks.Document, info: data.DatasetInfo) -> None:
    """Refuse an augmentation of samples that are no images, and a frame as large as they are."""
    augmentation = suite.augmentation
    if augmentation == type(augmentation)():
        return
    if not info.is_of_images:
        raise UserError(
            f"augmentation is of images; {info.name} has {info.samples}",
            document.mark(("augmentation",)),
        )
    if augmentation.crop >= min(info.shape[1:]):
        raise UserError(
            f"augmentation.crop: got {augmentation.crop}; the frame should be narrower than the "
            f"{described(info.shape)}, since a crop may lie in a corner of it",
            document.mark(("augmentation", "crop")),
        )


def check_protocol(
    suite: Suite,
    document: yamlmarks.Document,
    info: data.DatasetInfo,
    architecture: Architecture,
    protocol: Protocol,
) -> None:
    """Refuse too few samples for the protocol, or of another kind than it scores.

    And a generator without classes, where a score is of those that it was asked for.
    """
    asks = [name for name in protocol.scores if protocols.SCORES[name].needs_labels]
    if asks and not architecture.is_conditional:
        raise UserError(
            f"{protocol.name} has the score {asks[0]}, which needs a conditional architecture; "
            f"{suite.architecture.name} is none with these parameters",
            document.mark(("protocol",)),
        )
    try:
        protocols.check(protocol, info.n_train, info.n_test, info.name, info.shape)
    except UserError as error:
        raise UserError(str(error), document.mark(("protocol",))) from error


def check_pairs(suite: Suite, document: yamlmarks.Document, loss: Loss, name: str) -> None:
    """Refuse batches that a loss cannot pair."""
    sizes = suite.budget.batch_size, suite.budget.generator_batch_size
    if loss.paired and sizes[0] != sizes[1]:
        raise UserError(
            f"the loss {name} pairs real and generated images, so batch_size and "
            f"generator_batch_size must be equal; they are {sizes[0]} and {sizes[1]}",
            document.mark(("budget",)),
        )


def check_loss(loss: Loss) -> None:
    """Refuse a loss that fails, or is no scalar, on a few logits: tests try those of lipbench."""
    real, fake = torch.linspace(-1, 1, 4), torch.linspace(-1, 1, 4, requires_grad=True)
    games: tuple[tuple[Callable[..., object], tuple[torch.Tensor | None, ...]], ...] = (
        (loss.discriminator, (real, fake)),
        (loss.generator, (fake, real if loss.needs_real else None)),
    )
    for game, logits in games:
        with blaming(game):
            value = game(*logits)
        if isinstance(value, torch.Tensor) and value.dim() == 0:
            continue
        told = shortened(value)
        if isinstance(value, torch.Tensor):
            told = f"a tensor of shape {tuple(value.shape)} for logits of shape (4,)"
        raise UserError(f"{game.__name__} returned {told}, not a scalar", place_of(game))


def check_combination(suite: Suite, choice: Choice, loss: str) -> None:
    """Refuse what is invalid or known to be bad, unless the suite allows it by name."""
    for rule in combinations.broken(choice.methods, loss):
        if rule.impossible or rule.name not in suite.allow:
            hint = "" if rule.impossible else f". To run it all the same: allow: [{rule.name}]"
            raise UserError(
                f"{choice.label} with the loss {loss}: {rule.reason} ({rule.source}){hint}",
                choice.mark,
            )


def check_layers(
    name: str, architecture: Architecture, info: data.DatasetInfo, choice: Choice
) -> None:
    """Refuse a method that is about other samples or layers than these, or lacks labels.

    Or whose layers do not fit D's channels, such as more groups than those.
    """
    methods, shape = choice.methods.values(), info.shape
    classes = architecture.classes_of(len(info.classes))
    for method in methods:
        if method.requires.images and len(shape) != 3:
            raise UserError(
                f"{method.label} is about images; these are {described(shape)}", choice.mark
            )
        if method.requires.labels and not architecture.is_conditional:
            raise UserError(
                f"{method.label} needs labels; {name} is not conditional with these parameters",
                choice.mark,
            )
    layers = hidden_layers(list(methods))
    picky = [method.label for method in methods if method.requires.convolutions]
    if not layers and not picky:
        return
    if picky and not convolutions(architecture.discriminator(shape, classes)):
        raise UserError(
            f"{picky[0]} is about convolutions; the discriminator of {name} has none", choice.mark
        )
    used: set[str] = set()
    noting: HiddenLayers = {}
    if "norm" in layers:
        noting["norm"] = _noting(used, "norm", layers["norm"])
    if "activation" in layers:
        noting["activation"] = _noting(used, "activation", layers["activation"])
    try:
        architecture.discriminator(shape, classes, **noting)
    except UserError as error:
        raise UserError(f"{choice.label}: {error}", choice.mark) from error
    if idle := sorted(layers.keys() - used):
        raise UserError(
            f"{choice.label}: the discriminator of {name} takes no {idle[0]} of a method into its "
            "hidden layers, so it would be the plain one",
            choice.mark,
        )


def _noting(used: set[str], kind: str, layer: ChannelLayer) -> ChannelLayer:
    """Return what makes the same layers, and notes that it was asked for one."""

    def make(channels: int) -> nn.Module:
        used.add(kind)
        return layer(channels)

    return make
