"""The surrogate card: its figures on tables whose truth is known, its files, its commands."""

import json

import numpy as np
import pytest

from nasbench_evs import load
from nasbench_evs.cli import cli
from nasbench_evs.errors import InvalidQuery, SurrogateError
from nasbench_evs.spaces import SeqNASSpace
from nasbench_evs.surrogate import Extrapolator, Surrogate
from nasbench_evs.surrogate.card import architectures_needed, page, reached, read_card, write_card
from nasbench_evs.surrogate.evaluate import Records, ceiling, evaluate, interval
from nasbench_evs.tables import build, write
from tests.conftest import make_header

NOISE = 0.006


@pytest.fixture(scope="module")
def evaluated_table():
    """150 random architectures, 40 of them with three seeds, 30 that a searcher chose; scores rise over four epochs."""
    space = SeqNASSpace()
    generator = np.random.default_rng(0)
    choices = np.unique(space.sample_many(400, seed=1), axis=0)
    choices = choices[generator.permutation(len(choices))]
    truth = 0.7 + 0.02 * (choices[:, 3] > 0) + 0.01 * choices[:, -1] - 0.003 * choices[:, 0]
    best = np.argsort(-truth[150:])[:30] + 150
    rows = np.concatenate([np.arange(150), np.repeat(np.arange(40), 2), best])
    sampler = np.repeat([b"random", b"bananas"], [230, 30])
    seed = np.concatenate([np.zeros(150), np.tile([1, 2], 40), np.zeros(30)]).astype(int)
    final = truth[rows] + generator.normal(0, NOISE, len(rows))
    curves = final[:, None] - np.array([0.1, 0.04, 0.01, 0]) + generator.normal(0, 0.001, (len(rows), 4))
    return build(
        make_header(space, protocol={"epochs": 4}),
        choices=choices[rows],
        seed=seed,
        sampler=sampler,
        distilled=0,
        epochs_run=4,
        valid_curve=curves,
        test_curve=np.full(curves.shape, np.nan),
        train_loss=1 - curves,
        valid_loss_curve=1 - curves,
        train_seconds=np.ones(curves.shape) * (1 + choices[rows][:, 3:4]),
    )


@pytest.fixture(scope="module")
def card(evaluated_table):
    return evaluate(evaluated_table, repeats=1, folds=3)


@pytest.mark.slow
def test_the_figures_of_a_table_whose_truth_is_known(card):
    assert list(card) == ["valid"]
    figures = card["valid"]
    assert figures["records"] == 260
    assert figures["architectures"] == 180
    assert 0.3 < figures["kendall_tau"]["mean"] < 0.9
    assert figures["kendall_tau"]["plus_minus"] > 0
    assert figures["sparse_tau"]["mean"] == pytest.approx(figures["kendall_tau"]["mean"], abs=0.1)
    assert 0 <= figures["top10_regret"]["mean"] < 0.02
    covered = figures["calibration"]["noise_and_knowledge"]["coverage"]
    assert 0.7 < covered["80%"] < 0.9
    assert covered["50%"] < covered["80%"] < covered["95%"]
    assert figures["calibration"]["noise_is"] == "measured"
    assert figures["calibration"]["noise"]["mean_std"] == pytest.approx(NOISE, rel=0.35)
    sizes = [each["architectures"] for each in figures["sizes"]]
    assert sizes == [25, 50, 100]  # of the 150 that no searcher chose
    assert figures["sizes"][-1]["kendall_tau"]["mean"] > figures["sizes"][0]["kendall_tau"]["mean"]


@pytest.mark.slow
def test_the_ceiling_is_what_the_true_means_reach(card, evaluated_table):
    """Simulated: tau between true means and single trainings of very many such architectures."""
    from scipy.stats import kendalltau

    found = card["valid"]["ceiling"]
    assert found["architectures"] == 40
    assert not found["chosen"]
    generator = np.random.default_rng(3)
    choices = SeqNASSpace().sample_many(3000, seed=9)
    truth = 0.7 + 0.02 * (choices[:, 3] > 0) + 0.01 * choices[:, -1] - 0.003 * choices[:, 0]
    one, other = truth + generator.normal(0, NOISE, (2, 3000))
    assert found["two_trainings"]["low"] < kendalltau(one, other).statistic < found["two_trainings"]["high"]
    assert found["perfect"]["low"] < kendalltau(truth, one).statistic < found["perfect"]["high"]
    assert 0.5 < reached(card["valid"]) < 1.2


def test_a_ceiling_from_chosen_architectures_says_so(evaluated_table):
    chosen = ceiling_of(evaluated_table, sampler=b"seqnas")
    assert chosen["chosen"]
    assert chosen["perfect"] is None
    assert chosen["two_trainings"]["value"] > 0
    assert ceiling_of(evaluated_table.select(np.flatnonzero(evaluated_table["seed"] == 0))) is None


def ceiling_of(table, sampler=None):
    records = Records(table, "valid")
    if sampler is not None:
        records.samplers = np.full(len(records), sampler)
    return ceiling(records)


@pytest.mark.slow
def test_a_searcher_left_out(card, evaluated_table):
    found = card["valid"]["searchers"]
    assert list(found) == ["bananas"]
    assert found["bananas"]["records"] == 30
    assert found["bananas"]["trained_on"] == 230
    assert 0 <= found["bananas"]["coverage_80"] <= 1


@pytest.mark.slow
def test_extrapolation_beats_architecture_alone(card):
    figures = card["valid"]
    assert [each["epochs"] for each in figures["curves"]] == [1, 2, 3]
    assert figures["curves"][0]["extrapolated"]["mean"] > figures["kendall_tau"]["mean"] + 0.1


def test_how_many_architectures_would_be_needed():
    def figures(taus, perfect=0.6):
        sizes = [{"architectures": n, "kendall_tau": {"mean": tau}} for n, tau in taus.items()]
        return {"ceiling": {"perfect": {"value": perfect}}, "sizes": sizes}

    # What is missing halves with every fourfold number: .06 is missing at 25 * 4^(log2(.2 / .06)) architectures.
    curve = figures({25: 0.4, 100: 0.5, 400: 0.55})
    assert architectures_needed(curve) == pytest.approx(25 * 4 ** np.log2(0.2 / 0.06), rel=1e-6)
    assert architectures_needed(figures({25: 0.5, 100: 0.45, 400: 0.4})) is None
    assert architectures_needed(figures({25: 0.5, 100: None})) is None
    assert architectures_needed({"ceiling": None, "sizes": []}) is None


def test_intervals_do_not_shrink_with_repeats():
    values = [0.5, 0.6, 0.4, 0.55, 0.45]
    assert interval([values] * 10) == interval([values])
    assert interval([]) == {"mean": None, "plus_minus": None}


def test_the_extrapolator(evaluated_table):
    extrapolator = Extrapolator.fit(evaluated_table, 2)
    choices = evaluated_table["choices"]
    curves = {name: evaluated_table[name][:, :2] for name in ("train_loss", "valid_loss_curve", "valid_curve")}
    prediction = extrapolator.predict(choices, curves)
    error = prediction.mean - evaluated_table["valid_curve"][:, -1]
    assert np.median(np.abs(error)) < 0.003
    assert (prediction.noise_std > 0).all()
    assert len(extrapolator.predict(choices[:0], {name: v[:0] for name, v in curves.items()}).mean) == 0
    with pytest.raises(InvalidQuery, match="valid_loss_curve has the shape"):
        extrapolator.predict(choices, {**curves, "valid_loss_curve": curves["valid_loss_curve"][:, :1]})
    with pytest.raises(InvalidQuery, match="curves without train_loss"):
        extrapolator.predict(choices, {})
    for epochs in (0, 4, True, 1.5):
        with pytest.raises(InvalidQuery, match="expected 1 to 3"):
            Extrapolator.fit(evaluated_table, epochs)
    with pytest.raises(InvalidQuery, match="unknown split"):
        Extrapolator.fit(evaluated_table, 1, split="train")
    with pytest.raises(SurrogateError, match="0 trainings with 1 recorded epochs and test scores"):
        Extrapolator.fit(evaluated_table, 1, split="test")


@pytest.fixture(scope="module")
def fitted_file(evaluated_table, tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluated") / "mine.h5"
    write(evaluated_table, path)
    assert run(["surrogate", "fit", str(path)]) == 0
    return path


def run(arguments):
    try:
        cli.main(arguments, standalone_mode=False)
    except Exception as error:
        return error
    return 0


@pytest.mark.slow
def test_the_evaluate_command(fitted_file, evaluated_table, capsys):
    assert run(["surrogate", "evaluate", str(fitted_file), "--repeats", "1", "--folds", "2"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("| surrogate | split | tau |")
    assert out.splitlines()[2].startswith("| made/mine | valid | 0.")
    folder = next(path for path in fitted_file.parent.iterdir() if path.is_dir())
    written = json.loads((folder / "card.json").read_text())
    assert (folder / "card.md").read_text() == page(written)
    assert "The surrogate reaches" in page(written)
    bench = load(fitted_file)
    assert bench.surrogate.card["evaluated"] == written["splits"]
    write_card(folder, {**read_card(folder), "table_sha256": "0" * 64})
    with pytest.raises(SurrogateError, match=r"card.json is about another table: make it again"):
        _ = bench.surrogate.card
    for text in ("{", "[]", "null", json.dumps({**written, "figure": "another"}), json.dumps({"splits": {}})):
        (folder / "card.json").write_text(text)
        with pytest.raises(SurrogateError, match=r"card.json.*make it again with nasbench-evs surrogate evaluate$"):
            _ = bench.surrogate.card
    again = ["surrogate", "evaluate", str(fitted_file), "--repeats", "1", "--folds", "2"]
    assert run(again) == 0  # whatever was there
    assert json.loads((folder / "card.json").read_text()) == written
    (folder / "card.json").unlink()
    assert "evaluated" not in load(fitted_file).surrogate.card


def test_cards_of_what_is_not_fitted(evaluated_table, fitted_file, tmp_path):
    other = tmp_path / "other.h5"
    write(evaluated_table, other)
    assert "no surrogate is fitted" in str(run(["surrogate", "evaluate", str(other)]))
    assert "--folds 1: expected 2 or more" in str(run(["surrogate", "evaluate", str(fitted_file), "--folds", "1"]))
    write(evaluated_table.select(np.arange(100)), fitted_file, force=True)
    assert "was fitted to another table" in str(run(["surrogate", "evaluate", str(fitted_file)]))


def test_queries_at_an_epoch_from_the_surrogate(evaluated_table):
    from nasbench_evs.benchmark import SurrogateBenchmark

    bench = SurrogateBenchmark(Surrogate.fit(evaluated_table, folds=2))
    architecture = bench.space.sample(seed=77)
    early, late = bench.query(architecture, epoch=1), bench.query(architecture, epoch=4)
    assert early.value < late.value - 0.05
    assert early.epoch == 1
    assert early.seconds == pytest.approx(late.seconds / 4, rel=0.01)
    seeded = bench.query(architecture, epoch=1, seed=3)
    drawn = (bench.query(architecture, seed=3).value - bench.query(architecture).value) / bench.query(
        architecture
    ).noise_std
    assert (seeded.value - early.value) / early.noise_std == pytest.approx(drawn)
