"""Formulas of cathodes: read, written, and held to the sums that a rocksalt must keep."""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from rdkit import Chem

# A parser of our own: pymatgen's takes 0.26 s to import and brings Matplotlib, SymPy and spglib; of the light
# ones (7 to 60 ms) chemparse and molmass read no spaces, and chemparse takes "Li-1O" for an element "-".
_PART = re.compile(
    r"\s*(?:([A-Z][a-z]?)\s*([0-9]+\.?[0-9]*|\.[0-9]+)?|(\()|(\))\s*([0-9]+\.?[0-9]*|\.[0-9]+)?)\s*", re.ASCII
)
_ELEMENTS = frozenset(Chem.GetPeriodicTable().GetElementSymbol(z) for z in range(1, 119))

SITES_TOLERANCE = 0.02
"""How far the cations of two anions may sum from 2: six amounts rounded to two decimals stay within it as a
rule, a missing metal does not."""
CHARGE_TOLERANCE = 0.05
"""How far the charges of two anions and their cations may be apart [e], for the same reason."""


class InvalidFormula(ValueError):
    """A formula that cannot be read, or a symbol that is no element."""


class Fault(NamedTuple):
    """What is wrong with a formula that could be read, and what to do about it, a sentence."""

    wrong: str
    mend: str


@dataclass(frozen=True)
class Ion:
    """A row of `ions.csv`.

    Attributes:
        element: Symbol.
        charge: In e, above 0.
        group: `monovalent` to `hexavalent`, or `d0`: 4+ and above with an empty d shell.
    """

    element: str
    charge: int
    group: str

    def __str__(self) -> str:
        return f"{self.element}{self.charge if self.charge > 1 else ''}+"


@cache
def ions() -> tuple[Ion, ...]:
    """Return the ions of `ions.csv`, in its order; its header names the sources."""
    with files("surrogates").joinpath("ions.csv").open(encoding="utf-8") as lines:
        return tuple(
            Ion(row["element"], int(row["charge"]), row["group"])
            for row in csv.DictReader(line for line in lines if not line.startswith("#"))
        )


@cache
def charges_of(element: str) -> tuple[int, int]:
    """Return the lowest and the highest charge of an element, e.

    Raises:
        KeyError: If `ions.csv` does not hold it.
    """
    known = [ion.charge for ion in ions() if ion.element == element]
    if not known:
        raise KeyError(element)
    return min(known), max(known)


@dataclass(frozen=True)
class Composition:
    """What stands on the sites of a rocksalt, for two anions.

    Attributes:
        cations: Amount of each element but O and F.
        oxygen: Amount, 0 to 2.
        fluorine: Amount, 0 to 2; `oxygen` and this sum to 2.
    """

    cations: Mapping[str, float]
    oxygen: float
    fluorine: float

    @staticmethod
    def of(formula: str) -> Composition:
        """Return the composition of a formula, scaled to two anions. Its sums are not looked at.

        Raises:
            InvalidFormula: If it is no formula, or holds no anion or no cation.
        """
        amounts = parse_formula(formula)
        oxygen, fluorine = amounts.pop("O", 0.0), amounts.pop("F", 0.0)
        if not oxygen + fluorine:
            raise InvalidFormula("it holds neither O nor F")
        if not amounts:
            raise InvalidFormula("it holds no cation")
        scale = 2 / (oxygen + fluorine)
        cations = {element: scale * amount for element, amount in amounts.items()}
        return Composition(cations, scale * oxygen, scale * fluorine)

    def faults(self) -> list[Fault]:
        """Return what keeps this from being a rocksalt as prepared: sites, charges, unknown cations.

        An element may stand in several of its charges at once, so that the cations carry any charge from
        the sum of the lowest to the sum of the highest; that of the anions must be one of these.
        """
        faults = []
        sites = sum(self.cations.values())
        if abs(sites - 2) > SITES_TOLERANCE + 1e-9:
            terms = " + ".join(f"{element} {_short(amount)}" for element, amount in self.cations.items())
            wrong = (
                f"for two anions its cations sum to {_short(sites)} ({terms}); expected 2 "
                f"to within {SITES_TOLERANCE:g}"
            )
            faults.append(Fault(wrong, "Correct its amounts."))
        unknown = [element for element in self.cations if not _has_charges(element)]
        for element in unknown:
            wrong = f"{element} is no cation whose charges are known here"
            known = ", ".join(dict.fromkeys(ion.element for ion in ions()))
            faults.append(Fault(wrong, f"Leave it out; those of surrogates/ions.csv are {known}."))
        if not unknown:
            faults += self._charge_fault()
        return faults

    def _charge_fault(self) -> list[Fault]:
        ranges = {
            element: (amount * charges_of(element)[0], amount * charges_of(element)[1])
            for element, amount in self.cations.items()
        }
        low, high = (sum(ends) for ends in zip(*ranges.values(), strict=True))
        anions = 2 * self.oxygen + self.fluorine
        if low - CHARGE_TOLERANCE - 1e-9 <= anions <= high + CHARGE_TOLERANCE + 1e-9:
            return []
        terms = ", ".join(f"{element} {_span(*ends)}" for element, ends in ranges.items())
        parts = {"O": 2 * self.oxygen, "F": self.fluorine}
        negative = ", ".join(f"{element} -{_short(charge)}" for element, charge in parts.items() if charge)
        wrong = (
            f"for two anions its cations can carry {_span(low, high)} ({terms}), its anions carry "
            f"-{_short(anions)} ({negative}); expected balance to within {CHARGE_TOLERANCE:g}"
        )
        return [Fault(wrong, "Correct its amounts.")]


def parse_formula(formula: str) -> dict[str, float]:
    """Return the amount of each element, in order of first appearance; groups stand in parentheses.

    `Li1.2 Mn0.4 Ti0.4 O2` gives `{"Li": 1.2, "Mn": 0.4, "Ti": 0.4, "O": 2.0}`. Spaces may stand anywhere
    but in an amount or a symbol; digits are ASCII, with a decimal point.

    Raises:
        InvalidFormula: If it is no formula, or an amount is 0.
    """
    groups: list[dict[str, float]] = [defaultdict(float)]
    end = 0
    while end < len(formula):
        part = _PART.match(formula, end)
        if part is None:
            raise InvalidFormula(f'"{formula[end:]}" in it is no element, amount or parenthesis')
        symbol, amount, opens, closes, times = part.groups()
        end = part.end()
        if opens:
            groups.append(defaultdict(float))
            continue
        if closes:
            if len(groups) == 1:
                raise InvalidFormula("a parenthesis closes that was never opened")
            inner = groups.pop()
        else:
            if symbol not in _ELEMENTS:
                raise InvalidFormula(f'"{symbol}" is no element')
            inner = {symbol: 1.0}
        factor = float(amount or times or 1)
        if factor == 0:
            raise InvalidFormula(f'"{part[0].strip()}" has an amount of 0')
        for element, count in inner.items():
            groups[-1][element] += factor * count
    if len(groups) > 1:
        raise InvalidFormula("a parenthesis is never closed")
    if not groups[0]:
        raise InvalidFormula("it holds no element")
    if not all(1e-6 <= amount <= 1e6 for amount in groups[0].values()):
        raise InvalidFormula("an amount in it lies outside 0.000001 to 1000000")
    return dict(groups[0])


def _has_charges(element: str) -> bool:
    return any(ion.element == element for ion in ions())


def _short(amount: float) -> str:
    """Return an amount as people write it, to four decimals."""
    return f"{amount:.4f}".rstrip("0").rstrip(".")


def _span(low: float, high: float) -> str:
    return f"+{_short(low)}" if math.isclose(low, high) else f"+{_short(low)} to +{_short(high)}"
