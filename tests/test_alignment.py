"""The correction to a laboratory: its closed forms against plain algebra, and which family is chosen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import invgamma, multivariate_normal, norm
from torch import Tensor

from surrogates.alignment import Alignment, Candidate, align, kept_rows
from surrogates.errors import InputError
from surrogates.laboratories import (
    FAMILIES,
    Compared,
    Family,
    covariance,
    default_laboratories,
    evidence,
    leave_one_out,
    scaled,
)
from surrogates.variance_factors import FACTORS
from tests.synthetic_laboratories import measured, rows, with_offset

EXPECTED = default_laboratories()
EVEN = replace(EXPECTED, odds=dict.fromkeys(FAMILIES, 0.25))
NOISE = math.log10(1.03) ** 2
ALL = torch.ones(7, dtype=torch.bool)
UNUSED = torch.empty(0, dtype=torch.float64)


def _seven() -> Compared:
    return measured(rows(7), torch.tensor([-0.1, 0.05, 0.02, -0.2, 0.1, 0.0, 0.03]))


def _asked(n: int = 5) -> Compared:
    of = rows(n, seed=9)
    return Compared(of.z, of.std, of.points, UNUSED)


def _by_hand(alignment: Alignment, asked: Compared) -> tuple[np.ndarray, np.ndarray, float]:
    """Return mean and variance of a correction, and the mean factor, by a loop over variance factors."""
    numbers, rows = alignment.prior.numbers(), alignment.rows
    kept = rows[alignment.used]
    weights, means, variances = [], [], []
    for g in FACTORS.tolist():
        whole, known = (
            g * (covariance(numbers, some, some) + (numbers[7] ** 2 * some.std**2).diag()).numpy()
            + NOISE * np.eye(len(some))
            for some in (rows, kept)
        )
        density = multivariate_normal(np.zeros(len(rows)), whole).pdf(rows.difference.numpy())
        prior = invgamma(alignment.prior.shape + 1, scale=alignment.prior.shape).pdf(g) * g
        weights.append(density * prior)
        cross = g * covariance(numbers, asked, kept).numpy()
        left = g * covariance(numbers, asked, asked).numpy() - cross @ np.linalg.inv(known) @ cross.T
        means.append(cross @ np.linalg.inv(known) @ kept.difference.numpy())
        variances.append(left.diagonal())
    weights = np.array(weights) / sum(weights)
    mean = weights @ np.array(means)
    variance = weights @ np.array(variances) + weights @ (np.array(means) - mean) ** 2
    return mean, variance, float(weights @ FACTORS.numpy())


@pytest.mark.parametrize("used", [ALL, torch.arange(7) != 3])
@pytest.mark.parametrize("family", FAMILIES[1:])
def test_a_correction_is_a_mixture_of_conditioned_gaussians(family: Family, used: Tensor) -> None:
    alignment = Alignment(family, EXPECTED.priors[family], _seven(), used)
    mean, variance = alignment.correction(_asked())
    expected = _by_hand(alignment, _asked())
    np.testing.assert_allclose(mean, expected[0], rtol=1e-7)
    np.testing.assert_allclose(variance, expected[1], rtol=1e-7)
    assert alignment.variance_factor == pytest.approx(expected[2], rel=1e-9)


@pytest.mark.parametrize("family", ["factor", "slope"])
def test_a_linear_correction_tends_to_least_squares_where_much_is_expected(family: Family) -> None:
    """With a wide prior and no scatter of its own, noise that is the same everywhere drops out."""
    prior = replace(EXPECTED.priors[family], offset=1e3, slope=1e3 * (family == "slope"), scatter=1e-6)
    some = _seven()
    mean, _ = Alignment(family, prior, some, ALL).correction(_asked())
    degree = int(family == "slope")
    line = np.polynomial.Polynomial.fit(some.z.numpy(), some.difference.numpy(), degree)
    np.testing.assert_allclose(mean, line(_asked().z.numpy()), rtol=1e-3, atol=1e-5)


def test_the_mean_over_rows_has_the_variance_of_the_average_correction() -> None:
    """The residual of rows that all stand in one place is the same in all of them."""
    one = _seven()
    same = Compared(one.z[:1].repeat(7), one.std[:1].repeat(7), one.points[:1].repeat(7, 1), one.difference)
    alignment = Alignment("residual", EXPECTED.priors["residual"], same, ALL)
    mean, low, high = alignment.overall()
    shift, variance = alignment.correction(Compared(same.z, same.std, same.points, UNUSED))
    torch.testing.assert_close(shift, torch.full_like(shift, mean))
    assert high - mean == pytest.approx(mean - low)
    assert high - mean == pytest.approx(norm.ppf(0.95) * math.sqrt(float(variance[0])))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_row_left_out_is_what_the_evidence_of_the_others_lacks(family: Family) -> None:
    numbers, some = EXPECTED.priors[family].numbers(), _seven()
    found = leave_one_out(numbers, some)
    for row in range(7):
        others = some[torch.arange(7) != row]
        expected = evidence(numbers, some) - evidence(numbers, others)
        assert float(found[row]) == pytest.approx(float(expected), rel=1e-8)


def test_a_laboratory_that_reads_0_88_is_found() -> None:
    choices = [align(with_offset(8, math.log10(0.88), seed), EVEN) for seed in range(20)]
    families = [choice.alignment.family for choice in choices]
    assert families.count("factor") >= 15
    assert "none" not in families
    assert "residual" not in families
    found = [[10**value for value in choice.alignment.overall()] for choice in choices]
    assert all(mean == pytest.approx(0.88, abs=0.03) for mean, _, _ in found)
    assert sum(low < 0.88 < high for _, low, high in found) >= 16
    assert all(high - low < 0.1 for _, low, high in found)


def test_a_factor_is_the_same_everywhere() -> None:
    alignment = Alignment("factor", EXPECTED.priors["factor"], _seven(), ALL)
    mean, low, high = alignment.overall()
    shift, variance = alignment.correction(_asked())
    torch.testing.assert_close(shift, torch.full_like(shift, mean))
    margin = alignment.interval_factor * variance.sqrt()
    torch.testing.assert_close(shift - margin, torch.full_like(shift, low))
    torch.testing.assert_close(shift + margin, torch.full_like(shift, high))


def test_a_laboratory_that_agrees_is_not_corrected() -> None:
    choices = [align(with_offset(12, 0.0, seed, noise=0.02), EVEN) for seed in range(20)]
    alignments = [choice.alignment for choice in choices]
    assert all(abs(alignment.overall()[0]) < 0.02 for alignment in alignments)
    assert all(alignment.variance_factor < 0.3 for alignment in alignments)
    untouched = [alignment for alignment in alignments if alignment.family == "none"]
    assert len(untouched) >= 12
    mean, variance = untouched[0].correction(_asked())
    assert not mean.any()
    assert not variance.any()
    assert untouched[0].overall() == (0.0, 0.0, 0.0)


def test_a_slope_is_found() -> None:
    of = rows(40, std=0.02)
    choice = align(measured(of, -0.02 + 0.06 * of.z), EXPECTED)
    assert choice.alignment.family == "slope"
    mean, _ = choice.alignment.correction(_asked())
    torch.testing.assert_close(mean, -0.02 + 0.06 * _asked().z, atol=0.01, rtol=0)


def _wavy(n: int, seed: int = 0) -> Compared:
    """Return rows whose difference is smooth over mixtures and conditions; no line follows it."""
    of = rows(n, seed)
    points = of.points[:1].repeat(n, 1)
    points[:, 0] = torch.linspace(-1, 1, n)
    return Compared(of.z, of.std, points, 0.1 * torch.sin(8 * points[:, 0]))


def test_a_residual_is_found_where_there_are_rows_enough() -> None:
    choice = align(_wavy(40)[torch.arange(0, 40, 2)], EXPECTED)
    assert choice.alignment.family == "residual"
    tested = _wavy(40)[torch.arange(1, 40, 2)]
    mean, _ = choice.alignment.correction(tested)
    assert float((tested.difference - mean).abs().mean()) < 0.5 * float(tested.difference.abs().mean())


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=4), st.integers(0, 50))
def test_three_or_four_rows_never_buy_a_residual(differences: list[float], seed: int) -> None:
    some = measured(rows(len(differences), seed), torch.tensor(differences))
    choice = align(some, EXPECTED)
    assert choice.alignment.family != "residual"
    assert choice.candidates[-1].score is None


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=12), st.integers(0, 50))
def test_a_prediction_is_never_surer_of_what_was_not_measured(differences: list[float], seed: int) -> None:
    n = len(differences)
    some = measured(rows(n, seed), torch.tensor(differences))
    for family in FAMILIES[1:]:
        alignment = Alignment(family, EXPECTED.priors[family], some, torch.ones(n, dtype=torch.bool))
        whole = Compared(some.z, some.std, some.points, UNUSED)
        _, near = alignment.correction(whole)
        _, far = alignment.correction(Compared(some.z, some.std, some.points + 50, UNUSED))
        assert bool((near <= far + 1e-12).all())
        assert bool((near >= 0).all())


def test_far_from_all_rows_the_residual_is_as_unsure_as_before() -> None:
    some = _seven()
    alignment = Alignment("residual", EXPECTED.priors["residual"], some, ALL)
    far = Compared(some.z[:2], some.std[:2], some.points[:2] + 1e3, UNUSED)
    _, found = alignment.correction(far)
    residual = EXPECTED.priors["residual"].residual ** 2 * far.std / 0.1
    assert bool((found > alignment.variance_factor * residual).all())


def test_a_stray_row_is_set_aside() -> None:
    some = with_offset(8, 0.0)
    stray = some.difference.clone()
    stray[3] = 0.8
    choice = align(measured(some, stray), EXPECTED)
    assert (~choice.alignment.used).nonzero().tolist() == [[3]]
    assert abs(choice.alignment.overall()[0]) < 0.02
    without = align(some[choice.alignment.used], EXPECTED).alignment
    assert choice.alignment.family == without.family
    mean, _ = choice.alignment.correction(_asked())
    torch.testing.assert_close(mean, without.correction(_asked())[0])
    assert choice.alignment.variance_factor > 10 * without.variance_factor


def test_no_more_than_a_quarter_is_set_aside_and_two_rows_stay() -> None:
    some = with_offset(12, 0.0)
    stray = some.difference.clone()
    stray[:6] = torch.tensor([3.0, -4.0, 5.0, 2.0, -6.0, 4.0])
    assert int(kept_rows(measured(some, stray), EXPECTED.priors["none"]).sum()) >= 9
    two = measured(rows(2), torch.tensor([0.0, 3.0]))
    assert kept_rows(two, EXPECTED.priors["none"]).tolist() == [True, True]


def test_a_whole_laboratory_that_is_off_is_not_set_aside() -> None:
    assert bool(align(with_offset(8, -0.6), EXPECTED).alignment.used.all())


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows_are_refused(n: int) -> None:
    with pytest.raises(InputError) as refused:
        align(rows(n), EXPECTED, "mine.csv")
    assert str(refused.value) == (
        f"mine.csv: {n} row{'s' * (n != 1)} came; at least 2 are needed, 5 or more are better. "
        "Add measurements."
    )


def test_the_reason_is_given_in_a_sentence() -> None:
    every = (align(with_offset(8, math.log10(0.88), seed), EVEN) for seed in range(20))
    found = next(choice for choice in every if choice.alignment.family == "factor")
    totals = {one.family: (one.score or 0.0) + math.log(0.25) for one in found.candidates}
    gain = totals.pop("factor") - max(totals.values())
    assert found.why() == (
        f"Chosen: factor, a factor; it leads by {gain:.2f} nats in how it foretells each row from the others "
        "and how many papers needed it."
    )


def test_what_papers_needed_counts_beside_what_the_rows_say() -> None:
    some = with_offset(8, math.log10(0.88), seed=2)
    scores = {one.family: one.score or 0.0 for one in align(some, EVEN).candidates}
    assert max(scores, key=lambda family: scores[family]) == "factor"
    lead = scores["factor"] - scores["residual"]
    for more, chosen in ((lead - 0.1, "factor"), (lead + 0.1, "residual")):
        last = 0.1 * math.exp(more)
        odds: dict[Family, float] = {"none": 1e-9, "factor": 0.1, "slope": 1e-9, "residual": last}
        assert align(some, replace(EXPECTED, odds=odds)).alignment.family == chosen
    three = align(some[torch.arange(3)], replace(EXPECTED, odds=odds))
    assert three.alignment.family == "factor"
    assert three.candidates[-1].total == -math.inf
    assert Candidate("factor", 1.0, 0.0).total == -math.inf


def test_a_part_of_the_variance_is_scaled_and_the_noise_of_measuring_is_not() -> None:
    alignment = Alignment("residual", EXPECTED.priors["residual"], _seven(), ALL)
    part = torch.tensor([0.0, 0.01], dtype=torch.float64)
    epistemic, aleatoric = (alignment.scattered(part, is_aleatoric) for is_aleatoric in (False, True))
    torch.testing.assert_close(epistemic, alignment.variance_factor * 0.12**2 * part)
    torch.testing.assert_close(aleatoric - epistemic, torch.full((2,), NOISE).double())


def test_the_density_of_a_single_row_is_what_scipy_says() -> None:
    """With a variance factor that is all but known, the mixture is the Gaussian."""
    numbers = EXPECTED.priors["factor"].numbers()
    numbers[8] = 1e4
    some = measured(rows(1), torch.tensor([0.1]))
    whole = scaled(numbers, some).numpy() + NOISE
    expected = multivariate_normal(np.zeros(1), whole).logpdf(some.difference.numpy())
    assert float(evidence(numbers, some)) == pytest.approx(float(expected), rel=1e-6)
    assert float(leave_one_out(numbers, some)) == pytest.approx(float(expected), rel=1e-6)
