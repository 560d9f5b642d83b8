"""A bundle needs nothing but its folder, answers to the bit as the trained model did, and runs no code."""

import pickle
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from graft.backbones import Backbone, Preprocessing, simple_cnn
from graft.data import SampleError
from graft.data.levels import Levels
from graft.errors import GraftError
from graft.models import Bundle, HowTested, linear, load_bundle, mlp, save_bundle
from graft.runs import RunFolder
from graft.training import testing

TRUST = [__name__.split(".")[0]]


def normed() -> Backbone:
    """A backbone of someone's own, with buffers."""
    stages = {
        "stem": nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)),
        "top": nn.Sequential(nn.Conv2d(8, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    }
    return Backbone(stages, width=5, preprocessing=Preprocessing(resize=16, crop=16, mean=(0.1, 0.2, 0.3)))


CONFIGS = {
    "simple_cnn": {
        "backbone": {"_target_": "graft.backbones.simple_cnn", "weights": None, "image_size": 16},
        "head": {"_target_": "graft.models.mlp", "hidden": 7},
    },
    "own": {
        "backbone": {"_target_": f"{__name__}.normed"},
        "head": {"_target_": "graft.models.linear", "normalize": False},
    },
}
NAMES = ["no", "1", "blåbær"]


def trained(kind: str, **how: object) -> Bundle:
    """As a run leaves it: trained a little, so that no number is what a new network would have."""
    torch.manual_seed(3)
    backbone = simple_cnn(image_size=16) if kind == "simple_cnn" else normed()
    head = mlp(84, 3, hidden=7) if kind == "simple_cnn" else linear(5, 3, normalize=False)
    if how.get("channels_last"):
        backbone.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.1)
    for _ in range(2):
        nn.functional.cross_entropy(head(backbone(torch.randn(3, 3, 16, 16))), torch.arange(3)).backward()
        optimizer.step()
    return Bundle(backbone, head, NAMES, backbone.preprocessing, HowTested(8, **how))  # type: ignore[arg-type]


@pytest.fixture
def saved(tmp_path):
    """A bundle's folder."""
    save_bundle(tmp_path / "model", trained("simple_cnn"), CONFIGS["simple_cnn"])
    return tmp_path / "model"


def describe(folder, **changes):
    """Change what `model.yaml` says."""
    description = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    (folder / "model.yaml").write_text(yaml.safe_dump({**description, **changes}), encoding="utf-8")


def refused(folder, match):
    with pytest.raises(GraftError, match=match) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("kind", list(CONFIGS))
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_bundle_moved_elsewhere_answers_to_the_bit(tmp_path, kind, channels_last):
    bundle = trained(kind, channels_last=channels_last)
    images = torch.randn(9, 3, 16, 16)
    with torch.inference_mode():
        expected = testing.tested_module(bundle).eval()(images)
    save_bundle(tmp_path / "run" / "model", bundle, CONFIGS[kind])
    shutil.move(tmp_path / "run" / "model", tmp_path / "elsewhere")
    again = load_bundle(tmp_path / "elsewhere", trust=TRUST)
    with torch.inference_mode():
        assert torch.equal(testing.tested_module(again).eval()(images), expected)
    assert again.class_names == NAMES
    assert again.preprocessing == bundle.preprocessing
    assert again.tested == bundle.tested
    assert not any(module.training for module in again.model.modules())


def test_features_of_a_stage(tmp_path):
    bundle = trained("simple_cnn")
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)) for _ in range(3)]
    whole = bundle.features(images)
    with torch.no_grad():
        said = torch.softmax(bundle.head(whole), 1)
    told = torch.tensor([list(found.probabilities.values()) for found in bundle.predict(images)])
    torch.testing.assert_close(said, told)
    maps = bundle.features(images, stage="conv1", batch_size=2)
    assert maps.shape == (3, 6, 6, 6)
    torch.testing.assert_close(bundle.backbone(maps, start=1), whole)
    torch.testing.assert_close(bundle.features(images, "conv1", "mean"), maps.mean((2, 3)))
    assert torch.equal(bundle.features(images, pool="mean"), whole)
    # One alone, and what is computed from it may be trained on.
    single = bundle.features(images[1])
    torch.testing.assert_close(single, whole[1:2])
    linear(84, 2)(single).sum().backward()
    for wrong, match in (({"stage": "conv3"}, "did you mean conv2"), ({"pool": "max"}, "none of none, mean")):
        with pytest.raises(GraftError, match=match):
            bundle.features(images, **wrong)
    with pytest.raises(GraftError, match="no sample"):
        bundle.features([])


def test_saving_leaves_two_files_and_no_pickle(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["model.safetensors", "model.yaml"]
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads((saved / "model.safetensors").read_bytes())
    assert "!!python" not in (saved / "model.yaml").read_text(encoding="utf-8")


def test_loading_fetches_no_first_weights(tmp_path):
    config = {**CONFIGS["simple_cnn"]}
    config["backbone"] = {**config["backbone"], "weights": "gone/source.pth"}
    save_bundle(tmp_path / "model", trained("simple_cnn"), config)
    load_bundle(tmp_path / "model")
    description = yaml.safe_load((tmp_path / "model" / "model.yaml").read_text(encoding="utf-8"))
    assert description["backbone"]["weights"] is None
    assert description["trained_from"] == "gone/source.pth"
    assert config["backbone"]["weights"] == "gone/source.pth"


def test_saving_does_not_change_the_model_in_hand(tmp_path):
    bundle = trained("own", channels_last=True)
    weight = bundle.model.get_submodule("backbone.stages.stem.0").weight
    save_bundle(tmp_path / "model", bundle, CONFIGS["own"])
    assert weight is bundle.model.get_submodule("backbone.stages.stem.0").weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_a_run_folder_is_taken_for_the_bundle_in_it(tmp_path):
    folder = RunFolder.claim(tmp_path / "run")
    with pytest.raises(GraftError, match="left no model: its status is running"):
        load_bundle(folder.path)
    save_bundle(folder.bundle, trained("simple_cnn"), CONFIGS["simple_cnn"])
    assert load_bundle(folder.path).class_names == load_bundle(str(folder.bundle)).class_names


def test_what_is_no_bundle_is_refused(tmp_path, saved):
    refused(tmp_path / "gone", "there is no such folder")
    (tmp_path / "photos").mkdir()
    refused(tmp_path / "photos", "neither a run folder nor a bundle")
    (saved / "model.yaml").unlink()
    refused(saved, "neither a run folder nor a bundle")


RAN: list[str] = []


def run_code(*args: object, **kwargs: object) -> nn.Module:
    """What must not be called."""
    RAN.append("ran")
    return nn.Identity()


EVIL = {
    "own code": {"_target_": f"{__name__}.run_code"},
    "os.system": {"_target_": "os.system", "command": "touch ran"},
    "torch.load": {"_target_": "torch.load", "f": "evil.pt", "weights_only": False},
    "nested": {
        "_target_": "graft.backbones.simple_cnn",
        "mean": [0.5, {"deep": {"_target_": f"{__name__}.run_code"}}],
    },
    "partial": {"_target_": f"{__name__}.run_code", "_partial_": True},
    # Names that begin like trusted ones and lead elsewhere through what a module of theirs has imported.
    "through torch.nn": {"_target_": "torch.nn.functional.torch.load", "f": "evil.pt", "weights_only": False},
    "through graft": {"_target_": "graft.models.bundle_files.Path.touch", "_args_": ["ran"]},
    "like a trusted name": {"_target_": "graftlike.evil"},
}


@pytest.mark.parametrize("evil", EVIL.values(), ids=list(EVIL))
@pytest.mark.parametrize("key", ["backbone", "head", "preprocessing", "tested", "elsewhere"])
def test_code_that_is_not_trusted_is_not_run(saved, tmp_path, monkeypatch, evil, key):
    monkeypatch.chdir(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    describe(saved, **{key: evil})
    refused(saved, "model.yaml (names .*, which is not trusted; add trust=|is damaged: tested)")
    assert not RAN
    assert {path.name for path in tmp_path.iterdir()} == before


def test_yaml_builds_no_python_objects(saved, tmp_path):
    (saved / "model.yaml").write_text(f"backbone: !!python/object/apply:os.system ['touch {tmp_path}/ran']")
    with pytest.raises(GraftError, match=r"model\.yaml is damaged"):
        load_bundle(saved)
    assert not (tmp_path / "ran").exists()


def test_environment_variables_are_not_read(saved):
    describe(saved, backbone={"_target_": "graft.backbones.simple_cnn", "weights": "${oc.env:HOME}"})
    refused(saved, "interpolation")


@pytest.mark.parametrize(
    "content", [b"", b"- a list", b"head: [1", b"\ttab: 1", b"\xff\xfe\x00", b"head: {}"]
)
def test_a_damaged_description_is_named_in_one_line(saved, content):
    (saved / "model.yaml").write_bytes(content)
    refused(saved, r"model\.yaml is damaged")


@pytest.mark.parametrize("key", ["backbone", "head", "preprocessing", "class_names", "tested"])
def test_a_missing_key_is_named(saved, key):
    description = yaml.safe_load((saved / "model.yaml").read_text(encoding="utf-8"))
    del description[key]
    (saved / "model.yaml").write_text(yaml.safe_dump(description))
    refused(saved, rf"model\.yaml is damaged: .*{key}")


@pytest.mark.parametrize("kind", list(CONFIGS))
@pytest.mark.parametrize("damage", ["cut", "header", "empty", "zeros"])
def test_damaged_weights_are_named_in_one_line(tmp_path, kind, damage):
    folder = tmp_path / "model"
    save_bundle(folder, trained(kind), CONFIGS[kind])
    whole = (folder / "model.safetensors").read_bytes()
    cut = {"cut": whole[:-100], "header": whole[:20], "empty": b"", "zeros": bytes(len(whole))}[damage]
    (folder / "model.safetensors").write_bytes(cut)
    with pytest.raises(GraftError) as caught:
        load_bundle(folder, trust=TRUST)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop(next(iter(state))),
        lambda state: state.update(stranger=torch.zeros(2)),
        lambda state: state.update({key: torch.zeros(1, 1) for key in state}),
    ],
    ids=["missing", "unknown", "shape"],
)
def test_weights_of_another_model_are_refused(saved, change):
    state = load_file(saved / "model.safetensors")
    change(state)
    save_file(state, saved / "model.safetensors")
    with pytest.raises(GraftError) as caught:
        load_bundle(saved)
    assert "\n" not in str(caught.value)
    assert str(saved) in str(caught.value)


def test_a_failing_save_leaves_the_old_weights(saved, monkeypatch):
    before = (saved / "model.safetensors").read_bytes()

    def full(state, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("graft.models.bundle_files.save_file", full)
    with pytest.raises(OSError, match="No space"):
        save_bundle(saved, trained("simple_cnn"), CONFIGS["simple_cnn"])
    assert (saved / "model.safetensors").read_bytes() == before


@pytest.fixture
def pictures(tmp_path):
    """Seven image files, of several modes and sizes."""
    noise = np.random.default_rng(0)
    paths = []
    for index, mode in enumerate(["RGB", "L", "RGBA", "P", "RGB", "LA", "RGB"]):
        pixels = noise.integers(0, 256, (20 + index, 30, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(pixels).convert(mode).save(paths[-1])
    return paths


def test_predictions_are_the_same_for_paths_images_and_any_batch(saved, pictures):
    bundle = load_bundle(saved)
    many = bundle.predict(pictures)
    assert len({prediction.probability for prediction in many}) == 7
    for again in (
        bundle.predict([str(path) for path in pictures]),
        bundle.predict([Image.open(path) for path in pictures]),
        bundle.predict(pictures, batch_size=2),
        [bundle.predict(path)[0] for path in pictures],
        [bundle.predict(str(path))[0] for path in pictures],
        [bundle.predict(Image.open(path))[0] for path in pictures],
    ):
        assert [prediction.label for prediction in again] == [prediction.label for prediction in many]
        for one, other in zip(again, many, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, rel=1e-5)
    assert bundle.predict([]) == []


def test_a_prediction_names_every_class_and_the_most_probable(saved, pictures):
    bundle = load_bundle(saved)
    (prediction,) = bundle.predict(pictures[0])
    assert list(prediction.probabilities) == NAMES
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.probability == max(prediction.probabilities.values())
    assert prediction.probabilities[prediction.label] == prediction.probability
    image = bundle.transform(Image.open(pictures[0]))
    expected = bundle.model(image[None]).softmax(1)[0].tolist()
    assert list(prediction.probabilities.values()) == pytest.approx(expected)


def test_an_unreadable_image_is_named(saved, pictures):
    pictures[2].write_bytes(b"no image")
    with pytest.raises(SampleError, match=r"2\.png"):
        load_bundle(saved).predict(pictures)


def test_a_compiled_model_is_saved_as_a_plain_one(tmp_path):
    bundle = trained("own")
    images = torch.randn(9, 3, 16, 16)
    with torch.inference_mode():
        expected = bundle.model(images)
    module = testing.tested_module(bundle)
    module.compile(backend="eager")
    module.eval()(images)
    save_bundle(tmp_path, bundle, CONFIGS["own"])
    with torch.inference_mode():
        assert torch.equal(load_bundle(tmp_path, trust=TRUST).model(images), expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": None},
        {"class_names": ["one"]},
        {"backbone": "resnet18"},
        {"backbone": {"weights": None}},
        {"head": "linear"},
        {"tested": {**vars(HowTested()), "speed": 3}},
    ],
    ids=str,
)
def test_a_description_of_another_shape_is_named(saved, changes):
    describe(saved, **changes)
    refused(saved, rf"model\.yaml is damaged: {next(iter(changes))} ")


def test_how_an_older_graft_tested_is_completed(saved):
    describe(saved, tested={"batch_size": 8})
    assert load_bundle(saved).tested == HowTested(batch_size=8)


def test_a_write_that_fails_leaves_no_part_of_the_weights(saved, monkeypatch):
    def full(state, path):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    before = (saved / "model.safetensors").read_bytes()
    monkeypatch.setattr("graft.models.bundle_files.save_file", full)
    with pytest.raises(OSError, match="no space"):
        save_bundle(saved, trained("simple_cnn"), CONFIGS["simple_cnn"])
    assert (saved / "model.safetensors").read_bytes() == before
    assert not list(saved.glob(".*"))


def test_a_model_in_double_precision_stays_so(tmp_path):
    bundle = trained("own", precision="64-true")
    bundle.model.double()
    save_bundle(tmp_path, bundle, CONFIGS["own"])
    again = load_bundle(tmp_path, TRUST)
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    assert torch.equal(again.model(images), bundle.model(images))
    assert again.predict(Image.new("RGB", (20, 20)))[0].label in NAMES


def test_images_of_more_than_8_bits_are_read_as_the_models_own_were(saved, tmp_path):
    bundle = trained("simple_cnn")
    bundle.levels = {"whole": Levels(0, 4095)}
    save_bundle(tmp_path / "deep", bundle, CONFIGS["simple_cnn"])
    loaded = load_bundle(tmp_path / "deep")
    assert loaded.levels == {"whole": (0, 4095)}
    values = np.random.default_rng(0).integers(0, 1000, (20, 20)).astype(np.uint16)
    image = Image.fromarray(values)
    image.save(tmp_path / "dark.png")
    same = Image.fromarray(np.rint(values * (255 / 4095)).astype(np.uint8))
    probabilities = loaded.predict(same)[0].probabilities
    assert loaded.predict(tmp_path / "dark.png")[0].probabilities == probabilities
    assert loaded.predict(image)[0].probabilities == probabilities
    # A bundle of an older version read them as their files declare.
    description = yaml.safe_load((saved / "model.yaml").read_text(encoding="utf-8"))
    assert description.pop("levels") is None
    (saved / "model.yaml").write_text(yaml.safe_dump(description), encoding="utf-8")
    old = load_bundle(saved)
    declared = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    assert old.predict(image)[0].probabilities == old.predict(declared)[0].probabilities
    describe(saved, levels={"whole": [0]})
    refused(saved, "levels=")


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_weights_are_read_once(tmp_path, monkeypatch, kind):
    save_bundle(tmp_path, trained(kind), CONFIGS[kind])
    read: list[str] = []
    for module in ("graft.backbones.weight_files", "graft.models.bundle_files"):
        monkeypatch.setattr(
            f"{module}.read_safetensors", lambda file: read.append(file.name) or load_file(file)
        )
    load_bundle(tmp_path, trust=TRUST)
    assert read == ["model.safetensors"]
