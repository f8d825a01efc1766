import json
from itertools import product

import pytest
import torch

from nasbench_evs.cli import cli
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.generators.baselines import NETWORKS, train_baseline, tune
from nasbench_evs.models.recurrent import KINDS, POOLS, RecurrentNetwork
from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.training.inputs import prepare_inputs
from nasbench_evs.training.recipe import Recipe
from tests.generators.test_generate import toml


@pytest.mark.parametrize("network", NETWORKS)
def test_every_baseline_trains_reproducibly(network, recipe, dataset):
    inputs = prepare_inputs(SeqNASSpace(), dataset, 200, recipe.protocol)
    first, second = (train_baseline(network, 3, recipe.protocol, inputs) for _ in range(2))
    assert first.status == "ok"
    assert first.curves["valid_score"] == second.curves["valid_score"]


def test_padding_does_not_reach_the_state_that_counts(dataset, recipe):
    inputs = prepare_inputs(SeqNASSpace(), dataset, 200, recipe.protocol)
    rows = inputs.rows["test"][:6]
    for kind, pool in product(KINDS, POOLS):
        torch.manual_seed(0)
        network = RecurrentNetwork(kind, inputs.shape, 0.0, pool).eval()
        with torch.no_grad():
            together = network(inputs.batch(rows))
            alone = torch.cat([network(inputs.batch(rows[i : i + 1])) for i in range(len(rows))])
        assert torch.allclose(together, alone, atol=1e-6)


def test_tuning_reports_the_final_seeds_and_the_setting(recipe, dataset):
    seen = []
    result = tune(recipe, dataset, "gru", trials=3, seeds=2, report=lambda *at: seen.append(at))
    assert seen[-1] == (5, 5)
    assert 0 < result["test_mean"] < 1
    assert result["valid_std"] >= 0
    assert result["protocol"]["epochs"] == recipe.protocol.epochs
    assert result == tune(recipe, dataset, "gru", trials=3, seeds=2)


def test_what_cannot_be_tuned_is_said(recipe, values, dataset):
    with pytest.raises(InvalidQuery, match="expected one of gru, lstm, transformer"):
        tune(recipe, dataset, "rnn")
    with pytest.raises(InvalidQuery, match="0 trials"):
        tune(recipe, dataset, "gru", trials=0)
    values["space"], values["plan"] = "ffn-2", {"random": 2}
    with pytest.raises(InvalidQuery, match="not ffn-2"):
        tune(Recipe.from_dict(values), dataset, "gru")


def test_a_network_that_does_not_exist_is_said_before_anything_is_tuned(values, home, tmp_path):
    (tmp_path / "recipe.toml").write_text(toml(values))
    command = ["baselines", str(tmp_path / "recipe.toml"), "--network", "gru", "--network", "foo"]
    with pytest.raises(InvalidQuery, match="unknown network foo"):
        cli.main(command, standalone_mode=False)


def test_the_command_writes_what_it_found(values, home, tmp_path, capsys):
    (tmp_path / "recipe.toml").write_text(toml(values))
    out = tmp_path / "baselines.json"
    command = ["baselines", str(tmp_path / "recipe.toml"), "--network", "gru", "--trials", "1", "--seeds", "2"]
    cli.main([*command, "--out", str(out), "--format", "json"], standalone_mode=False)
    (shown,) = json.loads(capsys.readouterr().out)
    (written,) = json.loads(out.read_text())
    assert shown["valid_mean"] == written["valid_mean"]
    assert written["protocol"]["optimiser"] in ("adamw", "adam", "sgd")
