"""Scores against cases worked by hand; recalibration against variances that are known to be wrong."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from surrogates.calibration import (
    conformal_factor,
    errors_by_std,
    fit_calibration,
    fit_cdf,
    levels_of,
    miscalibration_area,
    observed_shares,
    recalibrated,
    scores,
    z_of_levels,
    zone_factors,
)
from surrogates.prediction import Calibration


def _gaussian(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variances that vary independently of each other, and errors of exactly their sum."""
    rng = np.random.default_rng(seed)
    epistemic, aleatoric = rng.uniform(0.1, 4.0, (2, n))
    return rng.normal(size=n) * np.sqrt(epistemic + aleatoric), epistemic, aleatoric


def test_scores_worked_by_hand() -> None:
    target, mean = [0.0, 1.0, 2.0, 5.0], [0.0, 2.0, 4.0, 3.0]
    got = scores(torch.tensor(target), torch.tensor(mean), torch.full((4,), 1.0), 1.5)
    assert got.rows == 4
    assert got.mae == pytest.approx((0 + 1 + 2 + 2) / 4)
    assert got.rmse == pytest.approx(math.sqrt((0 + 1 + 4 + 4) / 4))
    # centred: target -2, -1, 0, 3 and mean -2.25, -0.25, 1.75, 0.75
    assert got.pearson == pytest.approx((4.5 + 0.25 + 0 + 2.25) / math.sqrt(14 * 8.75))
    assert got.spearman == pytest.approx(1 - 6 * (0 + 0 + 1 + 1) / (4 * 15))
    assert got.nll == pytest.approx(0.5 * math.log(2 * math.pi) + 9 / 8)
    # Of a unit Gaussian z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi): 0.2337 at 0, 0.6024 at 1, 1.4528 at 2.
    assert got.crps == pytest.approx((0.23369 + 0.60244 + 2 * 1.45279) / 4, abs=1e-4)
    assert got.coverage_90 == 0.5
    assert got.width_90 == 3.0
    assert math.isnan(got.error_spearman)  # one deviation for all
    assert got.ence == pytest.approx(1.5 - 1)  # one bin; the root mean squared error is sqrt(9 / 4)


def test_sure_rows_should_be_the_better_ones() -> None:
    std, error = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, -2.0, -4.0])
    got = scores(error, np.zeros(4), std, 1.645)
    assert got.error_spearman == pytest.approx(1 - 6 * (0 + 1 + 1 + 0) / (4 * 15))


def test_errors_of_equally_sure_rows_worked_by_hand() -> None:
    # 25 rows make two bins, of 13 and 12: deviations 1 with errors of 2, deviations 3 and 4 with errors of 5.
    std = np.r_[np.full(6, 3.0), np.full(13, 1.0), np.full(6, 4.0)]
    error = np.where(std == 1, -2.0, 5.0)
    stated, came = errors_by_std(error, std)
    assert stated == pytest.approx([1, math.sqrt((9 + 16) / 2)])
    assert came == pytest.approx([2, 5])
    expected = ((2 - 1) / 1 + (5 - stated[1]) / stated[1]) / 2
    assert scores(error, np.zeros(25), std, 1.645).ence == pytest.approx(expected)


@pytest.mark.parametrize(("rows", "bins"), [(1, 1), (19, 1), (20, 2), (99, 9), (100, 10), (5000, 10)])
def test_bins_hold_ten_rows_or_more_and_there_are_ten_at_most(rows: int, bins: int) -> None:
    stated, came = errors_by_std(np.ones(rows), np.linspace(1, 2, rows))
    assert len(stated) == len(came) == bins
    assert (np.diff(stated) > 0).all()


def test_true_variances_leave_no_calibration_error() -> None:
    error, epistemic, aleatoric = _gaussian(100_000)
    std = np.sqrt(epistemic + aleatoric)
    assert scores(error, 0 * error, std, 1.645).ence < 0.02
    assert scores(error, 0 * error, 2 * std, 1.645).ence == pytest.approx(0.5, abs=0.01)


def test_shares_inside_central_intervals_worked_by_hand() -> None:
    inside = norm.ppf(0.75)  # the edge of the interval of 50 %
    shares = observed_shares(np.array([0.0, inside, inside, 10.0]))
    assert shares[[0, 49, 50, 99]].tolist() == [0.25, 0.25, 0.75, 0.75]


def test_quantiles_of_a_gaussian_are_calibrated() -> None:
    target = norm.ppf((np.arange(2000) + 0.5) / 2000)
    assert scores(target, np.zeros(2000), np.ones(2000), 1.6449).miscalibration_area < 1e-3
    assert scores(target, np.zeros(2000), np.ones(2000), 1.6449).coverage_90 == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize(("std", "area"), [(1e-9, 0.5), (1e9, 0.5)])
def test_the_worst_calibration_has_area_one_half(std: float, area: float) -> None:
    got = scores([1.0, -1.0, 2.0], np.zeros(3), np.full(3, std), 1.645)
    assert got.miscalibration_area == pytest.approx(area)


def test_errors_of_one_size_have_the_area_of_one_step() -> None:
    # All errors at the edge of the 60 % interval: o(p) is 0 below and 1 above; 0.6^2 / 2 + 0.4^2 / 2.
    edge = norm.ppf(0.8)
    got = scores([edge, -edge], np.zeros(2), np.ones(2), 1.645)
    assert got.miscalibration_area == pytest.approx(0.26)


def test_a_constant_has_no_correlation() -> None:
    got = scores([1.0, 2.0], [1.5, 1.5], [1.0, 1.0], 1.645)
    assert math.isnan(got.pearson)
    assert math.isnan(got.spearman)


@given(st.floats(0.1, 10), st.floats(-5, 5), st.integers(0, 100))
def test_a_change_of_unit_leaves_all_but_errors_and_density(scale: float, shift: float, seed: int) -> None:
    error, epistemic, _ = _gaussian(30, seed)
    mean = np.random.default_rng(seed).normal(size=30)
    one = scores(mean + error, mean, np.sqrt(epistemic), 1.6)
    two = scores(scale * (mean + error) + shift, scale * mean + shift, scale * np.sqrt(epistemic), 1.6)
    for name in ("pearson", "spearman", "error_spearman", "ence", "miscalibration_area", "coverage_90"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), abs=1e-6)
    for name in ("mae", "rmse", "crps", "width_90"):
        assert getattr(two, name) == pytest.approx(scale * getattr(one, name))
    assert two.nll == pytest.approx(one.nll + math.log(scale))


POWERS = [(1, 1, 1), (9, 0.25, 1), (0.2, 5, 1), (20, 20, 1), (3, 0.5, 0.5)]


@pytest.mark.parametrize(("epistemic_scale", "aleatoric_scale", "power"), POWERS)
def test_wrong_variances_are_put_right(epistemic_scale: float, aleatoric_scale: float, power: float) -> None:
    error, epistemic, aleatoric = _gaussian(20_000)
    wrong = (epistemic / epistemic_scale) ** (1 / power), (aleatoric / aleatoric_scale) ** (1 / power)
    got = fit_calibration(error, 0 * error, *wrong)
    assert got.epistemic_scale == pytest.approx(epistemic_scale, rel=0.12)
    assert got.aleatoric_scale == pytest.approx(aleatoric_scale, rel=0.12)
    assert got.power == pytest.approx(power, abs=0.05)
    assert got.interval_factor == pytest.approx(1.645, rel=0.03)
    assert got.note == ""


def test_the_calibration_has_the_least_nll() -> None:
    error, epistemic, aleatoric = _gaussian(300)
    wrong = torch.from_numpy((epistemic / 7) ** 1.6), torch.from_numpy((aleatoric * 3) ** 1.6)
    got = fit_calibration(error, 0 * error, *wrong)

    def nll(calibration: Calibration) -> float:
        parts = calibration.apply(*wrong)
        return scores(error, 0 * error, (parts[0] + parts[1]).sqrt(), 1.0).nll

    assert 0.25 < got.power < 1
    best = nll(got)
    for name in ("epistemic_scale", "aleatoric_scale", "power"):
        for factor in (0.8, 0.95, 1.05, 1.25):
            assert best < nll(replace(got, **{name: factor * getattr(got, name)}))


@given(st.floats(0.01, 100), st.integers(0, 100))
def test_another_unit_of_the_target_gives_the_same_intervals(unit: float, seed: int) -> None:
    error, epistemic, aleatoric = (torch.from_numpy(part) for part in _gaussian(60, seed))
    one = fit_calibration(error, 0 * error, epistemic**1.5, aleatoric**1.5)
    two = fit_calibration(unit * error, 0 * error, unit**2 * epistemic**1.5, unit**2 * aleatoric**1.5)
    first, second = (
        one.apply(epistemic**1.5, aleatoric**1.5),
        two.apply(unit**2 * epistemic**1.5, unit**2 * aleatoric**1.5),
    )
    std = [(a + b).sqrt() for a, b in (first, second)]
    torch.testing.assert_close(
        two.interval_factor * std[1], unit * one.interval_factor * std[0], rtol=1e-2, atol=0
    )


def test_calibrated_variances() -> None:
    said = Calibration(2.0, 0.5, 0.5, 1.645, "").apply(torch.tensor([4.0]), torch.tensor([9.0]))
    assert [part.tolist() for part in said] == [[4.0], [1.5]]


def test_no_variance_has_a_gradient() -> None:
    nothing = torch.zeros(1, requires_grad=True)
    epistemic, _ = Calibration(2.0, 0.5, 0.5, 1.645, "").apply(nothing, torch.ones(1))
    epistemic.sum().backward()
    assert nothing.grad is not None
    assert nothing.grad.isfinite().all()


def test_no_epistemic_variance_leaves_its_scale_at_the_common_one() -> None:
    error, _, aleatoric = _gaussian(5000)
    error = np.random.default_rng(1).normal(size=5000) * np.sqrt(4 * aleatoric)
    got = fit_calibration(error, 0 * error, 0 * aleatoric, aleatoric)
    assert got.aleatoric_scale == pytest.approx(4, rel=0.05)
    assert got.epistemic_scale == pytest.approx(4, rel=0.05)


def test_one_wrong_measurement_does_not_widen_every_prediction() -> None:
    error, epistemic, aleatoric = _gaussian(500)
    clean = fit_calibration(error, 0 * error, epistemic, aleatoric)
    error[0] = 1e4
    spoilt = fit_calibration(error, 0 * error, epistemic, aleatoric)
    parts = torch.from_numpy(epistemic), torch.from_numpy(aleatoric)
    total = [sum(part.mean() for part in c.apply(*parts)) for c in (clean, spoilt)]
    assert total[1] / total[0] == pytest.approx(1, abs=0.15)
    assert spoilt.interval_factor == pytest.approx(clean.interval_factor, rel=0.1)


def test_scales_stay_within_bounds() -> None:
    error, epistemic, aleatoric = _gaussian(50)
    huge = fit_calibration(1e6 * error, 0 * error, epistemic, aleatoric)
    none = fit_calibration(0 * error, 0 * error, epistemic, aleatoric)
    unit = float(np.median(epistemic + aleatoric))
    for got, bound in ((huge, 100), (none, 0.01)):
        assert got.epistemic_scale == got.aleatoric_scale == pytest.approx(bound * unit ** (1 - got.power))


def test_few_rows_get_one_scale_and_say_so() -> None:
    got = fit_calibration([2.0, -2.0, 2.0], np.zeros(3), np.full(3, 0.5), np.full(3, 0.5))
    assert got.epistemic_scale == got.aleatoric_scale == pytest.approx(4)
    assert got.power == 1
    assert got.interval_factor == pytest.approx(1.6449, abs=1e-4)
    assert got.note == (
        "3 rows to calibrate on, fewer than 10: one scale for both variances, and intervals of 1.645 "
        "standard deviations as of a Gaussian."
    )


def test_the_conformal_factor_worked_by_hand() -> None:
    assert conformal_factor(np.arange(9.0)) == 8.0  # the 9th of 9
    assert conformal_factor(np.arange(19.0)) == 17.0  # the 18th of 19


def test_intervals_hold_new_rows_from_any_distribution() -> None:
    # The exact probability is ceil(0.9 * 31) / 31 = 0.903; heavy tails, for which 1.645 would not do.
    draws = np.abs(np.random.default_rng(0).standard_cauchy((4000, 31)))
    factors = np.sort(draws[:, :30], axis=1)[:, 27]
    assert factors[:5].tolist() == [conformal_factor(row) for row in draws[:5, :30]]
    assert (draws[:, 30] <= factors).mean() == pytest.approx(28 / 31, abs=0.015)


def test_recalibrated_intervals_hold_nine_in_ten_new_rows() -> None:
    covered = []
    for seed in range(200):
        error, epistemic, aleatoric = _gaussian(400, seed)
        wrong = epistemic / 9, aleatoric * 2
        got = fit_calibration(error[:200], np.zeros(200), wrong[0][:200], wrong[1][:200])
        parts = got.apply(*(torch.from_numpy(part) for part in wrong))
        std = (parts[0] + parts[1]).sqrt().numpy()
        covered.append(scores(error[200:], np.zeros(200), std[200:], got.interval_factor).coverage_90)
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)


def test_each_zone_gets_the_factor_of_its_own_rows() -> None:
    z = np.concatenate([np.linspace(0, 1, 50), np.linspace(0, 2, 30), np.linspace(0, 4, 20)])
    zone = np.repeat(np.array([0, 1, 2], dtype=np.int8), [50, 30, 20])
    expected = tuple(conformal_factor(z[zone == one]) for one in (0, 1, 2))
    assert zone_factors(z, zone) == expected
    shuffled = np.random.default_rng(0).permutation(100)
    assert zone_factors(z[shuffled], zone[shuffled]) == expected


@pytest.mark.parametrize(
    ("sizes", "highest", "pools"),
    [
        ((50, 30, 20), (2, 1, 4), ((0, 1), (2,))),  # the nearer zone has more than the next one
        ((50, 30, 20), (3, 2, 1), ((0, 1, 2),)),
        ((50, 9, 20), (1, 2, 4), ((0, 1), (2,))),  # too few rows
        ((0, 30, 20), (1, 2, 4), ((0, 1), (2,))),
        ((50, 30, 0), (1, 2, 4), ((0,), (1, 2))),
        ((4, 4, 4), (1, 2, 4), ((0, 1, 2),)),
    ],
)
def test_zones_out_of_order_or_with_few_rows_are_pooled(
    sizes: tuple[int, ...], highest: tuple[float, ...], pools: tuple[tuple[int, ...], ...]
) -> None:
    z = np.concatenate([np.linspace(0, top, size) for top, size in zip(highest, sizes, strict=True)])
    zone = np.repeat(np.array([0, 1, 2], dtype=np.int8), sizes)
    expected = [conformal_factor(z[np.isin(zone, pool)]) for pool in pools for _ in pool]
    assert zone_factors(z, zone) == tuple(expected)


@given(st.integers(0, 2**31 - 1), st.integers(10, 200))
def test_farther_zones_never_have_less(seed: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    factors = zone_factors(np.abs(draw.standard_t(3, n)), draw.integers(0, 3, n).astype(np.int8))
    assert len(factors) == 3
    assert factors == tuple(sorted(factors))


def test_a_calibration_with_zones_covers_each_of_them() -> None:
    draw = np.random.default_rng(0)
    zone = draw.integers(0, 3, 4000).astype(np.int8)
    error = draw.standard_normal(4000) * np.array([0.5, 1.0, 3.0])[zone]
    one = np.ones(4000)
    got = fit_calibration(error[:2000], 0 * one[:2000], one[:2000], one[:2000], zone[:2000])
    std = np.sqrt(got.epistemic_scale + got.aleatoric_scale)
    factor = got.factors(torch.from_numpy(zone[2000:])).numpy()
    inside = np.abs(error[2000:]) <= factor * std
    for part in range(3):
        assert inside[zone[2000:] == part].mean() == pytest.approx(0.9, abs=0.03)
    plain = fit_calibration(error[:2000], 0 * one[:2000], one[:2000], one[:2000])
    assert replace(got, zone_factors=()) == plain
    assert torch.equal(plain.factors(torch.tensor([0, 2])), torch.full((2,), plain.interval_factor))


def test_levels_worked_by_hand() -> None:
    level = levels_of([1.0, 0.0, 3.0], [1.0, 1.0, 1.0], [0.5, 1.0, 1.0])
    assert level == pytest.approx([0.5, 0.158655, 0.97725], abs=1e-5)
    assert z_of_levels(level) == pytest.approx([0, 1, 2], abs=1e-4)
    assert np.isfinite(z_of_levels(np.array([0.0, 1.0]))).all()


def test_a_recalibrated_level_is_the_share_of_measurements_below_it() -> None:
    level = np.array([0.1, 0.3, 0.2, 0.9])
    cdf = fit_cdf(level)
    assert cdf.predict(np.sort(level)) == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert cdf.predict([0.0, 0.15, 1.0]) == pytest.approx([0.125, 0.25, 0.875])


def test_recalibration_mends_variances_that_are_wrong_by_a_factor_and_a_shift() -> None:
    rng = np.random.default_rng(0)
    level = levels_of(0.7 + 3 * rng.normal(size=2000), np.zeros(2000), np.ones(2000))
    before, after = (miscalibration_area(z_of_levels(values)) for values in (level, recalibrated(level)))
    assert before > 0.2
    assert after < 0.02


def test_each_level_is_recalibrated_by_other_rows() -> None:
    level = np.linspace(0.01, 0.99, 60)
    moved = level.copy()
    moved[7] = 0.999
    one, other = recalibrated(level), recalibrated(moved)
    alike = one == other
    assert alike.sum() >= 10  # the rows of its own fifth
    assert not alike.all()
    assert recalibrated(level[:49]) is None
