"""The correction to a laboratory: its closed forms against plain algebra, and which family is chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from scipy.stats import t as student_t

from surrogates.alignment import Alignment, align, kept_rows, leave_one_out
from surrogates.errors import InputError
from surrogates.laboratories import (
    FAMILIES,
    Compared,
    Family,
    covariance,
    default_laboratories,
    evidence,
    scatter,
)
from tests.synthetic_laboratories import measured, rows, with_offset

EXPECTED = default_laboratories()
ALL = torch.ones(7, dtype=torch.bool)
UNUSED = torch.empty(0, dtype=torch.float64)


def _seven() -> Compared:
    return measured(rows(7), torch.tensor([-0.1, 0.05, 0.02, -0.2, 0.1, 0.0, 0.03]))


def _asked(n: int = 5) -> Compared:
    of = rows(n, seed=9)
    return Compared(of.z, of.std, of.points, UNUSED)


@pytest.mark.parametrize("family", ["factor", "slope"])
def test_a_linear_correction_is_bayesian_linear_regression(family: Family) -> None:
    prior, some, asked = EXPECTED.priors[family], _seven(), _asked()
    alignment = Alignment(family, prior, some, ALL)
    columns = [torch.ones(7).double(), some.z][: 1 + (family == "slope")]
    design = torch.stack(columns, dim=1)
    noise = scatter(prior.numbers(), some.std)
    spread = torch.tensor([prior.offset, prior.slope]).double()[: len(columns)] ** 2
    posterior = torch.linalg.inv(design.T @ (design / noise[:, None]) + (1 / spread).diag())
    coefficients = posterior @ design.T @ (some.difference / noise)
    new = torch.stack([torch.ones(5).double(), asked.z], dim=1)[:, : len(columns)]
    mean, variance = alignment.correction(asked)
    torch.testing.assert_close(mean, new @ coefficients)
    expected = alignment.variance_factor * ((new @ posterior) * new).sum(1)
    torch.testing.assert_close(variance, expected)


def test_the_residual_is_a_conditioned_gaussian() -> None:
    prior, some, asked = EXPECTED.priors["residual"], _seven(), _asked()
    numbers = prior.numbers()
    noise = scatter(numbers, some.std).diag()
    known = np.linalg.inv((covariance(numbers, some, some) + noise).numpy())
    cross = covariance(numbers, asked, some).numpy()
    alignment = Alignment("residual", prior, some, ALL)
    mean, variance = alignment.correction(asked)
    np.testing.assert_allclose(mean, cross @ known @ some.difference.numpy(), rtol=1e-8)
    left = covariance(numbers, asked, asked).numpy() - cross @ known @ cross.T
    np.testing.assert_allclose(variance, alignment.variance_factor * left.diagonal(), rtol=1e-8)


def test_the_variance_factor_and_interval_are_those_of_the_student_t() -> None:
    prior, some = EXPECTED.priors["factor"], _seven()
    alignment = Alignment("factor", prior, some, ALL)
    whole = covariance(prior.numbers(), some, some) + scatter(prior.numbers(), some.std).diag()
    squared = float(some.difference @ torch.linalg.solve(whole, some.difference))
    shape, rate = prior.shape + 1 + 7 / 2, prior.shape + squared / 2
    assert alignment.variance_factor == pytest.approx(rate / (shape - 1), rel=1e-9)
    half = student_t.ppf(0.95, 2 * shape) * math.sqrt(rate / shape)
    found = alignment.interval_factor * math.sqrt(alignment.variance_factor)
    assert found == pytest.approx(half, rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_row_left_out_is_what_the_evidence_of_the_others_lacks(family: Family) -> None:
    numbers, some = EXPECTED.priors[family].numbers(), _seven()
    found = leave_one_out(numbers, some)
    for row in range(7):
        others = some[torch.arange(7) != row]
        expected = evidence(numbers, some) - evidence(numbers, others)
        assert float(found[row]) == pytest.approx(float(expected), rel=1e-8)


def test_a_laboratory_that_reads_0_88_is_found() -> None:
    choices = [align(with_offset(8, math.log10(0.88), seed), EXPECTED) for seed in range(20)]
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
    choice = align(with_offset(12, 0.0, noise=0.02), EXPECTED)
    assert choice.alignment.family == "none"
    mean, variance = choice.alignment.correction(_asked())
    assert not mean.any()
    assert not variance.any()
    assert choice.alignment.overall() == (0.0, 0.0, 0.0)
    assert choice.alignment.variance_factor < 1


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
    every = (align(with_offset(8, math.log10(0.88), seed), EXPECTED) for seed in range(20))
    found = next(choice for choice in every if choice.alignment.family == "factor")
    scores = {candidate.family: candidate.score for candidate in found.candidates}
    others = [score for family, score in scores.items() if family != "factor" and score is not None]
    gain = (scores["factor"] or 0.0) - max(others)
    assert found.why() == (
        "Chosen: factor, a factor; it foretells each row from the others best, "
        f"by {gain:.2f} nats over the next."
    )


def test_a_part_of_the_variance_is_scaled_and_a_measurement_keeps_its_floor() -> None:
    alignment = Alignment("residual", EXPECTED.priors["residual"], _seven(), ALL)
    part = torch.tensor([0.0, 0.01], dtype=torch.float64)
    epistemic, aleatoric = (alignment.scattered(part, is_aleatoric) for is_aleatoric in (False, True))
    torch.testing.assert_close(epistemic, alignment.variance_factor * 0.2**2 * part)
    torch.testing.assert_close(
        aleatoric - epistemic, torch.full((2,), alignment.variance_factor * math.log10(1.03) ** 2).double()
    )


def test_the_density_of_a_single_row_is_what_scipy_says() -> None:
    """With a variance factor that is all but known, the Student-t is the Gaussian."""
    numbers = EXPECTED.priors["factor"].numbers()
    numbers[8] = 1e8
    some = measured(rows(1), torch.tensor([0.1]))
    whole = covariance(numbers, some, some) + scatter(numbers, some.std).diag()
    expected = multivariate_normal(np.zeros(1), whole.numpy()).logpdf(some.difference.numpy())
    assert float(evidence(numbers, some)) == pytest.approx(float(expected), rel=1e-4)
    assert float(leave_one_out(numbers, some)) == pytest.approx(float(expected), rel=1e-4)
