"""Texts, sounds and rows are asked about as images are, and answered as the bundle answers them."""

import json
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from graft.backbones import Preprocessing, simple_cnn
from graft.backbones.kim_cnn import text_cnn
from graft.backbones.row_network import table_mlp
from graft.data.sound_kind import SOUNDS
from graft.data.sounds import Sound
from graft.models import Bundle, HowTested, linear
from graft.serve.app import make_app
from graft.serve.limits import Limits
from graft.serve.service import Service

LIMITS = Limits(files=20, file_bytes=300_000, bytes=600_000, pixels=20_000, seconds=20, queue=50)


def results_of(bundle: Bundle, *contents: bytes) -> tuple[list[Any], dict[str, Any]]:
    service = Service(bundle, LIMITS, 4, 0.002)
    with TestClient(make_app(service), base_url="http://localhost") as client:
        files = [("files", (f"{place}", content)) for place, content in enumerate(contents)]
        answered = client.post("/predict", files=files)
        assert answered.status_code == 200, answered.text
        assert client.post("/looked_at", files=files[:1]).status_code == 404
        return answered.json()["results"], client.get("/about").json()


def said(bundle: Bundle, given: Any) -> Any:
    (one,) = bundle.predict([given])
    return pytest.approx(one.probabilities, rel=1e-4)


def bundle_of(backbone: Any) -> Bundle:
    torch.manual_seed(0)
    head = linear(backbone.width, 2)
    return Bundle(backbone, head, ["a", "b"], backbone.preprocessing, HowTested(8))


def test_texts() -> None:
    bundle = bundle_of(text_cnn(training=["a good film", "a bad film", "so so"]))
    contents = [b"a good film", "\ufeffa bad film\n".encode(), b"\xff\xfe", b" \n", b"a\0b"]
    results, about = results_of(bundle, *contents)
    assert (about["kind"], about["plural"], about["shows_places"]) == ("text", "texts", False)
    assert results[0]["probabilities"] == said(bundle, "a good film")
    assert results[1]["probabilities"] == said(bundle, "a bad film")
    reasons = [result["error"] for result in results[2:]]
    assert reasons == ["is no text in UTF-8", "there is no text in it", "is no text"]


def test_rows() -> None:
    rows = [{"age": 20.0 + place, "colour": "red" if place % 2 else "blue"} for place in range(10)]
    # As an age is no number of the row, it repeats.
    bundle = bundle_of(table_mlp(training=[*rows, *rows]))
    given = [{"age": 23, "colour": "red"}, {"age": "23", "colour": "red"}, {"age": "", "colour": "green"}]
    wrong = [json.dumps({"age": 1}), json.dumps([1]), "{", json.dumps({"age": "old", "colour": "red"})]
    huge = '{"age": 1' + "0" * 400 + ', "colour": "red"}'
    contents = [*map(json.dumps, given), *wrong, "[" * 100_000, huge]
    results, about = results_of(bundle, *(content.encode() for content in contents))
    assert (about["kind"], about["columns"]) == ("row", ["age", "colour"])
    assert results[0]["probabilities"] == results[1]["probabilities"] == said(bundle, given[0])
    assert results[2]["probabilities"] == said(bundle, given[2])
    reasons = [result["error"] for result in results[3:]]
    assert "there is no column colour" in reasons[0]
    assert "give a mapping" in reasons[1]
    assert reasons[2] == reasons[4] == "is no JSON object of column to value"
    assert "is no number" in reasons[3]
    assert reasons[5].startswith("cannot be read")


def test_sounds() -> None:
    soundfile = pytest.importorskip("soundfile")
    backbone = simple_cnn(image_size=16)
    backbone.preprocessing = SOUNDS.suited(Preprocessing(resize=16, crop=16))
    bundle = bundle_of(backbone)
    waves = np.sin(np.arange(8000) / 5).astype(np.float32)
    contents = []
    for samples in (waves, np.zeros(20_001, np.float32)):
        written = BytesIO()
        soundfile.write(written, samples, 16_000, format="FLAC")
        contents.append(written.getvalue())
    results, about = results_of(bundle, contents[0], b"no sound")
    assert (about["kind"], about["shows_places"]) == ("sound", False)
    samples, rate = soundfile.read(BytesIO(contents[0]), dtype="float32")
    assert results[0]["probabilities"] == said(bundle, Sound(samples, rate))
    assert results[1]["error"].startswith("cannot be read as a sound")
    # Few bytes of silence may unpack to an hour.
    service = Service(bundle, LIMITS, 4, 0.002)
    with TestClient(make_app(service), base_url="http://localhost") as client:
        refused = client.post("/predict", files={"files": ("long.flac", contents[1])})
    assert (refused.status_code, "20,001 values" in refused.json()["detail"]) == (413, True)
