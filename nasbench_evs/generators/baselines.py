"""Baselines: GRU, LSTM and a fixed Transformer, with hyper-parameters found by Optuna (paper 000, appendix A).

They are trained as a recipe's architectures are (same sequences, epochs, loss, schedule), and are the lines in the plots that
say whether searching for an architecture was worth it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from nasbench_evs.datasets import Dataset
from nasbench_evs.errors import InvalidQuery, TrainingError
from nasbench_evs.models import build
from nasbench_evs.models.networks import by_label
from nasbench_evs.models.recurrent import KINDS, POOLS, RecurrentNetwork
from nasbench_evs.spaces import SeqNASSpace, SequenceShape
from nasbench_evs.training.inputs import Inputs, prepare_inputs
from nasbench_evs.training.machine import Machine
from nasbench_evs.training.protocol import Protocol
from nasbench_evs.training.recipe import Recipe
from nasbench_evs.training.train import Training, train_network

if TYPE_CHECKING:
    import optuna

NETWORKS = (*KINDS, "transformer")
# Learning rates that are searched. At higher ones a Transformer trains well with one seed and not with the next.
_RATES = {"gru": (5e-4, 5e-2), "lstm": (5e-4, 5e-2), "transformer": (1e-4, 1e-2)}
_BLOCKS = ("valid_blocks", "test_blocks")
_TRANSFORMER = ".t.a8/a8.8x8/8x8.mean"  # two attention layers of 8 heads in encoder and decoder, as in the paper


def tune(
    recipe: Recipe,
    dataset: Dataset,
    network: str,
    *,
    trials: int = 30,
    seeds: int = 3,
    device: str = "cpu",
    report: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """The best of `trials` settings by validation score, trained again with `seeds` further seeds.

    Searched, as in the paper: batch size, optimiser, learning rate, weight decay, embedding width, width of the state
    or of the feed-forward layer, dropout; and for GRU and LSTM, which state is classified. Returns the setting, and the
    mean and standard deviation over the seeds of the validation and test score, where the protocol reads it, with their
    curves, and with score_at "end" the means of the scores without each block.
    """
    import optuna

    if network not in NETWORKS:
        raise InvalidQuery(f"unknown network {network!r}: expected one of {', '.join(NETWORKS)}")
    if trials < 1 or seeds < 2:
        raise InvalidQuery(f"{trials} trials, {seeds} seeds: expected at least 1 trial and 2 seeds")
    if by_label(recipe.space).inputs != "sequences":
        raise InvalidQuery(
            f"the baselines read event sequences: expected a recipe of a space that does, such as seqnas, not {recipe.space}"
        )
    space = recipe.search_space(dataset)
    metric = dataset.schema.metric
    done = 0
    curves: list[list[float]] = []
    finals: list[dict[str, Any]] = []

    def run(protocol: Protocol, pool: str, seed: int) -> tuple[float, float]:
        """Validation and test score; a seed is of the final trainings, or the trial's number from 1000 on."""
        nonlocal done
        inputs = prepare_inputs(space, dataset, recipe.subset, protocol, device, train=recipe.train)
        result = train_baseline(network, seed, protocol, inputs, pool)
        done += 1
        report(done, trials + seeds)
        curves.append(result.curves["valid_score"])
        valid = np.array(result.curves["valid_score"]) * metric.sign
        if result.status != "ok" or np.isnan(valid).all():
            return float("nan"), float("nan")
        if result.final is not None:
            finals.append(result.final)
            return result.final["valid_score"], result.final["test_score"]
        best = int(np.nanargmax(valid))
        return result.curves["valid_score"][best], result.curves["test_score"][best]

    def objective(trial: optuna.Trial) -> float:
        return run(*_suggest(trial, recipe.protocol, network), 1000 + trial.number)[0]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if metric.sign > 0 else "minimize", sampler=optuna.samplers.TPESampler(seed=0)
    )
    study.optimize(objective, n_trials=trials)
    if not any(trial.value is not None for trial in study.trials):
        raise TrainingError(f"{network} on {recipe.dataset}: all {trials} trials diverged")
    finals.clear()
    best, pool = _suggest(optuna.trial.FixedTrial(study.best_params), recipe.protocol, network)
    scores = np.array([run(best, pool, seed) for seed in range(seeds)])
    return {
        "network": network,
        "dataset": recipe.dataset,
        "subset": recipe.subset,
        "train": recipe.train,
        "metric": metric.name,
        "trials": trials,
        "seeds": seeds,
        **{
            f"{split}_{name}": float(value)
            for i, split in enumerate(("valid", "test"))
            for name, value in (
                ("mean", scores[:, i].mean()),
                ("std", scores[:, i].std(ddof=1)),
            )
        },
        **{name: np.mean([final[name] for final in finals], axis=0).tolist() for name in _BLOCKS if finals},
        "pool": pool,
        "valid_curves": curves[trials:],
        "protocol": asdict(best),
        "machine": Machine.here(device).to_dict(),
    }


def train_baseline(network: str, seed: int, protocol: Protocol, inputs: Inputs, pool: str = "mean") -> Training:
    """Train one of NETWORKS; `inputs` are sequences, `pool` is one of recurrent.POOLS."""

    def make() -> nn.Module:
        shape = inputs.shape
        if not isinstance(shape, SequenceShape):
            raise InvalidQuery("the baselines read event sequences, not vectors")
        if network in KINDS:
            return RecurrentNetwork(network, shape, protocol.dropout, pool, protocol.embedding_std)
        numerical = shape.numerical > 0
        text = "k1" + _TRANSFORMER if numerical else _TRANSFORMER.removeprefix(".")
        return build(
            SeqNASSpace(numerical).parse(text), shape, dropout=protocol.dropout, embedding_std=protocol.embedding_std
        )

    return train_network(make, f"{network} seed {seed}", protocol, inputs)


def _suggest(trial: Any, protocol: Protocol, network: str) -> tuple[Protocol, str]:
    found = replace(
        protocol,
        batch_size=trial.suggest_categorical("batch_size", [32, 64, 128, 256]),
        optimiser=trial.suggest_categorical("optimiser", ["adamw", "adam", "sgd"]),
        learning_rate=trial.suggest_float("learning_rate", *_RATES[network], log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True),
        embedding=trial.suggest_categorical("embedding", [4, 8, 16, 32]),
        hidden=trial.suggest_categorical("hidden", [16, 32, 64, 128]),
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
    )
    return found, trial.suggest_categorical("pool", POOLS) if network in KINDS else "mean"
