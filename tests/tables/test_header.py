"""Headers: what tables share."""

import pytest

from nasbench_evs.errors import TableFormatError
from tests.conftest import make_header


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": {"x": object()}}, "not what JSON can hold"),
        ({"protocol": {"x": float("nan")}}, "not what JSON can hold"),
        ({"metric": "accuracy"}, "metric is 'accuracy', expected a Metric"),
        ({"curves": "all"}, "expected one of epochs, best"),
    ],
)
def test_headers_that_cannot_be_written(changes, message):
    with pytest.raises(TableFormatError, match=message):
        make_header(**changes)
