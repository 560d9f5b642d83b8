"""From the `target` node of a configuration to samples of a target domain. Imports no torch of itself."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from graft.data.domains import TargetDomain, without_labels
from graft.data.image_samples import file_images
from graft.data.model_classes import in_order_of
from graft.data.sample_data import SampleData
from graft.errors import GraftError
from graft.sources.folders import data_folder
from graft.sources.opening import levels_of, open_data, split_data
from graft.sources.parts import parts_of, word_in
from graft.sources.walk import Walk, told

FOLDER = "graft.sources.image_folder"


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
        unlabelled = _folder_without_classes(node, source) if node["_target_"] == FOLDER else None
        opened = unlabelled or open_data(plain, source.levels)
        if opened.kind.noun != source.kind.noun:
            raise GraftError(f"data: it has {opened.kind.plural}, and the source has {source.kind.plural}")
        if unlabelled is None:
            opened = _in_order_of(opened, source.class_names)
        data, labels = without_labels(opened)
        if kept := node.get("keep_copies_together", False):
            # Imported here: it is slow, and seldom asked for.
            from graft.data.pictures import with_copies_known

            data = with_copies_known(data, near=kept != "exact", threads=node.get("num_workers"))
        splits = split_data(node, data)
        splits = replace(splits, rule=splits.rule.replace("data.", "target."))
        return TargetDomain(data, splits, labels if unlabelled is None else None)


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
    """Images of a folder in which, or in whose parts, images lie beside each other; None: it has classes."""
    root = node["root"]
    walk = Walk(folder := data_folder(root), f"data.root={root}")
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
    files, left_out = walk.below(list(places.values()))
    levels, notes = levels_of([folder / name for names in files.values() for name in names], source.levels)
    parts = {
        part: file_images(folder, files[place], np.zeros(len(files[place]), np.int64), levels)
        for part, place in places.items()
    }
    notes = [*notes, *told(left_out), "the folder has no class folders, so its images have no labels"]
    return SampleData([source.class_names[0]], parts, notes, levels=levels)
