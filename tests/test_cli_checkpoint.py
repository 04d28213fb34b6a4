"""`isbe train --checkpoint DIR --resume`: what stops it, its exit codes, and that it goes on as if nothing had been."""

import json
import os
import signal
import subprocess
import sys

import numba
import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np import cli, datasets
from isbe_np.training import checkpoint


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Commands that know tiny networks and data alone, in a folder of their own."""
    tiny.study(monkeypatch)
    monkeypatch.setattr(datasets, "load", lambda *_, **__: tiny.dataset())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(folder="run"):
    return isbe.load_network(f"{folder}/checkpoint.npz").values.tobytes()


def stop_at(monkeypatch, at, number):
    """Have step `at` of the next training send this process a signal."""
    step = isbe.SGD.step

    def stopping(self, net):
        step(self, net)
        if self.steps == at:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(isbe.SGD, "step", stopping)


@pytest.mark.parametrize("number, code, word", [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_a_signal_saves_and_the_exit_code_says_so(small, monkeypatch, capsys, number, code, word):
    assert cli.main(["train", "--net", "tiny", "--seed", "3", "--route", "fused", "--checkpoint", "whole"]) == 0
    with monkeypatch.context() as patch:
        stop_at(patch, 3, number)
        assert cli.main(["train", "--net", "tiny", "--seed", "3", "--route", "fused", "--checkpoint", "run"]) == code
    out = capsys.readouterr().out
    assert f"no epoch finished, 3 steps, 0.0 s in training, {word}" in out
    assert "Go on with: isbe train --checkpoint run --resume" in out
    assert isbe.load_checkpoint("run/checkpoint.npz").history.steps == 3

    assert cli.main(["train", "--checkpoint", "run", "--resume"]) == 0, "its options are known"
    assert "tiny on" in capsys.readouterr().out and values() == values("whole")


@pytest.mark.parametrize("resume", [False, True])
def test_a_signal_before_the_first_step(small, monkeypatch, capsys, resume):
    """As early as can be: the folder is held, and what decides the bits is being asked for."""
    from isbe_np.training import keeping
    if resume:
        with monkeypatch.context() as patch:
            stop_at(patch, 3, signal.SIGTERM)
            cli.main(["train", "--net", "tiny", "--checkpoint", "run"])
    digest = keeping.digest
    monkeypatch.setattr(keeping, "digest", lambda data: (os.kill(os.getpid(), signal.SIGTERM), digest(data))[1])
    capsys.readouterr()
    assert cli.main(["train", "--net", "tiny", "--checkpoint", "run", *(["--resume"] if resume else [])]) == 143
    assert "no step was made, terminated" in capsys.readouterr().out
    monkeypatch.undo()
    if resume:
        assert isbe.load_checkpoint(small / "run" / "checkpoint.npz").history.steps == 3


def test_options_may_be_repeated_and_not_changed(small, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_at(patch, 3, signal.SIGTERM)
        cli.main(["train", "--net", "tiny", "--checkpoint", "run"])
    for option, value in (("--seed", "1"), ("--batch-size", "5"), ("--net", "linear"), ("--route", "fused"), ("--epochs", "9"),
                          ("--learning-rate", "0.3"), ("--normalizer", "sigmoid")):
        capsys.readouterr()
        assert cli.main(["train", "--checkpoint", "run", "--resume", option, value]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"isbe train: --resume expects the options of the training in run, {option} ")
        assert err.endswith(f"; got {value}. Leave {option} out, or name another folder by --checkpoint.\n")
        assert err.count("\n") == 1
    assert cli.main(["train", "--checkpoint", "run", "--resume", "--drop-last"]) == 2
    assert "--drop-last not given; got True. Leave --drop-last out" in capsys.readouterr().err
    assert cli.main(["train", "--checkpoint", "run", "--resume", "--net", "tiny", "--seed", "0", "--batch-size", "6"]) == 0


def test_kernels_are_remembered_and_may_be_switched(small, monkeypatch, capsys, caplog):
    tiny.both_sets(monkeypatch)
    how = ["train", "--net", "tiny", "--kernels", "plain"]
    assert cli.main([*how, "--checkpoint", "whole"]) == 0
    for folder in ("run", "switched"):
        with monkeypatch.context() as patch:
            stop_at(patch, 3, signal.SIGTERM)
            assert cli.main([*how, "--checkpoint", folder]) == 143
    capsys.readouterr()
    assert cli.main(["train", "--checkpoint", "run", "--resume"]) == 0
    assert "plain kernels" in capsys.readouterr().out and values() == values("whole") and not caplog.records
    assert cli.main(["train", "--checkpoint", "switched", "--resume", "--kernels", "fast"]) == 0
    assert "fast kernels" in capsys.readouterr().out
    assert [record.message for record in caplog.records] == [
        "going on where something else is at work (kernel_set plain before and fast now): from here on results may be rounded "
        "otherwise."]
    np.testing.assert_allclose(isbe.load_network("switched/checkpoint.npz").values,
                               isbe.load_network("whole/checkpoint.npz").values, rtol=1e-4, atol=1e-6)


def test_dropping_the_last_batch_is_remembered(small, monkeypatch, capsys):
    how = ["train", "--net", "tiny", "--batch-size", "10", "--drop-last"]
    assert cli.main([*how, "--checkpoint", "whole"]) == 0 and "4 steps" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        stop_at(patch, 3, signal.SIGTERM)
        assert cli.main([*how, "--checkpoint", "run"]) == 143
    assert cli.main(["train", "--checkpoint", "run", "--resume"]) == 0 and values() == values("whole")


def test_more_epochs_at_a_constant_rate(small):
    how = ["train", "--net", "tiny", "--schedule", "constant"]
    assert cli.main([*how, "--checkpoint", "whole", "--epochs", "4"]) == cli.main([*how, "--checkpoint", "run"]) == 0
    assert cli.main(["train", "--checkpoint", "run", "--resume", "--epochs", "4"]) == 0 and values() == values("whole")


def test_without_resume_nothing_is_overwritten(small, capsys):
    assert cli.main(["train", "--net", "tiny", "--checkpoint", "run"]) == 0
    before = values()
    assert cli.main(["train", "--net", "tiny", "--checkpoint", "run", "--seed", "1"]) == 2
    assert "isbe train: train(checkpoint) expects a new folder; run holds a checkpoint already" in capsys.readouterr().err
    assert values() == before


def test_resume_needs_a_folder(small, capsys):
    assert cli.main(["train", "--net", "tiny", "--resume"]) == 2
    assert "expects a folder to go on from" in capsys.readouterr().err


def test_a_checkpoint_that_cannot_be_written_is_told_at_the_end(small, monkeypatch, capsys):
    from isbe_np.storage import archive
    write, written = archive.write, []

    def full(*given):
        if written:
            raise OSError(28, "No space left on device")
        written.append(1)
        return write(*given)

    monkeypatch.setattr(archive, "write", full)
    assert cli.main(["train", "--net", "tiny", "--checkpoint", "run", "--json", "a.json"]) == 1
    told = capsys.readouterr()
    assert "test accuracy" in told.out and "could not be written to run (No space left on device)" in told.err
    assert "could not be written" in json.loads((small / "a.json").read_text())["history"]["unsaved"]


def test_info_tells_what_a_checkpoint_holds(small, capsys):
    cli.main(["train", "--net", "tiny", "--checkpoint", "run"])
    capsys.readouterr()
    assert cli.main(["info", "--checkpoint", "run/checkpoint.npz", "--json", "a.json"]) == 0
    out = capsys.readouterr().out
    for part in ("dense_2", "67 parameters", "SGD(learning_rate=0.1", "epochs     2", "steps      8", "'net': 'tiny'", "numpy"):
        assert part in out
    told = json.loads((small / "a.json").read_text())
    assert told["accuracy"].endswith("%") and told["environment"]["numpy"] == np.__version__


def test_info_takes_the_folder_of_a_training_too(small, capsys):
    cli.main(["train", "--net", "tiny", "--checkpoint", "run"])
    capsys.readouterr()
    assert cli.main(["info", "--checkpoint", "run"]) == 0 and "67 parameters" in capsys.readouterr().out
    assert cli.main(["info", "--checkpoint", "run", "--batch", "5"]) == 2
    assert "neither --net nor --batch" in capsys.readouterr().err


def test_the_command_to_go_on_by_is_whole(small, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_at(patch, 3, signal.SIGTERM)
        assert cli.main(["train", "--net", "tiny", "--checkpoint", "my run", "--data-dir", "my data"]) == 143
    assert "Go on with: isbe train --checkpoint 'my run' --resume --data-dir 'my data'" in capsys.readouterr().out
    assert cli.main(["train", "--checkpoint", "my run", "--resume", "--data-dir", "my data"]) == 0
    assert "going on at epoch 1, batch 4" in capsys.readouterr().out


def test_info_of_what_is_none(small, capsys):
    (small / "a.npz").write_bytes(b"PK")
    for more in ([], ["--net", "tiny"]):
        assert cli.main(["info", "--checkpoint", "a.npz", *more]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    isbe.save_checkpoint("b.npz", tiny.net())
    assert cli.main(["info", "--checkpoint", "b.npz"]) == 0


def test_a_note_of_somebody_else_decides_nothing(small, capsys):
    """What a checkpoint calls its options goes the way of options that are typed."""
    net, optimizer = tiny.net(), isbe.SGD(0.1, momentum=0.9)
    for note in (["a", "list"], {"net": "os.system"}, {"data": 5, "seed": "0"}):
        isbe.train(net, isbe.Head(), tiny.dataset(), optimizer=optimizer, checkpoint="run", note=note, progress=False)
        assert cli.main(["train", "--checkpoint", "run", "--resume"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        for path in os.listdir("run"):
            os.unlink(f"run/{path}")
        optimizer = isbe.SGD(0.1, momentum=0.9)


@pytest.mark.exhaustive
@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="it trains a real network, which takes minutes without the compiler")
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_real_process_is_terminated_and_resumed(tmp_path):
    """Through the shell's own door, on a real network."""
    def isbe_train(*more):
        return subprocess.Popen([sys.executable, "-m", "isbe_np", "train", "--net", "n0", "--epochs", "2", "--checkpoint",
                                 "run", *more], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})

    first = isbe_train()
    while not (line := first.stderr.readline()).startswith("epoch   1"):
        assert line, first.communicate()
    first.send_signal(signal.SIGTERM)
    out, _ = first.communicate(timeout=100)
    # It may have been at its very end.
    assert (first.returncode == 143 and "terminated" in out) or first.returncode == 0
    second = isbe_train("--resume")
    out, err = second.communicate(timeout=100)
    assert second.returncode == 0 and "158 steps" in out, err
    found = isbe.load_checkpoint(tmp_path / "run" / "checkpoint.npz")
    assert found.history.steps == 158 and np.isfinite(found.net.values).all()


def test_info_takes_the_checkpoint_before_where_it_is_alone(small, capsys):
    """As after a crash on a file system without links."""
    cli.main(["train", "--net", "tiny", "--checkpoint", "run"])
    capsys.readouterr()
    os.remove("run/checkpoint.npz")
    assert cli.main(["info", "--checkpoint", "run"]) == 0
    assert "epochs     1" in capsys.readouterr().out  # that after the first of two epochs
    assert cli.main(["train", "--checkpoint", "run", "--resume"]) == 0 and values()
    assert "tiny on" in capsys.readouterr().out, "by its options"


def test_info_shows_nothing_that_steers_a_terminal(small, capsys):
    steers = "so\x1b[2J\x07\n\u202e\x9b1m"
    net = isbe.Sequential((1, 2, 2), isbe.Flatten(name=steers), isbe.Dense(3, name="b" + steers))
    checkpoint.write(small / "a.npz", net, isbe.Head(), isbe.SGD(0.1), None, steers,
                     environment={steers: steers, "cpu": steers})
    assert cli.main(["info", "--checkpoint", "a.npz"]) == 0
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n")) and out.count(r"so\x1b[2J\x07\n\u202e\x9b1m") >= 6
    isbe.save_checkpoint("b.npz", net, note=["x" * 10**5])
    assert cli.main(["info", "--checkpoint", "b.npz"]) == 0 and max(map(len, capsys.readouterr().out.split("\n"))) < 1100


def test_a_note_of_somebody_else_steers_no_terminal(small, capsys):
    cli.main(["train", "--net", "tiny", "--checkpoint", "run"])
    capsys.readouterr()
    whole = (small / "run/checkpoint.npz").read_bytes()
    for option in ("net", "data", "normalizer", "route", "schedule", "epochs", "learning_rate", "augment", "seed"):
        (small / "run/checkpoint.npz").write_bytes(whole)
        tiny.changed("run/checkpoint.npz", lambda facts, option=option: facts["note"].update({option: "\x1b[2J\n"}))
        cli.main(["train", "--checkpoint", "run", "--resume"])
        told = capsys.readouterr()
        assert all(line.isprintable() for line in (told.out + told.err).split("\n")), option


@pytest.mark.parametrize("seconds, written", [("0", 9), ("1000", 3)])
def test_the_seconds_between_checkpoints_are_handed_on(small, monkeypatch, seconds, written):
    """Four steps an epoch, two epochs, and the start."""
    from isbe_np.storage import archive
    write, count = archive.write, []
    monkeypatch.setattr(archive, "write", lambda *given: count.append(1) or write(*given))
    assert cli.main(["train", "--net", "tiny", "--checkpoint", "run", "--checkpoint-seconds", seconds]) == 0
    assert len(count) == written
