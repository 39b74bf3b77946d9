"""The key `constraints` of a job: read in full, or refused with what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns.config import load_yaml
from campaigns.constrained_list import ConstrainedSpace
from campaigns.screen_config import ScreenConfig
from surrogates.errors import InputError

SPACE = """
space:
  solvents: [EC, DMC, FEC]
  salts: [LiPF6, LiTDI]
  solvents_per_mixture: [2, 3]
  fraction_step: 0.1
constraints:
"""
ALL = """\
  bounds: {EC: {at_least: 0.2, at_most: 0.6}}
  linear: [{name: both, terms: {EC: 1, DMC: 1}, at_least: 0.8}]
  ratios: [{of: EC, to: DMC, value: 1}]
  at_most: [{count: 2, least: 0.2}, {count: 1, components: [EC, FEC]}]
  functions: ["tests.test_constraints:scalar"]
  solubility: {use: constraint}
  liquid_range: constraint
"""


def read(tmp_path: Path, text: str) -> ScreenConfig:
    path = tmp_path / "job.yaml"
    path.write_text(SPACE + text, encoding="utf-8")
    return load_yaml(path, ScreenConfig)


def constrained(tmp_path: Path, text: str) -> ConstrainedSpace:
    config = read(tmp_path, text)
    assert config.constraints is not None
    return ConstrainedSpace.of(config.constraints, config.space.space())


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(InputError) as error:
        constrained(tmp_path, text)
    return str(error.value)


def test_every_kind_becomes_a_constraint(tmp_path: Path) -> None:
    text = ALL.replace('  functions: ["tests.test_constraints:scalar"]\n', "")
    found = constrained(
        tmp_path, text.replace("least: 0.2}, {count: 1, components: [EC, FEC]}", "least: 0.1}")
    )
    assert found.mask is not None
    assert found.mask.names == (
        "EC at least 0.2",
        "EC at most 0.6",
        "both at least 0.8",
        "EC is 1 times DMC",
        "at most 2 solvents",
        "at least 0.1 solvents, if any",
        "solubility of LiPF6",
        "solubility: no data on the salt",
        "liquid range",
        "liquid range: no data on a solvent",
    )
    assert found.warnings() == ["no data on the solubility of LiTDI", "no melting data on FEC"]


def test_flags_leave_nothing_out(tmp_path: Path) -> None:
    found = constrained(tmp_path, "  solubility: {use: flag}\n  liquid_range: flag\n")
    assert found.mask is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "  bounds: {DMCC: {at_least: 0.2}}\n",
            'job.yaml: no amount is called "DMCC". Did you mean "DMC"? There are EC, DMC, FEC, LiPF6, LiTDI, '
            "temperature_K. Correct the values.",
        ),
        (
            "  bounds: {EC: {}}\n",
            'job.yaml, key "constraints.bounds.EC": at_least or at_most is missing. Correct the values.',
        ),
        (
            "  liquid_range: maybe\n",
            "job.yaml, key \"constraints.liquid_range\": 'maybe' came; input should be 'constraint' or "
            "'flag'. Correct the value.",
        ),
        (
            "  bounds: {EC: {at_least: 0.6}, DMC: {at_least: 0.5}}\n",
            'constraints: "EC at least 0.6" and "DMC at least 0.5" exclude each other; for a candidate to be '
            'left, one must give way: "EC at least 0.6" by 0.1 or "DMC at least 0.5" by 0.1. '
            "Loosen one of them, or change the space.",
        ),
        (
            "  ratios: [{of: EC, to: DMC, value: 0.3}]\n  at_most: [{count: 2}]\n"
            "  bounds: {DMC: {at_least: 0.1}}\n",
            'constraints: none of the 126 candidates fulfils all; of them miss "DMC at least 0.1" 18, '
            '"EC is 0.3 times DMC" 126, "at most 2 solvents" 72. Loosen one, or change the space.',
        ),
        (
            "  functions: [nowhere]\n",
            'constraint "nowhere": there is no such function. Write it as package.module:function, and let '
            "$PYTHONPATH lead to the module.",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_words(tmp_path: Path, text: str, told: str) -> None:
    assert refusal(tmp_path, text) == told
