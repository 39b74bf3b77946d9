"""How fast five members of DRXNet give capacity and voltage, beside the published scheme.

    python -m tests.benchmarks.bench_drxnet

The published scheme builds a graph for each of 100 voltages, for one composition and one network at a
time. Both run on one thread. The compositions are random: lithium, four to six metals, oxygen and
fluorine; their charges need not balance here.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions, read_formulas
from surrogates.discharge import discharge, embed_compositions, profiles
from surrogates.encoders.drxnet_published import load_published
from surrogates.members import Members
from tests.benchmarks import published_discharge as loop
from tests.benchmarks.measuring import in_turns, public_data

ROUNDS = 5
COMPOSITIONS = 1000
LOOPED = 2
METALS = ("Mn", "Cr", "Ti", "Nb", "V", "Fe", "Ni", "Mg", "Zr", "Mo")
RATE, CYCLE, V_LOW, V_HIGH = 20.0, 1.0, 1.5, 4.8


def main() -> None:
    """Print the ratios of profiles a second."""
    torch.set_num_threads(1)
    _, reference = public_data()
    members = load_published(reference)
    networks = loop.load_published(reference)
    formulas = random_formulas(COMPOSITIONS, seed=0)
    conditions = Conditions.of([RATE], [CYCLE], [V_LOW], [V_HIGH])
    table, batch = read_formulas(formulas)
    time = in_turns(
        {
            "loop": partial(looped, networks, formulas[:LOOPED]),
            "capacity and voltage": partial(capacity_and_voltage, members, table, batch, conditions),
            "with formulas to read": partial(from_formulas, members, formulas, conditions),
            "profiles of 100 points": partial(whole_profiles, members, table, batch, conditions),
        },
        ROUNDS,
    )
    one = time.pop("loop") / LOOPED
    shown = Table("five members", "times the loop's profiles a second", title=f"{COMPOSITIONS} compositions")
    for name, taken in time.items():
        shown.add_row(name, f"{one / (taken / COMPOSITIONS):,.0f}")
    Console().print(shown)


def random_formulas(count: int, seed: int) -> list[str]:
    """Return lithium-excess compositions of two cations with four to six metals each."""
    random = np.random.default_rng(seed)
    formulas = []
    for _ in range(count):
        metals = random.choice(METALS, random.integers(4, 7), replace=False)
        amounts = 0.8 * random.dirichlet(np.full(len(metals), 5.0))
        parts = "".join(f"{metal}{amount:.4f}" for metal, amount in zip(metals, amounts, strict=True))
        fluorine = random.uniform(0.05, 0.4)
        formulas.append(f"Li1.2{parts}O{2 - fluorine:.4f}F{fluorine:.4f}")
    return formulas


def looped(networks: list[loop.PublishedNetwork], formulas: list[str]) -> None:
    """Give each composition's capacity and voltage by the published scheme."""
    voltage = torch.linspace(V_LOW, V_HIGH, loop.POINTS)
    for formula in formulas:
        charge, _ = loop.profile_loop(networks, formula, RATE, CYCLE, V_LOW, V_HIGH)
        loop.voltage_and_energy(charge.mean(0), voltage)


def capacity_and_voltage(
    members: Members, table: CompositionTable, batch: CompositionBatch, conditions: Conditions
) -> tuple[Tensor, Tensor]:
    """Give the members' capacities and the voltage, from tensors, as in a screen."""
    result = discharge(members, embed_compositions(members, table, batch), conditions)
    return result.capacity_mAh_g, result.voltage_statistics()[0]


def from_formulas(members: Members, formulas: list[str], conditions: Conditions) -> None:
    """Give the same from formulas."""
    capacity_and_voltage(members, *read_formulas(formulas), conditions)


def whole_profiles(
    members: Members, table: CompositionTable, batch: CompositionBatch, conditions: Conditions
) -> None:
    """Give charge and slope on as many points as the published scheme."""
    profiles(members, embed_compositions(members, table, batch), conditions, loop.POINTS)


if __name__ == "__main__":
    main()
