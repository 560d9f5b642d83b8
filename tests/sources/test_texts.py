"""A CSV of texts: what it may say, what is left out, and the texts to predict."""

import pytest

from graft.data.text_kind import TEXTS
from graft.errors import GraftError
from graft.sources import find_samples, text_csv


@pytest.fixture
def table(tmp_path):
    def table(text, name="list.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return table


def refused(file, *words, **settings):
    with pytest.raises(GraftError) as caught:
        text_csv(file, **settings).check_trainable()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_texts_and_labels(table):
    data = text_csv(table("id,text,label\n1, good film ,pos\n2,bad film,neg\n"))
    assert list(data.parts) == ["all"]
    assert data.class_names == ["neg", "pos"]
    assert data.samples.names == ["line 2", "line 3"]
    assert data.samples.labels.tolist() == [1, 0]
    assert [data.samples[index] for index in range(2)] == ["good film", "bad film"]
    assert data.kind is TEXTS
    assert data.samples.content(0) == b"good film"


def test_splits_and_groups(table):
    rows = "a,x,train,ada\nb,y,Train,bob\nc,x,dev,bob\nd,x,test,eve\n"
    data = text_csv(table(f"text,label,split,group\n{rows}"))
    assert {part: len(samples) for part, samples in data.parts.items()} == {"train": 2, "val": 1, "test": 1}
    assert data.groups == ["ada", "bob", "bob", "eve"]
    assert "warning: 1 groups are in more than one part, such as bob" in data.notes
    assert "val has no texts of y" in data.notes


def test_columns_by_other_names(table):
    file = table("review;stars;fold;who\ngood;5;train;a\nbad;1;train;b\nfine;5;test;c\n")
    data = text_csv(file, text="review", label="stars", split="fold", group="who")
    assert set(data.parts) == {"train", "test"}
    assert data.class_names == ["1", "5"]
    assert data.groups == ["a", "b", "c"]
    refused(file, "no column text (data.text)", "review;stars;fold;who")
    file = table("reviews,label\ngood,a\n")
    refused(file, "no column review (data.text)", "did you mean reviews?", text="review")
    refused(table("text,label\ngood,a\n"), "no column part (data.split)", split="part")


def test_rows_without_a_text_or_a_label_are_counted(table):
    data = text_csv(table("text,label\na,x\n  ,x\n,y\nb,\n\nc,y\n"))
    assert [data.samples[index] for index in range(2)] == ["a", "c"]
    assert data.notes == [
        "left out: 2 rows have no text, such as line 3",
        "left out: 1 row has no label, such as line 5",
    ]


def test_what_is_wrong(table, tmp_path):
    good = "text,label,split,group\na,x,train,g\n"
    refused(table(f"{good}b,y,trian,g\n"), "line 3", "'trian'", "did you mean train?")
    refused(table(f"{good}b,y,train,\n"), "line 3", "group is empty")
    refused(table("text,label\na,x\n"), "one class only")
    refused(table("text,label\n,x\n"), "no texts found")
    refused(table(""), "is empty")
    refused(table("text,text,label\na,b,x\n"), "2 columns are called text")
    refused(str(tmp_path / "gone.csv"), "cannot be opened")


def found(source, **data):
    samples, notes = find_samples(source, TEXTS, data)
    return dict(zip(samples.names, (samples[index] for index in range(len(samples))), strict=True)), notes


def test_texts_to_predict(table):
    assert found(table("one\n\ntwo, and more \r\n", "a.txt")) == (
        {"line 1": "one", "line 3": "two, and more"},
        ["left out: 1 blank lines"],
    )
    assert found(table("label,text\nx,one\ny,\nz,two\n")) == (
        {"line 2": "one", "line 4": "two"},
        ["left out: 1 row has no text, such as line 3"],
    )
    assert found(table("review,x\none,2\n"), text="review")[0] == {"line 2": "one"}
    assert found(table('one\n"two, three"\n'))[0] == {"line 1": "one", "line 2": "two, three"}


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("texts,b\none,2\n", "a.csv", "no column text; the columns are texts, b; did you mean texts?"),
        ("\n \n", "a.txt", "there are no texts"),
        ("text\n", "a.csv", "there are no texts"),
    ],
)
def test_no_texts_to_predict(table, content, name, words):
    with pytest.raises(GraftError, match=r"source=.*") as caught:
        found(table(content, name))
    assert words in str(caught.value)


def test_a_folder_is_no_list_of_texts(tmp_path):
    with pytest.raises(GraftError, match=r"give a CSV of texts, or a .txt"):
        found(str(tmp_path))
