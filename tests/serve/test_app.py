"""What is sent is answered, or refused in words; the answers are those of the bundle."""

import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image
from torch import nn

from graft.backbones import Backbone, Preprocessing
from graft.errors import GraftError
from graft.models import Bundle, HowTested, linear
from graft.serve.app import make_app
from graft.serve.limits import Limits
from graft.serve.service import Service

NAMES = ["no", "<b>1</b>", "blåbær"]
LIMITS = Limits(files=100, file_bytes=50_000, bytes=400_000, pixels=10_000, seconds=20, queue=200)
MakeClient = Callable[..., TestClient]


def tiny_bundle() -> Bundle:
    """Of images, three classes."""
    torch.manual_seed(3)
    stages = {
        "stem": nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()),
        "top": nn.Sequential(nn.Conv2d(8, 5, 3, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    }
    backbone = Backbone(stages, width=5, preprocessing=Preprocessing(resize=16, crop=16))
    return Bundle(backbone, linear(5, 3), NAMES, backbone.preprocessing, HowTested(8), temperature=0.1)


def png(seed: int = 0, size: tuple[int, int] = (20, 24)) -> bytes:
    """The content of a file of noise about some colour."""
    stream = np.random.default_rng(seed)
    pixels = stream.integers(0, 80, (*size, 3), dtype=np.uint8) + stream.integers(0, 176, 3, dtype=np.uint8)
    written = BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def several(count: int) -> list[tuple[str, tuple[str, bytes]]]:
    """So many files of a request."""
    return [("files", (f"{place}.png", png(place))) for place in range(count)]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle()


@pytest.fixture(scope="module")
def client(bundle: Bundle) -> Iterator[TestClient]:
    """Of a service with the limits above."""
    service = Service(bundle, LIMITS, batch_size=8, wait=0.002)
    with TestClient(make_app(service), base_url="http://localhost:8000") as made:
        yield made


@pytest.fixture
def serving() -> Iterator[MakeClient]:
    """Make clients of services with a bundle and limits of their own."""
    made: list[TestClient] = []

    def serving(bundle: Bundle, **limits: float) -> TestClient:
        own = Limits(**{**LIMITS.__dict__, **limits})
        client = TestClient(make_app(Service(bundle, own, 4, 0.002)), base_url="http://localhost")
        made.append(client)
        return client.__enter__()

    yield serving
    for client in made:
        client.__exit__(None, None, None)


Sent = list[tuple[str, tuple[str, bytes]]]


def refused(response: httpx.Response, status: int, *said: str) -> None:
    assert response.status_code == status, response.text
    assert list(response.json()) == ["detail"]
    detail = response.json()["detail"]
    assert "\n" not in detail
    for word in said:
        assert word in detail


def test_one_picture(client: TestClient, bundle: Bundle) -> None:
    response = client.post("/predict", files=several(1))
    assert response.status_code == 200
    (result,) = response.json()["results"]
    assert list(result) == ["name", "predicted", "probabilities", "set", "none_of_these"]
    assert result["name"] == "0.png"
    assert list(result["probabilities"]) == NAMES
    assert sum(result["probabilities"].values()) == pytest.approx(1)
    assert result["predicted"] == max(NAMES, key=result["probabilities"].get)


def test_a_hundred_pictures_are_what_the_bundle_says(client: TestClient, bundle: Bundle) -> None:
    results = client.post("/predict", files=several(100)).json()["results"]
    assert [result["name"] for result in results] == [f"{place}.png" for place in range(100)]
    expected = bundle.predict([Image.open(BytesIO(png(place))) for place in range(100)])
    assert {one.label for one in expected} > {expected[0].label}
    for result, one in zip(results, expected, strict=True):
        assert result["predicted"] == one.label
        assert result["probabilities"] == pytest.approx(one.probabilities, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "cannot be read as an image"),
        (b"", "cannot be read as an image"),
        (png()[:300], "cannot be read as an image"),
    ],
    ids=["text", "empty", "cut off"],
)
def test_a_bad_file_among_good_ones(client: TestClient, content: bytes, reason: str) -> None:
    files: Sent = [*several(2), ("files", ("bad.png", content)), ("files", ("last.png", png(9)))]
    results = client.post("/predict", files=files).json()["results"]
    assert ["error" in result for result in results] == [False, False, True, False]
    assert list(results[2]) == ["name", "error"]
    assert results[2]["error"].startswith(reason)
    assert "0x" not in results[2]["error"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "<img src=x onerror=alert(1)>", "🐝 ü.png", "a" * 2000])
def test_names_are_given_back_and_nothing_else_is_done_with_them(client: TestClient, name: str) -> None:
    response = client.post("/predict", files=[("files", (name, png()))])
    assert response.headers["content-type"] == "application/json"
    assert response.json()["results"][0]["name"] == name


def test_a_name_that_is_no_text(client: TestClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="\xff\xfe.png"\r\n\r\n'
    body += png() + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    (result,) = client.post("/predict", content=body, headers=headers).json()["results"]
    assert "predicted" in result


def test_what_is_no_upload(client: TestClient) -> None:
    refused(client.post("/predict", json={"files": []}), 415, "multipart/form-data")
    refused(client.post("/predict", data={"a": "b"}, files={"other": b"x"}), 422, "no file")
    headers = {"Content-Type": "multipart/form-data"}
    refused(client.post("/predict", content=b"x", headers=headers), 400, "boundary")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(client.post("/predict", content=b"--y\r\n", headers=headers), 400)
    part = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\n\xff\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x; charset=punycode"}
    assert client.post("/predict", content=part, headers=headers).status_code < 500
    refused(client.get("/predict"), 405)
    refused(client.get("/nowhere"), 404)


def test_a_field_without_a_file_name_is_a_file(client: TestClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nhello\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    (result,) = client.post("/predict", content=body, headers=headers).json()["results"]
    assert result["name"] == "1"
    assert "error" in result


def test_too_much_is_refused(client: TestClient) -> None:
    refused(client.post("/predict", files=several(101)), 413, "100 files")
    fields = {f"field{place}": "x" for place in range(200)}
    refused(client.post("/predict", data=fields, files=several(1)), 413, "100 files")
    refused(client.post("/predict", files=[("files", ("a.png", b"x" * 50_001))]), 413, "a.png", "50 kB")
    big = [("files", (f"{place}.png", b"x" * 45_000)) for place in range(10)]
    refused(client.post("/predict", files=big), 413, "400 kB")
    refused(client.post("/predict", files={"files": png(), "other": b"x" * 65_537}), 413, "65.5 kB")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    long = b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + b"a" * 9000
    refused(client.post("/predict", content=long, headers=headers), 400)


def test_a_large_file_stays_in_memory(serving: MakeClient) -> None:
    client = serving(tiny_bundle(), file_bytes=4_000_000, bytes=5_000_000)
    files = [("files", ("a.png", png() + bytes(3_000_000)))]
    assert "predicted" in client.post("/predict", files=files).json()["results"][0]


def test_more_pixels_than_allowed_are_not_decoded(client: TestClient) -> None:
    wide = png(size=(100, 101))
    refused(
        client.post("/predict", files=[*several(1), ("files", ("w.png", wide))]), 413, "w.png", "101 x 100"
    )
    # A bomb by its header: 60,000 x 60,000 px, which Pillow itself refuses.
    bomb = bytearray(png())
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    refused(client.post("/predict", files=[("files", ("bomb.png", bytes(bomb)))]), 413, "bomb.png", "pixels")


class Slow(Bundle):
    """Answers when it is let."""

    def __init__(self) -> None:
        made = tiny_bundle()
        super().__init__(
            made.backbone, made.head, made.class_names, made.preprocessing, made.tested, made.temperature
        )
        self.may = threading.Event()
        self.sizes: list[int] = []

    def answers(self, prepared: Any) -> Any:
        self.sizes.append(len(prepared))
        assert self.may.wait(20)
        return super().answers(prepared)


def test_what_takes_too_long_is_refused(serving: MakeClient) -> None:
    slow = Slow()
    client = serving(slow, seconds=0.2)
    refused(client.post("/predict", files=several(1)), 503, "0.2 s", "try again")
    slow.may.set()
    assert client.post("/predict", files=several(1)).status_code == 200


def test_a_request_that_does_not_arrive_is_refused(serving: MakeClient) -> None:
    # What the test client sends arrives at once, so the application is asked by itself.
    client = serving(tiny_bundle(), seconds=0.1)
    said: list[Any] = []

    async def receive() -> Any:
        await anyio.sleep(10)

    async def send(message: Any) -> None:
        said.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"multipart/form-data; boundary=x")]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "query_string": b""}
    anyio.run(client.app, {**scope, "asgi": {"version": "3.0"}, "http_version": "1.1"}, receive, send)
    assert said[0]["status"] == 408


def test_a_queue_that_is_full_refuses(serving: MakeClient) -> None:
    slow = Slow()
    client = serving(slow, files=4, queue=5)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(client.post, "/predict", files=several(4))
        while not slow.sizes:
            pass
        response = client.post("/predict", files=several(2))
        refused(response, 503, "4 files wait", "try again")
        assert response.headers["retry-after"] == "1"
        assert client.get("/health").json()["waiting"] == 4
        slow.may.set()
        assert first.result().status_code == 200
    assert client.get("/health").json()["waiting"] == 0
    assert client.post("/predict", files=several(4)).status_code == 200


def test_clients_share_batches(serving: MakeClient) -> None:
    slow = Slow()
    client = serving(slow)
    with ThreadPoolExecutor(9) as pool:
        asked = [pool.submit(client.post, "/predict", files=several(1)) for _ in range(9)]
        while client.get("/health").json()["waiting"] < 9:
            pass
        slow.may.set()
        answers = [one.result().json() for one in asked]
    assert len({answer["results"][0]["predicted"] for answer in answers}) == 1
    assert sum(slow.sizes) == 9
    assert max(slow.sizes) == 4


def test_one_sample_that_breaks_the_network_leaves_the_others(serving: MakeClient) -> None:
    class Fragile(Slow):
        def answers(self, prepared: Any) -> Any:
            if any(pixels.max() < 10 for pixels in prepared):
                raise RuntimeError("no")
            return Bundle.answers(self, prepared)

    client = serving(Fragile())
    black = BytesIO()
    Image.new("RGB", (20, 20)).save(black, "PNG")
    with pytest.raises(RuntimeError, match="no"):
        client.post("/predict", files=[*several(3), ("files", ("black.png", black.getvalue()))])
    assert client.post("/predict", files=several(4)).status_code == 200


def test_what_it_looked_at(client: TestClient) -> None:
    shown = client.post("/looked_at", files=several(1), params={"label": NAMES[2]})
    assert shown.status_code == 200
    assert shown.headers["x-class"] == "bl%C3%A5b%C3%A6r"
    assert Image.open(BytesIO(shown.content)).size == (16, 16)
    bare = client.post("/looked_at", files=several(1), params={"bare": "true"})
    grey = Image.open(BytesIO(bare.content))
    assert (grey.mode, grey.size) == ("L", (16, 16))
    assert int(np.asarray(grey).max()) >= 254
    refused(client.post("/looked_at", files=several(1), params={"label": "cat"}), 422, "no such class")
    refused(client.post("/looked_at", files=several(1), params={"bare": "perhaps"}), 422, "bare: ")
    refused(client.post("/looked_at", files=several(2)), 422, "one file")
    refused(client.post("/looked_at", files=[("files", ("a.png", b"x"))]), 422, "a.png", "cannot be read")


def test_the_page_asks_nobody_else(client: TestClient) -> None:
    for path in ("/", "/page.css", "/page.js", "/icon.svg"):
        response = client.get(path)
        assert response.status_code == 200
        assert response.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "http" not in response.text.replace("http://www.w3.org/2000/svg", "").replace("HTTPS", "")
    page, script = client.get("/").text, client.get("/page.js").text
    # The policy would let neither run; names are set as text alone.
    assert "<script>" not in page
    assert "style=" not in page
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write"):
        assert word not in script
    assert client.get("/docs").status_code == 404


def test_health_about_and_openapi(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok", "waiting": 0, "batch_size": 8}
    about = client.get("/about").json()
    assert (about["kind"], about["class_names"], about["shows_places"]) == ("image", NAMES, True)
    assert about["limits"]["pixels"] == 10_000
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/predict", "/looked_at", "/health", "/about"}
    post = described["paths"]["/predict"]["post"]
    files = post["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]["files"]
    assert (files["type"], files["minItems"]) == ("array", 1)
    label = described["paths"]["/looked_at"]["post"]["parameters"][0]
    assert (label["name"], label["schema"]["enum"]) == ("label", NAMES)
    assert {"200", "400", "408", "413", "415", "422", "503"} == set(post["responses"])
    result = described["components"]["schemas"]["Result"]["properties"]
    assert set(result) == {"name", "predicted", "probabilities", "set", "none_of_these", "error"}


def test_a_page_elsewhere_that_was_led_here_is_not_answered(client: TestClient) -> None:
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example"):
        refused(client.get("/about", headers={"Host": host}), 421)
    for host in ("localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:9000"):
        assert client.get("/about", headers={"Host": host}).status_code == 200


def test_sets_and_none_of_these_are_told_where_the_bundle_has_them(serving: MakeClient) -> None:
    class Knowing(Slow):
        def answers(self, prepared: Any) -> Any:
            said = Bundle.answers(self, prepared)
            for one in said:
                object.__setattr__(one, "set", ("no", "blåbær"))
                object.__setattr__(one, "none_of_these", True)
            return said

    (result,) = serving(Knowing()).post("/predict", files=several(1)).json()["results"]
    assert (result["set"], result["none_of_these"]) == (["no", "blåbær"], True)


def test_limits_that_contradict_each_other() -> None:
    right = {"files": 1, "file_bytes": 10, "bytes": 10, "pixels": 1, "seconds": 1.0, "queue": 1}
    Limits(**right)  # type: ignore[arg-type]
    with pytest.raises(GraftError, match=r"limits.files=2 never find room in limits.queue=1"):
        Limits(**{**right, "files": 2})  # type: ignore[arg-type]
    with pytest.raises(GraftError, match=r"limits.file_bytes=11 do not fit a request of limits.bytes=10"):
        Limits(**{**right, "file_bytes": 11})  # type: ignore[arg-type]
