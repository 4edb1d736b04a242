"""The method orthogonal, on cases that can be solved by hand."""

from __future__ import annotations

import torch

from lipbench.discriminators import matrix

from ._convolutions import (
    draw,
)


def test_the_cayley_map_is_the_one_known_in_fractions(make, layers):
    kernel = torch.tensor([[0.0, 1], [0, 0], [1, 0]])[:, :, None, None]
    wrapped = make("orthogonal").wrap(layers(kernel, torch.ones(1, 3)))
    expected = torch.tensor([[-1.0, -2], [2, 1], [-2, 2]]) / 3
    torch.testing.assert_close(matrix(wrapped.body.weight), expected)
    wrapped = make("orthogonal").wrap(
        layers(torch.tensor([[0.0, 1], [0, 0]])[:, :, None, None], torch.ones(1, 2))
    )
    torch.testing.assert_close(
        matrix(wrapped.body.weight), torch.tensor([[0.0, -1], [1, 0]]), atol=1e-6, rtol=0
    )


def test_the_householder_map_is_a_product_of_reflections(make, layers):
    weight = draw(4, 3)
    wrapped = make("orthogonal", map="householder").wrap(
        layers(weight[:, :, None, None].clone(), torch.ones(1, 4))
    )
    product = torch.eye(4)
    for column in range(3):
        normal = weight[:, column].clone()
        normal[:column], normal[column] = 0, 1
        product = product @ (torch.eye(4) - 2 * normal.outer(normal) / normal.dot(normal))
    torch.testing.assert_close(matrix(wrapped.body.weight), product[:, :3], atol=1e-5, rtol=0)
