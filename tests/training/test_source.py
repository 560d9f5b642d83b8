"""The relation is a mean of what the source says, DELTA's unit a mean square; to ask changes nothing."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from graft.backbones import SourceHead
from graft.data.image_kind import IMAGES
from graft.errors import GraftError
from graft.objective import L2, CoTuning, Delta
from graft.objective.behaviour import outputs
from graft.processes.random_state import random_state
from graft.training.source import learn_relation, measure_maps

TRAINER = {"accelerator": "cpu", "devices": 1}
# Per image: its class, and what the source network says of it.
SAID = [
    *((0, (0.5, 0.3, 0.2)), (2, (0.1, 0.1, 0.8)), (0, (0.9, 0.05, 0.05))),
    *((1, (0.25, 0.5, 0.25)), (0, (0.1, 0.7, 0.2))),
]


def loading(items, batch_size=5):
    def ordered_loader(split):
        assert split == "train"
        # As `make_loader`: without a generator it would draw from the global one.
        return DataLoader(items, batch_size=batch_size, generator=torch.Generator())

    return SimpleNamespace(ordered_loader=ordered_loader, data=SimpleNamespace(kind=IMAGES))


@pytest.fixture
def said_by_pixels(transfer, tiny):
    """Images of one pixel, whose three channels are the logits that the source network gives."""
    backbone = tiny()
    backbone.stages = nn.ModuleDict({"only": nn.Flatten()})
    backbone.width = 3
    regularizer = CoTuning()
    regularizer.adopt(SourceHead(nn.Identity()), width=3, classes=3)
    module = transfer(backbone=backbone, regularizer=regularizer)
    items = [
        {"input": torch.tensor(said).log().view(3, 1, 1), "target": label, "index": index}
        for index, (label, said) in enumerate(SAID)
    ]
    return module, items


def test_a_row_is_the_mean_over_a_classs_images(said_by_pixels, capsys):
    module, items = said_by_pixels
    learn_relation(module, loading(items, batch_size=2), TRAINER)
    expected = torch.tensor([[0.5, 0.35, 0.15], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8]])
    torch.testing.assert_close(module.regularizer.relation, expected)
    assert capsys.readouterr().out == "co-tuning: 3 source classes related to 3 by 5 images\n"


def test_a_source_that_says_nan_is_refused(said_by_pixels):
    module, items = said_by_pixels
    items[3]["input"] = torch.full((3, 1, 1), float("nan"))
    with pytest.raises(GraftError, match=r"^regularizer=co_tuning: the source's head gives NaN"):
        learn_relation(module, loading(items, batch_size=2), TRAINER)


def test_nothing_is_drawn_or_changed_and_dropout_is_off(transfer, tiny, items):
    regularizer = CoTuning()
    head = SourceHead(nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 4)))
    regularizer.adopt(head, width=6, classes=3)
    module = transfer(backbone=tiny(dropout=0.5), regularizer=regularizer)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    generator = random_state()["torch"]
    shown = items(12)
    learn_relation(module, loading(shown), TRAINER)
    assert torch.equal(random_state()["torch"], generator)
    after = module.state_dict()
    assert all(torch.equal(after[key], old) for key, old in before.items() if "relation" not in key)
    assert all(part.training for part in module.modules())
    images, labels = torch.stack([item["input"] for item in shown]), [int(item["target"]) for item in shown]
    with torch.no_grad():
        said = regularizer.source_head.eval()(module.backbone.eval()(images)).softmax(1)
    for label, row in enumerate(regularizer.relation):
        mine = said[[index for index, found in enumerate(labels) if found == label]]
        torch.testing.assert_close(row, mine.mean(0))
    # It can be trained on.
    assert not regularizer.relation.is_inference()


def test_the_unit_is_the_mean_square_and_nothing_else_changes(transfer, items, capsys):
    module, shown = transfer(regularizer=Delta()), items(12)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    generator = random_state()["torch"]
    measure_maps(module, loading(shown), TRAINER)
    assert torch.equal(random_state()["torch"], generator)
    after = module.state_dict()
    assert all(torch.equal(after[key], old) for key, old in before.items() if "squares" not in key)
    assert all(part.training for part in module.modules())
    with torch.no_grad():
        maps = outputs(module.backbone.eval(), torch.stack([item["input"] for item in shown]))
    expected = torch.tensor([float(out.square().mean()) for out in maps])
    torch.testing.assert_close(module.regularizer.squares, expected)
    assert capsys.readouterr().out == "delta: the source's maps measured on 12 images\n"


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_the_term_does_not_depend_on_how_large_the_maps_are(transfer, tiny, items, factor):
    def term(factor):
        backbone, shown = tiny(dropout=0.0), items(12)
        with torch.no_grad():
            for parameter in backbone.stages["top"].parameters():
                parameter.mul_(factor)
        module = transfer(backbone=backbone, regularizer=Delta(last=1))
        measure_maps(module, loading(shown), TRAINER)
        with torch.no_grad():
            for parameter in backbone.stages["top"].parameters():
                parameter.mul_(1.1)
        images = torch.stack([item["input"] for item in shown])
        return float(
            module.regularizer.term(
                images, outputs(backbone.eval(), images), torch.zeros(len(images))
            ).detach()
        )

    # A tenth more everywhere: ½ · 0.1².
    assert term(factor) == pytest.approx(0.005, rel=1e-4)


def test_a_stage_of_zeros_is_no_division_by_zero_and_nan_is_refused(transfer, tiny, items):
    backbone = tiny()
    with torch.no_grad():
        for parameter in backbone.stages["top"].parameters():
            parameter.zero_()
    module = transfer(backbone=backbone, regularizer=Delta())
    measure_maps(module, loading(items(4)), TRAINER)
    assert module.regularizer.squares[-1] == 1.0
    shown = items(4)
    shown[2]["input"] = torch.full_like(shown[2]["input"], float("nan"))
    with pytest.raises(GraftError, match=r"^regularizer=delta: the source gives NaN"):
        measure_maps(module, loading(shown), TRAINER)


def test_other_regularisers_ask_nothing(transfer):
    for regularizer in (None, L2()):
        learn_relation(transfer(regularizer=regularizer), None, TRAINER)
        measure_maps(transfer(regularizer=regularizer), None, TRAINER)
