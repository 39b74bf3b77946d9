"""Mole fractions, weight fractions and molalities, each from the others; gradients reach every amount.

How a salt falls into ions, which are counted apart, is said by `species.Speciation`.
"""

from __future__ import annotations

from torch import Tensor


def mole_fractions(weights: Tensor, molar_mass: Tensor) -> Tensor:
    """Return mole fractions, `... x k`, rows sum to 1.

    Args:
        weights: `... x k`, weight fractions or masses in any one unit; only their ratios matter. No row may
            be all 0.
        molar_mass: `... x k`, g/mol, above 0.
    """
    moles = weights / molar_mass
    return moles / moles.sum(-1, keepdim=True)


def weight_fractions(x: Tensor, molar_mass: Tensor) -> Tensor:
    """Return weight fractions, `... x k`, rows sum to 1.

    Args:
        x: `... x k`, mole fractions or moles; only their ratios matter. No row may be all 0.
        molar_mass: `... x k`, g/mol, above 0.
    """
    grams = x * molar_mass
    return grams / grams.sum(-1, keepdim=True)


def solvent_kg(moles: Tensor, molar_mass: Tensor) -> Tensor:
    """Return the mass of solvents together, `... x 1`, kg.

    Args:
        moles: `... x k`, of each solvent; mole fractions among solvents give the mass of one mole of them.
        molar_mass: `... x k`, g/mol.
    """
    return (moles * molar_mass).sum(-1, keepdim=True) / 1000


def molalities(salts: Tensor, solvents: Tensor, molar_mass: Tensor) -> Tensor:
    """Return the molality of each salt, `... x s`, mol per kg of all solvents.

    Args:
        salts: `... x s`, moles of formula units, or mole fractions, of each salt.
        solvents: `... x k`, of each solvent, counted alike. No row may be all 0.
        molar_mass: `... x k`, g/mol, of the solvents.
    """
    grams = (solvents * molar_mass).sum(-1, keepdim=True)
    return salts / grams * 1000
