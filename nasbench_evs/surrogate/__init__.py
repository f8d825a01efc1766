"""Surrogates: fitted to a table, they answer for the architectures nobody trained."""

from nasbench_evs.surrogate.curves import Extrapolator
from nasbench_evs.surrogate.model import Surrogate
from nasbench_evs.surrogate.targets import Prediction

__all__ = ["Extrapolator", "Prediction", "Surrogate"]
