"""Several networks of one shape, evaluated as one: stacked parameters under `torch.func.vmap`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from surrogates.errors import Problem


class _Method(nn.Module):
    """Makes any method of a network what `functional_call` calls."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network = network
        self.method = method

    def forward(self, *args: Any) -> Any:
        return getattr(self.network, self.method)(*args)


@dataclass(frozen=True)
class Members:
    """`K` networks of one shape.

    Attributes:
        network: One of that shape; its own parameters are not used.
        parameters: By name, `K x ...`.
        buffers: By name, `K x ...`.
    """

    network: nn.Module
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]

    @staticmethod
    def of(networks: Sequence[nn.Module]) -> Members:
        """Stack networks of one shape."""
        parameters, buffers = stack_module_state(list(networks))
        return Members(networks[0], parameters, buffers)

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def __getitem__(self, members: slice) -> Members:
        return Members(
            self.network,
            {name: tensor[members].detach() for name, tensor in self.parameters.items()},
            {name: tensor[members] for name, tensor in self.buffers.items()},
        )

    def each(self, method: str, *shared: Any, mine: tuple[Tensor, ...] = ()) -> Any:
        """Call a method of every member, as one.

        Args:
            method: Its name.
            shared: Arguments that are the same for all members; they follow `mine`.
            mine: Arguments of which each member has its own, each `K x ...`.

        Returns:
            What the method returns, stacked, each tensor `K x ...`.
        """
        call = _Method(self.network, method)
        state = {f"network.{name}": t for name, t in (self.parameters | self.buffers).items()}

        def one(state: dict[str, Tensor], *mine: Tensor) -> Any:
            return functional_call(call, state, (*mine, *shared))

        return vmap(one, randomness="different")(state, *mine)  # each member drops its own channels

    def part(self, name: str) -> Members:
        """Return the members' submodules of a name, as members of their own."""
        prefix = f"{name}."

        def mine(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            return {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}

        return Members(self.network.get_submodule(name), mine(self.parameters), mine(self.buffers))

    def double(self) -> Members:
        """Return the members in float64."""
        return Members(
            self.network,
            {name: tensor.double() for name, tensor in self.parameters.items()},
            {name: tensor.double() for name, tensor in self.buffers.items()},
        )

    def state(self) -> dict[str, Tensor]:
        """Return parameters and buffers by name, contiguous, to be saved."""
        both = self.parameters | self.buffers
        return {name: tensor.detach().contiguous() for name, tensor in both.items()}

    def sha256(self) -> str:
        """Return the hash of names, shapes and values of all parameters and buffers."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def with_state(self, state: dict[str, Tensor]) -> Members:
        """Return these members with the tensors of `state`, which must have all names.

        Raises:
            KeyError: If a name is missing.
            ValueError: If a tensor has another shape.
        """
        for name, tensor in (self.parameters | self.buffers).items():
            if state[name].shape != tensor.shape:
                raise ValueError(f"{name} is {tuple(state[name].shape)}, not {tuple(tensor.shape)}")
        return Members(
            self.network,
            {name: state[name] for name in self.parameters},
            {name: state[name] for name in self.buffers},
        )


def too_few_members(members: int) -> list[Problem]:
    """Return what is wrong with an ensemble of so many members, if anything is."""
    if members >= 2:
        return []
    wrong = f"{members} given; one member cannot differ from itself, so 2 or more are needed"
    return [Problem("members", wrong, "Use 5, the default.")]


def beta_nll(target: Tensor, mean: Tensor, variance: Tensor, beta: float) -> Tensor:
    """Return the Gaussian negative log likelihood, each row weighted by its variance to the power `beta`.

    At 0 it is the plain likelihood, whose gradient lets a large variance excuse a poor mean; at 1 the
    mean learns as from squared errors. At 0.5 the variance learns and the mean does not suffer.

    Source: Seitzer et al., ICLR 2022.
    """
    nll = 0.5 * ((target - mean) ** 2 / variance + variance.log())
    return torch.as_tensor(nll * variance.detach() ** beta)
