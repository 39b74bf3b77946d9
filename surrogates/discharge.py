"""What members of DRXNet say of cathodes: capacity, energy, voltage, retention, and whole profiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions
from surrogates.members import Members

NODES = 32
"""Of the Gauss-Legendre rule over the window. It gives the mean energy of the published networks to
0.1 Wh/kg on the reference rows, which a test holds; 16 nodes give it to 0.3."""
_DEAD = 1e-3
"""A capacity, mAh/g, under which a member's voltage and retention mean nothing."""
_EMBED_AT_ONCE = 16
_POINTS_AT_ONCE = 4096
"""Compositions, and points (composition, condition, voltage), computed together: what fits a core's cache."""


@dataclass(frozen=True)
class Discharge:
    """What `K` members say of `n` compositions under `c` conditions.

    Attributes:
        capacity_mAh_g: `K x n x c`, the charge at V_low. A charge at V_high, which the published networks
            have, is not taken off, as in the published script.
        energy_Wh_kg: `K x n x c`, the integral of the voltage over the charge between V_high and V_low.
        first_capacity_mAh_g: `K x n x c`, the capacity in the first cycle at the same rate and window.
    """

    capacity_mAh_g: Tensor
    energy_Wh_kg: Tensor
    first_capacity_mAh_g: Tensor

    def average_voltage_V(self) -> Tensor:
        """Return each member's energy over its capacity, `K x n x c`; NaN below 0.001 mAh/g."""
        return _ratio(self.energy_Wh_kg, self.capacity_mAh_g)

    def retention(self) -> Tensor:
        """Return each member's capacity over that of its first cycle, `K x n x c`; NaN likewise."""
        return _ratio(self.capacity_mAh_g, self.first_capacity_mAh_g)

    def voltage_statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the average voltage over members, each `n x c`, V and V^2.

        A member counts by its capacity, so that one that sees no capacity has no say. The mean is the
        energy's mean over the capacity's, as in the published script.
        """
        return _statistics(self.voltage_deviations())

    def voltage_deviations(self) -> tuple[Tensor, Tensor]:
        """Return the same mean, and how far each member is from it, weighted, `K x n x c`.

        The sum over members of products of the latter is the covariance.
        """
        return _weighted_deviations(self.energy_Wh_kg, self.capacity_mAh_g)

    def retention_statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the retention over members, each `n x c`, weighted likewise."""
        return _statistics(self.retention_deviations())

    def retention_deviations(self) -> tuple[Tensor, Tensor]:
        """Return the mean of the retention, and how far each member is from it, weighted, `K x n x c`."""
        return _weighted_deviations(self.capacity_mAh_g, self.first_capacity_mAh_g)


@dataclass(frozen=True)
class Profiles:
    """Profiles of `n` compositions under `c` conditions by `K` members, on `v` even voltages.

    Attributes:
        voltage: `c x v`, V, from V_low up.
        charge_mAh_g: `K x n x c x v`.
        slope_mAh_g_V: `K x n x c x v`, its derivative by the voltage.
    """

    voltage: Tensor
    charge_mAh_g: Tensor
    slope_mAh_g_V: Tensor


def embed_compositions(members: Members, table: CompositionTable, batch: CompositionBatch) -> Tensor:
    """Return each member's vector of each composition, `K x n x width`: the costly part, done once."""
    with torch.no_grad():
        parts = [
            members.each("embed", table, batch[start : start + _EMBED_AT_ONCE])
            for start in range(0, len(batch), _EMBED_AT_ONCE)
        ]
        return torch.cat(parts, dim=1)


def discharge(members: Members, embedding: Tensor, conditions: Conditions, nodes: int = NODES) -> Discharge:
    """Return capacity and energy of all compositions under all conditions.

    The energy is that of the charge by parts: V_low Q(V_low) - V_high Q(V_high) + integral of Q over the
    window, by a Gauss-Legendre rule.

    Args:
        members: `K` networks of `DRXNet`.
        embedding: `K x n x width`, from `embed_compositions`.
        conditions: `c` conditions.
        nodes: Of the rule.
    """
    x, weight = (torch.tensor(t, dtype=embedding.dtype) for t in np.polynomial.legendre.leggauss(nodes))
    window = conditions.window().to(embedding.dtype)
    low, high = window.unbind(-1)
    inner = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * x
    voltage = torch.cat([low[:, None], inner, high[:, None]], dim=-1)
    first_is_asked = bool((conditions.cycle != 1).any())

    def part(embedding: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first, now = members.each("states", mine=(embedding[:, :, None], condition[:, None]))
        charge = members.each("discharge", window, voltage, mine=(now,))
        capacity, inside, offset = charge[..., 0], charge[..., 1:-1], charge[..., -1]
        energy = low * capacity - high * offset + (high - low) / 2 * (inside @ weight)
        if first_is_asked:
            first_capacity = members.each("discharge", window, low[:, None], mine=(first,))[..., 0]
        else:
            first_capacity = capacity
        return capacity, energy, first_capacity

    with torch.no_grad():
        condition = members.each("condition", conditions)
        step = max(1, _POINTS_AT_ONCE // voltage.numel())
        parts = [part(some, condition) for some in embedding.split(step, dim=1)]
        return Discharge(*(torch.cat(tensors, dim=1) for tensors in zip(*parts, strict=True)))


def profiles(members: Members, embedding: Tensor, conditions: Conditions, points: int = 100) -> Profiles:
    """Return the profiles of all compositions under all conditions, with their slopes.

    Args:
        members: `K` networks of `DRXNet`.
        embedding: `K x n x width`, from `embed_compositions`.
        conditions: `c` conditions.
        points: Voltages, both ends of the window among them.
    """
    window = conditions.window().to(embedding.dtype)
    voltage = torch.lerp(window[:, :1], window[:, 1:], torch.linspace(0, 1, points, dtype=embedding.dtype))
    with torch.no_grad():
        condition = members.each("condition", conditions)
        charge, slope = [], []
        for some in embedding.split(max(1, _POINTS_AT_ONCE // voltage.numel()), dim=1):
            _, now = members.each("states", mine=(some[:, :, None], condition[:, None]))
            both = members.each("discharge_slope", window, voltage, mine=(now,))
            charge.append(both[0])
            slope.append(both[1])
        return Profiles(voltage, torch.cat(charge, dim=1), torch.cat(slope, dim=1))


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    return (above / below).where(below >= _DEAD, torch.nan)


def deviations(each: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean over members, and how far each is from it; sums of products of these are covariances.

    Args:
        each: `K x ...`.
    """
    mean = each.mean(0)
    return mean, (each - mean) / (len(each) - 1) ** 0.5


def _statistics(of_members: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    mean, apart = of_members
    return mean, apart.square().sum(0)


def _weighted_deviations(above: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same of a ratio, each member weighted by its denominator."""
    mean = above.sum(0) / below.sum(0).clamp_min(_DEAD)
    weight = below.where(below >= _DEAD, 0)
    share = weight / weight.sum(0).clamp_min(_DEAD)
    away = torch.nan_to_num(_ratio(above, below)) - mean
    # Unbiased for weights that say how much a member counts: with equal weights the usual n - 1.
    spare = (1 - share.square().sum(0)).clamp_min(1e-6)
    return mean, (share / spare).sqrt() * away
