"""Downloads from servers that are slow, broken or lie: each is a path of one server on this machine."""

import hashlib
import http.server
import itertools
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from isbe_np.datasets import download, web
from isbe_np.storage import files

DATA = np.random.default_rng(0).bytes(200_000)
HALF = len(DATA) // 2
SLOW = {"silent", "stalls", "trickles", "trickles_headers", "other_range"}
SUM = hashlib.sha256(DATA).hexdigest()
MOST = 300_000

# In a process of its own, which takes the addresses of mirrors and a folder.
FETCH = f"""
import sys
from pathlib import Path
from isbe_np.datasets import download
download.download("file.gz", "{SUM}", sys.argv[2:], Path(sys.argv[1]), {MOST})
"""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}/"
        self.log: list[tuple[str, str | None]] = []  # of each request, the path's first part and the Range
        self.closing, self.sent_half = threading.Event(), threading.Event()
        self.three = threading.Barrier(3)
        self.counts: dict[str, int] = {}


class Handler(http.server.BaseHTTPRequestHandler):
    """Each method serves one mirror: `self.data` from byte `self.start` on is what a good one sends."""

    server: Server

    def log_message(self, *_):
        pass

    def do_GET(self):
        mirror = self.path.split("/")[1]
        asked = self.headers.get("Range")
        self.server.log.append((mirror, asked))
        self.start = int(re.fullmatch(r"bytes=([0-9]+)-", asked)[1]) if asked else 0
        count = self.server.counts[mirror] = self.server.counts.get(mirror, 0) + 1
        try:
            getattr(self, mirror)(count)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def begin(self, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def part(self, **headers):
        self.begin(206, Content_Range=f"bytes {self.start}-{len(DATA) - 1}/{len(DATA)}",
                   Content_Length=len(DATA) - self.start, **headers)

    def head(self):
        """The headers of whatever was asked for."""
        self.part() if self.start else self.begin(Content_Length=len(DATA))

    def good(self, _):
        self.head()
        self.wfile.write(DATA[self.start:])

    def whole(self, _):
        self.begin(Content_Length=len(DATA))
        self.wfile.write(DATA)

    def without_length(self, _):
        self.begin()
        self.wfile.write(DATA)

    def chunked(self, _):
        self.protocol_version = "HTTP/1.1"
        self.begin(Transfer_Encoding="chunked", Connection="close")
        for at in range(0, len(DATA), 50_000):
            self.wfile.write(b"c350\r\n" + DATA[at:at + 50_000] + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def chunked_half(self, _):
        self.protocol_version = "HTTP/1.1"
        self.begin(Transfer_Encoding="chunked", Connection="close")
        self.wfile.write(b"c350\r\n" + DATA[:50_000] + b"\r\nc350\r\n" + DATA[50_000:60_000])

    def half(self, _):
        """Half of what is lacking, each time."""
        self.head()
        self.wfile.write(DATA[self.start:(self.start + len(DATA) + 1) // 2])

    def stalls(self, _):
        self.head()
        self.wfile.write(DATA[self.start:HALF])
        self.server.sent_half.set()
        self.server.closing.wait(60)

    def silent(self, _):
        self.server.closing.wait(60)

    def trickles(self, _):
        self.head()
        for at in range(self.start, len(DATA)):
            self.wfile.write(DATA[at:at + 1])
            if self.server.closing.wait(0.02):
                break

    def trickles_headers(self, _):
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        while not self.server.closing.wait(0.02):
            self.wfile.write(b"x")

    def endless(self, _):
        self.begin()
        while not self.server.closing.is_set():
            self.wfile.write(bytes(50_000))

    def huge(self, _):
        self.begin(Content_Length=10**12)
        self.endless(_)

    def other(self, _):
        self.begin(Content_Length=len(DATA))
        self.wfile.write(DATA[::-1])

    def page(self, _):
        self.begin(Content_Length=6)
        self.wfile.write(b"<html>")

    def empty(self, _):
        self.begin(Content_Length=0)

    def too_short(self, _):
        """The length is that of what it sends, and not of the file."""
        self.begin(Content_Length=HALF)
        self.wfile.write(DATA[:HALF])

    def too_long(self, _):
        self.begin(Content_Length=len(DATA) + 5)
        self.wfile.write(DATA + b"more!")

    def wrong_length(self, _):
        """All bytes, but the length says that more would come."""
        self.begin(Content_Length=len(DATA) + 5)
        self.wfile.write(DATA)

    def wrong_half(self, _):
        self.begin(Content_Length=len(DATA))
        self.wfile.write(DATA[:HALF][::-1])

    def busy(self, count):
        self.begin(503) if count == 1 else self.good(count)

    def missing(self, _):
        self.begin(404)

    def satisfied(self, _):
        """It never honours a range."""
        self.begin(416) if self.start else self.whole(_)

    def other_range(self, _):
        if not self.start:
            return self.whole(_)
        self.start -= 10
        self.part()
        self.server.closing.wait(60)

    def lying_range(self, _):
        """It claims to go on, and begins anew."""
        if not self.start:
            return self.whole(_)
        self.part()
        self.wfile.write(DATA[:len(DATA) - self.start])

    def unasked_range(self, _):
        self.begin(206, Content_Range=f"bytes 5-{len(DATA) - 1}/{len(DATA)}", Content_Length=len(DATA) - 5)
        self.wfile.write(DATA[5:])

    def moved(self, _):
        self.begin(302, Location="/good/file.gz")

    def loop(self, _):
        self.begin(301, Location=self.path)

    def ring(self, count):
        self.begin(307, Location=f"/ring/{count}")

    def elsewhere(self, _):
        self.begin(302, Location="ftp://127.0.0.1/file.gz")

    def unprotected(self, _):
        self.begin(302, Location="http://nowhere.invalid/file.gz")

    def local_file(self, _):
        self.begin(302, Location="file:///etc/passwd")

    def strange_address(self, _):
        self.begin(302, Location="http://[/\u00e9 \x7f")

    def endless_redirect(self, _):
        self.begin(302, Location="/good/file.gz")
        while not self.server.closing.is_set():
            self.wfile.write(bytes(50_000))

    def noise(self, _):
        self.wfile.write(bytes(range(1, 255)) * 400)

    def hangs_up(self, _):
        pass

    def paints(self, _):
        self.wfile.write(b"HTTP/1.0 500 \x1b[31mred\x07\r\n\r\n")

    def at_once(self, _):
        """Nobody gets an answer before three have asked."""
        self.server.three.wait(60)
        self.good(_)


@pytest.fixture
def server(impatience):
    """A server of all those mirrors."""
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.closing.set()
        running.shutdown()


@pytest.fixture
def get(server, tmp_path, monkeypatch):
    """A function that downloads from mirrors by their names, with little patience where one of them is slow."""
    (tmp_path / "to").mkdir()

    def run(*mirrors, sha256=SUM, most=MOST):
        if not SLOW.isdisjoint(mirrors):
            monkeypatch.setattr(web, "TIMEOUT", 1.0)
            monkeypatch.setattr(web, "SPAN", 2.0)
            monkeypatch.setattr(web, "LEAST", 10_000)
        return download.download("file.gz", sha256, [f"{server.address}{name}/" for name in mirrors], tmp_path / "to", most)

    return run


def left(tmp_path):
    return {path.name: path.stat().st_size for path in (tmp_path / "to").iterdir()}


@pytest.mark.parametrize("mirror", ["good", "whole", "without_length", "chunked", "moved", "busy", "wrong_length", "half",
                                    "endless_redirect"])
def test_a_mirror_that_gives_the_file_in_the_end(get, tmp_path, mirror, monkeypatch):
    monkeypatch.setattr(download, "ROUNDS", 20)
    path = get(mirror)
    assert path == tmp_path / "to" / "file.gz" and path.read_bytes() == DATA
    assert left(tmp_path) == {"file.gz": len(DATA)}


FAULTS = {
    **dict.fromkeys(("other", "page", "empty", "too_short"), "sent another file, by its SHA-256"),
    "too_long": "sent another file", "endless": "sent more than the 300,000 bytes",
    "huge": "would send 1,000,000,000,000 bytes", "missing": "answered 404 Not Found", "silent": "timed out",
    "trickles_headers": "sent no more than 0 bytes in 2 seconds", "unasked_range": "answered 206",
    "loop": "redirects more than 5 times", "ring": "redirects more than 5 times",
    "elsewhere": "ftp://127.0.0.1/file.gz is not HTTPS", "unprotected": "http://nowhere.invalid/file.gz is not HTTPS",
    "local_file": "file:///etc/passwd is not HTTPS", "strange_address": "file.gz: ", "noise": r"\\x01\\x02",
    "hangs_up": "closed connection", "paints": r"answered 500 \\x1b\[31mred",
}
UNFINISHED = {
    "stalls": "timed out", "trickles": "bytes in 2 seconds", "chunked_half": "IncompleteRead",
    "wrong_half": "broke off after 100,000 of 200,000 bytes",
}


@pytest.mark.parametrize("mirror", [*FAULTS, *UNFINISHED])
def test_a_mirror_that_fails_is_passed_over(get, tmp_path, server, mirror):
    assert get(mirror, "whole").read_bytes() == DATA
    assert left(tmp_path) == {"file.gz": len(DATA)}
    assert server.log[-1][0] == "whole" and server.counts["whole"] == 1


@pytest.mark.parametrize("mirror", FAULTS)
def test_a_mirror_that_fails_is_named_and_leaves_nothing(get, tmp_path, monkeypatch, mirror):
    monkeypatch.setattr(download, "ROUNDS", 1)
    with pytest.raises(download.NotFetched, match=FAULTS[mirror]) as caught:
        get(mirror)
    sentence = str(caught.value)
    assert f"/{mirror}/file.gz: " in sentence and str(tmp_path / "to") in sentence and SUM in sentence and "by hand" in sentence
    assert sentence.isprintable() and len(sentence) < 1000 and left(tmp_path) == {}


def test_a_redirect_is_followed_five_times(get, server):
    with pytest.raises(download.NotFetched):
        get("ring")
    assert server.counts == {"ring": 6}


@pytest.mark.parametrize("mirror", UNFINISHED)
def test_what_has_come_stays_as_a_part_and_is_used(get, tmp_path, monkeypatch, server, mirror):
    monkeypatch.setattr(download, "ROUNDS", 1)
    with pytest.raises(download.NotFetched, match=UNFINISHED[mirror]):
        get(mirror)
    came = left(tmp_path)
    assert list(came) == ["file.gz.part"] and 0 < came["file.gz.part"] <= HALF
    get("good")
    assert server.log[-1] == ("good", None if mirror == "wrong_half" else f"bytes={came['file.gz.part']}-")
    assert left(tmp_path) == {"file.gz": len(DATA)}


@pytest.mark.parametrize("mirror", ["good", "whole", "satisfied", "other_range", "lying_range", "without_length"])
@pytest.mark.parametrize("right", [True, False])
def test_a_part_is_gone_on_with_or_thrown_away(get, tmp_path, server, mirror, right):
    part = tmp_path / "to" / "file.gz.part"
    part.write_bytes(DATA[:HALF] if right else DATA[:HALF][::-1])
    assert get(mirror).read_bytes() == DATA and left(tmp_path) == {"file.gz": len(DATA)}
    assert server.log[0] == (mirror, f"bytes={HALF}-")
    again = {"good": not right, "whole": False, "without_length": False}.get(mirror, True)
    assert server.log[1:] == ([(mirror, None)] if again else [])


def test_a_part_that_is_whole_needs_no_server(get, tmp_path, server):
    (tmp_path / "to" / "file.gz.part").write_bytes(DATA)
    assert get("missing").read_bytes() == DATA and server.log == []


@pytest.mark.parametrize("size", [len(DATA) + 1, MOST + 1, 2**40])
def test_a_part_longer_than_the_file(get, tmp_path, size):
    part = tmp_path / "to" / "file.gz.part"
    part.touch()
    os.truncate(part, size)
    assert get("good").read_bytes() == DATA and left(tmp_path) == {"file.gz": len(DATA)}


def test_the_mirrors_have_their_turns(get, server, caplog):
    caplog.set_level(logging.INFO, "isbe_np")
    get("missing", "half", "busy")
    assert [mirror for mirror, _ in server.log] == ["missing", "half", "busy", "half", "busy"]  # 404 is for ever
    assert [bool(asked) for _, asked in server.log] == [False, False, True, True, True]
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    at = server.address
    assert told[:3] == [("INFO", f"trying {at}missing/file.gz"),
                        ("WARNING", f"{at}missing/file.gz failed: answered 404 Not Found; trying {at}half/file.gz"),
                        ("INFO", f"trying {at}half/file.gz")]
    assert told[-1] == ("INFO", f"{at}busy/file.gz has the right SHA-256")


def test_a_file_is_replaced_only_by_a_right_one(get, tmp_path):
    (tmp_path / "to" / "file.gz").write_bytes(b"before")
    with pytest.raises(download.NotFetched):
        get("other")
    assert (tmp_path / "to" / "file.gz").read_bytes() == b"before"
    assert get("good").read_bytes() == DATA


def test_pauses_grow(get, monkeypatch):
    pauses = []
    monkeypatch.setattr(download, "PAUSE", 1.0)
    monkeypatch.setattr(download, "time", SimpleNamespace(sleep=pauses.append))
    with pytest.raises(download.NotFetched):
        get("paints")
    assert pauses == [1, 2]


def test_interrupted(get, tmp_path, monkeypatch):
    def interrupted(url, start):
        yield 200, "OK", {}
        yield DATA[:1000]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download, "answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            get("good")
    assert left(tmp_path) == {"file.gz.part": 1000}
    assert get("good").read_bytes() == DATA and left(tmp_path) == {"file.gz": len(DATA)}


def test_a_full_disk_is_no_fault_of_the_server(get, tmp_path, monkeypatch, server):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left") as caught:
        get("good", "whole")
    assert not isinstance(caught.value, download.NotFetched) and server.counts == {"good": 1}
    assert left(tmp_path) == {"file.gz.part": len(DATA)}


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder", "locked"])
def test_a_part_that_is_not_ours_is_left_alone(get, tmp_path, kind):
    fcntl = pytest.importorskip("fcntl", reason="where files cannot be locked, no part is kept")
    part, other = tmp_path / "to" / "file.gz.part", tmp_path / "other"
    other.write_bytes(b"of somebody else")
    {"link": lambda: part.symlink_to(other), "hard link": lambda: os.link(other, part), "pipe": lambda: os.mkfifo(part),
     "folder": part.mkdir, "locked": lambda: part.write_bytes(b"being written")}[kind]()
    with open(part if kind == "locked" else os.devnull, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX if kind == "locked" else fcntl.LOCK_SH)
        assert get("good").read_bytes() == DATA
    assert os.path.lexists(part) and other.read_bytes() == b"of somebody else"
    assert kind != "locked" or part.read_bytes() == b"being written"
    assert len(list((tmp_path / "to").iterdir())) == 2


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_link_in_the_place_of_the_file_is_replaced(get, tmp_path):
    file, other = tmp_path / "to" / "file.gz", tmp_path / "other"
    other.write_bytes(b"of somebody else")
    file.symlink_to(other)
    assert get("good").read_bytes() == DATA and not file.is_symlink() and other.read_bytes() == b"of somebody else"


def test_without_locks_no_part_is_kept(get, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "fcntl", None)
    assert get("half", "good").read_bytes() == DATA and left(tmp_path) == {"file.gz": len(DATA)}
    with pytest.raises(download.NotFetched):
        get("half")
    assert left(tmp_path) == {"file.gz": len(DATA)}


def process(tmp_path, *mirrors):
    return subprocess.Popen([sys.executable, "-c", FETCH, tmp_path / "to", *mirrors], stderr=subprocess.PIPE,
                            cwd=Path(files.__file__).parent.parent)


def test_three_processes_at_once(server, tmp_path):
    (tmp_path / "to").mkdir()
    processes = [process(tmp_path, server.address + "at_once/") for _ in range(3)]
    errors = [each.communicate(timeout=120)[1] for each in processes]
    assert [each.returncode for each in processes] == [0, 0, 0], errors
    assert (tmp_path / "to" / "file.gz").read_bytes() == DATA and left(tmp_path) == {"file.gz": len(DATA)}
    assert server.log == [("at_once", None)] * 3


def test_a_process_that_is_killed(get, server, tmp_path):
    pytest.importorskip("fcntl", reason="where files cannot be locked, no part is kept")
    with process(tmp_path, server.address + "stalls/") as killed:
        try:
            assert server.sent_half.wait(60)
            part = tmp_path / "to" / "file.gz.part"
            deadline = time.monotonic() + 60
            while part.stat().st_size < 60_000 and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
    came = left(tmp_path)
    assert list(came) == ["file.gz.part"] and came["file.gz.part"] >= 60_000
    assert get("good").read_bytes() == DATA and left(tmp_path) == {"file.gz": len(DATA)}
    assert server.log[-1] == ("good", f"bytes={came['file.gz.part']}-")


@pytest.mark.parametrize(("url", "before", "allowed"), [
    ("https://a.example/x", "https://b.example/", True),
    ("https://a.example/x", "http://127.0.0.1:80/", True),
    ("http://a.example/x", "https://a.example/", False),
    ("http://127.0.0.1/x", "https://a.example/", False),
    ("http://a.example/x", "http://127.0.0.1/", False),
    ("http://127.0.0.1/x", "http://127.0.0.1/", True),
    ("http://localhost.example/x", "http://127.0.0.1/", False),
    ("http://127.0.0.1@a.example/x", "http://127.0.0.1/", False),
    ("HTTP://[::1]:8000/x", "http://127.0.0.1/", True),
    ("ftp://127.0.0.1/x", "http://127.0.0.1/", False),
    ("file:///x", "http://127.0.0.1/", False),
    ("//127.0.0.1/x", "http://127.0.0.1/", False),
    ("", "http://127.0.0.1/", False),
])
def test_https_is_never_left(url, before, allowed):
    if allowed:
        web._check_address(url, before)
    else:
        with pytest.raises(web.Refused, match="is not HTTPS"):
            web._check_address(url, before)


def test_a_mirror_without_https_is_not_asked(tmp_path):
    with pytest.raises(download.NotFetched, match=r"http://nowhere\.invalid/file\.gz is not HTTPS"):
        download.download("file.gz", SUM, ["http://nowhere.invalid/"], tmp_path, MOST)


def test_a_fault_of_ours_is_no_fault_of_the_server(monkeypatch):
    def fault(*_):
        raise AssertionError("ours")

    monkeypatch.setattr(web, "_open", fault)
    with pytest.raises(AssertionError, match="ours"):
        next(web.answer("https://a.example/", 0))


def test_a_server_may_pause_as_long_as_enough_comes(monkeypatch):
    """Only the time spent waiting counts, and it begins anew with every LEAST bytes."""
    clock = itertools.count(step=0.3)
    monkeypatch.setattr(web, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(web, "SPAN", 1.0)
    monkeypatch.setattr(web, "LEAST", 100)

    def answers(sizes):
        class Response:
            status, reason, headers, blocks = 200, "OK", {}, iter([*(bytes(size) for size in sizes), b""])
            read1 = staticmethod(lambda _: next(Response.blocks))
            __enter__ = __exit__ = lambda *_: Response
        monkeypatch.setattr(web, "_open", lambda *_: Response())
        return sum(len(block) for block in itertools.islice(web.answer("https://a.example/", 0), 1, None))

    assert answers([60] * 20) == 1200
    with pytest.raises(web.Refused, match=r"sent no more than \d+ bytes in 1 seconds"):
        answers([10] * 20)
