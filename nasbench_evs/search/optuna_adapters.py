"""Optuna's samplers and pruners as searchers (the `optuna` extra)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.errors import InvalidQuery, PredictorError, shown
from nasbench_evs.search.domain import Domain
from nasbench_evs.search.searcher import MultiFidelitySearcher, Searcher, Step
from nasbench_evs.spaces import Architecture, SearchSpace

try:
    import optuna
except ImportError:
    raise PredictorError("this searcher needs Optuna: pip install 'nasbench-evs[optuna]'") from None

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

_PATIENCE = 20  # suggestions of what was asked for before, each as slow as the study is long


def suggest(trial: optuna.Trial, space: SearchSpace) -> Architecture:
    """The architecture of a trial: every active choice is one categorical parameter.

    >>> import nasbench_evs as nb, optuna
    >>> space = nb.spaces.FFNSpace(2)
    >>> str(suggest(optuna.trial.FixedTrial({"layer.0": 8, "layer.1": 512}), space))
    '8-512'
    """
    row = np.full((1, len(space.choices)), -1, np.int8)
    for column, choice in enumerate(space.choices):
        if space.is_active(column, row)[0]:
            option = trial.suggest_categorical(choice.name, list(choice.options))
            row[0, column] = choice.options.index(option)
    return space.architectures(row)[0]


class _Suggestions(Searcher):
    """What searchers share that ask a study. Where another architecture takes the place of a suggestion (see `Domain`), the
    trial of the suggestion fails, and the study gets one for that architecture."""

    def _begin(self, sampler: str | BaseSampler, pruner: BasePruner | None = None) -> None:
        self._study = _study(self.seed, _sampler(sampler, self.seed), pruner)
        self._trials: dict[bytes, optuna.Trial] = {}  # of what is evaluated now
        self._ended: dict[bytes, float] = {}  # the scores of what was
        self._newest: optuna.Trial | None = None

    def _suggestion(self) -> tuple[Architecture, optuna.Trial] | None:
        """An architecture to evaluate, and the suggestion that led to it; None if nothing is left."""
        drawn = self.new(self._suggested, 1, _PATIENCE)
        trial, self._newest = self._newest, None
        if len(drawn) and trial is not None:
            return self.space.architectures(drawn)[0], trial
        if trial is not None:
            _tell(self._study, trial, np.nan)
        return None

    def _suggested(self, n: int) -> np.ndarray:
        """One suggestion; the one before it led to nothing new, and is told what is known of it."""
        if self._newest is not None:
            key = suggest(self._newest, self.space).key
            _tell(self._study, self._newest, self._ended.get(key, np.nan))
        self._newest = self._study.ask()
        return self.space.stack([suggest(self._newest, self.space)])


class OptunaSampler(_Suggestions):
    """Any Optuna sampler as a searcher, by default TPE. `sampler` is a sampler, or the name of a class of `optuna.samplers`.

    A suggestion that was scored before is told again at no cost and another one is taken, so nothing is asked for twice.
    """

    def __init__(
        self, space: SearchSpace | Domain, seed: int = 0, *, sampler: str | BaseSampler = "TPESampler"
    ) -> None:
        super().__init__(space, seed)
        self._begin(sampler)

    def _propose(self, n: int) -> np.ndarray:
        found: list[Architecture] = []
        while len(found) < n and (suggestion := self._suggestion()) is not None:
            architecture, self._trials[architecture.key] = suggestion
            found.append(architecture)
        return self.space.stack(found)

    def _learn(self, choices: np.ndarray, scores: np.ndarray) -> None:
        for architecture, score in zip(self.space.architectures(choices), scores.tolist(), strict=True):
            self._ended[architecture.key] = score
            trial = self._trials.pop(architecture.key, None)
            if trial is None:
                continue
            if trial.params == architecture.options:
                _tell(self._study, trial, score)
                continue
            failed = _tell(self._study, trial, np.nan)
            if not np.isnan(score):
                self._study.add_trial(self._finished(architecture, score, failed.system_attrs))

    def _finished(self, architecture: Architecture, score: float, notes: dict[str, Any]) -> optuna.trial.FrozenTrial:
        """A trial of this architecture, with the notes that the sampler made on the suggestion."""
        options = {choice.name: choice.options for choice in self.space.choices}
        kinds: dict[str, optuna.distributions.BaseDistribution] = {
            name: optuna.distributions.CategoricalDistribution(options[name]) for name in architecture.options
        }
        return optuna.trial.create_trial(
            params=dict(architecture.options), distributions=kinds, value=score, system_attrs=notes
        )


class OptunaPruning(_Suggestions, MultiFidelitySearcher):
    """An Optuna sampler with an Optuna pruner, by default TPE with Hyperband: trainings go on epoch by epoch until pruned.

    `sampler` and `pruner` are Optuna's objects, or names of classes in `optuna.samplers` and `optuna.pruners`.
    """

    def __init__(
        self,
        space: SearchSpace | Domain,
        seed: int = 0,
        *,
        epochs: int,
        sampler: str | BaseSampler = "TPESampler",
        pruner: str | BasePruner = "HyperbandPruner",
    ) -> None:
        super().__init__(space, seed, epochs=epochs)
        if pruner == "HyperbandPruner":
            pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=self.epochs, reduction_factor=3)
        self._begin(sampler, _named(optuna.pruners, "pruner", pruner))
        self._going: list[Step] = []

    def _next(self) -> Step | None:
        if self._going:
            return self._going.pop(0)
        suggestion = self._suggestion()
        if suggestion is None:
            return None
        architecture, trial = suggestion
        if trial.params != architecture.options:
            _tell(self._study, trial, np.nan)
            self._study.enqueue_trial(architecture.options)
            trial = self._study.ask()
            suggest(trial, self.space)
        self._trials[architecture.key] = trial
        return Step(architecture, 1)

    def _reached(self, step: Step, score: float) -> None:
        trial = self._trials.get(step.architecture.key)
        if trial is None:
            return
        if score == -np.inf:
            _tell(self._study, self._trials.pop(step.architecture.key), np.nan)
            return
        trial.report(score, step.epoch)
        if step.epoch == self.epochs:
            self._study.tell(self._trials.pop(step.architecture.key), score)
        elif trial.should_prune():
            self._study.tell(self._trials.pop(step.architecture.key), state=optuna.trial.TrialState.PRUNED)
        else:
            self._going.append(Step(step.architecture, step.epoch + 1))


def _tell(study: optuna.Study, trial: optuna.Trial, score: float) -> optuna.trial.FrozenTrial:
    if np.isnan(score):
        return study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return study.tell(trial, score)


def _study(seed: int, sampler: BaseSampler, pruner: BasePruner | None = None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The Hyperband pruner deals trials to brackets by a hash of the study's name, which is random unless given.
    return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner, study_name=f"seed {seed}")


def _sampler(sampler: str | BaseSampler, seed: int) -> BaseSampler:
    if sampler == "TPESampler":
        return optuna.samplers.TPESampler(seed=seed)
    return _named(optuna.samplers, "sampler", sampler, seed=seed)


def _named(module: Any, kind: str, value: Any, **arguments: Any) -> Any:
    """An object of Optuna, or the one that a class of that name makes."""
    if not isinstance(value, str):
        return value
    if not hasattr(module, value):
        raise InvalidQuery(
            f"{kind} = {shown(value)}: expected a class of {module.__name__}, such as {module.__all__[-1]}"
        )
    try:
        return getattr(module, value)(**arguments)
    except (TypeError, ImportError) as error:
        raise InvalidQuery(f"{kind} {value} cannot be made by its name: {error}; pass the object itself") from None
