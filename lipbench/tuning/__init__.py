"""Tuning: a study gives each method the same budget to find its hyperparameters.

`record` (what a study is), `entries` and `presets` (what its file says), `space` and `objectives`
know no Optuna, `analysis` only for importances; the others do. `tuner` is what `lipbench tune`
drives.
"""
