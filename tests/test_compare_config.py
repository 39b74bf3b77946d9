"""The YAML of a comparison: what belongs together, and what is refused."""

from __future__ import annotations

import pytest

from tests.synthetic_arenas import config_of


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"space": None, "constraints": None},
            "give either space, which the virtual laboratory measures, or replay",
        ),
        ({"replay": "molsets"}, "give either space, which the virtual laboratory measures, or replay"),
        ({"strategies": ["greedy", "greedy"]}, "strategies holds one twice; give each once"),
        ({"strategies": []}, "at least 1 item"),
        ({"strategies": ["luck"]}, "Input should be 'gradient'"),
        ({"strategies": ["gradient"]}, "gradient needs a model and a space"),
        (
            {"space": None, "replay": "molsets"},
            "constraints belongs to a space; a replay has its mixtures as they are",
        ),
        (
            {"space": None, "constraints": None, "replay": "molsets", "model": "diffmix-calisol"},
            "a replay starts without a model: write model: null",
        ),
        ({"constraints": {"bounds": {"PC": {"at_most": 1}}}}, 'no amount is called "PC"'),
        ({"retrain_every": -1}, "greater than or equal to 0"),
        ({"failure_rate": 1.0}, "less than 1"),
    ],
)
def test_what_does_not_fit_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        config_of(**keys)


def test_defaults() -> None:
    config = config_of()
    assert (config.goal, config.retrain_every, config.failure_rate, config.top_percent) == (
        "best",
        1,
        0.0,
        1.0,
    )
