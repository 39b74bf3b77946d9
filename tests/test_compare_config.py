"""The YAML of a comparison: what belongs together, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from campaigns.compare_config import CompareCathodesConfig, CompareConfig, comparison_kind
from tests.synthetic_arenas import config_of

START = {"weight_fractions": {"EC": 0.5, "DMC": 0.5}, "salt": "LiPF6", "molality_mol_kg": 1.0}
TABLE = {"file": "a.csv", "target": "y", "direction": "lowest"}
CATHODES: dict[str, Any] = {
    "space": {
        "metals": ["Mn2+", "Mn3+", "Ti4+"],
        "metals_per_composition": [1, 2],
        "lithium": [1.2],
        "fluorine": [0.2],
        "step": 0.05,
    },
    "objectives": [{"quantity": "capacity", "rate_mA_g": 20, "window_V": [1.5, 4.8], "cycle": 1}],
    "strategies": ["greedy"],
}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"space": None, "constraints": None},
            "give one pool: space, which the virtual laboratory or truth measures, or replay, or table; none",
        ),
        (
            {"replay": "molsets"},
            "give one pool: space, which the virtual laboratory or truth measures, or replay, or table; "
            "space and replay came",
        ),
        ({"strategies": ["greedy", "greedy"]}, "strategies holds one twice; give each once"),
        ({"strategies": []}, "at least 1 item"),
        ({"strategies": ["luck"]}, "Input should be 'gradient'"),
        ({"strategies": ["gradient"]}, "gradient needs a model and a space"),
        (
            {"space": None, "replay": "molsets"},
            "constraints belongs to a space; a replay has its measurements as they are",
        ),
        (
            {"space": None, "constraints": None, "replay": "molsets", "model": "diffmix-calisol"},
            "a replay starts without a model: write model: null",
        ),
        ({"constraints": {"bounds": {"PC": {"at_most": 1}}}}, 'no amount is called "PC"'),
        ({"retrain_every": -1}, "greater than or equal to 0"),
        ({"failure_rate": 1.0}, "less than 1"),
        (
            {"space": None, "constraints": None, "replay": "molsets", "truth": {"emulator": "a"}},
            "truth belongs to a space; a replay has its measurements as they are",
        ),
        (
            {"space": None, "constraints": None, "replay": "molsets", "failure_rate": 0.1},
            "failure_rate belongs to a space; a replay has its measurements as they are",
        ),
        (
            {"space": None, "constraints": None, "replay": "oer_plate", "starts": [START]},
            "starts of a replay are drawn: give how many",
        ),
        (
            {"space": None, "constraints": None, "replay": {"dataset": "molsets", "target": "a"}},
            "target and direction belong to a file; a data set's are known",
        ),
        ({"replay": {"columns": {"a": "b"}}}, "give either dataset, a name that"),
        (
            {"space": None, "table": {**TABLE, "inputs": ["a"]}},
            "constraints belongs to a space; a table has its measurements as they are",
        ),
        ({"space": None, "constraints": None, "table": TABLE}, "give inputs, the columns of amounts and"),
        (
            {"truth": {"emulator": "a", "noise": 0.1}},
            "truth.noise belongs to cathodes; an emulator of mixtures scatters by the variance it states",
        ),
        (
            {"truth": {"emulator": "a"}, "failure_rate": 0.1},
            "failure_rate belongs to the virtual laboratory; an emulator fails at none",
        ),
        (
            {"truth": {"emulator": "a"}, "model": "a"},
            "model and truth.emulator are both a; who knows the truth has nothing to find: give another",
        ),
        (
            {"starts": [{**START, "weight_fractions": {"EC": 0.5, "DMC": 0.500002}}]},
            "weight_fractions sum to 1.000002; 1 was expected, to within 1e-06",
        ),
    ],
)
def test_what_does_not_fit_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        config_of(**keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"strategies": ["gradient-ucb"]},
            "gradient-ucb follows gradients over mixtures; cathodes have none",
        ),
        (
            {"replay": "molsets"},
            "replay does not go with objectives or metals, which are a space of cathodes",
        ),
        ({"table": TABLE}, "table does not go with objectives or metals, which are a space of cathodes"),
        ({"failure_rate": 0.1}, "failure_rate does not go with objectives or metals"),
        ({"model": "diffmix-calisol"}, "no model of cathodes is trained before: leave model out; the one"),
        (
            {"objectives": [{**CATHODES["objectives"][0], "name": name} for name in "ab"]},
            "strategies are compared on one objective; a, b came",
        ),
        ({"truth": {"emulator": "drxnet-distilled", "noise": 1.0}}, "less than 1"),
        ({"starts": [START]}, "Input should be a valid integer"),
        ({"space": {**CATHODES["space"], "lithium": [3.0]}}, "lithium holds 3.0"),
        ({"constraints": {"bounds": {"Xx": {"at_most": 1}}}}, "Xx"),
    ],
)
def test_cathodes_that_do_not_fit_are_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompareCathodesConfig.model_validate({**CATHODES, **keys})


def test_which_kind_a_file_is() -> None:
    assert comparison_kind(CATHODES) is CompareCathodesConfig
    assert comparison_kind({"space": {"metals": []}}) is CompareCathodesConfig
    assert comparison_kind({"replay": "molsets"}) is CompareConfig
    config = CompareCathodesConfig.model_validate({**CATHODES, "model": None})
    assert (config.truth.emulator, config.truth.noise, config.starts) == ("drxnet-distilled", None, 40)


def test_paths_are_seen_from_the_job() -> None:
    job = Path("jobs/mine.yaml")
    table = CompareConfig.model_validate({"table": {**TABLE, "inputs": ["a"]}, "strategies": ["greedy"]})
    moved = table.relative_to(job).table
    assert moved is not None
    assert moved.file == Path("jobs/a.csv")
    assert table.model is None
    replay = CompareConfig.model_validate({"replay": {"file": "../b.csv"}, "strategies": ["greedy"]})
    source = replay.relative_to(job).replay
    assert source is not None
    assert (source.file, source.target) == (Path("jobs/../b.csv"), "log10_conductivity_S_cm")
    for name, seen in (("mine/model", "jobs/mine/model"), ("molsets-conductivity", "molsets-conductivity")):
        truth = config_of(truth={"emulator": name}).relative_to(job).truth
        assert truth is not None
        assert truth.emulator == seen
        cathodes = CompareCathodesConfig.model_validate({**CATHODES, "truth": {"emulator": name}})
        assert cathodes.relative_to(job).truth.emulator == seen


def test_defaults() -> None:
    config = config_of()
    assert (config.goal, config.retrain_every, config.failure_rate, config.top_percent) == (
        "best",
        1,
        0.0,
        1.0,
    )
