"""Auxiliary classifier (Odena et al. 2017, as Gulrajani et al. 2017 have it)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from lipbench.discriminators import Discriminator, find, replace
from lipbench.errors import UserError
from lipbench.method import Batch, Generator, Method, NonNegative, Requires


class WithClassifier(nn.Module):
    """A head, and beside it a dense layer from the same features to logits of classes."""

    def __init__(self, head: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.head = head
        self.classifier = nn.Linear(features, classes)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return the head's outputs (B, 1) for features (B, F)."""
        return self.head(features)


class AuxiliaryClassifier(Method):
    """Let D's features classify images too: real ones in D's loss, generated ones in G's.

    D's loss gets coefficient * cross-entropy of the real images' labels, G's loss
    coefficient_g * cross-entropy of the labels that G was given. 1 and 0.1, and real images alone
    in D's loss, are those of Gulrajani et al.'s code (github.com/igul222/improved_wgan_training,
    gan_cifar_resnet.py), which Table 8 of Miyato et al. 2018 builds on; Odena et al. have the
    generated ones in D's loss as well. G must be conditional: `{name: resnet, condition:
    classifier}`. The classifier is a layer of D, beside its head; each term costs a pass of D.
    """

    label = "AC"
    papers = ("odena2017", "gulrajani2017")
    requires = Requires(labels=True)

    coefficient: NonNegative = 1.0
    coefficient_g: NonNegative = 0.1

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        if not discriminator.classes:
            raise UserError("auxiliary_classifier needs labels, and D is trained without")
        head = discriminator.head
        dense = next(layer for layer in head.modules() if isinstance(layer, nn.Linear))
        beside = WithClassifier(head, dense.in_features, discriminator.classes)
        replace(discriminator, head, beside.to(dense.weight.device))
        return discriminator

    def penalty(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        assert batch.real_labels is not None
        return self.coefficient * _cross_entropy(discriminator, batch.real, batch.real_labels)

    def generator_loss(
        self, loss: Tensor, generator: Generator, discriminator: Discriminator, batch: Batch
    ) -> Tensor:
        assert batch.labels is not None
        term = _cross_entropy(discriminator, batch.fake, batch.labels)
        return loss + self.coefficient_g * term


def _cross_entropy(discriminator: Discriminator, images: Tensor, labels: Tensor) -> Tensor:
    classifier = find(discriminator, WithClassifier).classifier
    return F.cross_entropy(classifier(discriminator.features(images)), labels)
