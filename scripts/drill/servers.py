"""A web server on this machine that misbehaves: the first part of a path says how."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator


class Server(http.server.ThreadingHTTPServer):
    """`files` by name; requests are counted in `counts` by mirror and file."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]):
        super().__init__(("127.0.0.1", 0), Mirror)
        self.files, self.closing, self.counts = files, threading.Event(), {}

    def handle_error(self, *_):
        """Whoever hangs up on such a server is right."""


class Mirror(http.server.BaseHTTPRequestHandler):
    """Each method named in MIRRORS answers in its way for `self.data`, from byte `self.start` on where that is asked for."""

    server: Server

    def log_message(self, *_):
        pass

    def do_GET(self):
        mirror, name = self.path.split("/")[1:3]
        asked = re.fullmatch(r"bytes=([0-9]+)-", self.headers.get("Range", ""))
        self.start, self.data = int(asked[1]) if asked else 0, self.server.files[name]
        self.count = self.server.counts[mirror, name] = self.server.counts.get((mirror, name), 0) + 1
        with contextlib.suppress(OSError):
            getattr(self, mirror)()

    def begin(self, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def head(self):
        if self.start:
            self.begin(206, Content_Range=f"bytes {self.start}-{len(self.data) - 1}/{len(self.data)}",
                       Content_Length=len(self.data) - self.start)
        else:
            self.begin(Content_Length=len(self.data))

    def forever(self, piece: bytes, wait: float = 0.0):
        while not self.server.closing.wait(wait):
            self.wfile.write(piece)

    def good(self):
        self.head()
        self.wfile.write(self.data[self.start:])

    def no_ranges(self):
        self.begin(Content_Length=len(self.data))
        self.wfile.write(self.data)

    def chunked(self):
        self.protocol_version = "HTTP/1.1"
        self.begin(Transfer_Encoding="chunked", Connection="close")
        self.wfile.write(b"%x\r\n" % len(self.data) + self.data + b"\r\n0\r\n\r\n")

    def redirected(self):
        self.begin(302, Location=self.path.replace("/redirected/", "/good/"))

    def busy_once(self):
        self.begin(503) if self.count == 1 else self.good()

    def halves(self):
        """Half of what is lacking, each time."""
        self.head()
        self.wfile.write(self.data[self.start:(self.start + len(self.data) + 1) // 2])

    def truncated(self):
        self.begin(Content_Length=len(self.data))
        self.wfile.write(self.data[:len(self.data) // 3])

    def truncated_rightly(self):
        """The length it tells is that of what it sends."""
        self.begin(Content_Length=len(self.data) // 3)
        self.wfile.write(self.data[:len(self.data) // 3])

    def chunk_broken(self):
        self.protocol_version = "HTTP/1.1"
        self.begin(Transfer_Encoding="chunked", Connection="close")
        self.wfile.write(b"zz\r\n" + self.data)

    def stalls(self):
        self.head()
        self.wfile.write(self.data[self.start:len(self.data) // 2])
        self.server.closing.wait(60)

    def silent(self):
        self.server.closing.wait(60)

    def trickles(self):
        self.head()
        self.forever(b"x", 0.05)

    def trickles_headers(self):
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        self.forever(b"x", 0.05)

    def wrong(self):
        self.begin(Content_Length=len(self.data))
        self.wfile.write(self.data[::-1])

    def one_bit(self):
        self.begin(Content_Length=len(self.data))
        self.wfile.write(self.data[:-1] + bytes([self.data[-1] ^ 1]))

    def wrong_rest(self):
        """Right up to where it is asked to go on, and something else then."""
        self.truncated() if not self.start else (self.head(), self.wfile.write(bytes(len(self.data) - self.start)))

    def other_range(self):
        self.begin(206, Content_Range=f"bytes 7-{len(self.data) - 1}/{len(self.data)}")
        self.wfile.write(self.data[7:])

    def page(self):
        self.begin(Content_Type="text/html")
        self.wfile.write(b"<html>Sign in to this network</html>")

    def empty(self):
        self.begin(Content_Length=0)

    def longer(self):
        self.begin(Content_Length=len(self.data) + 9)
        self.wfile.write(self.data + b"and more.")

    def endless(self):
        self.begin()
        self.forever(bytes(50_000))

    def huge(self):
        self.begin(Content_Length=10**13)
        self.forever(bytes(50_000))

    def negative(self):
        self.begin(Content_Length=-5)

    def missing(self):
        self.begin(404)

    def busy(self):
        self.begin(503)

    def loop(self):
        self.begin(301, Location=self.path)

    def to_a_file(self):
        self.begin(302, Location="file:///etc/passwd")

    def to_ftp(self):
        self.begin(302, Location="ftp://127.0.0.1/x")

    def to_plain_http(self):
        self.begin(302, Location="http://nowhere.invalid/x")

    def noise(self):
        self.wfile.write(bytes(range(1, 255)) * 400)

    def hangs_up(self):
        """No answer at all."""


GOOD = ("good", "no_ranges", "chunked", "redirected", "busy_once")
BAD = ("truncated", "truncated_rightly", "chunk_broken", "stalls", "silent", "trickles", "trickles_headers", "wrong", "one_bit",
       "wrong_rest", "other_range", "page", "empty", "longer", "endless", "huge", "negative", "missing", "busy", "loop",
       "to_a_file", "to_ftp", "to_plain_http", "noise", "hangs_up", "nobody", "halves")


@contextlib.contextmanager
def running(files: dict[str, bytes]) -> Iterator[str]:
    """The server's address; "nobody" in place of a mirror's name is a port where nobody listens."""
    with Server(files) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.closing.set()
            server.shutdown()
