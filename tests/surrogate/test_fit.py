"""Out-of-fold predictions: that they did not see what they predict, and how a surrogate ships them."""

import numpy as np
import pytest

from nasbench_evs.cli import cli
from nasbench_evs.errors import NotRecorded, SurrogateError
from nasbench_evs.locations import surrogate_of
from nasbench_evs.spaces import FFNSpace
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.surrogate.fit import add_out_of_fold, fit
from nasbench_evs.tables import Table, write
from tests.conftest import make_header, make_table

HEADER = make_header(FFNSpace(2, range(1, 11)))
OTHERS = 30  # architectures with two seeds; then as many with one, of which the last failed


def made(first=None, distilled=0) -> Table:
    """60 architectures of 100; `first` is added to the scores of the first of them."""
    ranks = np.concatenate([np.repeat(np.arange(OTHERS), 2), np.arange(OTHERS, 2 * OTHERS)])
    seeds = np.concatenate([np.tile([0, 1], OTHERS), np.zeros(OTHERS, int)])
    scores = 0.5 + ranks[:, None] / 200 + np.random.default_rng(0).normal(0, 0.01, (len(ranks), 1))
    if first is not None:
        scores[ranks == 0] += first
    status = np.where(ranks == 2 * OTHERS - 1, "failed", "ok")
    return make_table(ranks, seeds, scores=scores, header=HEADER, epochs=1, status=status, distilled=distilled)


@pytest.fixture(scope="module")
def table():
    return made()


@pytest.fixture(scope="module")
def fitted(table):
    return Surrogate.fit(table, folds=2)


@pytest.fixture(scope="module")
def bare(table):
    """As those that were fitted before there were out-of-fold predictions."""
    return Surrogate(*fit(table, seed=0, folds=2, progress=None)[:3])


def recorded(table):
    return np.unique(table["choices"], axis=0)


def test_no_model_saw_what_it_predicts(table, fitted):
    changed = made(first=0.2)
    again = Surrogate.fit(changed, folds=2)
    first, everything = table["choices"][:1], recorded(table)
    for split in ("valid", "test"):
        assert again.out_of_fold(first, split) == fitted.out_of_fold(first, split)
        # The same for those held out with it; what the rest is predicted from has changed.
        same = again.out_of_fold(everything, split) == fitted.out_of_fold(everything, split)
        assert OTHERS - 1 <= same.sum() < 2 * OTHERS - 1
    assert again.predict(first).mean > fitted.predict(first).mean


def test_they_predict_well(table, fitted):
    everything = recorded(table)
    held, rank = fitted.out_of_fold(everything), fitted.space.rank_many(everything).astype(float)
    assert held.shape == (2 * OTHERS,)
    assert np.corrcoef(held, rank)[0, 1] > 0.7
    assert fitted.out_of_fold(everything[::-1]).tolist() == held[::-1].tolist()
    assert fitted.out_of_fold(everything[:0]).shape == (0,)


def test_who_failed_was_not_fitted_to(table, fitted):
    failed = table["choices"][-1:]
    assert np.float32(fitted.predict(failed).mean) == fitted.out_of_fold(failed)


def test_they_are_saved_and_read_when_asked_for(fitted, table, tmp_path):
    fitted.save(tmp_path / "s")
    loaded, everything = Surrogate.load(tmp_path / "s"), recorded(table)
    file = tmp_path / "s" / "out_of_fold.npy"
    assert file.read_bytes()[:6] == b"\x93NUMPY"
    assert "out_of_fold" not in loaded.card
    assert np.array_equal(loaded.out_of_fold(everything, "test"), fitted.out_of_fold(everything, "test"))
    Surrogate.load(tmp_path / "s").save(tmp_path / "copy")
    assert (tmp_path / "copy" / file.name).read_bytes() == file.read_bytes()
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    damaged = Surrogate.load(tmp_path / "s")
    assert len(damaged.predict(everything).mean) == 2 * OTHERS
    with pytest.raises(SurrogateError, match=r"out_of_fold.npy is damaged or was replaced"):
        damaged.out_of_fold(everything)
    file.unlink()
    with pytest.raises(SurrogateError, match=r"cannot open .*out_of_fold.npy"):
        damaged.out_of_fold(everything)


def test_what_was_in_no_fold(fitted, bare, table):
    with pytest.raises(NotRecorded, match=r"10-10 was in no fold: the table of made"):
        fitted.out_of_fold(np.concatenate([table["choices"][:1], fitted.space.unrank_many([99])]))
    with pytest.raises(NotRecorded, match="predicts no 'train' scores: expected split valid, test"):
        fitted.out_of_fold(table["choices"][:1], "train")
    with pytest.raises(
        NotRecorded, match="ships no out-of-fold predictions: add them with nasbench-evs surrogate out-of-"
    ):
        bare.out_of_fold(table["choices"][:1])


def test_the_command_adds_what_fitting_gives(table, fitted, bare, tmp_path):
    path = tmp_path / "table.h5"
    write(table, path)
    folder = surrogate_of(path)
    bare.save(folder)
    (folder / "card.json").write_text("{}")
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "surrogate.json"}
    for _ in range(2):  # the second time they are there already
        cli.main(["surrogate", "out-of-fold", str(path)], standalone_mode=False)
    assert {name: (folder / name).read_bytes() for name in before} == before
    loaded, everything = Surrogate.load(folder), recorded(table)
    for split in ("valid", "test"):
        assert np.array_equal(loaded.out_of_fold(everything, split), fitted.out_of_fold(everything, split))
    with pytest.raises(SurrogateError, match="was fitted to another table"):
        add_out_of_fold(folder, made(first=0.2))


def test_trainings_with_teachers_alone_have_none(tmp_path):
    taught = made(distilled=1)
    surrogate = Surrogate.fit(taught, folds=2)
    with pytest.raises(NotRecorded, match="ships no out-of-fold predictions"):
        surrogate.out_of_fold(taught["choices"][:1])
    surrogate.save(tmp_path / "s")
    with pytest.raises(SurrogateError, match="with teachers alone"):
        add_out_of_fold(tmp_path / "s", taught)
