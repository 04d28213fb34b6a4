"""The library says nothing unless it is asked to; a command shows warnings, and with --verbose what is being done."""

import io
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tqdm import tqdm

from isbe_np import cli
from isbe_np.cli import machine

CODE = Path(__file__).parents[1]
OURS = logging.getLogger("isbe_np")
INFO = ["info"]


@pytest.fixture
def logs(monkeypatch):
    """`isbe info` logs a line of each level and prints nothing; whatever a test does, no handler may stay."""
    def run(given):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger("isbe_np.somewhere").log(level, "at %s", logging.getLevelName(level))
        return 0

    monkeypatch.setattr(machine, "_info", run)
    before = list(OURS.handlers), OURS.level
    yield
    assert (list(OURS.handlers), OURS.level) == before


def test_a_command_shows_warnings_as_plain_lines_on_standard_error(logs, capsys):
    assert cli.main(INFO) == 0
    assert capsys.readouterr() == ("", "isbe info: at WARNING\nisbe info: at ERROR\n")


@pytest.mark.parametrize("option", ["--verbose", "-v"])
def test_verbose_shows_what_is_being_done(logs, capsys, option):
    assert cli.main([*INFO, option]) == 0
    assert capsys.readouterr() == ("", "isbe info: at INFO\nisbe info: at WARNING\nisbe info: at ERROR\n")


def test_each_line_once_however_often_main_is_called(logs, capsys):
    for option in ([], ["-v"], []):
        cli.main([*INFO, *option])
    assert len(capsys.readouterr().err.splitlines()) == 2 + 3 + 2


@pytest.mark.parametrize(("fault", "code"), [(ValueError("no"), 2), (KeyboardInterrupt(), 130)])
def test_nothing_stays_after_a_command_that_fails(logs, monkeypatch, capsys, fault, code):
    def fail(_):
        raise fault

    monkeypatch.setattr(machine, "_info", fail)
    monkeypatch.delenv("ISBE_DEBUG", raising=False)
    assert cli.main([*INFO, "-v"]) == code
    OURS.warning("to nobody")
    assert "nobody" not in capsys.readouterr().err


def test_nothing_stays_after_a_traceback(logs, monkeypatch):
    def fail(_):
        raise ValueError("no")

    monkeypatch.setattr(machine, "_info", fail)
    monkeypatch.setenv("ISBE_DEBUG", "1")
    with pytest.raises(ValueError, match="no"):
        cli.main([*INFO, "-v"])


def test_whatever_a_record_holds_is_one_line_that_steers_no_terminal(logs, monkeypatch, capsys):
    monkeypatch.setattr(machine, "_info", lambda _: OURS.warning("one\ntwo\x1b[31mthree\u2028four\x85 %s", "five" * 1000) or 0)
    cli.main(INFO)
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith("isbe info: one two�[31mthree four� five") and line.isprintable() and len(line) < 2100


def test_an_error_s_traceback_is_not_shown(logs, monkeypatch, capsys):
    def run(_):
        try:
            raise ValueError("deep")
        except ValueError:
            OURS.exception("it went wrong")
        return 0

    monkeypatch.setattr(machine, "_info", run)
    cli.main(INFO)
    assert capsys.readouterr().err == "isbe info: it went wrong\n"


def test_a_closed_standard_error_stops_no_command(logs, monkeypatch):
    closed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", closed)
    closed.close()
    assert cli.main(INFO) == 0


def test_a_progress_bar_is_not_torn(logs, monkeypatch):
    """The bar is wiped, the line written, and the bar drawn again."""
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)

    def run(_):
        with tqdm(total=2, desc="epoch", file=shown, ascii=True, ncols=40) as bar:
            OURS.warning("look")
            bar.update()
        return 0

    monkeypatch.setattr(machine, "_info", run)
    cli.main(INFO)
    before, after = shown.getvalue().split("isbe info: look\n")
    assert before.endswith("\r") and "epoch" in before and "epoch" in after


def test_threads_lines_stay_whole(logs, monkeypatch, capsys):
    def run(_):
        threads = [threading.Thread(target=lambda: [OURS.warning("x" * 50) for _ in range(20)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 0

    monkeypatch.setattr(machine, "_info", run)
    cli.main(INFO)
    assert capsys.readouterr().err.splitlines() == ["isbe info: " + "x" * 50] * 80


def test_a_program_s_own_level_and_handlers_are_left_alone(monkeypatch, capsys):
    """One that listens to everything goes on doing so, and the command shows no more for it."""
    heard = []
    handler = logging.Handler()
    handler.emit = heard.append
    OURS.addHandler(handler)
    OURS.setLevel(logging.DEBUG)
    try:
        monkeypatch.setattr(machine, "_info", lambda _: OURS.debug("fine") or OURS.info("less fine") or 0)
        cli.main(INFO)
        assert [record.getMessage() for record in heard] == ["fine", "less fine"] and capsys.readouterr().err == ""
        assert OURS.level == logging.DEBUG and handler in OURS.handlers
    finally:
        OURS.removeHandler(handler)
        OURS.setLevel(logging.NOTSET)


@pytest.mark.parametrize(("program", "said"), [
    ("", ""), ("logging.basicConfig(format='%(name)s: %(message)s')", "isbe_np.compiler.cache: careful\n")])
def test_the_library_is_quiet_unless_a_program_asks(program, said):
    code = f"import logging, isbe_np; {program}\nlogging.getLogger('isbe_np.compiler.cache').warning('careful')"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=CODE, check=True,
                          timeout=300)
    assert (done.stdout, done.stderr) == ("", said)


def test_every_command_takes_verbose(capsys):
    assert cli.main(["--help"]) == 0
    commands = [line.split()[0] for line in capsys.readouterr().out.split("COMMAND\n")[1].splitlines()
                if line.startswith("    ") and line[4] != " "]
    assert {"train", "study", "cache", "grade"} < set(commands)
    for command in commands:
        assert cli.main([command, "--help"]) == 0
        assert "--verbose" in capsys.readouterr().out
