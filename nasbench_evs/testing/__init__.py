"""Contracts: tests that whatever is plugged into nasbench-evs must pass. For the tests of users, who inherit them.

One module for each kind, so that each imports only what it needs beside pytest and hypothesis, which the package itself does
not require:

    from nasbench_evs.testing.network import NetworkContract  # benchmark: BenchmarkContract, searcher: SearcherContract
    from nasbench_evs.testing.space import SpaceContract

    class TestToySpace(SpaceContract):
        space = ToySpace()

    class TestToyNetwork(NetworkContract):
        def space(self, shape):
            return ToySpace()

`pytest.register_assert_rewrite("nasbench_evs.testing")` in a conftest.py makes pytest say what failed, and not only that.
"""
