"""Permissions that bind root too."""

import os
import shutil

import pytest


def may_not_write():
    """What to put before a command so that it may not write or read where permissions forbid it, which root may otherwise."""
    if os.geteuid():
        return ()
    if not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and there is no setpriv to change that")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
