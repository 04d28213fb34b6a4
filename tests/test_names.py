"""What `isbe_np` offers by name: what is imported only when it is used, and names of the last release."""

import subprocess
import sys

import pytest

import isbe_np as isbe


@pytest.mark.parametrize("old, new", [("Affine", "RandomAffine"), ("FlipShift", "RandomFlipCrop")])
def test_names_of_the_last_release_warn(old, new):
    with pytest.warns(DeprecationWarning, match=f"isbe_np.{old} is called isbe_np.{new} now"):
        assert getattr(isbe, old) is getattr(isbe, new)


def test_plots_are_there_when_they_are_asked_for():
    code = "import sys, isbe_np as isbe; assert 'matplotlib' not in sys.modules; print(callable(isbe.plots.graph_figure))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
    with pytest.raises(AttributeError, match="'isbe_np' has no attribute 'plot'"):
        isbe.plot  # noqa: B018
