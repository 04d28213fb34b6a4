"""The whole comparison, on two tiny networks and three heaps."""

import dataclasses
import json

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.heads import routes
from isbe_np.reports import summary
from isbe_np.studies.compare import compare, train_twins
from isbe_np.studies.comparison import Twin
from isbe_np.training import History


@pytest.fixture(autouse=True)
def small(monkeypatch):
    tiny.study(monkeypatch)
    tiny.both_sets(monkeypatch)


def study(**options):
    return compare(tiny.dataset(), "tiny", **{"epochs": 2, "batch_size": 6, "rounds": 2, "progress": False, **options})


def test_a_comparison_holds_every_part():
    found = study()
    assert found.data == "heaps: 24 training and 12 test images" and found.seed == 0
    assert len(found.agreements) == 24 and all(a.within for a in found.agreements)
    assert [(h.batch, h.classes) for h in found.heads] == [(4, 3), (4, 6)]
    assert (found.steps.network, found.steps.batch) == ("tiny", 6)
    assert [twin.route for twin in found.twins] == ["isbe", "fused"]
    assert all(len(twin.history.accuracy) == 2 for twin in found.twins)
    assert set(found.seconds) == {"agreement", "head", "step", "kernels", "training"} and found.compiling >= 0


def test_twins_start_alike_and_see_the_same_batches():
    one, two = study().twins
    assert one.distance == 0 <= two.distance < 1e-5 and one.history.accuracy == two.history.accuracy
    assert one.history.gradient_norm == pytest.approx(two.history.gradient_norm, rel=1e-5)


def test_twins_by_one_route_are_the_same_to_the_bit():
    one, two = study(routes=("isbe", "isbe")).twins
    assert two.distance == 0 and one.history.gradient_norm == two.history.gradient_norm


def test_the_dictionary_is_json_and_lacks_nothing():
    found = study()
    read = json.loads(json.dumps(found.as_dict()))
    assert set(read) == {field.name for field in dataclasses.fields(found)}
    assert read["agreements"][0].keys() == {"network", "dtype", "pair", "head", "gradient", "parameter"}
    assert read["heads"][1]["costs"][0].keys() == {"route", "seconds", "ratio", "memory"}
    assert read["steps"]["costs"][3]["ratio"] == {"value": 1, "low": 1, "high": 1}
    assert read["twins"][1]["history"]["accuracy"] == found.twins[1].history.accuracy
    assert read["environment"]["numpy"] == np.__version__


def test_conclusions_speak_of_each_part():
    found = study()
    for agreement in found.switched.agreements:
        agreement.compiling = 0.0
    words = found.conclusions()
    for part, beginning in zip(words, ["The routes agree: ", "The explicit Jacobian takes the head ",
                                       "Against the fused route", "In one pass over the scores, `head.error`, at 6 classes: ",
                                       "In a whole training step of tiny (batch 6): ", "The control times isbe a second time",
                                       "Plain and fast kernels agree: ",
                                       "In a whole training step of linear (batch 6): ",
                                       "In a whole training step of tiny (batch 6): ", "Trained by isbe and by fused",
                                       "All of this is one machine"], strict=True):
        assert part.startswith(beginning) and part.endswith(".")


def test_a_wrong_route_is_concluded(monkeypatch):
    send = routes.SEND["isbe"]

    def off(head, y, t, e):
        send(head, y, t, e)
        e *= e.dtype.type(1.001)

    monkeypatch.setitem(routes.SEND, "isbe", off)
    found = study()
    assert found.conclusions()[0].startswith("The routes do NOT agree: ") and found.twins[1].distance > 0
    assert " !" in summary.agreement_table(found.agreements)


def test_the_batch_is_no_larger_than_the_data():
    assert study(batch_size=1000).steps.batch == 24


def test_two_routes_of_choice():
    found = study(routes=("jacobian", "factored"))
    assert [t.route for t in found.twins] == ["jacobian", "factored"] and found.twins[1].distance < 1e-5


def test_ctrl_c_in_the_first_training_leaves_the_second_out(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    found = study()
    monkeypatch.setattr(isbe.SGD, "step", interrupt)
    twins = train_twins(tiny.net, ("isbe", "fused"), tiny.dataset(), 2, 6, 0, False)
    assert len(twins) == 1 and twins[0].history.stopped == "interrupted"
    found = dataclasses.replace(found, twins=twins)
    assert "were not finished" in found.conclusions()[-2] and "not finished" in summary.comparison_text(found)


def test_trainings_without_an_epoch_are_said_to_be_unfinished():
    found = dataclasses.replace(study(), twins=[Twin("isbe", History(), 0), Twin("fused", History(), 0)])
    assert "were not finished" in found.conclusions()[-2]


@pytest.mark.parametrize(("options", "words"), [
    ({"net": "tinny"}, "net expects one of 'tiny', 'linear'; got 'tinny'. Did you mean 'tiny'?"),
    ({"routes": ("isbe", "fuse")}, "routes expects .* got 'fuse'. Did you mean 'fused'?"),
    ({"kernels": "fats"}, "kernels expects one of 'plain', 'fast'; got 'fats'. Did you mean 'fast'?"),
    ({"epochs": 0}, "epochs expects a whole number of at least 1; got 0"),
    ({"rounds": 1}, "rounds expects a whole number of at least 2; got 1"),
    ({"batch_size": -2}, "batch_size expects a whole number of at least 1; got -2"),
])
def test_what_cannot_be_compared_is_refused_before_anything_runs(options, words, monkeypatch):
    monkeypatch.setattr("isbe_np.studies.compare.both_agreements", lambda *_: pytest.fail("it ran"))
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        compare(tiny.dataset(), **{"net": "tiny", **options})
