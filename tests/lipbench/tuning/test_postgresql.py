"""A study on a PostgreSQL server, which nodes without a common file system can share."""

from __future__ import annotations

import optuna


def test_a_study_on_postgresql_is_found_with_its_trials(postgresql):
    storage = optuna.storages.RDBStorage(postgresql)
    study = optuna.create_study(storage=storage, study_name="parabola")
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=2)
    storage.engine.dispose()

    storage = optuna.storages.RDBStorage(postgresql)
    found = optuna.load_study(storage=storage, study_name="parabola")
    assert [trial.params for trial in found.trials] == [trial.params for trial in study.trials]
    assert len(found.trials) == 2
    storage.engine.dispose()
