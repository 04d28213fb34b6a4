"""PyTorch for the tests that ask for it, and the table of what was compared."""

import peer
import pytest


@pytest.fixture(scope="session", autouse=True)
def torch():
    """PyTorch, in one thread; it is imported only when a test of this folder runs."""
    torch = pytest.importorskip("torch", reason='PyTorch is not installed: pip install -e ".[test,peers]"')
    torch.set_num_threads(1)
    return torch


@pytest.fixture
def kernels(kernels, monkeypatch):
    """As everywhere; and each set has its own configurations."""
    monkeypatch.setattr(peer, "KERNELS", kernels)
    return kernels


def pytest_terminal_summary(terminalreporter):
    if peer.LEDGER:
        terminalreporter.section("compared with PyTorch")
        terminalreporter.write_line(peer.table())
