"""A terminal's width and its characters: every command's help and output is readable in each encoding, and never a crash."""

import contextlib
import io
import os
import subprocess
import sys

import pytest

from isbe_np import cli, terminal
from isbe_np.cli.examples import EXAMPLES
from isbe_np.cli.parser import Commands, Parser
from isbe_np.training.progress import Progress, Stages

COMMANDS = [name for name in EXAMPLES if name != "isbe"]
HELP = [["--help"], *([name, "--help"] for name in COMMANDS)]
EXPLAIN = ["explain", "--scores", "2,1,0.1", "--target", "0", "--loss", "squared"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, encoding, arguments):
    """What a stream of that encoding shows, and the exit code."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    code = cli.main(arguments)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding), code


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
@pytest.mark.parametrize("arguments", [*HELP, EXPLAIN, ["data", "list"]], ids=" ".join)
def test_a_terminal_of_another_encoding_shows_everything(monkeypatch, encoding, arguments):
    text, code = shown(monkeypatch, encoding, arguments)
    assert code == 0 and len(text) > 100 and "?" not in text.replace("agree?", "")


@pytest.mark.parametrize(("encoding", "text"), [
    ("utf-8", "median µs ± 2 ’C² → η −1 \U0001f600"), ("latin-1", "median µs ± 2 'C² -> eta -1 ?"),
    ("ascii", "median us +/- 2 'C^2 -> eta -1 ?")])
def test_characters_are_replaced_by_readable_ones(monkeypatch, encoding, text):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.make_readable()
    print("median µs ± 2 ’C² → η −1 \U0001f600", end="", flush=True)
    assert stream.buffer.getvalue().decode(encoding) == text


@pytest.mark.exhaustive
def test_a_process_with_a_plain_locale_shows_its_help():
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for setting in (plain, {"PYTHONIOENCODING": "latin-1"}):
        done = subprocess.run([sys.executable, "-m", "isbe_np", "study", "--help"], capture_output=True,
                              env={**os.environ, **setting}, timeout=120)
        assert done.returncode == 0 and done.stderr == b"" and b"(the study's own)" in done.stdout


@pytest.mark.parametrize(("given", "width"), [("100", 100), ("80", 80), ("250", 100), ("10", 40), ("wide", 100), ("", 100)])
def test_columns_are_those_of_the_terminal_up_to_100(monkeypatch, given, width):
    monkeypatch.setenv("COLUMNS", given)
    monkeypatch.setattr(sys, "__stdout__", io.StringIO())  # no terminal
    assert terminal.columns() == width


@pytest.mark.parametrize("width", [100, 80, 60])
@pytest.mark.parametrize("arguments", [*HELP, EXPLAIN, ["info"], ["cache", "info"]], ids=" ".join)
def test_no_line_of_help_or_of_a_sentence_is_wider_than_the_terminal(monkeypatch, capsys, width, arguments):
    monkeypatch.setenv("COLUMNS", str(width))
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    help, _, examples = out.partition("\nexamples:\n")  # an example is one line, to be copied
    # a path is a word, which stays whole
    assert all(len(line) <= width for line in help.splitlines() if os.sep not in line or " " in line.split("  ")[-1])
    assert max(map(len, examples.splitlines()), default=0) < 80


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["compar"], "isbe: there is no command 'compar'. Did you mean compare? See isbe --help."),
    (["TRAIN"], "isbe: there is no command 'TRAIN'. Did you mean train? See isbe --help."),
    (["xyzzy"], "isbe: there is no command 'xyzzy'. See isbe --help."),
    (["train", "--epoch", "3"], "isbe train: there is no option --epoch. Did you mean --epochs? See isbe train --help."),
    (["train", "--epoch=3"], "isbe train: there is no option --epoch. Did you mean --epochs? See isbe train --help."),
    (["train", "--dat", "mnist"],
     "isbe train: there is no option --dat. Did you mean --data or --data-dir? See isbe train --help."),
    (["train", "--lr", "1"], "isbe train: there is no option --lr. Did you mean --learning-rate? See isbe train --help."),
    (["train", "-epochs", "3"], "isbe train: there is no option -epochs. Did you mean --epochs? See isbe train --help."),
    (["explain", "--score", "1,2"],
     "isbe explain: there is no option --score. Did you mean --scores? See isbe explain --help."),
    (["train", "--zzz"], "isbe train: there is no option --zzz. See isbe train --help."),
    (["--verison"], "isbe: there is no option --verison. Did you mean --version? See isbe --help."),
    (["--data", "mnist", "train"],
     "isbe: there is no option --data before a command. Options come after it, as in isbe train --epochs 3. See isbe --help."),
    (["train", "more"], "isbe train: unrecognized arguments: more. See isbe train --help."),
    (["data", "fetsch"], "isbe data: argument action: expects one of fetch, verify, list; got 'fetsch'. Did you mean fetch? "
     "See isbe data --help."),
])
def test_what_is_mistyped_is_refused_with_what_was_probably_meant(capsys, arguments, sentence):
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err == sentence + "\n"


def test_numbers_below_0_are_no_options(capsys):
    assert cli.main(["explain", "--scores", "-1,2", "--target", "0"]) == 0
    assert "Did you mean" not in capsys.readouterr().err


def test_the_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "isbe 0.1.0\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_of_a_command_s_help_is_one(name, capsys):
    assert cli.main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert EXAMPLES[name] and all(f"\n  {line}\n" in out for line in EXAMPLES[name])
    for line in EXAMPLES[name]:
        assert cli._parser().parse_args(line.split()[1:]).command == name


def test_a_command_without_examples_cannot_be_added():
    with pytest.raises(KeyError):
        Commands(Parser(prog="isbe")).add_parser("another", "what it does")


def test_output_that_nobody_reads_any_more_is_no_error():
    program = "import sys; from isbe_np.cli import main; sys.exit(main(['study', '--help'] if 0 else sys.argv[1:]))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", program, *EXPLAIN], stdout=write, stderr=subprocess.PIPE, timeout=120)
    os.close(write)
    assert done.returncode == 141 and done.stderr == b""


@pytest.mark.exhaustive
@pytest.mark.parametrize(("given", "said"), [
    ("nonsense", True), ("module://nosuch.thing", True), ("tkagg", False)])
def test_a_backend_that_is_not_installed_gives_way_to_agg_and_is_told_once(tmp_path, given, said):
    done = subprocess.run([sys.executable, "-W", "error", "-m", "isbe_np", *EXPLAIN, "--out", str(tmp_path)], text=True,
                          capture_output=True, env={**os.environ, "MPLBACKEND": given}, timeout=120)
    assert done.returncode == 0 and (tmp_path / "explain.png").read_bytes().startswith(b"\x89PNG")
    wanted = f"isbe explain: MPLBACKEND is {given!r}, and matplotlib finds no such backend here. Figures are drawn by Agg."
    assert done.stderr.count("MPLBACKEND is") == said and done.stderr.startswith(wanted if said else "")


def test_a_command_that_draws_nothing_does_not_ask_for_a_backend():
    done = subprocess.run([sys.executable, "-m", "isbe_np", *EXPLAIN], capture_output=True,
                          env={**os.environ, "MPLBACKEND": "nonsense"}, timeout=120)
    assert done.returncode == 0 and done.stderr == b""


def test_a_stage_is_named_at_once_on_a_terminal_and_taken_away(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Stages("compare", total=2) as stages:
        stages.begin("do the routes agree")
        assert "compare 1/2: do the routes agree ..." in screen.getvalue()
        stages.begin("what does the head cost")
        assert "compare 2/2: what does the head cost ..." in screen.getvalue()
    assert screen.getvalue().endswith("\r") and "\n" not in screen.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Stages("compare") as stages:
        stages.begin("do the routes agree")
    assert sys.stderr.getvalue() == ""


def test_an_epoch_s_bar_stands_before_its_first_step_and_says_when_it_evaluates(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with contextlib.closing(Progress(True, 0, 3, 1)) as progress:
        assert "epoch 1/3" in sys.stderr.getvalue()
        progress.advance()
        assert "epoch 1/3, evaluating" in sys.stderr.getvalue()
