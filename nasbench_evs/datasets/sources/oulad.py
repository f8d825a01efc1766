"""OULAD: assignments that students of the Open University hand in."""

from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_evs.datasets import reading
from nasbench_evs.datasets.prepare import Raw, Rules
from nasbench_evs.datasets.schema import Numerical
from nasbench_evs.datasets.sources.source import Source
from nasbench_evs.errors import DatasetError

_CUT = 120.0  # days since the course began
_KEY = ["code_module", "code_presentation", "id_student"]
_PROFILE = ("gender", "region", "highest_education", "imd_band", "age_band", "disability")
_TRUE = ("1", "true", "y", "yes")


def _read(folder: Path) -> Raw:
    if not folder.is_dir():
        raise DatasetError(
            f"{folder} is no folder: expected assessments.csv, studentAssessment.csv, studentInfo.csv, ..."
        )

    def table(name: str, columns: list[str]) -> tuple[Path, pd.DataFrame]:
        path = reading.find(folder, f"{name}.csv")
        return path, reading.read_csv(path, columns)

    a_path, assessments = table("assessments", [*_KEY[:2], "id_assessment", "assessment_type", "date", "weight"])
    s_path, submissions = table(
        "studentAssessment", ["id_assessment", "id_student", "date_submitted", "is_banked", "score"]
    )
    i_path, students = table(
        "studentInfo", [*_KEY, *_PROFILE, "num_of_prev_attempts", "studied_credits", "final_result"]
    )
    r_path, registrations = table("studentRegistration", [*_KEY, "date_registration", "date_unregistration"])

    assessments["due"] = reading.numbers(assessments.date, a_path, missing=True)
    assessments["weight"] = reading.numbers(assessments.weight, a_path)
    submissions["day"] = reading.numbers(submissions.date_submitted, s_path)
    submissions["score"] = reading.numbers(submissions.score, s_path, missing=True)
    registrations["left"] = reading.numbers(registrations.date_unregistration, r_path, missing=True)
    registrations["since"] = reading.numbers(registrations.date_registration, r_path, missing=True)

    banked = submissions.is_banked.str.lower().isin(_TRUE)
    events = submissions[~banked & (submissions.day <= _CUT)].merge(assessments, on="id_assessment", how="left")
    if events.code_module.isna().any():
        unknown = events.id_assessment[events.code_module.isna()].iloc[0]
        raise DatasetError(f"{s_path}: the assessment {unknown} is not in {a_path.name}")
    events = events[events.assessment_type != "Exam"]
    there = registrations[~(registrations.left <= _CUT)]
    runs = students.merge(there[[*_KEY, "since"]], on=_KEY).sort_values(_KEY, ignore_index=True)
    position = pd.MultiIndex.from_frame(runs[_KEY])
    owner = position.get_indexer(pd.MultiIndex.from_frame(events[_KEY]))
    handed_in = np.bincount(owner[owner >= 0], minlength=len(runs))
    kept = np.flatnonzero(handed_in >= 3)
    renumber = np.full(len(runs) + 1, -1)
    renumber[kept] = np.arange(len(kept))
    owner = renumber[owner]
    events, owner, runs = events[owner >= 0], owner[owner >= 0], runs.iloc[kept]
    scenario = (runs.code_module + "-" + runs.code_presentation).to_numpy(str)
    day = events.day.to_numpy()
    return Raw(
        ids=np.char.add(np.char.add(scenario, "-"), reading.text(runs.id_student)),
        labels=runs.final_result.isin(["Fail", "Withdrawn"]).to_numpy(np.int64),
        owner=owner,
        time=day,
        categorical={"type": reading.text(events.assessment_type), "assessment": reading.text(events.id_assessment)},
        numerical={
            "score": events.score.to_numpy(),
            "weight": events.weight.to_numpy(),
            "late": day - events.due.to_numpy(),
        },
        profile_categorical={
            "module": reading.text(runs.code_module),
            "presentation": reading.text(runs.code_presentation),
            **{name: reading.text(runs[name]) for name in _PROFILE},
        },
        profile_numerical={
            "attempts": reading.numbers(runs.num_of_prev_attempts, i_path),
            "credits": reading.numbers(runs.studied_credits, i_path),
            "registered": runs.since.to_numpy(),
        },
        groups=reading.text(runs.id_student),
        scenarios=scenario,
        cut=_CUT,
    )


OULAD = Source(
    rules=Rules(
        "oulad",
        ("passes", "fails or withdraws"),
        "roc_auc",
        max_length=12,
        numerical=(Numerical("score", indicator=True), Numerical("weight"), Numerical("late")),
        profile_numerical=(Numerical("attempts", log=True), Numerical("credits", log=True), Numerical("registered")),
    ),
    read=_read,
    what=(
        "Assignments a student hands in by day 120 of a course; does the student fail or withdraw? The 22 "
        "course runs are scenarios."
    ),
    get=(
        "download the Open University Learning Analytics Dataset (assessments, studentAssessment, "
        "studentInfo, studentRegistration)"
    ),
    leakage=(
        "Exams and banked scores are left out, as are students who had unregistered by day 120 and later "
        "submissions; a student taking several courses is on one side of the split."
    ),
    licence="CC BY 4.0 (DESCRIPTION)",
    citation="J. Kuzilek, M. Hlosta, Z. Zdrahal: Open University Learning Analytics dataset, Scientific Data 4, 2017",
)
