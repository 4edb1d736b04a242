"""Tuning: a study gives each method the same budget to find its hyperparameters.

`record` (what a study is), `entries` and `presets` (what its file says), `space`, `objectives` and
`analysis` know no Optuna; the others do. `tuner` is what `lipbench tune` drives.
"""
