"""Features of images: what the backbone gives in evaluation mode, computed once, without a gradient."""

import numpy as np
import pytest
import torch

from graft.data import ImageSamples, SampleError, TransformedSamples, training_transform
from graft.features.loading import OneView

BATCH = 4


def live(net, data, indices, stop, batch_size=4):
    from graft.data import evaluation_transform

    items = TransformedSamples(data, indices, evaluation_transform(net.preprocessing))
    images = torch.stack([items[i]["input"] for i in range(len(items))])
    with torch.no_grad():
        return net.eval()(images, stop=stop)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_they_are_what_the_backbone_gives(features, backbone, images, stop):
    made, indices = features(), np.array([3, 1, 6, 0, 5])
    stored = made.get(stop, indices)
    expected = live(backbone(), images(), indices, stop)
    torch.testing.assert_close(stored.take(np.arange(5)), expected, rtol=1e-5, atol=1e-6)


def test_how_many_images_there_are_changes_no_bit(features, tmp_path):
    from graft.features.store import FeatureStore

    whole = features().get(3, np.arange(7)).take(np.arange(7))
    other = FeatureStore(tmp_path / "other", 10**9)
    parts = [features(into=other).get(3, np.array([i])).take(np.array([0])) for i in range(7)]
    alone = torch.cat(parts)
    # On some processors the place in a batch changes them too; the first place is that of an image alone.
    assert torch.equal(whole[::BATCH], alone[::BATCH])
    torch.testing.assert_close(whole, alone, rtol=1e-5, atol=1e-6)


def test_nothing_records_a_gradient_and_modes_stay(features, backbone):
    net = backbone().train()
    net.stages["stem"][1].eval()
    modes = [module.training for module in net.modules()]
    seen = []
    hooks = [
        module.register_forward_hook(lambda module, args, out: seen.append(out.requires_grad))
        for module in net.modules()
    ]
    before = {key: value.clone() for key, value in net.state_dict().items()}
    stored = features(net).get(3, np.arange(7))
    for hook in hooks:
        hook.remove()
    assert seen
    assert not any(seen)
    assert all(p.grad is None for p in net.parameters())
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    taken = stored.take(np.arange(3))
    assert not taken.requires_grad
    assert not taken.is_inference()


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_what_was_computed_while_validating_can_be_trained_on(features, mode):
    with mode():
        stored = features().get(2, np.arange(7))
    weight = torch.ones(1, requires_grad=True)
    (stored.take(np.arange(7)) * weight).sum().backward()
    assert weight.grad.abs() > 0


def test_they_are_computed_once(features):
    first, again = features(), features()
    assert first.lacking(3, np.arange(7)) == 7
    first.get(3, np.arange(7))
    assert first.calls == [4, 4]
    assert again.lacking(3, np.arange(7)) == 0
    again.get(3, np.array([6, 2]))
    assert again.calls == []


@pytest.mark.parametrize("changed", [{"seed": 1}, {"size": 20}, {"stride": 1}])
def test_another_backbone_computes_its_own(features, backbone, changed):
    features().get(3, np.arange(7))
    assert features(backbone(**changed)).lacking(3, np.arange(7)) == 7


def test_other_images_another_boundary_and_another_precision_are_computed(features, images):
    features().get(3, np.arange(7))
    assert features(data=images(seed=1)).lacking(3, np.arange(7)) == 7
    assert features().lacking(2, np.arange(7)) == 7
    assert features(how={"device": "cpu", "precision": "fast"}).lacking(3, np.arange(7)) == 7
    assert features(data=images(count=9)).lacking(3, np.arange(9)) in (2, 9)


def test_a_view_is_what_an_epoch_draws(features, backbone, images):
    net, data, indices = backbone().eval(), images(), np.array([4, 2, 0])
    transform = training_transform(net.preprocessing, (0.3, 1.0), 0.5, None)
    made = features(net, data, transform, seed=3)
    trained = TransformedSamples(data, indices, transform, seed=3)
    for view in (0, 1):
        drawn = torch.stack([trained[view, position]["input"] for position in range(3)])
        with torch.no_grad():
            expected = net(drawn)
        torch.testing.assert_close(made.get(3, indices, view).take(np.arange(3)), expected)
    assert made.lacking(3, indices, 2) == 3
    assert features(net, data, transform, seed=4).lacking(3, indices, 0) == 3
    assert OneView(data, indices, transform, 3, 1)[0]["index"] == 4


def test_an_image_that_cannot_be_read_is_named_and_leaves_nothing(features, images):
    data = images()

    def load(index):
        if index == 5:
            raise SampleError("noise/5: damaged")
        return data[index]

    made = features(data=ImageSamples(data.names, data.labels, load, data.content))
    with pytest.raises(SampleError, match="noise/5: damaged"):
        made.get(3, np.arange(7))
    assert made.lacking(3, np.arange(7)) == 7


def test_progress_is_told_and_a_check_may_stop_it(features, monkeypatch, capsys):
    monkeypatch.setattr("graft.features.sample_features.TELL_EVERY", 0.0)
    features().get(3, np.arange(7))
    out = capsys.readouterr().out
    assert "computing what top gives, 7 images" in out
    assert "4 of 7 images" in out

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features(check=stop).get(2, np.arange(7))
    assert features().lacking(2, np.arange(7)) == 7
