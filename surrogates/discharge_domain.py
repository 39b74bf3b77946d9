"""Which cathodes and which tests a discharge model knows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions
from surrogates.compositions import charges_of
from surrogates.conditions import Ranges
from surrogates.discharge import embed_compositions
from surrogates.members import Members

LITHIUM, MANGANESE = "Li", "Mn"
METALS = ("Mg", "Al", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Zr", "Nb", "Mo", "W")
"""Of the published data, after the list in drxnet/data/processor.py of zhongpc/drxnet."""
LITHIUM_AMOUNT = (1.0, 1.35)
FLUORINE_AMOUNT = (0.0, 0.7)
USUAL = (20.0, 1.5, 4.8, 1.0)
"""Rate, mA/g, window, V, and cycle of most tests."""
QUANTILE = 0.95
_AT_ONCE = 4096
_ROUNDING = 1e-4
"""Of amounts written with four decimals or held in single precision."""


@dataclass(frozen=True)
class DischargeDomain:
    """What counts as known: elements, amounts, and members that agree as they do on known cathodes.

    A composition is known if every cation stands in the training data, lithium and fluorine lie within the
    amounts there, and the members' capacities at one usual condition differ no more than they do for 95 % of
    cathodes that are known well.

    Attributes:
        cations: Symbols.
        lithium: Lowest and highest amount for two anions.
        fluorine: Likewise.
        ranges: Of the conditions. One outside is worth a warning, which `conditions.outside` words; it does
            not change whether a composition is known.
        condition: Of the capacities: rate, mA/g, lower and upper voltage, V, and cycle.
        spread_mAh_g: Largest standard deviation of the members' capacities that is still known.
        origin: Where the limits come from, a sentence or two.
    """

    cations: tuple[str, ...]
    lithium: tuple[float, float]
    fluorine: tuple[float, float]
    ranges: Ranges
    condition: tuple[float, float, float, float]
    spread_mAh_g: float
    origin: str

    def holds(
        self, members: Members, table: CompositionTable, batch: CompositionBatch, embedding: Tensor
    ) -> Tensor:
        """Return whether each composition is known, `n`, bool.

        Args:
            members: The `K` networks.
            table: The elements.
            batch: The compositions.
            embedding: `K x n x width`, theirs, from `embed_compositions`.
        """
        is_known = torch.tensor([element in self.cations for element in table.elements])
        known = (is_known[batch.cations] | (batch.weights == 0)).all(-1)
        is_lithium = torch.tensor([element == "Li" for element in table.elements])
        lithium = 2 * (batch.weights * is_lithium[batch.cations]).sum(-1)
        for amount, (low, high) in ((lithium, self.lithium), (2 * batch.fluorine, self.fluorine)):
            known &= (amount >= low - _ROUNDING) & (amount <= high + _ROUNDING)
        return known & (spread(members, embedding, self.condition) <= self.spread_mAh_g)


def spread(members: Members, embedding: Tensor, condition: tuple[float, float, float, float]) -> Tensor:
    """Return the standard deviation of the members' capacities, `n`, mAh/g.

    Args:
        members: The `K` networks.
        embedding: `K x n x width`.
        condition: Rate, mA/g, lower and upper voltage, V, and cycle.
    """
    rate, V_low, V_high, cycle = condition
    asked = Conditions.of([rate], [cycle], [V_low], [V_high])
    window = asked.window().to(embedding.dtype)
    with torch.no_grad():
        added = members.each("condition", asked)
        parts = []
        for some in embedding.split(_AT_ONCE, dim=1):
            _, state = members.each("states", mine=(some, added))
            parts.append(members.each("discharge", window, window[:, :1], mine=(state,))[..., 0].std(0))
        return torch.cat(parts)


def spread_limit(members: Members, embedding: Tensor, condition: tuple[float, float, float, float]) -> float:
    """Return the spread that 95 % of known cathodes do not exceed, mAh/g; arguments as of `spread`."""
    return float(torch.quantile(spread(members, embedding, condition), QUANTILE))


def published_domain(members: Members, ranges: Ranges) -> DischargeDomain:
    """Return what the published networks, or students of theirs, know, `ranges` being of their conditions.

    Their data are not public. Known are the elements, and that the data hold many cathodes of Li, Mn, O and
    F, which the paper maps; so the members' spread over that map tells what agreement is.
    """
    table, batch = manganese_oxyfluorides()
    return DischargeDomain(
        cations=(LITHIUM, *METALS),
        lithium=LITHIUM_AMOUNT,
        fluorine=FLUORINE_AMOUNT,
        ranges=ranges,
        condition=USUAL,
        spread_mAh_g=spread_limit(members, embed_compositions(members, table, batch), USUAL),
        origin="cations: the published script's list of elements; amounts: those sampled to teach; "
        "spread: 95 % of the Li-Mn-O-F cathodes between these amounts stay below it",
    )


def manganese_oxyfluorides() -> tuple[CompositionTable, CompositionBatch]:
    """Return charge-balanced cathodes of Li, Mn, O and F on an even grid of the sampled amounts."""
    lithium, fluorine = (
        grid.flatten()
        for grid in torch.meshgrid(
            torch.linspace(*LITHIUM_AMOUNT, 15), torch.linspace(*FLUORINE_AMOUNT, 15), indexing="ij"
        )
    )
    amounts = torch.stack([lithium, 2 - lithium], dim=1)
    charge = (4 - fluorine - lithium) / (2 - lithium)
    lowest, highest = charges_of(MANGANESE)
    kept = (charge >= lowest) & (charge <= highest + _ROUNDING)
    cations = torch.tensor([[0, 1]]).expand(int(kept.sum()), 2)
    batch = CompositionBatch.from_amounts(cations, amounts[kept], fluorine[kept])
    return CompositionTable.of((LITHIUM, MANGANESE)), batch
