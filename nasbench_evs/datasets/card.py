"""A dataset's card: what it is, its rules, licence, citation and statistics, and one figure, made from the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_evs.datasets.dataset import Dataset
from nasbench_evs.datasets.describe import gaps, statistics
from nasbench_evs.datasets.sources import Source
from nasbench_evs.files import replacing, write_text

FIGURE = "figure.png"
_DARK, _LIGHT = "#1b6ca8", "#f4a259"


def write_card(dataset: Dataset, source: Source, folder: Path, baselines: Sequence[Mapping[str, Any]]) -> None:
    """Write README.md and the figure into `folder`.

    `baselines` is what boosting.boosting returned: for counts, or for each form, on sequences as they are and
    shuffled, counts first.
    """
    baseline = baselines[0]
    _draw(dataset, folder / FIGURE)
    schema = dataset.schema
    fields = [("event", field.name, _kind(field)) for field in schema.numerical]
    fields += [("event", field.name, f"categorical, {field.cardinality} codes") for field in schema.categorical]
    fields += [("profile", field.name, _kind(field)) for field in schema.profile_numerical]
    fields += [
        ("profile", field.name, f"categorical, {field.cardinality} codes") for field in schema.profile_categorical
    ]
    lines = [
        f"# {schema.name}",
        "",
        source.what,
        "",
        f"- **Get it**: {source.get}; then `nasbench-evs data add {schema.name} --from DIR`.",
        f"- **Leakage**: {source.leakage}",
        f"- **Licence**: {source.licence}",
        f"- **Cite**: {source.citation}",
        "",
        f"Gradient boosting on counts and aggregates{_of_training(dataset, baseline)} reaches "
        f"{baseline['metric']} **{baseline['test']:.3f}** on the test split ({baseline['valid']:.3f} on validation; accuracy "
        f"{baseline['test_accuracy']:.3f}); what mattered most to it: {', '.join(baseline['most_important'])}. A sequence "
        f"model well below that is badly trained. (`nasbench-evs data baseline {schema.name}`)",
        "",
        *(_forms(baselines) if len(baselines) > 1 else []),
        "| | |",
        "| --- | --- |",
        *(
            f"| {name} | {f'{value:,}' if isinstance(value, int) else value} |"
            for name, value in statistics(dataset).items()
        ),
        "",
        f"![lengths and time gaps]({FIGURE})",
        "",
        "`gap` is the time since the previous event, `left` the time until the observation ends; the codes of a categorical",
        "field include one for padding and one for what the training split does not have.",
        "",
        "| of the | field | kind |",
        "| --- | --- | --- |",
        *(f"| {owner} | {name} | {kind} |" for owner, name, kind in fields),
        "",
        *_recorded(folder),
        f"Made by `nasbench-evs data card {schema.name} --out datasets/{schema.name}`.",
        "",
    ]
    write_text(folder / "README.md", "\n".join(lines), force=True)


def _of_training(dataset: Dataset, baseline: Mapping[str, Any]) -> str:
    whole = len(dataset.rows("train"))
    return f", trained on {baseline['train']:,} of {whole:,} sequences," if baseline["train"] < whole else ""


def _forms(baselines: Sequence[Mapping[str, Any]]) -> list[str]:
    seen = {"counts": "counts and aggregates", "last events": "the last events one by one as well"}
    whole = [row for row in baselines if not row["shuffled"]]
    shuffled = {row["form"]: row["test"] for row in baselines if row["shuffled"]}
    rows = [
        f"| {seen[row['form']]} | {row['valid']:.3f} | {row['test']:.3f} | {shuffled[row['form']]:.3f} |"
        for row in whole
    ]
    return [
        "Shuffled: the events of each sequence are dealt to its times at random. What a score loses by that, it had from order.",
        "",
        "| boosting sees | validation | test | test, shuffled |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
    ]


def _recorded(folder: Path) -> list[str]:
    """Links to the cards of the tables that lie beside the card."""
    names = sorted(path.stem for path in folder.glob("*.h5") if path.with_suffix(".md").exists())
    return [f"Recorded trainings: {', '.join(f'[{name}]({name}.md)' for name in names)}.", ""] if names else []


def _kind(field: object) -> str:
    marks = [("log", "logarithm"), ("forward_fill", "filled forward"), ("indicator", "with an indicator 'measured'")]
    return ", ".join(["real-valued", *(text for name, text in marks if getattr(field, name))])


def _draw(dataset: Dataset, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    schema, lengths = dataset.schema, np.asarray(dataset.full_lengths)
    shown = np.minimum(lengths, np.quantile(lengths, 0.99))
    step = int(np.ceil(shown.max() / 60))  # whole numbers of events, so that no bin holds one value more than the next
    left.hist(shown, bins=np.arange(0.5, shown.max() + step + 0.5, step), color=_DARK)
    if lengths.max() > schema.max_length:
        left.axvline(schema.max_length, color=_LIGHT, linestyle="--", label=f"cut at {schema.max_length}")
        left.legend(frameon=False)
    left.set(xlabel="events per sequence\n(the longest 1 % at the right edge)", ylabel="sequences")
    between = gaps(dataset)
    positive = between[between > 0]
    if len(positive):
        low = positive.min()
        right.hist(positive, bins=np.geomspace(low, max(positive.max(), low * 1.01), 60), color=_DARK)
        right.set_xscale("log")
    share = float((between == 0).mean()) if len(between) else 0.0
    right.set(xlabel=f"{schema.time_unit} between events\n({share:.0%} are simultaneous, not shown)", ylabel="gaps")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    with replacing(path, force=True) as scratch:
        figure.savefig(scratch, dpi=110, format="png", metadata={"Software": None})
