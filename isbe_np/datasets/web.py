"""What a web server answers, in bounded time.

The network is a thread's work, so that no server can hold up the caller, in whatever it is slow: the look-up of its name, its
headers, its redirects or its bytes.
"""

from __future__ import annotations

import contextlib
import queue
import string
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from isbe_np.storage.files import one_line

TIMEOUT = 20.0  # seconds without a connection or a byte, after which a server is given up
SPAN, LEAST = 60.0, 60_000  # seconds, and the bytes that must come in every such span: a server may not trickle for ever
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
BLOCK = 1 << 16  # bytes
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Refused(Exception):
    """Why a server did not give the file, in one line; `final` if it need not be asked again."""

    def __init__(self, reason: str, final: bool = False):
        super().__init__(one_line(reason[:200].strip()))
        self.final = final


def answer(url: str, start: int) -> Iterator[Any]:
    """Status, reason and headers that `url` answers with, and then its bytes, block by block; Refused if it takes too long."""
    answers: queue.Queue[Any] = queue.Queue(4)
    given_up = threading.Event()
    threading.Thread(target=_converse, args=(url, start, answers, given_up), daemon=True).start()
    waited, came = 0.0, 0
    try:
        while True:
            began = time.monotonic()
            try:
                item = answers.get(timeout=max(SPAN - waited, 0.0))
            except queue.Empty:
                raise Refused(f"sent no more than {came:,} bytes in {SPAN:g} seconds") from None
            waited += time.monotonic() - began
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, bytes):
                came += len(item)
                if came >= LEAST:
                    waited, came = 0.0, 0
            yield item
    finally:
        given_up.set()


def _converse(url, start, answers, given_up):
    """The thread's work: everything that `answer` yields, then None or an exception, unless it is no longer wanted."""
    from http.client import HTTPException  # 10 ms that only a download needs

    def say(item):
        while not given_up.is_set():
            with contextlib.suppress(queue.Full):
                return answers.put(item, timeout=0.2)

    try:
        with _open(url, start, given_up) as response:
            say((response.status, response.reason, response.headers))
            while not given_up.is_set() and (block := response.read1(BLOCK)):
                say(block)
        say(None)
    except (OSError, HTTPException, ValueError) as fault:
        say(Refused(str(getattr(fault, "reason", fault)) or type(fault).__name__))
    except BaseException as fault:
        say(fault)


def _open(url, start, given_up):
    """The answer of `url`, or of the address it redirects to: from byte `start` on, if it will."""
    from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request
    opener = OpenerDirector()
    # No handler that follows redirects, as urllib's reads their bodies, of whatever length; and none for ftp: or file:.
    for handler in (ProxyHandler, HTTPHandler, HTTPSHandler):
        opener.add_handler(handler())
    headers = {"User-Agent": "isbe_np", "Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    _check_address(url)
    for _ in range(MOST_REDIRECTS + 1):
        response = opener.open(Request(url, headers=headers), timeout=TIMEOUT)
        location = response.headers.get("Location")
        if response.status not in REDIRECTS or location is None:
            return response
        response.close()
        if given_up.is_set():
            break
        before, url = url, urljoin(url, quote(location, safe=string.punctuation, encoding="latin-1"))
        _check_address(url, before)
    raise Refused(f"redirects more than {MOST_REDIRECTS} times", final=True)


def _check_address(url, before="http:"):
    """HTTPS only, save for servers on this machine; and once it was HTTPS, there is no way back."""
    parts = urlsplit(url)
    here = parts.scheme == "http" and parts.hostname in LOOPBACK and before.startswith("http:")
    if parts.scheme != "https" and not here:
        raise Refused(f"{url} is not HTTPS", final=True)
