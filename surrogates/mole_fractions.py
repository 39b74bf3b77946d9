"""Mole fractions of solvents and ions from weight fractions and molalities, and the way back.

A salt is counted as the ions it falls into, cation and anion apart: what one mole of LiPF6 in nine moles of
solvent gives is 1/11 of Li+, 1/11 of PF6- and 9/11 of solvent. Any number of solvents and salts; gradients
reach every amount.

Source: ions counted apart as in Zhu et al., Nat. Commun. 15, 8649 (2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class IonFractions:
    """Mole fractions of all species; the three together sum to 1 in each row.

    Attributes:
        solvents: `... x k`.
        cations: `... x s`, the cations of each salt.
        anions: `... x s`, the anions of each salt.
    """

    solvents: Tensor
    cations: Tensor
    anions: Tensor


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


def ion_fractions(
    salt_free: Tensor, molar_mass: Tensor, molality: Tensor, cations: Tensor, anions: Tensor
) -> IonFractions:
    """Return mole fractions of solvents and ions.

    Args:
        salt_free: `... x k`, mole fractions of the solvents among themselves, rows sum to 1.
        molar_mass: `... x k`, g/mol, of the solvents.
        molality: `... x s`, mol of each salt per kg of all solvents, at least 0.
        cations: `... x s`, cations in a formula unit of each salt: 1 for LiPF6, 2 for Li2SO4.
        anions: `... x s`, anions in it.
    """
    salt = molality * solvent_kg(salt_free, molar_mass)
    return _normalised(salt_free, salt * cations, salt * anions)


def molalities(fractions: IonFractions, molar_mass: Tensor, cations: Tensor) -> tuple[Tensor, Tensor]:
    """Return salt-free mole fractions, `... x k`, and molalities [mol/kg], `... x s`.

    The way back from `ion_fractions`. The cations alone tell a salt's amount.

    Args:
        fractions: With solvent in every row.
        molar_mass: `... x k`, g/mol, of the solvents.
        cations: `... x s`, cations in a formula unit of each salt.
    """
    salt_free = fractions.solvents / fractions.solvents.sum(-1, keepdim=True)
    return salt_free, fractions.cations / cations / solvent_kg(fractions.solvents, molar_mass)


def _normalised(solvents: Tensor, cations: Tensor, anions: Tensor) -> IonFractions:
    total = torch.cat([solvents, cations, anions], dim=-1).sum(-1, keepdim=True)
    return IonFractions(solvents / total, cations / total, anions / total)
