"""DELTA's unit: each stage's mean square over the training images; with it λ is one strength everywhere."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader

from graft.errors import GraftError
from graft.objective import L2, Delta
from graft.objective.behaviour import outputs
from graft.processes.random_state import random_state
from graft.training.source_maps import measure_maps

TRAINER = {"accelerator": "cpu", "devices": 1}


def loading(shown):
    def ordered_loader(split):
        assert split == "train"
        return DataLoader(shown, batch_size=5, generator=torch.Generator())

    return SimpleNamespace(ordered_loader=ordered_loader)


def test_it_is_the_mean_square_and_nothing_else_changes(transfer, items, capsys):
    module, shown = transfer(regularizer=Delta()), items(12)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    generator = random_state()["torch"]
    measure_maps(module, loading(shown), TRAINER)
    assert torch.equal(random_state()["torch"], generator)
    after = module.state_dict()
    assert all(torch.equal(after[key], old) for key, old in before.items() if "squares" not in key)
    assert all(part.training for part in module.modules())
    with torch.no_grad():
        maps = outputs(module.backbone.eval(), torch.stack([item["image"] for item in shown]))
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
        images = torch.stack([item["image"] for item in shown])
        return float(module.regularizer.term(images, outputs(backbone.eval(), images), None).detach())

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
    shown[2]["image"] = torch.full_like(shown[2]["image"], float("nan"))
    with pytest.raises(GraftError, match=r"^regularizer=delta: the source gives NaN"):
        measure_maps(module, loading(shown), TRAINER)


def test_other_regularisers_ask_nothing(transfer):
    for regularizer in (None, L2()):
        measure_maps(transfer(regularizer=regularizer), None, TRAINER)
