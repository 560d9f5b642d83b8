"""A test says, for each image and for all together, what the model of a bundle sees."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from graft.data import SampleData, TransformedSamples, array_images, make_loader
from graft.evaluation.answers import confusion_of
from graft.evaluation.assessment import assess
from graft.models import Bundle, HowTested, linear
from graft.tasks import SingleLabel
from graft.training import testing


@pytest.fixture
def data():
    """23 random images in two parts, of three classes that are not in the order of their names."""
    stream = np.random.default_rng(0)
    parts = {}
    for part, count in (("train", 10), ("test", 13)):
        pixels = stream.integers(0, 256, (count, 20, 20, 3), dtype=np.uint8)
        names = [f"{part}/{index}.png" for index in range(count)]
        parts[part] = array_images(names, stream.integers(0, 3, count), pixels)
    return SampleData(["zebra", "ant", "cow"], parts)


@pytest.fixture
def bundle(tiny, data):
    backbone = tiny()
    return Bundle(backbone, linear(6, 3), data.class_names, backbone.preprocessing, HowTested(batch_size=4))


@pytest.fixture
def tested(bundle, data, tmp_path):
    """The result for the images of the part test."""
    items = TransformedSamples(data.samples, np.arange(10, 23), bundle.transform)
    tester = testing.make_tester(bundle, "cpu", tmp_path)
    return testing.run_test(
        tester, testing.tested_module(bundle), make_loader(items, batch_size=4, num_workers=0)
    )


def test_every_image_gets_its_probabilities_in_order(tested, bundle, data):
    assert tested.indices.tolist() == list(range(10, 23))
    images = torch.stack([bundle.transform(data.samples[index]) for index in range(10, 23)])
    torch.testing.assert_close(tested.logits.softmax(1), bundle.probabilities(images))
    assert tested.logits.dtype == torch.float32


def test_a_last_batch_is_computed_as_a_whole_one(bundle, data, tmp_path):
    """Else its images' last bits would depend on how many there are, and differ from stored features'."""
    sizes = []
    backbone = bundle.model.get_submodule("backbone")
    next(iter(backbone.stages.values())).register_forward_hook(
        lambda _module, inputs, _output: sizes.append(len(inputs[0]))
    )
    items = TransformedSamples(data.samples, np.arange(10, 23), bundle.transform)
    found = testing.run_test(
        testing.make_tester(bundle, "cpu", tmp_path),
        testing.tested_module(bundle),
        make_loader(items, batch_size=5, num_workers=0),
    )
    assert sizes == [5, 5, 5]
    assert len(found.logits) == len(found.labels) == 13


def test_the_metrics_are_those_of_the_predictions(tested, data):
    guessed = tested.logits.argmax(1).numpy()
    labels = data.samples.labels[10:]
    assert tested.labels.tolist() == labels.tolist()
    counts = confusion_of(tested.answers(data))
    assert np.array_equal(counts, confusion_matrix(labels, guessed, labels=range(3)))
    assert tested.metrics["test/accuracy"] == pytest.approx((guessed == labels).mean())
    expected = cross_entropy(tested.logits.double(), torch.from_numpy(labels))
    assert tested.metrics["test/loss"] == pytest.approx(float(expected), rel=1e-5)
    assert set(tested.metrics) == {
        f"test/{key}" for key in ("loss", "accuracy", "precision_macro", "recall_macro", "f1_macro")
    }


def test_rows_name_image_prediction_and_label(tested, data):
    rows = tested.task.rows(tested.answers(data))
    assert [row["path"] for row in rows] == [f"test/{index}.png" for index in range(13)]
    assert list(rows[0]) == ["path", "predicted", "label", "p_zebra", "p_ant", "p_cow"]
    for row, label, probabilities in zip(
        rows, data.samples.labels[10:], tested.logits.double().softmax(1), strict=True
    ):
        assert row["label"] == data.class_names[label]
        assert [row[f"p_{name}"] for name in data.class_names] == probabilities.tolist()
        assert row["predicted"] == data.class_names[probabilities.argmax()]


def test_a_second_test_starts_anew_and_gives_the_same_bits(bundle, data, loader, tmp_path):
    module, tester = testing.tested_module(bundle), testing.make_tester(bundle, "cpu", tmp_path)
    first = testing.run_test(tester, module, loader(10, 4))
    second = testing.run_test(tester, module, loader(10, 4))
    assert torch.equal(first.logits, second.logits)
    assert first.metrics == second.metrics
    assert int(module.tally("test").confusion.sum()) == 10


def test_testing_changes_no_weight_and_no_statistic(bundle, loader, trainer):
    before = {key: value.clone() for key, value in bundle.model.state_dict().items()}
    testing.run_test(trainer(), testing.tested_module(bundle), loader(10, 4))
    assert all(torch.equal(value, before[key]) for key, value in bundle.model.state_dict().items())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_tester_has_the_runs_precision(tiny, items, tmp_path, precision):
    backbone = tiny()
    how = HowTested(precision=precision)
    bundle = Bundle(backbone, linear(6, 3), ["a", "b", "c"], backbone.preprocessing, how)
    kinds = []
    backbone.register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))
    tester = testing.make_tester(bundle, "cpu", tmp_path)
    result = testing.run_test(tester, testing.tested_module(bundle), DataLoader(items(4), batch_size=4))
    assert kinds == [{"32-true": torch.float32, "bf16-mixed": torch.bfloat16}[precision]]
    assert result.logits.dtype == torch.float32


def test_a_tester_writes_nothing(bundle, loader, tmp_path):
    tester = testing.make_tester(bundle, "cpu", tmp_path)
    testing.run_test(tester, testing.tested_module(bundle), loader(4, 4))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_module_is_laid_out_as_in_the_run(tiny, channels_last):
    backbone = tiny()
    how = HowTested(channels_last=channels_last)
    bundle = Bundle(backbone, linear(6, 3), ["a", "b", "c"], backbone.preprocessing, how)
    module = testing.tested_module(bundle)
    assert module.backbone is backbone
    assert module.channels_last == channels_last
    weight = backbone.get_submodule("stages.stem.0").weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_what_rounds_to_one_is_ranked_by_its_logits(data):
    """Single precision's softmax of the first three is 1, which would make the first class's AUROC .75."""
    logits = torch.tensor([[30.0, 0], [25, 0], [20, 0], [0, 5]])
    labels = torch.tensor([0, 0, 1, 1])
    images = array_images(list("wxyz"), labels.numpy(), np.zeros((4, 2, 2), np.uint8))
    two = SampleData(["a", "b"], {"all": images})
    result = testing.ModelOutputs(
        SingleLabel(two.class_names), {}, torch.arange(4), labels, logits, torch.empty(4, 0)
    )
    for temperature in (1.0, 0.01):
        assert assess(result.answers(two, temperature))[0]["auroc"] == 1.0


def test_a_temperature_at_its_bound_is_told(bundle, loader, trainer, capsys, monkeypatch):
    monkeypatch.setattr(testing, "fit_temperature", lambda *_: 99.99)
    outputs = testing.run_test(trainer(), testing.tested_module(bundle), loader(4, 4))
    testing.calibrate(bundle, outputs)
    said = capsys.readouterr()
    assert "calibrate: the temperature 99.99 is at the bound of its search" in said.out + said.err
    assert bundle.temperature == 99.99
    monkeypatch.setattr(testing, "fit_temperature", lambda *_: 3.0)
    testing.calibrate(bundle, outputs)
    assert "bound" not in capsys.readouterr().out
