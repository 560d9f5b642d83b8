"""Tiny encoders of transformers with random weights, as their library saves them; nothing is fetched."""

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
WORDS = [
    *"abcdefghijklmnopqrstuvwxyz",
    *("a", "fine", "film", "not", "good", ",", "and", "far", "too", "long"),
]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(WORDS)]
TEXT = {**SMALL, "vocab_size": len(VOCABULARY), "max_position_embeddings": 32, "pad_token_id": 0}
SOUND = {
    **SMALL,
    "conv_dim": (8, 8),
    "conv_kernel": (10, 8),
    "conv_stride": (5, 4),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 4,
}
IMAGE = {**SMALL, "image_size": 32, "patch_size": 16}
SPECTROGRAM = {**SMALL, "max_length": 32, "num_mel_bins": 16, "patch_size": 8}


def config_of(kind: str) -> Any:
    """The configuration of a kind that a test names."""
    distilled = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}
    stable = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
    swin = {"embed_dim": 8, "depths": [1, 2], "num_heads": [2, 2], "window_size": 2}
    library: Any = transformers
    made: dict[str, Any] = {
        "bert": lambda: library.BertConfig(**TEXT),
        "distilbert": lambda: library.DistilBertConfig(**TEXT, **distilled),
        "roberta": lambda: library.RobertaConfig(**TEXT),
        "electra": lambda: library.ElectraConfig(**TEXT, embedding_size=8),
        "mpnet": lambda: library.MPNetConfig(**{**TEXT, "pad_token_id": 1}),
        "vit": lambda: library.ViTConfig(**IMAGE),
        "dinov2": lambda: library.Dinov2Config(**IMAGE),
        "swin": lambda: library.SwinConfig(image_size=32, patch_size=4, **swin),
        "wav2vec2": lambda: library.Wav2Vec2Config(**SOUND),
        "wav2vec2_stable": lambda: library.Wav2Vec2Config(**SOUND, **stable),
        "ast": lambda: library.ASTConfig(**SPECTROGRAM),
    }
    return made[kind]()


def save(kind: str, folder: Path) -> None:
    """Write the model, with its tokenizer, feature extractor or image processor, into a folder."""
    torch.manual_seed(0)
    library: Any = transformers
    config = config_of(kind)
    model = library.AutoModel.from_config(config).eval()
    with torch.no_grad():
        # Larger than they begin, so that what one sees of another matters.
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    model.save_pretrained(folder)
    beside(kind, config).save_pretrained(folder)


def beside(kind: str, config: Any) -> Any:
    """What makes its input."""
    library: Any = transformers
    if kind in ("vit", "dinov2", "swin"):
        return library.ViTImageProcessor(size={"height": 32, "width": 32})
    if kind == "ast":
        bins = config.num_mel_bins
        return library.ASTFeatureExtractor(max_length=config.max_length, num_mel_bins=bins)
    if kind.startswith("wav2vec2"):
        told = config.feat_extract_norm == "layer"
        return library.Wav2Vec2FeatureExtractor(return_attention_mask=told)
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return library.PreTrainedTokenizerFast(tokenizer_object=inner, **names)
