"""The files of a surrogate: `.cbm` models with a JSON beside them that says what they belong to; nothing is pickled."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs.files import replacing, save_array
from nasbench_evs.metrics import metric_from_dict
from nasbench_evs.spaces import from_spec
from nasbench_evs.surrogate import uncertainty
from nasbench_evs.surrogate.check import check_models, model_sums, read_checked, read_model, remember
from nasbench_evs.surrogate.ensemble import Ensemble
from nasbench_evs.surrogate.sidecar import OUT_OF_FOLD, SIDECAR, check_plausible, read_sidecar, source, write_sidecar
from nasbench_evs.surrogate.targets import EpochOffsets, Parts, ScoreTarget, SecondsTarget
from nasbench_evs.surrogate.uncertainty import Uncertainty

if TYPE_CHECKING:
    from catboost import CatBoost

SECONDS = "seconds"
SUMS = "sums"

_OUT_OF_FOLD_FILE = "out_of_fold.npy"


def write_parts(folder: Path, parts: Parts, reference: Mapping[str, Any], *, force: bool) -> None:
    """Write models and sidecar as one folder, complete or not at all (OutputError).

    `reference` is what `read_parts` gives back in the sidecar: predictions by which a reader checks the models.
    """
    sidecar = {**parts.sidecar, "targets": {}, "seconds": None, "reference": reference}
    sidecar.pop(OUT_OF_FOLD, None)
    sums = {}

    def written(model: CatBoost, name: str) -> dict[str, Any]:
        sums[name] = model_sums(model)
        # What save_model writes; it does not notice every error of the disk.
        (scratch / name).write_bytes(model._serialize_model())
        return _entry(scratch / name)

    with replacing(folder, force=force, marker=SIDECAR) as scratch:
        scratch.mkdir()
        for name, target in parts.targets.items():
            ensemble, noise, epochs = target
            sidecar["targets"][name] = {
                "mean": ensemble.mean,
                "scale": ensemble.scale,
                "noise_factor": noise.noise_factor,
                "knowledge_factor": noise.epistemic_factor,
                "model": written(ensemble.model, f"{name}.cbm"),
                "noise": written(noise.model, f"{name}.noise.cbm"),
                "epochs": epochs
                and {
                    "scale": epochs.scale,
                    "factors": epochs.factors,
                    "model": written(epochs.model, f"{name}.epochs.cbm"),
                },
            }
        if parts.seconds is not None:
            model, mean, scale, shares = parts.seconds
            entry = written(model, f"{SECONDS}.cbm")
            sidecar["seconds"] = {"mean": mean, "scale": scale, "shares": shares, "model": entry}
        if parts.out_of_fold is not None:
            save_array(scratch / _OUT_OF_FOLD_FILE, parts.out_of_fold)
            sidecar[OUT_OF_FOLD] = _entry(scratch / _OUT_OF_FOLD_FILE)
        write_sidecar({**sidecar, SUMS: sums}, scratch / SIDECAR)
    for entry, _ in _models(sidecar):
        remember(entry["sha256"])


def write_out_of_fold(folder: Path, out_of_fold: np.ndarray) -> None:
    """Write out-of-fold predictions beside the models of a saved surrogate, and say so in its sidecar."""
    sidecar = read_sidecar(folder)
    if SUMS not in sidecar:  # of an older version, whose models passed
        sidecar[SUMS] = {entry["file"]: model_sums(read_model(folder, entry, loss)) for entry, loss in _models(sidecar)}
    with replacing(folder, force=True, marker=SIDECAR) as scratch:  # the two belong together
        shutil.copytree(folder, scratch)
        save_array(scratch / _OUT_OF_FOLD_FILE, out_of_fold)
        sidecar[OUT_OF_FOLD] = _entry(scratch / _OUT_OF_FOLD_FILE)
        write_sidecar(sidecar, scratch / SIDECAR)


def read_out_of_fold(folder: Path, sidecar: Mapping[str, Any]) -> np.ndarray:
    """What was written beside the models, by rank; SurrogateError if it is missing, damaged, or cannot be true."""
    entry = sidecar[OUT_OF_FOLD]
    file = source(folder, entry["file"])
    found = file.array(read_checked(folder, entry))
    expected = np.dtype([("rank", "<u8"), *((name, "<f4") for name in sidecar["targets"])])
    if found.ndim != 1 or not len(found) or found.dtype != expected:
        raise file.refusal(
            f"it holds {found.shape} {found.dtype}, expected ranks and the scores of each split, {expected}"
        )
    ranks, size = found["rank"], from_spec(sidecar["space"]).size
    if not (ranks[1:] > ranks[:-1]).all() or int(ranks[-1]) >= size:
        raise file.refusal(f"its ranks are not ascending ones of a space of {size:,}")
    for name in sidecar["targets"]:
        check_plausible(found[name][~np.isnan(found[name])], metric_from_dict(sidecar), file.path)
    return found


def read_parts(folder: Path) -> Parts:
    """What `write_parts` wrote, but the out-of-fold predictions, which `read_out_of_fold` reads when they are asked for.

    SurrogateError if a file is missing, damaged, or not what the sidecar says.
    """
    sidecar = read_sidecar(folder)
    check_models(folder, _models(sidecar), sidecar.get(SUMS, {}))
    targets = {}
    for name, entry in sidecar["targets"].items():
        epochs = entry["epochs"]
        targets[name] = ScoreTarget(
            Ensemble(read_model(folder, entry["model"], "RMSE"), entry["mean"], entry["scale"]),
            Uncertainty(
                read_model(folder, entry["noise"], uncertainty.LOSS),
                entry["noise_factor"],
                entry["knowledge_factor"],
            ),
            epochs and EpochOffsets(read_model(folder, epochs["model"], "RMSE"), epochs["scale"], epochs["factors"]),
        )
    entry = sidecar["seconds"]
    seconds = entry and SecondsTarget(
        read_model(folder, entry["model"], "RMSE"), entry["mean"], entry["scale"], entry["shares"]
    )
    return Parts(sidecar, targets, seconds)


def _models(sidecar: Mapping[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """The entry of every model, and the loss that it is fitted to."""
    found = []
    for entry in sidecar["targets"].values():
        found += [(entry["model"], "RMSE"), (entry["noise"], uncertainty.LOSS)]
        if entry["epochs"]:
            found.append((entry["epochs"]["model"], "RMSE"))
    if sidecar["seconds"]:
        found.append((sidecar["seconds"]["model"], "RMSE"))
    return found


def _entry(path: Path) -> dict[str, Any]:
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
