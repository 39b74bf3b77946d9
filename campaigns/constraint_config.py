"""The key `constraints` of a screen's YAML: what a mixture or a cathode must fulfil to be listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from activelearn.chemical_constraints import (
    CompositionVariables,
    MixtureVariables,
    Variables,
    at_least,
    at_most,
    oxidation_states,
    ratio,
)
from activelearn.composition_masks import CompositionMask
from activelearn.composition_spaces import CompositionSpace
from activelearn.conflicts import check_any, check_possible
from activelearn.constraints import (
    AtMost,
    Constraint,
    Constraints,
    FromFunction,
    LeastIfPresent,
    imported,
    source_sha256,
)
from activelearn.mixture_masks import MixtureMask
from activelearn.solubility import LiquidRange, Solubility, read_limits
from activelearn.spaces import MixtureSpace
from campaigns.config import STRICT
from surrogates.text_tables import nearest

Use = Literal["constraint", "flag"]


class RangeConfig(BaseModel):
    """What an amount may be: `at_least`, `at_most` or both."""

    model_config = STRICT

    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _says_something(self) -> RangeConfig:
        if self.at_least is None and self.at_most is None:
            raise ValueError("at_least or at_most is missing")
        return self


class SumConfig(RangeConfig):
    """A linear inequality: a sum of amounts, each times its coefficient, and its range."""

    name: Annotated[str, Field(min_length=1)]
    terms: Annotated[dict[str, float], Field(min_length=1)]


class RatioConfig(BaseModel):
    """An amount that is a fixed multiple of another."""

    model_config = STRICT

    of: str
    to: str
    value: PositiveFloat


class CountConfig(BaseModel):
    """At most `count` of some components, each absent or with `least` at least.

    By default of all solvents of mixtures, of all metals but lithium of compositions.
    """

    model_config = STRICT

    count: PositiveInt
    least: NonNegativeFloat = 0.0
    components: Annotated[list[str], Field(min_length=1)] | None = None


class SolubilityConfig(BaseModel):
    """Whether salt beyond what dissolves keeps a mixture out or is only told, and a table of the user's own.

    Attributes:
        use: A constraint, or a flag in the list.
        table: File of saturated solutions, relative to the job's; see `activelearn.solubility.read_limits`.
        columns: What its headers mean.
        units: What its units are.
    """

    model_config = STRICT

    use: Use = "constraint"
    table: Path | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)


class AmountsConfig(BaseModel):
    """Constraints on amounts, by the names that the space gives them.

    Attributes:
        bounds: The range of an amount.
        linear: Ranges of sums.
        ratios: Fixed ratios.
        at_most: Limits on how many are present.
        functions: Functions of the user's own, `package.module:function`.
    """

    model_config = STRICT

    bounds: dict[str, RangeConfig] = Field(default_factory=dict)
    linear: list[SumConfig] = Field(default_factory=list)
    ratios: list[RatioConfig] = Field(default_factory=list)
    at_most: list[CountConfig] = Field(default_factory=list)
    functions: list[str] = Field(default_factory=list)

    def amounts(self, variables: Variables, counted: Sequence[str], called: str) -> Iterator[Constraint]:
        """Yield the constraints but the user's functions.

        Args:
            variables: The amounts.
            counted: Names of what `at_most` counts by default.
            called: What these are called together.

        Raises:
            ValueError: If an amount is unknown.
        """
        for name, bounds in self.bounds.items():
            yield from _range(name, {name: 1.0}, bounds, variables)
        for one in self.linear:
            yield from _range(one.name, one.terms, one, variables)
        for item in self.ratios:
            title = f"{item.of} is {item.value:g} times {item.to}"
            yield ratio(title, variables, item.of, item.to, item.value)
        for count in self.at_most:
            names = count.components or list(counted)
            columns = tuple(variables.column(name) for name in names)
            of = f"of {', '.join(names)}" if count.components else called
            yield AtMost(f"at most {count.count} {of}", columns, count.count)
            if count.least:
                yield LeastIfPresent(f"at least {count.least:g} {of}, if any", columns, count.least)

    def of_functions(self, variables: Variables) -> list[Constraint]:
        """Return the constraints that are the user's functions.

        Raises:
            InputError: If one cannot be imported.
        """
        for path in self.functions:
            imported(path)
        return [FromFunction(path, variables.names) for path in self.functions]


class ConstraintsConfig(AmountsConfig):
    """Constraints of mixtures; names are those of the space's solvents and salts, and `temperature_K`.

    Amounts are weight fractions among the solvents, mol/kg of salts, K.

    Attributes:
        solubility: Whether and how salt limits are used; by default not.
        liquid_range: Likewise of the ideal liquidus.
    """

    solubility: SolubilityConfig | None = None
    liquid_range: Use | None = None

    def relative_to(self, job: Path) -> ConstraintsConfig:
        """Return the constraints with the table as seen from here, not from the job's file."""
        if self.solubility is None or self.solubility.table is None:
            return self
        table = job.parent / self.solubility.table
        return self.model_copy(update={"solubility": self.solubility.model_copy(update={"table": table})})

    def check_names(self, space: MixtureSpace) -> None:
        """Check that the amounts that are named are those of a space.

        Raises:
            ValueError: If one is not.
        """
        list(self._amounts(MixtureVariables(space.solvents, space.salts)))

    def facts(self, space: MixtureSpace) -> tuple[Solubility | None, LiquidRange | None]:
        """Return what is known of solubility and of the liquid range, where they are asked for.

        Raises:
            InputError: If the table cannot be used.
        """
        variables = MixtureVariables(space.solvents, space.salts)
        asked, solubility = self.solubility, None
        if asked is not None:
            rows = read_limits(asked.table, asked.columns, asked.units) if asked.table else ()
            ends = min(space.temperature_K), max(space.temperature_K)
            solubility = Solubility(variables, ends, rows)
        return solubility, LiquidRange(variables) if self.liquid_range else None

    def mask(
        self, space: MixtureSpace, solubility: Solubility | None, liquid: LiquidRange | None
    ) -> MixtureMask | None:
        """Return what leaves candidates out, None if nothing does.

        Args:
            space: The candidates.
            solubility: What is known of it; see `facts`.
            liquid: Likewise.

        Raises:
            InputError: If nothing in the space fulfils all, or a function cannot be imported.
        """
        variables = MixtureVariables(space.solvents, space.salts)
        asked = [*self._amounts(variables), *self.of_functions(variables)]
        if solubility is not None and self.solubility is not None and self.solubility.use == "constraint":
            asked += solubility.constraints()
        if liquid is not None and self.liquid_range == "constraint":
            asked += liquid.constraints()
        if not asked:
            return None
        molality, temperature_K = space.molality_mol_kg, space.temperature_K
        domain = variables.domain((min(molality), max(molality)), (min(temperature_K), max(temperature_K)))
        constraints = Constraints(variables.names, domain, tuple(asked))
        check_possible(constraints)
        mask = MixtureMask(space, constraints)
        check_any(mask, space)
        return mask

    def _amounts(self, variables: MixtureVariables) -> Iterator[Constraint]:
        return self.amounts(variables, list(variables.solvents), "solvents")


class CathodeConstraintsConfig(AmountsConfig):
    """Constraints of compositions; names are those of the space's elements, amounts are for two anions.

    Attributes:
        oxidation_states: Range of the mean charge of a metal, e, within what the space allows it; charges
            must balance so.
    """

    oxidation_states: dict[str, RangeConfig] = Field(default_factory=dict)

    def check_names(self, space: CompositionSpace) -> None:
        """Check that the elements that are named, and their charges, are those of a space.

        Raises:
            ValueError: If some are not.
        """
        list(self._amounts(CompositionVariables(space.table.elements), space.charges))

    def mask(self, space: CompositionSpace) -> CompositionMask | None:
        """Return what leaves candidates out, None if nothing does.

        Raises:
            InputError: If nothing in the space fulfils all, or a function cannot be imported.
        """
        variables = CompositionVariables(space.table.elements)
        asked = [*self._amounts(variables, space.charges), *self.of_functions(variables)]
        if not asked:
            return None
        lithium, fluorine = space.lithium, space.fluorine
        ends = (min(lithium), max(lithium)), (min(fluorine), max(fluorine))
        domain = variables.domain(*ends, space.charges)
        constraints = Constraints(variables.names, domain, tuple(asked))
        check_possible(constraints)
        mask = CompositionMask(variables, constraints)
        check_any(mask, space)
        return mask

    def _amounts(
        self, variables: CompositionVariables, charges: Mapping[str, tuple[int, int]]
    ) -> Iterator[Constraint]:
        yield from self.amounts(variables, variables.metals, "metals")
        if self.oxidation_states:
            asked = {metal: self._window(metal, charges) for metal in self.oxidation_states}
            yield from oxidation_states(variables, charges, asked)

    def _window(self, metal: str, charges: Mapping[str, tuple[int, int]]) -> tuple[float, float]:
        """Return the mean charges of a metal that are asked and that the space allows."""
        if metal not in charges:
            known = ", ".join(charges)
            raise ValueError(
                f'oxidation_states holds "{metal}", which is no metal of the space. '
                f"{nearest(metal, charges)}There are {known}"
            )
        asked, (low, high) = self.oxidation_states[metal], charges[metal]
        lowest = low if asked.at_least is None else max(low, asked.at_least)
        highest = high if asked.at_most is None else min(high, asked.at_most)
        if lowest > highest:
            raise ValueError(
                f"the space gives {metal} charges of {low} to {high}, of which oxidation_states leaves none; "
                "widen the range, or give the space other ions"
            )
        return lowest, highest


def used_files(config: ConstraintsConfig | CathodeConstraintsConfig) -> dict[str, str | None]:
    """Return the sha256 of each file that constraints use: of the user's functions, and of the table.

    Raises:
        InputError: If a function cannot be imported.
    """
    found = {path: source_sha256(path) for path in config.functions}
    if isinstance(config, ConstraintsConfig) and config.solubility and config.solubility.table:
        table = config.solubility.table
        found[str(table)] = sha256(table.read_bytes()).hexdigest()
    return found


def _range(
    name: str, terms: dict[str, float], ends: RangeConfig, variables: Variables
) -> Iterator[Constraint]:
    if ends.at_least is not None:
        yield at_least(f"{name} at least {ends.at_least:g}", variables, terms, ends.at_least)
    if ends.at_most is not None:
        yield at_most(f"{name} at most {ends.at_most:g}", variables, terms, ends.at_most)
