"""PhysioNet / CinC Challenge 2012: the first day of stays in intensive care."""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources.source import Source
from nasbench_evs.errors import DatasetError

_HOURS = 24.0
_DESCRIPTORS = ("RecordID", "Age", "Gender", "Height", "ICUType", "Weight")
MEASUREMENTS = (
    "ALP", "ALT", "AST", "Albumin", "BUN", "Bilirubin", "Cholesterol", "Creatinine", "DiasABP", "FiO2", "GCS", "Glucose",
    "HCO3", "HCT", "HR", "K", "Lactate", "MAP", "MechVent", "Mg", "NIDiasABP", "NIMAP", "NISysABP", "Na", "PaCO2", "PaO2",
    "Platelets", "RespRate", "SaO2", "SysABP", "Temp", "TroponinI", "TroponinT", "Urine", "WBC", "Weight", "pH",
)  # fmt: skip
_SKEWED = {
    "ALP", "ALT", "AST", "BUN", "Bilirubin", "Creatinine", "Glucose", "Lactate", "PaO2", "Platelets", "TroponinI",
    "TroponinT", "Urine", "WBC",
}  # fmt: skip


def _read(folder: Path) -> Raw:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder: expected set-a, set-b (folders or .tar.*) and their Outcomes-?.txt")
    outcomes, lines, owners = [], [], []
    for part in ("a", "b"):
        path = reading.find(folder, f"Outcomes-{part}.txt")
        outcome = reading.read_csv(path, ["RecordID", "In-hospital_death"])
        outcome["death"] = reading.labels(outcome["In-hospital_death"], path, 2)
        outcomes.append(outcome)
        stays = _stays(folder, part)
        missing = set(outcome.RecordID) - {Path(name).stem for name, _ in stays}
        if missing:
            raise DatasetError(
                f"{path} has {len(outcome):,} stays, {len(missing):,} of them are not in set-{part} (such as "
                f"{min(missing)}): the set is incomplete, fetch it again"
            )
        for name, content in stays:
            header, _, body = content.partition(b"\n")
            if header.strip() != b"Time,Parameter,Value":
                raise DatasetError(f"{name} is no stay: expected the header Time,Parameter,Value, got {header[:60]!r}")
            measured = [line for line in body.splitlines() if line.strip()]
            for line in measured:
                if line.count(b",") != 2 or b'"' in line or not line.isascii():
                    raise DatasetError(f"stay {Path(name).stem}: {line[:60]!r} is no measurement (time, name, value)")
            lines.append(b"\n".join([*measured, b""]))
            owners.append((Path(name).stem, len(measured)))
    labels = pd.concat(outcomes, ignore_index=True)
    rows = pd.read_csv(
        io.BytesIO(b"".join(lines)), header=None, names=["time", "name", "value"], dtype=str, keep_default_na=False
    )
    rows["stay"] = np.repeat([stay for stay, _ in owners], [count for _, count in owners])
    value = pd.to_numeric(rows.value, errors="coerce")
    clock = rows.time.str.extract(r"^(\d+):(\d\d)$").astype(float)
    wrong = value.isna() | clock.isna().any(axis=1)
    if wrong.any():
        first = rows[wrong].iloc[0]
        raise DatasetError(f"stay {first.stay}: {first.time},{first['name']},{first.value} is no measurement at hh:mm")
    rows["value"], rows["hour"] = value, clock[0] + clock[1] / 60
    rows = rows[rows.name != ""]
    described = (rows.hour == 0) & rows.name.isin(_DESCRIPTORS)
    # At admission weight stands among the descriptors; a second value at 00:00 is a measurement.
    described &= ~rows.duplicated(["stay", "hour", "name"])
    profile = rows[described].pivot(index="stay", columns="name", values="value")
    rows = rows[~described & rows.name.isin(MEASUREMENTS) & (rows.hour < _HOURS) & (rows.value >= 0)]
    events = rows.groupby(["stay", "hour", "name"], sort=True).value.last().unstack()
    events = events.reindex(columns=MEASUREMENTS)
    labels = labels[labels.RecordID.isin(events.index.get_level_values("stay"))]
    stays = pd.Index(labels.RecordID)
    profile = profile.reindex(stays)
    known = events.index.get_level_values("stay").isin(stays)
    events = events[known]
    return Raw(
        ids=reading.text(stays),
        labels=labels.death.to_numpy(np.int64),
        owner=stays.get_indexer(events.index.get_level_values("stay")),
        time=events.index.get_level_values("hour").to_numpy(np.float64),
        numerical={name: events[name].to_numpy(np.float64) for name in MEASUREMENTS},
        profile_categorical={
            name.lower(): reading.text(profile[name].fillna(-1).astype(int).astype(str).replace("-1", "unknown"))
            for name in ("Gender", "ICUType")
        },
        profile_numerical={
            name.lower(): profile[name].where(profile[name] > 0).to_numpy(np.float64)
            for name in ("Age", "Height", "Weight")
        },
        cut=_HOURS,
    )


def _stays(folder: Path, part: str) -> "list[tuple[str, bytes]]":
    unpacked = folder / f"set-{part}"
    if unpacked.is_dir():
        files = sorted(unpacked.glob("*.txt"))
        stays = [(str(path), path.read_bytes()) for path in files]
    else:
        archives = sorted(folder.glob(f"set-{part}.tar*")) + sorted(folder.glob(f"set-{part}.tgz"))
        if not archives:
            raise DatasetError(f"{folder} holds no set-{part} (a folder, .tar, .tar.gz or .tar.xz)")
        stays = [(name, content) for name, content in reading.tar_members(archives[0]) if name.endswith(".txt")]
    if not stays:
        raise DatasetError(f"set-{part} in {folder} holds no stays (*.txt)")
    return stays


PHYSIONET2012 = Source(
    rules=Rules(
        "physionet2012",
        ("survived", "died"),
        "roc_auc",
        max_length=64,
        time_unit="hours",
        numerical=tuple(
            Numerical(name, log=name in _SKEWED, forward_fill=True, indicator=True) for name in MEASUREMENTS
        ),
        profile_numerical=tuple(Numerical(name) for name in ("age", "height", "weight")),
    ),
    read=_read,
    what=(
        "The first 24 hours of a stay in intensive care, one event per time stamp, 37 measurements; does the "
        "patient die in hospital?"
    ),
    get="download set-a, set-b, Outcomes-a.txt and Outcomes-b.txt from PhysioNet (Challenge 2012)",
    leakage="Measurements before hour 24 only; SAPS-I, SOFA, length of stay and survival are never read.",
    licence="PhysioNet open access (ODC-By, to be confirmed at the source)",
    citation=(
        "I. Silva et al.: Predicting In-Hospital Mortality of ICU Patients: The PhysioNet/Computing in "
        "Cardiology Challenge 2012, 2012; A. Goldberger et al.: PhysioBank, PhysioToolkit, and PhysioNet, "
        "Circulation 101, 2000"
    ),
)
