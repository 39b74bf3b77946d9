"""The key `constraints` of a job, of mixtures or of cathodes: read in full, or refused with what is wrong."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from activelearn.composition_masks import CompositionMask
from campaigns.cathode_config import CathodeScreenConfig
from campaigns.config import load_yaml
from campaigns.constrained_list import ConstrainedSpace
from campaigns.constraint_config import used_files
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


CATHODES = """
objectives:
  - {quantity: capacity, rate_mA_g: 20, window_V: [1.5, 4.8], cycle: 1}
space:
  metals: [Mn2+, Mn3+, Cr3+, Ti4+, Nb5+]
  metals_per_composition: [2, 3]
  lithium: [1.1, 1.2]
  fluorine: [0.0, 0.2]
  step: 0.1
constraints:
"""


def of_cathodes(tmp_path: Path, text: str) -> CompositionMask | None:
    path = tmp_path / "job.yaml"
    path.write_text(CATHODES + text, encoding="utf-8")
    config = load_yaml(path, CathodeScreenConfig)
    assert config.constraints is not None
    return config.constraints.mask(config.space.space())


def test_every_kind_becomes_a_constraint_of_compositions(tmp_path: Path) -> None:
    text = """\
  bounds: {Mn: {at_most: 0.6}, F: {at_least: 0.1}, Li: {at_least: 1.15}}
  linear: [{name: redox, terms: {Mn: 1, Cr: 1}, at_least: 0.3, at_most: 0.7}]
  ratios: [{of: Mn, to: Cr, value: 2}]
  at_most: [{count: 3, least: 0.1}, {count: 1, components: [Ti, Nb]}]
  oxidation_states: {Mn: {at_least: 2.5}, Cr: {at_most: 4}}
  functions: ["tests.test_composition_masks:curved"]
"""
    mask = of_cathodes(tmp_path, text)
    assert mask is not None
    assert mask.names == (
        "Mn at most 0.6",
        "F at least 0.1",
        "Li at least 1.15",
        "redox at least 0.3",
        "redox at most 0.7",
        "Mn is 2 times Cr",
        "at most 3 metals",
        "at least 0.1 metals, if any",
        "at most 1 of Ti, Nb",
        "cations carry no more charge than the anions (Mn 2.5 to 3, Cr 3 to 3)",
        "cations can carry the charge of the anions (Mn 2.5 to 3, Cr 3 to 3)",
        "tests.test_composition_masks:curved",
    )


def test_nothing_asked_leaves_nothing_out(tmp_path: Path) -> None:
    assert of_cathodes(tmp_path, "  {}\n") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "  bounds: {Ni: {at_least: 0.2}}\n",
            'job.yaml: no amount is called "Ni". There are Li, Mn, Cr, Ti, Nb, O, F. Correct the values.',
        ),
        (
            "  oxidation_states: {Fe: {at_least: 2}}\n",
            'job.yaml: oxidation_states holds "Fe", which is no metal of the space. There are Mn, Cr, Ti, '
            "Nb. Correct the values.",
        ),
        (
            "  oxidation_states: {Mn: {at_least: 3.5}}\n",
            "job.yaml: the space gives Mn charges of 2 to 3, of which oxidation_states leaves none; widen "
            "the range, or give the space other ions. Correct the values.",
        ),
        (
            "  solubility: {use: flag}\n",
            'job.yaml, key "constraints.solubility": no such key. Known here: at_most, bounds, functions, '
            "linear, oxidation_states, ratios.",
        ),
        (
            "  bounds: {Ti: {at_least: 0.5}, Nb: {at_least: 0.3}}\n",
            'constraints: "Ti at least 0.5" and "Nb at least 0.3" exclude each other; for a candidate to be '
            'left, one must give way: "Ti at least 0.5" by 0.35 or "Nb at least 0.3" by 0.2333. '
            "Loosen one of them, or change the space.",
        ),
        (
            "  bounds: {F: {at_least: 0.3}}\n",
            'constraints: "F at least 0.3" excludes every candidate; it is missed by 0.1 at least. '
            "Loosen it, or change the space.",
        ),
        (
            "  bounds: {Ti: {at_least: 0.1}, Cr: {at_least: 0.1}}\n  at_most: [{count: 1}]\n",
            "constraints: none of the 154 candidates fulfils all; of them miss "
            '"Ti at least 0.1" 65, "Cr at least 0.1" 50, "at most 1 metals" 154. Loosen one, or change the '
            "space.",
        ),
        (
            "  functions: [nowhere]\n",
            'constraint "nowhere": there is no such function. Write it as package.module:function, and let '
            "$PYTHONPATH lead to the module.",
        ),
    ],
)
def test_what_no_composition_can_be_is_refused_in_words(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        of_cathodes(tmp_path, text)
    assert str(error.value) == told


def test_the_files_that_constraints_use_are_hashed(tmp_path: Path) -> None:
    own = Path(__file__).with_name("test_constraints.py")
    text = '  functions: ["tests.test_constraints:scalar"]\n  solubility: {table: mine.csv}\n'
    config = read(tmp_path, text).relative_to(tmp_path / "job.yaml").constraints
    assert config is not None
    (tmp_path / "mine.csv").write_text("one", encoding="utf-8")
    assert used_files(config) == {
        "tests.test_constraints:scalar": sha256(own.read_bytes()).hexdigest(),
        str(tmp_path / "mine.csv"): sha256(b"one").hexdigest(),
    }
