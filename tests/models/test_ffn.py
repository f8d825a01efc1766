"""The ffn networks: what every network promises, and layers as written."""

from nasbench_evs.models import build
from nasbench_evs.spaces import FFNSpace, VectorShape
from nasbench_evs.testing.network import VECTORS, NetworkContract


class TestFFNNetwork(NetworkContract):
    shapes = VECTORS

    def space(self, shape):
        return FFNSpace(3)


class TestDeepFFNNetwork(TestFFNNetwork):
    def space(self, shape):
        return FFNSpace(9)


def test_hidden_layers_are_rectified_and_the_last_is_not():
    network = build(FFNSpace(2, [2, 3]).parse("2-3"), VectorShape(2, 1))
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
