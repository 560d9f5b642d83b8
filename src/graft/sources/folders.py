"""Images, or other files, in folders, a folder a class. Imports no torch."""

from pathlib import Path

from graft.configuration.names import nfc
from graft.configuration.paths import existing
from graft.data.sample_data import SampleData
from graft.errors import GraftError
from graft.runs.own_folders import own_marks
from graft.sources.layout import find_layout, refuse_folders_in_between
from graft.sources.parts import NamedFiles, number_classes
from graft.sources.walk import OWN, LeftOut, Walk, joined, told


def image_folder(root: str, nested: bool = False) -> SampleData:
    """Images below `root`, whose folder says their class.

    Folders whose names say train, val (or valid, dev, ...) and test are the parts, with a folder a class in
    each; where there are none, the folders in `root` are the classes and one part "all" is returned. Of
    folders that hold nothing but one of the same name, the inner one counts. Class names and their order
    come from the training part. What lies deeper in a class folder counts as that class. Links are followed
    once. Hidden files, system files, Graft's own folders and files that are no images are left out; the
    notes count them.

    Args:
        root: the folder.
        nested: whether class folders may hold nothing but folders of the same names, such as years.

    If a class folder is empty, or as `number_classes` says, nothing can train; the images may be tested.

    Raises:
        GraftError: `root` is no folder or holds no images, a folder cannot be listed, or class folders hold
            only folders of names that recur.
    """
    source, folder = f"data.root={root}", data_folder(root)
    parts, notes, untrainable = find_classes(Walk(folder, source), nested)
    return number_classes(source, folder, parts, notes, untrainable)


def data_folder(root: str) -> Path:
    """The folder of `data.root`.

    Raises:
        GraftError: it is none, or one that Graft wrote.
    """
    folder = existing("data.root", root, "folder")
    if marks := own_marks(str(folder)):
        raise GraftError(f"data.root={root}: is a folder that Graft wrote (it holds {marks}), and no data")
    return folder


def find_classes(walk: Walk, nested: bool) -> tuple[dict[str, NamedFiles], list[str], str | None]:
    """The files of each part with their classes, as `image_folder` says.

    Returns:
        The parts; what was left out, a line each; and why nothing can train on them, if so.

    Raises:
        GraftError: as `image_folder`.
    """
    source, sought = walk.source, walk.sought.plural
    layout = find_layout(walk)
    classes = {
        part: [joined(place, name) for name in walk.listing(place).folders]
        for part, place in layout.parts.items()
    }
    for folders in classes.values() if not nested else ():
        refuse_folders_in_between(walk, folders)
    files, left_out = walk.below([path for folders in classes.values() for path in folders])
    empty: list[str] = []
    parts = {part: _read_part(folders, files, left_out, empty, sought) for part, folders in classes.items()}
    above = list(dict.fromkeys([layout.top, *layout.parts.values()]))
    loose = [joined(place, name) for place in above for name in walk.listing(place).files]
    if not any(part.names for part in parts.values()):
        raise GraftError(
            f"{source}: no {sought} in folders of classes ({len(loose)} {sought} lie outside such folders)"
        )
    left_out += [entry for place in above for entry in walk.listing(place).left_out]
    notes = [f"the folders of classes lie in {layout.top}"] if layout.top else []
    notes += [f"ignored what lies beside the parts: {', '.join(layout.beside)}"] if layout.beside else []
    notes += (
        [f"ignored {sought} that lie in no class folder: {len(loose)}, such as {loose[0]}"] if loose else []
    )
    notes += empty
    untrainable = f"{source}: {empty[0]}" if empty else None
    return parts, [*notes, *told(left_out)], untrainable


def _read_part(
    folders: list[str],
    files: dict[str, list[str]],
    left_out: list[LeftOut],
    empty: list[str],
    sought: str,
) -> NamedFiles:
    """The files of one part, in the order of their names; `empty` gets what is said of empty folders."""
    part = NamedFiles()
    for folder in folders:
        if not files[folder]:
            inside = [why for path, why in left_out if path == folder or path.startswith(f"{folder}/")]
            if OWN in inside:
                continue
            why = f"; left out there: {', '.join(sorted(set(inside)))}" if inside else ""
            empty.append(f"the class folder {folder} holds no {sought}{why}")
            continue
        part.names.extend(files[folder])
        part.classes.extend([nfc(Path(folder).name)] * len(files[folder]))
    return part
