"""Does the applicability domain tell mixtures of unseen solvents from unseen mixtures of known ones.

    python -m tests.benchmarks.bench_domain

On ten splits each of the MolSets data and of CALiSol-23, some solvents are put aside, and of the other
mixtures a fifth. The domain is learnt from the rest, and its limit is set on a fifth of the mixtures (or
papers) of these. Printed are the area under the ROC curve of its distance, the share of known solvents'
mixtures that it calls unknown (5 % is aimed at), and the share of the unseen ones that it does.
"""

from __future__ import annotations

import torch
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from surrogates.calibration_rows import domain_rows
from surrogates.datasets import load_dataset
from surrogates.domain import Domain
from surrogates.features import MoleculeFeatures
from surrogates.law_training import distinct_rows
from surrogates.mixture_data import MixtureData
from surrogates.splits import Split, holdouts, solvent_splits
from tests.benchmarks.measuring import public_data

SPLITS = 10
COMPONENTS = 40
_AT_ONCE = 2048


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    data_dir, _ = public_data()
    calisol = load_dataset("calisol23", data_dir)
    rows = torch.arange(len(calisol))
    sets = {
        "MolSets": load_dataset("molsets", data_dir),
        "CALiSol-23": calisol.take(rows[distinct_rows(calisol, rows)]),
    }
    table = Table("data", "AUROC", "lowest", "false alarms", "unseen solvents called unknown")
    for name, data in sets.items():
        found = torch.tensor([judged(data, split) for split in solvent_splits(data, SPLITS, 0.2, seed=0)])
        area, alarms, told = found.mean(0).tolist()
        table.add_row(name, f"{area:.3f}", f"{float(found[:, 0].min()):.3f}", f"{alarms:.3f}", f"{told:.3f}")
    Console(width=120).print(table)


def judged(data: MixtureData, split: Split) -> tuple[float, float, float]:
    """Return the area, the share of false alarms and the share of unseen solvents' mixtures that is told."""
    known = data.take(split.train)
    mixtures = torch.tensor(known.rows["mixture"].to_numpy())
    learns = holdouts(mixtures, 1, 0.2, split.seed)[0]
    learnt = data.take(split.train[learns])
    features = MoleculeFeatures.fit(learnt.table, COMPONENTS)
    domain = Domain.fit(learnt.table, features, learnt.batch, domain_rows(learnt, split.seed))
    bound = domain.bind(data.table, features)

    def asked(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        parts = [data.batch[some] for some in rows.split(_AT_ONCE)]
        holds = torch.cat([bound.holds(part) for part in parts])
        return torch.cat([bound.distance(part) for part in parts]).nan_to_num(posinf=1e9), ~holds

    (unseen, told), (seen, alarms) = asked(split.test), asked(split.train[~learns])
    is_unseen = torch.cat([torch.ones(len(unseen)), torch.zeros(len(seen))])
    area = float(roc_auc_score(is_unseen.numpy(), torch.cat([unseen, seen]).numpy()))
    return area, float(alarms.double().mean()), float(told.double().mean())


if __name__ == "__main__":
    main()
