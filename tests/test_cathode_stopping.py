"""Whether to go on: a gain against noise, of one objective and of the hypervolume below a front."""

from __future__ import annotations

import pytest
import torch

from activelearn.fronts import hypervolume_scatter
from campaigns.cathode_stopping import front_hint, gain_hint

FRONT = torch.tensor([[700.0, 0.6], [600.0, 0.9]], dtype=torch.float64)
REFERENCE = torch.tensor([590.0, 0.57], dtype=torch.float64)
NOISE = torch.tensor([7.0, 0.01], dtype=torch.float64)


@pytest.mark.parametrize(
    ("gain", "first"),
    [(5.1, "Go on: "), (4.9, "Gains become small: "), (0.49, "It may be time to stop: ")],
)
def test_a_gain_is_held_against_noise(gain: float, first: str) -> None:
    said = gain_hint(gain, 5.0)
    assert said.startswith(first)
    assert f"the next experiment is expected to gain {gain:.2g}, and a measurement scatters by 5" in said


@pytest.mark.parametrize(
    ("times", "first"),
    [(1.1, "Go on: "), (0.9, "Gains become small: "), (0.09, "It may be time to stop: ")],
)
def test_a_gain_of_hypervolume_is_held_against_what_noise_makes_of_it(times: float, first: str) -> None:
    scatter, whole = hypervolume_scatter(FRONT, NOISE, REFERENCE)
    said = front_hint(times * scatter, FRONT, NOISE, REFERENCE)
    assert said.startswith(first)
    assert f"the hypervolume of the measured front, {whole:.2g}, which noise makes uncertain by" in said
