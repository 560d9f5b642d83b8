"""From the `target` node of a configuration to samples of a target domain. Imports no torch of itself."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from graft.data.domains import NO_CLASS, TargetDomain, without_labels
from graft.data.image_samples import file_images
from graft.data.model_classes import in_order_of
from graft.data.sample_data import SampleData
from graft.data.sound_samples import file_sounds
from graft.errors import GraftError
from graft.sources.folders import data_folder
from graft.sources.opening import levels_of, open_data, split_data
from graft.sources.parts import parts_of, word_in
from graft.sources.walk import IMAGE_FILES, SOUND_FILES, Walk, told

# Options whose folder need hold no class folders.
FOLDERS = {
    "graft.sources.image_folder": (IMAGE_FILES, file_images),
    "graft.sources.audio_folder": (SOUND_FILES, file_sounds),
}


def open_target(node: Mapping[str, Any], source: SampleData) -> TargetDomain:
    """Open the samples that the `target` node names, and divide them without a look at their labels.

    Args:
        node: as of `data`; of images, a folder without class folders will do.
        source: what has labels to learn from.

    Raises:
        GraftError: there is nothing usable there, its classes are not the source's, or what is asked for
            takes labels.
    """
    with _as_target():
        for key in ("shots", "folds"):
            if node.get(key) is not None:
                raise GraftError(
                    f"data.{key}={node[key]}: it goes by labels, which the target has none of in training"
                    f"{'; data.fraction takes fewer' if key == 'shots' else ''}"
                )
        plain = {**node, "keep_copies_together": False}
        opened = _folder_without_classes(node, source) or open_data(plain, source.levels)
        _check_kind(opened.kind.plural, source)
        if opened.labelled:
            opened = _in_order_of(opened, source.class_names)
        data, labels = without_labels(opened)
        if kept := node.get("keep_copies_together", False):
            # Imported here: it is slow, and seldom asked for.
            from graft.data.pictures import with_copies_known

            data = with_copies_known(data, near=kept != "exact", threads=node.get("num_workers"))
        splits = split_data(node, data)
        splits = replace(splits, rule=splits.rule.replace("data.", "target."))
        return TargetDomain(data, splits, labels if opened.labelled else None)


def _check_kind(plural: str, source: SampleData) -> None:
    if plural != source.kind.plural:
        raise GraftError(f"data: it has {plural}, and the source has {source.kind.plural}")


def _in_order_of(data: SampleData, class_names: list[str]) -> SampleData:
    try:
        return in_order_of(data, class_names)
    except GraftError as error:
        said = str(error).replace("the model does not know", "the source has not", 1)
        said = said.replace("; it knows", "; the source has", 1)
        raise GraftError(f"{said}; a folder without class folders has no labels to match") from error


@contextmanager
def _as_target() -> Iterator[None]:
    """Within the block, what a message says of `data` is said of `target`."""
    try:
        yield
    except GraftError as error:
        said = re.sub(r"\bdata(?=[.:]| has)", "target", str(error))
        raise type(error)(said) from error


def _folder_without_classes(node: Mapping[str, Any], source: SampleData) -> SampleData | None:
    """Files of a folder in which, or in whose parts, they lie beside each other; None: it has classes."""
    if node["_target_"] not in FOLDERS:
        return None
    root, (sought, read) = node["root"], FOLDERS[node["_target_"]]
    walk = Walk(folder := data_folder(root), f"data.root={root}", sought)
    top = walk.listing("")
    holding = [name for name in top.folders if walk.listing(name).files]
    said = {name: word for name in holding if (word := word_in(name)) and not word[1]}
    meant = parts_of(word for word, _ in said.values())
    if holding and set(said) == set(holding) and not set(said) & set(source.class_names):
        places = {meant[word]: name for name, (word, _) in said.items()}
    elif top.files and not holding:
        places = {"all": ""}
    else:
        return None
    _check_kind(sought.plural, source)
    files, left_out = walk.below(list(places.values()))
    parts = {
        part: read(folder, files[place], np.zeros(len(files[place]), np.int64))
        for part, place in places.items()
    }
    notes = [*told(left_out), f"the folder has no class folders, so its {sought.plural} have no labels"]
    data = SampleData([NO_CLASS], parts, notes, kind=source.kind, labelled=False)
    if read is not file_images:
        return data
    paths = [folder / name for names in files.values() for name in names]
    return data.levelled(*levels_of(paths, source.levels))
