"""Paths that a user passes: ~ is the home folder wherever one is taken, and what is no path is refused in a sentence."""

import argparse
import os
from pathlib import Path

import pytest
import tiny

import isbe_np as isbe
from isbe_np import cli, lessons
from isbe_np.datasets import cifar, idx, places
from isbe_np.storage.folders import cache_root, user_path
from isbe_np.studies.sweep import stored, sweep
from isbe_np.training.keeping import newest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere the home folder is not HOME")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and a working folder that must stay empty."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "home"
    assert os.listdir(tmp_path / "work") == []


@pytest.mark.parametrize("given, found", [
    ("~", ""), ("~/a", "a"), ("~/a/", "a"), ("~//a/../b", "a/../b"), (Path("~/a"), "a"), (Path("~"), ""), ("~/~", "~"),
    ("~/~a/b", "~a/b"),
], ids=str)
def test_a_tilde_is_the_home_folder(home, given, found):
    assert user_path("f(path)", given) == home / found


@pytest.mark.parametrize("given, found", [("a/~/b", "a/~/b"), ("a~", "a~"), (" ", " "), ("/~", "/~"), ("a\n\x1b", "a\n\x1b")])
def test_a_tilde_elsewhere_is_a_letter(home, given, found):
    assert user_path("f(path)", given) == Path(found)


def test_another_users_home_folder(home):
    import pwd
    one = next(user for user in pwd.getpwall() if os.path.isabs(user.pw_dir))
    assert user_path("f(path)", f"~{one.pw_name}/a") == Path(one.pw_dir, "a")


def test_a_name_that_begins_with_a_tilde(home):
    """As text, which keeps the ./ before it; and once found it is not looked for again."""
    found = user_path("f(path)", "./~a")
    assert found == Path.cwd() / "~a" and user_path("f(path)", found) == found


@pytest.mark.parametrize("given, kind, sentence", [
    ("", TypeError, r"f\(path\) expects the path of a folder; got ''\. Name a folder\."),
    (b"~/a", TypeError, r"got b'~/a'\. Decode it with os\.fsdecode\."),
    (None, TypeError, "got None"), (3, TypeError, "got 3"), (["a"], TypeError, r"got \['a'\]"), (True, TypeError, "got True"),
    ("a\0b", ValueError, r"got 'a\\x00b', with the character NUL in it\. Leave that out\."),
    ("~no_such_user/a", ValueError,
     r"got '~no_such_user/a', and no user 'no_such_user' is known here\. Write the path in full"),
    (Path("~no_such_user"), ValueError, "no user 'no_such_user'"),
], ids=repr)
def test_what_is_no_path(home, given, kind, sentence):
    with pytest.raises(kind, match=sentence):
        user_path("f(path)", given, "folder")


@pytest.mark.parametrize("value", ["", "relative", "~"])
def test_a_home_folder_that_is_not_known(home, monkeypatch, value):
    """By an empty HOME ~/a would be /a."""
    monkeypatch.setenv("HOME", value)
    for name in ("ISBE_CACHE_DIR", "ISBE_DATA_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for given in ("~", "~/a"):
        with pytest.raises(ValueError, match="and the home folder is not known"):
            user_path("f(path)", given)
    with pytest.raises(RuntimeError, match=r"home folder is not known|not determine home directory"):
        cache_root()
    assert places.roots("/data") == [Path("/data")], "where a folder is named no home folder is needed"


def test_the_environment(home, monkeypatch):
    monkeypatch.setenv("ISBE_CACHE_DIR", "~/cache")
    assert cache_root() == home / "cache"
    monkeypatch.setenv("ISBE_CACHE_DIR", "~no_such_user/cache")
    with pytest.raises(RuntimeError, match=r"ISBE_CACHE_DIR expects the path of a folder; got '~no_such_user/cache'"):
        cache_root()
    monkeypatch.delenv("ISBE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/other")
    monkeypatch.setenv("ISBE_DATA_DIR", "~/data")
    assert cache_root() == home / "other" / "isbe_np"
    assert places.roots("~/mine") == [home / "mine", home / "data", home / "other" / "isbe_np" / "data"]


def answer(seed):
    return {"seed": seed}


def saved(path):
    isbe.save_checkpoint(path, tiny.net())


def exchanged(path):
    pytest.importorskip("safetensors", reason="the extra [safetensors] is not installed")
    isbe.save_safetensors(path, tiny.net())
    isbe.load_safetensors(path, tiny.net())


def trained(path):
    isbe.train(tiny.net(), isbe.Head(), tiny.dataset(), progress=False, checkpoint=path)
    assert newest(path) is not None


def swept(path):
    with tiny.Here() as executor:
        sweep(answer, {"a": {"seed": 1}}, path, executor)
    assert stored(path)["a"]["answer"] == {"seed": 1}


@pytest.mark.parametrize("write, read, made", [
    (saved, isbe.load_checkpoint, "a"), (saved, isbe.load_network, "a"), (exchanged, str, "a"),
    (trained, str, "a/checkpoint.npz"), (swept, str, "a/a.json"),
    (lambda path: cli.main(["explain", "--scores=1,2", "--target=0", f"--json={path}"]), str, "a"),
    (lambda path: cli.main(["explain", "--scores=1,2", "--target=0", f"--out={path}"]), str, "a/explain.png"),
], ids=["checkpoint", "network", "safetensors", "training", "sweep", "json", "out"])
def test_everything_that_writes_and_reads_goes_home(home, write, read, made):
    write("~/a")
    read("~/a")
    assert (home / made).is_file()


@pytest.mark.parametrize("read", [idx.read_images, idx.read_labels, lambda path: cifar.read(path, 1), isbe.load_network,
                                  lambda path: isbe.load_safetensors(path, tiny.net())],
                         ids=["images", "labels", "cifar", "network", "safetensors"])
def test_everything_that_reads_looks_at_home(home, read):
    with pytest.raises(FileNotFoundError, match=f"^{home}/none cannot be read: No such file"):
        read("~/none")


def actions(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions(command)
        else:
            yield action


def test_every_option_that_names_a_path_goes_home(home):
    """Also those that are still to come: no option makes a path itself."""
    every = list(actions(cli._parser()))
    assert not [action.dest for action in every if action.type in (Path, open) or isinstance(action.type, argparse.FileType)]
    paths = [action for action in every if action.metavar in ("DIR", "FILE", "OUT", "SUBMISSIONS") or action.dest == "folder"]
    assert len(paths) >= 15 and {str(action.type("~/a")) for action in paths} == {f"{home}/a"}


@pytest.mark.parametrize("given", ["--json=", "--json=~no_such_user/a", "--out="])
def test_an_option_that_is_no_path_is_refused_in_a_sentence(home, given, capsys):
    assert cli.main(["explain", "--scores=1,2", "--target=0", given]) == 2
    told = capsys.readouterr().err
    assert "expects the path of a f" in told and told.count("\n") == 1 and "Traceback" not in told


def test_the_figures_of_a_lesson_go_home(home, tmp_path, capsys):
    assert lessons._arguments(Path("lesson.py"), ["--out", "~/figures"]).out == home / "figures"
    with pytest.raises(SystemExit):
        lessons._arguments(Path("lesson.py"), ["--out="])
    assert capsys.readouterr().err == "lesson.py: --out expects the path of a folder; got ''. Name a folder.\n"
