"""Fits Gaussian processes on the embedding of an ensemble, exact or, of many rows, variational."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from botorch.models.utils.inducing_point_allocators import GreedyVarianceReduction
from gpytorch.constraints import GreaterThan
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from torch import Tensor

from surrogates.calibration import FEWEST_ROWS, GAUSSIAN_FACTOR, conformal_factor, zone_factors
from surrogates.gaussian_process import GaussianProcess
from surrogates.gp import GPForm, MixtureGP
from surrogates.gp_predictor import GPInputs, columns_of, side_by_side
from surrogates.judged_ensemble import AnyJudgedEnsemble, Unseen
from surrogates.mixing import Encoder
from surrogates.mixture_data import MixtureData
from surrogates.prediction import UNCALIBRATED, Calibration
from surrogates.repeatability import within_groups

EXACT_UP_TO = 3000
"""Rows above which the process is variational unless it is told otherwise."""
_DIRECTIONS = 16
_LEARNT_FROM = 500
"""Rows from which the lengthscales are learnt, drawn at random: with all 860 rows of a MolSets split the fit
took eight times as long and errors were no smaller."""
_STEPS = 60
"""Of L-BFGS at most."""
_INDUCING = 800
"""On 12,266 rows of CALiSol-23, MAE and NLL of a thousand others fell with more: 0.120 and 0.009 with 200,
0.084 and -0.219 with 400, 0.067 and -0.322 with 800, standardised."""
_OFFERED = 4000
"""Rows among which inducing points are chosen: BoTorch holds the covariance of each with each, 128 MB."""
_FEWEST_REPEATS = 20
"""Degrees of freedom that a variance of repeats needs before it bounds the noise."""
_LEAST_NOISE = 1e-4


def fit_gp(judged: AnyJudgedEnsemble, seed: int, form: GPForm | None = None) -> MixtureGP:
    """Fit a process to the rows an ensemble has learnt from, on the embedding of its encoders.

    The variances are those of the marginal likelihood; scaling them as an ensemble's are made them worse on
    unseen solvents. The interval is conformal: processes on the judges' embeddings, fitted without the rows
    that each has not seen, say how far off such rows are in standard deviations.

    Args:
        judged: The ensemble and its judge.
        seed: Of the draw of rows from which lengthscales are learnt.
        form: `exact` or `variational`; by default what the number of rows asks for.

    Source: the kernel's priors are those of Hvarfner et al., ICML 2024, as BoTorch ships them.
    """
    data = judged.data
    unseen = judged.unseen(lambda judge, rows: _fitted(judge, data, rows, seed, form))
    gp = _fitted(judged.model, data, torch.arange(len(data)), seed, form)
    return replace(gp, calibration=interval(unseen))


def interval(unseen: Unseen) -> Calibration:
    """Return the calibration that leaves variances alone, with the conformal interval of each zone."""
    error = ((unseen.target - unseen.said.mean).abs() / unseen.said.std).double().numpy()
    return interval_of(error, unseen.zone.numpy())


def interval_of(error: NDArray[np.float64], zone: NDArray[np.int8] | None = None) -> Calibration:
    """Return the calibration of absolute errors in standard deviations; of few it is the Gaussian's.

    Args:
        error: `n`, of rows that were not learnt from.
        zone: `n`, where each stands in the model's domain; by default zones are not told apart.
    """
    if len(error) < FEWEST_ROWS:
        note = (
            f"{len(error)} rows to calibrate on, fewer than {FEWEST_ROWS}: intervals of "
            f"{GAUSSIAN_FACTOR:.3f} standard deviations as of a Gaussian."
        )
        return Calibration(1.0, 1.0, 1.0, GAUSSIAN_FACTOR, note)
    by_zone = () if zone is None else zone_factors(error, zone)
    return Calibration(1.0, 1.0, 1.0, conformal_factor(error), "", by_zone)


def _fitted(encoder: Encoder, data: MixtureData, rows: Tensor, seed: int, form: GPForm | None) -> MixtureGP:
    predictor, features = encoder.bind(data.table), encoder.features.of(data.table)
    batch = data.batch[rows]
    with torch.no_grad():
        mixed, columns = predictor.mixed(batch), columns_of(features, batch)
    inputs = fit_inputs(mixed, columns)
    x, y = inputs.of(mixed, columns), (data.target[rows] - encoder.shift) / encoder.scale
    process = fit_process(x, y, seed, form)
    return MixtureGP(encoder, inputs, process, UNCALIBRATED)


def fit_inputs(mixed: Tensor, columns: Tensor) -> GPInputs:
    """Return the principal directions of what members make of the training rows, and the columns' scales.

    The first direction gets the standard deviation 1, and the others what they have beside it.

    Args:
        mixed: `K x n x e`.
        columns: `n x r`.
    """
    embedded = side_by_side(mixed)
    shift, scale = embedded.mean(0), _inverse_spread(embedded)
    _, spread, directions = torch.linalg.svd((embedded - shift) * scale, full_matrices=False)
    first = (spread[0] / len(embedded) ** 0.5).clamp_min(1e-6)  # 0 where all rows are one
    return GPInputs(
        shift=shift,
        directions=(directions[:_DIRECTIONS] * scale).T.contiguous() / first,
        column_shift=columns.mean(0),
        column_scale=_inverse_spread(columns),
    )


def fit_process(
    x: Tensor, y: Tensor, seed: int, form: GPForm | None = None, least_noise: float = _LEAST_NOISE
) -> GaussianProcess:
    """Return the process of most marginal likelihood, with the priors on lengthscales and noise.

    Lengthscales, noise and mean are learnt from some of the rows, the posterior from all. The noise is not
    below what rows with the same inputs show, if there are enough of them.

    Args:
        x: `n x d`, float64.
        y: `n`, standardised.
        seed: Of the draw.
        form: `exact` or `variational`; by default what the number of rows asks for.
        least_noise: What the variance of a measurement is known not to be below.
    """
    drawn = learnt_from(len(x), seed)
    kernel = get_covar_module_with_dim_scaled_prior(x.shape[1], use_rbf_kernel=False)
    gp = SingleTaskGP(x[drawn], y[drawn, None], covar_module=kernel, outcome_transform=None)
    floor = max(repeat_variance(x, y), least_noise, _LEAST_NOISE)
    gp.likelihood.noise_covar.register_constraint(
        "raw_noise", GreaterThan(floor, transform=None, initial_value=2 * floor)
    )
    most_likely(gp)
    lengthscale = kernel.lengthscale.detach()[0]
    constant, noise = gp.mean_module.constant.detach(), gp.likelihood.noise.detach()[0]
    return posterior_of(x, y, lengthscale, constant, noise, form)


def learnt_from(rows: int, seed: int) -> Tensor:
    """Return the rows from which lengthscales are learnt, at most 500, drawn from so many."""
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[:_LEARNT_FROM]


def most_likely(gp: SingleTaskGP) -> None:
    """Give a process the hyperparameters of most marginal likelihood times their priors, in place."""
    fit_gpytorch_mll(
        ExactMarginalLogLikelihood(gp.likelihood, gp), optimizer_kwargs={"options": {"maxiter": _STEPS}}
    )


def posterior_of(
    x: Tensor,
    y: Tensor,
    lengthscale: Tensor,
    constant: Tensor,
    noise: Tensor,
    form: GPForm | None = None,
) -> GaussianProcess:
    """Return the posterior of `n` rows; above 3,000 it has inducing points unless `form` says otherwise.

    The noise is a number, or one a row.

    The inducing points are rows, each chosen where the others leave most variance, from a draw of 4,000. On
    CALiSol-23 six epochs of BoTorch's `SingleTaskVariationalGP` from the same lengthscales had 1.8 times the
    error (400 points; 1.3 times with its distribution replaced by the best one) in twice the time.

    Source: Burt et al., J. Mach. Learn. Res. 21, 131 (2020).
    """
    if (form or ("exact" if len(x) <= EXACT_UP_TO else "variational")) == "exact":
        return GaussianProcess.exact(x, y, lengthscale, constant, noise)
    kernel = get_covar_module_with_dim_scaled_prior(x.shape[1], use_rbf_kernel=False).double()
    kernel.lengthscale = lengthscale
    drawn = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:_OFFERED]
    centres = GreedyVarianceReduction().allocate_inducing_points(x[drawn], kernel, _INDUCING, torch.Size())
    return GaussianProcess.variational(x, y, centres.detach(), lengthscale, constant, noise)


def repeat_variance(x: Tensor, y: Tensor) -> float:
    """Return the variance of `y` between rows with the same inputs, pooled; 0 if they are too few.

    Args:
        x: `n x d`.
        y: `n`.
    """
    squares, freedom = within_groups(y, x.unique(dim=0, return_inverse=True)[1])
    return squares / freedom if freedom >= _FEWEST_REPEATS else 0.0


def _inverse_spread(values: Tensor) -> Tensor:
    std = values.std(0, correction=0)
    return torch.where(std > 1e-6, 1 / std.clamp_min(1e-6), 0.0)
