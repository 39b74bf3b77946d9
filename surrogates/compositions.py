"""Formula to the amounts of its elements."""

from __future__ import annotations

import re
from collections import defaultdict

from rdkit import Chem

_PART = re.compile(r"([A-Z][a-z]?)(\d+\.?\d*|\.\d+)?|(\()|(\))(\d+\.?\d*|\.\d+)?")

_ELEMENTS = frozenset(Chem.GetPeriodicTable().GetElementSymbol(z) for z in range(1, 119))


class InvalidFormula(ValueError):
    """A formula that cannot be read, or a symbol that is no element."""


def parse_formula(formula: str) -> dict[str, float]:
    """Return the amount of each element, in order of first appearance; groups stand in parentheses.

    `Li1.2Mn0.4Ti0.4O2` gives `{"Li": 1.2, "Mn": 0.4, "Ti": 0.4, "O": 2.0}`.

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
            raise InvalidFormula(f'"{part[0]}" has an amount of 0')
        for element, count in inner.items():
            groups[-1][element] += factor * count
    if len(groups) > 1:
        raise InvalidFormula("a parenthesis is never closed")
    if not groups[0]:
        raise InvalidFormula("it holds no element")
    return dict(groups[0])
