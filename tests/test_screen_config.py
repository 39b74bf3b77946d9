"""The YAML of a screen is read into a space, or refused with all that is wrong."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from campaigns.config import load_yaml, resolve_job
from campaigns.screen_config import ScreenConfig
from surrogates.errors import InputError
from surrogates.molecules import canonical_smiles
from surrogates.prediction import Prediction

SMALL = """
space:
  solvents: [EC, DMC, {name: PEO, smiles: "[Cu]COC[Au]", molar_mass_g_mol: 4000}]
  salts: [LiPF6]
"""


def read(tmp_path: Path, text: str) -> ScreenConfig:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml(path, ScreenConfig)


def test_names_become_molecules(tmp_path: Path) -> None:
    config = read(tmp_path, SMALL)
    space = config.space.space()
    assert len(space) == 3
    table = space.describe(range(3))
    assert table["solvent_1"].tolist() == ["EC", "EC", "DMC"]
    assert table["solvent_1_smiles"].tolist() == ["O=C1OCCO1", "O=C1OCCO1", "COC(=O)OC"]
    assert table["salt"].tolist() == ["LiPF6"] * 3
    assert space.solvents["PEO"].molar_mass == 4000
    assert (config.target, config.rank_by, config.top_k) == ("log10_conductivity_S_cm", "mean", 1000)


@pytest.mark.parametrize(
    ("rank", "expected"),
    [("mean", 1.0), ("ucb\nkappa: 2.0", 2.0), ("probability_above\nthreshold: 1.0", 0.5)],
)
def test_ranks_by_what_is_asked(tmp_path: Path, rank: str, expected: float) -> None:
    score = read(tmp_path, f"rank_by: {rank}\n{SMALL}").score()
    one = torch.ones(1)
    assert score(Prediction(one, 0.16 * one, 0.09 * one, one > 0, one)).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "space:\n  solvents: [EC, DMCC, '[Cu]CO[Au]', '[He]']\n  salts: [LiPF6]\n  temperature_K: [-20]",
            """\
job.yaml, key "space.solvents[item 2]": 'DMCC' came; "DMCC" is neither a known name nor a SMILES that \
RDKit can read. Did you mean DMC? Otherwise give its SMILES. Correct the value.
job.yaml, key "space.solvents[item 3]": '[Cu]CO[Au]' came; a repeat unit with caps needs \
molar_mass_g_mol, the molar mass of its chain. Correct the value.
job.yaml, key "space.solvents[item 4]": '[He]' came; '[He]' holds He, an element without \
electronegativity or radius here. Correct the value.
job.yaml, key "space.temperature_K[item 1]": -20 came; input should be greater than 0. Correct the value.""",
        ),
        (
            "space:\n  solvents: [EC, {name: EC, smiles: COC}]\n  salts: [LiPF6]",
            'job.yaml, key "space": solvents holds one name twice; give each its own. Correct the values.',
        ),
        (
            "space:\n  solvents: [EC, O=C1OCCO1, PC]\n  salts: [LiPF6]",
            'job.yaml, key "space": solvents holds one name twice; give each its own. Correct the values.',
        ),
        (
            "space:\n  solvents: [EC]\n  salts: [LiPF6]",
            'job.yaml, key "space": solvents_per_mixture is [2]; each must lie between 1 and 1, the number '
            "of solvents. Correct the values.",
        ),
        (
            f"kappa: 1.0\n{SMALL}",
            "job.yaml: kappa must be given with rank_by: ucb, and only with it. Correct the values.",
        ),
        (
            f"rank_by: probability_above\n{SMALL}",
            "job.yaml: threshold must be given with rank_by: probability_above, and only with it. "
            "Correct the values.",
        ),
        (
            f"rankby: mean\n{SMALL}",
            'job.yaml, key "rankby": no such key. Did you mean "rank_by"? Known here: constraints, kappa, '
            "rank_by, space, target, threshold, top_k.",
        ),
    ],
)
def test_what_cannot_be_screened_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    assert str(error.value) == message


def test_a_space_in_degc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"a temperature between 100 and 1000 K was expected: 25 C is 298\.15"
    ):
        read(tmp_path, SMALL + "  temperature_K: [25]\n")


def test_the_bundled_job_is_the_published_list() -> None:
    config = load_yaml(resolve_job("electrolytes"), ScreenConfig)
    space = config.space.space()
    assert (len(space), len(space.solvents), len(space.salts)) == (11_340, 28, 30)
    assert config.top_k == len(space)


def test_the_bundled_candidates_stand_in_the_published_order(reference_dir: Path) -> None:
    with (reference_dir / "molsets_candidates.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    space = load_yaml(resolve_job("electrolytes"), ScreenConfig).space.space()
    table = space.describe(range(len(space)))
    for column in ("solvent_1", "solvent_2", "salt"):
        assert table[f"{column}_smiles"].tolist() == [canonical_smiles(row[column]) for row in rows]
