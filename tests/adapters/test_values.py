"""What frameworks without conditions hand over becomes an architecture, or one clear line."""

import subprocess
import sys

import numpy as np
import pytest

from nasbench_evs import spaces
from nasbench_evs.adapters.values import architecture_of
from nasbench_evs.errors import InvalidArchitecture

SPACE = spaces.SearchSpace.from_choices({"a": [1, 2], "b": ["x", "y"]}, {"b": {"a": [2]}})


def test_inactive_values_do_not_count():
    assert architecture_of(SPACE, {"a": 1, "b": "y"}).options == {"a": 1}
    assert architecture_of(SPACE, {"a": 1, "b": "no option"}).options == {"a": 1}
    assert architecture_of(SPACE, {"b": "y", "a": 2}).options == {"a": 2, "b": "y"}


def test_values_may_have_types_of_numpy():
    found = architecture_of(SPACE, {"a": np.int64(2), "b": np.str_("x")})
    assert found.options == {"a": 2, "b": "x"}
    assert all(type(value) in (int, str) for value in found.options.values())


def test_the_text_of_an_option_is_that_option():
    space = spaces.SearchSpace.from_choices({"k": [1, "wide"], "on": [False, True]})
    assert architecture_of(space, {"k": "1", "on": "True"}).options == {"k": 1, "on": True}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": 2}, "b is missing: expected one of x, y"),
        ({"b": "x"}, "a is missing"),
        ({"a": 3, "b": "x"}, "a = 3 is no option: expected one of 1, 2"),
        ({"a": 1, "c": 0}, "'c' is no choice of .*: expected some of a, b"),
    ],
)
def test_what_is_no_architecture_is_said_in_one_line(values, said):
    with pytest.raises(InvalidArchitecture, match=said) as error:
        architecture_of(SPACE, values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("module", "framework", "extra"),
    [
        ("configspace", "ConfigSpace", "configspace"),
        ("optuna", "optuna", "optuna"),
        ("syne_tune", "syne_tune", "syne-tune"),
    ],
)
def test_without_its_framework_an_adapter_names_the_extra_and_the_package_works(module, framework, extra):
    script = f"""
import sys
sys.modules[{framework!r}] = None
import nasbench_evs, nasbench_evs.adapters, nasbench_evs.cli.commands
try:
    import nasbench_evs.adapters.{module}
except nasbench_evs.NasbenchError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.endswith(f": pip install 'nasbench-evs[{extra}]'\n")
    assert said.count("\n") == 1


def test_importing_the_package_imports_no_framework():
    script = "import sys, nasbench_evs, nasbench_evs.adapters, nasbench_evs.cli.commands; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "nasbench_evs.adapters" in loaded
    assert not {"ConfigSpace", "optuna", "optunahub", "syne_tune", "torch"} & set(loaded)


def test_the_adapter_for_optuna_needs_no_torch():
    script = "import sys; sys.modules['torch'] = None; import nasbench_evs.adapters.optuna"
    subprocess.run([sys.executable, "-c", script], check=True)
