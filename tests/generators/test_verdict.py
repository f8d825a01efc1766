"""The gate's verdict, on made tables."""

import numpy as np
import pytest

from nasbench_evs.generators.verdict import evaluate
from nasbench_evs.spaces import FFNSpace, VectorShape, shape_to_dict
from nasbench_evs.tables import build
from nasbench_evs.tables.reliability import reliability, seed_rows
from tests.conftest import make_header

SPACE = FFNSpace(2)
HEADER = make_header(
    SPACE,
    protocol={"epochs": 1, "score_at": "end", "shape": shape_to_dict(VectorShape(inputs=5, outputs=1))},
)


def made(signal, noise, *, n=64, failing=(), seed=0, status=()):
    """n architectures with three seeds; `failing` of the trainings (flat positions) score .5, `status` say diverged."""
    rng = np.random.default_rng(seed)
    truth = np.clip(rng.normal(0.7, signal, (n, 1)), 0.55, 0.95)
    valid, test = (truth + rng.normal(0, noise, (n, 3)) for _ in range(2))
    valid.flat[list(failing)] = 0.5
    states = np.full(n * 3, "ok", object)
    states[list(status)] = "diverged"
    blocks = valid.ravel()[:, None] + rng.normal(0, 0.002, (n * 3, 10))
    bad = states == "diverged"
    return build(
        HEADER,
        choices=SPACE.unrank_many(np.repeat(np.arange(n), 3).astype(np.uint64)),
        seed=np.tile(np.arange(3), n),
        sampler="seqnas-s",
        distilled=0,
        status=states.tolist(),
        epochs_run=1,
        valid_curve=valid.reshape(-1, 1),
        **{
            name: np.where(bad.reshape((-1,) + (1,) * (np.ndim(values) - 1)), np.nan, values)
            for name, values in (
                ("valid_score", valid.ravel()),
                ("test_score", test.ravel()),
                ("valid_blocks", blocks),
                ("test_blocks", blocks),
            )
        },
        final_cpu_seconds=1.0,
        cpu_seconds=np.full((n * 3, 1), 2.0),
    )


def constant(_):
    return 0.5, np.full(10, 0.5)


def test_architectures_that_differ_pass_with_the_smallest_k():
    found = evaluate(made(0.02, 0.005), constant)
    assert (found["verdict"], found["k"], found["at chance"]) == ("pass", 2, 0)
    assert found["trainings"] == 192
    top = found["reliability"]["top quarter"]
    assert top["R_2"] > 0.7
    assert top["chosen"] == 16


def test_noise_alone_fails():
    found = evaluate(made(0.0005, 0.02, n=400), constant)
    assert found["verdict"] == "fail"
    assert found["reliability"]["top quarter"]["quantiles"]["R_4"][2] < 0.5


def test_between_them_more_architectures_decide():
    verdicts = {evaluate(made(0.008, 0.012, seed=seed), constant)["verdict"] for seed in range(6)}
    assert "else" in verdicts


@pytest.mark.parametrize(("count", "verdict"), [(2, "pass"), (3, "fail")])
def test_three_trainings_at_chance_fail(count, verdict):
    failing = [5, 70, 130][:count]
    assert evaluate(made(0.02, 0.005, failing=failing), constant)["at chance"] == count
    assert evaluate(made(0.02, 0.005, failing=failing), constant)["verdict"] == verdict
    assert evaluate(made(0.02, 0.005, status=failing), constant)["at chance"] == count


def test_only_architectures_with_all_three_seeds_are_judged():
    table = made(0.02, 0.005)
    fewer = table.select(np.arange(len(table)) != 4)
    assert len(seed_rows(fewer)) == 63
    assert evaluate(fewer, constant)["architectures"] == 63
    rows = seed_rows(table)
    assert np.array_equal(table["seed"][rows], np.tile([0, 1, 2], (64, 1)))
    expected = reliability(table["valid_score"][rows]).r[2]
    assert evaluate(table)["reliability"]["top quarter"]["R_2"] == pytest.approx(expected)
