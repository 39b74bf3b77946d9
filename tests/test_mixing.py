"""What members are given of a data set makes of a mixture what a predictor makes of it."""

from __future__ import annotations

import pytest
import torch

from surrogates.mixing import mixing_inputs
from tests.synthetic_gps import judged


@pytest.mark.parametrize("encoder", ["molsets", "diffmix"])
def test_rows_are_mixed_as_a_predictor_does(encoder: str) -> None:
    pair = judged(encoder)
    molecules, batch = mixing_inputs(pair.model, pair.data)
    members = pair.model.members
    with torch.no_grad():
        got = members.each("mix", batch, mine=(members.each("embed", *molecules),))
        expected = pair.model.bind(pair.data.table).mixed(pair.data.batch)
    assert got.shape[:2] == (2, 60)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
