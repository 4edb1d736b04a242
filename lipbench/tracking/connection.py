"""Connect to an MLflow store, and find there the experiment of some results."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lipbench.planning.plan import Plan
from lipbench.runs import locks
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.urls import local_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

HASH_TAG = "lipbench.hash"  # every run that lipbench makes has it
_RESULTS_TAG = "lipbench.results"  # of an experiment: the identity of the results that it mirrors
_DIGITS = 8  # of that identity in an experiment's name


@contextlib.contextmanager
def first_use(uri: str) -> Iterator[None]:
    """Hold off others while a local SQLite store is opened: two cannot make its tables at once."""
    if (file := local_file(uri)) is None:
        yield
        return
    with locks.held_where_possible(file.with_name(f".{file.name}.lock")):
        yield


def connect(uri: str) -> MlflowClient:
    """Return a client of a store that gives up on a dead server after seconds, and is quiet."""
    # By default MLflow tries for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # The client prints the address of each run that ends, with the server's password in it.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow"):  # they announce each migration of a new database
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(uri)


def experiment(client: MlflowClient, suite: SuiteFolder, plan: Plan) -> tuple[Experiment, str]:
    """Return the experiment of some results, made at the first time, and a remark or "".

    It is found by the results' identity, so it may be renamed in MLflow. An experiment that has
    the suite's name and mirrors something else is left alone: these results get a name of their
    own.
    """
    from mlflow.entities import ViewType

    identity = suite.identity()
    filter_ = f"tags.`{_RESULTS_TAG}` = '{identity}'"
    mirrors = list(client.search_experiments(ViewType.ALL, filter_string=filter_))
    active = [mirror for mirror in mirrors if mirror.lifecycle_stage == "active"]
    if active:
        return active[0], ""
    if mirrors:
        return _restored(client, mirrors[0])
    namesake = client.get_experiment_by_name(plan.name)
    if namesake is None:
        return _made(client, suite, plan, plan.name, identity), ""
    if _is_unclaimed(client, namesake):
        remark = ""
        if namesake.lifecycle_stage == "deleted":
            namesake, remark = _restored(client, namesake)
        client.set_experiment_tag(namesake.experiment_id, _RESULTS_TAG, identity)
        return namesake, remark
    name = f"{plan.name}-{identity[:_DIGITS]}"
    whose = "of other results" if _RESULTS_TAG in namesake.tags else "not lipbench's"
    deleted = ", and deleted" if namesake.lifecycle_stage == "deleted" else ""
    remark = f"MLflow: the experiment {plan.name} is {whose}{deleted}; this one is called {name}"
    return _made(client, suite, plan, name, identity), remark


def _restored(client: MlflowClient, deleted: Experiment) -> tuple[Experiment, str]:
    client.restore_experiment(deleted.experiment_id)
    return deleted, f"MLflow: the experiment {deleted.name} was deleted; it is restored"


def _is_unclaimed(client: MlflowClient, namesake: Experiment) -> bool:
    """Return whether an older lipbench made an experiment: it has no identity, but its runs."""
    from mlflow.entities import ViewType

    if _RESULTS_TAG in namesake.tags:
        return False
    filter_ = f"tags.`{HASH_TAG}` LIKE '%'"
    return bool(client.search_runs([namesake.experiment_id], filter_, ViewType.ALL, 1))


def _made(
    client: MlflowClient, suite: SuiteFolder, plan: Plan, name: str, identity: str
) -> Experiment:
    artifacts = (suite.path.parent / "mlflow-artifacts" / name).resolve().as_uri()
    # MLflow's page then opens on training runs, and not on traces of language models.
    tags = {_RESULTS_TAG: identity, "mlflow.experimentKind": "custom_model_development"}
    tags |= {"mlflow.note.content": plan.description} if plan.description else {}
    return client.get_experiment(client.create_experiment(name, artifacts, tags))
