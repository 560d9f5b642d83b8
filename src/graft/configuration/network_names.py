"""Names of networks and of their weights, from the list that Graft ships. Imports neither torch nor timm."""

import csv
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any, NamedTuple

from graft.configuration.paths import expanded
from graft.configuration.weights_place import file_and_place, is_address
from graft.errors import GraftError, did_you_mean, nearest

# The versions that networks.csv lists; another may have more.
LISTED = {"torchvision": "0.29.2", "timm": "1.0.31"}
HUB = "hf-hub:"
# Before an encoder of transformers: a folder, or a repository of the hub.
ENCODER = "hf:"
# What `backbone.weights` says to mean those of the repository that the name names.
HUB_WEIGHTS = "hub"
# Those of an installed package, and those that the name says or, where it does not, the usual ones.
PACKAGE = "package"
PRETRAINED = "pretrained"
# What `backbones` of graft rank says to mean those whose weights need not be fetched.
AT_HAND = "at_hand"
# A commit's digits: a branch would be other weights tomorrow.
_HUB_NAME = re.compile(rf"{HUB}([\w.-]+/[\w.-]+)(?:@(.+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TEXT = re.compile(r"(?i)bert|gpt|llama|minilm|t5-|xlnet|mistral|electra|word2vec|glove")
TARGETS = {
    "graft.backbones.simple_cnn": "graft",
    "graft.backbones.torchvision_backbone": "torchvision",
    "graft.backbones.timm_backbone": "timm",
    "graft.backbones.transformers_backbone": "transformers",
}


class Network(NamedTuple):
    """What the list says of a network.

    Attributes:
        library: `graft`, `torchvision` or `timm`.
        name: the library's.
        task: `classification`, or another, for which Graft has no use.
        weights: their names, the usual ones first.
        files: of torchvision's, what each is called in torch's cache.
        parameters: how many the library's own model has, its classifiers' among them.
        gmacs: 10⁹ multiply-adds an image, of the size that the usual weights take.
        image_size: that size.
        megabytes: of the usual weights' file.
        accuracy: of ImageNet's validation images, in per cent, as the library publishes it.
    """

    library: str
    name: str
    task: str
    weights: tuple[str, ...]
    files: tuple[str, ...]
    parameters: int | None
    gmacs: float | None
    image_size: int | None
    megabytes: float | None
    accuracy: float | None


@functools.cache
def networks(library: str) -> Mapping[str, Network]:
    """The networks of a library by name, as listed."""
    text = files("graft.configuration").joinpath("networks.csv").read_text(encoding="utf-8")
    rows = (row for row in csv.DictReader(text.splitlines()) if row["library"] == library)
    return {row["name"]: _network(row) for row in rows}


def _network(row: Mapping[str, str]) -> Network:
    def number(key: str) -> float | None:
        return float(row[key]) if row[key] else None

    def whole(key: str) -> int | None:
        return int(row[key]) if row[key] else None

    weights, stored = tuple(row["weights"].split()), tuple(row["files"].split())
    counts = whole("parameters"), number("gmacs"), whole("image_size")
    return Network(
        *(row["library"], row["name"], row["task"], weights, stored),
        *(*counts, number("megabytes"), number("accuracy")),
    )


def classifiers(library: str) -> list[str]:
    """The names of a library's image classifiers."""
    return [name for name, network in networks(library).items() if network.task == "classification"]


def network_of(node: Mapping[str, Any]) -> Network | None:
    """What the list says of the network that a `backbone` node builds; None where it is not listed."""
    library = TARGETS.get(str(node.get("_target_")))
    if library is None:
        return None
    name = str(node.get("name", "simple_cnn"))
    return networks(library).get(name.partition(".")[0] if library == "timm" else name)


def check_network(node: Mapping[str, object]) -> None:
    """Check the names in a `backbone` node, as far as the list knows them.

    Raises:
        GraftError: a name is none of the library's; names of a newer version of it are left to the library.
    """
    library = TARGETS.get(str(node.get("_target_")))
    name = str(node.get("name"))
    if library not in LISTED:
        return
    if name.startswith(HUB) and library == "timm":
        hub_parts(name)
        return
    network = network_of(node)
    if network is None or network.task != "classification":
        if network is not None or _installed(library) in (None, LISTED[library]):
            raise GraftError(no_such_network(library, name, classifiers(library)))
        return
    tag = name.partition(".")[2]
    if library != "timm" or _installed(library) != LISTED[library]:
        return
    for key, given in (("name", tag), ("weights", node.get("weights"))):
        if not isinstance(given, str) or not given:
            continue
        if why := no_such_weights(given, network.name, network.weights, is_tag=key == "name"):
            raise GraftError(f"backbone.{key}={node[key]}: {why}")


def with_weights_named(node: Mapping[str, Any]) -> dict[str, Any]:
    """A `backbone` node that says which weights it means, so that a run begun again later has the same.

    An encoder's folder is named from the root on.

    Raises:
        GraftError: the usual ones of a name are not known.
    """
    named = dict(node)
    library = TARGETS.get(str(node.get("_target_")))
    if library == "transformers" and isinstance(node.get("name"), str) and expanded(node["name"]).is_dir():
        named["name"] = str(expanded(node["name"]).absolute())
    if library == "timm" and node.get("weights") == PRETRAINED:
        named["weights"] = usual_weights(str(node["name"]))
    return named


def usual_weights(name: str) -> str:
    """What `pretrained` means for a name of timm's.

    Raises:
        GraftError: the list knows none.
    """
    base, _, tag = name.partition(".")
    if name.startswith(HUB):
        return HUB_WEIGHTS
    if tag:
        return tag
    network = networks("timm").get(base)
    if network is None and _installed("timm") not in (None, LISTED["timm"]):
        why = f"is not listed, since it is no name of timm's or timm is not {LISTED['timm']}"
        ways = "a tag or a file, or null to start untrained"
        raise GraftError(f"backbone.name={name} {why}; give backbone.weights=, {ways}")
    if network is None:
        raise GraftError(no_such_network("timm", name, classifiers("timm")))
    if not network.weights:
        ways = "backbone.weights=<file>, or null to start untrained"
        raise GraftError(f"backbone.name={name}: timm has no weights of it; give {ways}")
    return network.weights[0]


def no_such_weights(given: str, network: str, tags: Sequence[str], is_tag: bool = False) -> str | None:
    """Why weights of a network of timm's are refused; None where they are a tag or may be a path.

    Args:
        given: the word.
        network: the name without a tag.
        tags: those that it has.
        is_tag: whether it can be nothing else.
    """
    if given in tags or (not is_tag and (given in (PACKAGE, HUB_WEIGHTS) or is_address(given))):
        return None
    if not is_tag and not is_word(given):
        return None
    kinds = "no tag" if is_tag else "no file and no tag"
    has = f"{network} has {', '.join(tags)}" if tags else f"timm has no weights of {network}"
    return f"{given} is {kinds} of timm's; {has}{did_you_mean(given, tags)}"


def is_word(given: str) -> bool:
    """Whether weights may be a name: no suffix, no folder, and nothing there of that name."""
    path, _ = file_and_place(given)
    return not (path.suffix or path.name != given or path.exists())


def _installed(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def library_nodes(options: Mapping[str, Mapping[str, Any]], library: str) -> dict[str, dict[str, Any]]:
    """The node of each of a library's classifiers by name, with its usual weights; None where it has none."""
    usual = {name: next(iter(networks(library)[name].weights), None) for name in classifiers(library)}
    return {name: {**options[library], "name": name, "weights": usual[name]} for name in usual}


def nodes_by_name(
    options: Mapping[str, Mapping[str, Any]], asked: Iterable[str], given: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """The node of every backbone that a name alone builds: options, torchvision's, timm's, the hub's.

    A name that several have is the option's, or else torchvision's; with a tag it is timm's. `hf:` stands
    before an encoder.

    Args:
        options: of the group `backbone`.
        asked: names that must be among them; a tag or a repository makes one more.
        given: names of which weights are given.

    Raises:
        GraftError: a name is no backbone's.
    """
    known = {name: dict(node) for name, node in options.items() if "???" not in node.values()}
    for library in ("torchvision", "timm"):
        for name, node in library_nodes(options, library).items():
            known.setdefault(name, node)
    for key, names in (("backbones: ", asked), ("weights.", given)):
        for name in names:
            if name in known:
                continue
            if name.startswith(ENCODER):
                known[name] = encoder_node(options["transformers"], name)
                continue
            if not name.startswith(HUB) and name.partition(".")[0] not in networks("timm"):
                raise GraftError(f"{key}{name} is no backbone that there is{did_you_mean(name, known)}")
            node = {**options["timm"], "name": name, "weights": usual_weights(name)}
            check_network(node)
            known[name] = node
    return known


def encoder_node(option: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The node of the encoder that `hf:folder`, `hf:owner/name` or `hf:owner/name@revision` names."""
    place, _, revision = name.removeprefix(ENCODER).partition("@")
    if expanded(place).is_dir():
        return {**option, "name": str(expanded(place).absolute())}
    return {**option, "name": place, "revision": revision or None}


def hub_parts(name: str) -> tuple[str, str]:
    """The repository and the commit that `hf-hub:owner/name@commit` names.

    Raises:
        GraftError: it is not of this form; a branch or a tag is no commit.
    """
    form = _HUB_NAME.fullmatch(name)
    if form is None:
        raise GraftError(f"backbone.name={name} is not of the form {HUB}owner/name@commit")
    repository, revision = form[1], form[2]
    if revision is None or not _COMMIT.fullmatch(revision):
        given = f"{revision} is no commit" if revision else "it names no commit"
        raise GraftError(
            f"backbone.name={name}: {given}; give the 40 hexadecimal digits that the hub shows under Files of"
            f" {repository}, as {HUB}{repository}@…, since a branch would be other weights tomorrow"
        )
    return repository, revision


def no_such_network(library: str, name: str, known: Iterable[str]) -> str:
    """Why a name is refused, with what it may have meant, in this library or the other one."""
    said = f"backbone.name={name}"
    base = name.partition(".")[0]
    listed = networks("torchvision").get(base)
    if listed is not None and listed.task != "classification":
        return f"{said} is a network for {listed.task}; Graft takes image classifiers"
    if name.startswith(HUB):
        return f"{said} is no name of {library}'s; a repository of the hub wants backbone=timm"
    if "/" in name:
        hub = f"backbone=timm backbone.name={HUB}{name}@commit"
        return f"{said} is no name of {library}'s; a repository of the hub is {hub}"
    other = "timm" if library == "torchvision" else "torchvision"
    if base in classifiers(other):
        return (
            f"{said} is no classifier of {library}'s, but of {other}'s: backbone={other} backbone.name={name}"
        )
    if _TEXT.search(name):
        return f"{said} is a network for text: backbone=transformers backbone.name=…"
    if near := did_you_mean(base, known):
        return f"{said} is no classifier of {library}'s{near}"
    if near := nearest(base, classifiers(other)):
        return f"{said} is no classifier of {library}'s; did you mean {other}'s {near}?"
    return f"{said} is no classifier of {library}'s; graft list backbones shows what there is"
