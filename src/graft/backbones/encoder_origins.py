"""Where an encoder of transformers comes from: a folder, or a repository of the hub at one commit."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.backbones.fetching import hub_file
from graft.configuration.paths import expanded
from graft.errors import GraftError
from graft.runs.log import say

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# Formats whose readers run what stands in the file.
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# What tells how texts are cut into tokens, how sounds and images are prepared, and how tokens are pooled.
BESIDE = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
    *("preprocessor_config.json", "processor_config.json"),
    *("modules.json", "sentence_bert_config.json"),
)
WAYS = "backbone.name=<folder> takes a copy"
_REPOSITORY = re.compile(r"[\w.-]+(?:/[\w.-]+)?")


@dataclass(frozen=True)
class EncoderOrigin:
    """Where an encoder's files lie.

    Attributes:
        name: as it was given.
        folder: on this machine.
        config: of its `config.json`.
        commit: of the hub's repository; None for a folder.
    """

    name: str
    folder: Path
    config: dict[str, Any]
    commit: str | None = None


def encoder_origin(name: str, revision: str | None, weighted: bool) -> EncoderOrigin:
    """Find an encoder's files; what the hub has to give is fetched, as far as it is not cached.

    Args:
        name: a folder, or `owner/name`.
        revision: a commit, branch or tag of the repository; None: what is cached, or else the newest.
        weighted: whether its weights are needed.

    Raises:
        GraftError: it is no folder and no repository, the hub cannot be asked, or the files are no encoder's
            or have its weights as a pickle alone.
    """
    key = f"backbone.name={name}"
    folder = expanded(name)
    if folder.is_dir():
        if revision is not None:
            raise GraftError(f"backbone.revision={revision} is for a name of the hub; {name} is a folder")
        if not (folder / CONFIG).is_file():
            raise GraftError(f"{key}: the folder holds no {CONFIG}, so it is no encoder of transformers")
        origin = EncoderOrigin(name, folder, _read(key, folder / CONFIG))
        weights = [file for file in WEIGHTS if (folder / file).is_file()]
        pickles = [file for file in PICKLES if (folder / file).is_file()]
    elif not _REPOSITORY.fullmatch(name):
        raise GraftError(f"{key}: there is no such folder, and it is no name of the hub, owner/name")
    else:
        files = _Repository(name, revision, key)
        origin = EncoderOrigin(name, files.folder, _read(key, files.folder / CONFIG), files.commit)
        files.beside()
        weights = [file for file in WEIGHTS if weighted and files.has(file)][:1]
        # Nothing fetches one to look at it.
        pickles = []
        if weights == [WEIGHTS[1]]:
            files.shards()
    if weighted and not weights:
        if pickles:
            raise GraftError(f"{key}: its weights are a pickle, {pickles[0]}; save them as {WEIGHTS[0]}")
        raise GraftError(
            f"{key}: it has no {WEIGHTS[0]}, and no pickle is read; backbone.weights=null goes without"
        )
    return origin


def _read(key: str, file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        return dict(config)
    except (OSError, ValueError, TypeError) as error:
        raise GraftError(f"{key}: its {CONFIG} cannot be read ({type(error).__name__})") from error


class _Repository:
    """A repository of the hub, all of whose files are of one commit and lie in one folder.

    Raises:
        GraftError: it cannot be had, or has no `config.json`.
    """

    def __init__(self, name: str, revision: str | None, key: str) -> None:
        self.name, self.key = name, key
        try:
            self.folder = hub_file(name, CONFIG, revision, key, WAYS).parent
        except FileNotFoundError as error:
            raise GraftError(f"{key}: it has no {CONFIG}, so it is no encoder of transformers") from error
        self.commit = self.folder.name

    def has(self, file: str) -> bool:
        """Whether there is such a file; it is fetched then."""
        if (self.folder / file).is_file():
            return True
        try:
            hub_file(self.name, file, self.commit, self.key, WAYS)
        except FileNotFoundError:
            return False
        return True

    def beside(self) -> None:
        """Fetch what lies beside the weights, as far as it is there."""
        missed: list[str] = []
        for file in BESIDE:
            if missed and not (self.folder / file).is_file():
                continue
            try:
                self.has(file)
            except GraftError:
                # Not cached, and it cannot be asked for: nothing says that the repository has it at all.
                missed.append(file)
        if (modules := self.folder / "modules.json").is_file():
            for module in json.loads(modules.read_text(encoding="utf-8")):
                if module.get("path"):
                    self.has(f"{module['path']}/{CONFIG}")
        if missed:
            say(f"warning: {self.key}: the hub cannot be asked, so what the cache lacks counts as not there")

    def shards(self) -> None:
        """Fetch the files that the weights are divided into."""
        index = json.loads((self.folder / WEIGHTS[1]).read_text(encoding="utf-8"))
        for file in sorted(set(index["weight_map"].values())):
            if not self.has(file):
                raise GraftError(f"{self.key}: it has no {file}, which its {WEIGHTS[1]} names")
