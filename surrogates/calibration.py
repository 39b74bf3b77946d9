"""Are the stated uncertainties true: scores, and a recalibration on held-out rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.stats import norm, pearsonr, rankdata, spearmanr
from scoringrules import crps_normal
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.model_selection import KFold

from surrogates.prediction import BEYOND, KNOWN, WITHIN, Calibration

COVERAGE = 0.9
"""Share of measurements that an interval is meant to hold."""
GAUSSIAN_FACTOR = float(norm.ppf((1 + COVERAGE) / 2))
"""Standard deviations on either side of the mean that hold that share of a Gaussian, 1.645."""
FEWEST_ROWS = 10
"""With fewer rows than this no 90 % quantile exists that new rows keep to."""
LEVELS = (np.arange(100) + 0.5) / 100
"""Shares that central intervals should hold, the midpoints of 100 equal steps from 0 to 1."""
_MOST_BINS, _ROWS_OF_A_BIN = 10, 10
_FOLDS = 5
_LEAST_LEVEL = 1e-12
_LOG_BOUND = float(np.log(1e2))
_OUTLIER = 6.0
_LOWEST_POWER = 0.25
"""Of variances; at 0 all predictions would be equally sure."""


@dataclass(frozen=True)
class Scores:
    """How good predictions are, and how true their uncertainties, over `rows` test rows.

    Attributes:
        rows: Number of test rows.
        mae: Mean absolute error, in the target's unit.
        rmse: Root of the mean squared error, in the target's unit.
        pearson: Correlation of mean and target; nan where either is constant.
        spearman: The same of their ranks.
        nll: Mean negative log density of the target under the Gaussian prediction, in nats.
        crps: Mean continuous ranked probability score of the Gaussian prediction, in the target's unit.
        coverage_90: Share of the targets within `interval_factor` standard deviations of the mean.
        width_90: Mean width of these intervals, in the target's unit.
        error_spearman: Correlation of the ranks of absolute error and standard deviation; nan where either
            is constant.
        ence: Expected normalised calibration error, see `errors_by_std`: mean over the bins of
            `|root mean variance - root mean squared error| / root mean variance`. 0 is perfect.
        miscalibration_area: Integral over `p` from 0 to 1 of `|o(p) - p|`, by the midpoints of 100 equal
            steps; for `o(p)` see `observed_shares`. 0 is perfect, 0.5 the worst.
    """

    rows: int
    mae: float
    rmse: float
    pearson: float
    spearman: float
    nll: float
    crps: float
    coverage_90: float
    width_90: float
    error_spearman: float
    ence: float
    miscalibration_area: float


def scores(target: ArrayLike, mean: ArrayLike, std: ArrayLike, interval_factor: ArrayLike) -> Scores:
    """Return the scores of Gaussian predictions.

    Args:
        target: `n`, measured.
        mean: `n`, predicted, in the same unit.
        std: `n`, above 0, in the same unit.
        interval_factor: Standard deviations on either side of the mean that should hold 90 %; one, or `n`.
    """
    given = (target, mean, std, interval_factor)
    y, mu, sigma, factor = (np.asarray(values, dtype=np.float64) for values in given)
    error = np.abs(y - mu)
    varied = np.ptp(y) > 0 and np.ptp(mu) > 0
    both_vary = np.ptp(error) > 0 and np.ptp(sigma) > 0
    stated, came = errors_by_std(error, sigma)
    return Scores(
        rows=len(y),
        mae=float(mean_absolute_error(y, mu)),
        rmse=float(root_mean_squared_error(y, mu)),
        pearson=float(pearsonr(y, mu).statistic) if varied else float("nan"),
        spearman=float(spearmanr(y, mu).statistic) if varied else float("nan"),
        nll=float(-norm.logpdf(y, mu, sigma).mean()),
        crps=float(np.mean(crps_normal(y, mu, sigma))),
        coverage_90=float((error / sigma <= factor).mean()),
        width_90=float((2 * factor * sigma).mean()),
        error_spearman=float(spearmanr(error, sigma).statistic) if both_vary else float("nan"),
        ence=float((np.abs(stated - came) / stated).mean()),
        miscalibration_area=miscalibration_area(error / sigma),
    )


def observed_shares(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of targets inside each central interval that should hold `LEVELS` of a Gaussian.

    Args:
        z: `n`, absolute errors in standard deviations.
    """
    return np.asarray((z <= norm.ppf((1 + LEVELS[:, None]) / 2)).mean(axis=1))


def miscalibration_area(z: NDArray[np.float64]) -> float:
    """Return the area between shares of targets in central intervals and what they should be, see `Scores`.

    Args:
        z: `n`, absolute errors in standard deviations.
    """
    return float(np.abs(observed_shares(z) - LEVELS).mean())


def levels_of(target: ArrayLike, mean: ArrayLike, std: ArrayLike) -> NDArray[np.float64]:
    """Return the probability that Gaussian predictions give to less than what was measured, `n`."""
    y, mu, sigma = (np.asarray(values, dtype=np.float64) for values in (target, mean, std))
    return np.asarray(norm.cdf((y - mu) / sigma))


def z_of_levels(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the half-width of the smallest central interval of a Gaussian that reaches a level, `n`."""
    return np.asarray(np.abs(norm.ppf(np.clip(level, _LEAST_LEVEL, 1 - _LEAST_LEVEL))))


def fit_cdf(level: NDArray[np.float64]) -> IsotonicRegression:
    """Return the rising map from the level of a prediction to the share of measurements below that level.

    Args:
        level: `n`, `levels_of` rows that the prediction has not learnt from.

    Source: Kuleshov et al., ICML 2018.
    """
    share = (rankdata(level) - 0.5) / len(level)
    return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(level, share)


def recalibrated(level: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64] | None:
    """Return levels after isotonic recalibration, each by the other four fifths of the rows.

    Args:
        level: `n`, see `levels_of`.
        seed: Of the fifths.

    Returns:
        `n`; None for fewer than 50 rows, of which a fifth tells nothing.
    """
    if len(level) < FEWEST_ROWS * _FOLDS:
        return None
    found = np.empty(len(level))
    for known, asked in KFold(_FOLDS, shuffle=True, random_state=seed).split(level):
        found[asked] = fit_cdf(level[known]).predict(level[asked])
    return found


def errors_by_std(
    error: NDArray[np.float64], std: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the stated and the true error of rows that are about equally sure.

    Rows are sorted by standard deviation and cut into bins of equal count: ten, fewer where a bin would hold
    fewer than ten rows.

    Args:
        error: `n`, predicted less measured, or its absolute value.
        std: `n`, above 0, in the same unit.

    Returns:
        Root of the mean variance and root mean squared error of each bin, in the same unit.

    Source: Levi et al., Sensors 22, 5540 (2022).
    """
    bins = max(1, min(_MOST_BINS, len(std) // _ROWS_OF_A_BIN))
    parts = np.array_split(np.argsort(std, kind="stable"), bins)
    stated, came = (np.array([np.mean(of[part] ** 2) for part in parts]) for of in (std, error))
    return np.sqrt(stated), np.sqrt(came)


def fit_calibration(
    target: ArrayLike,
    mean: ArrayLike,
    epistemic: ArrayLike,
    aleatoric: ArrayLike,
    zone: ArrayLike | None = None,
) -> Calibration:
    """Return the scales and power of least Gaussian NLL and the split-conformal factor of 90 % intervals.

    An error beyond six robust standard deviations counts as one of six, so that a wrong measurement does
    not widen every prediction; the conformal factor is a quantile and needs no such care. It is taken
    after scaling on the same rows: three numbers fitted to `n` rows make its guarantee approximate. With
    fewer than 10 rows, both variances get one scale and the factor is the Gaussian's.

    Args:
        target: `n`, at least 1, measured; rows that the model did not train on.
        mean: `n`, predicted, in the same unit.
        epistemic: `n`, variance, may be 0.
        aleatoric: `n`, variance, above 0.
        zone: `n`, where each stands in the model's domain, from 0 on outwards; each zone gets its factor.

    Source: Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018), for the conformal factor; Vovk et al.,
    Algorithmic Learning in a Random World (2005), for one a group.
    """
    y, mu, epi, alea = (
        np.asarray(values, dtype=np.float64) for values in (target, mean, epistemic, aleatoric)
    )
    error = np.abs(y - mu)
    squared = _without_outliers(error, np.sqrt(epi + alea)) ** 2
    common = float(np.clip((squared / (epi + alea)).mean(), np.exp(-_LOG_BOUND), np.exp(_LOG_BOUND)))
    if len(y) < FEWEST_ROWS:
        note = (
            f"{len(y)} rows to calibrate on, fewer than {FEWEST_ROWS}: one scale for both variances, and "
            f"intervals of {GAUSSIAN_FACTOR:.3f} standard deviations as of a Gaussian."
        )
        return Calibration(common, common, 1.0, GAUSSIAN_FACTOR, note)
    epistemic_scale, aleatoric_scale, power = _scales_and_power(squared, epi, alea, common)
    std = np.sqrt(epistemic_scale * epi**power + aleatoric_scale * alea**power)
    z = error / std
    by_zone = () if zone is None else zone_factors(z, np.asarray(zone))
    return Calibration(epistemic_scale, aleatoric_scale, power, conformal_factor(z), "", by_zone)


def conformal_factor(z: NDArray[np.float64]) -> float:
    """Return the standard deviations within which a new row falls with probability 90 % or more.

    The `ceil(0.9 (n + 1))`-th smallest of `n` absolute errors in standard deviations.

    Args:
        z: `n`, at least 9, exchangeable with the new row's.
    """
    return float(np.sort(z)[int(np.ceil(COVERAGE * (len(z) + 1))) - 1])


def zone_factors(z: NDArray[np.float64], zone: NDArray[np.int8]) -> tuple[float, ...]:
    """Return the conformal factor of each zone, never less than that of a nearer one.

    Where a farther zone would have less than the one before, or has fewer than 10 rows, the two are pooled:
    the maximum of both would be too much whenever chance made the nearer one large.

    Args:
        z: `n`, absolute errors in standard deviations, of at least 10 rows.
        zone: `n`, `KNOWN`, `WITHIN` or `BEYOND`.
    """
    pools: list[tuple[NDArray[np.float64], int]] = []
    for one in (KNOWN, WITHIN, BEYOND):
        pools.append((z[zone == one], 1))
        while len(pools) > 1 and not _in_order(*pools[-2:]):
            (near, some), (far, more) = pools[-2:]
            pools[-2:] = [(np.concatenate([near, far]), some + more)]
    return tuple(factor for rows, zones in pools for factor in [conformal_factor(rows)] * zones)


def _in_order(near: tuple[NDArray[np.float64], int], far: tuple[NDArray[np.float64], int]) -> bool:
    """Return whether two pools of errors have rows enough for factors, that of the farther no less."""
    if min(len(near[0]), len(far[0])) < FEWEST_ROWS:
        return False
    return conformal_factor(near[0]) <= conformal_factor(far[0])


def _without_outliers(error: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the errors, none more than six times the spread that their median tells of a Gaussian."""
    spread = np.median(error / std) / norm.ppf(0.75)
    limit: NDArray[np.float64] = _OUTLIER * spread * std
    return np.minimum(error, limit)


def _scales_and_power(
    squared: NDArray[np.float64], epi: NDArray[np.float64], alea: NDArray[np.float64], start: float
) -> tuple[float, float, float]:
    """Return the factors of both variances and their power that minimise the NLL of the squared errors."""
    unit = float(np.median(epi + alea))  # powers are taken of variances in this unit, whatever the target's
    both = np.stack([epi, alea]) / unit
    logs = np.log(np.maximum(both, np.finfo(float).tiny))

    def nll(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parts = unit * np.exp(at[:2, None]) * both ** at[2]
        variance = parts.sum(axis=0)
        slope = (1 - squared / variance) / variance
        gradient = np.append((parts * slope).mean(axis=1), (parts * logs * slope).sum(axis=0).mean())
        return float((np.log(variance) + squared / variance).mean()), gradient

    scale_bounds = (-_LOG_BOUND, _LOG_BOUND)
    fit = minimize(
        nll,
        np.append(np.log([start] * 2), 1.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[scale_bounds, scale_bounds, (_LOWEST_POWER, 1.0)],
    )
    power = float(fit.x[2])
    epistemic_scale, aleatoric_scale = (np.exp(fit.x[:2]) * unit ** (1 - power)).tolist()
    return epistemic_scale, aleatoric_scale, power
