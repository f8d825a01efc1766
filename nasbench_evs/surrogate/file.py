"""The files of a surrogate: `.cbm` models with a JSON beside them that says what they belong to; nothing is pickled."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_evs import spaces
from nasbench_evs.errors import NasbenchError, SurrogateError, one_line
from nasbench_evs.files import replacing, save_array
from nasbench_evs.surrogate import uncertainty
from nasbench_evs.surrogate.ensemble import Ensemble, loss_of
from nasbench_evs.surrogate.features import LAYOUT
from nasbench_evs.surrogate.targets import EpochOffsets, Parts, ScoreTarget, SecondsTarget
from nasbench_evs.surrogate.uncertainty import Uncertainty
from nasbench_evs.tables.format import to_json

if TYPE_CHECKING:
    from catboost import CatBoost

FORMAT_NAME = "nasbench-evs surrogate"
FORMAT_VERSION = 2
SIDECAR = "surrogate.json"
CARD = "card.json"
SECONDS = "seconds"
OUT_OF_FOLD = "out_of_fold"

_OUT_OF_FOLD_FILE = "out_of_fold.npy"


def write_parts(folder: Path, parts: Parts, reference: Mapping[str, Any], *, force: bool) -> None:
    """Write models and sidecar as one folder, complete or not at all (OutputError).

    `reference` is what `read_parts` gives back in the sidecar: predictions by which a reader checks the models.
    """
    sidecar = {**parts.sidecar, "targets": {}, "seconds": None, "reference": reference}
    sidecar.pop(OUT_OF_FOLD, None)
    with replacing(folder, force=force, marker=SIDECAR) as scratch:
        scratch.mkdir()
        for name, target in parts.targets.items():
            ensemble, noise, epochs = target
            sidecar["targets"][name] = {
                "mean": ensemble.mean,
                "scale": ensemble.scale,
                "noise_factor": noise.noise_factor,
                "knowledge_factor": noise.epistemic_factor,
                "model": _write(ensemble.model, scratch / f"{name}.cbm"),
                "noise": _write(noise.model, scratch / f"{name}.noise.cbm"),
                "epochs": epochs
                and {
                    "scale": epochs.scale,
                    "factors": epochs.factors,
                    "model": _write(epochs.model, scratch / f"{name}.epochs.cbm"),
                },
            }
        if parts.seconds is not None:
            model, mean, scale, shares = parts.seconds
            written = _write(model, scratch / f"{SECONDS}.cbm")
            sidecar["seconds"] = {"mean": mean, "scale": scale, "shares": shares, "model": written}
        if parts.out_of_fold is not None:
            save_array(scratch / _OUT_OF_FOLD_FILE, parts.out_of_fold)
            sidecar[OUT_OF_FOLD] = _entry(scratch / _OUT_OF_FOLD_FILE)
        _write_sidecar(sidecar, scratch / SIDECAR)


def write_out_of_fold(folder: Path, out_of_fold: np.ndarray) -> None:
    """Write out-of-fold predictions beside the models of a saved surrogate, and say so in its sidecar."""
    sidecar = _read_sidecar(folder)
    with replacing(folder, force=True, marker=SIDECAR) as scratch:  # the two belong together
        shutil.copytree(folder, scratch)
        save_array(scratch / _OUT_OF_FOLD_FILE, out_of_fold)
        sidecar[OUT_OF_FOLD] = _entry(scratch / _OUT_OF_FOLD_FILE)
        _write_sidecar(sidecar, scratch / SIDECAR)


def read_out_of_fold(folder: Path, entry: Mapping[str, str]) -> np.ndarray:
    """What was written as `entry` of the sidecar; SurrogateError if it is missing or damaged."""
    content = _read_checked(folder, entry)
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise SurrogateError(f"{folder / entry['file']} is no array: {one_line(error)}") from None
    if "rank" not in (found.dtype.names or ()):
        raise SurrogateError(
            f"{folder / entry['file']} holds {found.dtype}: expected ranks and the scores of each split"
        )
    return found


def read_parts(folder: Path) -> Parts:
    """What `write_parts` wrote, but the out-of-fold predictions, which `read_out_of_fold` reads when they are asked for.

    SurrogateError if a file is missing, damaged, or not what the sidecar says.
    """
    sidecar = _read_sidecar(folder)
    targets = {}
    for name, entry in sidecar["targets"].items():
        epochs = entry["epochs"]
        targets[name] = ScoreTarget(
            Ensemble(_read_model(folder, entry["model"], "RMSE"), entry["mean"], entry["scale"]),
            Uncertainty(
                _read_model(folder, entry["noise"], uncertainty.LOSS),
                entry["noise_factor"],
                entry["knowledge_factor"],
            ),
            epochs and EpochOffsets(_read_model(folder, epochs["model"], "RMSE"), epochs["scale"], epochs["factors"]),
        )
    entry = sidecar["seconds"]
    seconds = entry and SecondsTarget(
        _read_model(folder, entry["model"], "RMSE"), entry["mean"], entry["scale"], entry["shares"]
    )
    return Parts(sidecar, targets, seconds)


def _read_sidecar(folder: Path) -> dict[str, Any]:
    path = folder / SIDECAR
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        if sidecar["format"] != FORMAT_NAME:
            raise SurrogateError(f"{path} is no sidecar of a surrogate")
        if sidecar["version"] != FORMAT_VERSION:
            raise SurrogateError(
                f"{path} has format version {sidecar['version']}, this nasbench-evs reads {FORMAT_VERSION}: "
                "upgrade with pip install --upgrade nasbench-evs"
            )
        written = sidecar.pop("sha256")
        if hashlib.sha256(to_json(sidecar).encode()).hexdigest() != written:
            raise SurrogateError(f"{path} is damaged or was edited: fit the surrogate again")
        if sidecar["features"] != LAYOUT:
            raise SurrogateError(f"{path} has the features {sidecar['features']!r}: expected {LAYOUT!r}")
        spaces.from_spec(sidecar["space"])
    except OSError as error:
        raise SurrogateError(f"cannot open {path}: {error.strerror}; fit the surrogate again") from None
    except SurrogateError:
        raise
    except NasbenchError as error:
        raise SurrogateError(f"{path}: {error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise SurrogateError(f"{path} is damaged ({type(error).__name__}): fit the surrogate again") from None
    return sidecar


def _write_sidecar(sidecar: dict[str, Any], path: Path) -> None:
    sidecar["sha256"] = hashlib.sha256(to_json(sidecar).encode()).hexdigest()
    path.write_text(json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write(model: CatBoost, path: Path) -> dict[str, str]:
    path.write_bytes(
        model._serialize_model()
    )  # save_model, which writes the same, does not notice every error of the disk
    return _entry(path)


def _entry(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _read_checked(folder: Path, entry: Mapping[str, str]) -> bytes:
    file = folder / entry["file"]
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SurrogateError(f"cannot open {file}: {error.strerror}; fit the surrogate again") from None
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise SurrogateError(f"{file} is damaged or was replaced: it does not match the hash in {SIDECAR}")
    return content


def _read_model(folder: Path, entry: Mapping[str, str], loss: str) -> CatBoost:
    from catboost import CatBoost, CatBoostError

    file, content = folder / entry["file"], _read_checked(folder, entry)
    model = CatBoost()
    try:
        model.load_model(blob=content)
        found = loss_of(model)
    except (CatBoostError, ValueError, KeyError) as error:
        raise SurrogateError(f"{file} is no CatBoost model: {one_line(error)}") from None
    if found != loss:
        raise SurrogateError(f"{file} is a model for {found}: expected {loss}")
    return model
