"""What makes an experiment worth doing: scores for a screen, functions for BoTorch's optimisers.

All look at the target without the noise of its measurement: what more data would mend counts as uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.analytic import (
    LogExpectedImprovement,
    LogProbabilityOfImprovement,
    PosteriorMean,
    PosteriorStandardDeviation,
    UpperConfidenceBound,
)
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.models.model import Model
from botorch.posteriors.ensemble import EnsemblePosterior
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.posteriors.posterior import Posterior
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.distributions import MultivariateNormal
from torch import Tensor

from activelearn.screening import Score, by_mean
from surrogates.botorch_gp import GPSurrogate
from surrogates.prediction import Prediction

Goal = Literal["best", "top"]
"""The optimum, or as many as possible of the best candidates."""
Kind = Literal["log-nei", "log-ei", "ucb", "pi", "thompson", "mean", "exploration"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FOR_GOAL: dict[Goal, Kind] = {"best": "log-nei", "top": "ucb"}
"""Of 11,340 mixtures of the virtual laboratory a process found 0.68 and 0.92 (two seeds) of the best 1 %
by `ucb` with one standard deviation, 0.48 and 0.43 by `mean`; of the best 5 % of MolSets 0.96 and 0.93."""
TOP_KAPPA = 1.0
WORDS: dict[Kind, str] = {
    "log-nei": "highest expected improvement on the best so far, whose own value is uncertain",
    "log-ei": "highest expected improvement on the best measured value",
    "ucb": "highest upper confidence bound",
    "pi": "likeliest to be better than the best measured value",
    "thompson": "best of one function that the model holds possible",
    "mean": "highest predicted value",
    "exploration": "the model knows least here",
}
_SAMPLES = 256
"""Draws of a posterior in BoTorch's Monte Carlo functions."""
_LEAST_STD = 1e-9


@dataclass(frozen=True)
class Acquisition:
    """A rule by which experiments are chosen.

    Attributes:
        kind: Which.
        kappa: Standard deviations that `ucb` adds to the mean.
    """

    kind: Kind
    kappa: float = 2.0

    def score(self, best: float) -> Score:
        """Return what each candidate is worth alone, for a screen; it pickles.

        Args:
            best: Best value that was measured, for improvements.
        """
        if self.kind == "mean":
            return by_mean
        # A function that is drawn is best where the mean is high or little is known.
        return partial(
            _worth, kind="ucb" if self.kind == "thompson" else self.kind, kappa=self.kappa, best=best
        )

    def function(
        self, model: Gaussian, best: float, baseline: Tensor, pending: Tensor | None, seed: int
    ) -> AcquisitionFunction:
        """Return BoTorch's acquisition function of one more experiment, `b x 1 x d` to `b`.

        Those without samples learn of pending experiments by a process that takes its own mean for what they
        will give; an ensemble cannot.

        Args:
            model: What is believed.
            best: Best value that was measured.
            baseline: `r x d`, what was measured, as the model takes it; at least one.
            pending: `p x d`, what is being measured.
            seed: Of the draws.

        Raises:
            ValueError: For `thompson`, which is of a pool.
        """
        sampler = SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed)
        if self.kind == "log-nei":
            return qLogNoisyExpectedImprovement(
                model, baseline, sampler, X_pending=pending, prune_baseline=False, cache_root=False
            )
        if self.kind == "thompson":
            raise ValueError("thompson draws a function over a pool; it has no value of its own")
        if pending is not None and self.kind != "mean":
            best = max(best, float(joint(model, pending)[0].max()))
            model = model.believing(pending)
        return _analytic(self.kind, model, best, self.kappa)


class Gaussian(Model):
    """A model whose posteriors are Gaussian: those of an ensemble have its members' mean and covariance.

    Args:
        model: Any of this package's BoTorch models.
    """

    num_outputs = 1

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    @property
    def batch_shape(self) -> torch.Size:
        """Of the model."""
        return self.model.batch_shape

    def believing(self, X: Tensor) -> Gaussian:
        """Return the model as if it had measured, at `p x d`, what it expects there; an ensemble as it is."""
        if not isinstance(self.model, GPSurrogate):
            return self
        expected, _ = joint(self.model, X)
        with torch.no_grad():
            return Gaussian(self.model.condition_on_observations(X, expected.unsqueeze(-1)))

    def posterior(self, X: Tensor, *args: Any, **kwargs: Any) -> Posterior:
        """Return the posterior; see the model's."""
        posterior = self.model.posterior(X, *args, **kwargs)
        if not isinstance(posterior, EnsemblePosterior):
            return posterior
        mean, covariance = _moments(posterior)
        # Five members span four directions; what rounding leaves is lifted, so that draws can be made.
        lifted = 1e-6 * covariance.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True) + _LEAST_STD**2
        return GPyTorchPosterior(
            MultivariateNormal(mean, covariance + lifted.expand(mean.shape).diag_embed())
        )


class Known(Model):
    """A posterior that was computed before, as a model whose `X` is the place of a candidate, `b x q x 1`.

    Args:
        mean: `n`.
        covariance: `n x n`, or `n` variances of candidates that are asked for one by one.
    """

    num_outputs = 1
    batch_shape = torch.Size()

    def __init__(self, mean: Tensor, covariance: Tensor) -> None:
        super().__init__()
        self.mean, self.covariance = mean, covariance

    def posterior(self, X: Tensor, *args: Any, **kwargs: Any) -> Posterior:
        """Return the joint posterior of candidates."""
        place = X[..., 0].round().long()
        if self.covariance.dim() == 1:
            covariance = self.covariance[place].unsqueeze(-1)
        else:
            covariance = self.covariance[place.unsqueeze(-1), place.unsqueeze(-2)]
        posterior = GPyTorchPosterior(MultivariateNormal(self.mean[place], covariance))
        transform = kwargs.get("posterior_transform")
        return posterior if transform is None else transform(posterior)


def joint(model: Model, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean, `n`, and covariance, `n x n`, of a model at `n x d`, without noise, float64."""
    with torch.no_grad():
        posterior = model.posterior(X)
        if isinstance(posterior, GPyTorchPosterior):
            return posterior.mean[..., 0], posterior.distribution.covariance_matrix
        if isinstance(posterior, EnsemblePosterior):
            return _moments(posterior)
    raise TypeError(f"{type(posterior).__name__} has no moments that are known here")


def _moments(posterior: EnsemblePosterior) -> tuple[Tensor, Tensor]:
    """Return mean, `... q`, and covariance, `... q x q`, of members, `... K x q x 1`."""
    values = posterior.values[..., 0]
    mean = values.mean(-2)
    apart = (values - mean.unsqueeze(-2)) / (values.shape[-2] - 1) ** 0.5
    return mean, apart.mT @ apart


def _worth(prediction: Prediction, kind: Kind, kappa: float, best: float) -> Tensor:
    """Return what BoTorch's analytic function says of each candidate of a screen, `n`, float64."""
    # Out of the inference mode of a screen: constants that BoTorch keeps from it would have no gradients.
    with torch.inference_mode(False), torch.no_grad():
        mean, variance = prediction.mean.double().clone(), prediction.epistemic.double().clone()
        model = Known(mean, variance.clamp_min(_LEAST_STD**2))
        places = torch.arange(len(mean), dtype=torch.float64).view(-1, 1, 1)
        worth: Tensor = _analytic(kind, model, best, kappa)(places)
    return worth


def _analytic(kind: Kind, model: Model, best: float, kappa: float) -> AcquisitionFunction:
    if kind in ("log-ei", "log-nei"):
        return LogExpectedImprovement(model, best)
    if kind == "pi":
        return LogProbabilityOfImprovement(model, best)
    if kind == "ucb":
        return UpperConfidenceBound(model, kappa**2)
    return PosteriorMean(model) if kind == "mean" else PosteriorStandardDeviation(model)
