import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from surrogates.laws import (
    arrhenius,
    arrhenius_coefficients,
    linear_mixing,
    redlich_kister,
    redlich_kister_coefficients,
    vft,
    vft_coefficients,
)


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


seeds = st.integers(0, 2**31)
sizes = st.integers(2, 5)
orders = st.integers(0, 9)


def test_vft_of_worked_numbers() -> None:
    # 3 - 500 / (300 - 200) = -2; 3 - 500 / (250 - 200) = -7
    values = vft(numbers(3), numbers(500), numbers(200), numbers(300, 250))

    assert values.tolist() == [-2, -7]


def test_vft_without_arrest_is_arrhenius() -> None:
    # E = 8314.46 J/mol at 1000 / R K^-1: E / (R T) = 1000 / 250 = 4.
    from_arrhenius = arrhenius(numbers(5), numbers(8314.46261815324), numbers(250))

    assert from_arrhenius.item() == pytest.approx(1)
    torch.testing.assert_close(from_arrhenius, vft(numbers(5), numbers(1000), numbers(0), numbers(250)))


@given(st.lists(st.floats(-30, 30), min_size=3, max_size=3), st.floats(150, 400))
def test_vft_coefficients_keep_their_signs(raw: list[float], lowest_K: float) -> None:
    c1, c2, c3 = vft_coefficients(numbers(*raw), lowest_K)

    assert c1 == raw[0]
    assert c2 > 0
    assert 0 < c3 < lowest_K


def test_vft_coefficients_of_worked_numbers() -> None:
    c1, c2, c3 = vft_coefficients(numbers(1, 0, 0), 200)

    assert (c1.item(), c3.item()) == (1, 100)
    assert c2.item() == pytest.approx(100 * math.log(2))


def test_vft_coefficients_need_a_temperature() -> None:
    with pytest.raises(ValueError, match=r"^lowest_K is -40; a temperature above 0 K was expected$"):
        vft_coefficients(numbers(0, 0, 0), -40)


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_activation_is_above_zero(log_prefactor: float, raw: float) -> None:
    prefactor, activation = arrhenius_coefficients(numbers(log_prefactor, raw))

    assert prefactor == log_prefactor
    assert activation > 0


def test_linear_mixing_of_worked_numbers() -> None:
    assert linear_mixing(numbers(0.25, 0.75), numbers(100, 20)).item() == 40


def test_redlich_kister_of_worked_numbers() -> None:
    # x = 0.75, 0.25, L = 16, 8, -4: 0.1875 (16 + 8 * 0.5 - 4 * 0.25) = 3.5625
    coefficients = torch.zeros(2, 2, 3, dtype=torch.float64)
    coefficients[0, 1], coefficients[1, 0] = numbers(16, 8, -4), numbers(16, -8, -4)

    assert redlich_kister(numbers(0.75, 0.25), coefficients).item() == 3.5625


def test_coefficients_of_worked_numbers() -> None:
    # Even: (10 + 4) / 2 - (1 + 3) / 2 = 5; odd: (10 - 4) / 2 = 3.
    pairs = torch.tensor([[[1.0, 1.0], [10.0, 10.0]], [[4.0, 4.0], [3.0, 3.0]]])

    assert redlich_kister_coefficients(pairs).tolist() == [[[0, 0], [5, 3]], [[5, -3], [0, 0]]]


@given(seeds, sizes, orders)
def test_redlich_kister_is_the_slow_sum(seed: int, k: int, order: int) -> None:
    x = random(seed, 3, k).softmax(-1)
    coefficients = redlich_kister_coefficients(random(seed + 1, 3, k, k, order + 1))

    slow = [
        sum(
            float(a[i] * a[j] * c[i, j, n] * (a[i] - a[j]) ** n)
            for i in range(k)
            for j in range(i + 1, k)
            for n in range(order + 1)
        )
        for a, c in zip(x, coefficients, strict=True)
    ]

    torch.testing.assert_close(redlich_kister(x, coefficients), numbers(*slow))


@given(seeds, sizes, orders, st.data())
def test_order_of_components_changes_nothing(seed: int, k: int, order: int, data: st.DataObject) -> None:
    swap = data.draw(st.permutations(range(k)))
    x, pairs = random(seed, k).softmax(-1), random(seed + 1, k, k, order + 1)

    swapped = redlich_kister(x[swap], redlich_kister_coefficients(pairs[swap][:, swap]))

    torch.testing.assert_close(
        swapped, redlich_kister(x, redlich_kister_coefficients(pairs)), rtol=1e-12, atol=1e-13
    )


@given(seeds, sizes, orders)
def test_pure_component_has_no_excess(seed: int, k: int, order: int) -> None:
    coefficients = redlich_kister_coefficients(random(seed, k, k, k, order + 1))

    assert redlich_kister(torch.eye(k, dtype=torch.float64), coefficients).tolist() == [0] * k


@given(seeds, sizes, orders)
def test_component_mixed_with_itself_has_no_excess(seed: int, k: int, order: int) -> None:
    said = random(seed, order + 1).expand(k, k, order + 1)

    assert redlich_kister(random(seed, k).softmax(-1), redlich_kister_coefficients(said)) == 0


@pytest.mark.parametrize(
    "law",
    [
        lambda raw: vft(*vft_coefficients(raw[:3], 200), 250 + raw[3]),
        lambda raw: arrhenius(*arrhenius_coefficients(raw[:2]), 250 + raw[3]),
        lambda raw: linear_mixing(raw.softmax(-1), raw),
        lambda raw: redlich_kister(raw.softmax(-1), redlich_kister_coefficients(random(1, 4, 4, 5))),
        lambda raw: redlich_kister(numbers(0.5, 0.5), redlich_kister_coefficients(raw.view(2, 2, 1))),
    ],
)
def test_gradients_are_those_of_finite_differences(law: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(law, random(0, 4).requires_grad_())


def test_gradients_of_equal_fractions_are_finite() -> None:
    x = numbers(0.5, 0.5).requires_grad_()

    redlich_kister(x, redlich_kister_coefficients(random(0, 2, 2, 10))).backward()

    assert x.grad is not None
    assert x.grad.isfinite().all()
