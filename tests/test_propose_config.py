"""The YAML of proposals: defaults that follow from the goal, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from activelearn.acquisition import Acquisition
from campaigns.config import load_yaml
from campaigns.propose_config import ProposeConfig, choose_proposals
from surrogates.errors import InputError

SPACE = {
    "solvents": ["EC", "DMC", "EMC"],
    "salts": ["LiPF6"],
    "solvents_per_mixture": [2],
    "fraction_step": 0.1,
    "molality_mol_kg": [0.5, 1.5],
}


def _config(**keys: Any) -> ProposeConfig:
    return ProposeConfig.model_validate({"space": SPACE, **keys})


@pytest.mark.parametrize(
    ("keys", "rule", "way"),
    [
        ({}, Acquisition("log-nei", 1.0), "mixed"),
        ({"goal": "top"}, Acquisition("ucb", 1.0), "mixed"),
        ({"acquisition": "ucb", "kappa": 1.5, "how": "pool"}, Acquisition("ucb", 1.5), "pool"),
        ({"acquisition": "thompson"}, Acquisition("thompson", 0.0), "pool"),
        ({"space": {**SPACE, "fraction_step": None}}, Acquisition("log-nei", 1.0), "pool"),
        ({"how": "continuous"}, Acquisition("log-nei", 1.0), "continuous"),
        ({"how": "gradient"}, Acquisition("mean", 1.0), "gradient"),
        ({"how": "gradient", "goal": "top"}, Acquisition("ucb", 1.0), "gradient"),
        ({"how": "gradient", "acquisition": "ucb", "kappa": 0.5}, Acquisition("ucb", 0.5), "gradient"),
    ],
)
def test_what_is_not_said_follows_from_the_goal_and_the_space(
    keys: dict[str, Any], rule: Acquisition, way: str
) -> None:
    assert _config(**keys).rule() == rule
    assert _config(**keys).way() == way


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kappa: 2", "kappa must be given with acquisition: ucb, and only with it"),
        ("acquisition: ucb", "kappa must be given with acquisition: ucb, and only with it"),
        (
            "acquisition: thompson\nhow: mixed",
            "acquisition: thompson draws functions over a pool; it needs how: pool",
        ),
        (
            "acquisition: log-nei\nhow: gradient",
            "acquisition: log-nei came; how: gradient climbs acquisition: mean or ucb",
        ),
        (
            "constraints: {bounds: {PC: {at_most: 0.5}}}",
            'no amount is called "PC". There are EC, DMC, LiPF6, temperature_K',
        ),
        ("goal: all", "'all' came; input should be 'best' or 'top'"),
        ("batch_g: 0", "0 came; input should be greater than 0"),
        ("gaol: best", 'no such key. Did you mean "goal"?'),
    ],
)
def test_what_does_not_fit_is_refused(text: str, message: str, tmp_path: Path) -> None:
    job = tmp_path / "mine.yaml"
    job.write_text(f"space: {{solvents: [EC, DMC], salts: [LiPF6]}}\n{text}\n")
    with pytest.raises(InputError) as error:
        load_yaml(job, ProposeConfig)
    assert message in str(error.value)


def test_two_salts_cannot_run_freely() -> None:
    with pytest.raises(ValueError, match="2 salts came; how: continuous needs a space with one"):
        _config(space={**SPACE, "salts": ["LiPF6", "LiTFSI"]}, how="continuous")


def test_a_table_of_limits_is_beside_the_job(tmp_path: Path) -> None:
    job = tmp_path / "mine.yaml"
    job.write_text(
        "space: {solvents: [EC, DMC], salts: [LiPF6]}\n"
        "constraints: {solubility: {use: constraint, table: limits.csv}}\n"
    )
    config = choose_proposals(str(job))
    assert config.constraints is not None
    assert config.constraints.solubility is not None
    assert config.constraints.solubility.table == tmp_path / "limits.csv"
