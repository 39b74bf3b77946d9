"""The MolSets data: conductivities of 1,076 polymer and liquid electrolytes at 298 K."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path

import pandas as pd
import torch

from surrogates.batches import MixtureBatch
from surrogates.chemicals import name_of
from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.molecules import Component, canonical_smiles, is_polymer, molar_mass

TARGET = "log10_conductivity_S_cm"
FIT_TEMPERATURE_K = 298.0
"""Where the paper evaluates its fits."""
TEMPERATURE_K = 298.15
"""The same room temperature as it is written everywhere else here."""
POOR_FIT_R2 = 0.9
_PERCHLORATE = canonical_smiles("[O-]Cl(=O)(=O)=O")


def load_molsets(path: Path) -> MixtureData:
    """Return all rows of `data_compiled.csv`; its hash must have been checked.

    Molecules get their canonical spelling and keep the molar masses given, which for polymers are their
    chains'. Weights are fractions of the whole mixture; what they lack to 1 is not solvent. The target is
    log10 of conductivity [S/cm], slope / 298 + intercept of the Arrhenius fits.

    Args:
        path: The file, as published.

    Source: Zhang et al., PRX Energy 3, 023006 (2024), and its repository Henrium/MolSets.
    """
    cells = pd.read_csv(path, dtype=str, keep_default_na=False)
    spelled = [
        [row[f"Solvent {i}"] for i in range(1, 5) if row[f"Solvent {i}"] != "nan"]
        for _, row in cells.iterrows()
    ]
    masses = [json.loads(text) for text in cells["M"]]
    weights = [json.loads(text) for text in cells["Weights"]]
    solvents = [
        [Component.of(*pair) for pair in zip(*row, strict=True)] for row in zip(spelled, masses, strict=True)
    ]
    salts = [Component.of(smiles) for smiles in cells["Salt"]]
    number = cells[["Molality", "Slope", "Intercept", "Goodness"]].astype(float)
    table, batch = tabulate(
        solvents,
        weights,
        [[salt] for salt in salts],
        [[molality] for molality in number["Molality"]],
        [TEMPERATURE_K] * len(cells),
    )
    rows = mixture_rows(table, batch, range(2, len(cells) + 2), (number["Goodness"] < POOR_FIT_R2).to_numpy())
    target = number["Slope"] / FIT_TEMPERATURE_K + number["Intercept"]
    return MixtureData(
        table=table,
        batch=batch,
        target=torch.tensor(target.to_numpy()),
        target_name=TARGET,
        rows=rows,
        source=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        report=_report(
            [[*row, salt] for row, salt in zip(spelled, cells["Salt"], strict=True)],
            [[*row, salt] for row, salt in zip(solvents, salts, strict=True)],
            batch,
            rows,
        ),
    )


def _report(
    spelled: list[list[str]], components: list[list[Component]], batch: MixtureBatch, rows: pd.DataFrame
) -> tuple[str, ...]:
    spellings = defaultdict(set)
    for names, parts in zip(spelled, components, strict=True):
        for name, part in zip(names, parts, strict=True):
            spellings[part.smiles].add(name)
    merged = [name_of(smiles) for smiles, names in spellings.items() if len(names) > 1]
    respelled = sum(
        names != [part.smiles for part in parts] for names, parts in zip(spelled, components, strict=True)
    )
    capped = sum(any(is_polymer(part.smiles) for part in parts) for parts in components)
    calcium = sum(any("[Ca]" in name for name in names) for names in spelled)
    perchlorate = sum(_PERCHLORATE in parts[-1].smiles.split(".") for parts in components)
    odd = [{part for part in parts if _odd_mass(part)} for parts in components]
    odd_names = sorted(f"{name_of(part.smiles)} at {part.molar_mass:.2f}" for part in set().union(*odd))
    several = int((batch.weights > 0).sum(-1).gt(1).sum())
    remainder = int((batch.weights.sum(-1) < 1 - 1e-9).sum())
    return (
        f"{len(batch)} rows read, none dropped; {several} hold 2 to 4 solvents",
        f"{respelled} rows: SMILES rewritten in RDKit's canonical spelling; {len(merged)} molecules stood "
        f"in two spellings: {', '.join(merged) or 'none'}",
        f"{capped} rows: polymer caps [Cu] and [Au] read as carbon without hydrogen, as the paper does; "
        "the molar mass is the chain's",
        f"{calcium} rows: [Ca], where chains are linked, kept as an atom of calcium, as the paper does",
        f"{perchlorate} rows: perchlorate in its charge-separated spelling, to which others are brought",
        f"{sum(map(bool, odd))} rows: a molar mass [g/mol] differs from the formula's by more than 1 %, "
        f"kept as given: {', '.join(odd_names) or 'none'}",
        f"{remainder} rows: weight fractions sum to less than 1, kept; the remainder is not solvent",
        f"{int((batch.molality > 10).sum())} rows: molality above 10 mol/kg, kept",
        f"{len(batch)} rows: target is slope / {FIT_TEMPERATURE_K:g} + intercept, log10 of S/cm; "
        f"temperature_K is set to {TEMPERATURE_K:g}",
        f"{int(rows['poor_fit'].sum())} rows: fit with R2 below {POOR_FIT_R2:g}, flagged poor_fit",
        f"{int(rows['repeat'].sum())} rows: molecules, fractions, salt and molality of an earlier row, "
        "whatever the molar mass of the chain, flagged repeat",
    )


def _odd_mass(part: Component) -> bool:
    return not is_polymer(part.smiles) and abs(part.molar_mass / molar_mass(part.smiles) - 1) > 0.01
