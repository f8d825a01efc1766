"""The table of spaces with networks: labels, constructors, and what has none."""

import subprocess
import sys

import pytest
import torch

import nasbench_evs as nb
from nasbench_evs.datasets.prepare import prepare
from nasbench_evs.datasets.sources.synthetic import SYNTHETIC, make
from nasbench_evs.errors import InvalidArchitecture, InvalidSpace, RecipeError, UnknownBenchmark
from nasbench_evs.models import build, networks
from nasbench_evs.spaces import FFNSpace, SearchSpace, SeqNASSpace, VectorShape, families
from nasbench_evs.training.inputs import Inputs, prepare_inputs
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.train import train


@pytest.fixture(scope="module")
def dataset():
    return prepare(make(200), SYNTHETIC.rules)


def test_the_table_imports_no_torch():
    script = "import sys, nasbench_evs.models.networks; print('torch' in sys.modules, 'pandas' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["False", "False"]


def test_a_label_makes_the_space_that_has_it(dataset):
    for label, space in (("seqnas", SeqNASSpace()), ("ffn-3", FFNSpace(3)), ("ffn-12", FFNSpace(12))):
        found = networks.by_label(label).make(label, dataset.schema)
        assert (found, found.label) == (space, label)
    for label in ("ffn", "ffn-0", "ffn-3 ", "seqnas-s", "", None, 3):
        with pytest.raises(InvalidSpace, match="expected seqnas, or ffn-L with L layers, such as ffn-3"):
            networks.by_label(label)


def test_a_label_is_found_in_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "packaged_space.py").write_text("""
from nasbench_evs.models import NetworkSpec, register
from nasbench_evs.spaces import Choice, SearchSpace

class Packaged(SearchSpace):
    def __init__(self):
        super().__init__([Choice("a", (1, 2))], name="packaged")

register(NetworkSpec("packaged", Packaged, None, "sequences"))
""")
    monkeypatch.syspath_prepend(str(tmp_path))
    for table in (families._FAMILIES, networks._TABLE):
        monkeypatch.setitem(table, "packaged", None)
        del table["packaged"]
    monkeypatch.setattr(families, "_entry_points", lambda: {"packaged": "packaged_space"})
    assert networks.by_label("packaged").make("packaged", None).size == 2


def test_what_a_label_means_among_tables():
    labels = ["ffn-2", "ffn-3", "seqnas"]
    assert networks.of_label("ffn-3", labels) == ["ffn-3"]
    assert networks.of_label("ffn", labels) == ["ffn-2", "ffn-3"]
    assert networks.of_label("ffn-4", labels) == networks.of_label("light", labels) == []


def test_a_benchmark_is_loaded_by_its_space():
    bench = nb.load("digits", source="table")
    for space in (bench.space.label, bench.space.name):
        assert nb.load("digits", space, source="table").space == bench.space
    with pytest.raises(UnknownBenchmark, match="no table of the space 'ffn-2': expected one of ffn-3"):
        nb.load("digits", "ffn-2")


def test_what_has_no_networks(dataset):
    space = SearchSpace.from_choices({"a": [1, 2]})
    message = "'custom' has no networks: expected seqnas or ffn"
    with pytest.raises(InvalidArchitecture, match=message):
        build(space.restrict({"a": [1]}, name="part").unrank(0), VectorShape(2, 2))
    with pytest.raises(RecipeError, match=message):
        prepare_inputs(space, dataset, None, Protocol(1))
    assert networks.typical_shape(space) is None
    with pytest.raises(InvalidSpace, match="inputs of 'toy': 'images', expected sequences or vectors, or a function"):
        networks.NetworkSpec("toy", SearchSpace, build, "images")


def test_a_view_is_trained_through_its_whole(dataset):
    protocol, whole = Protocol(1), FFNSpace(2)
    view = whole.restrict({"layer.0": [16, 24]}, name="a view")
    curves = []
    for space in (whole, view):
        inputs = prepare_inputs(space, dataset, None, protocol)
        curves.append(train(space.parse("24-8"), 0, protocol, inputs).curves["train_loss"])
    assert curves[0] == curves[1]


def test_inputs_of_an_own_kind(dataset, monkeypatch):
    class Events(Inputs):
        """How many events a sequence has."""

        def __init__(self, dataset, rows, protocol, device):
            super().__init__(dataset, rows, dataset.lengths, protocol, device)
            self.shape = VectorShape(1, len(dataset.schema.classes))

        def batch(self, rows):
            return torch.from_numpy(self.lengths[rows]).float()[:, None]

    spec = networks.NetworkSpec("ffn", FFNSpace, networks.find("ffn").network, Events)
    monkeypatch.setitem(networks._TABLE, "ffn", spec)
    inputs = prepare_inputs(FFNSpace(1), dataset, None, Protocol(1))
    assert train(FFNSpace(1).parse("8"), 0, Protocol(1), inputs).status == "ok"
