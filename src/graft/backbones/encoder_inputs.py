"""How samples become an encoder's input: read from what lies beside its weights, as plain data."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from graft.backbones.encoder_origins import EncoderOrigin
from graft.backbones.preprocessing import Preprocessing
from graft.backbones.tokens import TokensPreprocessing, bare
from graft.backbones.waves import EXTRACTORS, WavePreprocessing
from graft.errors import GraftError, first_line

# Pillow's numbers for how a resize samples.
RESAMPLES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
# What a tokenizer says that was saved without a longest text.
UNLIMITED = 10**6


def tokens_preprocessing(library: ModuleType, origin: EncoderOrigin) -> TokensPreprocessing:
    """The tokenizer, as its library writes it, with the longest text that the encoder takes.

    Raises:
        GraftError: there is none, or it is not of the library `tokenizers`.
    """
    key = f"backbone.name={origin.name}"
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(
            origin.folder, local_files_only=True, trust_remote_code=False
        )
        inner = getattr(tokenizer, "backend_tokenizer", None)
        content = None if inner is None else bare(inner.to_str())
    # Of damaged files each tokenizer has errors of its own.
    except Exception as error:
        raise GraftError(f"{key}: its tokenizer cannot be had ({first_line(error)})") from error
    if content is None:
        raise GraftError(f"{key}: its tokenizer is Python code alone; save it with a tokenizer.json")
    most = longest_text(origin, tokenizer.model_max_length)
    known = (tokenizer.pad_token_id, origin.config.get("pad_token_id"))
    # What fills up is masked, so where there is no number for it any that exists will do.
    others = (tokenizer.eos_token_id, tokenizer.unk_token_id, 0)
    padding = next(number for number in (*known, *others) if isinstance(number, int) and number >= 0)
    return TokensPreprocessing(content, most, padding, most)


def longest_text(origin: EncoderOrigin, said: int) -> int:
    """How many tokens an encoder takes.

    Raises:
        GraftError: nothing says it, or it leaves no room for a token.
    """
    limits = [said] if said < UNLIMITED else []
    file = origin.folder / "sentence_bert_config.json"
    if file.is_file() and isinstance(most := _json(file).get("max_seq_length"), int):
        limits.append(most)
    if isinstance(places := origin.config.get("max_position_embeddings"), int) and places > 0:
        # RoBERTa and those like it count their places from behind the padding's.
        ahead = (origin.config.get("pad_token_id") or 0) + 1
        limits.append(places - ahead if _counts_behind_padding(origin) else places)
    if not limits or min(limits) < 1:
        raise GraftError(f"backbone.name={origin.name}: nothing says how long a text may be")
    return min(limits)


def _counts_behind_padding(origin: EncoderOrigin) -> bool:
    families = ("roberta", "camembert", "mpnet", "longformer", "data2vec-text", "esm", "xlm")
    return any(family in str(origin.config.get("model_type")) for family in families)


def wave_preprocessing(library: ModuleType, origin: EncoderOrigin) -> WavePreprocessing:
    """The feature extractor's settings.

    Raises:
        GraftError: there is none, or none that is known here.
    """
    settings = dict(_beside(library.AutoFeatureExtractor, origin, "feature extractor").to_dict())
    kind = str(settings.pop("feature_extractor_type", None))
    if kind not in EXTRACTORS:
        raise GraftError(
            f"backbone.name={origin.name}: its feature extractor is {kind}, and {' and '.join(EXTRACTORS)} "
            "are known here"
        )
    plain: dict[str, Any] = {
        key: value for key, value in settings.items() if isinstance(value, bool | int | float | str | None)
    }
    rate = int(plain["sampling_rate"])
    # A frame of 25 ms every 10 ms.
    seconds = 10.0 if EXTRACTORS[kind] else plain["max_length"] / 100 + 0.025
    plain.pop("processor_class", None)
    return WavePreprocessing(kind, rate, seconds, plain)


def image_preprocessing(library: ModuleType, origin: EncoderOrigin) -> Preprocessing:
    """What the image processor does, as far as it can be said here.

    Raises:
        GraftError: there is none, or it does what cannot be said.
    """
    key = f"backbone.name={origin.name}: its image processor"
    settings = dict(_beside(library.AutoImageProcessor, origin, "image processor").to_dict())
    size, crop = dict(settings.get("size") or {}), dict(settings.get("crop_size") or {})
    if not settings.get("do_resize") or settings.get("do_pad") or settings.get("crop_pct"):
        raise GraftError(f"{key} does not resize, or pads, which Graft does not")
    if not settings.get("do_rescale", True) or abs(settings.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        raise GraftError(f"{key} does not scale to [0, 1]")
    side = size.get("shortest_edge") or size.get("height")
    squash = "shortest_edge" not in size
    cuts = bool(settings.get("do_center_crop"))
    square = crop.get("height") == crop.get("width") if cuts else squash
    if side is None or not square or (squash and size["height"] != size.get("width")):
        raise GraftError(f"{key} makes images of size={size}, crop_size={crop}, and Graft's are square")
    resample = settings.get("resample")
    if resample is not None and int(resample) not in RESAMPLES:
        raise GraftError(f"{key} resizes by {resample}, which is not known here")
    normal = settings.get("do_normalize", True)
    return Preprocessing(
        resize=int(side),
        crop=int(crop["height"]) if cuts else int(side),
        interpolation="bilinear" if resample is None else RESAMPLES[int(resample)],
        mean=tuple(settings["image_mean"]) if normal else (0.0, 0.0, 0.0),
        std=tuple(settings["image_std"]) if normal else (1.0, 1.0, 1.0),
        squash=squash,
    )


def _beside(of: Any, origin: EncoderOrigin, what: str) -> Any:
    try:
        return of.from_pretrained(origin.folder, local_files_only=True, trust_remote_code=False)
    # Of damaged files each has errors of its own.
    except Exception as error:
        raise GraftError(
            f"backbone.name={origin.name}: its {what} cannot be had ({first_line(error)})"
        ) from error


def _json(file: Path) -> Mapping[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise GraftError(f"{file}: cannot be read ({type(error).__name__})") from error
