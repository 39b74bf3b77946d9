"""The landscape from a configuration and a model to its tables, its figure and what was run."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from activelearn.landscape import (
    TARGET,
    DifferentiablePredictor,
    Landscape,
    TernarySystem,
    landscape,
    ternary_grid,
)
from campaigns.config import load_yaml, resolve_job
from campaigns.landscape_config import LandscapeConfig
from campaigns.landscape_measured import Agreement, Measured, agreement, read_measured
from campaigns.report import with_std
from campaigns.screen import ChosenModel, choose_model
from surrogates.errors import InputError, Problem
from surrogates.model_directories import check_free, written_directory
from surrogates.molecules import MoleculeTable

NAME = "conductivity_mS_cm"


@dataclass(frozen=True)
class Compared:
    """Measured rows, and what the model says of them."""

    measured: Measured
    said: Landscape

    @property
    def agreement(self) -> Agreement:
        """How near the two are."""
        return agreement(self.measured, self.said)


@dataclass(frozen=True)
class Landscapes:
    """What a landscape found.

    Attributes:
        systems: Its systems.
        grids: What the model says of the grid of each.
        compared: What it says of each file of measurements.
    """

    systems: tuple[TernarySystem, ...]
    grids: tuple[Landscape, ...]
    compared: tuple[Compared, ...]

    def table(self) -> pd.DataFrame:
        """Return a row for each grid point of each system."""
        tables = [landscape_rows(*pair) for pair in zip(self.systems, self.grids, strict=True)]
        return pd.concat(tables, ignore_index=True)

    def peaks(self) -> pd.DataFrame:
        """Return the grid point of highest conductivity of each system, with the gradient's norm there."""
        tables = []
        for system, said in zip(self.systems, self.grids, strict=True):
            best = int(said.conductivity.argmax())
            norm = float(said.gradient[best].norm())
            rows = landscape_rows(system, said).iloc[[best]]
            tables.append(rows.assign(gradient_norm_mS_cm=norm))
        return pd.concat(tables, ignore_index=True)

    def comparison(self) -> pd.DataFrame:
        """Return a row for each measured row, what was measured before what the model says."""
        tables = []
        for compared in self.compared:
            measured = compared.measured
            rows = landscape_rows(measured.system, compared.said)
            rows.insert(0, "file", measured.file)
            rows.insert(1, "row", measured.row)
            rows.insert(2, "column", measured.column)
            rows.insert(list(rows).index(NAME), f"{NAME}_measured", measured.conductivity)
            tables.append(rows)
        return pd.concat(tables, ignore_index=True)


def choose_landscape(job: str, model: str | None = None) -> LandscapeConfig:
    """Return the landscape that a YAML file or a bundled job describes.

    Args:
        job: A path or a name.
        model: Replaces the file's.

    Raises:
        InputError: If there is no such job or it does not describe a landscape.
    """
    path = resolve_job(job)
    config = load_yaml(path, LandscapeConfig).relative_to(path)
    return config if model is None else config.model_copy(update={"model": model})


def landscape_to_directory(job: str, model: str | None, out: Path, console: Console) -> Landscapes:
    """Compute a landscape and write its directory, whole or not at all.

    `landscape.csv` holds all grid points, `peaks.csv` the best of each system, `landscape.png` the maps,
    `run.json` what was run; `comparison.csv` comes where there are measurements.

    Args:
        job: A path or a name.
        model: Replaces the job's; see `LandscapeConfig.model`.
        out: The directory, new or empty.
        console: Where it is told what was read.

    Raises:
        InputError: If the job, the model, the measurements or the directory cannot be used.
    """
    config = choose_landscape(job, model)
    check_free(out)
    systems = tuple(item.system() for item in config.systems)
    measured = [
        read_measured(item.file, systems, config.temperature_K, item.columns, item.units)
        for item in config.measured
    ]
    for item in measured:
        for line in item.report:
            console.print(line, markup=False, soft_wrap=True)
    chosen = choose_model(config.model)
    found = compute(config, chosen, systems, measured)
    _write(found, _asked(config, chosen, measured), out)
    return found


def compute(
    config: LandscapeConfig,
    chosen: ChosenModel,
    systems: Sequence[TernarySystem],
    measured: Sequence[Measured],
) -> Landscapes:
    """Return what a model says of the grids and of the measured mixtures.

    Raises:
        InputError: If the model predicts something else than conductivity, or has no gradient.
    """
    table = MoleculeTable.build(part for system in systems for part in system.components)
    predictor = chosen.model.bind(table)
    if predictor.target != TARGET:
        wrong = f"the model predicts {predictor.target}, a landscape needs {TARGET}"
        raise InputError(Problem("target", wrong, "Give another model."))
    if not isinstance(predictor, DifferentiablePredictor):
        wrong = "the model has no gradient with respect to composition"
        raise InputError(Problem(config.model, wrong, "Give an ensemble of networks."))
    x = ternary_grid(config.step)
    temperature = torch.full((len(x),), config.temperature_K, dtype=torch.float64)
    return Landscapes(
        systems=tuple(systems),
        grids=tuple(landscape(predictor, table, system, x, temperature) for system in systems),
        compared=tuple(
            Compared(
                item,
                landscape(
                    predictor,
                    table,
                    item.system,
                    torch.from_numpy(item.x),
                    torch.from_numpy(item.temperature_K),
                ),
            )
            for item in measured
        ),
    )


def landscape_rows(system: TernarySystem, said: Landscape) -> pd.DataFrame:
    """Return a row for each composition; the columns of what it is are those of a user's own data."""
    slots = range(1, 4)
    columns: dict[str, Any] = {"system": system.name}
    columns |= {f"solvent_{i}": name for i, name in zip(slots, system.solvents, strict=True)}
    columns |= {f"mole_fraction_{i}": said.x[:, i - 1].numpy() for i in slots}
    columns |= {f"weight_fraction_{i}": said.weights[:, i - 1].numpy() for i in slots}
    columns |= {
        "salt": system.salt_name,
        "lithium_mole_fraction": system.lithium_mole_fraction,
        "molality_mol_kg": said.molality.numpy(),
        "temperature_K": said.temperature_K.numpy(),
        NAME: said.conductivity.numpy(),
        f"{NAME}_std": said.std.numpy(),
        f"{NAME}_std_epistemic": said.std_epistemic.numpy(),
        f"{NAME}_lower_90": said.lower_90.numpy(),
        f"{NAME}_upper_90": said.upper_90.numpy(),
        f"{TARGET}_std": said.std_log10.numpy(),
    }
    columns |= {f"gradient_{i}_mS_cm": said.gradient[:, i - 1].numpy() for i in slots}
    columns["in_domain"] = said.in_domain.numpy()
    return pd.DataFrame(columns)


def print_landscapes(found: Landscapes, console: Console) -> None:
    """Print the best grid point of each system and how near the model comes to what was measured."""
    table = Table(title="Highest conductivity on the grid", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for words in ("system", "mole fractions"):
        table.add_column(words)
    for words in ("conductivity, mS/cm", "90 % interval", "norm of gradient, mS/cm", "in domain"):
        table.add_column(words, justify="right")
    for row in found.peaks().to_dict("records"):
        low, high = (f"{row[f'{NAME}_{end}_90']:.3g}" for end in ("lower", "upper"))
        table.add_row(
            row["system"],
            " : ".join(f"{row[f'mole_fraction_{i}']:.3g}" for i in range(1, 4)),
            with_std(row[NAME], row[f"{NAME}_std"]),
            f"{low} to {high}",
            f"{row['gradient_norm_mS_cm']:.2g}",
            "yes" if row["in_domain"] else "no",
        )
    console.print(table)
    if any(not bool(said.in_domain.all()) for said in found.grids):
        share = [f"{said.in_domain.double().mean():.0%}" for said in found.grids]
        console.print(
            f"In domain: {', '.join(share)} of the grid points; elsewhere the numbers are a guess.",
            soft_wrap=True,
        )
    for compared in found.compared:
        console.print(_sentence(compared.agreement), soft_wrap=True, markup=False)


def _sentence(near: Agreement) -> str:
    ranks = "" if near.spearman is None else f"Spearman {near.spearman:.3f}, "
    return (
        f"{near.file}, {near.column}, {near.rows} rows of {near.system}: MAE {near.mae:.3g} mS/cm, "
        f"bias {near.bias:+.3g} mS/cm, {ranks}{near.coverage_90:.0%} within the 90 % interval"
    )


def _asked(config: LandscapeConfig, chosen: ChosenModel, measured: Sequence[Measured]) -> dict[str, Any]:
    packages = ("activelearn", "torch", "numpy", "rdkit")
    return {
        "config": config.model_dump(mode="json"),
        "model": chosen.facts,
        "measured_sha256": [item.sha256 for item in measured],
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def _write(found: Landscapes, asked: dict[str, Any], out: Path) -> None:
    from campaigns.ternary_plots import save_landscapes  # Matplotlib takes half a second

    tables = {"landscape.csv": found.table(), "peaks.csv": found.peaks()}
    if found.compared:
        tables["comparison.csv"] = found.comparison()
    results = {
        "grid_points": [len(said) for said in found.grids],
        "in_domain": [int(said.in_domain.sum()) for said in found.grids],
        "peaks": json.loads(found.peaks().to_json(orient="records")),
        "agreement": [asdict(compared.agreement) for compared in found.compared],
    }
    try:
        with written_directory(out) as unfinished:
            for name, table in tables.items():
                table.to_csv(unfinished / name, index=False, float_format="%.6g", lineterminator="\n")
            save_landscapes(found.systems, found.grids, unfinished / "landscape.png")
            text = json.dumps({**asked, **results}, indent=2) + "\n"
            (unfinished / "run.json").write_text(text, encoding="utf-8")
    except OSError as error:
        wrong = f"the directory cannot be written: {error.strerror}"
        raise InputError(Problem(str(out), wrong, "Give another --out.")) from None
