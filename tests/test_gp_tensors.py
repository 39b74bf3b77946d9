"""A process and its inputs become tensors and come back; `test_gp.py` damages each of them."""

from __future__ import annotations

import pytest
import torch

from surrogates.gaussian_process import GaussianProcess
from surrogates.gp_predictor import GPInputs
from surrogates.gp_tensors import process_of_tensors, process_tensors

WIDTH, DIRECTIONS, COLUMNS = 5, 2, 3


def _parts() -> tuple[GPInputs, GaussianProcess]:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    inputs = GPInputs(drawn(WIDTH), drawn(WIDTH, DIRECTIONS), drawn(COLUMNS), drawn(COLUMNS))
    x, noise = drawn(7, DIRECTIONS + COLUMNS), torch.tensor(0.1).double()
    return inputs, GaussianProcess.exact(x, drawn(7), drawn(DIRECTIONS + COLUMNS), 0 * noise, noise)


def test_what_is_kept_comes_back_without_the_inverse_of_the_covariance() -> None:
    inputs, process = _parts()
    tensors = process_tensors(inputs, process, rows_added=2)
    assert "gp.process.reduction" not in tensors
    found, again, rows_added = process_of_tensors(tensors)
    assert rows_added == 2
    for name in ("shift", "directions", "column_shift", "column_scale"):
        assert torch.equal(getattr(found, name), getattr(inputs, name))
    for name in ("centres", "weights", "lengthscale", "constant", "noise", "reduction"):
        assert torch.equal(getattr(again, name), getattr(process, name))


def test_more_rows_added_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^gp\.counts is \[0, 8\], of 7 centres$"):
        process_of_tensors(process_tensors(*_parts(), rows_added=8))
