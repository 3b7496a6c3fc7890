"""All tests of this folder train small networks."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def train_small_networks(small_recipe):
    pass
