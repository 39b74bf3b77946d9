import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from surrogates.mole_fractions import ion_fractions, molalities, mole_fractions, solvent_kg, weight_fractions


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


def test_one_salt_in_worked_numbers() -> None:
    # A mole of 0.5 : 0.5 solvents of 80 and 120 g/mol weighs 0.1 kg; 1.25 mol/kg is 0.125 mol of salt,
    # 1.25 mol of species: 0.4, 0.4, 0.1, 0.1.
    found = ion_fractions(numbers(0.5, 0.5), numbers(80, 120), numbers(1.25), numbers(1), numbers(1))

    assert found.solvents.tolist() == pytest.approx([0.4, 0.4])
    assert found.cations.tolist() == pytest.approx([0.1])
    assert found.anions.tolist() == pytest.approx([0.1])


def test_two_salts_one_of_two_cations_in_worked_numbers() -> None:
    # 0.1 kg of solvent, 1 and 2 mol/kg: 0.1 mol of 1 : 1 and 0.2 mol of 2 : 1, 1.8 mol of species.
    found = ion_fractions(numbers(1), numbers(100), numbers(1, 2), numbers(1, 2), numbers(1, 1))

    assert found.solvents.tolist() == pytest.approx([1 / 1.8])
    assert found.cations.tolist() == pytest.approx([0.1 / 1.8, 0.4 / 1.8])
    assert found.anions.tolist() == pytest.approx([0.1 / 1.8, 0.2 / 1.8])


def test_no_salt_leaves_the_solvents() -> None:
    found = ion_fractions(numbers(0.25, 0.75), numbers(80, 120), numbers(0), numbers(1), numbers(1))

    assert (found.solvents.tolist(), found.cations.tolist(), found.anions.tolist()) == (
        [0.25, 0.75],
        [0],
        [0],
    )


@given(seeds, sizes)
def test_weights_come_back(seed: int, k: int) -> None:
    weights, mass = positive(seed, 3, k), 200 * positive(seed + 1, k)
    weights = weights / weights.sum(-1, keepdim=True)

    torch.testing.assert_close(weight_fractions(mole_fractions(weights, mass), mass), weights)


@given(seeds, sizes, sizes)
def test_molalities_come_back_and_species_sum_to_one(seed: int, k: int, s: int) -> None:
    mass, molality = 200 * positive(seed, k), 4 * positive(seed + 1, 3, s)
    salt_free = mole_fractions(positive(seed + 2, 3, k), mass)
    cations = 1.0 + torch.arange(s, dtype=torch.float64)

    found = ion_fractions(salt_free, mass, molality, cations, torch.ones_like(cations))
    total = found.solvents.sum(-1) + found.cations.sum(-1) + found.anions.sum(-1)

    torch.testing.assert_close(total, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(molalities(found, mass, cations), (salt_free, molality))


def test_gradients_are_those_of_finite_differences() -> None:
    def species(molality: Tensor, weights: Tensor) -> Tensor:
        mass = numbers(80, 120)
        found = ion_fractions(mole_fractions(weights, mass), mass, molality, numbers(1), numbers(1))
        return torch.cat([found.solvents, found.cations, found.anions])

    inputs = (numbers(1.1).requires_grad_(), numbers(0.3, 0.7).requires_grad_())
    assert torch.autograd.gradcheck(species, inputs)
