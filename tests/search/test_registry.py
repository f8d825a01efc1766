"""Searchers by name, by place, by class; and those that inherit nothing from here."""

import subprocess
import sys
from pathlib import Path

import pytest

import nasbench_evs as nb
from nasbench_evs import search, spaces
from nasbench_evs.errors import InvalidQuery
from nasbench_evs.search import SEARCHERS, Entry, searcher_class
from nasbench_evs.search.random import RandomSearch
from nasbench_evs.search.registry import Foreign, make

COMMAND = Path(sys.executable).parent / "nasbench-evs"
SPACE = spaces.FFNSpace(2)
SOURCE = '''
class Climber:
    """Takes architectures by rank."""

    def __init__(self, space, seed=0, *, step=1):
        self.space, self.step, self.at = space, step, seed

    def ask(self, n):
        self.at += self.step
        return [self.space.unrank(self.at)]

    def tell(self, architectures, scores):
        pass
'''


@pytest.fixture
def climber(tmp_path, monkeypatch):
    """Where somebody's own class is."""
    (tmp_path / "somebodys_climber.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "somebodys_climber:Climber"
    sys.modules.pop("somebodys_climber", None)


def bench():
    return nb.from_function(SPACE, lambda architecture: float(architecture.rank))


def ranks(result):
    return [trial.architecture.rank for trial in result.trials]


def test_every_name_has_a_class_by_its_full_path():
    for name, entry in SEARCHERS.items():
        cls, defaults = searcher_class(name)
        assert entry.path == f"{cls.__module__}:{cls.__qualname__}"
        assert searcher_class(entry.path) == (cls, {})
        assert defaults == entry.defaults


def test_a_class_where_it_is(climber):
    result = search.run(climber, bench(), budget=3, seed=4, step=2)
    assert (result.searcher, ranks(result)) == (climber, [6, 8, 10])
    with pytest.raises(InvalidQuery, match=f"{climber} has no parameter 'stride': expected some of step"):
        search.run(climber, bench(), budget=3, stride=2)


def test_a_class_in_a_file(tmp_path):
    (tmp_path / "random.py").write_text(f"from beside import STEP\n{SOURCE}")  # no module of that name is meant
    (tmp_path / "beside.py").write_text("STEP = 3\n")
    place = f"{tmp_path / 'random.py'}:Climber"
    assert ranks(search.run(place, bench(), budget=3, seed=4)) == [5, 6, 7]
    with pytest.raises(InvalidQuery, match=r"random.py has no class 'Climbr'; did you mean 'Climber'\?$"):
        search.run(place.replace("Climber", "Climbr"), bench(), budget=3)
    sys.modules.pop("beside")
    sys.path.remove(str(tmp_path))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(:", "broken.py cannot be imported: line 1: invalid syntax"),
        ("\nx = 1 / 0", r"broken.py cannot be imported: ZeroDivisionError: division by zero \(broken.py, line 2\)"),
        ("import no_such", r"broken.py cannot be imported: ModuleNotFoundError: No module named 'no_such' \(broken.py"),
    ],
)
def test_a_file_that_cannot_be_imported(tmp_path, source, message, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "broken.py").write_text(source)
    with pytest.raises(InvalidQuery, match=message):
        search.run(f"{tmp_path / 'broken.py'}:Class", bench(), budget=3)


def test_a_name_of_ones_own(climber, monkeypatch):
    monkeypatch.setitem(SEARCHERS, "climber", Entry(climber, {"step": 5}))
    assert ranks(search.run("climber", bench(), budget=3)) == [5, 10, 15]
    assert ranks(search.run("climber", bench(), budget=3, step=1)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("greedy", r"unknown searcher 'greedy': expected one of random, .*\(package.module:Class, path"),
        ("no.such.module:Class", "'no.such.module' cannot be imported: No module named 'no'"),
        (":Class", "'' cannot be imported"),
        ("nasbench_evs.search.random:Randomly", "module nasbench_evs.search.random has no class 'Randomly'"),
        ("nasbench_evs.search.random:RandomSerch", "has no class 'RandomSerch'; did you mean 'RandomSearch'"),
        ("nasbench_evs.search.random:_BLOCK", "has no class '_BLOCK'"),
        ("nowhere.py:Class", r"no file at .*nowhere.py: expected the path of a Python file"),
        ("nasbench_evs.spaces:FFNSpace", "is no searcher: expected a class with ask and tell"),
    ],
)
def test_what_names_no_searcher(name, message):
    with pytest.raises(InvalidQuery, match=message):
        search.run(name, bench(), budget=3)


def test_a_foreign_searcher_recommends_what_it_says_itself(climber):
    domain = search.Domain.on(bench())
    cls, _ = searcher_class(climber)
    silent = make(cls, domain, seed=0, epochs=0, parameters={})
    assert isinstance(silent, Foreign)
    assert (silent.non_adaptive, silent.recommend(3)) == (False, [])

    class Sure(cls):
        def recommend(self, n):
            return [SPACE.unrank(7)]

    assert search.run(Sure, bench(), budget=2).recommended == [SPACE.unrank(7)]
    assert isinstance(make("random", domain, seed=0, epochs=0, parameters={}), RandomSearch)


def test_that_nothing_is_learned_is_promised_anew():
    class Learner(RandomSearch):
        pass

    class Blind(RandomSearch):
        non_adaptive = True

    assert (search.Searcher.non_adaptive, RandomSearch.non_adaptive) == (False, True)
    assert (Learner.non_adaptive, Blind.non_adaptive) == (False, True)


def test_the_command_takes_a_class_of_the_current_folder(tmp_path):
    (tmp_path / "somebodys_climber.py").write_text(SOURCE)
    arguments = ["search", "somebodys_climber:Climber", "digits", "--budget", "3", "--set", "step=2", "--format", "csv"]
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip().splitlines()) == 2
