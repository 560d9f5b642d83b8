"""Data sets of the hub's form are read from folders: Parquet, saved ones, files; their parts are ours."""

import io

import numpy as np
import pytest
from PIL import Image

from graft.data import SampleData
from graft.errors import GraftError
from graft.sources import hub_data

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """What the library makes of files lies in a cache of the test's own."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "the library's cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def pictures(count, seed=0):
    drawn = np.random.default_rng(seed)
    return [Image.fromarray(drawn.integers(0, 256, (9, 7, 3), np.uint8)) for _ in range(count)]


def png(image):
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def image_set(labels, seed=0, names=("cat", "ant")):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))})
    columns = {"image": [{"bytes": png(image), "path": None} for image in pictures(len(labels), seed)]}
    return datasets.Dataset.from_dict({**columns, "label": labels}, features=features)


def text_set(texts, labels, **more):
    return datasets.Dataset.from_dict({"text": texts, "label": labels, **more})


def write_parquet(folder, **splits):
    folder.mkdir()
    for split, rows in splits.items():
        rows.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return str(folder)


def refusal(*args, **kwargs):
    with pytest.raises(GraftError) as caught:
        hub_data(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("how", ["parquet", "saved"])
def test_images_come_in_the_set_s_own_parts(tmp_path, how):
    splits = {"train": image_set([0, 1, 1]), "validation": image_set([1], 1), "test": image_set([0, 1], 2)}
    if how == "parquet":
        name = write_parquet(tmp_path / "set", **splits)
    else:
        datasets.DatasetDict(splits).save_to_disk(tmp_path / "set")
        name = str(tmp_path / "set")
    data = hub_data(name)
    assert isinstance(data, SampleData)
    assert list(data.parts) == ["train", "val", "test"]
    assert data.class_names == ["ant", "cat"]
    assert [part.labels.tolist() for part in data.parts.values()] == [[1, 0, 0], [0], [1, 0]]
    for place, image in enumerate(pictures(3)):
        assert np.array_equal(np.asarray(data.parts["train"][place]), np.asarray(image))
        assert data.parts["train"].content(place) == png(image)
    assert data.samples.names[:4] == ["train/0", "train/1", "train/2", "val/0"]
    # What is kept in memory can be sent to processes that load.
    import pickle

    again = pickle.loads(pickle.dumps(data.samples))
    assert np.array_equal(np.asarray(again[2]), np.asarray(pictures(3)[2]))


def test_a_damaged_image_is_named(tmp_path):
    rows = image_set([0, 1])
    broken = [{"bytes": b"no image", "path": None}, None]
    rows = datasets.Dataset.from_dict({"image": broken, "label": [0, 1]}, features=rows.features)
    data = hub_data(write_parquet(tmp_path / "set", train=rows))
    for place in range(2):
        with pytest.raises(GraftError, match=f"^train/{place}: ") as caught:
            data.samples[place]
        assert " at 0x" not in str(caught.value)


def test_texts_with_labels_that_are_strings(tmp_path):
    rows = text_set(["fine", "bad", "worse"], ["yes", "no", "no"])
    data = hub_data(write_parquet(tmp_path / "set", train=rows))
    assert data.class_names == ["no", "yes"]
    assert data.samples.labels.tolist() == [1, 0, 0]
    assert (data.samples[0], data.samples.content(1)) == ("fine", b"bad")
    assert data.kind.plural == "texts"


def test_numbers_are_classes_in_their_own_order(tmp_path):
    data = hub_data(write_parquet(tmp_path / "set", train=text_set(["a", "b", "c"], [10, 9, 1])))
    assert data.class_names == ["1", "9", "10"]


def test_files_in_folders_are_a_set_too(tmp_path):
    for name, image in zip(["ant", "cat"], pictures(2), strict=True):
        (tmp_path / "set" / "train" / name).mkdir(parents=True)
        (tmp_path / "set" / "train" / name / "a.png").write_bytes(png(image))
    data = hub_data(str(tmp_path / "set"))
    assert data.class_names == ["ant", "cat"]
    assert np.array_equal(np.asarray(data.samples[1]), np.asarray(pictures(2)[1]))


def test_columns_go_by_their_names(tmp_path):
    rows = text_set(["a", "b"], [0, 1], title=["x", "y"], kind=["p", "q"])
    name = write_parquet(tmp_path / "set", train=rows)
    data = hub_data(name, input="title", label="kind")
    assert data.class_names == ["p", "q"]
    assert data.samples[0] == "x"
    assert "did you mean title" in refusal(name, input="titel")
    assert "data.label=no" in refusal(name, label="no")
    assert "data.input=label" in refusal(name, input="label", label="kind")


def test_what_cannot_be_read_is_one_line(tmp_path):
    assert "no such folder" in refusal(str(tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    assert "cannot be had" in refusal(str(tmp_path / "empty"))
    assert "cannot be had" in refusal("nobody/nothing")
    assert "is for a name of the hub" in refusal(str(tmp_path), revision="main")
    unlabelled = datasets.Dataset.from_dict({"words": ["a", "b"], "number": [0.5, 1.5]})
    name = write_parquet(tmp_path / "unlabelled", train=unlabelled)
    assert "which column holds the labels" in refusal(name)
    assert "are no classes" in refusal(name, label="number")
    two = datasets.Dataset.from_dict({"first": ["a"], "second": ["b"], "label": [1]})
    assert "give data.input" in refusal(write_parquet(tmp_path / "two", train=two))
    listed = datasets.Dataset.from_dict({"values": [[1, 2]], "label": [1]})
    assert "must be of" in refusal(write_parquet(tmp_path / "listed", train=listed), input="values")
    holes = text_set(["a", "b"], ["yes", None])
    assert "row 1 has no label" in refusal(write_parquet(tmp_path / "holes", train=holes))
    fine = write_parquet(tmp_path / "fine", train=text_set(["a", "b"], [0, 1]))
    assert "is for sounds" in refusal(fine, seconds=1.0)


def test_a_test_set_whose_labels_are_kept_back_is_left_out(tmp_path):
    name = write_parquet(tmp_path / "set", train=image_set([0, 1]), test=image_set([-1, -1]))
    data = hub_data(name)
    assert list(data.parts) == ["train"]
    assert any("kept back" in note for note in data.notes)


def test_the_hub_is_not_waited_for(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    assert "does not answer" in refusal("somebody/something")


def test_sounds_are_decoded_as_those_of_files(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    wave = np.sin(np.arange(800) / 9).astype(np.float32) / 2
    written = io.BytesIO()
    soundfile.write(written, wave, 8000, format="WAV", subtype="FLOAT")
    table = {"audio": [{"bytes": written.getvalue(), "path": "a.wav"}] * 2, "label": [0, 1]}
    # To write sounds the library wants torchcodec; it takes files that are written already.
    rows = datasets.Dataset.from_dict(table).cast_column("audio", datasets.Audio(decode=False))
    rows = rows.cast_column("label", datasets.ClassLabel(names=["a", "b"]))
    data = hub_data(write_parquet(tmp_path / "set", train=rows))
    assert data.kind.plural == "sounds"
    assert data.samples[0].rate == 8000
    assert np.array_equal(data.samples[0].samples, wave)
    assert data.samples.content(0) == written.getvalue()
