"""Baselines: GRU, LSTM and a fixed Transformer, with hyper-parameters found by Optuna (paper 000, appendix A).

They are trained as a recipe's architectures are (same sequences, epochs, loss, schedule), and are the lines in the plots that
say whether searching for an architecture was worth it. As in the appendix: one recurrent layer, or two layers of attention with
eight heads in encoder and decoder; the fixed stem (kernel 3, no dropout) and head (dropout .3 of whole time steps, the maximum
over time); 30 settings of the seven hyper-parameters; and what is reported are mean and standard deviation of the three best of
them by validation score (table 2), one training each.

Where the paper is silent or its data differs: the ranges of the settings are ours, the sampler is Optuna's TPE with a fixed
seed; the Transformer has the time encoding, without which attention knows no order; the learning rate's schedule and the
class weights are the recipe's. Where the recipe scores trainings at their end, so are these. The paper's fourth fixed network,
Gated Transformer Networks, and the two other searches (AutoAttend, TextNAS) are not here. Files that were written before say
`seeds`: the one best setting with three further seeds, kernel 1, no head dropout, and the last or the mean state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import nn

from nasbench_evs.datasets import Dataset
from nasbench_evs.errors import InvalidQuery, TrainingError, did_you_mean
from nasbench_evs.models.networks import by_label
from nasbench_evs.models.recurrent import HEAD_DROPOUT, KERNEL, KINDS, POOL, RecurrentNetwork
from nasbench_evs.models.seqnas import SeqNASNetwork
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
_TRANSFORMER = f"t.a8/a8.8x8/8x8.d-{POOL}"  # in the grammar of the seqnas space


def tune(
    recipe: Recipe,
    dataset: Dataset,
    network: str,
    *,
    trials: int = 30,
    best: int = 3,
    device: str = "cpu",
    report: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """The `best` of `trials` settings by validation score, each trained once.

    Searched, as in the paper: batch size, optimizer, learning rate, weight decay, embedding width, width of the state
    or of the feed-forward layer, dropout. Returns mean and standard deviation over the best settings of the validation and
    test score, where the protocol reads it, their curves and protocols, the best first, and with score_at "end" the means of
    the scores without each block. Validation scores of the best of many are optimistic; the test scores were not looked at.
    """
    import optuna

    if network not in NETWORKS:
        raise InvalidQuery(
            f"unknown network {network!r}: expected one of {', '.join(NETWORKS)}{did_you_mean(network, NETWORKS)}"
        )
    if not 2 <= best <= trials:
        raise InvalidQuery(
            f"the best {best} of {trials} settings: expected at least 2, and at most as many as are tried"
        )
    if by_label(recipe.space).inputs != "sequences":
        raise InvalidQuery(
            f"the baselines read event sequences: expected a recipe of a space that does, such as seqnas, not {recipe.space}"
        )
    space = recipe.search_space(dataset)
    metric = dataset.schema.metric
    tried: list[_Tried] = []

    def objective(trial: optuna.Trial) -> float:
        protocol = _suggest(trial, recipe.protocol, network)
        inputs = prepare_inputs(space, dataset, recipe.subset, protocol, device, train=recipe.train)
        found = _tried(protocol, train_baseline(network, trial.number, protocol, inputs), metric.sign)
        tried.append(found)
        report(len(tried), trials)
        return found.valid

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if metric.sign > 0 else "minimize", sampler=optuna.samplers.TPESampler(seed=0)
    )
    study.optimize(objective, n_trials=trials)
    trained = [each for each in tried if not np.isnan(each.valid)]
    if len(trained) < best:
        raise TrainingError(
            f"{network} on {recipe.dataset}: {trials - len(trained)} of {trials} trials diverged, expected {best} that do not"
        )
    chosen = sorted(trained, key=lambda each: -metric.sign * each.valid)[:best]
    scores = np.array([(each.valid, each.test) for each in chosen])
    finals = [each.result.final for each in chosen if each.result.final is not None]
    return {
        "network": network,
        "dataset": recipe.dataset,
        "subset": recipe.subset,
        "train": recipe.train,
        "metric": metric.name,
        "trials": trials,
        "best": best,
        **{
            f"{split}_{name}": float(value)
            for i, split in enumerate(("valid", "test"))
            for name, value in (
                ("mean", scores[:, i].mean()),
                ("std", scores[:, i].std(ddof=1)),
            )
        },
        **{name: np.mean([final[name] for final in finals], axis=0).tolist() for name in _BLOCKS if finals},
        "valid_curves": [each.result.curves["valid_score"] for each in chosen],
        "protocols": [asdict(each.protocol) for each in chosen],
        "machine": Machine.here(device).to_dict(),
    }


class _Tried(NamedTuple):
    """A setting, what came of its training, and its scores where the protocol reads them (NaN if it diverged)."""

    protocol: Protocol
    result: Training
    valid: float
    test: float


def _tried(protocol: Protocol, result: Training, sign: int) -> _Tried:
    curve = np.array(result.curves["valid_score"]) * sign
    if result.status != "ok" or np.isnan(curve).all():
        return _Tried(protocol, result, math.nan, math.nan)
    if result.final is not None:
        return _Tried(protocol, result, result.final["valid_score"], result.final["test_score"])
    best = int(np.nanargmax(curve))
    return _Tried(protocol, result, result.curves["valid_score"][best], result.curves["test_score"][best])


def train_baseline(network: str, seed: int, protocol: Protocol, inputs: Inputs) -> Training:
    """Train one of NETWORKS; `inputs` are sequences."""
    return train_network(lambda: _network(network, protocol, inputs), f"{network} seed {seed}", protocol, inputs)


def _network(name: str, protocol: Protocol, inputs: Inputs) -> nn.Module:
    shape = inputs.shape
    if not isinstance(shape, SequenceShape):
        raise InvalidQuery("the baselines read event sequences, not vectors")
    if name in KINDS:
        return RecurrentNetwork(name, shape, protocol.dropout, protocol.embedding_std)
    numerical = shape.numerical > 0
    architecture = SeqNASSpace(numerical).parse(f"k{KERNEL}.{_TRANSFORMER}" if numerical else _TRANSFORMER)
    made = SeqNASNetwork(architecture, shape, protocol.dropout, protocol.embedding_std)
    made.head.rate = HEAD_DROPOUT  # which the space has at .2
    return made


def _suggest(trial: optuna.Trial, protocol: Protocol, network: str) -> Protocol:
    return replace(
        protocol,
        batch_size=trial.suggest_categorical("batch_size", [32, 64, 128, 256]),
        optimiser=trial.suggest_categorical("optimiser", ["adamw", "adam", "sgd"]),
        learning_rate=trial.suggest_float("learning_rate", *_RATES[network], log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True),
        embedding=trial.suggest_categorical("embedding", [4, 8, 16, 32]),
        hidden=trial.suggest_categorical("hidden", [16, 32, 64, 128]),
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
    )
