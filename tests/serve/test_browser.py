"""The page in a real browser, where Playwright and Chromium are installed; both are nobody's dependency.

`pip install playwright`, and Chromium by the system's own packages. AXE names axe-core's `axe.min.js`, and
SHOTS a folder for screenshots.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import uvicorn
from PIL import Image
from torch import Tensor, nn

from graft.backbones import Backbone, Preprocessing
from graft.models import Bundle, HowTested
from graft.serve.app import make_app
from graft.serve.limits import Limits
from graft.serve.server import address_of, listening
from graft.serve.service import Service

sync_api = pytest.importorskip("playwright.sync_api", exc_type=ImportError)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    # Of Playwright's own threads and pipes.
    pytest.mark.filterwarnings("ignore"),
]
NAMES = ["red", "green", "blue", "<i>grey</i>", "black", "a class with a rather long name"]
AXE = os.environ.get("AXE")


class Colours(nn.Module):
    """Images to how much of each colour stands in each of 4 x 4 places."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(6.0))

    def forward(self, images: Tensor) -> Tensor:
        small = nn.functional.adaptive_avg_pool2d(images, 4)
        return (small - small.mean(1, keepdim=True)).relu() * self.scale


def colour_bundle() -> Bundle:
    """Says by construction which colour an image has, and shows where."""
    stages = {
        "colours": nn.Sequential(Colours()),
        "mean": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    }
    preprocessing = Preprocessing(resize=64, crop=64, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    head = nn.Linear(3, len(NAMES))
    head.weight.data = torch.cat([torch.eye(3) * 2, torch.full((3, 3), 0.1)])
    head.bias.data = torch.tensor([0.0, 0.0, 0.0, -1.0, -2.0, -9.0])
    return Bundle(Backbone(stages, 3, preprocessing), head, NAMES, preprocessing, HowTested(8))


def picture(colour: int, place: int = 0) -> bytes:
    """A PNG with a spot of a colour on grey."""
    pixels = np.full((200, 240, 3), 130, np.uint8)
    pixels[20 + place : 110 + place, 30:130] = 40
    pixels[20 + place : 110 + place, 30:130, colour] = 230
    written = BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a server that runs."""
    limits = Limits(files=20, file_bytes=200_000, bytes=2_000_000, pixels=100_000, seconds=20, queue=100)
    service = Service(colour_bundle(), limits, 8, 0.002)
    with listening("127.0.0.1", 0) as taken:
        server = uvicorn.Server(uvicorn.Config(make_app(service), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        yield address_of(taken)
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, with a camera that shows a pattern."""
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield started
        started.close()


@pytest.fixture(params=[(400, "light"), (1400, "light"), (400, "dark"), (1400, "dark")], ids=str)
def page(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Any]:
    """The page at a width, in a scheme; whatever it does, it asks this server alone and breaks no rule."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.grant_permissions(["camera"], origin=address)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("request", lambda asked: asked.url.startswith((address, "blob:")) or wrong.append(asked.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: said.type == "error" and "413" not in said.text and wrong.append(said))
    opened.goto(address)
    opened.get_by_role("button", name="Choose files").wait_for()
    opened.shot = lambda name: shot(opened, f"{name}-{width}-{scheme}")
    yield opened
    assert wrong == []
    context.close()


def shot(page: Any, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def check_access(page: Any) -> None:
    """Fail where axe-core finds a violation, or the page is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if AXE is None:
        return
    # By the browser's own debugger: the page's policy lets in no script but its own.
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    found = page.evaluate(
        "axe.run().then(found => found.violations.map(one => one.id + ': ' + one.nodes[0].html))"
    )
    assert found == []


def drop(page: Any, files: list[tuple[str, str, bytes]]) -> None:
    """Let files fall on the page, as a mouse would."""
    page.evaluate(
        """(files) => {
            const data = new DataTransfer();
            for (const [name, type, bytes] of files)
                data.items.add(new File([new Uint8Array(bytes)], name, {type}));
            for (const type of ["dragenter", "dragover", "drop"])
                document.getElementById("drop").dispatchEvent(
                    new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: data}));
        }""",
        [[name, kind, list(content)] for name, kind, content in files],
    )


def test_pictures_and_a_text_are_dropped(page: Any) -> None:
    page.shot("empty")
    check_access(page)
    drop(page, [("<b>spot</b>.png", "image/png", picture(0))])
    page.get_by_role("heading", name="red").wait_for()
    assert page.get_by_role("status").inner_text() == "<b>spot</b>.png: red"
    card = page.locator(".card")
    assert card.locator(".bar").count() == 5
    assert "<i>grey</i>" in card.inner_text()
    card.get_by_role("button", name="What it looked at").click()
    looked = card.get_by_role("img", name="What the network saw of")
    looked.wait_for()
    assert page.get_by_role("status").inner_text().startswith("Shown: what the network looked at")
    page.wait_for_function("() => [...document.images].every(image => image.complete && image.width > 0)")
    card.get_by_role("button", name="All 6 classes").click()
    assert card.locator(".bar").count() == 6
    files = [("notes.txt", "text/plain", b"hello"), ("huge.png", "image/png", bytes(250_000))]
    drop(page, [*files, ("a.png", "image/png", picture(1, 60)), ("b.png", "image/png", picture(2, 20))])
    page.get_by_text("2 of 4 files answered, 2 could not be read.").wait_for()
    bad = page.locator(".card.bad").all_inner_texts()
    assert "notes.txt" in bad[0]
    assert "cannot be read as an image" in bad[0]
    assert "a file may have 200 kB, and this has more" in bad[1]
    assert page.locator(".card").count() == 5
    page.shot("answers")
    check_access(page)


def test_the_keyboard_is_enough(page: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("files") / "spot.png"
    file.write_bytes(picture(2))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    # The system's own window, which the click on the field opens, is nothing of a page.
    page.evaluate("document.getElementById('files').onclick = () => { window.asked = 1; return false; }")
    page.keyboard.press("Enter")
    assert page.evaluate("window.asked") == 1
    page.locator("#files").set_input_files(file)
    page.get_by_role("heading", name="blue").wait_for()
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent"))
    assert reached[:4] == ["Use the camera", "Clear", "What it looked at", "All 6 classes"]
    # Back to what it looked at.
    page.locator("button", has_text="What it looked at").focus()
    page.keyboard.press("Enter")
    page.get_by_role("img", name="What the network saw of").wait_for()
    page.locator("#clear").focus()
    page.keyboard.press("Space")
    assert page.locator(".card").count() == 0
    assert page.evaluate("document.activeElement.id") == "choose"


def test_a_picture_is_pasted_and_one_is_taken(page: Any) -> None:
    page.evaluate(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "image.png", {type: "image/png"}));
            dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, cancelable: true}));
        }""",
        list(picture(1)),
    )
    page.get_by_role("heading", name="green").wait_for()
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_function("() => document.getElementById('video').videoWidth > 0")
    check_access(page)
    page.get_by_role("button", name="Take the picture").click()
    page.get_by_text("picture 1.png", exact=True).wait_for()
    page.locator(".card:not(.waiting)").nth(1).wait_for()
