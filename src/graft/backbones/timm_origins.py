"""What timm is to make for a name, and where trained weights come from: a tag, or a repository of the hub."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from graft.backbones.fetching import hub_file
from graft.backbones.weight_files import Weights
from graft.configuration.network_names import HUB, HUB_WEIGHTS, hub_parts, no_such_network, no_such_weights
from graft.errors import GraftError


@dataclass(frozen=True)
class Origin:
    """What timm is to make, and where trained weights come from.

    Attributes:
        name: what timm's `create_model` is asked for.
        pretrained: whether timm loads weights into it.
        overlay: what takes the place of timm's own record of the weights.
        rebuilt: as a `Backbone` has it; its `model_args` are those of the repository.
        fixed_size: whether it is built for one image size.
    """

    name: str
    pretrained: bool = False
    fixed_size: bool = False
    overlay: Mapping[str, object] = field(default_factory=dict)
    rebuilt: Mapping[str, Any] = field(default_factory=dict)


def timm_origin(timm: ModuleType, name: str, weights: str | Weights | None) -> Origin:
    """What to ask timm for, with the weights that have a name; what the hub has to give is fetched.

    Raises:
        GraftError: there is no such network, or no such weights of it, or the hub cannot be asked.
    """
    if name.startswith(HUB):
        return _of_hub(name, weights)
    architecture, _, tag = name.partition(".")
    if architecture not in timm.list_models():
        raise GraftError(no_such_network("timm", name, timm.list_models()))
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and (why := no_such_weights(tag, architecture, tags, is_tag=True)):
        raise GraftError(f"backbone.name={name}: {why}")
    plain = Origin(name, fixed_size=timm.get_pretrained_cfg(name).fixed_input_size)
    if not isinstance(weights, str):
        return plain
    if why := no_such_weights(weights, architecture, tags):
        raise GraftError(f"backbone.weights={weights}: {why}")
    if weights not in tags:
        return plain
    if tag and weights != tag:
        raise GraftError(f"backbone.weights={weights} and backbone.name={name} name two sets of weights")
    named = f"{architecture}.{weights}"
    settings = timm.get_pretrained_cfg(named)
    overlay = {}
    if settings.hf_hub_id:
        key = f"backbone.weights={weights}"
        overlay["file"] = _first_there(settings.hf_hub_id, settings.hf_hub_filename, None, key)
    return Origin(named, pretrained=True, fixed_size=settings.fixed_input_size, overlay=overlay)


def _of_hub(name: str, weights: str | Weights | None) -> Origin:
    repository, revision = hub_parts(name)
    key = f"backbone.name={name}"
    no = f"{key} is no image classifier of timm's"
    try:
        file = hub_file(repository, "config.json", revision, key)
        content = json.loads(file.read_text(encoding="utf-8"))
        architecture = content["architecture"]
        if not isinstance(architecture, str):
            raise TypeError(architecture)
        arguments = dict(content.get("model_args") or {})
        settings = dict(content.get("pretrained_cfg") or content)
    except FileNotFoundError as error:
        raise GraftError(f"{no}: it has no config.json") from error
    except KeyError as error:
        kind = f"names none; it is {content['model_type']}" if "model_type" in content else "names none"
        raise GraftError(f"{no}: its config.json {kind}") from error
    except (ValueError, TypeError) as error:
        raise GraftError(f"{no}: its config.json is none of timm's") from error
    pretrained = weights == HUB_WEIGHTS
    if pretrained:
        _first_there(repository, None, revision, key)
    # Some networks have layers more where there is a classifier.
    if (classes := content.get("num_classes", settings.get("num_classes"))) is not None:
        arguments.setdefault("num_classes", classes)
    rebuilt = {"name": architecture, "model_args": arguments}
    fixed = bool(settings.get("fixed_input_size"))
    return Origin(f"local-dir:{file.parent}", pretrained, fixed_size=fixed, rebuilt=rebuilt)


def _first_there(repository: str, name: str | None, revision: str | None, key: str) -> str:
    """The repository's weights: safetensors where it has them."""
    for file in [name] if name else ["model.safetensors", "pytorch_model.bin"]:
        try:
            return str(hub_file(repository, file, revision, key))
        except FileNotFoundError:
            continue
    raise GraftError(f"{key}: {repository} has no weights of timm's")
