"""`graft advise` answers in one folder; nothing but its last step sees a test image; stopped, it goes on."""

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import graft
from graft.advice import backbones, steps
from graft.advice.known import Known
from graft.advice.trust import Comparison
from graft.backbones import simple_cnn
from graft.cli.console import run
from graft.commands import advise as advise_command
from graft.commands import train as train_command
from graft.ranking import costs
from graft.runs import RunFolder
from graft.runs.files import read_csv

QUICK = ["trainer=cpu", "data.batch_size=8", "minutes=30"]


@pytest.fixture(scope="module", autouse=True)
def _soon() -> Iterator[None]:
    """Costs are measured in a moment, and three folds do: how many fit is tested in tests/advice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "SECONDS", 0)
        patch.setattr(steps, "folds_within", lambda *seconds: [(3, 1)])
        yield


@pytest.fixture(scope="module")
def noisy(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of the photos, a third of the labels drawn anew, so that no head is always right."""
    path = tmp_path_factory.mktemp("noisy") / "labels.csv"
    rng = np.random.default_rng(0)
    files = sorted(photos.rglob("*.png"))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for number, name in enumerate(files):
            label = files[rng.integers(len(files))].parent.name if number % 3 == 0 else name.parent.name
            writer.writerow([name, label])
    return path


@pytest.fixture(scope="module")
def words(noisy: Path, trained: Path) -> list[str]:
    """What asks for an advice on the noisy photos."""
    backbone = ["backbones=[simple_cnn]", f"weights.simple_cnn={trained}"]
    return ["data=csv", f"data.file={noisy}", *backbone, *QUICK]


@pytest.fixture(scope="module")
def advised(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an advice on the noisy photos."""
    path = tmp_path_factory.mktemp("advised") / "all"
    assert run(["advise", *words, f"hydra.run.dir={path}"]) == 0
    return path


def answer_of(path: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((path / "advice.json").read_text(encoding="utf-8"))
    return answer


def test_the_answer_names_a_run_that_was_tested_and_its_model(advised: Path) -> None:
    answer = answer_of(advised)
    assert answer["complete"]
    assert len(answer["sentences"]) == 3
    run_folder = RunFolder.open(advised / answer["advice"]["run"])
    assert run_folder.status()["status"] == "finished"
    assert answer["test"] == run_folder.metrics
    assert "test/accuracy_ci" in answer["test"]
    assert "temperature" in answer["test"]
    assert graft.load(advised / "model").class_names == ["blue", "green", "red"]
    assert answer["time"]["spent"] < 60 * 30


def test_every_training_is_a_run_of_its_own_and_one_alone_is_tested(advised: Path) -> None:
    answer = answer_of(advised)
    names = [row["run"] for row in answer["retraining"]["trainings"]]
    assert len(names) > 1
    tested = [name for name in names if RunFolder.open(advised / name).tested]
    assert tested == [answer["advice"]["run"]]


def test_no_fold_sees_a_test_image(advised: Path) -> None:
    answer = answer_of(advised)
    rows = read_csv(advised / answer["advice"]["run"] / "split.csv")
    kept = {row["name"] for row in rows if row["split"] == "test"}
    assert kept
    folds = list((advised / "folds").rglob("split.csv"))
    assert folds
    for file in folds:
        used = {row["name"] for row in read_csv(file) if row["split"] != "unused"}
        assert used
        assert not used & kept


def test_what_is_said_follows_from_the_folds(advised: Path) -> None:
    answer = answer_of(advised)
    trust = answer["trust"]
    if trust["folds"]:
        gains = [fold["other"] - fold["head"] for fold in trust["folds"]]
        assert trust["mean"] == pytest.approx(np.mean(gains))
    expected = trust["other"] if trust["worth_it"] else trust["head"]
    assert answer["advice"]["run"] == f"runs/{expected}"
    promise = trust["promised"][trust["head"]]
    assert 0 <= promise["low"] <= promise["right"] / promise["images"] <= promise["high"] <= 1


def test_the_page_has_a_section_a_question(advised: Path) -> None:
    answer = answer_of(advised)
    page = (advised / "advice.md").read_text(encoding="utf-8")
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == [
        *("The images", "Which backbone", "How much to retrain", "How far to trust it"),
        *("What would help", "The test", "The time"),
    ]
    assert f"| accuracy | {answer['test']['test/accuracy']:.4f} |" in page
    assert answer["more_labels"]["sentence"] in page
    for name in re.findall(r"\]\(([^)]+\.png)\)", page):
        assert (advised / name).is_file()


@pytest.mark.slow
def test_from_python_it_is_the_same(words: list[str], advised: Path, tmp_path: Path) -> None:
    advice = graft.advise([*words, f"hydra.run.dir={tmp_path / 'again'}"])
    assert advice.path == tmp_path / "again"
    first, second = answer_of(advised), advice.answer
    assert second["sentences"] == first["sentences"]
    assert second["backbones"]["ranked"][0]["probe"] == first["backbones"]["ranked"][0]["probe"]
    assert str(advice) == " ".join(first["sentences"])
    assert advice.words[0] == "data=csv"
    shown = advice._repr_html_()
    assert shown is not None
    assert shown.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')


def test_all_of_it_computes_with_the_threads_that_are_asked_for(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranking too, which no training sets threads for."""
    before, seen = torch.get_num_threads(), []
    steps = {"look": lambda asked, known: seen.append(torch.get_num_threads())}
    monkeypatch.setattr(advise_command, "STEPS", steps)
    graft.advise([*words, f"threads={before + 2}", f"hydra.run.dir={tmp_path / 'threads'}"])
    assert seen == [before + 2]
    assert torch.get_num_threads() == before


def test_stopped_it_leaves_the_answer_so_far_and_goes_on(
    words: list[str],
    advised: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, calls = tmp_path / "stopped", 0
    genuine: Callable[..., RunFolder] = train_command.run

    def interrupted(*arguments: Any) -> RunFolder:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return genuine(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train_command, "run", interrupted)
        assert run(["advise", *words, f"hydra.run.dir={path}"]) == 130
    assert f"graft advise resume={path} goes on" in capsys.readouterr().out
    so_far = answer_of(path)
    assert not so_far["complete"]
    assert so_far["advice"]["freeze"] == "frozen"
    assert "not tested" in so_far["sentences"][-1]
    began = RunFolder(path / so_far["advice"]["run"]).status()
    assert run(["advise", f"resume={path}"]) == 0
    whole = answer_of(path)
    assert whole["complete"]
    assert whole["sentences"] == answer_of(advised)["sentences"]
    assert whole["time"]["spent"] > so_far["time"]["spent"]
    head = RunFolder(path / so_far["advice"]["run"])
    assert head.status()["started"] == began["started"]


@pytest.mark.slow
def test_it_goes_on_from_another_folder_though_paths_were_relative(
    noisy: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stopped"
    shutil.copy(noisy, tmp_path / "labels.csv")
    shutil.copytree(trained, tmp_path / "source")
    relative = ["data=csv", "data.file=labels.csv", "backbones=[simple_cnn]", "weights.simple_cnn=source"]

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(train_command, "run", interrupted)
        assert run(["advise", *relative, *QUICK, f"hydra.run.dir={path}"]) == 130
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(["advise", f"resume={path}"]) == 0
    answer = answer_of(path)
    assert answer["complete"]
    assert f'data.file="{tmp_path}/labels.csv"' in answer["advice"]["words"]
    assert f'backbone.weights="{tmp_path}/source"' in answer["advice"]["words"]


@pytest.mark.slow
def test_all_of_it_sees_the_pixels_that_are_asked_for(
    words: list[str], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Untrained, since the small network's weights fit the size that they were trained for alone."""
    path, sized = tmp_path / "small", ["weights.simple_cnn=null", "image_size=24"]
    advice = graft.advise([*words, *sized, f"hydra.run.dir={path}"])
    assert "backbone.image_size=24" in advice.words
    assert all("image_size: 24" in file.read_text() for file in (path / "runs").glob("*/config.yaml"))
    assert len(list((path / "runs").glob("*/config.yaml"))) > 1
    page = (path / "report.html").read_text()
    for command in ("train", "rank", "inspect"):
        (line,) = re.findall(rf"graft {command} [^<]*image_size=24[^<]*", page)[:1]
        assert line
    assert run(["advise", *words, "image_size=24", f"hydra.run.dir={tmp_path / 'none'}"]) == 2
    line = capsys.readouterr().err
    assert "no backbone could be ranked (simple_cnn: " in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "graft advise answers for some images; give data=…"),
        (["data=digits", "goal=acuracy"], "did you mean accuracy?"),
        (["data=digits", "goal=auroc"], "goal=auroc is wrong"),
        (["data=digits", "minutes=0"], "minutes=0 is wrong: it must be a number > 0"),
        (["data=digits", "cost=-1"], "cost=-1 is wrong"),
        (["data=digits", "image_size=0"], "image_size=0 is wrong"),
        (["data=digits", "backbones=[resnet19]"], "did you mean resnet18?"),
        (["data=digits", "trainer.max_epochs=3"], "trainer.max_epochs does nothing in graft advise"),
        (["data=digits", "freeze=full"], "freeze"),
        (["resume=nowhere"], "resume=nowhere"),
    ],
)
def test_wrong_words_are_answered_in_one_line(
    given: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["advise", *given]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_budget_too_small_to_rank_says_so_and_leaves_the_look(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "short"
    assert run(["advise", *words, "minutes=1e-6", f"hydra.run.dir={path}"]) == 2
    told = capsys.readouterr()
    assert "no backbone could be ranked (simple_cnn: to rank it would take" in told.err
    assert f"graft advise resume={path} minutes=2e-06 goes on" in told.out
    answer = answer_of(path)
    assert answer["look"]["images"] == 36
    assert answer["advice"] is None
    assert (path / "classes.csv").is_file()


@pytest.fixture(scope="module")
def blind(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a network that gives the same for every image."""
    path = tmp_path_factory.mktemp("blind") / "blind.pth"
    torch.save({name: torch.zeros_like(value) for name, value in simple_cnn().state_dict().items()}, path)
    return path


def ranked(photos: Path, *words: str, monkeypatch: pytest.MonkeyPatch, path: Path) -> Known:
    """What is known once backbones are ranked."""
    found: list[Known] = []
    steps = {name: advise_command.STEPS[name] for name in ("look", "rank")}
    steps["keep"] = lambda asked, known: found.append(known)
    monkeypatch.setattr(advise_command, "STEPS", steps)
    graft.advise(["data=image_folder", f"data.root={photos}", *QUICK, *words, f"hydra.run.dir={path}"])
    return found[0]


def test_those_that_cannot_be_told_from_the_best_go_on_and_the_clearly_worse_do_not(
    photos: Path, trained: Path, blind: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The colours of the photos are seen by an untrained network too, which takes far longer here."""
    words = [
        "backbones=[resnet18,simple_cnn]",
        "weights.resnet18=null",
        f"weights.simple_cnn=[{blind},{trained}]",
    ]
    known = ranked(photos, *words, monkeypatch=monkeypatch, path=tmp_path / "three")
    assert [one.candidate.label for one in known.going] == [
        f"simple_cnn ({trained.name})",
        "resnet18 (untrained)",
    ]
    goes_on = {
        row["backbone"]: row["goes_on"] for row in answer_of(tmp_path / "three")["backbones"]["ranked"]
    }
    assert not goes_on.pop("simple_cnn (blind.pth)")
    assert all(goes_on.values())


def test_its_measured_cost_leaves_one_out_and_keeps_another(
    photos: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 224 pixels ResNet-18 computes 2,800 times as much as the small network of 32."""
    words = ["backbones=[resnet18,simple_cnn]", "weights.resnet18=null", f"weights.simple_cnn={trained}"]
    every = ranked(photos, *words, monkeypatch=monkeypatch, path=tmp_path / "any")
    quick, slow = (1000 * one.speed.forward for one in every.ranked if one.speed)
    cost = (quick * slow) ** 0.5
    known = ranked(photos, *words, f"cost={cost}", monkeypatch=monkeypatch, path=tmp_path / "cost")
    reasons = {one.candidate.label: one.row["reason"] for one in known.ranked}
    assert reasons["simple_cnn"] is None
    assert reasons["resnet18 (untrained)"].endswith(f"ms an image, more than cost={cost:g}")
    assert [one.candidate.label for one in known.going] == ["simple_cnn"]


def test_without_weights_at_hand_it_says_what_to_give(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from graft.ranking import candidates

    for module in (backbones, candidates):
        monkeypatch.setattr(module, "weights_at_hand", lambda name, node: None)
    path = tmp_path / "none"
    assert run(["advise", "data=csv", f"data.file={noisy}", *QUICK, f"hydra.run.dir={path}"]) == 2
    assert "no backbone's weights are at hand: give weights.resnet18=<file>" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ({"a": 5}, "class"),
        ({"a": 3}, "class"),
        ({"a": 5, "b": 1}, "class b has 1 image"),
        ({"a": 2, "b": 1}, "class b has 1 image"),
    ],
)
def test_images_that_cannot_be_split_are_answered_in_one_line(
    photos: Path,
    classes: dict[str, int],
    said: str,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = sorted(photos.rglob("*.png"))
    rows = [(name, label) for label, count in classes.items() for name in [files.pop() for _ in range(count)]]
    manifest = tmp_path / "few.csv"
    manifest.write_text("path,label\n" + "".join(f"{name},{label}\n" for name, label in rows))
    words = ["data=csv", f"data.file={manifest}", "backbones=[simple_cnn]", f"weights.simple_cnn={trained}"]
    path = tmp_path / "few"
    assert run(["advise", *words, *QUICK, f"hydra.run.dir={path}"]) == 2
    told = capsys.readouterr()
    assert said in told.err
    # To go on would stop at the same again.
    assert "resume=" not in told.out
    assert answer_of(path)["goes_on_with"] is None
    assert answer_of(path)["sentences"][0].startswith("No advice: ")
    report = (path / "report.html").read_text(encoding="utf-8")
    assert "resume=" not in report
    assert "then ask anew" in report


def test_damaged_images_are_named(
    photos: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(photos.rglob("*.png"))
    broken = tmp_path / "broken.png"
    broken.write_bytes(files[0].read_bytes()[:60])
    manifest = tmp_path / "damaged.csv"
    lines = [
        f"{name},{name.parent.name}"
        for name in [
            *files,
        ]
    ] + [f"{broken},red"]
    manifest.write_text("path,label\n" + "\n".join(lines) + "\n")
    words = ["data=csv", f"data.file={manifest}", "backbones=[simple_cnn]", f"weights.simple_cnn={trained}"]
    assert run(["advise", *words, *QUICK, f"hydra.run.dir={tmp_path / 'out'}"]) == 2
    said = capsys.readouterr().err
    assert "1 of 37 images cannot be read, such as" in said
    assert "broken.png" in said


@pytest.fixture
def copied(advised: Path, tmp_path: Path) -> Path:
    """A copy of a finished advice, to go on with."""
    return Path(shutil.copytree(advised, tmp_path / "copied"))


def no_training(*arguments: Any) -> RunFolder:
    raise AssertionError("nothing is left to train")


def test_what_is_answered_is_shown_again(
    copied: Path, advised: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_command, "run", no_training)
    before = (copied / "advice.json").read_bytes()
    assert run(["advise", f"resume={copied}"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"already answered: {copied}; with more minutes=… it goes on\n")
    assert answer_of(advised)["sentences"][0] in said
    assert (copied / "advice.json").read_bytes() == before


def test_what_goes_on_when_its_time_is_up_keeps_what_it_found(copied: Path, advised: Path) -> None:
    """Backbones stay ranked, finished trainings and folds are read back, and the test is done."""
    answer = answer_of(copied)
    (copied / "advice.json").write_text(json.dumps({**answer, "complete": False, "stopped": "x"}))
    spent = json.loads((copied / "trainings.json").read_text())
    (copied / "trainings.json").write_text(json.dumps({**spent, "seconds": 1e5}))
    assert run(["advise", f"resume={copied}"]) == 0
    whole = answer_of(copied)
    assert whole["complete"]
    assert whole["sentences"] == answer_of(advised)["sentences"]
    assert whole["trust"] == answer["trust"]
    assert [row["best"] for row in whole["retraining"]["trainings"]] == [
        row["best"] for row in answer["retraining"]["trainings"]
    ]


def test_a_start_that_is_stopped_at_once_takes_nothing_away(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    answer, spent = answer_of(copied), json.loads((copied / "trainings.json").read_text())
    with monkeypatch.context() as patch:
        patch.setattr(steps, "inspect_images", interrupted)
        assert run(["advise", f"resume={copied}", "minutes=60"]) == 130
    assert answer_of(copied) == answer
    kept = json.loads((copied / "trainings.json").read_text())
    assert kept["trainings"] == spent["trainings"]
    assert kept["seconds"] > spent["seconds"]


def test_another_model_s_test_says_that_the_images_were_seen_before(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More minutes may turn what the folds say, so that another is advised."""
    first = answer_of(copied)
    assert first["tested_before"] == {}
    other = not first["trust"]["worth_it"]
    monkeypatch.setattr(Comparison, "worth_it", other)
    assert run(["advise", f"resume={copied}", "minutes=60"]) == 0
    second = answer_of(copied)
    assert second["advice"]["run"] != first["advice"]["run"]
    assert second["test"] == RunFolder.open(copied / second["advice"]["run"]).metrics
    assert second["tested_before"] == {first["advice"]["run"]: first["test"]}
    name, had = Path(first["advice"]["run"]).name, 100 * first["test"]["test/accuracy"]
    assert f"they were seen before, when {name} had {had:.1f} %" in second["sentences"][-1]
    assert "nothing else has seen" not in second["sentences"][-1]
    for page in ("report.html", "advice.md"):
        text = (copied / page).read_text(encoding="utf-8").replace("<wbr>", "")
        assert (
            first["advice"]["run"] in text[text.index("The test" if page == "advice.md" else 'id="test"') :]
        )


def test_too_few_images_for_folds_leave_an_answer(photos: Path, trained: Path, tmp_path: Path) -> None:
    """Of six images a class four train and validate, which no five folds cut."""
    files = sorted(photos.rglob("*.png"))
    labels = sorted({file.parent.name for file in files})[:2]
    few = [file for label in labels for file in [one for one in files if one.parent.name == label][:6]]
    manifest = tmp_path / "few.csv"
    manifest.write_text("path,label\n" + "".join(f"{file},{file.parent.name}\n" for file in few))
    words = ["data=csv", f"data.file={manifest}", "backbones=[simple_cnn]", f"weights.simple_cnn={trained}"]
    path = tmp_path / "few"
    assert run(["advise", *words, *QUICK, f"hydra.run.dir={path}"]) == 0
    answer = answer_of(path)
    assert answer["complete"]
    assert answer["advice"]["freeze"] == "frozen"
    assert not answer["trust"]["folds"]
    assert "test/accuracy" in answer["test"]
