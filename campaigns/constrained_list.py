"""The columns that constraints add to a ranked list, and what they leave out, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from activelearn.chemical_constraints import MixtureVariables
from activelearn.composition_masks import CompositionMask
from activelearn.composition_spaces import CompositionSpace
from activelearn.constraints import Constraint, slack
from activelearn.mixture_masks import MixtureMask
from activelearn.screening import Mask, Standing
from activelearn.solubility import LiquidRange, Solubility
from activelearn.spaces import MixtureSpace
from campaigns.cathode_config import CathodeScreenConfig
from campaigns.constraint_config import CathodeConstraintsConfig, ConstraintsConfig
from campaigns.screen_config import ScreenConfig


@dataclass(frozen=True)
class ConstrainedSpace:
    """A space with what is asked of its candidates.

    Attributes:
        space: The candidates.
        mask: What leaves some of them out, if anything does.
        solubility: What is known of it, where it is asked for.
        liquid: Of the liquid range, likewise.
    """

    space: MixtureSpace
    mask: MixtureMask | None
    solubility: Solubility | None
    liquid: LiquidRange | None

    @staticmethod
    def of(config: ConstraintsConfig, space: MixtureSpace) -> ConstrainedSpace:
        """Return the space under the constraints of a file.

        Raises:
            InputError: If a table or a function cannot be used, or no candidate fulfils all.
        """
        solubility, liquid = config.facts(space)
        return ConstrainedSpace(space, config.mask(space, solubility, liquid), solubility, liquid)

    def warnings(self) -> list[str]:
        """Return a sentence for each kind of thing without data."""
        told = []
        if self.solubility is not None and self.solubility.unknown_salts:
            told.append(f"no data on the solubility of {', '.join(self.solubility.unknown_salts)}")
        if self.solubility is not None and self.solubility.unused_rows:
            told.append(f"not used, of another salt or temperature: {'; '.join(self.solubility.unused_rows)}")
        if self.liquid is not None and self.liquid.unknown_solvents:
            told.append(f"no melting data on {', '.join(self.liquid.unknown_solvents)}")
        return told

    def columns(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return what constraints say of the candidates of a list, a row each.

        `feasible`; `slack NAME`, the room that each constraint leaves; the salt's limit with its room and
        source; the liquidus with its room and source; `flags`, what is beyond a limit that is only told.

        Args:
            table: With the columns of `MixtureSpace.describe`.
        """
        candidates = torch.tensor(table["candidate"].to_list())
        variables = MixtureVariables(self.space.solvents, self.space.salts)
        return self.columns_of(table, variables.rows(self.space.at(candidates), self.space.table))

    def columns_of(self, table: pd.DataFrame, x: Tensor) -> pd.DataFrame:
        """Return the same of any mixtures of the components of the space.

        Args:
            table: `n` rows, with the solvents, the salt, its molality and the temperature as a list has them.
            x: `n x d`, their amounts.
        """
        added: dict[str, Any] = {}
        if self.mask is not None:
            named = {"liquid range", *(f"solubility of {salt}" for salt in self.space.salts)}
            asked = self.mask.constraints.asked
            added |= _slacks(
                [one for one in asked if one.name not in named and ": no data on" not in one.name], x
            )
        flags = [np.full(len(table), "", dtype=object)]
        solvents = _solvents_of(table)
        if self.solubility is not None:
            limit = self.solubility.limit(x).numpy()
            room = limit - table["molality_mol_kg"].to_numpy()
            pairs = list(zip(solvents, table["salt"], strict=True))
            sources = {pair: self.solubility.source(*pair) for pair in set(pairs)}
            added["salt_limit_mol_kg"], added["slack_salt_mol_kg"] = limit, room
            added["salt_limit_source"] = [sources[pair] for pair in pairs]
            flags.append(np.where(np.isnan(room), "solubility unknown", ""))
            flags.append(np.where(room < -1e-6, "beyond the salt's limit", ""))
        if self.liquid is not None:
            liquidus = self.liquid.liquidus_K(x).numpy()
            room = table["temperature_K"].to_numpy() - liquidus
            reasons = {names: self.liquid.source(names) for names in set(solvents)}
            unknown = set(self.liquid.unknown_solvents)
            is_unknown = np.array([not unknown.isdisjoint(names) for names in solvents], dtype=bool)
            added["liquidus_K"] = np.where(is_unknown & (liquidus < 1), np.nan, liquidus)
            added["slack_liquid_K"] = np.where(is_unknown & (room > 0), np.nan, room)
            added["liquidus_source"] = [reasons[names] for names in solvents]
            flags.append(np.where(is_unknown, "liquid range unknown", ""))
            flags.append(np.where(room < -1e-3, "colder than its ideal liquidus", ""))
        if self.solubility is not None or self.liquid is not None:
            added["flags"] = ["; ".join(filter(None, row)) for row in zip(*flags, strict=True)]
        return pd.DataFrame(added, index=table.index)


@dataclass(frozen=True)
class ConstrainedCompositions:
    """A space of compositions with what is asked of them.

    Attributes:
        space: The candidates.
        mask: What leaves some of them out, if anything does.
    """

    space: CompositionSpace
    mask: CompositionMask | None

    @staticmethod
    def of(config: CathodeConstraintsConfig, space: CompositionSpace) -> ConstrainedCompositions:
        """Return the space under the constraints of a file.

        Raises:
            InputError: If a function cannot be used, or no candidate fulfils all.
        """
        return ConstrainedCompositions(space, config.mask(space))

    def warnings(self) -> list[str]:
        """Return a sentence for each kind of thing without data: there is none."""
        return []

    def columns(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return what constraints say of the candidates of a list: `feasible`, and each `slack NAME`.

        Args:
            table: With the columns of `CompositionSpace.describe`.
        """
        added: dict[str, Any] = {}
        if self.mask is not None:
            candidates = self.space.at(torch.tensor(table["candidate"].to_list()))
            added = _slacks(self.mask.constraints.asked, self.mask.variables.rows(candidates))
        return pd.DataFrame(added, index=table.index)


AnyConstrained = ConstrainedSpace | ConstrainedCompositions


def constrained_by(config: ScreenConfig | CathodeScreenConfig) -> AnyConstrained | None:
    """Return the space of a screen under its constraints, None if it has none.

    Raises:
        InputError: If a table or a function cannot be used, or no candidate fulfils all.
    """
    if config.constraints is None:
        return None
    if isinstance(config, ScreenConfig):
        return ConstrainedSpace.of(config.constraints, config.space.space())
    return ConstrainedCompositions.of(config.constraints, config.space.space())


def left_out(mask: Mask | None, standing: Standing) -> dict[str, Any]:
    """Return how many candidates a mask left out, and how many miss each constraint."""
    if mask is None:
        return {}
    *each, any_of_them = standing.missed.tolist()
    return {
        "feasible": standing.candidates - any_of_them,
        "infeasible": any_of_them,
        "infeasible_by": dict(zip(mask.names, each, strict=True)),
    }


def _slacks(constraints: Iterable[Constraint], x: Tensor) -> dict[str, np.ndarray]:
    """Return that listed candidates are feasible, the others being left out, and the room each has.

    Amounts are float32 in a screen; after six decimals stands their rounding.
    """
    feasible = {"feasible": np.ones(len(x), dtype=bool)}
    return feasible | {f"slack {one.name}": slack(one, x).numpy().round(6) + 0.0 for one in constraints}


def _solvents_of(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the names of the solvents of each row."""
    slots = [name for name in map(str, table) if name.startswith("solvent_") and not name.endswith("_smiles")]
    return [
        tuple(name for name in row if isinstance(name, str))
        for row in zip(*(table[slot] for slot in slots), strict=True)
    ]
