"""Plain data: what can be made of objects, and where what came back from a file is not as it should be."""

import json

import numpy as np
import pytest

from isbe_np.storage.json_data import misfit, plain, settings


@pytest.mark.parametrize("value, wanted", [
    (None, None), (True, True), (3, 3), (2.5, 2.5), ("ü", "ü"), ({}, {}), ((1, (2,)), [1, [2]]),
    ({"a": [np.float32(0.5), np.int64(3), np.bool_(True)]}, {"a": [0.5, 3, True]}),
    (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]), (np.float64(2.5), 2.5), (np.array(7), 7),
    (np.array(["a"]), ["a"])], ids=repr)
def test_plain_data_is_made_of_numbers_lists_and_dicts(value, wanted):
    found = plain(value)
    assert found == wanted and json.loads(json.dumps(found)) == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize("value", [
    object(), {1, 2}, b"bytes", 1j, np.array([1j]), np.datetime64("2020-01-01"), len, int, [[{"a": object()}]],
    np.array([object()]), {1: "a", "1": "b"}], ids=lambda value: type(value).__name__)
def test_what_is_no_plain_data_is_a_type_error(value):
    with pytest.raises(TypeError, match="plain data is expected") as caught:
        plain(value)
    assert "\n" not in str(caught.value)


def test_what_holds_itself_is_a_type_error():
    around: list = []
    around.append({"a": around})
    with pytest.raises(TypeError, match="plain data is expected"):
        plain(around)


class Kept:
    """Keeps its arguments."""

    def __init__(self, size, *, pair=(1, 2), name=None):
        self.size, self.pair, self.name, self.more = size, pair, name, object()


class Renamed:
    """Keeps its argument by another name."""

    def __init__(self, size):
        self.length = size


class Odd:
    """Keeps what is no plain data."""

    def __init__(self, size):
        self.size = {size}


class Many:
    """Takes any number of them."""

    def __init__(self, *sizes):
        self.size = sizes


class Bare:
    """Takes none."""


@pytest.mark.parametrize("thing, wanted", [
    (Kept(np.int64(3)), {"size": 3, "pair": [1, 2], "name": None}), (Renamed(3), None), (Odd(3), None), (Many(3), None),
    (Bare(), {}), (3, None)], ids=lambda value: type(value).__name__)
def test_settings_are_the_arguments_where_each_is_kept(thing, wanted):
    assert settings(thing) == wanted


RIGHT = {"text": "a", "whole": 1, "number": 2.5, "yes": True, "none": None, "list": [1, 2], "either": None,
         "any": {"a": [object]}, "inner": {"deep": [{"n": 1}, {"n": 2}]}}
PATTERN = {"text": str, "whole": int, "number": float, "yes": bool, "none": None, "list": [int],
           "either": (None, float, [float]), "any": object, "inner": {"deep": [{"n": int}]}}


@pytest.mark.parametrize("change", [
    {}, {"number": 2}, {"list": []}, {"either": 3}, {"either": 0.5}, {"either": [1, 2.5]}, {"any": None}, {"any": True},
    {"any": 3}, {"inner": {"deep": []}}, {"whole": -(10**40)}], ids=str)
def test_what_fits(change):
    assert misfit(RIGHT | change, PATTERN) is None


@pytest.mark.parametrize("change, fault", [
    ({"text": 1}, ("facts.text", "str", 1)),
    ({"text": None}, ("facts.text", "str", None)),
    ({"whole": True}, ("facts.whole", "int", True)),
    ({"whole": 1.0}, ("facts.whole", "int", 1.0)),
    ({"number": False}, ("facts.number", "float", False)),
    ({"number": "2.5"}, ("facts.number", "float", "2.5")),
    ({"yes": 1}, ("facts.yes", "bool", 1)),
    ({"none": 0}, ("facts.none", "nothing", 0)),
    ({"list": {}}, ("facts.list", "a list", {})),
    ({"list": "12"}, ("facts.list", "a list", "12")),
    ({"list": [1, True]}, ("facts.list[1]", "int", True)),
    ({"either": "x"}, ("facts.either", "a list", "x")),
    ({"either": [1, "x"]}, ("facts.either[1]", "float", "x")),
    ({"inner": None}, ("facts.inner", "the names deep", None)),
    ({"inner": []}, ("facts.inner", "the names deep", [])),
    ({"inner": {}}, ("facts.inner", "the names deep", [])),
    ({"inner": {"deep": [], "more": 1}}, ("facts.inner", "the names deep", ["deep", "more"])),
    ({"inner": {"deep": [{"n": 1}, {"n": None}]}}, ("facts.inner.deep[1].n", "int", None)),
    ({"inner": {"deep": [{"n": 1}, 7]}}, ("facts.inner.deep[1]", "the names n", 7)),
], ids=str)
def test_what_does_not_fit_is_told_with_its_place(change, fault):
    assert misfit(RIGHT | change, PATTERN) == fault


def test_the_names_must_be_exactly_these():
    for value in ({"a": 1}, {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 2}):
        assert misfit(value, {"a": int, "b": int}, "top") == ("top", "the names a, b", list(value))
    assert misfit({"b": 2, "a": 1}, {"a": int, "b": int}) is None


def test_the_first_of_several_faults_is_told():
    assert misfit([1, "x", "y"], [int], "top") == ("top[1]", "int", "x")
