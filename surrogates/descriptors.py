"""RDKit's descriptors and Morgan counts of molecules: what is known of them without learning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import Descriptors, rdFingerprintGenerator
from torch import Tensor

from surrogates.molecules import CAPS, MoleculeTable, parse_smiles

MORGAN_RADIUS = 2
MORGAN_BINS = 1024
_LIMIT = 1e5
"""Descriptors beyond this are cut: Ipc grows exponentially with the number of atoms."""


@dataclass(frozen=True)
class MoleculeDescriptors:
    """`p` descriptors of the `u` molecules of a table.

    Attributes:
        names: `p`; RDKit's own names, then `Morgan_0`, `Morgan_1`, ...
        values: `u x p`, float64, finite, unscaled.
    """

    names: tuple[str, ...]
    values: Tensor


def molecule_descriptors(table: MoleculeTable) -> MoleculeDescriptors:
    """Return all 2D descriptors of RDKit, then Morgan counts, of each molecule.

    The caps of a polymer's repeat unit count as methyl groups, and the length of the chain does
    not matter. What RDKit cannot compute is 0. Names, their number and some values change with the version
    of RDKit: who keeps a function of these values keeps the names and `rdkit.__version__` beside it.

    Args:
        table: `u` molecules.
    """
    rows = np.stack([_of_smiles(component.smiles) for component in table.components])
    return MoleculeDescriptors(descriptor_names(), torch.from_numpy(rows))


@cache
def descriptor_names() -> tuple[str, ...]:
    """Return the names of the descriptors, in order, under the RDKit that is installed."""
    return (*(name for name, _ in Descriptors.descList), *(f"Morgan_{bin}" for bin in range(MORGAN_BINS)))


@cache
def _of_smiles(smiles: str) -> np.ndarray:
    carbon = Chem.RWMol(parse_smiles(smiles))
    for atom in carbon.GetAtoms():
        if atom.GetSymbol() in CAPS:
            atom.SetAtomicNum(6)
            atom.SetNoImplicit(False)  # a methyl group
    Chem.SanitizeMol(carbon, catchErrors=True)
    mol = parse_smiles(Chem.MolToSmiles(carbon))  # what was seen with metals is seen afresh
    morgan = rdFingerprintGenerator.GetMorganGenerator(radius=MORGAN_RADIUS, fpSize=MORGAN_BINS)
    known = Descriptors.CalcMolDescriptors(mol, missingVal=0.0)  # type: ignore[no-untyped-call]  # none in RDKit
    values = np.array([*known.values(), *morgan.GetCountFingerprintAsNumPy(mol)], dtype=float)
    return np.where(np.isfinite(values), values, 0.0).clip(-_LIMIT, _LIMIT)
