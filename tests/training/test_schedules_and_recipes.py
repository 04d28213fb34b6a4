import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.networks import NETWORKS
from isbe_np.training import schedules
from isbe_np.training.recipes import RECIPES


def test_constant():
    assert [schedules.constant(done) for done in (0, 0.5, 1)] == [1, 1, 1]


def test_warm_up_and_decay_is_two_straight_lines():
    assert [schedules.warm_up_and_decay(done) for done in (0, 0.15, 0.3, 0.65, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_every_schedule_stays_between_0_and_1_and_reaches_1(name):
    factors = [schedules.Factors(name)(done) for done in np.linspace(0, 1, 101)]
    assert min(factors) >= 0 and max(factors) == pytest.approx(1)


def test_a_function_is_taken_as_it_is():
    assert schedules.Factors(lambda done: np.float32(done))(0.25) == 0.25


@pytest.mark.parametrize("given", ["warmup_and_decay", "Warm_up_and_decay"])
def test_a_misspelt_name_is_answered_with_the_nearest(given):
    with pytest.raises(ValueError, match="Did you mean 'warm_up_and_decay'"):
        schedules.Factors(given)


def test_what_is_neither_name_nor_function_is_refused():
    with pytest.raises(ValueError, match="schedule expects one of 'constant', 'warm_up_and_decay'; got 3"):
        schedules.Factors(3)


def test_every_network_has_a_recipe_that_training_takes():
    assert RECIPES.keys() == NETWORKS.keys()
    for recipe in RECIPES.values():
        assert recipe.epochs >= 1 and recipe.batch_size >= 1 and recipe.schedule in schedules.SCHEDULES
        optimizer = recipe.optimizer(0.01, 0.02)
        assert (optimizer.learning_rate, optimizer.weight_decay) == (0.01, 0.02)
        assert isinstance(optimizer, isbe.AdamW if recipe.adam else isbe.SGD)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: isbe.SGD(float("nan")), r"SGD\(learning_rate\) expects .* got nan"),
    (lambda: isbe.SGD(-0.1), r"SGD\(learning_rate\) expects .* got -0\.1"),
    (lambda: isbe.SGD(float("inf")), r"SGD\(learning_rate\) expects .* got inf"),
    (lambda: isbe.SGD("fast"), r"SGD\(learning_rate\) expects .* got 'fast'"),
    (lambda: isbe.SGD(0.1, momentum=1), r"SGD\(momentum\) expects a number from 0 to below 1; got 1"),
    (lambda: isbe.SGD(0.1, weight_decay=-1), r"SGD\(weight_decay\) expects .* got -1"),
    (lambda: isbe.SGD(0.1, nesterov=True), r"SGD\(nesterov=True\) expects a momentum above 0"),
    (lambda: isbe.Adam(betas=(0.9, 1.0)), r"Adam\(betas\[1\]\) expects .* got 1\.0"),
    (lambda: isbe.AdamW(epsilon=-1), r"AdamW\(epsilon\) expects .* got -1"),
])
def test_numbers_that_no_optimizer_can_use_are_refused_and_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
