"""The teacher answers its own images in the student's classes, and its gradient does not depend on T."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.nn.functional import cross_entropy, interpolate

from graft.backbones import Preprocessing, simple_cnn, table_mlp
from graft.configuration.run_config import Distill
from graft.errors import GraftError
from graft.models import Bundle, HowTested, linear, save_bundle
from graft.objective.distillation import Distillation, Teacher, make_distillation, softened_divergence

NAMES = ["a", "b", "c"]


def logits(seed):
    return torch.randn(8, 5, generator=torch.Generator().manual_seed(seed)).double()


def gradient(temperature):
    student = logits(0).requires_grad_()
    softened_divergence(student, logits(1), temperature).backward()
    return student.grad


def test_the_divergence_is_the_formula():
    student, teacher = ((logits(seed) / 3).softmax(1) for seed in (0, 1))
    expected = 9 * (teacher * (teacher.log() - student.log())).sum(1).mean()
    torch.testing.assert_close(softened_divergence(logits(0), logits(1), 3.0), expected)
    assert float(softened_divergence(logits(0), logits(0), 3.0)) == pytest.approx(0, abs=1e-12)


def test_the_gradient_keeps_its_size_whatever_the_temperature():
    sizes = [float(gradient(temperature).norm()) for temperature in (1, 4, 20)]
    # Without T² the last would be some 400 times smaller than the first.
    assert max(sizes) < 1.5 * min(sizes)


def test_at_a_high_temperature_it_matches_centred_logits():
    student, teacher = (found - found.mean(1, keepdim=True) for found in (logits(0), logits(1)))
    torch.testing.assert_close(gradient(1e6), (student - teacher) / (8 * 5), rtol=1e-4, atol=1e-6)


def teacher_bundle(names=NAMES, size=16, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)):
    torch.manual_seed(4)
    backbone = simple_cnn(image_size=size, mean=mean, std=std)
    return Bundle(backbone, linear(84, len(names)), names, backbone.preprocessing, HowTested())


@pytest.mark.parametrize("size", [16, 20])
def test_the_teacher_sees_its_own_size_mean_and_std_and_speaks_in_the_students_order(size):
    student = Preprocessing(16, 16)
    pixels = torch.rand(4, 3, 16, 16)
    bundle = teacher_bundle(["c", "a", "b"], size)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))
    own = pixels if size == 16 else interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = bundle.model((own - mean) / std)[:, [1, 2, 0]]
    theirs = (torch.tensor(values).view(3, 1, 1) for values in (student.mean, student.std))
    first, second = theirs
    answer = Teacher(bundle, student, NAMES)((pixels - first) / second)
    torch.testing.assert_close(answer, expected)
    assert not answer.requires_grad


def test_the_same_preprocessing_changes_no_bit():
    bundle = teacher_bundle()
    images = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        expected = bundle.model(images)
    assert torch.equal(Teacher(bundle, bundle.preprocessing, NAMES)(images), expected)


def test_other_classes_are_refused():
    with pytest.raises(GraftError, match=r"^distill\.teacher: .* must know the same classes; see c, d$"):
        Teacher(teacher_bundle(["a", "b", "d"]), Preprocessing(16, 16), NAMES)


def test_it_teaches_and_leaves_no_trace(transfer, tiny, trainer, loader, tmp_path):
    teacher = Teacher(teacher_bundle(), Preprocessing(16, 16), NAMES)
    before = deepcopy(teacher.model.state_dict())
    distill = Distillation(teacher, 4.0, 0.7)
    module = transfer(lr=0.0, backbone=tiny(dropout=0.0), distill=distill)
    keys = set(transfer().state_dict())
    batch = next(iter(loader(12, 12)))
    with torch.no_grad():
        said = module(batch["input"])
        plain = cross_entropy(said, batch["target"])
        expected = 0.3 * plain + 0.7 * softened_divergence(said, teacher(batch["input"]), 4.0)
    keep = ModelCheckpoint(tmp_path, "last")
    fitted = trainer(callbacks=[keep])
    fitted.fit(module, loader(12, 12))
    assert float(fitted.callback_metrics["train/loss"]) == pytest.approx(float(expected), rel=1e-5)
    held = {id(p) for group in fitted.optimizers[0].param_groups for p in group["params"]}
    assert held == {id(parameter) for parameter in module.parameters()}
    assert not held & {id(parameter) for parameter in teacher.model.parameters()}
    assert set(torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]) == keys
    assert not any(part.training for part in teacher.model.modules())
    assert all(torch.equal(value, before[key]) for key, value in teacher.model.state_dict().items())
    assert deepcopy(module).distill.teacher is teacher


def test_a_teacher_is_loaded_from_its_bundle(tmp_path):
    settings = Distill(None, temperature=2.0, weight=0.5, trust=[])
    assert make_distillation(settings, Preprocessing(16, 16), NAMES) is None
    bundle = teacher_bundle()
    node = {"_target_": "graft.backbones.simple_cnn", "image_size": 16, "weights": None}
    save_bundle(tmp_path / "model", bundle, {"backbone": node, "head": {"_target_": "graft.models.linear"}})
    settings = replace(settings, teacher=str(tmp_path))
    found = make_distillation(settings, bundle.preprocessing, NAMES)
    images = torch.randn(4, 3, 16, 16)
    assert torch.equal(found.teacher(images), Teacher(bundle, bundle.preprocessing, NAMES)(images))
    settings = replace(settings, teacher=str(tmp_path / "none"))
    with pytest.raises(GraftError, match=r"^distill\.teacher=.*none: there is no such folder: "):
        make_distillation(settings, bundle.preprocessing, NAMES)


ROWS = [{"x": float(place), "y": place / 3} for place in range(9)]


def test_a_teacher_of_another_kind_is_refused():
    rows = table_mlp(width=4, training=ROWS).preprocessing
    with pytest.raises(GraftError, match=r"^distill.teacher: it takes images, and data has rows$"):
        Teacher(teacher_bundle(), rows, NAMES)


def test_a_teacher_of_rows_must_see_them_as_the_student_does():
    backbone = table_mlp(width=4, training=ROWS)
    bundle = Bundle(backbone, linear(4, 3), NAMES, backbone.preprocessing, HowTested())
    given = {"numbers": torch.randn(5, 2), "categories": torch.zeros(5, 0, dtype=torch.int64)}
    answers = Teacher(bundle, backbone.preprocessing, NAMES)(given)
    torch.testing.assert_close(answers, bundle.model(given).detach())
    other = table_mlp(width=4, training=ROWS[:5]).preprocessing
    with pytest.raises(GraftError, match="it does not see rows as the student does"):
        Teacher(bundle, other, NAMES)
