"""The proxy that makes calls fail: what it passes on is untouched, and it fails as often as it was asked to."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from faulty import Faults, faulty


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, str, bytes]] = []

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.command, self.path, self.headers["Host"], body))
        self.send_response(200)
        self.send_header("ETag", "x")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    Echo.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def put(address: str, timeout: float = 5.0, **extra: object) -> tuple[int, bytes]:
    there = http.client.HTTPConnection(address, timeout=timeout)
    with contextlib.closing(there):
        there.request("PUT", "/a%20b?x=1", **{"body": b"data", **extra}, headers={"Host": "named"})
        answer = there.getresponse()
        return answer.status, answer.read()


def test_what_is_passed_on_is_untouched(echo: str) -> None:
    with faulty(echo, Faults()) as proxy:
        assert put(proxy.address) == (200, b"data")
        assert put(proxy.address, body=iter([b"da", b"ta"]), encode_chunked=True) == (200, b"data")
    assert Echo.seen == [("PUT", "/a%20b?x=1", "named", b"data")] * 2


def test_each_fault(echo: str) -> None:
    with faulty(echo, Faults(error=1.0)) as proxy:
        assert put(proxy.address)[0] == 500
    assert not Echo.seen
    with faulty(echo, Faults(lost=1.0, status=503)) as proxy:
        assert put(proxy.address)[0] == 503
    assert len(Echo.seen) == 1  # it took effect
    with faulty(echo, Faults(cut=1.0)) as proxy, pytest.raises(ConnectionError):
        put(proxy.address)
    with faulty(echo, Faults(hang=1.0)) as proxy, pytest.raises(TimeoutError):
        put(proxy.address, timeout=0.2)
    assert len(Echo.seen) == 1


def test_it_fails_as_often_as_asked(echo: str) -> None:
    with faulty(echo, Faults(error=0.1, lost=0.1, seed=3)) as proxy:
        answers = [put(proxy.address)[0] for _ in range(300)]
    counts = proxy.counts
    assert answers.count(500) == counts["error"] + counts["lost"]
    assert 30 <= answers.count(500) <= 90  # of 60 expected, by more than four deviations
    assert len(Echo.seen) == counts["passed"] + counts["lost"] == 300 - counts["error"]
