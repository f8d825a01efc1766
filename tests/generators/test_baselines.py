import json

import numpy as np
import pytest
import torch

from nasbench_evs.cli import cli
from nasbench_evs.datasets import boosting
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.generators import baselines
from nasbench_evs.generators.baselines import NETWORKS, _network, train_baseline, tune
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


def test_padding_does_not_reach_the_logits(dataset, recipe):
    inputs = prepare_inputs(SeqNASSpace(), dataset, 200, recipe.protocol)
    rows = inputs.rows["test"][:6]
    for name in NETWORKS:
        torch.manual_seed(0)
        network = _network(name, recipe.protocol, inputs).eval()
        with torch.no_grad():
            together = network(inputs.batch(rows))
            alone = torch.cat([network(inputs.batch(rows[i : i + 1])) for i in range(len(rows))])
        assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_stem_and_head_are_the_appendixs(name, dataset, recipe):
    """Paper 000, appendix A: kernel 3, no dropout in the stem, in the head dropout of .3 and the maximum over time."""
    network = _network(name, recipe.protocol, prepare_inputs(SeqNASSpace(), dataset, 200, recipe.protocol))
    assert network.stem.numerical.convolution.kernel_size == (3,)
    assert network.stem.dropout.rate == 0
    assert (network.head.rate, network.head.pool) == (0.3, "max")


def test_the_transformer_has_two_layers_of_eight_heads_twice(dataset, recipe):
    network = _network("transformer", recipe.protocol, prepare_inputs(SeqNASSpace(), dataset, 200, recipe.protocol))
    assert [[type(op).__name__ for op in layer.ops] for layer in network.encoder] == [["SelfAttention"]] * 2
    assert [layer.ops[0].heads for layer in network.encoder] == [8, 8]
    assert [(layer.self_attention.heads, layer.cross_attention.heads) for layer in network.decoder] == [(8, 8)] * 2


def test_the_best_settings_are_what_is_reported(recipe, dataset, monkeypatch):
    """Those with the best validation scores, whatever their test scores; each was trained once."""
    seen, trained = [], {}

    def train(network, seed, protocol, inputs):
        result = train_baseline(network, seed, protocol, inputs)
        trained[result.curves["valid_score"][0], seed] = result
        return result

    monkeypatch.setattr(baselines, "train_baseline", train)
    result = tune(recipe, dataset, "gru", trials=4, best=2, report=lambda *at: seen.append(at))
    assert seen == [(i, 4) for i in range(1, 5)]
    by_score = sorted(trained.values(), key=lambda each: -max(each.curves["valid_score"]))[:2]
    assert result["valid_mean"] == pytest.approx(np.mean([max(each.curves["valid_score"]) for each in by_score]))
    tests = [each.curves["test_score"][int(np.argmax(each.curves["valid_score"]))] for each in by_score]
    assert result["test_mean"] == pytest.approx(np.mean(tests))
    assert result["test_std"] == pytest.approx(np.std(tests, ddof=1))
    assert result["valid_curves"] == [each.curves["valid_score"] for each in by_score]
    assert [each["epochs"] for each in result["protocols"]] == [recipe.protocol.epochs] * 2
    assert result == tune(recipe, dataset, "gru", trials=4, best=2)


def test_what_cannot_be_tuned_is_said(recipe, values, dataset):
    with pytest.raises(InvalidQuery, match="expected one of gru, lstm, transformer"):
        tune(recipe, dataset, "rnn")
    with pytest.raises(InvalidQuery, match="the best 3 of 2 settings"):
        tune(recipe, dataset, "gru", trials=2)
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
    command = ["baselines", str(tmp_path / "recipe.toml"), "--network", "gru", "--trials", "2", "--best", "2"]
    cli.main([*command, "--out", str(out), "--format", "json"], standalone_mode=False)
    (shown,) = json.loads(capsys.readouterr().out)
    (written,) = json.loads(out.read_text())
    assert shown["valid_mean"] == written["valid_mean"]
    assert written["protocols"][0]["optimiser"] in ("adamw", "adam", "sgd")


def test_a_file_keeps_what_it_has(values, home, tmp_path, monkeypatch):
    """Other baselines stay, those that are named take --force, those of other sequences are refused."""
    few = boosting._THOROUGH._replace(models=1, trees=5)
    monkeypatch.setattr(boosting, "_THOROUGH", few)
    monkeypatch.setattr(baselines, "tune", lambda recipe, dataset, network, **_: {**old, "valid_mean": 0.8})
    (tmp_path / "recipe.toml").write_text(toml(values))
    out = tmp_path / "baselines.json"
    old = {
        "network": "gru", "dataset": values["dataset"], "subset": 200, "train": None, "metric": "roc_auc", "trials": 3,
        "best": 2, "valid_mean": 0.6, "valid_std": 0.1, "test_mean": 0.6, "test_std": 0.1, "valid_curves": [[0.6]],
    }  # fmt: skip
    out.write_text(json.dumps([old]))

    def baseline(*names):
        options = [each for name in names for each in ("--network", name)]
        cli.main(["baselines", str(tmp_path / "recipe.toml"), *options, "--out", str(out)], standalone_mode=False)
        return json.loads(out.read_text())

    first, second, third = baseline("boosting-last-events", "boosting")
    assert first == old
    assert [second["network"], third["network"]] == ["boosting", "boosting-last-events"]
    for each in (second, third):
        assert (each["subset"], each["seeds"], len(each["test_blocks"])) == (200, 3, 10)
        assert 0 <= each["test_std"] < 0.5
    assert second["test_mean"] != third["test_mean"]
    before = out.read_text()
    with pytest.raises(InvalidQuery, match="has gru already: --force replaces that"):
        baseline("gru")
    assert out.read_text() == before
    cli.main(
        ["baselines", str(tmp_path / "recipe.toml"), "--network", "gru", "--out", str(out), "--force"],
        standalone_mode=False,
    )
    assert json.loads(out.read_text()) == [{**old, "valid_mean": 0.8}, second, third]
    out.write_text(json.dumps([{**old, "subset": 100}]))
    with pytest.raises(InvalidQuery, match="has subset = 100, expected 200"):
        baseline("boosting")


def test_minirocket_is_written_beside_them(values, home, tmp_path, capsys):
    pytest.importorskip("aeon", reason="the rocket extra is not installed")
    (tmp_path / "recipe.toml").write_text(toml(values))
    cli.main(
        ["baselines", str(tmp_path / "recipe.toml"), "--network", "minirocket", "--format", "json"],
        standalone_mode=False,
    )
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["network"], shown["subset"]) == ("minirocket", 200)
