"""How long networks take to answer: what is measured, and what a table says of it."""

import numpy as np
import pytest

from nasbench_evs.cli import cli
from nasbench_evs.errors import InvalidQuery, TrainingError
from nasbench_evs.locations import shipped_tables
from nasbench_evs.spaces import shape_to_dict
from nasbench_evs.tables import merge, read, verify, write
from nasbench_evs.training import latency
from nasbench_evs.training.latency import with_latencies
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.protocol import trainer_name
from nasbench_evs.training.record import Job, Record, table_of
from tests.conftest import make_header
from tests.training.conftest import PROTOCOL, SPACE


@pytest.fixture(scope="module")
def table(dataset, inputs):
    """Three architectures, one of them with two seeds, none of them trained."""
    protocol = {**PROTOCOL.to_dict(), "subset": 300, "shape": shape_to_dict(inputs.shape), "trainer": trainer_name()}
    header = make_header(SPACE, dataset="synthetic", fingerprint=dataset.fingerprint, protocol=protocol)
    ranks = [SPACE.parse(text).rank for text in ("k1.n.g/g.0.mean", "k3d.t.a2g/c.1x2.d-mean+max", "kw.n.g.0.max")]
    return table_of(
        header,
        {
            Job(rank, seed, "random"): Record("failed")
            for rank, seed in zip([*ranks, ranks[0]], [0, 0, 0, 1], strict=True)
        },
    )


@pytest.fixture
def timed(monkeypatch):
    """Makes the milliseconds of every measurement those of a list, in turn."""

    def by(values):
        left = iter(values)
        monkeypatch.setattr(latency, "latency", lambda *_: (next(left), 10.0))

    return by


def test_latency_grows_with_the_batch(inputs):
    one, many = latency.latency(SPACE.parse("k1.n.g/g.0.mean"), PROTOCOL, inputs)
    assert 0 < one < many


def test_every_architecture_is_measured_twice_in_opposite_orders(table, timed):
    done = []
    timed([1.0, 2.0, 3.0, 3.1, 2.1, 1.1])
    measured = with_latencies(table, report=lambda *steps: done.append(steps))
    assert done[-1] == (6, 6)
    ranks = np.unique(table["rank"])
    for rank, expected in zip(ranks, (1.05, 2.05, 3.05), strict=True):
        assert np.allclose(measured["latency_ms_b1"][table["rank"] == rank], expected)
    assert (measured["latency_ms_b256"] == 10).all()
    [line] = measured.header.latency
    assert "3 architectures on " in line
    assert Machine.here("cpu").cpu in line
    assert "two rounds that differ by 1.6% in the median" in line
    assert measured.results_sha256 == table.results_sha256
    assert np.isnan(table["latency_ms_b1"]).all()


def test_a_machine_that_is_not_quiet_is_noticed(table, timed):
    timed([1.0, 2.0, 3.0, 5.0, 3.0, 2.0])
    with pytest.raises(
        TrainingError, match=r"differ by 20% in the median, expected at most 10%: .*; nothing was written"
    ):
        with_latencies(table)


def test_the_command_writes_them_and_merging_keeps_the_line(table, tmp_path, timed, capsys):
    write(table, tmp_path / "t.h5")
    timed([1.0] * 6)
    cli.main(["table", "latency", str(tmp_path / "t.h5")], standalone_mode=False)
    measured = read(tmp_path / "t.h5")
    verify(measured)
    assert measured.header.latency[0] in capsys.readouterr().out
    assert (measured["latency_ms_b1"] == 1).all()
    assert merge([measured, table]).header.latency == measured.header.latency
    cli.main(["table", "info", str(tmp_path / "t.h5")], standalone_mode=False)
    assert measured.header.latency[0] in capsys.readouterr().out


def test_networks_are_really_timed(table, monkeypatch):
    monkeypatch.setattr(latency, "MOST_DIFFERENCE", np.inf)
    measured = with_latencies(table)
    assert (measured["latency_ms_b256"] > measured["latency_ms_b1"]).all()


def test_tables_of_format_1_stay_as_they_are():
    path = shipped_tables()["bpic2012", "seqnas"]
    before = path.read_bytes()
    with pytest.raises(InvalidQuery, match="is of format 1, to which nothing is added"):
        cli.main(["table", "latency", str(path)], standalone_mode=False)
    assert path.read_bytes() == before
