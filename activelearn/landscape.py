"""Conductivity over the compositions of three solvents, its gradient, and how sure the model is of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.mole_fractions import molalities, weight_fractions
from surrogates.molecules import Component, MoleculeTable, lookup
from surrogates.prediction import MemberPredictor
from surrogates.species import Speciation

TARGET = "log10_conductivity_S_cm"
"""What the model of a landscape predicts."""
TRACE = 1e-9
"""Mole fraction that stands for 0: a model may leave an absent solvent out, and its slope with it."""
_CHUNK = 4096
"""Compositions that are computed at once, so that a fine grid does not fill the memory."""


@runtime_checkable
class DifferentiablePredictor(MemberPredictor, Protocol):
    """A bound ensemble whose gradients can be had in float64."""

    def double(self) -> Self:
        """Return the same predictor in float64."""


@dataclass(frozen=True)
class TernarySystem:
    """Three solvents with one lithium salt at a fixed mole fraction of lithium.

    Attributes:
        solvents: Three different components by the names they are shown under.
        salt_name: Name the salt is shown under.
        salt: The salt; its cations are lithium.
        lithium_mole_fraction: Of the lithium ions among all species, cations and anions counted apart.

    Raises:
        ValueError: If there is no such system.
    """

    solvents: Mapping[str, Component]
    salt_name: str
    salt: Component
    lithium_mole_fraction: float

    def __post_init__(self) -> None:
        if len(self.solvents) != 3 or len(set(self.solvents.values())) != 3:
            raise ValueError(f"{', '.join(self.solvents)} came; three different solvents were expected")
        salts = [name for name, count in zip(self.solvents, self._species.cations[:3], strict=True) if count]
        if salts:
            raise ValueError(f"{salts[0]} is made of ions; three solvents without were expected")
        if 0 in self._ions:
            raise ValueError(f"{self.salt_name} is not made of ions; give a lithium salt")
        kinds = set(self.salt.smiles.split("."))
        if "[Li+]" not in kinds:
            raise ValueError(f"{self.salt_name} has another cation than lithium; give a lithium salt")
        if len(kinds) > 2:
            raise ValueError(f"{self.salt_name} is made of {len(kinds)} ions; give lithium and one anion")
        if not 0 < self.lithium_mole_fraction < self.most_lithium:
            raise ValueError(
                f"lithium_mole_fraction is {self.lithium_mole_fraction:g}; with {self.salt_name} it must lie "
                f"between 0 and {self.most_lithium:g}, where no room is left for solvents"
            )

    @property
    def name(self) -> str:
        """Its solvents in a word, as `PC/DMC/EC`."""
        return "/".join(self.solvents)

    @property
    def most_lithium(self) -> float:
        """Mole fraction of lithium in the salt alone."""
        cations, anions = self._ions
        return cations / (cations + anions)

    @property
    def components(self) -> tuple[Component, ...]:
        """The solvents, then the salt."""
        return *self.solvents.values(), self.salt

    @property
    def _ions(self) -> tuple[float, float]:
        """Cations and anions in a formula unit of the salt."""
        return float(self._species.cations[-1]), float(self._species.anions[-1])

    @cached_property
    def _species(self) -> Speciation:
        return Speciation.of(self.components)

    def mixtures(self, table: MoleculeTable, x: Tensor, temperature_K: Tensor) -> MixtureBatch:
        """Return the mixtures of some compositions; gradients reach `x`.

        Args:
            table: Molecules, among them those of the system.
            x: `n x 3`, mole fractions of the solvents among themselves.
            temperature_K: `n`, K.
        """
        *solvents, salt = lookup(self.components, table)
        molar_mass = torch.tensor([part.molar_mass for part in self.solvents.values()], dtype=x.dtype)
        cations, _ = self._ions
        lithium = x.new_full((len(x), 1), self.lithium_mole_fraction)
        left = x * (1 - self.lithium_mole_fraction / self.most_lithium)
        return MixtureBatch(
            solvents=torch.stack(solvents).expand(len(x), 3),
            weights=weight_fractions(x, molar_mass),
            salts=salt.expand(len(x), 1),
            molality=molalities(lithium / cations, left, molar_mass),
            temperature_K=temperature_K,
        )


@dataclass(frozen=True)
class Landscape:
    """What a model says of `n` compositions of a system; all float64, conductivities in mS/cm.

    Attributes:
        x: `n x 3`, mole fractions of the solvents among themselves.
        weights: `n x 3`, their weight fractions among themselves.
        molality: `n`, mol salt per kg solvent.
        temperature_K: `n`, K.
        conductivity: `n`, 10 to the mean of the members' logarithms: the middle of the interval, in the
            order of a screen, and no single member that strays upwards decides it.
        std: `n`, standard deviation of a measurement, to first order in the calibrated one of the logarithm.
        std_epistemic: `n`, the part of it from what the model does not know: how far its members differ.
        lower_90: `n`, lower end of the interval that holds 90 % of measurements, exact in the logarithm.
        upper_90: `n`, its upper end.
        std_log10: `n`, standard deviation of a measurement of log10 of the conductivity.
        gradient: `n x 3`, slope of the conductivity along each mole fraction [mS/cm per unit], within the
            plane in which the three sum to 1 and at a fixed mole fraction of lithium: rows sum to 0.
        in_domain: `n`, bool, whether the model knows such mixtures.
    """

    x: Tensor
    weights: Tensor
    molality: Tensor
    temperature_K: Tensor
    conductivity: Tensor
    std: Tensor
    std_epistemic: Tensor
    lower_90: Tensor
    upper_90: Tensor
    std_log10: Tensor
    gradient: Tensor
    in_domain: Tensor

    def __len__(self) -> int:
        return len(self.conductivity)


def ternary_grid(step: float) -> Tensor:
    """Return every point of the ternary whose mole fractions are multiples of a step, edges included.

    Args:
        step: Its inverse is a whole number `p`.

    Returns:
        `(p + 1)(p + 2) / 2 x 3`, float64, rows sum to 1, in lexicographic order.

    Raises:
        ValueError: If no whole number of steps makes 1.
    """
    parts = round(1 / step)
    if parts < 1 or not math.isclose(parts * step, 1):
        raise ValueError(f"step is {step:g}; a whole number of steps must make 1")
    first, second = torch.cartesian_prod(*[torch.arange(parts + 1)] * 2).T
    third = parts - first - second
    return torch.stack([first, second, third], dim=-1)[third >= 0].double() / parts


def landscape(
    predictor: DifferentiablePredictor,
    table: MoleculeTable,
    system: TernarySystem,
    x: Tensor,
    temperature_K: Tensor,
) -> Landscape:
    """Return what a model says of compositions of a system, computed in float64.

    For the gradient a mole fraction of 0 is taken as 1e-9, so that the slope into the ternary exists on its
    edges too.

    Args:
        predictor: Predicts `log10_conductivity_S_cm`; bound to `table`.
        table: Molecules, among them those of the system.
        system: Which solvents, which salt, how much of it.
        x: `n x 3`, mole fractions of the solvents among themselves, rows sum to 1.
        temperature_K: `n`, K.
    """
    precise = predictor.double()
    x, temperature_K = x.double(), temperature_K.double()
    parts = [
        _chunk(precise, table, system, some_x, some_T)
        for some_x, some_T in zip(x.split(_CHUNK), temperature_K.split(_CHUNK), strict=True)
    ]
    return Landscape(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Landscape)))


def _chunk(
    predictor: DifferentiablePredictor,
    table: MoleculeTable,
    system: TernarySystem,
    x: Tensor,
    temperature_K: Tensor,
) -> Landscape:
    batch = system.mixtures(table, x, temperature_K)
    said = predictor.predict(batch)
    conductivity = 10 ** (said.mean + 3)
    to_first_order = math.log(10) * conductivity
    reach = said.interval_factor.to(said.std) * said.std
    return Landscape(
        x=x,
        weights=batch.weights,
        molality=batch.molality[:, 0],
        temperature_K=temperature_K,
        conductivity=conductivity,
        std=to_first_order * said.std,
        std_epistemic=to_first_order * said.epistemic.sqrt(),
        lower_90=10 ** (said.mean - reach + 3),
        upper_90=10 ** (said.mean + reach + 3),
        std_log10=said.std,
        gradient=_gradient(predictor, table, system, x, temperature_K),
        in_domain=said.in_domain,
    )


def _gradient(
    predictor: DifferentiablePredictor,
    table: MoleculeTable,
    system: TernarySystem,
    x: Tensor,
    temperature_K: Tensor,
) -> Tensor:
    """Return the slope of the conductivity within the ternary, `n x 3`, mS/cm per unit, rows sum to 0."""
    inside = x.clamp_min(TRACE)
    inside = (inside / inside.sum(-1, keepdim=True)).requires_grad_()
    members, _ = predictor.member_outputs(system.mixtures(table, inside, temperature_K))
    conductivity = 10 ** (members.mean(0) + 3)
    # A mixture's conductivity depends on its own row alone, so that one sum gives the gradients of all.
    (gradient,) = torch.autograd.grad(conductivity.sum(), inside)
    return gradient - gradient.mean(-1, keepdim=True)
