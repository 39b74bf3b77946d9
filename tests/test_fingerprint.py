import torch
from rdkit import DataStructs
from rdkit.Chem import rdFingerprintGenerator

from surrogates.encoders.fingerprint import FingerprintSettings, MixFingerprint, morgan_fingerprints
from surrogates.members import Members
from surrogates.molecules import Component, MoleculeTable, parse_smiles

SMILES = ("COC(=O)OC", "O=C1OCCO1", "CCOC(=O)OC")
TABLE = MoleculeTable.build([Component.of(smiles) for smiles in SMILES])
SETTINGS = FingerprintSettings(slots=2, bits=64, hidden=(16, 8), targets=3)
COMPONENTS, X = torch.tensor([[0, 1], [2, 0]]), torch.tensor([[0.25, 0.75], [1.0, 0.0]])


def test_bits_are_those_of_similarity_search() -> None:
    rows = morgan_fingerprints(TABLE, 64)
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=64)
    first, second = (generator.GetFingerprint(parse_smiles(smiles)) for smiles in SMILES[:2])

    both, either = (rows[0] * rows[1]).sum(), torch.maximum(rows[0], rows[1]).sum()

    assert rows.dtype == torch.float32
    assert float(both / either) == torch.tensor(DataStructs.TanimotoSimilarity(first, second)).item()


def test_slots_stand_one_after_the_other() -> None:
    rows = morgan_fingerprints(TABLE, 64)

    mixed = MixFingerprint(SETTINGS).mix(rows, COMPONENTS, X)

    quarter, rest, one, none = (torch.tensor([x]) for x in (0.25, 0.75, 1.0, 0.0))
    assert torch.equal(mixed[0], torch.cat([rows[0], quarter, rows[1], rest]))
    assert torch.equal(mixed[1], torch.cat([rows[2], one, torch.zeros(64), none]))


def test_order_of_components_matters_to_it() -> None:
    torch.manual_seed(0)
    network, rows = MixFingerprint(SETTINGS), morgan_fingerprints(TABLE, 64)

    swapped = network(rows, COMPONENTS.flip(-1), X.flip(-1))

    assert not torch.allclose(swapped[0], network(rows, COMPONENTS, X)[0], atol=1e-3)


def test_members_are_their_networks_one_by_one() -> None:
    torch.manual_seed(0)
    networks, rows = [MixFingerprint(SETTINGS) for _ in range(3)], morgan_fingerprints(TABLE, 64)

    together = Members.of(networks).each("forward", rows, COMPONENTS, X)

    alone = torch.stack([network(rows, COMPONENTS, X) for network in networks])
    torch.testing.assert_close(together, alone)
