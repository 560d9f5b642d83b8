"""The adapter to transformers: encoders of texts, sounds and images, from a folder or the hub."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch

from graft.backbones.backbone import Backbone
from graft.backbones.encoder_carving import carved, usual_pooling
from graft.backbones.encoder_inputs import image_preprocessing, tokens_preprocessing, wave_preprocessing
from graft.backbones.encoder_origins import EncoderOrigin, encoder_origin
from graft.backbones.encoder_stages import How
from graft.backbones.making import Training
from graft.backbones.pooling import Pool, pooling_of
from graft.backbones.preprocessings import AnyPreprocessing
from graft.backbones.tokens import TokensPreprocessing
from graft.backbones.weight_files import Weights, read_weights
from graft.backbones.weights import load_weights
from graft.configuration.network_names import PRETRAINED
from graft.configuration.version import DISTRIBUTION
from graft.errors import GraftError, first_line
from graft.runs.log import say

# What enters an encoder, by its library's name for it, and the kind of samples that it is made of.
KINDS = {"input_ids": "text", "input_values": "sound", "pixel_values": "image"}
# What its own training alone used: a layer on top, and what stood in the place of what was to be guessed.
UNUSED = ("pooler", "masked_spec_embed", "embeddings.mask_token")
# Keys of a configuration that tell where it came from, or what a head on top would be.
NOT_OF_IT = ("_name_or_path", "auto_map", "architectures", "id2label", "label2id", "dtype", "torch_dtype")


def transformers_backbone(
    name: str,
    revision: str | None = None,
    weights: str | Weights | None = PRETRAINED,
    pooling: str = "auto",
    normalize: bool | None = None,
    max_length: int | None = None,
    sha256: str | None = None,
    config: Mapping[str, Any] | None = None,
    training: Training = (),
) -> Backbone:
    """Build one of transformers' encoders as a backbone: in stages, without a head.

    Args:
        name: a folder with a `config.json`, or `owner/name`, a repository of the Hugging Face Hub.
        revision: a commit, branch or tag of the repository; the commit that it comes to is recorded.
        weights: `pretrained`, the encoder's own, safetensors; a file, folder or address (see
            `read_weights`), or what was read from it; or None for random initialisation.
        pooling: `mean` or `max` over all tokens, `cls` for the first, `model` for what the model itself makes
            of several, or `auto`: what sentence-transformers left in the folder, else `mean` for texts and
            sounds, and the class token, or what the model has in its place, for images and spectrograms.
        normalize: whether features are brought to length 1; None: as sentence-transformers left it.
        max_length: tokens of a text that are read; None: as many as the longest text of `training` has, as
            far as the encoder takes them.
        sha256: of a file or an address in `weights`.
        config: of the encoder, instead of that at `name`.
        training: the samples to train on; their longest makes the input's length.

    Returns:
        The backbone. Its preprocessing is that of the weights; a bundle's own record for a bundle. A model
        whose structure is not known is one block of stages, which freeze apart but run together.

    Raises:
        GraftError: transformers is not installed; there is no such encoder, or not of this kind; or the
            weights are not to be had, or do not fit.
    """
    library = _library()
    own = weights == PRETRAINED
    source = None if own or weights is None else read_weights(weights, sha256)
    described = None if source is None else (source.description or {}).get("backbone") or {}
    if config is None and described and described.get("_target_") == TARGET:
        # A run's bundle tells all that its folder, or the hub, would.
        config = described["config"]
        pooling = described["pooling"] if pooling == "auto" else pooling
        normalize = described["normalize"] if normalize is None else normalize
    origin = None if config is not None and not own else encoder_origin(name, revision, weighted=own)
    with _quiet(library):
        model = _made(library, name, origin, config, own)
        given = None if source is None else source.preprocessing()
        preprocessing = given or _preprocessing(library, model, origin, name)
    how = _how(model, preprocessing, name)
    preprocessing = _fitted(preprocessing, how, max_length, training)
    usual, first = usual_pooling(model, how)
    chosen = pooling_of(pooling, usual, None if origin is None else origin.folder)
    if chosen.how == "model" and usual != "model":
        raise GraftError(f"backbone.pooling=model: {name} has nothing of its own; give mean, cls or max")
    chosen = chosen if normalize is None else chosen._replace(normalized=normalize)
    rebuilt: dict[str, object] = {
        "config": _plain(model.config),
        "pooling": chosen.how,
        "normalize": chosen.normalized,
    }
    if origin is not None and origin.commit is not None:
        rebuilt["revision"] = origin.commit
    backbone = carved(model, name, preprocessing, how, Pool(chosen, how.masked, first), rebuilt)
    if source is not None:
        load_weights(backbone, source)
    return backbone


TARGET = f"graft.backbones.{transformers_backbone.__name__}"


def _library() -> ModuleType:
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise GraftError(
            f"this backbone needs transformers: pip install '{DISTRIBUTION}[transformers]'"
        ) from None
    library: ModuleType = transformers
    return library


@contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Within the block the library says nothing: what is wrong is raised, in one line."""
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _made(
    library: ModuleType,
    name: str,
    origin: EncoderOrigin | None,
    config: Mapping[str, Any] | None,
    pretrained: bool,
) -> Any:
    """The model, in evaluation mode and single precision, without what its own training alone used.

    Raises:
        GraftError: it is no encoder that the library knows, or its weights do not fit it.
    """
    key = f"backbone.name={name}"
    values = dict(config if config is not None else origin.config if origin is not None else {})
    kind = values.pop("model_type", None)
    if kind not in library.CONFIG_MAPPING:
        code = "" if "auto_map" not in values else ", whose code is its own, which Graft does not run"
        raise GraftError(f"{key}: transformers knows no model_type={kind}{code}")
    try:
        made = library.AutoConfig.for_model(
            kind, **{key: value for key, value in values.items() if key not in NOT_OF_IT}
        )
        if pretrained:
            assert origin is not None
            model, loaded = library.AutoModel.from_pretrained(
                origin.folder,
                config=made,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        else:
            model, loaded = library.AutoModel.from_config(made, dtype=torch.float32), {}
    # Damaged weights, and numbers that do not go together, raise anything in the library.
    except Exception as error:
        raise GraftError(f"{key}: {first_line(error)}") from error
    if getattr(model.config, "is_encoder_decoder", False) or model.main_input_name not in KINDS:
        raise GraftError(f"{key}: {type(model).__name__} is no encoder of texts, sounds or images alone")
    missing = [
        name
        for name in [*loaded.get("missing_keys", ()), *(key for key, *_ in loaded.get("mismatched_keys", ()))]
        if not name.startswith(UNUSED)
    ]
    if missing:
        raise GraftError(f"{key}: its weights lack {len(missing)} tensors of it, such as {missing[0]}")
    for path in UNUSED:
        above, _, last = path.rpartition(".")
        holder = model.get_submodule(above) if hasattr(model, above or last) else model
        if not hasattr(holder, last):
            continue
        # A pooler without a dense layer pools, and is what gives the features.
        if last != "pooler" or hasattr(holder.pooler, "dense"):
            setattr(holder, last, None)
    # Where wav2vec 2 and its like train, they leave out layers and hide frames at random by themselves.
    for key in ("apply_spec_augment", "layerdrop"):
        if hasattr(model.config, key):
            setattr(model.config, key, type(getattr(model.config, key))())
    return model.eval()


def _preprocessing(
    library: ModuleType, model: Any, origin: EncoderOrigin | None, name: str
) -> AnyPreprocessing:
    if origin is None:
        raise GraftError(f"backbone.name={name}: nothing says how samples become its input")
    readers: dict[str, Callable[[ModuleType, EncoderOrigin], AnyPreprocessing]]
    readers = {"text": tokens_preprocessing, "sound": wave_preprocessing, "image": image_preprocessing}
    read: AnyPreprocessing = readers[KINDS[model.main_input_name]](library, origin)
    return read


def _how(model: Any, preprocessing: Any, name: str) -> How:
    """How it is run.

    Raises:
        GraftError: a bundle's preprocessing is for another kind of encoder.
    """
    kind = KINDS[model.main_input_name]
    fits = {"text": "tokens", "sound": "wave", "image": "image"}
    if preprocessing.name != fits[kind]:
        raise GraftError(f"backbone.weights: it takes {preprocessing.name}; {name} is an encoder of {kind}")
    if kind == "sound":
        told = bool(preprocessing.settings.get("return_attention_mask"))
        return How(kind, preprocessing.as_long, told and preprocessing.as_long)
    return How(kind, kind == "text", kind == "text")


def _fitted(preprocessing: Any, how: How, max_length: int | None, training: Training) -> Any:
    """With the length that the training samples need, or that is asked for.

    Raises:
        GraftError: it is asked for where there is none, or longer than the encoder takes.
    """
    if isinstance(preprocessing, TokensPreprocessing):
        return _fitted_to_texts(preprocessing, max_length, training)
    if max_length is not None:
        raise GraftError(f"backbone.max_length={max_length} is for texts, and this encoder takes none")
    if not how.masked or not len(training):
        return preprocessing
    return preprocessing.fitted(training[place] for place in range(len(training)))


def _fitted_to_texts(
    preprocessing: TokensPreprocessing, max_length: int | None, training: Training
) -> TokensPreprocessing:
    most = preprocessing.most
    if max_length is not None and max_length > most:
        raise GraftError(f"backbone.max_length={max_length} is more than the {most} tokens that it takes")
    # Of other samples the data will say that they do not go together.
    texts = [one for one in (training[place] for place in range(len(training))) if isinstance(one, str)]
    if not texts:
        return preprocessing if max_length is None else replace(preprocessing, length=max_length)
    fitted, cut = preprocessing.fitted(texts, max_length)
    if cut:
        have = "1 training text has" if cut == 1 else f"{cut:,} training texts have"
        limit = "backbone.max_length" if fitted.length < most else "the most that this encoder takes"
        say(f"{have} more than {fitted.length:,} tokens; what is beyond is not seen ({limit})")
    return fitted


def _plain(config: Any) -> dict[str, Any]:
    """A configuration as plain values, without what is not of the encoder itself."""
    values = json.loads(config.to_json_string(use_diff=False))
    return {key: value for key, value in values.items() if key not in NOT_OF_IT}
