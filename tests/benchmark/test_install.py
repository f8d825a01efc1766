"""Tables of one's own, and of other packages, are found by name as the shipped ones are."""

import shutil

import pytest

import nasbench_evs as nb
from nasbench_evs import locations, search
from nasbench_evs.benchmark import AutoBenchmark, SurrogateBenchmark, TableBenchmark, install
from nasbench_evs.errors import InvalidQuery, OutputError, SurrogateError, TableFormatError, UnknownBenchmark
from nasbench_evs.spaces import FFNSpace, SearchSpace
from nasbench_evs.surrogate import Surrogate
from nasbench_evs.tables import write
from tests.conftest import make_header, make_table


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_EVS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def mine(tmp_path, small_table):
    write(small_table, tmp_path / "run" / "table.h5")
    return tmp_path / "run" / "table.h5"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that brings tables, installed as far as its entry point says so."""
    (tmp_path / "site" / "their_tables").mkdir(parents=True)
    (tmp_path / "site" / "their_tables" / "__init__.py").write_text("raise RuntimeError('never imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(locations, "_packages", lambda: {"theirs": "their_tables"})
    return tmp_path / "site" / "their_tables"


def names():
    return {(row.dataset, row.space): row.origin for row in nb.benchmarks().itertuples()}


def test_an_installed_table_is_found_by_name(mine, home, small_table):
    known = install(mine)
    assert known == ("made", "ffn-2", home / "tables" / "made" / "ffn-2.h5", "own")
    assert names()["made", "ffn-2"] == "own"
    assert names()["digits", "ffn-3"] == "shipped"
    for arguments in (("made",), ("made", "ffn"), ("made", "ffn-2")):
        bench = nb.load(*arguments)
        assert isinstance(bench, TableBenchmark)
        assert bench.table.results_sha256 == small_table.results_sha256
    assert search.run("random", nb.load("made"), budget=3, seed=0).best is not None
    assert not list(home.rglob(".*"))


@pytest.mark.slow
def test_its_surrogate_comes_with_it(tmp_path, seqnas_table):
    path = tmp_path / "run.h5"
    write(seqnas_table, path)
    Surrogate.fit(seqnas_table, folds=2).save(locations.surrogate_of(path))
    install(path, "mine")
    assert isinstance(nb.load("mine"), AutoBenchmark)
    assert isinstance(nb.load("mine", source="surrogate"), SurrogateBenchmark)
    # Replaced by a table without one, the old one goes; a surrogate of another table is refused.
    other = tmp_path / "other.h5"
    write(make_table([0, 5], header=seqnas_table.header), other)
    install(other, "mine", force=True)
    assert isinstance(nb.load("mine"), TableBenchmark)
    shutil.copytree(locations.surrogate_of(path), locations.surrogate_of(other))
    with pytest.raises(SurrogateError):
        install(other, "mine", force=True)


def test_several_spaces_and_several_protocols(tmp_path):
    for layers in (2, 3):
        write(make_table([0, 1], header=make_header(FFNSpace(layers, [2, 3]))), tmp_path / f"{layers}.h5")
        install(tmp_path / f"{layers}.h5")
    with pytest.raises(UnknownBenchmark, match="several spaces: name one of ffn-2, ffn-3"):
        nb.load("made")
    write(make_table([0, 1], header=make_header(FFNSpace(2, [2, 3]), protocol={"epochs": 9})), tmp_path / "long.h5")
    with pytest.raises(OutputError, match="exists already: choose another --name"):
        install(tmp_path / "long.h5")
    install(tmp_path / "long.h5", "made-long")
    assert nb.load("made-long").table.header.protocol["epochs"] == 9
    assert nb.load("made", "ffn-2").table.header.protocol["epochs"] == 3


@pytest.mark.parametrize("name", ["../made", "a/b", "", ".hidden", "landscape:nk-1", "a.h5"])
def test_a_name_is_one(mine, home, name):
    with pytest.raises(InvalidQuery, match="expected letters, digits"):
        install(mine, name)
    assert not home.exists()


def test_the_name_of_a_shipped_table_is_refused(tmp_path, home):
    write(make_table([0, 1], header=make_header(FFNSpace(3))), tmp_path / "a.h5")
    with pytest.raises(InvalidQuery, match="digits ffn-3 is the name of a table that is shipped .*another"):
        install(tmp_path / "a.h5", "digits")
    assert not home.exists()
    write(make_table([0, 1]), tmp_path / "b.h5")  # another space of that dataset is none of ours
    install(tmp_path / "b.h5", "digits")
    assert nb.load("digits", "ffn-3").table.header.dataset == "digits"
    assert nb.load("digits", "ffn-2").table.header.dataset == "made"


def test_two_tables_of_one_name_are_an_error_that_says_which(tmp_path, home):
    """As when a later release ships what a user has named so."""
    (home / "tables" / "digits").mkdir(parents=True)
    write(make_table([0, 1], header=make_header(FFNSpace(3))), home / "tables" / "digits" / "ffn-3.h5")
    with pytest.raises(UnknownBenchmark, match=r"digits ffn-3 names 2 tables: .*\(shipped\), .*\(own\); rename"):
        nb.load("digits")
    assert nb.load(home / "tables" / "digits" / "ffn-3.h5").table.header.dataset == "made"
    assert len(nb.benchmarks().query("dataset == 'digits'")) == 2


def test_what_is_no_table_is_not_installed(tmp_path, home, mine):
    with pytest.raises(InvalidQuery, match="is no table: expected the path of a file"):
        install("digits")
    with pytest.raises(UnknownBenchmark, match="no table at"):
        install(tmp_path / "nowhere.h5")
    mine.write_bytes(mine.read_bytes()[:-200])
    with pytest.raises(TableFormatError):
        install(mine)
    assert not home.exists()


def test_a_label_that_is_no_file_name_is_refused(tmp_path, home):
    space = SearchSpace.from_choices({"op": ["a", "b"]}, name="my space/1")
    write(make_table([0, 1], header=make_header(space, protocol={})), tmp_path / "odd.h5")
    with pytest.raises(InvalidQuery, match="space 'my space/1'"):
        install(tmp_path / "odd.h5")
    assert not home.exists()


def test_a_damaged_table_of_ones_own_is_left_out_of_the_list_with_a_warning(mine, home):
    install(mine)
    (home / "tables" / "made" / "ffn-2.h5").write_text("damaged")
    with pytest.warns(UserWarning, match="made ffn-2 is left out"):
        listed = nb.benchmarks()
    assert "made" not in set(listed.dataset)


def test_tables_of_another_package(package, small_table):
    write(small_table, package / "theirs-1" / "ffn-2.h5")
    assert nb.load("theirs-1").table.results_sha256 == small_table.results_sha256
    assert names()["theirs-1", "ffn-2"] == "theirs"
    with pytest.raises(InvalidQuery, match="is the name of a table that is theirs"):
        install(package / "theirs-1" / "ffn-2.h5", "theirs-1")


def test_a_package_whose_folder_is_gone_is_said_and_hides_nothing(monkeypatch):
    monkeypatch.setattr(locations, "_packages", lambda: {"theirs": "their_tables.that.are_gone"})
    assert nb.load("digits").table is not None
    with pytest.raises(
        UnknownBenchmark, match="no benchmark 'theirs-1'.*tables of theirs are to be found in their_tables"
    ):
        nb.load("theirs-1")
    with pytest.warns(UserWarning, match="no package here"):
        assert len(nb.benchmarks())
