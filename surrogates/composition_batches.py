"""What an encoder of cathodes eats: compositions and test conditions as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from surrogates.compositions import InvalidFormula, parse_formula
from surrogates.errors import InputError, Problem

ANIONS = ("O", "F")
_FILE = "element_embeddings.safetensors"


@dataclass(frozen=True)
class CompositionTable:
    """The distinct elements that batches point into.

    Attributes:
        elements: Symbols, each once.
        embeddings: `u x 200`, float32, the matscholar embedding of each.
        fluorine: `200`, that of fluorine.
    """

    elements: tuple[str, ...]
    embeddings: Tensor
    fluorine: Tensor

    def __len__(self) -> int:
        return len(self.elements)

    @staticmethod
    def of(elements: Sequence[str]) -> CompositionTable:
        """Return the table of some elements, in their order.

        Raises:
            InputError: If an element has no embedding.

        Source: Weston et al., J. Chem. Inf. Model. 59, 3692 (2019), as the package ElementEmbeddings 0.8.0
        (MIT) tabulates it. Our own copy of its 103 rows stands in element_embeddings.safetensors, since
        the package would bring seaborn, UMAP, openTSNE and LLVM for one table.
        """
        known, vectors = _element_embeddings()
        unknown = [element for element in elements if element not in known]
        if unknown:
            raise InputError([_no_embedding(element, "elements") for element in unknown])
        rows = torch.tensor([known[element] for element in elements], dtype=torch.int64)
        return CompositionTable(tuple(elements), vectors[rows], vectors[known["F"]])


@dataclass(frozen=True)
class CompositionBatch:
    """`n` compositions of up to `k` cations. An element fills one slot of a composition at most.

    Attributes:
        cations: `n x k`, int64, rows of the composition table; unused slots hold 0 at weight 0.
        weights: `n x k`, amount of the cation for one anion: half its amount in a formula of two anions.
        fluorine: `n`, share of fluorine among the anions, 0 to 1; the others are oxygen.
    """

    cations: Tensor
    weights: Tensor
    fluorine: Tensor

    def __len__(self) -> int:
        return int(self.fluorine.shape[0])

    def __getitem__(self, rows: Tensor | slice) -> CompositionBatch:
        return CompositionBatch(self.cations[rows], self.weights[rows], self.fluorine[rows])

    @staticmethod
    def from_amounts(cations: Tensor, amounts: Tensor, fluorine: Tensor) -> CompositionBatch:
        """Return the batch of compositions given for two anions.

        Args:
            cations: `n x k`, int64, rows of a composition table; anything where the amount is 0.
            amounts: `n x k`, of each cation for two anions.
            fluorine: `n`, amount of fluorine, 0 to 2; the rest of the two anions is oxygen.
        """
        return CompositionBatch(cations.where(amounts > 0, 0), amounts / 2, fluorine / 2)


@dataclass(frozen=True)
class Conditions:
    """`c` conditions of a test.

    Attributes:
        rate_mA_g: `c`, mA/g.
        cycle: `c`, number of the cycle as a float; 1 is the first.
        V_low: `c`, V.
        V_high: `c`, V.
    """

    rate_mA_g: Tensor
    cycle: Tensor
    V_low: Tensor
    V_high: Tensor

    def __len__(self) -> int:
        return int(self.cycle.shape[0])

    def __getitem__(self, rows: Tensor | slice) -> Conditions:
        return Conditions(self.rate_mA_g[rows], self.cycle[rows], self.V_low[rows], self.V_high[rows])

    @staticmethod
    def of(
        rate_mA_g: Sequence[float], cycle: Sequence[float], V_low: Sequence[float], V_high: Sequence[float]
    ) -> Conditions:
        """Return conditions from numbers, float32."""
        return Conditions(
            *(torch.tensor(list(values), dtype=torch.float32) for values in (rate_mA_g, cycle, V_low, V_high))
        )

    def window(self) -> Tensor:
        """Return lower and upper voltage, `c x 2`, V."""
        return torch.stack([self.V_low, self.V_high], dim=-1)


def read_formulas(
    formulas: Sequence[str], where: str = "composition"
) -> tuple[CompositionTable, CompositionBatch]:
    """Return the compositions of formulas and the table of their cations; anions are scaled to two.

    Args:
        formulas: Each with cations and with O, F or both; all but O and F is taken as a cation.
        where: What the errors call the place of the formulas.

    Raises:
        InputError: With every formula that cannot be read, has no O or F, no cation, or an element
            without an embedding.
    """
    known, _ = _element_embeddings()
    problems, read = [], []
    for formula in formulas:
        try:
            amounts = parse_formula(formula)
        except InvalidFormula as error:
            wrong = f'"{formula}" is no formula: {error}'
            problems.append(Problem(where, wrong, "Write it as Li1.2Mn0.4Ti0.4O2."))
            continue
        anions = {element: amounts.pop(element, 0.0) for element in ANIONS}
        total = sum(anions.values())
        if not total:
            problems.append(Problem(where, f'"{formula}" holds neither O nor F', "Give its anions."))
        if not amounts:
            problems.append(Problem(where, f'"{formula}" holds no cation', "Give its cations."))
        problems += [_no_embedding(element, where) for element in amounts if element not in known]
        read.append((amounts, total, anions["F"]))
    if problems:
        raise InputError(problems)
    elements = tuple(dict.fromkeys(element for amounts, _, _ in read for element in amounts))
    row = {element: index for index, element in enumerate(elements)}
    cations = [torch.tensor([row[element] for element in amounts]) for amounts, _, _ in read]
    weights = [
        torch.tensor([a / total for a in amounts.values()], dtype=torch.float32) for amounts, total, _ in read
    ]
    fluorine = torch.tensor([f / total for _, total, f in read], dtype=torch.float32)
    batch = CompositionBatch(
        pad_sequence(cations, batch_first=True), pad_sequence(weights, batch_first=True), fluorine
    )
    return CompositionTable.of(elements), batch


@cache
def _element_embeddings() -> tuple[dict[str, int], Tensor]:
    """Return the row of each element, and the rows, `103 x 200`."""
    with (
        as_file(files("surrogates").joinpath(_FILE)) as path,
        safe_open(path, framework="pt") as stored,
    ):
        elements = stored.metadata()["elements"].split()
        return {element: row for row, element in enumerate(elements)}, stored.get_tensor("matscholar")


def _no_embedding(element: str, where: str) -> Problem:
    wrong = f"{element} has no embedding; the elements from H to Lr have one"
    return Problem(where, wrong, "Leave it out.")
