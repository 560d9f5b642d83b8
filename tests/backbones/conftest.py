"""What the tests of weights share: a trained backbone, a fresh one, how to compare, and a server."""

import os
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from torch import nn

from graft.backbones import load_weights, simple_cnn
from graft.errors import GraftError


@pytest.fixture
def trained():
    """A backbone and a head as a run leaves them."""
    torch.manual_seed(1)
    return simple_cnn(), nn.Linear(84, 10)


@pytest.fixture
def fresh():
    torch.manual_seed(2)
    return simple_cnn()


@pytest.fixture
def same():
    """Whether two modules hold the same tensors, to the bit."""

    def compare(one, other):
        first, second = one.state_dict(), other.state_dict()
        return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)

    return compare


@pytest.fixture
def refused():
    """Loads what must be refused: the one-line message, the backbone being as it was, to the bit."""

    def load(backbone, path):
        before = {key: value.clone() for key, value in backbone.state_dict().items()}
        with pytest.raises(GraftError) as caught:
            load_weights(backbone, path)
        after = backbone.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"backbone.weights={path}")
        return str(caught.value)

    return load


@dataclass
class Server:
    """Files served on this machine.

    Attributes:
        address: of the server.
        files: path, such as `/a.pth`, to content.
        headers: path to more headers than the length; of what is not there too.
        asked: every request, such as `GET /a.pth`.
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def gets(self, path):
        """How often a file was asked for."""
        return self.asked.count(f"GET {path}")


@pytest.fixture
def server(monkeypatch):
    """Serves files until the test ends."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            served.asked.append(f"{self.command} {self.path}")
            path = self.path.partition("?")[0]
            content = served.files.get(path)
            self.send_response(404 if content is None else 200)
            for name, value in served.headers.get(path, {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        do_HEAD = do_GET

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        served = Server(f"http://127.0.0.1:{listening.server_port}")
        yield served
        listening.shutdown()
        thread.join()


@pytest.fixture
def dead_address():
    """An address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}"


class Payload:
    """Makes a folder when a careless reader unpickles it."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


@pytest.fixture
def payload():
    """Of a path: what would make a folder there."""
    return Payload
