"""The YAML of a screen of cathodes is read into a space and objectives, or refused with all that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from campaigns.cathode_config import CathodeScreenConfig
from campaigns.config import load_yaml, resolve_job
from surrogates.discharge_objectives import Objective
from surrogates.errors import InputError
from surrogates.prediction import Prediction

SPACE = """\
space:
  metals: [Mn2+, Mn3+, Ti4+]
  metals_per_composition: [2]
  lithium: [1.2]
  fluorine: [0.1]
  step: 0.1
"""
CAPACITY = "objectives:\n  - {quantity: capacity, rate_mA_g: 20, window_V: [1.5, 4.8], cycle: 1}\n"
RETENTION = "  - {quantity: retention_30, rate_mA_g: 100, window_V: [2, 4.8]}\n"


def read(tmp_path: Path, text: str) -> CathodeScreenConfig:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml(path, CathodeScreenConfig)


def test_objectives_are_named_by_quantity_and_unit(tmp_path: Path) -> None:
    config = read(tmp_path, CAPACITY + RETENTION + SPACE)
    assert config.asked() == (
        Objective("capacity_mAh_g", "capacity", 20, 1.5, 4.8, 1),
        Objective("retention_30", "retention_30", 100, 2, 4.8, 30),
    )
    assert len(config.space.space()) > 1
    assert (config.model, config.rank_by, config.top_k) == ("drxnet-distilled", "mean", 1000)


def test_one_objective_ranks_as_a_mixture_does(tmp_path: Path) -> None:
    score = read(tmp_path, f"rank_by: ucb\nkappa: 2.0\n{CAPACITY}{SPACE}").score()
    one = torch.ones(1, 1)
    assert score(Prediction(one, 0.16 * one, 0.09 * one, one[0] > 0, one[0])).item() == pytest.approx(2.0)


def test_the_directory_of_a_model_counts_from_the_job(tmp_path: Path) -> None:
    job = Path("jobs") / "mine.yaml"
    config = read(tmp_path, CAPACITY + SPACE)
    assert config.relative_to(job).model == "drxnet-distilled"
    of_mine = config.model_copy(update={"model": "./model"})
    assert of_mine.relative_to(job).model == "jobs/./model"
    assert "/" in of_mine.relative_to(Path("mine.yaml")).model
    assert of_mine.model_copy(update={"model": "/a/b"}).relative_to(job).model == "/a/b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SPACE, 'job.yaml, key "objectives": the key is missing. Add it.'),
        (
            f"objectives: []\n{SPACE}",
            'job.yaml, key "objectives": [] came; list should have at least 1 item after validation, not 0. '
            "Correct the value.",
        ),
        (
            CAPACITY.replace("capacity", "capcity") + SPACE,
            "job.yaml, key \"objectives[item 1].quantity\": 'capcity' came; input should be 'capacity', "
            "'average_voltage', 'energy_Wh_kg' or 'retention_30'. Correct the value.",
        ),
        (
            CAPACITY.replace(", cycle: 1", "") + RETENTION.replace("}", ", cycle: 30}") + SPACE,
            """\
job.yaml, key "objectives[item 1]": capacity needs a cycle, 1 for the first. Correct the values.
job.yaml, key "objectives[item 2]": retention_30 compares cycle 30 with the first; leave cycle out. \
Correct the values.""",
        ),
        (
            CAPACITY.replace("20", "0").replace("1.5, 4.8", "4.8, 1.5").replace("cycle: 1", "cycle: 1.5")
            + SPACE,
            'job.yaml, key "objectives[item 1]": capacity_mAh_g, rate_mA_g: 0 is not a rate above 0 mA/g; '
            "capacity_mAh_g, cycle: 1.5 is not a whole number from 1; capacity_mAh_g: 4.8 to 1.5 is no "
            "window; V_low must lie below V_high. Correct the values.",
        ),
        (
            CAPACITY + CAPACITY.splitlines()[1].replace("20", "100") + "\n" + SPACE,
            "job.yaml: two objectives are called capacity_mAh_g; give each a name of its own. "
            "Correct the values.",
        ),
        (
            f"rank_by: ucb\nkappa: 1.0\n{CAPACITY}{RETENTION}{SPACE}",
            "job.yaml: rank_by: ucb ranks one objective; several are ranked by the Pareto rank of their "
            "means. Correct the values.",
        ),
        (
            f"kappa: 1.0\n{CAPACITY}{SPACE}",
            "job.yaml: kappa must be given with rank_by: ucb, and only with it. Correct the values.",
        ),
        (
            CAPACITY + SPACE.replace("Ti4+", "Ti5+"),
            'job.yaml, key "space": metals holds "Ti5+", which is no ion or group of surrogates/ions.csv '
            "besides lithium. Those of its element are Ti3+, Ti4+. Correct the values.",
        ),
        (
            CAPACITY + SPACE.replace("lithium", "litium"),
            """\
job.yaml, key "space.lithium": the key is missing. Add it.
job.yaml, key "space.litium": no such key. Did you mean "lithium"? Known here: fluorine, lithium, metals, \
metals_per_composition, step.""",
        ),
    ],
)
def test_what_cannot_be_screened_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    assert str(error.value) == message


def test_the_bundled_jobs() -> None:
    entropy = load_yaml(resolve_job("drx-high-entropy"), CathodeScreenConfig)
    assert len(entropy.space.space()) == 55_501
    assert [asked.name for asked in entropy.asked()] == ["energy_Wh_kg", "retention_30"]
    assert entropy.space.metals_per_composition == [4, 5, 6]

    oxyfluorides = load_yaml(resolve_job("drx-lmof"), CathodeScreenConfig)
    assert len(oxyfluorides.space.space()) == 17 * 34 == oxyfluorides.top_k
    assert [(asked.name, asked.cycle) for asked in oxyfluorides.asked()] == [
        ("capacity_cycle_1_mAh_g", 1),
        ("capacity_cycle_30_mAh_g", 30),
    ]
