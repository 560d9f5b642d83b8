"""Encoders of transformers are backbones: the library's own features, in stages, from a folder alone."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from graft.backbones import transformers_backbone
from graft.backbones.depth import depths
from graft.backbones.making import make_backbone
from graft.backbones.padding import ROWS
from graft.data import evaluation_transform
from graft.errors import GraftError
from graft.models import Bundle, HowTested, linear, load_bundle, save_bundle

transformers = pytest.importorskip("transformers")

TEXTS = ["a fine film", "not a good film , and far too long a film", "", "fine"]
KINDS = ["bert", "distilbert", "roberta", "electra", "vit", "dinov2", "wav2vec2", "wav2vec2_stable", "ast"]
SPLIT = pytest.mark.parametrize("kind", KINDS)


def sounds(rate=16000):
    from graft.data.sounds import Sound

    drawn = np.random.default_rng(0)
    return [Sound(drawn.normal(0, 0.1, length).astype(np.float32), rate) for length in (1600, 900, 2400)]


def inputs_of(backbone):
    """Four texts, three sounds, or two images, as they enter the backbone."""
    transform = evaluation_transform(backbone.preprocessing)
    if backbone.preprocessing.name == "image":
        side = backbone.preprocessing.crop
        return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    samples = TEXTS if backbone.preprocessing.name == "tokens" else sounds()
    none = np.zeros(len(samples), np.int64)
    return transform.finish([transform.prepare(sample) for sample in samples], None, none, none)


@torch.no_grad()
def by_hand(folder, inputs):
    """What the library's own model, and a mean over what is there, give."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    if isinstance(inputs, torch.Tensor):
        output = model(inputs)
        return output.pooler_output if model.main_input_name == "input_values" else output[0][:, 0]
    if "tokens" in inputs:
        mask = inputs["mask"]
        tokens = model(input_ids=inputs["tokens"], attention_mask=mask)[0]
    else:
        told = inputs["mask"] if model.config.feat_extract_norm == "layer" else None
        tokens = model(inputs["values"], attention_mask=told)[0]
        mask = model._get_feature_vector_attention_mask(tokens.shape[1], inputs["mask"])
    return (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def refusal(name, **arguments):
    with pytest.raises(GraftError) as caught:
        transformers_backbone(str(name), **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


@SPLIT
def test_features_are_those_of_the_library(encoder, kind):
    folder = encoder(kind)
    backbone = transformers_backbone(str(folder)).eval()
    inputs = inputs_of(backbone)
    with torch.no_grad():
        features = backbone(inputs)
    assert features.shape[1] == backbone.width
    torch.testing.assert_close(features, by_hand(folder, inputs), rtol=1e-5, atol=1e-6)


@SPLIT
def test_it_runs_from_any_boundary_to_the_same_bits(encoder, kind):
    backbone = transformers_backbone(str(encoder(kind))).eval()
    assert backbone.splits
    names = backbone.stage_names
    assert [name for name in names if name.startswith("layer")] == ["layer1", "layer2"]
    inputs = inputs_of(backbone)
    with torch.no_grad():
        whole = backbone(inputs)
        for place in range(1, len(backbone)):
            boundary = backbone(inputs, stop=place)
            assert boundary.ndim == 3
            assert torch.equal(backbone(boundary, start=place), whole)


@SPLIT
def test_every_parameter_of_a_stage_is_its_own_and_learns(encoder, kind):
    backbone = transformers_backbone(str(encoder(kind)))
    model = transformers.AutoModel.from_pretrained(encoder(kind))
    unused = ("pooler", "masked_spec_embed", "embeddings.mask_token")
    shapes = sorted(tuple(p.shape) for name, p in model.named_parameters() if not name.startswith(unused))
    assert sorted(tuple(p.shape) for p in backbone.parameters()) == shapes
    backbone(inputs_of(backbone)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    level_of, head = depths(backbone.stages, backbone.blocks)
    assert len(level_of) == len(list(backbone.parameters()))
    # The stem, two layers, and the head with what follows them.
    assert head == 3


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "wav2vec2_stable"])
def test_what_fills_up_changes_nothing(encoder, kind):
    backbone = transformers_backbone(str(encoder(kind)), max_length=None).eval()
    inputs = inputs_of(backbone)
    alone = {name: tensor[:1, : int(inputs["mask"][0].sum())] for name, tensor in inputs.items()}
    with torch.no_grad():
        torch.testing.assert_close(backbone(alone), backbone(inputs)[:1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_a_short_text_costs_no_more_for_a_long_one_in_its_batch(encoder, kind):
    folder = encoder(kind)
    texts = ["film " * (1 if place % 2 else 24) for place in range(2 * ROWS)]
    backbone = transformers_backbone(str(folder), training=texts).eval()
    transform = evaluation_transform(backbone.preprocessing)
    none = np.zeros(len(texts), np.int64)
    inputs = transform.finish([transform.prepare(text) for text in texts], None, none, none)
    seen = []
    modules = (part for part in backbone.modules() if type(part).__name__.endswith("Attention"))
    next(modules).register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[:2]))
    with torch.no_grad():
        torch.testing.assert_close(backbone(inputs), by_hand(folder, inputs), rtol=1e-5, atol=1e-6)
    # Three and 26 tokens with what stands around the words.
    assert [(rows, length) for rows, length in seen] == [(ROWS, 3), (ROWS, 26)]


def test_texts_are_as_long_as_the_longest_to_train_on(encoder, capsys):
    folder = encoder("bert")
    # Eleven words with what stands around them.
    assert transformers_backbone(str(folder), training=TEXTS).preprocessing.length == 16
    assert transformers_backbone(str(folder), training=["film " * 20]).preprocessing.length == 32
    assert not capsys.readouterr().out
    assert transformers_backbone(str(folder), training=["film " * 100_000]).preprocessing.length == 32
    assert "1 training text has more than 32 tokens; what is beyond is not seen" in capsys.readouterr().out
    assert transformers_backbone(str(folder), max_length=5, training=TEXTS).preprocessing.length == 5
    assert "more than 5 tokens; what is beyond is not seen (backbone.max_length)" in capsys.readouterr().out
    assert "more than the 32 tokens" in refusal(folder, max_length=33)


def test_tokens_are_those_of_the_library(encoder):
    folder = encoder("bert")
    inputs = inputs_of(transformers_backbone(str(folder), training=TEXTS))
    theirs = transformers.AutoTokenizer.from_pretrained(folder)(
        TEXTS, padding="max_length", truncation=True, max_length=16, return_tensors="pt"
    )
    assert torch.equal(inputs["tokens"], theirs["input_ids"])
    assert torch.equal(inputs["mask"], theirs["attention_mask"])


def test_a_tokenizer_without_padding_fills_up_with_another_token(encoder, tmp_path):
    folder = shutil.copytree(encoder("bert"), tmp_path / "bare")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "pad_token": None}))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": None}))
    whole, bare = (transformers_backbone(str(place)).eval() for place in (encoder("bert"), folder))
    assert bare.preprocessing.padding != whole.preprocessing.padding
    with torch.no_grad():
        torch.testing.assert_close(bare(inputs_of(bare)), whole(inputs_of(whole)), rtol=1e-5, atol=1e-6)


def sentence_transformer(folder, pooling, *more):
    modules = ["Transformer", "Pooling", *more]
    listed = [{"path": "" if i == 0 else f"{i}_{m}", "type": f"a.{m}"} for i, m in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def test_the_pooling_is_the_folder_s_where_it_says_one(encoder, tmp_path):
    folder = shutil.copytree(encoder("bert"), tmp_path / "st")
    plain = transformers_backbone(str(folder)).eval()
    inputs = inputs_of(plain)
    with torch.no_grad():
        mean = plain(inputs)
        first = transformers.AutoModel.from_pretrained(folder).eval()(
            input_ids=inputs["tokens"], attention_mask=inputs["mask"]
        )[0][:, 0]
    sentence_transformer(
        folder, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "Normalize"
    )
    normal = nn.functional.normalize(first, dim=1)
    with torch.no_grad():
        told = transformers_backbone(str(folder)).eval()(inputs)
        torch.testing.assert_close(told, normal, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(
            transformers_backbone(str(folder), normalize=False).eval()(inputs), first, rtol=1e-5, atol=1e-6
        )
        assert torch.equal(transformers_backbone(str(folder), pooling="mean").eval()(inputs), mean)
        highest = transformers_backbone(str(folder), pooling="max").eval()(inputs)
    assert (highest >= mean - 1e-6).all()
    sentence_transformer(folder, {"pooling_mode_mean_tokens": True}, "Dense")
    assert "Dense" in refusal(folder)
    sentence_transformer(folder, {"pooling_mode_mean_sqrt_len_tokens": True})
    assert "mean_sqrt_len_tokens" in refusal(folder)


@pytest.mark.parametrize("kind", ["mpnet", "swin"])
def test_a_structure_that_is_not_known_freezes_in_groups(encoder, kind, capsys):
    folder = encoder(kind)
    backbone = transformers_backbone(str(folder)).eval()
    assert "runs as one block" in capsys.readouterr().out
    assert not backbone.splits
    assert len(backbone) > 2
    inputs = inputs_of(backbone)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        theirs = by_hand(folder, inputs) if kind == "mpnet" else model(inputs).pooler_output
        torch.testing.assert_close(backbone(inputs), theirs, rtol=1e-5, atol=1e-6)
    # Frozen groups stay as they are while others learn.
    backbone(inputs).sum().backward()
    last = list(backbone.stages.values())[-1]
    assert all(parameter.grad is not None for parameter in last.parameters())


@pytest.mark.parametrize("kind", ["bert", "vit", "wav2vec2", "ast", "mpnet"])
def test_a_bundle_needs_neither_folder_nor_hub(encoder, kind, tmp_path):
    folder = shutil.copytree(encoder(kind), tmp_path / "moved")
    node = {
        "_target_": "graft.backbones.transformers_backbone",
        "name": str(folder),
        "weights": "pretrained",
        "max_length": None,
    }
    backbone = make_backbone(node).eval()
    inputs = inputs_of(backbone)
    head = {"_target_": "graft.models.linear"}
    bundle = Bundle(backbone, linear(backbone.width, 2), ["no", "yes"], backbone.preprocessing, HowTested())
    (tmp_path / "bundle").mkdir()
    save_bundle(tmp_path / "bundle", bundle, {"backbone": node, "head": head})
    shutil.rmtree(folder)
    again = load_bundle(tmp_path / "bundle")
    assert again.preprocessing == bundle.preprocessing
    assert torch.equal(again.probabilities(inputs), bundle.probabilities(inputs))
    # Another task starts from it, whatever stood at the name.
    other = transformers_backbone("nowhere/at-all", weights=str(tmp_path / "bundle")).eval()
    with torch.no_grad():
        assert torch.equal(other(inputs), backbone(inputs))


def test_a_folder_whose_weights_are_a_pickle_alone_is_refused(encoder, tmp_path):
    folder = shutil.copytree(encoder("bert"), tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "a pickle, pytorch_model.bin" in refusal(folder)
    (folder / "pytorch_model.bin").unlink()
    assert "no model.safetensors" in refusal(folder)
    assert transformers_backbone(str(folder), weights=None).width == 16


def test_no_code_of_a_folder_runs(encoder, tmp_path):
    folder = shutil.copytree(encoder("bert"), tmp_path / "coded")
    config = json.loads((folder / "config.json").read_text())
    auto = {"AutoModel": "own.Model", "AutoConfig": "own.Config"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": auto}))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    assert "does not run" in refusal(folder)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_encoder_is_refused_in_one_line(encoder, tmp_path):
    assert "no such folder" in refusal(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    assert "no config.json" in refusal(tmp_path / "empty")
    (tmp_path / "empty" / "config.json").write_text("{")
    assert "cannot be read" in refusal(tmp_path / "empty")
    assert "is for a name of the hub" in refusal(encoder("bert"), revision="main")
    assert "did you mean mean" in refusal(encoder("bert"), pooling="meen")
    assert "nothing of its own" in refusal(encoder("bert"), pooling="model")
    t5 = {
        "model_type": "t5",
        "d_model": 8,
        "d_kv": 4,
        "d_ff": 8,
        "num_layers": 1,
        "num_heads": 2,
        "vocab_size": 9,
    }
    (tmp_path / "empty" / "config.json").write_text(json.dumps(t5))
    assert "no encoder" in refusal(tmp_path / "empty", weights=None)
    fewer = shutil.copytree(encoder("bert"), tmp_path / "fewer")
    config = json.loads((fewer / "config.json").read_text())
    (fewer / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    assert "its weights lack" in refusal(fewer)


def test_an_image_processor_that_cannot_be_said_is_refused(encoder, tmp_path):
    folder = shutil.copytree(encoder("vit"), tmp_path / "vit")
    file = folder / "preprocessor_config.json"
    settings = json.loads(file.read_text())
    known = transformers_backbone(str(folder)).preprocessing
    assert (known.resize, known.crop, known.squash, known.interpolation) == (32, 32, True, "bilinear")
    assert known.mean == (0.5, 0.5, 0.5)
    file.write_text(json.dumps({**settings, "size": {"height": 32, "width": 48}}))
    assert "square" in refusal(folder)
    file.write_text(json.dumps({**settings, "rescale_factor": 1}))
    assert "does not scale" in refusal(folder)
    file.unlink()
    assert "image processor" in refusal(folder)
