"""SMILES to a table of distinct molecules with their graphs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import torch
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors
from torch import Tensor

rdBase.DisableLog("rdApp.*")  # messages come as InvalidMolecule

ATOM_FEATURES = (
    *(f"is_{symbol}" for symbol in ("C", "N", "O", "B", "S", "F", "Cl")),
    "atomic_number",
    "mass",
    "formal_charge",
    "hydrogens",
    "electronegativity",
    "vdw_radius",
)
_ONE_HOT = ("C", "N", "O", "B", "S", "F", "Cl")
CAPS = ("Cu", "Au")
"""Ends of a polymer's repeat unit in the MolSets data; their atoms count as carbon without hydrogen."""
LONGEST_SMILES = 500
"""Characters. Descriptors of longer chains take minutes, and RDKit ends the process at some 30,000."""


class InvalidMolecule(ValueError):
    """A SMILES that RDKit cannot read, or an element without facts."""


@cache
def parse_smiles(smiles: str) -> Chem.Mol:
    """Return RDKit's molecule.

    Raises:
        InvalidMolecule: If RDKit cannot read the SMILES, it holds no atom or more than 500 characters.
    """
    if len(smiles) > LONGEST_SMILES:
        wrong = f"a SMILES of {len(smiles)} characters is too long; at most {LONGEST_SMILES} are read"
        raise InvalidMolecule(wrong)
    mol = Chem.MolFromSmiles(smiles)
    if mol is None or mol.GetNumAtoms() == 0:
        raise InvalidMolecule(f"{smiles!r} is not a SMILES that RDKit can read")
    return mol


@cache
def canonical_smiles(smiles: str) -> str:
    """Return the one spelling under which a molecule is known here.

    RDKit's canonical SMILES; hypervalent perchlorate, `[O-]Cl(=O)(=O)=O`, becomes the
    charge-separated spelling that the MolSets data use.

    Raises:
        InvalidMolecule: If RDKit cannot read the SMILES.
    """
    return Chem.MolToSmiles(parse_smiles(smiles))


def is_polymer(smiles: str) -> bool:
    """Return whether the SMILES is a repeat unit with caps (`[Cu]`, `[Au]`)."""
    return any(atom.GetSymbol() in CAPS for atom in parse_smiles(smiles).GetAtoms())


@cache
def molar_mass(smiles: str) -> float:
    """Return the molar mass [g/mol] with natural isotopes; of a repeat unit, without its caps."""
    mol = parse_smiles(smiles)
    caps = sum(a.GetMass() for a in mol.GetAtoms() if a.GetSymbol() in CAPS)
    return float(Descriptors.MolWt(mol)) - caps  # type: ignore[attr-defined]  # made at import: no stub


@dataclass(frozen=True)
class Component:
    """A solvent or salt as it stands in a mixture.

    Attributes:
        smiles: Canonical SMILES.
        molar_mass: g/mol; a polymer's is its chain's, so one repeat unit may stand in a table twice.
    """

    smiles: str
    molar_mass: float

    @staticmethod
    def of(smiles: str, mass: float | None = None) -> Component:
        """Return the component of any spelling; `mass` [g/mol] defaults to the formula's.

        Raises:
            InvalidMolecule: If RDKit cannot read the SMILES.
        """
        name = canonical_smiles(smiles)
        return Component(name, molar_mass(name) if mass is None else float(mass))


@dataclass(frozen=True)
class MoleculeTable:
    """`u` distinct components with their graphs, `a` atoms and `e` directed edges together.

    Attributes:
        components: The `u` components, each once.
        atoms: `a x 13`, float32, columns `ATOM_FEATURES`, unscaled.
        atom_molecule: `a`, int64, the component each atom belongs to.
        edges: `2 x e`, int64, source and target atom; both directions and a self-loop an atom.
        bond_orders: `e`, float32; 1.5 in aromatic rings, 1 on self-loops.
        log_molar_mass: `u`, float32, log10 of g/mol.
    """

    components: tuple[Component, ...]
    atoms: Tensor
    atom_molecule: Tensor
    edges: Tensor
    bond_orders: Tensor
    log_molar_mass: Tensor

    def __len__(self) -> int:
        return len(self.components)

    @staticmethod
    def build(components: Iterable[Component]) -> MoleculeTable:
        """Return the table of the distinct components, in order of first appearance.

        Raises:
            InvalidMolecule: If a SMILES cannot be read, or holds an element without facts or a cap within.
        """
        distinct = tuple(dict.fromkeys(components))
        if not distinct:
            raise ValueError("a molecule table needs at least one component")
        atoms: list[list[float]] = []
        atom_molecule: list[int] = []
        edges: list[tuple[int, int, float]] = []
        for index, component in enumerate(distinct):
            mol = parse_smiles(component.smiles)
            first = len(atoms)
            atoms += [_atom_features(atom, component.smiles) for atom in mol.GetAtoms()]
            atom_molecule += [index] * mol.GetNumAtoms()
            for bond in mol.GetBonds():
                a, b = first + bond.GetBeginAtomIdx(), first + bond.GetEndAtomIdx()
                order = bond.GetBondTypeAsDouble()
                edges += [(a, b, order), (b, a, order)]
            edges += [(a, a, 1.0) for a in range(first, len(atoms))]
        source, target, order_column = zip(*edges, strict=True)
        return MoleculeTable(
            components=distinct,
            atoms=torch.tensor(atoms, dtype=torch.float32),
            atom_molecule=torch.tensor(atom_molecule),
            edges=torch.tensor([source, target]),
            bond_orders=torch.tensor(order_column, dtype=torch.float32),
            log_molar_mass=torch.tensor([c.molar_mass for c in distinct]).log10(),
        )

    def index(self) -> dict[Component, int]:
        """Return the row of each component."""
        return {component: row for row, component in enumerate(self.components)}


@dataclass(frozen=True)
class ElementFacts:
    """Pauling electronegativity and van der Waals radius [angstrom] of an element."""

    electronegativity: float
    vdw_radius: float


@cache
def element_facts() -> dict[str, ElementFacts]:
    """Return the facts of `elements.csv` by symbol; its header names the source."""
    with files("surrogates").joinpath("elements.csv").open(encoding="utf-8") as lines:
        rows = csv.DictReader(line for line in lines if not line.startswith("#"))
        return {
            row["symbol"]: ElementFacts(float(row["electronegativity"]), float(row["vdw_radius_A"]))
            for row in rows
        }


def _atom_features(atom: Chem.Atom, smiles: str) -> list[float]:
    cap = atom.GetSymbol() in CAPS
    bonds, charge = atom.GetDegree() + atom.GetTotalNumHs(), atom.GetFormalCharge()
    if cap and (bonds != 1 or charge != 0):
        wrong = f"holds {atom.GetSymbol()} with {bonds} bonds and charge {charge}; the end of a repeat unit "
        wrong += "has one bond and no charge"
        raise InvalidMolecule(f"{smiles!r} {wrong}")
    symbol = "C" if cap else atom.GetSymbol()
    if symbol not in element_facts():
        raise InvalidMolecule(
            f"{smiles!r} holds {symbol}, an element without electronegativity or radius here"
        )
    facts = element_facts()[symbol]
    return [
        *(float(symbol == element) for element in _ONE_HOT),
        6.0 if cap else float(atom.GetAtomicNum()),
        12.011 if cap else atom.GetMass(),
        float(atom.GetFormalCharge()),
        0.0 if cap else float(atom.GetTotalNumHs()),
        facts.electronegativity,
        facts.vdw_radius,
    ]


def lookup(components: Sequence[Component], table: MoleculeTable) -> Tensor:
    """Return the rows of `components` in `table`, `len(components)`, int64.

    Raises:
        KeyError: If one is not in the table.
    """
    index = table.index()
    return torch.tensor([index[component] for component in components])
