"""`graft rank` scores backbones on training and validation images, and one that fails stops no other."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision import models

import graft
from graft.backbones import at_hand, torchvision_backbone
from graft.cli.console import run
from graft.commands import rank
from graft.data import evaluation_transform, read_image, sample_data
from graft.features import sample_features
from graft.ranking import costs
from graft.runs.files import read_csv
from graft.transferability import leep, logme, nce


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and places for weights of a test's own; costs are measured in a moment."""
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("GRAFT_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(at_hand, "packaged_file", lambda name: None)
    monkeypatch.setattr(costs, "SECONDS", 0)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def ranked(photos: Path, *words: str, out: str = "out", status: int = 0) -> list[dict[str, str]]:
    data = ["data=image_folder", f"data.root={photos}"]
    assert run(["rank", *data, *words, "accelerator=cpu", f"hydra.run.dir={out}"]) == status
    return read_csv(Path(out) / "rank.csv") if status == 0 else []


@pytest.mark.figures
def test_a_trained_network_beats_an_untrained_one_and_its_head_gives_leep(
    photos: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ranked(photos, f"weights.simple_cnn=[null,{trained}]")
    assert [row["backbone"] for row in rows] == [f"simple_cnn ({trained.name})", "simple_cnn (untrained)"]
    best, control = rows
    assert float(best["probe"]) >= float(control["probe"])
    assert -1.1 < float(best["leep"]) < 0
    assert -1.1 < float(best["nce"]) <= 0
    assert control["leep"] == control["nce"] == ""
    assert (best["features"], best["parameters"], best["reason"]) == ("84", "61156", "")
    assert float(best["gmacs"]) == pytest.approx(0.00065088)
    assert {path.name for path in Path("out").iterdir()} == {"rank.csv", "rank.md", "figure.png"}
    assert Path("out/figure.png").stat().st_size > 5000
    said = capsys.readouterr().out
    assert "ranked on 28 images, train and val, never test" in said
    assert said.splitlines()[-1].endswith("out")
    # As the control stands in the CSV it does once more, and nothing is computed for it.
    again = ranked(photos, "weights.simple_cnn=null", out="again")
    assert again[0]["logme"] == control["logme"]
    said = capsys.readouterr().out
    assert "cache: what simple_cnn gives is all stored already, 28 images" in said
    assert "computing" not in said


def test_a_run_on_the_frozen_backbone_finds_the_features(
    photos: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ranked(photos, f"weights.simple_cnn={trained}")
    capsys.readouterr()
    words = ["data=image_folder", f"data.root={photos}", f"backbone.weights={trained}", "freeze=frozen"]
    graft.train([*words, "trainer=cpu", "logger=none", "trainer.max_epochs=1", "hydra.run.dir=run"])
    assert "all stored already" in capsys.readouterr().out


def test_test_images_are_never_decoded(photos: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T31."""
    read = []
    inner = sample_data.Samples.read

    def watched(self, index, at_least=None):
        read.append(self.names[index])
        return inner(self, index, at_least)

    monkeypatch.setattr(sample_data.Samples, "read", watched)
    ranked(photos, f"weights.simple_cnn={trained}", "data.num_workers=0")
    split = {row["name"]: row["split"] for row in read_csv(trained / "split.csv")}
    assert {split[name] for name in read if name in split} == {"train", "val"}


def test_the_probe_does_not_know_a_patient_again(tmp_path: Path) -> None:
    """Four pictures of each of 24 patients, whose look says nothing of the label."""
    rng = np.random.default_rng(0)
    rows = ["path,label,group"]
    for patient in range(24):
        look = np.kron(rng.integers(0, 200, (4, 4, 3)), np.ones((8, 8, 1)))
        for number in range(4):
            name = f"{patient}-{number}.png"
            pixels = look + rng.integers(0, 20, (32, 32, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name)
            rows.append(f"{name},{'ab'[patient % 2]},{patient}")
    Path("labels.csv").write_text("\n".join(rows) + "\n")
    words = ["data=csv", "data.file=labels.csv", "weights.simple_cnn=null", "accelerator=cpu"]
    assert run(["rank", *words, "hydra.run.dir=out"]) == 0
    assert float(read_csv(Path("out/rank.csv"))[0]["probe"]) < 0.75


def test_one_that_fails_is_listed_and_stops_no_other(
    photos: Path, trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path("weights")).mkdir()
    torch.save({"a": torch.zeros(1)}, "weights/resnet18.pth")
    inner = rank.features_of

    def features_of(backbone, label, *rest, **how):
        if label == "squeezenet1_0":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return inner(backbone, label, *rest, **how)

    monkeypatch.setattr(rank, "features_of", features_of)
    Path("empty.pth").touch()
    words = [f"weights.simple_cnn=[{trained},empty.pth]", "weights.squeezenet1_0=null"]
    rows = ranked(photos, "backbones=[resnet18,squeezenet1_0,simple_cnn]", *words)
    reasons = {row["backbone"]: row["reason"] for row in rows}
    assert [row["place"] for row in rows] == ["1", "", "", ""]
    assert reasons[f"simple_cnn ({trained.name})"] == ""
    assert "the file is empty" in reasons["simple_cnn (empty.pth)"]
    assert "does not fit the backbone" in reasons["resnet18"]
    assert reasons["squeezenet1_0 (untrained)"].startswith("OutOfMemoryError: CUDA out of memory")
    said = capsys.readouterr().out
    assert "not ranked: squeezenet1_0 (untrained): OutOfMemoryError" in said
    assert "- resnet18: " in Path("out/rank.md").read_text()


def test_where_none_can_be_ranked_nothing_is_left(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.pth").touch()
    ranked(photos, "weights.simple_cnn=empty.pth", status=2)
    ranked(photos, "backbones=[simple_cnn]", status=2)
    error = capsys.readouterr().err
    assert "no backbone could be ranked: simple_cnn: backbone.weights=empty.pth: the file is empty" in error
    assert "no backbone could be ranked: simple_cnn: no weights: give weights.simple_cnn=" in error
    ranked(photos, status=2)
    assert "no backbone's weights are at hand" in capsys.readouterr().err
    assert not Path("out").exists()


def test_what_fine_tuned_runs_reached_stands_beside(
    photos: Path, trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three backbones were fine-tuned: enough for a correlation."""
    data = ["data=image_folder", f"data.root={photos}", "data.batch_size=8"]
    short = ["trainer=cpu", "logger=none", "trainer.max_epochs=1", "optimizer.lr=1e-4"]
    second = graft.train([*data, *short, "seed=3", "hydra.run.dir=outputs/second"]).path
    reached = {}
    for name, weights in (("a", trained), ("b", second), ("c", "null")):
        words = [f"backbone.weights={weights}", "freeze=full", f"hydra.run.dir=outputs/{name}"]
        reached[name] = graft.train([*data, *short, *words]).metrics["val/accuracy"]
    # Of another split, which makes it other data.
    graft.train(
        [*data, *short, f"backbone.weights={trained}", "data.split_seed=5", "hydra.run.dir=outputs/d"]
    )
    capsys.readouterr()
    rows = ranked(photos, f"weights.simple_cnn=[{trained},{second},null]")
    found = {row["backbone"].split("(")[1][:-1]: row for row in rows}
    assert float(found["run"]["fine_tuned"]) == pytest.approx(reached["a"], rel=1e-5)
    assert float(found["second"]["fine_tuned"]) == pytest.approx(reached["b"], rel=1e-5)
    # Beside c the run that made `second`, in another seed: of one way, so the two are averaged.
    assert found["untrained"]["runs"] == "2"
    assert found["run"]["runs"] == "1"
    accuracies = [float(row["fine_tuned"]) for row in rows]
    if len(set(accuracies)) > 1:
        table = read_csv(Path("out/correlations.csv"))
        assert {row["backbones"] for row in table} <= {"3"}
        assert all(-1 <= float(row["spearman"]) <= 1 for row in table)
    ranked(photos, f"weights.simple_cnn={trained}", "runs=nowhere*", status=2, out="none")
    assert "runs=nowhere*: no run is there" in capsys.readouterr().err


def test_scores_are_those_of_the_extracted_features(photos: Path, trained: Path) -> None:
    rows = ranked(photos, f"weights.simple_cnn={trained}")
    words = ["data=image_folder", f"data.root={photos}", "accelerator=cpu"]
    backbone = ["backbone=simple_cnn", f"backbone.weights={trained}"]
    assert run(["extract", *words, *backbone, "hydra.run.dir=features"]) == 0
    table = read_csv(Path("features/features.csv"))
    kept = np.array([row["split"] in ("train", "val") for row in table])
    features = load_file("features/features.safetensors")["features"].double().numpy()[kept]
    labels = np.unique([row["label"] for row in table], return_inverse=True)[1][kept]
    assert float(rows[0]["logme"]) == pytest.approx(logme(features, labels), rel=1e-5)


def test_stage_by_stage(
    photos: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passes = []
    inner = sample_features.SampleFeatures.compute
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sample_features.SampleFeatures,
            "compute",
            lambda self, *given: passes.append(given) or inner(self, *given),
        )
        rows = ranked(photos, f"weights.simple_cnn=[{trained},null]", "stages=true")
    # One pass of each network collects all stages.
    assert len(passes) == 2
    names = [f"simple_cnn ({trained.name})", "simple_cnn (untrained)"]
    stages = ["conv1", "conv2", "dense1", "dense2"]
    assert {(row["backbone"], row["stage"]) for row in rows} == {(n, s) for n in names for s in stages}
    assert [row["place"] for row in rows] == [str(place) for place in range(1, 9)]
    assert sorted(map(float, (row["probe"] for row in rows)), reverse=True) == [
        float(row["probe"]) for row in rows
    ]
    by = {row["stage"]: row for row in rows if row["backbone"] == names[0]}
    assert [by[stage]["features"] for stage in stages] == ["6", "16", "120", "84"]
    assert [by[stage]["stages"] for stage in stages] == ["1", "2", "3", "4"]
    assert [bool(by[stage]["leep"]) for stage in stages] == [False, False, False, True]
    assert float(by["conv1"]["parameters"]) == 456
    said = capsys.readouterr().out
    assert f"{names[0]} conv1" in said
    assert "# Backbones, stage by stage, ranked" in Path("out/rank.md").read_text()
    # The last stage's scores are the backbone's own, of features that are there now.
    (plain,) = ranked(photos, f"weights.simple_cnn={trained}", out="plain")
    assert "is all stored already" in capsys.readouterr().out
    scores = ("probe", "knn", "logme", "h_score", "leep", "nce", "transrate", "features", "parameters")
    assert {name: plain[name] for name in scores} == {name: by["dense2"][name] for name in scores}
    # An inner one's are those of what is extracted.
    words = ["data=image_folder", f"data.root={photos}", "accelerator=cpu", "stage=conv2", "pool=mean"]
    own = ["backbone=simple_cnn", f"backbone.weights={trained}"]
    assert run(["extract", *words, *own, "hydra.run.dir=features"]) == 0
    table = read_csv(Path("features/features.csv"))
    kept = np.array([row["split"] in ("train", "val") for row in table])
    features = load_file("features/features.safetensors")["features"].double().numpy()[kept]
    labels = np.unique([row["label"] for row in table], return_inverse=True)[1][kept]
    assert float(by["conv2"]["logme"]) == pytest.approx(logme(features, labels), rel=1e-4)


def test_a_head_that_takes_maps_is_asked_with_what_follows_it(photos: Path, tmp_path: Path) -> None:
    """SqueezeNet cuts at 0 before it pools; logits without that would give another LEEP and NCE."""
    for path in photos.glob("*/0[0-4].png"):
        copy = tmp_path / "few" / path.relative_to(photos)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    photos = tmp_path / "few"
    torch.manual_seed(0)
    model = models.squeezenet1_0(num_classes=6).eval()
    # Far enough from each other that no rounding changes the most probable class.
    torch.nn.init.normal_(model.classifier[1].weight)
    torch.save(model.state_dict(), "source.pth")
    (row,) = ranked(photos, "backbones=[squeezenet1_0]", "weights.squeezenet1_0=source.pth")
    words = ["data=image_folder", f"data.root={photos}", "accelerator=cpu"]
    own = ["backbone=squeezenet1_0", "backbone.weights=source.pth"]
    assert run(["extract", *words, *own, "hydra.run.dir=features"]) == 0
    table = [row for row in read_csv(Path("features/features.csv")) if row["split"] in ("train", "val")]
    labels = np.unique([row["label"] for row in table], return_inverse=True)[1]
    see = evaluation_transform(torchvision_backbone("squeezenet1_0").preprocessing)
    images = torch.stack([see(read_image(photos / entry["path"])) for entry in table])
    with torch.no_grad():
        said = model(images).double().softmax(1).numpy()
    assert float(row["leep"]) == pytest.approx(leep(said, labels), rel=1e-4)
    assert float(row["nce"]) == pytest.approx(nce(said.argmax(1), labels), rel=1e-4)
