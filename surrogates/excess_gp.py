"""A Gaussian process of an excess property on what an ensemble's graph networks make of two molecules.

The property is `4 x1 x2 g`, with the process on `g`: it is 0 of a pure component, and before any measurement
0 of all mixtures, as if they were ideal. Exchanging the components does not change the inputs of `g`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.kernels import ScaleKernel
from gpytorch.means import ZeroMean
from scipy.stats import norm
from torch import Tensor

from surrogates.atom_features import atom_features
from surrogates.calibration import fit_calibration
from surrogates.excess_data import ExcessData
from surrogates.excess_models import ExcessEnsemble
from surrogates.excess_training import blend, predict
from surrogates.gaussian_process import GaussianProcess
from surrogates.gp_fitting import fit_inputs, learnt_from, most_likely, posterior_of
from surrogates.gp_predictor import GPInputs
from surrogates.members import Members
from surrogates.prediction import UNCALIBRATED, Calibration, Prediction

_ROWS = 2048
"""Rows of which the covariance with all centres is held at once: 50 MB with 3,000 centres."""
_LEAST_WEIGHT = 1e-3
"""Of a pure component, which says nothing of `g`: its row then has a million times the variance of noise."""
_LEAST_NOISE = 1e-6
"""Of a row, over the mean square of `g`; below it GPyTorch warns of rounding."""
_MEDIAN = float(norm.ppf(0.75))
"""Median of the absolute error of a Gaussian, in standard deviations."""


@dataclass(frozen=True)
class ExcessGP:
    """A fitted Gaussian process of an excess property.

    Attributes:
        ensemble: Whose members embed molecules; its domain is the process's.
        inputs: What the process is told, see `pair_embedding`.
        process: Of `g / unit`, exact up to 3,000 rows, else with inducing points.
        unit: Standard deviation of `g` before any measurement, in the target's unit.
        noise: Variance of a measurement, in the target's unit squared.
        calibration: What makes the variances and the interval true.
    """

    ensemble: ExcessEnsemble
    inputs: GPInputs
    process: GaussianProcess
    unit: float
    noise: float
    calibration: Calibration

    def predict(self, data: ExcessData) -> Prediction:
        """Return mean and variance of the mixtures of some measurements, `n`, float32.

        They do not depend on the order of components.
        """
        x = inputs_of(self.ensemble.members, self.inputs, data)
        said = [self.process.mean_and_variance(rows) for rows in x.split(_ROWS)]
        mean, variance = (torch.cat(parts) for parts in zip(*said, strict=True))
        weight = self.unit * _weight(data)
        noise = torch.full_like(mean, self.noise)
        epistemic, aleatoric = self.calibration.apply(weight.square() * variance, noise)
        return Prediction(
            mean=(weight * mean).float(),
            epistemic=epistemic.float(),
            aleatoric=aleatoric.float(),
            in_domain=self.ensemble.domain.holds(data.table, blend(data)),
            interval_factor=torch.full((len(mean),), self.calibration.interval_factor),
        )


def fit_excess_gp(
    ensemble: ExcessEnsemble, data: ExcessData, train: Tensor, validate: Tensor, seed: int
) -> ExcessGP:
    """Fit and calibrate a process on the embedding of an ensemble. No row but those named is looked at.

    Published tables hold wrong digits, for which a process would take all rows to be noisy. The ensemble was
    fitted to absolute errors and passes them by. So the noise of a row has, beside the variance that typical
    errors of the ensemble tell, which is that of rows to come, the square of the ensemble's error in this
    row. Lengthscales and the standard deviation of `g` are those of most marginal likelihood.

    Args:
        ensemble: Fitted to the same rows.
        data: Measurements.
        train: Indices of the rows to learn from.
        validate: Indices of the rows that calibrate the variances.
        seed: Of the draw of rows from which lengthscales are learnt.

    Source: the kernel's priors are those of Hvarfner et al., ICML 2024, as BoTorch ships them.
    """
    known = data.take(train)
    inputs = fit_inputs(pair_embedding(ensemble.members, known), _columns(known))
    x, y = inputs_of(ensemble.members, inputs, known), known.target
    missed = (predict(ensemble, known).mean.double() - y).abs()
    noise = float((missed.median() / _MEDIAN).square())
    process, unit = _fit_process(x, y, _weight(known), missed.square() + noise, seed)
    noise = max(noise, _LEAST_NOISE * unit**2)
    gp = ExcessGP(ensemble, inputs, process, unit, noise, UNCALIBRATED)
    held = data.take(validate)
    said = gp.predict(held)
    return replace(gp, calibration=fit_calibration(held.target, said.mean, said.epistemic, said.aleatoric))


def inputs_of(members: Members, inputs: GPInputs, data: ExcessData) -> Tensor:
    """Return what a process is told of the mixtures of some measurements, `n x d`, float64."""
    return inputs.of(pair_embedding(members, data), _columns(data))


def pair_embedding(members: Members, data: ExcessData) -> Tensor:
    """Return what members make of two molecules at their fractions, `K x n x 3 e`.

    Half of the sum of both embeddings, the absolute value of half of the difference, and half of the
    difference times `x1 - x2`: which molecules meet, and which of them prevails. Exchanging the components
    changes none of these.

    Args:
        members: With a method `embed`.
        data: `n` mixtures.
    """
    with torch.no_grad():
        embedding = members.each("embed", data.table, atom_features(data.table)).double()
    first, second = (embedding[:, molecules] for molecules in data.molecules.T)
    half = (first - second) / 2
    return torch.cat([(first + second) / 2, half.abs(), half * _lean(data)[:, None]], dim=-1)


def _fit_process(
    x: Tensor, y: Tensor, weight: Tensor, noise: Tensor, seed: int
) -> tuple[GaussianProcess, float]:
    """Return the process of `y` over weight and unit, and the unit.

    Args:
        x: `n x d`.
        y: `n`, the property.
        weight: `n`, what `g` is multiplied by.
        noise: `n`, variance of each `y`.
        seed: Of the draw.
    """
    weight = weight.clamp_min(_LEAST_WEIGHT)
    start = max(float(y.square().sum() / weight.square().sum()) ** 0.5, 1e-12)
    over = weight * start
    g, variance = y / over, (noise / over.square()).clamp_min(_LEAST_NOISE)
    drawn = learnt_from(len(x), seed)
    kernel = get_covar_module_with_dim_scaled_prior(x.shape[1], use_rbf_kernel=False)
    scaled = ScaleKernel(kernel)
    most_likely(
        SingleTaskGP(
            x[drawn],
            g[drawn, None],
            variance[drawn, None],
            covar_module=scaled,
            mean_module=ZeroMean(),
            outcome_transform=None,
        )
    )
    spread = scaled.outputscale.detach().sqrt()
    lengthscale, nothing = kernel.lengthscale.detach()[0], torch.zeros((), dtype=x.dtype)
    process = posterior_of(x, g / spread, lengthscale, nothing, variance / spread.square())
    return process, start * float(spread)


def _columns(data: ExcessData) -> Tensor:
    """Return how uneven a mixture is, from 0 to 1, and its temperature [K], `n x 2`."""
    return torch.stack([_lean(data).square(), data.temperature_K], dim=1)


def _lean(data: ExcessData) -> Tensor:
    """Return `x1 - x2`, `n`."""
    return 2 * data.x - 1


def _weight(data: ExcessData) -> Tensor:
    """Return `4 x1 x2`, `n`."""
    return 4 * data.x * (1 - data.x)
