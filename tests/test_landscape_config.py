"""The YAML of a landscape is read into systems, or refused with all that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns.config import load_yaml, resolve_job
from campaigns.landscape_config import LandscapeConfig
from surrogates.checkpoints import SHIPPED
from surrogates.errors import InputError

SMALL = """
systems:
  - {solvents: [PC, DMC, {name: glymes, smiles: COCCOC}], salt: LiPF6, lithium_mole_fraction: 0.08}
"""


def read(tmp_path: Path, text: str) -> LandscapeConfig:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml(path, LandscapeConfig)


def test_names_become_molecules(tmp_path: Path) -> None:
    config = read(tmp_path, SMALL)
    system = config.systems[0].system()
    assert {name: part.smiles for name, part in system.solvents.items()} == {
        "PC": "CC1COC(=O)O1",
        "DMC": "COC(=O)OC",
        "glymes": "COCCOC",
    }
    assert (system.name, system.salt_name, system.lithium_mole_fraction) == ("PC/DMC/glymes", "LiPF6", 0.08)
    assert (config.model, config.temperature_K, config.step) == ("diffmix-calisol", 298.15, 0.02)
    assert config.measured == []


def test_the_bundled_job_is_that_of_the_paper() -> None:
    config = load_yaml(resolve_job("landscape-carbonates"), LandscapeConfig)
    asked = [(item.system().name, item.salt.name, item.lithium_mole_fraction) for item in config.systems]
    assert asked == [
        ("PC/FEC/EC", "LiPF6", 0.08),
        ("EMC/DMC/DEC", "LiPF6", 0.12),
        ("PC/DMC/EC", "LiPF6", 0.08),
    ]
    assert config.temperature_K == 303.15


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    config = read(tmp_path, f"model: mine\nmeasured: [{{file: a/b.csv}}]\n{SMALL}").relative_to(job)
    assert config.model == str(tmp_path / "mine")
    assert config.measured[0].file == tmp_path / "a" / "b.csv"
    assert read(tmp_path, f"model: {SHIPPED[0]}\n{SMALL}").relative_to(job).model == SHIPPED[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "temperature_K: 30\nstep: 0.03\nsystems: []",
            """\
job.yaml, key "temperature_K": 30 came; input should be greater than or equal to 100. Correct the value.
job.yaml, key "step": 0.03 came; step is 0.03; a whole number of steps must make 1. Correct the value.
job.yaml, key "systems": [] came; list should have at least 1 item after validation, not 0. Correct the \
value.""",
        ),
        (
            "systems:\n  - {solvents: [PC, DMCC], salt: NaCl, lithium_mole_fraction: -1}\ntemperature: 300",
            """\
job.yaml, key "systems[item 1].solvents[item 2]": 'DMCC' came; "DMCC" is neither a known name nor a SMILES \
that RDKit can read. Did you mean DMC? Otherwise give its SMILES. Correct the value.
job.yaml, key "systems[item 1].salt": 'NaCl' came; "NaCl" is neither a known name nor a SMILES that RDKit \
can read. Give its SMILES; the known names stand in surrogates/chemicals.csv. Correct the value.
job.yaml, key "systems[item 1].lithium_mole_fraction": -1 came; input should be greater than 0. Correct the \
value.
job.yaml, key "temperature": no such key. Did you mean "temperature_K"? Known here: measured, model, step, \
systems, temperature_K.""",
        ),
        (
            "systems:\n  - {solvents: [PC, DMC, EC], salt: LiPF6, lithium_mole_fraction: 0.5}",
            'job.yaml, key "systems[item 1]": lithium_mole_fraction is 0.5; with LiPF6 it must lie between 0 '
            "and 0.5, where no room is left for solvents. Correct the values.",
        ),
        (
            "systems:\n  - {solvents: [PC, DMC, PC], salt: LiPF6, lithium_mole_fraction: 0.1}",
            'job.yaml, key "systems[item 1]": solvents holds one name twice; give each its own. Correct the '
            "values.",
        ),
        (
            "systems:\n  - {solvents: [PC, DMC, EC], salt: '[Na+].[Cl-]', lithium_mole_fraction: 0.1}",
            'job.yaml, key "systems[item 1]": [Cl-].[Na+] has another cation than lithium; give a '
            "lithium salt. Correct the values.",
        ),
        (
            "systems:\n  - {solvents: [PC, DMC, EC], salt: FEC, lithium_mole_fraction: 0.1}",
            'job.yaml, key "systems[item 1]": FEC is not made of ions; give a lithium salt. Correct the '
            "values.",
        ),
    ],
)
def test_what_is_wrong_is_told_at_once(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, text)
    assert str(refused.value) == message
