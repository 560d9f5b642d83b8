"""The page of an advice: it is safe, whole, small, and asks nobody for anything."""

import copy
import io
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from graft.advice import figures
from graft.advice.embedding import data_uri
from graft.advice.report import html, write_report
from graft.composition.words import made_ready
from graft.runs.advice_folder import AdviceFolder

NASTY = "<script>alert('x')</script>\"><img src=http://a.test/x onerror=1>\udcff\x1b[31m"
QUESTIONS = ("do", "images", "backbone", "retrain", "trust", "help", "test", "time", "files")


def training(backbone: str, freeze: str, epochs: int) -> dict[str, Any]:
    return {
        "name": f"{backbone}-{freeze}",
        "backbone": backbone,
        "freeze": freeze,
        "epochs": epochs,
        "of": 20,
        "finished": True,
        "best": 0.9,
        "curve": [0.8 + 0.1 * epoch / epochs for epoch in range(1, epochs + 1)],
        "seconds": 130.0,
        "run": f"runs/{backbone}-{freeze}",
        "command": f"graft train data=digits backbone={backbone} freeze={freeze} test=false",
        "failed": "",
    }


def ranked(backbone: str, probe: float | None, reason: str = "") -> dict[str, Any]:
    known = probe is not None
    return {
        "backbone": backbone,
        "weights": "package",
        "probe": probe,
        "low": probe - 0.02 if known else None,
        "high": probe + 0.02 if known else None,
        "goes_on": known,
        "milliseconds": 12.5,
        "parameters": 10,
        "gmacs": 0.1,
        "reason": reason,
    }


def whole() -> dict[str, Any]:
    """An advice with every part."""
    suspect = {"path": NASTY, "given": NASTY, "suggested": "b", "quality": 0.1, "p_given": 0.01}
    return {
        "form": 1,
        "graft": "0.1.0",
        "complete": True,
        "stopped": "",
        "question": {
            "goal": "accuracy",
            "minutes": 4,
            "cost": None,
            "words": ["data=digits", f"++x={NASTY}"],
        },
        "sentences": [f"Take one and retrain it {NASTY}.", "It is better.", "Its accuracy is 97.5 %."],
        "advice": {
            "backbone": "one",
            "weights": None,
            "freeze": "full",
            "says": "everything is retrained",
            "run": "runs/one-full",
            "model": "model",
            "words": [],
            "command": f"graft train data=digits backbone=one freeze=full {NASTY}",
        },
        "look": {
            "images": 1797,
            "classes": [NASTY, "b" * 5000, "c"],
            "splits": {"train": 1149, "val": 288, "test": 360},
            "rule": f"no test set found {NASTY}",
            "by_class": [
                {"class": name, "train": 1100 - place, "val": 288, "test": 120, "all": 1508}
                for place, name in enumerate((NASTY, "b" * 5000, "c"))
            ],
            "findings": [{"kind": "note", "text": "a note"}, {"kind": "leak", "text": f"a leak {NASTY}"}],
        },
        "backbones": {
            "ranked": [ranked("one", 0.9), ranked(NASTY, 0.8), ranked("three", None, f"too slow {NASTY}")],
            "not_at_hand": [{"name": NASTY, "megabytes": 20.5}],
            "command": "graft rank data=digits",
        },
        "retraining": {
            "trainings": [
                training("one", "frozen", 1),
                training("one", "full", 10),
                training(NASTY, "lora", 4),
            ],
            "stopped_because": "no step up is worth its cost",
        },
        "trust": {
            "head": "one-frozen",
            "other": "one-full",
            "why_not": "",
            "cut": {"folds": 3, "repeats": 1},
            "folds": [
                {"fold": fold, "head": 0.9, "other": 0.9 + step, "trained": 1149, "tested": 360}
                for fold, step in ((1, 0.02), (2, -0.01), (3, 0.0))
            ],
            "mean": 0.0033,
            "low": -0.05,
            "high": 0.06,
            "measurable": False,
            "worth_it": False,
        },
        "more_labels": {
            "points": [{"images": 100, "accuracy": 0.8, "deviation": 0.01, "draws": 3}],
            "gain": 0.02,
            "low": 0.01,
            "high": 0.03,
            "sentence": f"Twice the labels bring 2 points {NASTY}.",
            "figure": "labels.png",
            "command": "graft advise more",
        },
        "wrong_labels": {
            "images": 1437,
            "issues": 3,
            "suspects": [{**suspect, "p_suggested": 0.98, "issue": True}],
            "figure": "suspects.png",
            "sentence": "Three labels look wrong.",
            "command": "graft advise labels",
        },
        "confused": [{"given": NASTY, "predicted": "b", "count": 7, "of": 40}],
        "rare": [{"class": NASTY, "images": 4, "accuracy": 0.25}],
        "test": {
            "test/accuracy": 0.975,
            "test/accuracy_ci": [0.953, 0.987],
            "test/errors": 9,
            "test/ece": 0.02,
        },
        "time": {"asked": 240, "spent": 164.7, "steps": {"look": 0.9, "rank": 2.7, NASTY: 1.0}},
    }


def stopped(after_look: bool) -> dict[str, Any]:
    """An advice that was stopped before or after it looked at the images."""
    answer = whole()
    for part in ("more_labels", "wrong_labels", "confused", "rare"):
        del answer[part]
    return answer | {
        "complete": False,
        "stopped": "it was interrupted",
        "sentences": ["No advice yet: it was interrupted."],
        "advice": None,
        "look": answer["look"] if after_look else None,
        "backbones": {"ranked": [], "not_at_hand": [], "command": "graft rank"},
        "retraining": {"trainings": [], "stopped_because": ""},
        "trust": None,
        "test": {},
        "time": {"asked": 240, "spent": 0.0, "steps": {}},
    }


def png(width: int, height: int, noise: bool = False) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels if noise else pixels * 0).save(written, "png", compress_level=0 if noise else 6)
    return written.getvalue()


def svg() -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"/>'


def pictures(photo: bytes) -> dict[str, bytes | Path]:
    drawn = ("backbones", "trainings", "folds")
    photos = ("confusion", "reliability", "mistakes", "labels", "suspects")
    return {
        **{f"{name}{end}": svg() for name in drawn for end in ("", "-dark")},
        **dict.fromkeys(photos, photo),
    }


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and the text of each section."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self._section = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self._section = str(dict(attrs)["id"])
            self.sections[self._section] = ""

    def handle_data(self, data: str) -> None:
        if self._section:
            self.sections[self._section] += data

    def attributes(self, *names: str) -> list[str]:
        return [str(of[name]) for _, of in self.elements for name in names if name in of]

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(html(whole(), pictures(png(20, 20)), NASTY))


def test_names_are_text_and_nothing_else(page: Page) -> None:
    assert not {"script", "iframe", "object", "link", "base", "form"} & set(page.tags())
    assert not [name for _, of in page.elements for name in of if name.startswith("on")]
    # Each place that a name can stand in has it, as it is, but for what no terminal and no file can take.
    for place in ("do", "images", "backbone", "retrain", "help", "time", "files"):
        assert "<script>alert('x')</script>" in page.sections[place], place
    text = html(whole(), {}, NASTY)
    text.encode("utf-8")
    assert "\x1b" not in text
    assert "b" * 200 not in text


def test_it_asks_nobody_for_anything(page: Page) -> None:
    asked = page.attributes("src", "srcset", "href", "poster", "data", "action", "background")
    assert asked
    assert all(one.startswith(("data:image/", "#")) for one in asked)
    text = html(whole(), {})
    style = text[text.index("<style>") : text.index("</style>")]
    assert not re.search(r"@import|url\(|@font-face", style)
    policy = next(of["content"] for tag, of in page.elements if tag == "meta" and "http-equiv" in of)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_each_picture_says_in_words_what_it_shows(page: Page) -> None:
    images = [of for tag, of in page.elements if tag == "img"]
    assert len(images) == 8
    assert all(len(of["alt"] or "") > 30 for of in images)


def test_headings_stand_in_order_and_every_link_leads_somewhere(page: Page) -> None:
    levels = [int(tag[1]) for tag in page.tags() if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert tuple(page.sections) == QUESTIONS
    identifiers = page.attributes("id")
    assert len(identifiers) == len(set(identifiers))
    assert {link[1:] for link in page.attributes("href")} <= set(identifiers)
    assert next(of for tag, of in page.elements if tag == "html")["lang"] == "en"


def test_the_first_screen_says_the_number_and_how_to_use_the_model() -> None:
    first = Page(html(whole(), {}, "outputs/mine")).sections["do"].replace("\xa0", " ")
    assert "97.5 %" in first
    assert "351 of 360" in first
    assert "95.3 to 98.7 %" in first
    assert "graft predict run=outputs/mine source=photos" in first


def test_the_images_of_each_class_stand_in_a_table(page: Page) -> None:
    cells = re.sub(r"\s+", " ", page.sections["images"])
    assert "ClassTrainValidationTest" in cells
    assert "c1,098288120" in cells
    answer = whole()
    # Classes of a data set without a part of its own have no column for it.
    del answer["look"]["splits"]["val"]
    assert "ClassTrainTest" in re.sub(r"\s+", " ", Page(html(answer, {})).sections["images"])
    answer["look"]["by_class"] *= 100
    assert "The first 40 of 300" in Page(html(answer, {})).sections["images"]
    # An advice from before there was such a table has the names.
    del answer["look"]["by_class"]
    assert "c" in Page(html(answer, {})).sections["images"].split("The 3 classes")[1]


def test_leaks_come_first(page: Page) -> None:
    images = page.sections["images"]
    assert images.index("a leak") < images.index("a note")


def test_with_leaks_no_test_image_is_called_unseen() -> None:
    answer = whole()
    assert "never seen" not in Page(html(answer, {})).sections["do"]
    answer["look"]["findings"] = []
    assert "of images that it has never seen are named right" in Page(html(answer, {})).sections["do"]


def test_each_section_has_a_command_that_repeats_it() -> None:
    page = Page(html(whole(), {}, "mine"))
    for place, command in (
        ("do", "graft train data=digits backbone=one freeze=full"),
        ("images", "graft inspect data=digits"),
        ("backbone", "graft rank data=digits"),
        ("retrain", "graft train data=digits backbone=one freeze=frozen test=false"),
        ("trust", "graft crossval data=digits backbone=one freeze=full folds=3"),
        ("help", "graft advise labels"),
        ("test", "graft evaluate run=mine/runs/one-full"),
        ("time", "graft advise data=digits"),
    ):
        assert command in page.sections[place], place


def test_a_word_with_a_space_is_quoted() -> None:
    answer = whole()
    answer["question"]["words"] = ["data=image_folder", "data.root=My photos", "minutes=3"]
    page = Page(html(answer, {}, "my advice"))
    assert "graft predict 'run=my advice' source=photos\n" in page.sections["do"]
    assert "graft evaluate 'run=my advice/runs/one-full'\n" in page.sections["test"]
    added = "data.keep_copies_together=true data.test_seed=0"
    assert f"graft inspect data=image_folder 'data.root=My photos' {added}\n" in page.sections["images"]


def test_its_own_command_is_what_was_typed() -> None:
    """Hydra alone needs the plus signs of weights and the quotes; those of a key of one's own one types."""
    answer = whole()
    given = ["data=digits", "++data.mine=1", '++weights.simple_cnn="2024"', "++weights.resnet18=null"]
    answer["question"]["words"] = given
    said = Page(html(answer, {}, "mine")).sections["time"]
    typed = ["data=digits", "++data.mine=1", "weights.simple_cnn=2024", "weights.resnet18=null"]
    assert f"graft advise {' '.join(typed)}\n" in said
    assert made_ready("advise", typed) == given


@pytest.mark.parametrize("after_look", [True, False])
def test_what_was_stopped_says_in_every_section_why_it_is_empty(after_look: bool) -> None:
    page = Page(html(stopped(after_look), {}, "outputs/mine"))
    assert tuple(page.sections) == QUESTIONS
    assert "it was interrupted" in page.sections["do"]
    assert "graft advise resume=outputs/mine" in page.sections["do"]
    assert "graft predict" not in page.sections["do"]
    assert ("not looked at" in page.sections["images"]) is not after_look
    for place, why in (
        ("backbone", "No backbone was ranked"),
        ("retrain", "Nothing was trained"),
        ("trust", "No folds: no head was trained"),
        ("help", "was not asked"),
        ("test", "Nothing was tested"),
        ("time", "No step was begun"),
    ):
        assert f"{why} (the advice was stopped" in page.sections[place], place


def test_without_folds_it_says_why() -> None:
    answer = whole()
    answer["trust"] |= {"folds": [], "mean": None, "low": None, "high": None, "why_not": "they take 90 s"}
    assert "No folds: they take 90 s." in Page(html(answer, {})).sections["trust"]


@pytest.mark.parametrize("part", ["more_labels", "wrong_labels", "confused", "rare"])
def test_one_answer_about_labels_may_be_missing(part: str) -> None:
    answer = whole()
    answer[part] = None
    said = Page(html(answer, {})).sections["help"]
    assert "not" in said
    assert said != Page(html(whole(), {})).sections["help"]


def test_a_metric_that_is_no_accuracy_goes_by_its_name() -> None:
    answer = whole()
    answer["question"]["goal"] = "f1_macro"
    answer["test"] |= {"test/f1_macro": 0.5, "test/f1_macro_ci": None}
    first = Page(html(answer, {})).sections["do"].replace("\xa0", " ")
    assert "50.0 %" in first
    assert "f1 macro on the test images" in first
    assert "named right" not in first


def test_the_same_advice_is_the_same_page() -> None:
    shown = pictures(png(30, 30))
    assert html(whole(), shown) == html(copy.deepcopy(whole()), dict(shown))


def test_large_pictures_and_many_names_stay_below_5_mb() -> None:
    answer = whole()
    answer["look"]["classes"] = [f"{number}-" + "x" * 250 for number in range(20_000)]
    answer["look"]["findings"] *= 500
    answer["backbones"]["ranked"] = [ranked(f"network-{number}", 0.9) for number in range(1000)]
    answer["retraining"]["trainings"] = [training(f"network-{n}", "full", 300) for n in range(200)]
    answer["confused"] *= 3000
    page = html(answer, pictures(png(1800, 1500, noise=True)))
    assert len(page.encode("utf-8")) < 5_000_000
    assert page.count("data:image/jpeg") == 5
    assert "The first 40 of 1,000" in page


def test_a_picture_keeps_its_bytes_where_they_are_few() -> None:
    assert str(data_uri(png(10, 10))).startswith("data:image/png;base64,")
    assert str(data_uri(svg())).startswith("data:image/svg+xml;base64,")
    small = data_uri(png(300, 200, noise=True), most=9000)
    assert small is not None
    assert small.startswith("data:image/jpeg")
    assert len(small) <= 9000 * 4 / 3 + 50


def test_what_is_no_picture_is_left_out(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    shown: dict[str, bytes | Path] = {"mistakes": broken, "confusion": tmp_path / "missing.png"}
    page = Page(html(whole(), shown))
    assert "img" not in page.tags()
    assert "No picture of mistakes: none was drawn" in page.sections["test"]


def test_the_folder_gets_the_page_and_its_figures(tmp_path: Path) -> None:
    folder = AdviceFolder(tmp_path)
    run = folder.training("one-full")
    run.figures.mkdir(parents=True)
    run.mistakes_figure.write_bytes(png(10, 10))
    (tmp_path / "labels.png").write_bytes(png(10, 10))
    assert write_report(folder, whole()) == ["backbones", "trainings", "folds"]
    assert all(path.is_file() for path in folder.figures.values())
    page = Page(folder.report.read_text(encoding="utf-8"))
    # Three figures, the mistakes, the labels.
    assert page.tags().count("img") == 5
    # An advice that goes on leaves no figure of what it no longer says.
    assert write_report(folder, stopped(after_look=True)) == []
    assert not any(path.exists() for path in folder.figures.values())


@pytest.mark.figures
def test_figures_are_drawn_to_the_same_bytes_on_light_and_on_dark_paper() -> None:
    drawn = figures.drawn(whole())
    assert list(drawn) == [*figures.FIGURES, *(f"{name}-dark" for name in figures.FIGURES)]
    assert figures.drawn(whole()) == drawn
    assert figures.LIGHT["figure.facecolor"].encode() in drawn["folds"]
    assert figures.DARK["figure.facecolor"].encode() in drawn["folds-dark"]
    assert b"http-equiv" not in b"".join(drawn.values())


def test_the_head_alone_is_a_level_and_each_training_a_line() -> None:
    figure = figures.trainings(whole())
    assert figure is not None
    (axes,) = figure.axes
    level = [
        line for line in axes.lines if len(set(line.get_ydata())) == 1 and list(line.get_xdata()) == [0, 1]
    ]
    assert len(level) == 1
    assert level[0].get_ydata()[0] == pytest.approx(0.9)
    assert sorted(len(line.get_xdata()) for line in axes.lines if line not in level) == [4, 10]


def test_each_fold_is_a_line_from_the_head_to_the_other() -> None:
    figure = figures.folds(whole())
    assert figure is not None
    lines = [list(line.get_ydata()) for line in figure.axes[0].lines]
    assert lines[:3] == [[0.9, 0.92], [0.9, 0.89], [0.9, 0.9]]
    assert "1 of 3" in figure.get_suptitle()


def test_one_backbone_is_no_figure() -> None:
    answer = whole()
    answer["backbones"]["ranked"] = answer["backbones"]["ranked"][:1]
    assert figures.backbones(answer) is None


@pytest.mark.slow
@pytest.mark.figures
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_shows_it_without_scrolling_sideways(tmp_path: Path, width: int, scheme: str) -> None:
    """In Debian's Chromium, by Playwright; neither is among what Graft needs."""
    import shutil

    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("chromium is not installed")
    answer = whole()
    file = tmp_path / "report.html"
    shown = pictures(png(1200, 900)) | figures.drawn(answer)
    file.write_text(html(answer, shown, "outputs/mine"), encoding="utf-8")
    asked: list[str] = []
    complaints: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).length"
        assert page.evaluate(broken) == 0
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(22, 25, 29)" if scheme == "dark" else "rgb(255, 255, 255)")
        drawn = "[...document.querySelectorAll('figure.drawn img')].map(image => image.currentSrc)"
        sources = page.evaluate(drawn)
        assert len(sources) == 3
        light = page.evaluate(drawn.replace("currentSrc", "src"))
        assert (sources == light) is (scheme == "light")
        browser.close()
    assert [one for one in asked if not one.startswith("data:")] == [file.as_uri()]
    assert complaints == []
