"""The 97 atom features that DiffMix's graph network starts from.

The paper says that there are 97 and the sources that could be read do not list them. These are the ones its
field uses, chosen to be as many:

| columns | feature |
|---|---|
| 0 to 43 | element, one of `ELEMENTS`, else the last |
| 44 to 54 | neighbours, 0 to 9, else the last |
| 55 to 60 | formal charge, -2 to 2, else the last |
| 61 to 66 | hydrogens, 0 to 4, else the last |
| 67 to 74 | valence, 0 to 6, else the last |
| 75 to 81 | hybridisation, one of `HYBRIDISATIONS`, else the last |
| 82 to 85 | chirality, one of `CHIRALITIES` |
| 86, 87 | aromatic, in a ring |
| 88 to 93 | in a ring of 3 to 8 atoms |
| 94 to 96 | mass / 100 g/mol, Pauling electronegativity / 4, van der Waals radius / 2 angstrom |

Source: Zhu et al., Nat. Commun. 15, 8649 (2024), for their number.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from rdkit import Chem
from torch import Tensor

from surrogates.molecules import CAPS, MoleculeTable, element_facts, parse_smiles

ELEMENTS = (
    *("H", "Li", "Be", "B", "C", "N", "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca"),
    *("Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Rb", "Sr"),
    *("Zr", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Cs", "Ba"),
)
HYBRIDISATIONS = ("S", "SP", "SP2", "SP3", "SP3D", "SP3D2")
CHIRALITIES = ("CHI_UNSPECIFIED", "CHI_TETRAHEDRAL_CW", "CHI_TETRAHEDRAL_CCW", "CHI_OTHER")
_RINGS = range(3, 9)
WIDTH = 97


def atom_features(table: MoleculeTable) -> Tensor:
    """Return the features of the `a` atoms of a table, in its order, `a x 97`, float32.

    The end of a polymer's repeat unit counts as a carbon without hydrogens, as in the table.
    """
    rows = [
        _row(atom) for component in table.components for atom in parse_smiles(component.smiles).GetAtoms()
    ]
    return torch.tensor(rows, dtype=torch.float32)


def _row(atom: Chem.Atom) -> list[float]:
    cap = atom.GetSymbol() in CAPS
    symbol = "C" if cap else atom.GetSymbol()
    facts = element_facts()[symbol]
    chirality = str(atom.GetChiralTag())
    return [
        *_one_of(symbol, ELEMENTS),
        *_one_of(atom.GetDegree(), range(10)),
        *_one_of(atom.GetFormalCharge(), range(-2, 3)),
        *_one_of(0 if cap else atom.GetTotalNumHs(), range(5)),
        *_one_of(atom.GetTotalValence(), range(7)),
        *_one_of(str(atom.GetHybridization()), HYBRIDISATIONS),
        *_one_of(chirality, CHIRALITIES[:-1]),
        float(atom.GetIsAromatic()),
        float(atom.IsInRing()),
        *(float(atom.IsInRingSize(size)) for size in _RINGS),
        12.011 / 100 if cap else atom.GetMass() / 100,
        facts.electronegativity / 4,
        facts.vdw_radius / 2,
    ]


def _one_of(value: object, known: Sequence[object]) -> list[float]:
    """Return 1 at the place of a value, after all places if it is none of the known."""
    return [float(value == one) for one in known] + [float(value not in known)]
