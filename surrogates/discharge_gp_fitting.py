"""Fits a Gaussian process of the capacity on the embedding of an ensemble of DRXNet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from surrogates.discharge import embed_compositions
from surrogates.discharge_domain import DischargeDomain
from surrogates.discharge_gp import DischargeGP, capacities_of, condition_columns
from surrogates.discharge_profiles import ProfileData
from surrogates.errors import InputError, Problem
from surrogates.gaussian_process import GaussianProcess
from surrogates.gp_fitting import EXACT_UP_TO, fit_inputs, fit_process, interval_of
from surrogates.members import Members

_LEAST_SCALE_MAH_G = 1e-3
"""Of capacities that are all the same."""


def check_gp(data: ProfileData) -> None:
    """Check that a process can be fitted to some profiles.

    Raises:
        InputError: If there are too many, for the cost grows with the cube of their number.
    """
    if len(data) > EXACT_UP_TO:
        wrong = f"{len(data)} profiles; a Gaussian process of discharge takes at most {EXACT_UP_TO}"
        raise InputError(Problem(data.source, wrong, "Write surrogate: ensemble, and no gp in beside."))


def fit_discharge_gp(
    members: Members, domain: DischargeDomain, data: ProfileData, rows: Tensor, seed: int
) -> DischargeGP:
    """Fit an exact process to the capacities of the profiles that an ensemble has learnt from.

    The interval is conformal where at least 10 rows calibrate: by what the posterior says of each composition
    as if it had not been there, or of each profile where there is one composition only. Members, lengthscales
    and noise have seen it, so that these errors are somewhat too small.

    Args:
        members: The `K` networks, fitted.
        domain: What they know.
        data: Discharge profiles.
        rows: Indices of those to learn from.
        seed: Of the draw of rows from which lengthscales are learnt.
    """
    composition = data.composition[rows]
    embedding = embed_compositions(members, data.table, data.batch)[:, composition]
    columns = condition_columns(data.conditions[rows])
    told = fit_inputs(embedding, columns)
    kinds = len(composition.unique())
    # The differences of `kinds` points span one dimension less; a further direction would be rounding.
    inputs = replace(told, directions=told.directions[:, : kinds - 1].contiguous())
    capacity = capacities_of(data)[rows]
    shift, scale = float(capacity.mean()), max(float(capacity.std()), _LEAST_SCALE_MAH_G)
    process = fit_process(inputs.of(embedding, columns), (capacity - shift) / scale, seed, "exact")
    left_out = composition if kinds > 1 else torch.arange(len(rows))
    calibration = interval_of(left_out_errors(process, left_out))
    return DischargeGP(members, domain, inputs, process, shift, scale, calibration)


def left_out_errors(process: GaussianProcess, groups: Tensor) -> NDArray[np.float64]:
    """Return how far off each row is where the rows of its group are left out, in standard deviations.

    With the inverse covariance `B` of all measurements and `a = B (y - m)`, the rows `g` miss by
    `inv(B_gg) a_g` with the covariance `inv(B_gg)`.

    Args:
        process: Exact, of `n` rows.
        groups: `n`, int64.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 5.4.2.
    """
    error = torch.zeros(len(process), dtype=process.weights.dtype)
    for group in groups.unique():
        rows = (groups == group).nonzero()[:, 0]
        covariance = torch.linalg.inv(process.reduction[rows][:, rows])
        error[rows] = (covariance @ process.weights[rows]).abs() / covariance.diagonal().sqrt()
    return error.numpy()
