"""The names people use for solvents and salts, and the molecules they mean."""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from surrogates.molecules import LONGEST_SMILES, InvalidMolecule, canonical_smiles


class UnknownChemical(ValueError):
    """A text that is neither a known name nor a SMILES.

    Args:
        text: What came.
        nearest: Known names that are spelled alike, nearest first; may be empty.
    """

    def __init__(self, text: str, nearest: tuple[str, ...]) -> None:
        self.nearest = nearest
        super().__init__(text, nearest)

    def __str__(self) -> str:
        text = self.args[0]
        if len(text) > LONGEST_SMILES:
            return f'"{text[:20]}...", {len(text)} characters, is too long; at most {LONGEST_SMILES} are read'
        return f'"{text}" is neither a known name nor a SMILES that RDKit can read'

    def mend(self) -> str:
        """Return what the user can do about it, a sentence."""
        if len(self.args[0]) > LONGEST_SMILES:
            return "Give a known name, or the SMILES of a smaller molecule or of a repeat unit."
        if self.nearest:
            return f"Did you mean {' or '.join(self.nearest)}? Otherwise give its SMILES."
        return "Give its SMILES; the known names stand in surrogates/chemicals.csv."


@dataclass(frozen=True)
class Chemical:
    """A substance of `chemicals.csv`.

    Attributes:
        name: The name it is shown under.
        kind: Its part in an electrolyte.
        smiles: Canonical SMILES.
        aliases: Other names, and its CAS registry number where known.
    """

    name: str
    kind: Literal["solvent", "salt"]
    smiles: str
    aliases: tuple[str, ...]


@cache
def chemicals() -> tuple[Chemical, ...]:
    """Return the substances of `chemicals.csv`, in its order; its header names the sources."""
    with files("surrogates").joinpath("chemicals.csv").open(encoding="utf-8") as lines:
        return tuple(
            Chemical(
                row["name"],
                "solvent" if row["kind"] == "solvent" else "salt",
                canonical_smiles(row["smiles"]),
                tuple(row["aliases"].split("; ")) if row["aliases"] else (),
            )
            for row in csv.DictReader(line for line in lines if not line.startswith("#"))
        )


def resolve(text: str) -> str:
    """Return the canonical SMILES of a known name or of any spelling of a SMILES.

    Names match without regard to case, spaces, hyphens and underscores, and go before SMILES: `PC` is
    propylene carbonate, not a phosphine.

    Raises:
        UnknownChemical: If it is neither; it carries the nearest known names.
    """
    if len(text) > LONGEST_SMILES:  # not compared with all names either
        raise UnknownChemical(text, ())
    known = _by_name().get(_key(text))
    if known is not None:
        return known.smiles
    try:
        return canonical_smiles(text.strip())
    except InvalidMolecule:
        raise UnknownChemical(text, _nearest(text)) from None


def name_of(smiles: str) -> str:
    """Return the name a canonical SMILES is shown under: the SMILES itself where none is known."""
    return _by_smiles().get(smiles, smiles)


def _key(name: str) -> str:
    return name.casefold().translate({ord(mark): None for mark in " -_"})


@cache
def _by_name() -> dict[str, Chemical]:
    return {_key(name): item for item in chemicals() for name in (item.name, *item.aliases)}


@cache
def _by_smiles() -> dict[str, str]:
    return {item.smiles: item.name for item in chemicals()}


def _nearest(text: str) -> tuple[str, ...]:
    keys = difflib.get_close_matches(_key(text), _by_name(), n=3)
    return tuple(dict.fromkeys(_by_name()[key].name for key in keys))
