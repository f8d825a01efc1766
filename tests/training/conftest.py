"""The synthetic dataset, prepared, as the generators' tests have it."""

from tests.generators.conftest import dataset, home, one_thread

__all__ = ["dataset", "home", "one_thread"]
