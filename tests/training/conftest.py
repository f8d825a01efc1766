"""The synthetic dataset, prepared, and the small recipe, as the generators' tests have them."""

from tests.generators.conftest import dataset, home, one_thread, recipe, values

__all__ = ["dataset", "home", "one_thread", "recipe", "values"]
