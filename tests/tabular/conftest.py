"""A small recipe for all tests of this folder."""

import pytest

from support import tabular


@pytest.fixture(autouse=True)
def small_recipe():
    with tabular.small_recipe():
        yield
