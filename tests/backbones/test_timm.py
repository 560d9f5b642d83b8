"""Every timm model is timm's own model without its classifier: whole, in stages, and wherever it is split."""

import copy
import sys

import pytest
import torch

from graft.backbones import source_network, timm_backbone
from graft.backbones.backbone import named_tensors
from graft.errors import GraftError
from graft.features.fast import FastPrefix
from graft.freezing import FreezePlan, LastK
from graft.freezing.apply import apply
from graft.freezing.lora import Lora, merge
from graft.freezing.parts import parts

timm = pytest.importorskip("timm")

# Small models of many families, and how many stages each has; in the fast tier those that people use most.
FAST = {
    "resnet10t": 5,
    "regnetx_002": 5,
    "tf_efficientnet_lite0": 9,
    "mobilenetv3_small_050": 8,
    "convnext_atto": 5,
    "vit_tiny_patch16_224": 14,
    "deit_tiny_distilled_patch16_224": 14,
    "eva02_tiny_patch14_224": 14,
    "swin_s3_tiny_224": 5,
    "maxvit_rmlp_pico_rw_256": 5,
    "mobilevit_xxs": 7,
    "edgenext_xx_small": 5,
    "xcit_nano_12_p16_224": 14,
    "nf_regnet_b0": 6,
    "volo_d1_224": 7,
    "densenet121": 5,
    "starnet_s050": 5,
    "mobilenetv4_conv_small_035": 7,
}
SLOW = {
    "resnetv2_18": 5,
    "skresnet18": 5,
    "resnest14d": 5,
    "res2net50d": 5,
    "seresnet33ts": 6,
    "legacy_seresnet18": 5,
    "regnety_002": 5,
    "efficientnet_b0": 9,
    "mobilenetv2_035": 9,
    "hardcorenas_a": 9,
    "ghostnet_050": 12,
    "lcnet_050": 8,
    "convnextv2_atto": 5,
    "inception_next_atto": 6,
    "mambaout_femto": 6,
    "vit_tiny_r_s16_p8_224": 14,
    "vit_relpos_small_patch16_224": 14,
    "deit_tiny_patch16_224": 14,
    "deit3_small_patch16_224": 14,
    "beit_base_patch16_224": 14,
    "swinv2_cr_tiny_ns_224": 5,
    "swinv2_tiny_window8_256": 5,
    "coatnet_nano_rw_224": 5,
    "mobilevitv2_050": 6,
    "cait_xxs24_224": 26,
    "dm_nfnet_f0": 6,
    "eca_nfnet_l0": 6,
    "vgg11_bn": 6,
    "poolformer_s12": 6,
    "caformer_s18": 6,
    "fastvit_t8": 6,
    "mixer_s32_224": 10,
    "resmlp_12_224": 14,
    "pvt_v2_b0": 5,
    "repvit_m0_9": 5,
    "tiny_vit_5m_224": 5,
    "efficientformer_l1": 5,
    "efficientformerv2_s0": 5,
    "efficientvit_b0": 6,
    "efficientvit_m0": 4,
    "focalnet_tiny_srf": 5,
    "gcvit_xxtiny": 5,
    "davit_tiny": 5,
    "vovnet39a": 5,
    "hgnetv2_b0": 6,
    "cs3darknet_s": 5,
    "dla46_c": 5,
    "rexnet_100": 18,
    "nextvit_small": 5,
    "hiera_tiny_224": 13,
    "xception41": 14,
    "vitamin_small_224": 16,
}
# Of these no map is known: groups that freeze apart and run together.
FAST_WHOLE = {"levit_128s": 4, "hrnet_w18_small": 6, "coat_lite_tiny": 12, "pit_ti_224": 1}
SLOW_WHOLE = {
    "coat_tiny": 18,
    "convit_tiny": 13,
    "crossvit_tiny_240": 4,
    "tnt_s_legacy_patch16_224": 13,
    "twins_svt_small": 5,
    "visformer_tiny": 16,
    "nest_tiny": 4,
    "selecsls42": 8,
    "mvitv2_tiny": 5,
}

# Where 64 px are too few, or not a whole number of patches; None: the size of the weights.
SIZES = {"eva02_tiny_patch14_224": 112, "hiera_tiny_224": None, "levit_128s": None, "crossvit_tiny_240": None}
SIZES |= {"efficientformer_l1": None}


def several(fast, slow):
    return [*fast, *(pytest.param(name, marks=pytest.mark.slow) for name in slow)]


@torch.no_grad()
def disturbed(model):
    """No zero, no one: a fresh network computes little that a wrong order or a lost tensor would change."""
    drawn = torch.Generator().manual_seed(1)
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            change = torch.randn(tensor.shape, generator=drawn) * (0.02 if tensor.ndim > 1 else 0.1)
            tensor.add_(change.abs() if "var" in key else change)
    return model.eval()


class Pair:
    """timm's model, and the backbone that loaded its state dict from a file."""

    def __init__(self, name, folder):
        torch.manual_seed(0)
        fixed = timm.get_pretrained_cfg(name).fixed_input_size
        size = SIZES.get(name, 64)
        self.model = disturbed(timm.create_model(name, **({"img_size": size} if fixed and size else {})))
        file = folder / f"{name}.pth"
        torch.save(self.model.state_dict(), file)
        self.backbone = timm_backbone(name, str(file), image_size=size).eval()
        file.unlink()
        side = self.backbone.preprocessing.crop
        self.images = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            maps = self.model.forward_features(self.images)
            self.features = self.model.forward_head(maps, pre_logits=True)
            self.logits = self.model.forward_head(maps)


@pytest.fixture(scope="module", params=several({**FAST, **FAST_WHOLE}, {**SLOW, **SLOW_WHOLE}))
def pair(request, tmp_path_factory):
    return Pair(request.param, tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module", params=several(FAST_WHOLE, SLOW_WHOLE))
def whole(request, tmp_path_factory):
    return Pair(request.param, tmp_path_factory.mktemp("weights"))


@torch.no_grad()
def test_features_are_timm_s_own_to_the_bit(pair):
    features = pair.backbone(pair.images)
    assert features.shape == (3, pair.backbone.width)
    assert features.isfinite().all()
    assert features.std() > 0
    assert torch.equal(features, pair.features)


def test_the_stages_hold_each_parameter_once_and_no_classifier(pair):
    left_out = tuple(f"{path}." for path in pair.backbone.dropped)
    wanted = {key for key, _ in pair.model.named_parameters() if not key.startswith(left_out)}
    assert len(named_tensors(pair.backbone)) == len({id(t) for t in named_tensors(pair.backbone).values()})
    held = dict(pair.backbone.named_parameters())
    assert len(held) == len(wanted)
    assert wanted <= set(pair.backbone.source_names)
    for key in wanted:
        assert torch.equal(held[pair.backbone.source_names[key]], pair.model.get_parameter(key))


def test_there_are_as_many_stages_as_are_known(pair, request):
    known = {**FAST, **SLOW, **FAST_WHOLE, **SLOW_WHOLE}
    name = request.node.callspec.params["pair"]
    assert len(pair.backbone) == known[name]
    assert pair.backbone.splits == (name in {**FAST, **SLOW})


@torch.no_grad()
def test_every_split_gives_the_same_bits_and_leaves_the_boundary_alone(pair):
    for stop in range(1, len(pair.backbone)):
        boundary = pair.backbone(pair.images, stop=stop)
        before = boundary.clone()
        assert torch.equal(pair.backbone(boundary, start=stop), pair.features)
        assert torch.equal(boundary, before)
        # A network that runs as one block hands on the images themselves.
        assert torch.equal(boundary, pair.images) is not pair.backbone.splits


def test_every_stage_has_something_to_train(pair):
    for k in range(1, len(pair.backbone) + 1):
        plan = FreezePlan(LastK(k), pair.backbone.stages, 1, pair.backbone.splits)
        trains = {part.stage for part, _, _ in parts(pair.backbone.stages) if plan.may_train(part)}
        assert trains == set(range(len(pair.backbone) - k, len(pair.backbone)))
    assert FreezePlan(LastK(1), pair.backbone.stages, 1).prefix(0) == len(pair.backbone) - 1


def test_every_parameter_has_its_part_in_the_features(pair):
    backbone = copy.deepcopy(pair.backbone).train()
    (backbone(pair.images) * torch.arange(backbone.width)).sum().backward()
    # Across processes, one without a gradient would keep the others waiting.
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []


def test_the_source_s_logits_are_timm_s_own(pair):
    head = pair.backbone.source_head
    if head is None:
        # More than one last layer, or one that is not linear.
        return
    with torch.no_grad():
        assert torch.equal(source_network(pair.backbone, head)(pair.images), pair.logits)


def test_a_copy_gives_the_same(pair):
    twin = copy.deepcopy(pair.backbone)
    with torch.no_grad():
        for tensor in pair.backbone.parameters():
            tensor.add_(1)
        changed = pair.backbone(pair.images)
        for tensor in pair.backbone.parameters():
            tensor.sub_(1)
        assert torch.equal(twin(pair.images), pair.features)
    assert not torch.equal(changed, pair.features)
    pair.backbone.load_state_dict(twin.state_dict())


def test_what_is_frozen_stands_still_though_all_runs_together(whole):
    backbone = copy.deepcopy(whole.backbone)
    if len(backbone) == 1:
        pytest.skip("it freezes whole or not at all")
    apply(FreezePlan(LastK(1), backbone.stages, 1, backbone.splits), backbone.stages, 0)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    backbone(whole.images).square().mean().backward()
    last = f"stages.{backbone.stage_names[-1]}."
    assert {name for name, p in backbone.named_parameters() if p.grad is not None} == {
        name for name, _ in backbone.named_parameters() if name.startswith(last)
    }
    moved = {key for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])}
    assert all(key.startswith(last) for key in moved)


def test_what_holds_several_groups_is_in_the_mode_of_the_last(whole):
    model = list(whole.backbone.stages.values())[-1].whole[0]
    assert not model.training
    whole.backbone.train()
    assert all(module.training for module in model.modules())
    whole.backbone.eval()
    assert not any(module.training for module in model.modules())


def test_only_the_features_of_one_that_runs_as_one_block_can_be_stored(whole):
    plan = FreezePlan(LastK(1), whole.backbone.stages, 1, whole.backbone.splits)
    assert plan.prefix(0) == 0
    frozen = FreezePlan(LastK(0), whole.backbone.stages, 1, whole.backbone.splits)
    assert frozen.prefix(0) == len(whole.backbone)


@torch.no_grad()
def test_the_fast_prefix_is_near(whole):
    fast = FastPrefix(whole.backbone.train().stages.values())(whole.images).float()
    whole.backbone.eval()
    assert (fast - whole.features).norm() < 0.1 * whole.features.norm()


def test_adapters_come_and_go_in_one_that_runs_as_one_block(whole):
    backbone = copy.deepcopy(whole.backbone)
    Lora(r=1).prepare(backbone.stages)
    with torch.no_grad():
        assert torch.equal(backbone(whole.images), whole.features)
        for name, parameter in backbone.named_parameters():
            if name.endswith(".b"):
                parameter.add_(0.1)
        adapted = backbone(whole.images)
        assert not torch.equal(adapted, whole.features)
        merge(backbone)
        assert torch.allclose(backbone(whole.images), adapted, atol=1e-3, rtol=1e-3)


def test_drop_path_is_passed_on():
    rates = [
        module.drop_prob
        for module in timm_backbone("vit_tiny_patch16_224", drop_path=0.3).modules()
        if type(module).__name__ == "DropPath"
    ]
    assert max(rates) == pytest.approx(0.3)


def test_a_transformer_is_built_for_the_size_that_is_asked_for():
    backbone = timm_backbone("vit_tiny_patch16_224", image_size=96)
    assert backbone(torch.zeros(2, 3, 96, 96)).shape == (2, 192)
    assert (backbone.preprocessing.crop, backbone.preprocessing.resize) == (96, 106)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ({"name": "resnett18"}, "no classifier of timm's; did you mean resnet18?"),
        ({"name": "resnet18.a1_in9k"}, "a1_in9k is no tag of timm's; resnet18 has a1_in1k"),
        ({"name": "resnet18", "weights": "a1_in9k"}, "a1_in9k is no file and no tag of timm's"),
        ({"name": "resnet18.a1_in1k", "weights": "a2_in1k"}, "name two sets of weights"),
        ({"name": "resnet18", "drop_path": 0.1, "model_args": {"nothing": 1}}, "nothing"),
        ({"name": "ghostnet_050", "drop_path": 0.1}, "drop_path_rate=0.1"),
        ({"name": "inception_v3", "image_size": 20}, "takes no images of 20 px"),
        ({"name": "vit_base_patch16_sapiens2"}, "takes images of 1024 x 768 px, and Graft's are square"),
        (
            {"name": "resnet10t", "model_args": {"in_chans": 5}},
            "takes images of 5 channels, and Graft's have 3",
        ),
        ({"name": "resnet10t", "model_args": {"global_pool": ""}}, "gives no features, one row an image"),
    ],
)
def test_wrong_words_are_one_line(arguments, answer):
    with pytest.raises(GraftError) as caught:
        timm_backbone(**arguments)
    assert answer in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_timm_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(GraftError, match=r"this backbone needs timm: pip install 'graft-transfer\[timm\]'"):
        timm_backbone("resnet18")


def test_another_architecture_s_file_is_refused(tmp_path):
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "w.pth")
    with pytest.raises(GraftError, match=r"does not fit the backbone; by key: .* missing"):
        timm_backbone("regnetx_002", str(tmp_path / "w.pth"))
