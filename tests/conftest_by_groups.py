""""""

import pytest

from fastbp import network as network_module


@pytest.fixture
def by_groups(monkeypatch):
    """Gradients are summed by groups of examples, whatever the sizes."""
    monkeypatch.setattr(network_module, "FEW", 0)
    monkeypatch.setattr(network_module, "GROUP_WORK", 0)
