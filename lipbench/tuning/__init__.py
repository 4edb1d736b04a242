"""Tuning: a study gives each method the same budget to find its hyperparameters.

`record` (what a study is), `space`, `objectives` and `analysis` know no Optuna; `samplers`,
`storage` and `tuner` do.
"""
