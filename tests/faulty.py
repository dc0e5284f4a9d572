"""A proxy in front of an HTTP server that makes a share of the calls fail, as real services do.

    with faulty("127.0.0.1:5000", Faults(error=0.05, hang=0.05)) as proxy:
        Store(f"s3://bucket/results?endpoint_override={proxy.address}&scheme=http")

By hand: `python tests/faulty.py 127.0.0.1:5000 --error 0.1 --port 9000`.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
"""Headers that are about one connection; the proxy writes its own."""

XML = {"Content-Type": "application/xml"}
CODES = {403: "AccessDenied", 404: "NoSuchKey", 429: "SlowDown", 503: "SlowDown"}


def failed(status: int) -> bytes:
    """What S3 and Azure answer; Azure's client ends the process if it gets anything else."""
    code = CODES.get(status, "InternalError")
    return (
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>by proxy</Message></Error>'
    ).encode()


@dataclass(frozen=True)
class Faults:
    """Which share of the calls fails, and how; the shares add up to at most 1."""

    error: float = 0.0
    """Answered with HTTP 500 without having been passed on."""
    lost: float = 0.0
    """Passed on, so that it takes effect, and then answered with HTTP 500."""
    hang: float = 0.0
    """Not answered for `hang_seconds`, then cut off, without having been passed on."""
    cut: float = 0.0
    """Cut off at once."""
    hang_seconds: float = 3600.0
    slow_seconds: float = 0.0
    """How much later every other call is answered."""
    status: int = 500
    seed: int = 0


class Proxy(ThreadingHTTPServer):
    """A running proxy; `faults` may be replaced while it runs."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, upstream: str, faults: Faults, port: int = 0) -> None:
        self.upstream, self.faults = upstream, faults
        self.counts: Counter[str] = Counter()
        """How many calls were `passed` on, and how many failed by each fault."""
        self.calls: list[tuple[str, str, str]] = []
        """(what happened, method, path) of each call, in the order in which they came."""
        self.over = threading.Event()
        self._random, self._lock = random.Random(faults.seed), threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def address(self) -> str:
        """Where the proxy listens: `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of callers that hang up: they are what is tested."""

    def draw(self, method: str, path: str) -> str:
        """What happens to the next call: the name of a fault, or `passed`."""
        with self._lock:
            at, drawn = self._random.random(), "passed"
            for name in ("error", "lost", "hang", "cut"):
                share = getattr(self.faults, name)
                if at < share:
                    drawn = name
                    break
                at -= share
            self.counts[drawn] += 1
            self.calls.append((drawn, method, path))
            return drawn


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _any(self) -> None:
        faults = self.server.faults
        body = self._body()
        drawn = self.server.draw(self.command, self.path)
        if drawn == "hang":
            self.server.over.wait(faults.hang_seconds)
        if drawn in ("hang", "cut"):
            self.close_connection = True
            return
        if drawn == "error":
            self._answer(faults.status, XML, failed(faults.status))
            return
        try:
            status, headers, answer = self._passed(body)
        except OSError as error:  # the server behind is down
            status, headers, answer = 502, {}, str(error).encode()
        if faults.slow_seconds:
            time.sleep(faults.slow_seconds)
        if drawn == "lost":
            status, headers, answer = faults.status, dict(XML), failed(faults.status)
        self._answer(status, headers, answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _any

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(parts)

    def _passed(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        there = http.client.HTTPConnection(self.server.upstream, timeout=120)
        try:
            # The caller's own Host stays: its signature holds for it.
            there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP | {"expect"}:
                    there.putheader(name, value)
            there.putheader("Content-Length", str(len(body)))
            there.endheaders(body)
            answer = there.getresponse()
            read = answer.read()
            headers = {k: v for k, v in answer.getheaders() if k.lower() not in HOP_BY_HOP}
            if self.command == "HEAD":
                headers["Content-Length"] = answer.headers.get("Content-Length", "0")
            return answer.status, headers, read
        finally:
            there.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command != "HEAD" and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        elif "Content-Length" not in headers and status not in (204, 304):
            self.send_header("Content-Length", "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextlib.contextmanager
def faulty(upstream: str, faults: Faults, port: int = 0) -> Iterator[Proxy]:
    """A proxy on 127.0.0.1 in front of `upstream` (`HOST:PORT`), until the block ends."""
    proxy = Proxy(upstream, faults, port)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        proxy.shutdown()
        thread.join()
        proxy.server_close()


def main() -> None:
    """Runs a proxy until it is interrupted."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("upstream")
    asked.add_argument("--port", type=int, default=0)
    for name in ("error", "lost", "hang", "cut", "hang_seconds", "slow_seconds"):
        asked.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(Faults, name))
    asked.add_argument("--seed", type=int, default=0)
    words = vars(asked.parse_args())
    upstream, port = words.pop("upstream"), words.pop("port")
    with faulty(upstream, Faults(**words), port) as proxy, contextlib.suppress(KeyboardInterrupt):
        print(f"http://{proxy.address} -> {upstream}", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
