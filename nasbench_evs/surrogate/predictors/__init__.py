"""Performance predictors: what a search asks which architecture to train next, all behind one interface."""

from __future__ import annotations

from importlib import import_module

from nasbench_evs.arguments import check_int, known
from nasbench_evs.spaces import SearchSpace
from nasbench_evs.spaces.space import check_space
from nasbench_evs.surrogate.predictors.predictor import Prediction, Predictor

__all__ = ["PREDICTORS", "Prediction", "Predictor", "predictor"]

PREDICTORS = {
    "gp": "gaussian_process.GaussianProcess",
    "leaf-gp": "gaussian_process.LeafGP",
    "virtual-ensembles": "virtual_ensembles.VirtualEnsembles",
    "catboost": "trees.CatBoost",
    "single-catboost": "trees.SingleCatBoost",
    "xgboost": "trees.XGBoost",
    "single-xgboost": "trees.SingleXGBoost",
    "mlp": "networks.MLP",
    "deep-mlp": "networks.DeepMLP",
    "gcn": "networks.GCN",
    "nao": "networks.NAO",
    "seminas": "networks.SemiNAS",
    "transformer": "networks.Transformer",
}


def predictor(name: str, space: SearchSpace, seed: int = 0) -> Predictor:
    """A new predictor by name; InvalidQuery for a name that is none, PredictorError without the library it needs."""
    known("predictor", name, PREDICTORS)
    check_space(space)
    check_int("seed", seed, 0, 2**31 - 1)
    module, cls = PREDICTORS[name].split(".")
    made: Predictor = getattr(import_module(f"{__name__}.{module}"), cls)(space, seed)
    return made
