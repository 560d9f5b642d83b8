"""The gate tells where an export and its run part."""

import numpy as np
import pytest

from graft.deploy import gate
from graft.deploy.closed import Said
from graft.errors import GraftError

LOGITS = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 1.001]], np.float32)
NAMES = ["a.png", "b.png", "c.png"]
KNOWN = gate.Reference(NAMES, ["ant", "bee", "bee"], LOGITS)
FEATURES = np.zeros((3, 4), np.float32)


@pytest.fixture
def passes(monkeypatch, tmp_path):
    """Pass the gate with what a script says: names, labels, logits, by the batch size."""

    def passes(said):
        monkeypatch.setattr(
            gate, "run_closed", lambda folder, form, images, size: Said(*said(size), FEATURES)
        )
        return gate.pass_gate(tmp_path, "onnx", KNOWN)

    return passes


def test_small_differences_pass_and_are_told(passes) -> None:
    passed = passes(lambda size: (NAMES, KNOWN.labels, LOGITS + np.float32(size * 1e-6)))
    assert passed.images == 3
    assert passed.differences == pytest.approx({1: 1e-6, 5: 5e-6, 32: 32e-6}, rel=0.1)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            ((1, 0), 0.001, ["ant", "bee", "bee"]),
            "size 5 of b.png the run says bee and the export bee, with logits up to 0.001 apart, not 0.0001",
        ),
        (
            ((2, 0), 0.00005, ["ant", "bee", "ant"]),
            "of c.png the run says bee and the export ant, .* 1 of 3 classes differ",
        ),
        (((0, 1), float("nan"), ["ant", "bee", "bee"]), "of a.png the run says ant .* up to inf apart"),
    ],
)
def test_one_image_at_one_batch_size_is_enough_to_refuse(passes, changed, told) -> None:
    place, by, labels = changed
    other = LOGITS.copy()
    other[place] += by
    with pytest.raises(GraftError, match=told) as caught:
        passes(lambda size: (NAMES, labels, other) if size == 5 else (NAMES, KNOWN.labels, LOGITS))
    assert "\n" not in str(caught.value)


def test_an_image_that_one_side_alone_can_read_refuses(passes) -> None:
    with pytest.raises(GraftError, match=r"at batch size 1 c\.png is read by one side alone"):
        passes(lambda size: (NAMES[:2], KNOWN.labels[:2], LOGITS[:2]))
