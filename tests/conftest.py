"""What all tests share: one thread, a cache of their own, the plugins of this checkout."""

from __future__ import annotations

import logging
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from lipbench.plugins import package_folders

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests that draw cases draw more of them: `make soak`."""
    parser.addoption("--soak", type=int, default=1, help="times as many random cases and kills")


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> int:
    """Return how many times as many random cases and kills to try as the usual tests do."""
    times: int = request.config.getoption("--soak")
    return times


def pytest_configure() -> None:
    """Compute on one thread a worker; refuse one checkout's engine with another's methods."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, for those we start, too
    torch.set_num_threads(1)
    threadpool_limits(1)  # NumPy's and SciPy's; where more wait for each other, tests take longer
    for _, package, folder in package_folders("lipbench.methods"):
        if package == "lipbench_methods" and folder.resolve() != ROOT / "methods":
            pytest.exit(f"this environment has the methods of {folder}; run: pip install -e .")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the tests a cache folder that is empty at the start."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPBENCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Return a function that puts an empty MLflow store into a folder: to make one takes seconds.

    A store that is there stays.
    """
    from mlflow import MlflowClient

    empty = tmp_path_factory.mktemp("store") / "mlflow.db"
    logging.getLogger("alembic").setLevel(logging.WARNING)
    MlflowClient(f"sqlite:///{empty}").search_experiments()

    def put(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        if not (folder / "mlflow.db").exists():
            shutil.copy(empty, folder / "mlflow.db")

    return put


@pytest.fixture(autouse=True)
def seed() -> None:
    """Draw the same numbers whichever tests ran before, and in whichever process."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
