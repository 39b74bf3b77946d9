"""Conditions of a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from surrogates.conditions import PUBLISHED_RANGES, nonsense, outside


def test_each_row_says_which_conditions_no_model_has_seen() -> None:
    values = {
        "rate_mA_g": np.array([20.0, 5.0, 8501.0, 1.0]),
        "V_low": np.array([1.5, 2.0, 1.5, 1.4]),
        "V_high": np.array([4.8, 5.0, 4.8, 5.1]),
        "cycle": np.array([1.0, 330.0, 1.0, 331.0]),
    }
    assert outside(values).tolist() == [
        "",
        "",
        "rate_mA_g is outside 5 to 8500",
        "rate_mA_g is outside 5 to 8500; V_low is outside 1.5 to 5; V_high is outside 1.5 to 5; "
        "cycle is outside 1 to 330",
    ]
    assert outside({name: column[:0] for name, column in values.items()}).tolist() == []


def test_what_no_test_can_be_is_told_at_once() -> None:
    assert nonsense("job", 20, 1.5, 4.8, 1) == []
    assert [str(problem) for problem in nonsense("job", 0, 4.8, 1.5, 0.5)] == [
        "job, rate_mA_g: 0 is not a rate above 0 mA/g. Correct it.",
        "job, cycle: 0.5 is not a whole number from 1. Correct it.",
        "job: 4.8 to 1.5 is no window; V_low must lie below V_high. Exchange or correct V_low and V_high.",
    ]
    assert [str(problem) for problem in nonsense("job", float("inf"), 1.5, 11, 1)] == [
        "job, rate_mA_g: inf is not a rate above 0 mA/g. Correct it.",
        "job, V_high: 11 is not a voltage between 0 and 10 V. Correct it.",
    ]


@pytest.mark.parametrize(("name", "column"), [("rate", "rate_mA_g"), ("cycle", "cycle")])
def test_the_published_models_have_seen_up_to_the_stated_ends(
    reference_dir: Path, name: str, column: str
) -> None:
    """The normalised features are w x + b, so their running statistics tell mean and variance of x."""
    ends = []
    for member in range(5):
        tensors = load_file(reference_dir / f"drxnet_model_{member}.safetensors")
        weight, bias, mean, variance = (
            tensors[f"{name}_embedding.{tensor}"].astype(float).ravel()
            for tensor in ("hidden.weight", "hidden.bias", "bn.running_mean", "bn.running_var")
        )
        x_mean = weight @ (mean - bias) / (weight @ weight)
        x_variance = weight**2 @ variance / (weight**2 @ weight**2)
        ends.append(x_mean + x_variance / x_mean)
    stated = PUBLISHED_RANGES[column][1]
    assert stated <= min(ends) < 1.05 * stated
