"""Shared fixtures: made tables of every kind, and the data beside the checkout, which users do not have."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasbench_evs.datasets import store
from nasbench_evs.datasets.prepare import prepare
from nasbench_evs.datasets.sources.synthetic import SYNTHETIC, make
from nasbench_evs.metrics import metric
from nasbench_evs.spaces import FFNSpace, SeqNASSpace, VectorShape, shape_to_dict
from nasbench_evs.tables import Header, Table, build

pytest.register_assert_rewrite("nasbench_evs.testing")

SHARED = Path(__file__).resolve().parents[2] / "shared"
IN_CI = os.environ.get("NASBENCH_EVS_CI") == "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", help="Run the contracts of trainings on this device: cuda.")


@pytest.fixture(scope="session")
def gpu(request: pytest.FixtureRequest) -> str:
    """The device of --device; its tests skip where none is named, and fail where it cannot be used."""
    device = request.config.getoption("--device")
    if device is None:
        pytest.skip("needs a GPU: pytest --device cuda tests/training/test_gpu.py")
    return device


@pytest.fixture(scope="session")
def shared() -> Path:
    """../shared beside the checkout; tests that need it skip where it is absent, but never in CI."""
    if not SHARED.is_dir():
        assert not IN_CI, "CI must have ../shared"
        pytest.skip("needs ../shared (raw data and published records) beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def release(shared: Path) -> Path:
    return shared / "data" / "published" / "nas-bench-event-sequences-4.zip"


SHAPE = VectorShape(inputs=5, outputs=1)


def make_header(space=None, **changes) -> Header:
    defaults = {
        "space": space or FFNSpace(2, [2, 3, 4]),
        "dataset": "made",
        "fingerprint": "made by a test",
        "protocol": {"epochs": 3, "shape": shape_to_dict(SHAPE)},
        "metric": metric("roc_auc"),
        "created": "2026-01-01T00:00:00+00:00",
    }
    return Header(**{**defaults, **changes})


def make_table(ranks, seeds=0, *, scores=None, header=None, epochs=3, **columns) -> Table:
    """A table whose scores follow from rank and seed, so that two makers agree about one training."""
    header = header or make_header()
    ranks = np.asarray(ranks, np.uint64)
    seeds = np.broadcast_to(seeds, len(ranks)).astype(np.int64)
    if scores is None:
        base = (ranks.astype(float) * 7 + seeds * 3) % 11
        scores = 0.5 + (base[:, None] + np.arange(epochs)) / 100
    made = {"sampler": "random", "distilled": 0, "epochs_run": epochs, "test_curve": np.asarray(scores) - 0.01}
    made["train_seconds"] = np.full(np.shape(scores), 0.5)
    return build(
        header,
        choices=header.space.unrank_many(ranks),
        seed=seeds,
        valid_curve=scores,
        **{**made, **columns},
    )


def make_end_table(ranks, seeds=0, *, space=None, epochs=3, failing=(), protocol=None, **columns) -> Table:
    """A table with scores at the end and no test curves; scores follow from rank and seed. Rows of `failing` diverged."""
    header = make_header(space, protocol={"epochs": epochs, "score_at": "end", **(protocol or {})})
    ranks = np.asarray(ranks, np.uint64)
    seeds = np.broadcast_to(seeds, len(ranks)).astype(np.int64)
    score = 0.5 + ((ranks.astype(float) * 7 + seeds * 3) % 11) / 20
    ran = np.where(np.isin(np.arange(len(ranks)), failing), 1, epochs)
    after = np.arange(epochs)[None, :] >= ran[:, None]
    curve = np.where(after, np.nan, score[:, None] - 0.01 * np.arange(epochs))  # the end is not the best
    score = np.where(ran < epochs, np.nan, score - 0.1)
    blocks = score[:, None] + np.arange(10) / 1000
    made = {
        "sampler": "seqnas-s", "distilled": 0, "epochs_run": ran, "status": np.where(ran < epochs, "diverged", "ok"),
        "valid_curve": curve, "valid_loss_curve": 1 - curve, "train_loss": 1 - curve,
        "train_seconds": np.where(after, np.nan, 4.0), "eval_seconds": np.where(after, np.nan, 2.0),
        "cpu_seconds": np.where(after, np.nan, 3.0), "code_commit": "c" * 40,
        "valid_score": score, "test_score": score - 0.05, "valid_loss": 1 - score, "test_loss": 1.1 - score,
        "valid_blocks": blocks, "test_blocks": blocks - 0.05,
        "final_cpu_seconds": np.where(ran < epochs, np.nan, 5.0),
        "final_valid_cpu_seconds": np.where(ran < epochs, np.nan, 2.0),
        "final_eval_seconds": np.where(ran < epochs, np.nan, 6.0),
        "machines": [{"cpu": "one", "family": "25", "model": "1", "instruction_set": "avx2"}], "hardware": 0,
    }  # fmt: skip
    return build(header, choices=header.space.unrank_many(ranks), seed=seeds, **{**made, **columns})


@pytest.fixture
def end_table() -> Table:
    """Four architectures of a 9-architecture space; rank 2 has three seeds, the last of which diverged."""
    return make_end_table([0, 2, 2, 2, 5, 8], [0, 0, 1, 2, 0, 0], failing=[3])


def with_protocol(table, **changes) -> Table:
    """The same records under a header whose protocol has these entries changed."""
    header = replace(table.header, protocol={**table.header.protocol, **changes})
    return Table(header, table.columns, table.hardware)


@pytest.fixture
def small_table() -> Table:
    """Four architectures of a 9-architecture space; rank 2 has three seeds."""
    return make_table([0, 2, 2, 2, 5, 8], [0, 0, 1, 2, 0, 0])


@pytest.fixture(scope="session")
def seqnas_table() -> Table:
    """200 seqnas architectures whose scores depend on the architecture and a little on chance."""
    space = SeqNASSpace()
    choices = np.unique(space.sample_many(300, seed=1), axis=0)[:200]
    generator = np.random.default_rng(0)
    truth = 0.7 + 0.02 * (choices[:, 3] > 0) + 0.01 * choices[:, -1]
    scores = truth[:, None] + generator.normal(0, 0.004, (len(choices), 2))
    header = make_header(space, protocol={"epochs": 2})
    return build(
        header,
        choices=choices,
        seed=0,
        sampler="random",
        distilled=0,
        epochs_run=2,
        valid_curve=scores,
        test_curve=scores - 0.01,
        train_seconds=np.full(scores.shape, 2.0) * (1 + choices[:, 3:4]),
    )


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory):
    """Tests leave the user's cache alone, where surrogates that passed are remembered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NASBENCH_EVS_HOME", str(tmp_path_factory.mktemp("empty-home")))
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A home of nasbench-evs for all tests of a worker that need a prepared dataset, `synthetic`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NASBENCH_EVS_HOME", str(tmp_path_factory.mktemp("home")))
        prepare(make(400), SYNTHETIC.rules).save(store.folder("synthetic"))
        yield store.home()
