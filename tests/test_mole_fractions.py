import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from surrogates.mole_fractions import molalities, mole_fractions, solvent_kg, weight_fractions


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def positive(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.01 + torch.rand(*shape, generator=generator, dtype=torch.float64)


seeds, sizes = st.integers(0, 2**31), st.integers(1, 4)


def test_weights_of_worked_numbers() -> None:
    # 30 g at 60 g/mol and 70 g at 20 g/mol: 0.5 and 3.5 mol.
    x = mole_fractions(numbers(0.3, 0.7), numbers(60, 20))

    assert x.tolist() == pytest.approx([0.125, 0.875])


def test_mass_of_solvents_in_worked_numbers() -> None:
    assert solvent_kg(numbers(0.5, 0.5), numbers(80, 120)).tolist() == pytest.approx([0.1])
    assert solvent_kg(numbers(2, 1), numbers(80, 120)).tolist() == pytest.approx([0.28])


def test_molalities_of_worked_numbers() -> None:
    # 0.1 kg of solvents, 0.5 mol of 80 and 0.5 mol of 120 g/mol, with 0.125 and 0.05 mol of salts.
    solvents, molar_mass = numbers(0.5, 0.5), numbers(80, 120)

    assert molalities(numbers(0.125, 0.05), solvents, molar_mass).tolist() == pytest.approx([1.25, 0.5])
    assert molalities(numbers(0.25, 0.1), 2 * solvents, molar_mass).tolist() == pytest.approx([1.25, 0.5])
    assert molalities(numbers(0, 0), solvents, molar_mass).tolist() == [0, 0]


@given(seeds, sizes)
def test_weights_come_back(seed: int, k: int) -> None:
    weights, mass = positive(seed, 3, k), 200 * positive(seed + 1, k)
    weights = weights / weights.sum(-1, keepdim=True)

    torch.testing.assert_close(weight_fractions(mole_fractions(weights, mass), mass), weights)


@given(seeds, sizes, sizes)
def test_mole_fractions_of_salts_come_back_from_molalities(seed: int, k: int, s: int) -> None:
    mass, x = 200 * positive(seed, k), positive(seed + 1, 3, k + s)
    x = x / x.sum(-1, keepdim=True)
    solvents, salts = x.split([k, s], dim=-1)

    molality = molalities(salts, solvents, mass)
    free = mole_fractions(weight_fractions(solvents, mass), mass)  # moles of solvents in a mole of them
    moles = torch.cat([free, molality * solvent_kg(free, mass)], dim=-1)

    torch.testing.assert_close(moles / moles.sum(-1, keepdim=True), x)


def test_gradients_are_those_of_finite_differences() -> None:
    def amounts(salts: Tensor, weights: Tensor) -> Tensor:
        mass = numbers(80, 120)
        solvents = mole_fractions(weights, mass)
        return torch.cat([molalities(salts, solvents, mass), weight_fractions(solvents, mass)])

    inputs = (numbers(0.1, 0.2).requires_grad_(), numbers(0.3, 0.7).requires_grad_())
    assert torch.autograd.gradcheck(amounts, inputs)
