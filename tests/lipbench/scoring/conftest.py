from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lipbench import data
from lipbench.dataset import load
from lipbench.datasets.digits import Digits


@pytest.fixture(scope="session")
def cpu() -> torch.device:
    return torch.device("cpu")


@pytest.fixture(scope="session")
def digits(cpu: torch.device, tmp_path_factory: pytest.TempPathFactory) -> data.Dataset:
    cache: Path = tmp_path_factory.mktemp("data")
    return load(Digits(), Digits().inspect(cache), cache, cpu)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache whose files tests may read and share; a test that spoils one uses tmp_path."""
    folder: Path = tmp_path_factory.mktemp("cache")
    return folder
