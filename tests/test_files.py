"""Files are written whole or not at all."""

import json
import os
import stat

import pytest

from isbe_np import files


def test_json_is_written_whole(tmp_path):
    file = tmp_path / "a.json"
    files.write_json(file, {"a": [1, (2.5, None)], 3: {"b": "ü", "c": True}})
    assert json.loads(file.read_text(encoding="utf-8")) == {"a": [1, [2.5, None]], "3": {"b": "ü", "c": True}}
    assert os.listdir(tmp_path) == ["a.json"]


def test_numbers_that_json_lacks_are_written_by_name(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": [float("nan"), float("inf"), -float("inf")]})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail) == {"a": ["nan", "inf", "-inf"]}


@pytest.mark.parametrize("older", [None, "older"])
def test_what_is_no_json_leaves_the_folder_as_it_was(tmp_path, older):
    file = tmp_path / "a.json"
    if older:
        file.write_text(older)
    with pytest.raises(TypeError, match="not JSON serializable"):
        files.write_json(file, {"fine": 1, "wrong": object()})
    assert os.listdir(tmp_path) == (["a.json"] if older else []) and (not older or file.read_text() == older)


def test_an_interrupt_while_writing_leaves_no_part(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_json(tmp_path / "a.json", {})
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_a_result_as_they_may_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    files.write_json(tmp_path / "a.json", {})
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target.json").write_text("older")
    (tmp_path / "link.json").symlink_to(tmp_path / "target.json")
    files.write_json(tmp_path / "link.json", {"a": 1})
    assert (tmp_path / "link.json").is_symlink() and json.loads((tmp_path / "target.json").read_text()) == {"a": 1}
