import numpy as np
import pytest
import tiny

import isbe_np as isbe


@pytest.fixture
def net():
    """Passes its three numbers on as scores."""
    return isbe.Sequential((3,), isbe.Flatten())


SCORES = np.array([[1, 2, 3], [5, 4, 4], [0, 9, 1], [2, 2, 2], [-1, -3, -1]], np.float32)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_predict_takes_the_highest_score_and_the_lower_class_of_a_tie(net, batch_size):
    classes = isbe.predict(net, SCORES, batch_size)
    assert classes.tolist() == [2, 0, 1, 0, 0] and classes.dtype == np.int64


def test_accuracy_is_the_share_that_is_right(net):
    assert isbe.accuracy(net, SCORES, np.array([2, 1, 1, 0, 2])) == 0.6
    assert isbe.accuracy(net, SCORES, [2, 0, 1, 0, 0]) == 1
    assert type(isbe.accuracy(net, SCORES, np.zeros(5, np.uint8))) is float


def test_predicting_moves_no_parameter():
    net, data = tiny.net(), tiny.dataset()
    start = net.values.copy()
    assert len(isbe.predict(net, data.x_test)) == 12 and np.array_equal(net.values, start)


@pytest.mark.parametrize(("x", "y", "words"), [
    (SCORES, np.zeros(4, int), r"accuracy expects one label for each of 5 examples, shape \(5,\); got shape \(4,\)"),
    (SCORES, np.zeros((5, 3)), r"got shape \(5, 3\)"),
    (SCORES[:0], np.zeros(0, int), "predict expects at least one example; got none"),
    (SCORES[:, :2], np.zeros(5, int), r"expects a batch of shape \(N, 3\); got \(5, 2\)"),
])
def test_shapes_that_do_not_fit_are_refused(net, x, y, words):
    with pytest.raises(ValueError, match=words):
        isbe.accuracy(net, x, y)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_of_none_is_refused(net, batch_size):
    with pytest.raises(ValueError, match=rf"predict\(batch_size\) expects .* got {batch_size}"):
        isbe.predict(net, SCORES, batch_size)


@tiny.plain_python_warns
def test_scores_that_are_not_finite_are_no_prediction():
    net = isbe.Sequential((3,), isbe.Dense(2))
    net.parameters()[0].value[...] = 3e38
    with pytest.raises(FloatingPointError, match=r"scores of example 3 are not.*lower learning rate"):
        isbe.predict(net, np.array([[0.1, 0, 0]] * 3 + [[9, 9, 9]] * 2, np.float32), batch_size=2)
