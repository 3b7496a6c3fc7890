"""A small recipe for all tests of this folder."""

import pytest

from fastbp.tabular import recipe


@pytest.fixture(autouse=True)
def small_recipe(monkeypatch):
    """All candidates are small networks of one shape, so that few kernels are compiled."""
    monkeypatch.setattr(recipe, "LAYERS", ((16,),))
    monkeypatch.setattr(recipe, "ACTIVATIONS", ("silu",))
    monkeypatch.setattr(recipe, "EPOCHS", (30,))
