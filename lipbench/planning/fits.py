"""Refuse what does not fit together: methods, losses, layers, shapes, batches, protocols."""

from __future__ import annotations

from lipbench import data, protocols, yamlmarks
from lipbench.architecture import Architecture
from lipbench.data import described
from lipbench.discriminators import convolutions
from lipbench.errors import Mark, UserError, unknown
from lipbench.loss import Loss
from lipbench.method import hidden_layers
from lipbench.networks import INITIALISATIONS, Shape
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
        raise UserError(unknown("loss", suite.loss.name, losses), document.mark(("loss",)))
    for index, entry in enumerate(suite.methods):
        if entry.loss and entry.loss.name not in losses:
            mark = entry_mark(document, index, "loss")
            raise UserError(unknown("loss", entry.loss.name, losses), mark)
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
    if not architecture.takes(shape):
        told = described(shape)
        hint = hint if len(shape) == 3 else ""
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
    suite: Suite, document: yamlmarks.Document, info: data.DatasetInfo, protocol: Protocol
) -> None:
    """Refuse too few samples for the protocol, or of another kind than it scores."""
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
    """Refuse a method that is about other samples or layers than these.

    Or whose layers do not fit D's channels, such as more groups than those.
    """
    methods, shape = choice.methods.values(), info.shape
    classes = architecture.classes_of(len(info.classes))
    for method in methods:
        if method.requires.images and len(shape) != 3:
            raise UserError(
                f"{method.label} is about images; these are {described(shape)}", choice.mark
            )
    layers = hidden_layers(list(methods))
    picky = [method.label for method in methods if method.requires.convolutions]
    if not layers and not picky:
        return
    if picky and not convolutions(architecture.discriminator(shape, classes)):
        raise UserError(
            f"{picky[0]} is about convolutions; the discriminator of {name} has none", choice.mark
        )
    try:
        architecture.discriminator(shape, classes, **layers)
    except UserError as error:
        raise UserError(f"{choice.label}: {error}", choice.mark) from error
