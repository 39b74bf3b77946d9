"""Small ensembles with their judges, and what stands on them."""

from __future__ import annotations

from functools import cache
from unittest.mock import patch

import torch

from surrogates.deep_kernel import fit_deep_kernel
from surrogates.ensemble import MixtureEnsemble, fit_judged_ensemble
from surrogates.gp import MixtureGP
from surrogates.gp_fitting import fit_gp
from surrogates.judged_ensemble import AnyJudgedEnsemble, JudgedEnsemble
from surrogates.law_ensemble import LawEnsemble, fit_judged_law_ensemble
from tests.synthetic_laws import SETTINGS as LAW_SETTINGS
from tests.synthetic_laws import vft_data
from tests.synthetic_mixtures import SETTINGS, synthetic_data


@cache
def judged_ensemble() -> JudgedEnsemble[MixtureEnsemble]:
    """Return two members that have seen 60 rows three times, and two judges."""
    with patch("surrogates.teacher._TREES", 10):
        return fit_judged_ensemble(synthetic_data(), torch.arange(60), SETTINGS, seed=0)


@cache
def judged_law_ensemble() -> JudgedEnsemble[LawEnsemble]:
    """Return two members that have seen 60 rows over temperature twice, and two judges."""
    return fit_judged_law_ensemble(vft_data(), torch.arange(60), LAW_SETTINGS, seed=0)


def judged(encoder: str) -> AnyJudgedEnsemble:
    """Return that of an encoder."""
    return judged_ensemble() if encoder == "molsets" else judged_law_ensemble()


@cache
def small_gp(encoder: str = "molsets") -> MixtureGP:
    """Return an exact process on it."""
    with patch("surrogates.gp_fitting._STEPS", 15):
        return fit_gp(judged(encoder), seed=0)


@cache
def small_deep_kernel(encoder: str = "molsets") -> MixtureGP:
    """Return a deep kernel of a few steps."""
    with (
        patch("surrogates.gp_fitting._STEPS", 5),
        patch("surrogates.deep_kernel._STEPS", 6),
        patch("surrogates.deep_kernel._WATCH_EVERY", 2),
        patch("surrogates.deep_kernel._KERNEL_RATE", 0.1),
    ):
        return fit_deep_kernel(judged(encoder), seed=0)
