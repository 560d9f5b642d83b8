"""A CSV of paths and labels: what it may say, and the line that is wrong."""

import unicodedata

import pytest

from graft.errors import GraftError
from graft.sources import csv_manifest


@pytest.fixture
def manifest(tmp_path, paint):
    """Write a manifest beside the images 0.png to 5.png."""
    for index in range(6):
        paint(tmp_path / "images" / f"{index}.png", (index, 0, 0))

    def manifest(text, encoding="utf-8"):
        path = tmp_path / "list.csv"
        path.write_text(text, encoding=encoding)
        return str(path)

    return manifest


def refused(file, *words):
    with pytest.raises(GraftError) as caught:
        csv_manifest(file).check_trainable()
    text = str(caught.value)
    assert text.startswith(f"data.file={file}")
    assert "\n" not in text
    for word in words:
        assert word in text


def test_paths_and_labels(manifest):
    data = csv_manifest(manifest("path,label\nimages/3.png,b\nimages/1.png,a\n"))
    assert list(data.parts) == ["all"]
    assert data.class_names == ["a", "b"]
    assert data.samples.names == ["images/3.png", "images/1.png"]
    assert data.samples.labels.tolist() == [1, 0]
    assert data.samples[0].getpixel((0, 0)) == (3, 0, 0)


def test_groups_are_read_in_the_order_of_the_images(manifest):
    rows = "2.png,b,test,eve\nimages/0.png,a,train,ada\nimages/1.png,b,train,bob\n".replace(
        "2", "images/2", 1
    )
    data = csv_manifest(manifest(f"path,label,split,group\n{rows}"))
    assert dict(zip(data.samples.names, data.groups, strict=True)) == {
        "images/0.png": "ada",
        "images/1.png": "bob",
        "images/2.png": "eve",
    }
    assert data.notes == ["test has no images of a"]
    assert data.relabelled(data.samples.labels[:2], ["a", "b"]).groups == data.groups
    without = csv_manifest(manifest("path,label\nimages/3.png,b\nimages/1.png,a\n"))
    assert without.groups is None


def test_a_group_that_the_manifest_divides_is_told(manifest):
    rows = "images/0.png,a,train,ada\nimages/1.png,b,train,bob\nimages/2.png,b,test,bob\n"
    data = csv_manifest(manifest(f"path,label,split,group\n{rows}"))
    assert "warning: 1 groups are in more than one part, such as bob" in data.notes
    refused(manifest("path,label,group\nimages/0.png,a,x\nimages/1.png,b,\n"), "line 3", "group is empty")


def test_a_root_other_columns_and_a_spreadsheets_byte_order_mark(manifest, tmp_path):
    file = manifest("who,path,label\nme,0.png, a\nyou,1.png,b\n", encoding="utf-8-sig")
    data = csv_manifest(file, root=str(tmp_path / "images"))
    assert data.samples.names == ["0.png", "1.png"]
    assert data.class_names == ["a", "b"]
    byte_order_mark_first = manifest("path,label\nimages/0.png,a\nimages/1.png,b\n", encoding="utf-8-sig")
    assert len(csv_manifest(byte_order_mark_first).samples) == 2


def test_a_split_column(manifest):
    rows = ["images/0.png,b,test", "images/1.png,a,train", "images/2.png,b,Train", "images/3.png,a,valid"]
    text = "\n".join(["path,label,split", *rows])
    data = csv_manifest(manifest(text))
    assert list(data.parts) == ["train", "val", "test"]
    assert data.parts["train"].labels.tolist() == [0, 1]
    assert data.notes == ["val has no images of b", "test has no images of a"]


def test_classes_come_from_train(manifest):
    text = "path,label,split\nimages/0.png,a,train\nimages/1.png,b,train\nimages/2.png,c,test\n"
    refused(manifest(text), "test", "train lacks: c")
    refused(manifest("path,label\nimages/0.png,a\n"), "one class only")
    refused(manifest("path,label,split\nimages/0.png,a,test\n"), "no train")
    refused(manifest("path,label\n"), "no images")


def test_a_missing_column_or_file(manifest, tmp_path):
    refused(manifest("paths,label\n"), "no column path", "did you mean paths?")
    refused(manifest("path;label\nx;a\n"), "no column path", "path;label")
    refused(manifest(""), "is empty")
    refused(str(tmp_path / "gone.csv"), "cannot be opened")
    (tmp_path / "latin.csv").write_bytes(b"path,label\n\xe9.png,a\n")
    refused(str(tmp_path / "latin.csv"), "UTF-8")


def test_the_line_that_is_wrong(manifest):
    good = "path,label,split\nimages/0.png,a,train\n"
    refused(manifest(good + "images/1.png,,train\n"), "line 3", "label is empty")
    refused(manifest(good + ",b,train\n"), "line 3", "path is empty")
    refused(manifest(good + "images/1.png\n"), "line 3", "1 cell, the header has 3")
    refused(manifest(good + "images/1.png,b,trian\n"), "line 3", "'trian'", "did you mean train?")
    refused(manifest(good + "images/1.png,b,\n"), "line 3", "split ''")
    refused(manifest(good + "images/0.png,b,test\n"), "line 3", "listed before, in line 2")


def test_missing_images_are_counted_and_the_first_named(manifest):
    text = "path,label\nimages/0.png,a\nimages/x.png,b\nimages/y.png,b\n"
    refused(manifest(text), "2 of 3", "line 3", "images/x.png")


def test_a_row_that_does_not_fit_the_header(manifest):
    good = "path,label\nimages/0.png,a\n"
    text = good + "images/4.png,nail, finger\nimages/5.png,nail, iron\n"
    refused(manifest(text), "line 3", "3 cells, the header has 2", "' finger'", '"nail, finger"')
    refused(manifest(good + "images/1.png,b,\n"), "line 3", "3 cells")
    refused(manifest(good + "images/1.png\n"), "line 3", "1 cell, ")
    # An empty line is no row.
    assert len(csv_manifest(manifest(good + "\nimages/1.png,b\n\n")).samples) == 2


@pytest.mark.parametrize("column", ["path", "label", "split", "group"])
def test_a_column_that_is_named_twice(manifest, column):
    header = f"path,label,split,group,{column}"
    refused(manifest(f"{header}\nimages/0.png,a,train,x,a\n"), f"2 columns are called {column}")
    # Of a column that is not read there may be two.
    text = "path,label,note,note\nimages/0.png,a,,\nimages/1.png,b,,\n"
    assert len(csv_manifest(manifest(text)).samples) == 2


def test_one_file_under_several_spellings_of_its_path(manifest, tmp_path):
    (tmp_path / "images" / "again.png").symlink_to("0.png")
    (tmp_path / "linked").symlink_to("images")
    folder = tmp_path.name
    for other in (
        "images/../images/0.png",
        "./images/0.png",
        f"../{folder}/images/0.png",
        f"{tmp_path}/images/0.png",
        "images/again.png",
        "linked/0.png",
    ):
        text = f"path,label\nimages/1.png,b\nimages/0.png,a\n{other},b\n"
        refused(manifest(text), "line 4", "line 3")


def test_a_quote_that_is_left_open(manifest):
    good = "path,label,note\nimages/0.png,a,\n"
    refused(manifest(good + 'images/1.png,"b,\nimages/2.png,b,\n'), "line 3", "quote")
    refused(manifest(good + 'images/1.png,"b\nimages/2.png,b,",\n'), "line 3", "the label has several lines")
    refused(manifest(good + 'images/1.png,b,"\nimages/2.png,b,"\n'), "line 3", "images/2.png,b,")
    refused(manifest(good + 'images/1.png,b,"x" y\n'), "line 3", "quote")
    # Text of several lines is right in a column that is not read; lines are counted as an editor does.
    text = good + 'images/1.png,b,"seen, once,\nand again"\nimages/2.png,,\n'
    refused(manifest(text), "line 5", "label is empty")
    data = csv_manifest(manifest('path,label\nimages/0.png,"a, b"\nimages/1.png,b\n'))
    assert data.class_names == ["a, b", "b"]


def test_nul_bytes(manifest, tmp_path):
    refused(manifest("path,label\nimages/0.png,a\nimages/1.png\0,b\n"), "line 3", "NUL")
    (tmp_path / "wide.csv").write_bytes("path,label\nimages/0.png,a\n".encode("utf-16-le"))
    refused(str(tmp_path / "wide.csv"), "line 1", "NUL", "UTF-16")


def test_names_are_compared_in_one_spelling(manifest, tmp_path, paint):
    composed, apart = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    paint(tmp_path / apart / f"{apart}.png", (7, 0, 0))
    text = f"path,label\n{composed}/{composed}.png,{apart}\nimages/0.png,{composed}\nimages/1.png,b\n"
    data = csv_manifest(manifest(text))
    assert data.class_names == [composed, "b"]
    assert data.samples.labels.tolist() == [0, 0, 1]
    assert data.samples.names[0] == f"{apart}/{apart}.png"
    assert data.samples[0].getpixel((0, 0)) == (7, 0, 0)
    twice = f"path,label\n{composed}/{composed}.png,a\n{apart}/{apart}.png,b\n"
    refused(manifest(twice), "line 3", "line 2")


def test_the_usual_words_of_a_split_column(manifest):
    words = ("training", "Dev", "testing", "eval")
    rows = [f"images/{place}.png,a,{word}" for place, word in enumerate(words)]
    rows += ["images/4.png,b,train", "images/5.png,b,test"]
    data = csv_manifest(manifest("\n".join(["path,label,split", *rows[:3], *rows[4:]])))
    assert {part: len(images) for part, images in data.parts.items()} == {"train": 2, "val": 1, "test": 2}
    # Beside another word for val and none for test, eval is the test.
    data = csv_manifest(manifest("\n".join(["path,label,split", *rows[:2], *rows[3:5]])))
    assert {part: len(images) for part, images in data.parts.items()} == {"train": 2, "val": 1, "test": 1}
