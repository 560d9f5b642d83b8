"""Few errors are said in words."""

import pytest

from graft.reporting.few import few_errors


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "no errors: the interval rests on few"),
        (1, "1 error: the interval rests on few"),
        (3, "3 errors: the interval rests on few"),
        (9, "9 errors: the interval rests on few"),
        (10, ""),
        (None, ""),
    ],
)
def test_few_errors_are_said(count, said):
    assert few_errors({} if count is None else {"test/errors": count}) == said
