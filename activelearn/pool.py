"""A batch of experiments out of a pool, each chosen beside those before it, on a posterior computed once.

What a further candidate adds to a batch can be summed over draws without looking at those before it again: it
is enough to keep, of each draw, the best so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from botorch.acquisition.logei import TAU_RELU
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.safe_math import log_fatplus, logmeanexp
from gpytorch.distributions import MultivariateNormal
from torch import Tensor

from activelearn.acquisition import Acquisition

DrawsKind = Literal["log-ei", "thompson"]
"""Rules that look at draws alone."""
_DRAWS = 1024
_SMOOTH = 1e-3
"""Width, in standard deviations, of the step by which a draw counts as better than the best."""


@dataclass(frozen=True)
class JointPosterior:
    """What a model says of `n` candidates together, with `p` pending and `r` measured mixtures behind them.

    Attributes:
        mean: `n + p + r`.
        covariance: `(n + p + r) x (n + p + r)`.
        noise: Variance of a measurement.
        candidates: `n`.
        pending: `p`.
    """

    mean: Tensor
    covariance: Tensor
    noise: float
    candidates: int
    pending: int


@dataclass(frozen=True)
class Batch:
    """Candidates that were chosen.

    Attributes:
        places: `q`, int64, in the order of their choice, all different.
        values: `q`, what each adds beside those before it: the logarithm of the expected improvement, a
            probability, a bound, a mean or a standard deviation.
    """

    places: Tensor
    values: Tensor


def choose(acquisition: Acquisition, posterior: JointPosterior, best: float, q: int, seed: int) -> Batch:
    """Return a batch of candidates, each the one that adds most to those before it.

    Args:
        acquisition: The rule.
        posterior: Of the candidates; of `log-nei` with at least one measured mixture.
        best: Best value that was measured, for `log-ei` and `pi`.
        q: How many, at most `n`.
        seed: Of the draws.

    Raises:
        ValueError: If there are fewer candidates.
    """
    n = posterior.candidates
    if q > n:
        raise ValueError(f"{n} candidates are fewer than {q}")
    kind = acquisition.kind
    if kind == "mean":
        order = posterior.mean[:n].argsort(descending=True, stable=True)[:q]
        return Batch(order, posterior.mean[order])
    if kind in ("ucb", "exploration"):
        weight = acquisition.kappa if kind == "ucb" else 1.0
        start = posterior.mean[:n] if kind == "ucb" else torch.zeros_like(posterior.mean[:n])
        return _by_bound(posterior, start, weight, q)
    draws = _draws(posterior, seed)
    if kind == "thompson":
        return _by_thompson(draws[:, :n], q)
    is_exact = kind in ("log-ei", "pi")
    floor = draws.new_full((len(draws),), best) if is_exact else draws[:, n + posterior.pending :].amax(1)
    waiting = draws[:, n : n + posterior.pending]
    scale = float(posterior.covariance.diagonal()[:n].mean().sqrt().clamp_min(1e-9))
    choose_by = _by_probability if kind == "pi" else _by_improvement
    return choose_by(draws[:, :n], waiting, floor, scale, q)


def choose_of_draws(kind: DrawsKind, draws: Tensor, best: float, q: int) -> Batch:
    """Return a batch by draws that are given, as the members of an ensemble are.

    Args:
        kind: The rule.
        draws: `S x n`, what each holds possible of each candidate.
        best: Best value that was measured, for `log-ei`.
        q: How many, at most `n`.

    Raises:
        ValueError: If there are fewer candidates.
    """
    n = draws.shape[1]
    if q > n:
        raise ValueError(f"{n} candidates are fewer than {q}")
    if kind == "thompson":
        return _by_thompson(draws, q)
    scale = float(draws.var(0).mean().sqrt().clamp_min(1e-9))
    return _by_improvement(draws, draws[:, :0], draws.new_full((len(draws),), best), scale, q)


def _draws(posterior: JointPosterior, seed: int) -> Tensor:
    """Return draws of all, `S x (n + p + r)`."""
    lifted = posterior.covariance + 1e-6 * posterior.covariance.diagonal().mean() * torch.eye(
        len(posterior.mean), dtype=posterior.mean.dtype
    )
    normal = GPyTorchPosterior(MultivariateNormal(posterior.mean, lifted))
    drawn: Tensor = SobolQMCNormalSampler(torch.Size([_DRAWS]), seed)(normal)
    return drawn[..., 0]


def _by_improvement(draws: Tensor, waiting: Tensor, floor: Tensor, scale: float, q: int) -> Batch:
    """Choose by the logarithm of the mean of what each draw is above the best so far."""
    so_far = torch.cat([floor[:, None], waiting], dim=1).amax(1)
    free, places, values = torch.ones(draws.shape[1], dtype=torch.bool), [], []
    for _ in range(q):
        above = log_fatplus((draws - so_far[:, None]) / scale, tau=TAU_RELU)
        gain = logmeanexp(above, dim=0).masked_fill(~free, -torch.inf)
        place = int(gain.argmax())
        places.append(place)
        values.append(float(gain[place]))
        free[place] = False
        so_far = torch.maximum(so_far, draws[:, place])
    # Back from standard deviations to the target's unit.
    return Batch(torch.tensor(places), torch.tensor(values, dtype=draws.dtype) + torch.tensor(scale).log())


def _by_probability(draws: Tensor, waiting: Tensor, floor: Tensor, scale: float, q: int) -> Batch:
    """Choose by the probability that one is better than the floor where none before it is."""
    is_above = torch.sigmoid((draws - floor[:, None]) / (_SMOOTH * scale))
    missed = (1 - torch.sigmoid((waiting - floor[:, None]) / (_SMOOTH * scale))).prod(1)
    free, places, values = torch.ones(draws.shape[1], dtype=torch.bool), [], []
    for _ in range(q):
        gain = (missed[:, None] * is_above).mean(0).masked_fill(~free, -1.0)
        place = int(gain.argmax())
        places.append(place)
        values.append(float(gain[place]))
        free[place] = False
        missed = missed * (1 - is_above[:, place])
    return Batch(torch.tensor(places), torch.tensor(values, dtype=draws.dtype))


def _by_thompson(draws: Tensor, q: int) -> Batch:
    """Choose the best of a draw each, of those that are left."""
    free, places, values = torch.ones(draws.shape[1], dtype=torch.bool), [], []
    for t in range(q):
        of_draw = draws[t % len(draws)].masked_fill(~free, -torch.inf)
        place = int(of_draw.argmax())
        places.append(place)
        values.append(float(of_draw[place]))
        free[place] = False
    return Batch(torch.tensor(places), torch.tensor(values, dtype=draws.dtype))


def _by_bound(posterior: JointPosterior, start: Tensor, weight: float, q: int) -> Batch:
    """Choose by a mean plus standard deviations, which shrink as if those before had been measured.

    Source: Desautels et al., J. Mach. Learn. Res. 15, 3873 (2014).
    """
    n, waiting = posterior.candidates, range(posterior.candidates, posterior.candidates + posterior.pending)
    covariance = posterior.covariance
    variance, learnt = covariance.diagonal().clone(), covariance.new_zeros(len(covariance), 0)

    def measure(place: int) -> None:
        nonlocal learnt, variance
        shared = covariance[:, place] - learnt @ learnt[place]
        column = shared / (variance[place] + posterior.noise).clamp_min(1e-30).sqrt()
        learnt = torch.cat([learnt, column[:, None]], dim=1)
        variance = (variance - column.square()).clamp_min(0.0)

    for place in waiting:
        measure(place)
    free, places, values = torch.ones(n, dtype=torch.bool), [], []
    for _ in range(q):
        bound = (start + weight * variance[:n].sqrt()).masked_fill(~free, -torch.inf)
        place = int(bound.argmax())
        places.append(place)
        values.append(float(bound[place]))
        free[place] = False
        measure(place)
    return Batch(torch.tensor(places), torch.tensor(values, dtype=start.dtype))
