"""Spectral normalization of the generator (Zhang et al., Self-Attention GANs, ICML 2019)."""

from __future__ import annotations

from torch.nn.utils import parametrizations

from lipbench.method import Count, Generator, Method


class GeneratorSpectralNorm(Method):
    """Divide each weight of G by its largest singular value, and leave D alone.

    W / sigma(W) by power iteration (Miyato et al. 2018, Eq. 8, 18-22), who normalize D only;
    Zhang et al. normalize both networks: `spectral_norm + spectral_norm_generator`. All of G's
    layers, without biases (our choice); the rows of a transposed convolution's matrix are its
    outputs too, which its weight holds in dimension 1.
    """

    label = "SN of G"
    papers = ("miyato2018", "zhang2019selfattention")

    power_iterations: Count = 1

    def wrap_generator(self, generator: Generator) -> Generator:
        for layer in generator.layers():
            parametrizations.spectral_norm(layer, n_power_iterations=self.power_iterations)
        return generator
