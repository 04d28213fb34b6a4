"""Every subcommand and option, its files and exit codes, and one sentence on standard error for whatever goes wrong."""

import io
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np import cli, datasets
from isbe_np.cli import machine
from isbe_np.heads import routes
from isbe_np.training import SCHEDULES

CODE = Path(__file__).parents[1]
COMPARE = ["compare", "--net", "tiny", "--batch-size", "6", "--rounds", "2"]
TRAIN = ["train", "--net", "tiny", "--data", "digits"]


class Here:
    """Stands in for a pool of processes: runs what is submitted at once."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *given):
        future = Future()
        future.set_result(function(*given))
        return future


@pytest.fixture
def small(monkeypatch):
    """Tiny networks, and three heaps in place of the digits; `small.asked` is what data were asked for."""
    tiny.study(monkeypatch)
    monkeypatch.setattr("isbe_np.executors.ProcessPoolExecutor", Here)
    asked, load = {}, datasets.load

    def loaded(name, data_dir=None, **options):
        if name != "digits":
            return load(name, data_dir, **options)
        asked.update(options, data_dir=data_dir)
        return tiny.dataset()

    monkeypatch.setattr(datasets, "load", loaded)
    monkeypatch.delenv("ISBE_DEBUG", raising=False)
    return SimpleNamespace(asked=asked)


@pytest.fixture
def refused(capsys):
    """refused(*arguments): the one sentence with which a command refuses, exit code 2."""
    def run(*arguments, code=2):
        assert cli.main([str(part) for part in arguments]) == code
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and lines[0].startswith(f"isbe {arguments[0]}: ") and "Traceback" not in lines[0]
        return lines[0]
    return run


def run(*arguments, **environment):
    """The command in a process of its own."""
    return subprocess.run([sys.executable, "-W", "error", "-m", "isbe_np", *map(str, arguments)], capture_output=True,
                          text=True, cwd=CODE, env={**os.environ, **environment}, timeout=300)


def interrupted_after(steps):
    """A schedule that raises the signal of Ctrl-C after so many steps."""
    calls = []

    def schedule(done):
        if len(calls) == steps:
            os.kill(os.getpid(), signal.SIGINT)
        calls.append(done)
        return 1.0
    return schedule


# train


def test_train_reports_on_stdout_and_progress_on_stderr(small, capsys):
    assert cli.main(TRAIN) == 0
    out, err = capsys.readouterr()
    assert out.startswith("tiny on Three heaps.\n") and "epochs 2, batch size 6, learning rate 0.1" in out
    assert "test accuracy " in out and "8 steps" in out and len(err.splitlines()) == 2


def test_train_takes_every_option_and_writes_it_down(small, tmp_path, capsys):
    file = tmp_path / "result.json"
    assert cli.main([*TRAIN, "--normalizer", "sigmoid", "--route", "fused", "--epochs", "3", "--batch-size", "10", "--seed",
                     "4", "--learning-rate", "0.02", "--weight-decay", "0.001", "--schedule", "constant", "--loss",
                     "--data-dir", str(tmp_path), "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["head"].startswith("Head('sigmoid', route='fused'") and found["network"] == "tiny"
    assert (found["epochs"], found["batch_size"], found["seed"]) == (3, 10, 4)
    assert (found["learning_rate"], found["weight_decay"], found["schedule"]) == (0.02, 0.001, "constant")
    history = found["history"]
    assert history["steps"] == 9 and len(history["accuracy"]) == len(history["loss"]) == 3
    assert found["environment"]["numpy"] == np.__version__ and small.asked["data_dir"] == tmp_path
    assert os.listdir(tmp_path) == ["result.json"] and f"Results are in {file}" in capsys.readouterr().out


def test_train_is_the_training_of_the_library(small, tmp_path):
    cli.main([*TRAIN, "--seed", "3", "--json", str(tmp_path / "a.json")])
    history = isbe.train(tiny.net(seed=3), isbe.Head(), tiny.dataset(), 2, 6, isbe.SGD(0.1, momentum=0.9), 3,
                         "warm_up_and_decay", progress=False)
    found = json.loads((tmp_path / "a.json").read_text())["history"]
    assert found["gradient_norm"] == history.gradient_norm and found["accuracy"] == history.accuracy


@pytest.mark.parametrize("kernels", isbe.KERNELS)
def test_train_computes_with_the_kernels_it_is_given(small, monkeypatch, tmp_path, capsys, kernels):
    tiny.both_sets(monkeypatch)
    used = {}
    tiny.watch(monkeypatch, "isbe_np.cli.training", "train", used)
    assert cli.main([*TRAIN, "--kernels", kernels, "--json", str(tmp_path / "a.json")]) == 0
    assert used == {"train": {kernels}} and f"seed 0, {kernels} kernels" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["kernels"] == kernels


def test_no_loss_unless_asked_for(small, monkeypatch):
    monkeypatch.setattr(isbe.Head, "loss", lambda *_: pytest.fail("the loss was computed"))
    assert cli.main(TRAIN) == 0


def test_ctrl_c_in_training_writes_what_there_is(small, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(SCHEDULES, "constant", interrupted_after(6))
    file = tmp_path / "a.json"
    assert cli.main([*TRAIN, "--schedule", "constant", "--epochs", "5", "--json", str(file)]) == 130
    history = json.loads(file.read_text())["history"]
    assert history["stopped"] == "interrupted" and history["steps"] == 6 and len(history["accuracy"]) == 1
    assert "interrupted" in capsys.readouterr().out


def test_ctrl_c_before_the_first_epoch_is_done(small, monkeypatch, capsys):
    monkeypatch.setitem(SCHEDULES, "constant", interrupted_after(1))
    assert cli.main([*TRAIN, "--schedule", "constant"]) == 130
    assert "no epoch finished, 1 steps" in capsys.readouterr().out


def test_ctrl_c_elsewhere_is_one_line(small, monkeypatch, refused):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "load", interrupt)
    assert refused("train", "--net", "tiny", code=130) == "isbe train: interrupted."


@tiny.plain_python_warns
def test_a_diverged_training_is_diagnosed(small, tmp_path, capsys):
    file = tmp_path / "a.json"
    assert cli.main([*TRAIN, "--learning-rate", "1e25", "--json", str(file)]) == 1
    out, err = capsys.readouterr()
    assert "Training stopped at step " in err and "learning rate" in err and "Traceback" not in err
    history = json.loads(file.read_text())["history"]
    assert history["stopped"] == "diverged" and history["diagnosis"] in err and "test accuracy" not in out


@pytest.mark.parametrize(("arguments", "words"), [
    (["--net", "tinny"], "--net expects one of 'tiny', 'linear'; got 'tinny'. Did you mean 'tiny'?"),
    (["--normalizer", "sofmax"], "Did you mean 'softmax'?"),
    (["--route", "isb"], "Did you mean 'isbe'?"),
    (["--kernels", "slow"], "--kernels expects one of 'plain', 'fast'; got 'slow'."),
    (["--data", "mnits"], "Did you mean 'mnist'?"),
    (["--schedule", "constnat"], "--schedule expects one of 'constant', 'warm_up_and_decay'; got 'constnat'. Did you"),
    (["--epochs", "-1"], "--epochs: expects a whole number of at least 1; got -1"),
    (["--epochs", "0"], "--epochs: expects a whole number of at least 1; got 0"),
    (["--batch-size", "0"], "--batch-size: expects a whole number of at least 1; got 0"),
    (["--learning-rate", "nan"], "learning_rate) expects a number from 0 to below inf; got nan"),
    (["--learning-rate", "-1"], "learning_rate) expects a number from 0 to below inf; got -1"),
    (["--weight-decay", "inf"], "weight_decay) expects a number from 0 to below inf; got inf"),
    (["--seed", "-1"], "seed) expects a whole number of at least 0; got -1"),
    (["--normalizer", "hardtanh", "--route", "jacobian"], "route 'jacobian' differentiates a loss"),
])
def test_train_refuses_in_one_sentence_that_names_the_culprit(small, refused, tmp_path, arguments, words):
    assert words in refused(*TRAIN, *arguments, "--json", tmp_path / "a.json")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("arguments", [["--epochs", "two"], ["--learning-rate", "fast"], ["--speed", "9"]])
def test_what_is_no_number_or_no_option_is_refused_by_the_parser(arguments, capsys):
    assert cli.main([*TRAIN, *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_missing_files_are_named_with_what_to_do(small, refused, tmp_path, monkeypatch):
    monkeypatch.setenv("ISBE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ISBE_DATA_DIR", raising=False)
    sentence = refused("train", "--net", "tiny", "--data", "mnist", "--data-dir", tmp_path)
    assert "train-images-idx3-ubyte.gz" in sentence and str(tmp_path) in sentence and "isbe data fetch mnist" in sentence


# compare


def test_compare_prints_five_tables_and_what_they_mean(small, capsys):
    assert cli.main([*COMPARE, "--images", "24", "12"]) == 0
    out, err = capsys.readouterr()
    for part in ("1. Do the routes agree?", "2. What does the head cost?", "3. What does a training step cost?",
                 "4. The second switch", "5. Do two of them train alike?", "What this says\n\n- The routes agree: "):
        assert part in out
    assert len(err.splitlines()) == 4 and small.asked["train"] == 24 and small.asked["test"] == 12


def test_compare_writes_json_and_figures(small, tmp_path, capsys):
    file, folder = tmp_path / "a.json", tmp_path / "new" / "figures"
    assert cli.main([*COMPARE, "--routes", "jacobian", "fused", "--epochs", "1", "--seed", "5", "--json", str(file),
                     "--out", str(folder)]) == 0
    found = json.loads(file.read_text())
    assert [twin["route"] for twin in found["twins"]] == ["jacobian", "fused"] and found["seed"] == 5
    assert "seed" not in small.asked and len(found["twins"][0]["history"]["accuracy"]) == 1
    assert sorted(os.listdir(folder)) == ["agreement.png", "cost.png", "training.png"]
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in os.listdir(folder))
    assert sorted(os.listdir(tmp_path)) == ["a.json", "new"] and str(folder / "cost.png") in capsys.readouterr().out


def test_compare_of_a_wrong_route_ends_with_1(small, monkeypatch, capsys):
    send = routes.SEND["fused"]

    def off(head, y, t, e):
        send(head, y, t, e)
        e *= e.dtype.type(1.001)

    monkeypatch.setitem(routes.SEND, "fused", off)
    assert cli.main(COMPARE) == 1
    assert "The routes do NOT agree" in capsys.readouterr().out


def test_compare_of_wrong_kernels_ends_with_1(small, monkeypatch, capsys):
    tiny.both_sets(monkeypatch)
    tiny.wrong_bias(monkeypatch)
    assert cli.main(COMPARE) == 1
    out = capsys.readouterr().out
    assert "Plain and fast kernels do NOT agree" in out and "The routes agree" in out


@pytest.mark.parametrize("kernels", isbe.KERNELS)
def test_compare_computes_with_the_kernels_it_is_given(small, monkeypatch, tmp_path, capsys, kernels):
    tiny.both_sets(monkeypatch)
    used = {}
    for name in ("agreement", "step_costs", "train"):
        tiny.watch(monkeypatch, "isbe_np.studies.compare", name, used)
    assert cli.main([*COMPARE, "--kernels", kernels, "--json", str(tmp_path / "a.json")]) == 0
    assert used == {name: {kernels} for name in ("agreement", "step_costs", "train")}
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["kernels"] == kernels and f"seed 0, {kernels} kernels\n" in capsys.readouterr().out
    assert [cost["kernels"] for cost in found["switched"]["costs"][1]["costs"]] == ["plain", "fast", "fast again"]


@tiny.plain_python_warns
def test_compare_of_a_diverged_training_ends_with_1(small, monkeypatch, capsys):
    monkeypatch.setattr("isbe_np.studies.compare.SGD", lambda *_, **__: isbe.SGD(1e30))
    assert cli.main([*COMPARE, "--epochs", "2"]) == 1
    assert "by route isbe: Training stopped at step " in capsys.readouterr().err


def test_ctrl_c_in_compare_writes_what_there_is(small, monkeypatch, tmp_path):
    monkeypatch.setitem(SCHEDULES, "warm_up_and_decay", interrupted_after(5))
    file = tmp_path / "a.json"
    assert cli.main([*COMPARE, "--json", str(file), "--out", str(tmp_path)]) == 130
    twins = json.loads(file.read_text())["twins"]
    assert len(twins) == 1 and twins[0]["history"]["steps"] == 5 and len(twins[0]["history"]["accuracy"]) == 1
    assert (tmp_path / "training.png").stat().st_size > 1000


def test_a_terminal_without_greek_letters_loses_no_results(small, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert cli.main(COMPARE) == 0
    sys.stdout.seek(0)
    assert "median us" in sys.stdout.read()


@pytest.mark.parametrize(("arguments", "words"), [
    (["--net", "leenet5"], "--net expects one of 'tiny', 'linear'; got 'leenet5'"),
    (["--routes", "isbe", "fusd"], "got 'fusd'. Did you mean 'fused'?"),
    (["--kernels", "plian"], "--kernels expects one of 'plain', 'fast'; got 'plian'. Did you mean 'plain'?"),
    (["--data", "digit"], "got 'digit'. Did you mean 'digits'?"),
    (["--epochs", "-1"], "--epochs: expects a whole number of at least 1; got -1"),
    (["--batch-size", "0"], "--batch-size: expects a whole number of at least 1; got 0"),
    (["--rounds", "1"], "rounds expects a whole number of at least 2; got 1"),
])
def test_compare_refuses_in_one_sentence_that_names_the_culprit(small, refused, tmp_path, arguments, words):
    assert words in refused(*COMPARE, *arguments, "--json", tmp_path / "a.json")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("images", [("0", "10"), ("10", "-3")])
def test_no_images_are_refused(refused, images, monkeypatch):
    monkeypatch.delenv("ISBE_DEBUG", raising=False)
    assert "expects a whole number of at least 1" in refused("compare", "--images", *images)


# Where results go


@pytest.mark.parametrize("command", [TRAIN, COMPARE, ["info"], ["data", "list"]], ids=lambda command: command[0])
def test_a_folder_that_is_none_is_refused_before_anything_runs(small, refused, tmp_path, command, monkeypatch):
    monkeypatch.setattr(datasets, "load", lambda *_, **__: pytest.fail("it ran"))
    plain = tmp_path / "plain"
    plain.write_text("kept")
    for file in (tmp_path / "none" / "a.json", plain / "a.json", "/proc/a.json"):
        sentence = refused(*command, "--json", file)
        assert f"--json expects a folder that can be written; {Path(file).parent} is none" in sentence
    assert "is a folder. Name another." in refused(*command, "--json", tmp_path)
    assert os.listdir(tmp_path) == ["plain"] and plain.read_text() == "kept"


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no /dev/null")
def test_a_device_is_not_replaced_by_a_file(refused):
    assert "--json expects the name of a file; /dev/null is a device" in refused("info", "--json", "/dev/null")


def test_figures_need_a_folder_that_can_be_written(small, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "load", lambda *_, **__: pytest.fail("it ran"))
    plain = tmp_path / "plain"
    plain.write_text("kept")
    for folder in (plain, plain / "below", "/proc/figures", "/proc"):
        assert f"--out expects a folder that can be written; {folder}" in refused(*COMPARE, "--out", folder)
    assert plain.read_text() == "kept"


@pytest.mark.parametrize("fault", [KeyboardInterrupt, MemoryError, OSError])
def test_a_run_that_fails_leaves_an_older_result_alone(small, tmp_path, monkeypatch, fault):
    def fail(*_, **__):
        raise fault("no more")

    file = tmp_path / "a.json"
    file.write_text("older")
    monkeypatch.setattr("isbe_np.studies.compare.step_costs", fail)
    assert cli.main([*COMPARE, "--json", str(file)]) == (130 if fault is KeyboardInterrupt else 2)
    assert file.read_text() == "older" and os.listdir(tmp_path) == ["a.json"]


# data and info


def test_data_list(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ISBE_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("ISBE_DATA_DIR", raising=False)
    assert cli.main(["data", "list", "--json", str(tmp_path / "a.json")]) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert set(found) == set(datasets.NAMES) and found["mnist"]["found"] is None
    out = capsys.readouterr().out
    assert all(name in out for name in datasets.NAMES) and "not here" in out


def test_data_verify(monkeypatch, tmp_path, capsys):
    assert cli.main(["data", "verify", "digits"]) == 0 and "needs no files" in capsys.readouterr().out
    reports = [datasets.FileReport(tmp_path / name, True, ok, "a", "a" if ok else "b", f"{name} is here")
               for name, ok in (("x", True), ("y", False))]
    monkeypatch.setattr(datasets, "verify", lambda name, data_dir: reports)
    assert cli.main(["data", "verify", "mnist", "--json", str(tmp_path / "a.json")]) == 1
    assert [r["ok"] for r in json.loads((tmp_path / "a.json").read_text()).values()] == [True, False]
    monkeypatch.setattr(datasets, "verify", lambda name, data_dir: reports[:1])
    assert cli.main(["data", "verify", "mnist"]) == 0


def test_data_fetch_fetches_and_then_verifies(monkeypatch, tmp_path, capsys):
    called = []
    monkeypatch.setattr(datasets, "fetch", lambda *given: called.append(("fetch", *given)) or [tmp_path / "x"])
    monkeypatch.setattr(datasets, "verify", lambda *given: called.append(("verify", *given)) or [])
    assert cli.main(["data", "fetch", "mnist", "--data-dir", str(tmp_path)]) == 0
    assert called == [("fetch", "mnist", tmp_path), ("verify", "mnist", tmp_path)]
    assert str(tmp_path / "x") in capsys.readouterr().out


@pytest.mark.parametrize("fault", [OSError("no mirror answered"), RuntimeError("no home folder"), ImportError("no module")])
def test_a_failed_download_is_one_sentence(monkeypatch, refused, fault):
    def fail(*_):
        raise fault

    monkeypatch.setattr(datasets, "fetch", fail)
    assert refused("data", "fetch", "mnist") == f"isbe data: {fault}"


@pytest.mark.parametrize("action", ["fetch", "verify"])
def test_data_needs_a_name_that_exists(refused, action):
    assert "expects the name of a data set, one of digits, mnist" in refused("data", action)
    assert "Did you mean 'mnist'?" in refused("data", action, "mnits")


def test_info(tmp_path, capsys):
    assert cli.main(["info", "--json", str(tmp_path / "a.json")]) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    out = capsys.readouterr().out
    assert found["numpy"] == np.__version__ and found["matplotlib"] == matplotlib.__version__
    assert all(name in out and str(value) in out for name, value in found.items())


def test_info_of_a_network(tmp_path, capsys):
    assert cli.main(["info", "--net", "lenet5", "--batch", "3", "--json", str(tmp_path / "a.json")]) == 0
    found, out, net = json.loads((tmp_path / "a.json").read_text()), capsys.readouterr().out, isbe.networks.lenet5()
    memory = net.memory(3)
    assert out.startswith(net.summary() + "\n\nMemory of a training step, batch of 3\n")
    shown = {line.split()[0]: line.split()[-1] for line in out.splitlines()[-8:] if line[0] in "psvewt"}
    assert found["memory"] == {**vars(memory), "total": memory.total}
    assert (found["network"], found["batch_size"]) == ("lenet5", 3)
    assert all(shown[part] == f"{count / 1e6:,.2f}" for part, count in found["memory"].items())
    assert set(machine.PARTS) == set(vars(memory)) and "numpy" not in out and found["environment"]["numpy"] == np.__version__


def test_info_of_a_network_counts_the_batch_of_its_recipe(small, capsys):
    assert cli.main(["info", "--net", "tiny"]) == 0
    assert "Memory of a training step, batch of 6\n" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "words"), [
    (["--net", "tinny"], "--net expects one of 'tiny', 'linear'; got 'tinny'. Did you mean 'tiny'?"),
    (["--batch", "5"], "there is no --net; got 5. Add --net, one of tiny, linear."),
    (["--net", "tiny", "--batch", "0"], "--batch-size: expects a whole number of at least 1; got 0"),
    (["--net", "tiny", "--batch", "x"], "--batch-size: expects a whole number of at least 1; got x"),
])
def test_info_refuses_in_one_sentence_that_names_the_culprit(small, refused, tmp_path, arguments, words):
    assert words in refused("info", *arguments, "--json", tmp_path / "a.json")
    assert os.listdir(tmp_path) == []


def test_debugging_shows_the_traceback(small, monkeypatch):
    monkeypatch.setenv("ISBE_DEBUG", "1")
    with pytest.raises(ValueError, match="Did you mean"):
        cli.main([*TRAIN, "--net", "tinny"])


# In a process of its own


@pytest.mark.parametrize("command", [[], ["compare"], ["train"], ["study"], ["data"], ["warmup"], ["info"]], ids=" ".join)
def test_every_command_has_help(command, capsys):
    assert cli.main([*command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: isbe") and "None" not in out


def test_the_module_runs_as_a_command(tmp_path):
    done = run("info", "--json", tmp_path / "a.json")
    assert done.returncode == 0 and done.stderr == "" and json.loads((tmp_path / "a.json").read_text())["python"]


def test_a_mistake_is_one_sentence_in_a_process_too():
    done = run("train", "--net", "lenet", ISBE_DEBUG="")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == ("isbe train: --net expects one of 'n0', 'n1', 'lenet5', 'n2', 'resnet', 'transformer'; got "
                           "'lenet'. Did you mean 'lenet5'?\n")


def test_no_command_shows_the_help_and_is_an_error_of_usage():
    done = run()
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
    assert done.stderr.startswith("usage: isbe ") and "isbe explain --scores 2,1,0.1 --target 0" in done.stderr


def test_importing_the_package_draws_in_no_plotting_and_no_downloader():
    # Numba draws in scipy itself where that is installed.
    program = "import sys, numba; before = set(sys.modules); import isbe_np; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, cwd=CODE,
                            check=True).stdout.split()
    assert "isbe_np" in loaded and not {"matplotlib", "safetensors", "torch", "scipy"} & {name.split(".")[0] for name in loaded}
    assert not {"http.client", "urllib.request"} & set(loaded)
