"""Searchers of one's own in a suite whose other searches have been run: these are taken from its results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nasbench_evs import locations
from nasbench_evs.analysis.config import Experiment, SearcherConfig, check_labels, check_searcher
from nasbench_evs.analysis.runs import RESULTS, Run, read_results, select_runs, tasks
from nasbench_evs.errors import InvalidQuery, OutputError, did_you_mean
from nasbench_evs.files import write_text
from nasbench_evs.reader import Source

FILE = "experiment.toml"


def experiment_file(named: Path) -> Path:
    """The file at a path, or a shipped one by its name ("suite-1"); InvalidQuery if there is neither."""
    if named.is_file() or named.suffix or len(named.parts) > 1:
        return named
    suites = locations.shipped_suites()
    if named.name not in suites:
        raise InvalidQuery(
            f"no experiment {named.name!r}: expected the path of a TOML file, or one of {', '.join(suites)}"
            f"{did_you_mean(named.name, suites)}"
        )
    return suites[named.name]


def write_file(path: Path, names: Sequence[str], folder: Path) -> None:
    """The experiment file at `path` with these searchers, into a folder of results that is not the one beside it.

    What reads the results (`nasbench-evs explore --results`) needs it there.
    """
    own = "".join(f"\n[[searcher]]\nname = {json.dumps(name)}\n" for name in names)
    text = Source(path, InvalidQuery, "an experiment in TOML").text()
    write_text(folder / FILE, text + own, force=True)


def with_entrants(experiment: Experiment, names: Sequence[str]) -> Experiment:
    """The experiment with these searchers as well; InvalidQuery for what is no searcher, or takes part already."""
    trained = [each.label for each in experiment.benchmarks if each.trains]
    if trained:
        raise InvalidQuery(
            f"{trained[0]} is searched by training: name your searcher in the file, under [[searcher]], instead"
        )
    own = [SearcherConfig(name, name, {}) for name in names]
    for each in own:
        check_searcher(each, experiment.benchmarks)
    check_labels([each.label for each in (*experiment.searchers, *own)], "searchers")
    return replace(experiment, searchers=[*experiment.searchers, *own])


def baselines(experiment: Experiment, folder: Path) -> list[Run]:
    """All searches of the experiment, from RESULTS in `folder`; OutputError if it lacks some."""
    if not (folder / RESULTS).exists():
        raise OutputError(
            f"{folder} has no {RESULTS}, which the other searchers are taken from: run the experiment first"
        )
    found = select_runs(experiment, read_results(folder / RESULTS))
    wanted = tasks(experiment)
    lacking = [task for key, task in wanted.items() if key not in found]
    if lacking:
        first = lacking[0]
        raise OutputError(
            f"{folder / RESULTS} lacks {len(lacking):,} of {len(wanted):,} searches ({first.searcher.label} on "
            f"{first.benchmark.label}, seed {first.seed}): go on with the experiment first, without --searcher"
        )
    return list(found.values())
