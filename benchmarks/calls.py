"""Call the public API at random, with right, nearly right and hostile arguments, and say what is no answer and no clear error.

    python benchmarks/calls.py --calls 10000

Every function is called about as often. It must answer, or raise a NasbenchError of one line, not too long, that says what to
do; TypeErrors of calls that the signature does not allow do not occur, as none is made. A call can be made again by its number
(--only). Public is what `__all__` of the package and its parts and docs/api.md name, and what objects of them can do, so that
new functions take part by themselves.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from call_arguments import OTHER, Subject, almost, hostile, right

import nasbench_evs as nb
from nasbench_evs import search
from nasbench_evs.errors import NasbenchError
from nasbench_evs.training.machine import cpu_name

LONGEST = 500  # characters of a message
SECONDS = 20  # that a call may take
ADVICE = re.compile(
    r"expected|\buse\b|choose|give|make|leave|ask for|did you mean|allow more|needs|rename|run |install|fit|say |name one|"
    r"are known|are recorded|can be|is not recorded|have no|has no|holds no|record|search longer|predicts no|upgrade",
    re.IGNORECASE,
)
# What is not called: what trains, downloads, waits or changes what the process knows; what a base class or its reader calls, and
# says so; what takes the path of a table (files are fuzz.py's).
LEFT_OUT = re.compile(
    r"(^|\.)(testing|register\w*|add|prepare|import_release|install|TrainingBenchmark|Protocol|Benchmark)$|"
    r"^nasbench_evs\.models\.|^nasbench_evs\.tables\.Table$|\.datasets\.Dataset$|\.surrogate\.Surrogate$|"
    r"Surrogate\.fit$|Searcher\.new$|Header\.from_attributes$|Architecture$"
)
PACKAGES = ("nasbench_evs", "spaces", "tables", "datasets", "search", "benchmark", "surrogate", "surrogate.predictors")
DOCUMENTED = re.compile(r"\.\. auto(function|class|module):: ([\w.]+)")


class Called(NamedTuple):
    """A function or a method, what it belongs to, and how often it is called next to others."""

    name: str
    function: Callable[..., Any]
    subject: Subject

    @property
    def kind(self) -> str:
        """What it belongs to."""
        return self.name.partition(":")[0] if ":" in self.name else "functions and classes"


class Finding(NamedTuple):
    """What is wrong with a call."""

    call: int
    kind: str
    name: str
    what: str
    arguments: str


def subjects() -> dict[str, Subject]:
    """Spaces and benchmarks of every kind, all small or shipped."""
    digits, both = nb.load("digits", source="table"), nb.load("bpic2012")
    custom = OTHER.space
    choices = custom.unrank_many(range(custom.size))
    frame = pd.DataFrame([{**each.options, "score": each.rank / 9} for each in custom.architectures(choices)])
    view = both.space.restrict({"encoder.depth": [0, 1], "head.pool": ["mean"]})
    benches = {
        "table": digits,
        "surrogate": nb.load("digits", source="surrogate"),
        "auto": both,
        "view": both.view(view),
        "part": nb.load("tafeng-churn", "seqnas-s", source="table"),
        "landscape": nb.load("landscape:nk-1"),
        "frame": nb.from_frame(custom, frame, score="score"),
        "function": nb.from_function(custom, lambda architecture, seed=0: architecture["width"] / 16 + seed),
    }
    return {name: Subject(bench.space, bench, getattr(bench, "table", digits.table)) for name, bench in benches.items()}


def objects(found: dict[str, Subject]) -> Iterator[tuple[str, Any, Subject]]:
    """Everything that has methods, with its subject."""
    for name, subject in found.items():
        yield f"Benchmark:{name}", subject.bench, subject
        yield f"SearchSpace:{name}", subject.space, subject
    for name in ("table", "auto", "frame"):
        subject = found[name]
        yield f"Table:{name}", subject.table, subject
        yield f"Header:{name}", subject.table.header, subject
        yield f"Architecture:{name}", subject.architectures(random.Random(0), 1)[0], subject
        yield f"Domain:{name}", search.Domain.on(subject.bench), subject
        yield f"Result:{name}", search.run("random", subject.bench, budget=5), subject
        yield f"Searcher:{name}", search.searcher_class("evolution")[0](subject.space), subject
    yield "Domain:space", search.Domain(found["auto"].space), found["auto"]
    yield "Searcher:asha", search.searcher_class("asha")[0](found["table"].space, epochs=4), found["table"]
    yield "Surrogate", found["auto"].bench.surrogate, Subject(found["auto"].space, None, found["auto"].table)
    yield "Choice", found["auto"].space.choices[0], found["auto"]
    yield "Metric", found["auto"].bench.metric, found["auto"]


def documented() -> list[tuple[str, str]]:
    """("function", dotted name) of what docs/api.md lists, where it is there to be read."""
    path = Path(__file__).parent.parent / "docs" / "api.md"
    return DOCUMENTED.findall(path.read_text(encoding="utf-8")) if path.is_file() else []


def public() -> dict[str, Any]:
    """Public functions and classes by dotted name, each once."""
    named: dict[str, Any] = {}
    for part in PACKAGES:
        module = importlib.import_module(part if part == "nasbench_evs" else f"nasbench_evs.{part}")
        named |= {f"{module.__name__}.{name}": getattr(module, name) for name in module.__all__}
    for kind, name in documented():
        if kind == "module":
            try:
                module = importlib.import_module(name)
            except NasbenchError:  # of a framework that is not installed here
                continue
            own = {key: each for key, each in vars(module).items() if getattr(each, "__module__", None) == name}
            named |= {f"{name}.{key}": each for key, each in own.items() if not key.startswith("_")}
        else:
            where, _, last = name.rpartition(".")
            named[name] = getattr(importlib.import_module(where), last)
    once: dict[int, tuple[str, Any]] = {}
    for name, each in named.items():
        if callable(each) and not LEFT_OUT.search(name) and not inspect.isabstract(each):
            once.setdefault(id(each), (name, each))
    return dict(once.values())


def callables() -> list[Called]:
    """Everything that is called."""
    found = subjects()
    made = [Called(name, each, found[place]) for name, each in public().items() for place in ("table", "auto", "frame")]
    for name, owner, subject in objects(found):
        for method in (*dir(type(owner)), "__getitem__", "__eq__"):
            if method.startswith("_") and method not in ("__getitem__", "__eq__"):
                continue
            kind = inspect.getattr_static(type(owner), method, None)
            if kind is inspect.getattr_static(tuple, method, None):
                continue
            read = isinstance(kind, property | cached_property)
            function = partial(getattr, owner, method) if read else getattr(owner, method, None)
            if (read or inspect.isroutine(function)) and not LEFT_OUT.search(f"{type(owner).__name__}.{method}"):
                made.append(Called(f"{name}.{method}", function, subject))
    return made


def arguments(called: Called, rng: random.Random) -> tuple[list[Any], dict[str, Any]]:
    """Arguments that the signature allows: all right, one of them wrong, or all."""
    try:
        read = isinstance(called.function, partial)  # of a property
        parameters = [] if read else list(inspect.signature(called.function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    mode = rng.choice(["right", "one", "one", "one", "all"])
    usual = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    given = [each for each in usual if each.default is each.empty or rng.random() < 0.5]
    wrong = rng.choice(given).name if given else None
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in given:
        value = argument(parameter, called.subject, rng, mode == "all" or (mode == "one" and parameter.name == wrong))
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        else:
            named[parameter.name] = value
    if any(each.kind is each.VAR_KEYWORD for each in parameters) and rng.random() < 0.3:
        named[rng.choice(["alpha", "status", "seed", "batch", "epochs_run"])] = hostile(rng)
    return positional, named


def argument(parameter: inspect.Parameter, subject: Subject, rng: random.Random, wrong: bool) -> Any:
    if wrong and rng.random() < 0.6:
        return hostile(rng)
    try:
        made = right(parameter.name, rng.choice([subject, OTHER]) if wrong else subject, rng)
    except KeyError:
        return hostile(rng) if wrong or parameter.default is parameter.empty else parameter.default
    return almost(made, rng) if wrong else made


class Hangs(BaseException):
    """A call took too long."""


def _late(*_: object) -> None:
    raise Hangs


def judge(error: BaseException) -> str | None:
    """What is wrong with an error; None if nothing is."""
    if not isinstance(error, NasbenchError):
        last = traceback.extract_tb(error.__traceback__)[-1]
        ours = [each for each in traceback.extract_tb(error.__traceback__) if "nasbench_evs" in each.filename]
        place = (ours or [last])[-1]
        said = " ".join(str(error).split())[:150]
        return f"{type(error).__name__}: {said} ({Path(place.filename).name}:{place.lineno})"
    message = str(error)
    if len(message.splitlines()) != 1:
        return f"{len(message.splitlines())} lines: {message[:100]!r}"
    if len(message) > LONGEST:
        return f"{len(message)} characters: {message[:150]!r}"
    if "Traceback" in message or re.search(r"\bat 0x[0-9a-f]+", message):
        return f"of no use to a reader: {message!r}"
    if any("\ud800" <= letter <= "\udfff" for letter in message):
        return f"cannot be printed: {message!r}"
    return None if ADVICE.search(message) else f"does not say what to do: {message!r}"


def shown(positional: list[Any], named: dict[str, Any]) -> str:
    texts = []
    for name, value in [*((str(i), each) for i, each in enumerate(positional)), *named.items()]:
        try:
            texts.append(f"{name}={' '.join(repr(value)[:300].split())[:80]}")
        except Exception:
            texts.append(f"{name}=<{type(value).__name__}>")
    return ", ".join(texts)


def make(number: int, everything: list[Called], seed: int) -> tuple[Called, str, Finding | None]:
    """One call by its number: what was called, whether it answered or refused, and what is wrong."""
    rng = random.Random(f"{seed}/{number}")
    called = everything[number % len(everything)] if number < len(everything) else rng.choice(everything)
    positional, named = arguments(called, rng)
    what, wrong = "answer", None
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answer = called.function(*positional, **named)
            if inspect.isgenerator(answer):
                next(answer, None)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever it is, it is what this is for
        what, wrong = "refusal", judge(error)
    finally:
        signal.alarm(0)
    finding = Finding(number, called.kind, called.name, wrong, shown(positional, named)) if wrong else None
    return called, what, finding


def run(
    calls: int, seed: int = 0, first: int = 0, progress: bool = False
) -> tuple[Counter[tuple[str, str]], list[Finding]]:
    """So many calls: how many answered and refused by what was called, and what is wrong. In a folder of its own."""
    counts: Counter[tuple[str, str]] = Counter()
    findings: list[Finding] = []
    everything = callables()
    home = Path.cwd()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="warn"):
        os.chdir(folder)
        try:
            for number in range(first, first + calls):
                called, what, finding = make(number, everything, seed)
                counts[called.kind, what] += 1
                if finding:
                    findings.append(finding)
                    print(
                        f"{finding.call} {finding.name}({finding.arguments}): {finding.what}",
                        file=sys.stderr,
                        flush=True,
                    )
                if progress and number % 250 == 249:
                    left = (time.monotonic() - start) / (number + 1 - first) * (first + calls - number - 1)
                    print(
                        f"{number + 1 - first} of {calls}, {len(findings)} findings, {left:.0f} s left", file=sys.stderr
                    )
        finally:
            os.chdir(home)
    return counts, findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="make the call of this number alone, with its traceback")
    options = parser.parse_args()
    if options.only is not None:
        global judge
        judge = traceback.format_exception  # type: ignore[assignment]
        _, _, finding = make(options.only, callables(), options.seed)
        print(finding.name, finding.arguments, *finding.what, sep="\n") if finding else print("it answers")
        return
    counts, findings = run(options.calls, options.seed, progress=True)
    print(f"{cpu_name()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, numpy {np.__version__}\n")
    print("| of | to call | calls | answers | refusals | findings |\n| --- | --- | --- | --- | --- | --- |")
    offered = Counter(each.kind for each in callables())
    wrong = Counter(each.kind for each in findings)
    for kind, number in sorted(offered.items()):
        answers, refusals = counts[kind, "answer"], counts[kind, "refusal"]
        print(f"| {kind} | {number} | {answers + refusals:,} | {answers:,} | {refusals:,} | {wrong[kind]} |")
    answers = sum(number for (_, what), number in counts.items() if what == "answer")
    print(
        f"| all | {offered.total()} | {options.calls:,} | {answers:,} | {options.calls - answers:,} | {len(findings)} |"
    )
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
