"""Which modules of one of transformers' encoders make up which stage, read from the model's own structure.

Between two stages there is one tensor, `(B, L, D)`; where some of its L places are padding, `(B, L, D + 1)`,
whose last channel is 1 where there is something and 0 where there is not.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from graft.backbones.inputs import Input
from graft.backbones.padding import divided, in_parts, masked, unseen
from graft.backbones.pooling import Pool
from graft.backbones.torchvision_stages import Stages

# Where the layers may be, and the norm behind them.
LAYERS = ("encoder.layer", "encoder.layers", "transformer.layer", "layers")
NORMS = ("layernorm", "encoder.layernorm", "encoder.layer_norm")


class How(NamedTuple):
    """How an encoder is run.

    Attributes:
        kind: `text`, `sound` or `image`.
        masked: whether some places may be padding: in texts, and in sounds that are taken as they are.
        attends: whether its layers are told which. An encoder of sounds that was trained without takes
            silence for sound.
    """

    kind: str
    masked: bool
    attends: bool


class Tokens(nn.Module):
    """Texts, `tokens` and `mask` `(B, L)`, to their embeddings with the mask, `(B, L, D + 1)`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.embeddings = model.embeddings
        # ELECTRA's small ones are narrower than its layers.
        self.embeddings_project = getattr(model, "embeddings_project", nn.Identity())

    def forward(self, given: Mapping[str, Tensor]) -> Tensor:  # noqa: D102
        return masked(self.embeddings_project(self.embeddings(given["tokens"])), given["mask"])


class Patches(nn.Module):
    """Images `(N, 3, H, W)`, or spectrograms `(N, T, F)`, to their patches' embeddings, `(N, L, D)`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.embeddings = model.embeddings

    def forward(self, given: Tensor) -> Tensor:  # noqa: D102
        tokens: Tensor = self.embeddings(given)
        return tokens


class Convolutions(nn.Module):
    """Sounds, `values` and `mask` `(B, T)`, to frames with their mask, `(B, L, C + 1)`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.feature_extractor = model.feature_extractor
        shape = model.config.conv_kernel, model.config.conv_stride
        self.layers = tuple(zip(*shape, strict=True))

    def forward(self, given: Mapping[str, Tensor]) -> Tensor:  # noqa: D102
        frames = self.feature_extractor(given["values"]).transpose(1, 2)
        lengths = given["mask"].sum(1)
        for kernel, stride in self.layers:
            lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
        # At least one frame, where a sound is shorter than that.
        places = torch.arange(frames.shape[1], device=frames.device)
        return masked(frames, places < lengths.clamp(min=1)[:, None])


class Frames(nn.Module):
    """Frames `(B, L, C + 1)` to what the layers of wav2vec 2 take, `(B, L, D + 1)`."""

    def __init__(self, model: Any, attends: bool, norm_first: bool) -> None:
        super().__init__()
        self.feature_projection = model.feature_projection
        self.pos_conv_embed = model.encoder.pos_conv_embed
        # The larger ones have it behind the last layer instead.
        self.layer_norm = model.encoder.layer_norm if norm_first else nn.Identity()
        self.dropout = model.encoder.dropout
        self.attends = attends

    def forward(self, given: Tensor) -> Tensor:  # noqa: D102
        frames, mask = divided(given)
        projected = self.feature_projection(frames)
        tokens = projected[0] if isinstance(projected, tuple) else projected
        if self.attends:
            tokens = tokens * mask.unsqueeze(-1)
        tokens = self.layer_norm(tokens + self.pos_conv_embed(tokens))
        return masked(self.dropout(tokens), mask)


class Layer(nn.Module):
    """One of the encoder's layers, and what stands behind the last one."""

    def __init__(self, layer: nn.Module, how: How) -> None:
        super().__init__()
        self.layer = layer
        self.masked = how.masked
        self.attends = how.attends

    def forward(self, given: Tensor) -> Tensor:  # noqa: D102
        if not self.masked:
            return _tensor(self.layer(given))
        tokens, mask = divided(given)
        if not self.attends:
            return masked(_tensor(self.layer(tokens)), mask)

        def run(rows: Tensor, length: int) -> Tensor:
            seen = unseen(mask[rows, :length])
            return _tensor(self.layer(tokens[rows, :length], attention_mask=seen))

        return masked(in_parts(mask, run), mask)


class Norm(nn.Module):
    """The norm behind the last layer, which leaves the mask alone."""

    def __init__(self, norm: nn.Module, is_masked: bool) -> None:
        super().__init__()
        self.norm = norm
        self.masked = is_masked

    def forward(self, given: Tensor) -> Tensor:  # noqa: D102
        if not self.masked:
            return _tensor(self.norm(given))
        tokens, mask = divided(given)
        return masked(self.norm(tokens), mask)


def cut(model: Any, how: How, pool: Pool) -> Stages | None:
    """The stages of a model, stem first; None where it has no structure that is known here.

    Whether they give what the model gives is for the caller to check: a version of transformers may run the
    same modules otherwise.
    """
    layers = _found(model, LAYERS)
    stem = _stem(model, how) if isinstance(layers, nn.ModuleList) and len(layers) else None
    if stem is None:
        return None
    assert isinstance(layers, nn.ModuleList)
    stages = {
        **stem,
        **{f"layer{place}": Layer(layer, how) for place, layer in enumerate(layers, 1)},
    }
    norm = _found(model, NORMS)
    held = {id(module) for stage in stem.values() for module in stage.modules()}
    if norm is not None and id(norm) not in held:
        return {**stages, "norm": nn.Sequential(Norm(norm, how.masked), pool)}
    # A stage of the pooling alone would have nothing to train.
    name, last = stages.popitem()
    return {**stages, name: nn.Sequential(last, pool)}


def _stem(model: Any, how: How) -> Stages | None:
    if how.kind == "sound" and how.masked:
        parts = (getattr(model, "feature_extractor", None), getattr(model, "feature_projection", None))
        if None in parts or _found(model, ("encoder.pos_conv_embed",)) is None:
            return None
        norm_first = not getattr(model.config, "do_stable_layer_norm", False)
        return {"convolutions": Convolutions(model), "embeddings": Frames(model, how.attends, norm_first)}
    if not hasattr(model, "embeddings"):
        return None
    return {"embeddings": Tokens(model) if how.kind == "text" else Patches(model)}


def _found(model: nn.Module, paths: tuple[str, ...]) -> nn.Module | None:
    known = dict(model.named_modules())
    return next((known[path] for path in paths if path in known), None)


def _tensor(output: Any) -> Tensor:
    """What a layer gives, which in some versions is a tuple."""
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    return tensor


class Whole(nn.Module):
    """An encoder as its library runs it, from the input to features `(B, D)`."""

    def __init__(self, model: Any, how: How, pool: Pool) -> None:
        super().__init__()
        self.model = model
        self.how = how
        self.pool = pool

    def forward(self, given: Input) -> Tensor:  # noqa: D102
        if isinstance(given, Tensor):
            output, mask = self.model(given), None
        elif self.how.kind == "text":
            return self._of_texts(given["tokens"], given["mask"])
        else:
            told = given["mask"] if self.how.attends else None
            output = self.model(given["values"], attention_mask=told)
            length = output.last_hidden_state.shape[1]
            mask = self.model._get_feature_vector_attention_mask(length, given["mask"])
        if self.pool.how == "model":
            # Of networks that pool maps there are two axes more.
            features: Tensor = self.pool.finished(output.pooler_output.flatten(1))
            return features
        tokens = output.last_hidden_state
        pooled: Tensor = self.pool(tokens if mask is None else masked(tokens, mask))
        return pooled

    def _of_texts(self, tokens: Tensor, mask: Tensor) -> Tensor:
        def run(rows: Tensor, length: int) -> Tensor:
            output = self.model(input_ids=tokens[rows, :length], attention_mask=mask[rows, :length])
            found: Tensor = output.last_hidden_state
            return found

        pooled: Tensor = self.pool(masked(in_parts(mask, run), mask))
        return pooled
