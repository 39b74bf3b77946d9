"""Small processes on the embedding of networks that have learnt nothing, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from surrogates.discharge_gp import DischargeGP
from surrogates.discharge_gp_fitting import fit_discharge_gp
from surrogates.discharge_models import DischargeCard, DischargeProcess
from surrogates.discharge_profiles import ProfileData, read_profiles
from surrogates.discharge_training import profile_domain
from surrogates.encoders.drxnet import DRXNetSettings
from surrogates.members import Members
from tests.synthetic_compositions import network
from tests.synthetic_profiles import FORMULAS, table, write

SMALL = DRXNetSettings(layers=1, heads=1, hidden=8, voltage=16, steps=8)


def small_members() -> Members:
    """Return two networks."""
    return Members.of([network(SMALL, seed).float() for seed in range(2)])[:]


def small_data(formulas: Sequence[str] = FORMULAS, cycles: int = 3) -> ProfileData:
    """Return the profiles of `synthetic_profiles`, in its order."""
    with TemporaryDirectory() as directory:
        return read_profiles(write(Path(directory), table(tuple(formulas), cycles)))


def small_gp(data: ProfileData) -> DischargeGP:
    """Return a process fitted to all of some profiles."""
    members = small_members()
    return fit_discharge_gp(members, profile_domain(members, data), data, torch.arange(len(data)), seed=0)


def small_process(data: ProfileData) -> DischargeProcess:
    """Return the same as a model with its card."""
    gp = small_gp(data)
    card = DischargeCard(
        name="small",
        settings=SMALL,
        members=2,
        surrogate="gp",
        calibration=gp.calibration,
        domain=gp.domain,
        data={"source": "none"},
        seed=0,
        versions={},
        errors={},
    )
    return DischargeProcess(gp, card)
