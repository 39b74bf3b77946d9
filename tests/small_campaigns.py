"""Rows of a campaign that need no model: mixtures of EC, DMC and LiPF6, proposals and results of them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from campaigns.campaign_history import Given, Head, Outcome, Result
from campaigns.store import Store
from campaigns.stored_mixtures import StoredComponent, StoredMixture

EC, DMC, DEC, LIPF6 = "O=C1OCCO1", "COC(=O)OC", "CCOC(=O)OCC", "F[P-](F)(F)(F)(F)F.[Li+]"
TARGET = "log10_conductivity_S_cm"


def mixture(
    ec: float = 0.3, molality: float = 1.0, kelvin: float = 298.15, second: str = DMC
) -> StoredMixture:
    """Return EC with another solvent and LiPF6, if any."""
    amounts = ((EC, 88.06, ec), (second, 90.08, 1 - ec))
    salts = [StoredComponent(smiles=LIPF6, molar_mass=151.9, amount=molality)] if molality else []
    solvents = [StoredComponent(smiles=s, molar_mass=m, amount=a) for s, m, a in amounts if a > 0]
    return StoredMixture(solvents=tuple(solvents), salts=tuple(salts), temperature_K=kelvin)


def small_head(config: str = "{}", **changes: Any) -> Head:
    """Return the head of a campaign that has no model."""
    plain = {
        "begun": "2026-11-22T08:00:00+00:00",
        "config": config,
        "config_sha256": sha256(config.encode()).hexdigest(),
        "model_sha256": "m",
        "files_sha256": '{"limits.csv":"f"}',
        "targets": f'["{TARGET}"]',
        "takes_one_salt": False,
    }
    return Head.model_validate({**plain, **changes})


def small_store(path: Path, *ec: float) -> Store:
    """Return a new store in which mixtures of so much EC are proposed."""
    store = Store.create(path, small_head())
    if ec:
        assert store.give([given(one) for one in ec], store.history()) is not None
    return store


def given(ec: float, mean: float = -2.0, std: float = 0.1) -> Given:
    """Return a proposal."""
    return Given(
        mixture(ec),
        {TARGET: mean},
        {TARGET: std},
        1.7,
        {"solvent_1": "EC", "weight_fraction_1": ec, "why": None},
    )


def result(
    ec: float = 0.3,
    value: float | None = -2.0,
    outcome: Outcome = "measured",
    proposal: int | None = None,
    corrects: int | None = None,
    reason: str = "",
) -> Result:
    """Return a result."""
    values = {} if value is None else {TARGET: value}
    return Result(mixture(ec), outcome, values, reason, proposal, corrects, "results.csv", "", 2)
