"""Search spaces of the large studies. A parameter of a method that a study lacks is left out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lipbench.planning.tune_entries import ChoicesEntry, RangeEntry

# Both studies write [0, 1]; Adam's moments are undefined at 1, so our ranges end at 0.999.
_BETA = RangeEntry(low=0.0, high=0.999)
_LR = RangeEntry(low=1e-5, high=1e-2, log=True)
_N_DIS = ChoicesEntry(choices=[1, 5])
_PENALTY = RangeEntry(low=0.1, high=100.0, log=True)
_CLIP = RangeEntry(low=1e-3, high=1.0, log=True)

PRESETS: Mapping[str, Mapping[str, RangeEntry | ChoicesEntry]] = MappingProxyType(
    {
        # Kurach et al. 2019, as in their code (github.com/google/compare_gan, params.py).
        "kurach2019": {
            "lr": _LR,
            "beta1": _BETA,
            "beta2": _BETA,
            "n_dis": _N_DIS,
            "wgan_gp.coefficient": _PENALTY,
            "gan_gp.coefficient": _PENALTY,
            "dragan.coefficient": _PENALTY,
        },
        # Lucic et al. 2018, the wide ranges of the same code. Beta2 stays what the study's setting
        # says; batch normalization on or off is a choice of methods here.
        "lucic2018_wide": {
            "lr": _LR,
            "beta1": _BETA,
            "n_dis": _N_DIS,
            "wgan_gp.coefficient": _PENALTY,
            "dragan.coefficient": _PENALTY,
            "weight_clipping.bound": _CLIP,
        },
    }
)
