"""A Gaussian process and its inputs as tensors by name, as a model directory holds them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from surrogates.gaussian_process import GaussianProcess
from surrogates.gp_predictor import GPInputs

_INPUTS = ("shift", "directions", "column_shift", "column_scale")
_PROCESS = ("centres", "weights", "lengthscale", "constant", "noise")


def process_tensors(inputs: GPInputs, process: GaussianProcess, rows_added: int) -> dict[str, Tensor]:
    """Return inputs and process by name, to be saved, without what an exact process's centres give.

    Args:
        inputs: What the process is told.
        process: The process.
        rows_added: Measurements that were added since the fit.
    """
    tensors = {f"gp.inputs.{name}": getattr(inputs, name) for name in _INPUTS}
    tensors |= {f"gp.process.{name}": getattr(process, name) for name in _PROCESS}
    tensors["gp.counts"] = torch.tensor([process.inducing, rows_added])
    if process.inducing:
        tensors["gp.process.reduction"] = process.reduction
    return tensors


def process_of_tensors(tensors: Mapping[str, Tensor]) -> tuple[GPInputs, GaussianProcess, int]:
    """Return what `process_tensors` was given.

    Raises:
        KeyError: If a tensor is missing.
        ValueError: If one does not fit the others.
    """
    inputs = GPInputs(**{name: tensors[f"gp.inputs.{name}"] for name in _INPUTS})
    process = {name: tensors[f"gp.process.{name}"] for name in _PROCESS}
    inducing, rows_added = _counts(tensors["gp.counts"])
    width = inputs.directions.shape[-1] + len(inputs.column_shift)
    count = len(process["centres"])
    expected = {
        "gp.inputs.directions": (len(inputs.shift), width - len(inputs.column_shift)),
        "gp.inputs.column_scale": (len(inputs.column_shift),),
        "gp.process.centres": (count, width),
        "gp.process.weights": (count,),
        "gp.process.lengthscale": (width,),
        "gp.process.constant": (),
        "gp.process.noise": (),
    }
    if inducing:
        expected["gp.process.reduction"] = (count, count)
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise ValueError(f"{name} is {tuple(tensors[name].shape)}, not {shape}")
    if not 0 <= inducing <= inducing + rows_added <= count:
        raise ValueError(f"gp.counts is {[inducing, rows_added]}, of {count} centres")
    if not (float(process["noise"]) > 0 and bool((process["lengthscale"] > 0).all())):
        raise ValueError("gp.process.noise and gp.process.lengthscale must be above 0")
    if inducing:
        fitted = GaussianProcess(**process, reduction=tensors["gp.process.reduction"], inducing=inducing)
    else:
        fitted = GaussianProcess.exact_of(**process)
    return inputs, fitted, rows_added


def _counts(tensor: Tensor) -> tuple[int, int]:
    inducing, rows_added = tensor.tolist()
    return int(inducing), int(rows_added)
