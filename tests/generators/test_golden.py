"""What never changes: records outlive the code that made them.

`golden.json` was made before the recorder for new protocols was built (python -m tests.generators.test_golden writes it
again, which only a change of the function that is trained can justify).
"""

import hashlib
import json
from pathlib import Path

import pytest

from nasbench_evs.datasets.prepare import prepare
from nasbench_evs.datasets.sources import SOURCES
from nasbench_evs.datasets.sources.synthetic import SYNTHETIC, make
from nasbench_evs.locations import shipped_tables
from nasbench_evs.spaces import FFNSpace, SeqNASSpace
from nasbench_evs.tables import read
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.recipe import Recipe
from nasbench_evs.training.train import CURVES, train

GOLDEN = Path(__file__).with_name("golden.json")
ROOT = Path(__file__).parents[2]
CURVE_NAMES = [name for name in CURVES if not name.endswith("seconds")]
PROTOCOL = {"epochs": 2, "batch_size": 64, "embedding": 4, "channels": 1, "hidden": 8}
TRAININGS = [
    (SeqNASSpace(), "k3d.t.a2g/c.1x2.d-mean+max", 0, {}),
    (SeqNASSpace(), "k1.n.0.0.mean", 3, {"class_weights": "none", "schedule": "cosine"}),
    (FFNSpace(2), "32-144", 1, {"dropout": 0.1}),
]
TABLES = {
    "bpic2012": ("bpic2012", "seqnas"),
    "credit-default": ("credit-default", "seqnas"),
    "credit-default-ffn": ("credit-default", "ffn-3"),
    "online-retail": ("online-retail", "seqnas"),
    "physionet2012": ("physionet2012", "seqnas"),
}


def curves(space, text, seed, changes):
    dataset = prepare(make(400), SYNTHETIC.rules)
    protocol = Protocol(**PROTOCOL | changes)
    result = train(space.parse(text), seed, protocol, prepare_inputs(space, dataset, 300, protocol))
    return {name: result.curves[name] for name in CURVE_NAMES}


def identities():
    def sha256(path):
        return hashlib.sha256(json.dumps(read(path).header.identity, sort_keys=True).encode()).hexdigest()

    return {"/".join(name): sha256(path) for name, path in shipped_tables().items()}


def here():
    """What decides how numbers are rounded."""
    found = Machine.here("cpu")
    return [found.cpu, json.loads(found.versions)["torch"]]


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("training", range(len(TRAININGS)))
def test_curves(golden, training):
    expected, found = golden["curves"][training], curves(*TRAININGS[training])
    if golden["machine"] == here():
        assert found == expected
    else:  # losses after one epoch, before rounding has grown
        for name in ("train_loss", "valid_loss", "test_loss"):
            assert found[name][0] == pytest.approx(expected[name][0], rel=1e-3)


@pytest.mark.parametrize("name", TABLES)
def test_protocols_of_recorded_tables(name):
    recipe = Recipe.read(ROOT / "generators" / f"{name}.toml")
    header = read(shipped_tables()[TABLES[name]]).header
    recorded = dict(header.protocol)
    del recorded["shape"]
    assert recorded == {
        "trainer": "nasbench_evs.generators.trainer 1",
        "subset": recipe.subset,
        **recipe.protocol.to_dict(),
    }
    assert recipe.protocol == Protocol.recorded(header.protocol)


def test_identities_of_recorded_tables(golden):
    found = identities()
    assert {name: found[name] for name in golden["identities"]} == golden["identities"]


def test_fingerprint_of_the_synthetic_dataset(golden):
    assert prepare(make(400), SYNTHETIC.rules).fingerprint == golden["synthetic"]


def test_fingerprint_of_a_recorded_dataset(shared):
    source = SOURCES["credit-default"]
    found = prepare(source.read(shared / "data" / "raw" / "credit-default"), source.rules).fingerprint
    assert found == read(shipped_tables()["credit-default", "seqnas"]).header.fingerprint


if __name__ == "__main__":
    content = {
        "machine": here(),
        "curves": [curves(*training) for training in TRAININGS],
        "identities": identities(),
        "synthetic": prepare(make(400), SYNTHETIC.rules).fingerprint,
    }
    GOLDEN.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
