"""A regulariser in a fit: added to the loss, logged apart, and in no checkpoint or optimizer."""

import pytest

import graft
from graft.composition import compose
from graft.errors import GraftError
from graft.regularization import L1, L2, L2SP, BatchSpectralShrinkage, Delta, StochNorm


@pytest.mark.parametrize("kind", [L1, L2, L2SP, Delta, BatchSpectralShrinkage, StochNorm])
def test_it_is_logged_apart_and_kept_nowhere(transfer, trainer, loader, kind):
    plain, module = transfer(), transfer(regularizer=kind())
    assert list(module.state_dict()) == list(plain.state_dict())
    fitted = trainer()
    fitted.fit(module, loader(8, 4), loader(4, 4))
    held = [id(p) for group in fitted.optimizers[0].param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in module.parameters())
    assert ("train/regularizer" in fitted.callback_metrics) == (kind is not StochNorm)


def test_the_loss_that_is_descended_on_has_the_term_and_the_logged_one_has_not(transfer, trainer, loader):
    losses = []
    for weight in (0.0, 5.0):
        module, fitted = transfer(lr=0.0, regularizer=L2(weight)), trainer()
        step = module.training_step
        module.training_step = lambda *args, step=step: losses.append(step(*args)) or losses[-1]
        fitted.fit(module, loader(4, 4))
        term = fitted.callback_metrics["train/regularizer"]
        plain = float(fitted.callback_metrics["train/loss"])
        assert float(losses[-1].detach()) == pytest.approx(plain + float(term), rel=1e-5)
    assert float(term) > 0


def test_l2_sp_and_weight_decay_contradict_each_other():
    with pytest.raises(GraftError, match=r"regularizer=l2_sp .* optimizer\.weight_decay=0\.01"):
        compose("train", ["regularizer=l2_sp"])
    compose("train", ["regularizer=l2_sp", "optimizer.weight_decay=0"])


@pytest.mark.parametrize("name", ["delta", "bss"])
def test_what_looks_at_each_stage_is_not_compiled(name):
    with pytest.raises(GraftError, match=r"compile=true does not go with"):
        compose("train", [f"regularizer={name}", "compile=true"])


@pytest.mark.parametrize("name", ["none", "l2_sp", "delta", "stochnorm"])
def test_a_run_with_it_leaves_a_plain_model(tmp_path, name):
    backbone = ["backbone=resnet18", "backbone.image_size=32", "backbone.weights=null"]
    words = [f"regularizer={name}", "optimizer.weight_decay=0", "debug=one_batch", "data=digits"]
    run = graft.train(
        [
            *words,
            *backbone,
            "data.batch_size=4",
            "trainer=cpu",
            "logger=none",
            f"hydra.run.dir={tmp_path}/run",
        ]
    )
    kinds = {type(layer).__module__ for layer in graft.load(run.path).model.modules()}
    assert not any(kind.startswith("graft.regularization") for kind in kinds)
    header = run.path.joinpath("metrics.csv").read_text().splitlines()[0]
    assert ("train/regularizer" in header) == (name in ("l2_sp", "delta"))
