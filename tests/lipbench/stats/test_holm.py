"""Holm's correction against statsmodels' and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from lipbench.stats.holm import holm


def test_the_smallest_counts_n_times_and_no_value_is_less_than_one_before_it():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_no_value_is_more_than_1():
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_of_no_comparison_there_is_none():
    assert holm([]) == []


@pytest.mark.parametrize("number", [1, 2, 5, 40])
def test_it_is_statsmodels(number):
    values = np.random.default_rng(number).uniform(0, 0.2, number).round(2)  # with ties
    assert holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]))
