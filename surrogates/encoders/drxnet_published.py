"""The published DRXNet: its five networks, from their weight files into our layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from surrogates.encoders.drxnet import PUBLISHED, DRXNet
from surrogates.errors import InputError, Problem
from surrogates.members import Members

MEMBERS = 5
_BATCH_NORM_EPSILON = 1e-5


def weights_file(directory: Path, member: int) -> Path:
    """Return where a member's weights stand: as published if that is there, else as safetensors."""
    published = directory / f"model_{member}"
    return published if published.is_file() else directory / f"drxnet_model_{member}.safetensors"


def load_published(directory: Path) -> Members:
    """Return the five published networks, float32, as members of the shape `PUBLISHED`.

    Their capacities agree with those of the published script to 0.003 mAh/g each and 0.001 in the mean.
    Batch norms are folded, in float64, into the layers before them.

    Args:
        directory: Holds `model_0` to `model_4` as published, of which nothing but tensors is unpickled, or
            `drxnet_model_0.safetensors` to `drxnet_model_4.safetensors`; each under the names of the
            published script.

    Raises:
        InputError: With every file that is missing or does not hold what it should.
    """
    problems: list[Problem] = []
    networks: list[DRXNet] = []
    for path in (weights_file(directory, member) for member in range(MEMBERS)):
        if not path.is_file():
            problems.append(Problem(str(path), "there is no such file", "Put it there."))
            continue
        network = DRXNet(PUBLISHED)
        try:
            network.load_state_dict(own_state(_read(path)))
        except (
            SafetensorError,
            UnpicklingError,
            RuntimeError,
            KeyError,
            IndexError,
            EOFError,
            AttributeError,
            TypeError,
            ValueError,
        ):
            wrong = "these are not a published network's weights"
            problems.append(Problem(str(path), wrong, "Copy the file anew."))
            continue
        networks.append(network)
    if problems:
        raise InputError(problems)
    members = Members.of(networks)
    return members[:]


def _read(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    tensors: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


def own_state(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a published network's weights under the names and in the shapes of `DRXNet`, float32.

    Raises:
        KeyError: If a tensor is missing.
        RuntimeError: If tensors do not fit together.
    """
    given = {name: tensor.double() for name, tensor in published.items()}
    width = PUBLISHED.width

    def linear(name: str, norm: str | None = None) -> tuple[Tensor, Tensor]:
        weight, bias = given[f"{name}.weight"], given[f"{name}.bias"]
        return (weight, bias) if norm is None else _fold(weight, bias, given, norm)

    own: dict[str, Tensor] = {}

    def put(name: str, layer: tuple[Tensor, Tensor]) -> None:
        own[f"{name}.weight"], own[f"{name}.bias"] = layer

    put("element", linear("material_nn.embedding"))
    for layer in range(PUBLISHED.layers):
        heads = [f"material_nn.graphs.{layer}.pooling.{head}" for head in range(PUBLISHED.heads)]
        weight, bias = _first_layers(given, heads)
        put(f"messages.{layer}.from_hearer", (weight[:, :width], bias))
        own[f"messages.{layer}.from_speaker.weight"] = weight[:, width:]
        own |= _attention(given, heads, f"messages.{layer}.attention")
    heads = [f"material_nn.cry_pool.{head}" for head in range(PUBLISHED.heads)]
    put("pooling.from_element", _first_layers(given, heads))
    own |= _attention(given, heads, "pooling.attention")
    for condition in ("rate", "cycle"):
        put(f"{condition}.hidden", linear(f"{condition}_embedding.hidden", f"{condition}_embedding.bn"))
        put(f"{condition}.out", linear(f"{condition}_embedding.fc"))
        gate = f"encode_{condition}"
        parts = linear(f"{gate}.kernel", f"{gate}.bn"), linear(f"{gate}.attn", f"{gate}.bn_attn")
        weight, bias = (torch.cat(both) for both in zip(*parts, strict=True))
        put(f"{condition}_gate.from_vector", (weight[:, :width], bias))
        own[f"{condition}_gate.from_condition.weight"] = weight[:, width:]
    own["fade"] = given["delta_N.weight"][:, 0]
    window, bias = linear("encode_voltage.fc_window")
    voltage, second_bias = linear("encode_voltage.fc_Vii")
    put("charge.from_window", (window, bias + second_bias))
    own["charge.from_voltage.weight"] = voltage
    put("charge.voltage", linear("encode_voltage.fc"))
    put("charge.meet", linear("add_voltage.hidden"))
    put("charge.hidden", linear("fc.hidden"))
    put("charge.out", linear("fc.fc"))
    return {name: tensor.float().contiguous() for name, tensor in own.items()}


def _fold(weight: Tensor, bias: Tensor, given: Mapping[str, Tensor], norm: str) -> tuple[Tensor, Tensor]:
    """Return the layer that does what a layer and the batch norm behind it, in evaluation, do."""
    scale = given[f"{norm}.weight"] / (given[f"{norm}.running_var"] + _BATCH_NORM_EPSILON).sqrt()
    shift = given[f"{norm}.bias"] - given[f"{norm}.running_mean"] * scale
    return weight * scale[:, None], bias * scale + shift


def _first_layers(given: Mapping[str, Tensor], heads: list[str]) -> tuple[Tensor, Tensor]:
    """Return the first layers of the gates, then of the messages, of all heads as one."""
    layers = [f"{head}.{part}.fcs.0" for part in ("gate_nn", "message_nn") for head in heads]
    weight = torch.cat([given[f"{layer}.weight"] for layer in layers])
    return weight, torch.cat([given[f"{layer}.bias"] for layer in layers])


def _attention(given: Mapping[str, Tensor], heads: list[str], name: str) -> dict[str, Tensor]:
    """Return the last layers of gates and messages of all heads."""

    def last(part: str, kind: str) -> list[Tensor]:
        return [given[f"{head}.{part}.fc_out.{kind}"] for head in heads]

    return {
        f"{name}.gate": torch.cat(last("gate_nn", "weight")),
        f"{name}.gate_bias": torch.cat(last("gate_nn", "bias")),
        f"{name}.message.weight": torch.cat(last("message_nn", "weight"), dim=1),
        f"{name}.message_bias": torch.stack(last("message_nn", "bias")),
    }
