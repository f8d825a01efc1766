"""The example table: small `ffn` networks really trained on the digits that scikit-learn ships.

It exists so that a fresh installation answers a query before anything is downloaded. Run it with

    python -m nasbench_evs.generators.example --out datasets/digits/ffn-3.h5

Needs scikit-learn (the `train` extra). Same arguments, same scores.
"""

import argparse
import json
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.metrics import metric
from nasbench_evs.spaces import FFNSpace, VectorShape, shape_to_dict
from nasbench_evs.tables import Header, Table, build, write
from nasbench_evs.training.machine import cpu_name
from nasbench_evs.version import __version__

LAYERS = 3
SHAPE = VectorShape(inputs=64, outputs=10)
PROTOCOL: dict[str, Any] = {
    "trainer": "sklearn.neural_network.MLPClassifier.partial_fit",
    "split": "60/20/20, stratified, random_state 0; inputs divided by 16",
    "epochs": 20,
    "batch_size": 64,
    "optimiser": "adam",
    "learning_rate": 0.001,
    "weight_decay": 0.0001,
    "activation": "relu",
    "shape": shape_to_dict(SHAPE),
}


def train_one(job: tuple[tuple[int, ...], int]) -> dict[str, list[float]]:
    """Curves of one training; `job` is (layer sizes, seed)."""
    from sklearn.metrics import accuracy_score, log_loss
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    sizes, seed = job
    parts = _digits()
    model = MLPClassifier(
        hidden_layer_sizes=sizes,
        batch_size=PROTOCOL["batch_size"],
        learning_rate_init=PROTOCOL["learning_rate"],
        alpha=PROTOCOL["weight_decay"],
        random_state=seed,
    )
    classes = np.arange(SHAPE.outputs)
    curves: dict[str, list[float]] = {
        name: []
        for name in (
            "train_loss", "valid_loss_curve", "test_loss_curve", "valid_curve", "test_curve", "train_seconds",
            "eval_seconds",
        )
    }  # fmt: skip
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch at a time never "converges"
        for _ in range(PROTOCOL["epochs"]):
            start = time.perf_counter()
            model.partial_fit(*parts["train"], classes=classes)
            trained = time.perf_counter()
            curves["train_loss"].append(model.loss_)
            for name in ("valid", "test"):
                inputs, labels = parts[name]
                probabilities = model.predict_proba(inputs)
                curves[f"{name}_loss_curve"].append(log_loss(labels, probabilities, labels=classes))
                curves[f"{name}_curve"].append(accuracy_score(labels, probabilities.argmax(axis=1)))
            curves["train_seconds"].append(trained - start)
            curves["eval_seconds"].append(time.perf_counter() - trained)
    return curves


def _digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    inputs, labels = load_digits(return_X_y=True)
    inputs = inputs / 16
    rest, test, rest_labels, test_labels = train_test_split(
        inputs, labels, test_size=0.2, stratify=labels, random_state=0
    )
    train, valid, train_labels, valid_labels = train_test_split(
        rest, rest_labels, test_size=0.25, stratify=rest_labels, random_state=0
    )
    return {"train": (train, train_labels), "valid": (valid, valid_labels), "test": (test, test_labels)}


def make_table(architectures: int, repeated: int, workers: int = 1) -> Table:
    """Random architectures (uniform over ranks, without repeats), the first `repeated` of them with seeds 0, 1, 2."""
    import sklearn

    space = FFNSpace(LAYERS)
    ranks = np.random.default_rng(0).permutation(space.size)[:architectures].astype(np.uint64)
    choices = space.unrank_many(ranks)
    plan = [(row, seed) for seed in range(3) for row in range(architectures if seed == 0 else repeated)]
    sizes = np.array(space.sizes)[choices]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [(tuple(sizes[row].tolist()), seed) for row, seed in plan]
        curves = list(pool.map(train_one, jobs, chunksize=8))
    rows = np.array([row for row, _ in plan])
    cost = space.cost_many(choices[rows], SHAPE)
    header = Header(
        space=space,
        dataset="digits",
        fingerprint=f"sklearn.datasets.load_digits of scikit-learn {sklearn.__version__}",
        protocol=PROTOCOL,
        metric=metric("accuracy"),
    )
    versions = {"scikit-learn": sklearn.__version__, "numpy": np.__version__, "nasbench-evs": __version__}
    machine = {"cpu": cpu_name(), "gpu": "", "threads": 1, "versions": json.dumps(versions, sort_keys=True)}
    return build(
        header,
        choices=choices[rows],
        seed=[seed for _, seed in plan],
        sampler="random",
        distilled=0,
        epochs_run=PROTOCOL["epochs"],
        params=cost.params,
        flops=cost.flops,
        machines=[machine],
        hardware=0,
        **{name: np.array([curve[name] for curve in curves]) for name in curves[0]},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--architectures", type=int, default=600)
    parser.add_argument("--repeated", type=int, default=100, help="how many of them get three seeds")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    write(make_table(arguments.architectures, arguments.repeated, arguments.workers), arguments.out, force=True)
