"""What the engine's tests share."""

import pytest


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Networks are made of the engine's layers also without the compiler, where they would be plain, but for `plain` ones."""
    monkeypatch.setattr("isbe_np.graph.read_kernels", lambda who, given: given)
