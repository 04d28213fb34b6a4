"""Layers and networks that are written as another framework would have them: each refusal says what to write."""

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np import Dense, Flatten, Input, ReLU, Sequential


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Sequential(Dense(3), ReLU()), "Write Sequential((784,), Dense(3), ReLU()) for vectors of 784 numbers, or begin "
     "with (1, 28, 28) for images."),
    (lambda: Sequential([Dense(3), ReLU()]), "Write Sequential((784,), Dense(3), ReLU())"),
    (lambda: Sequential(Dense, ReLU), "Write Sequential((784,), Dense(...), ReLU(...))"),
    (lambda: Sequential(Input((784,)), Dense(3)), "not a node; got <node of shape (784,), output of InputLayer((784,))>. Write "
     "Sequential((784,), ...)."),
    (lambda: Sequential((784,), [Dense(3), ReLU()]), "one after another, without the list: Dense(3), ReLU()."),
    (lambda: Sequential((784,), ReLU), "Write ReLU(...), with brackets, to make a layer of this class."),
    (lambda: Sequential(1, 28, 28, Flatten()), "Put a shape of several numbers in brackets, such as (1, 28, 28)."),
    (lambda: Sequential(None, Dense(3)), "Input expects a shape of whole numbers of at least 1"),
    (lambda: Input(Dense(3)), "Input expects a shape of whole numbers of at least 1"),
    (lambda: Dense(784, 10), "got 10. Where 784 is the number of inputs, write Dense(10): a layer reads"),
    (lambda: Dense(784, np.int64(10)), "write Dense(10): "),
    (lambda: Dense(10, True), "Dense expects its name as text; got True. Its arguments are Dense(units, name)."),
    (lambda: isbe.Conv2D(1, 32, 3, 1, 1), "Its arguments are Conv2D(filters, kernel, stride, padding, name). A layer "),
    (lambda: Flatten(1), "Flatten expects its name as text; got 1. Its arguments are Flatten(name)."),
])
def test_what_to_write_instead(make, words):
    with pytest.raises(TypeError) as refusal:
        make()
    assert words in str(refusal.value)


def test_what_is_right_stays_right():
    assert Sequential(784, Dense(10, "last")).nodes[-1].shape == (10,)
    assert Sequential(np.array([1, 6, 6]), Flatten(), Dense(np.int64(3))).nodes[0].shape == (1, 6, 6)
    with pytest.raises(ValueError, match="whole numbers of at least 1"):
        Sequential((784.0,), Dense(3))
