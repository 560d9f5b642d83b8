"""Images in folders, a folder a class."""

import os
from pathlib import Path

from graft.data.image_data import ImageData
from graft.data.parts import PART_WORDS, NamedImages, number_classes
from graft.errors import GraftError, did_you_mean

# Those that torchvision's ImageFolder reads; written here so that looking at folders needs no torch.
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def image_folder(root: str) -> ImageData:
    """Images below `root`, the folder above them saying their class.

    Folders named train, val (or valid, validation) and test are the parts of that name, with a folder a
    class in each; where there are none, the folders in `root` are the classes and one part "all" is
    returned. Class names and their order come from the training part. What lies deeper in a class folder
    counts as that class. Hidden files and files that are no images are left out; the notes count them.

    Raises:
        GraftError: `root` is no folder or holds no images, a class folder is empty, there is one class only,
            a part holds a class that train lacks, or val or test come without train.
    """
    source = f"data.root={root}"
    folder = Path(root).expanduser()
    _check_folder(source, folder)
    part_folders = _part_folders(source, folder)
    ignored: list[str] = []
    parts = {
        part: _read_part(source, folder, name, ignored)
        for part, name in (part_folders or {"all": "."}).items()
    }
    notes = []
    if part_folders:
        beside, files = _listing(folder)
        ignored += files
        beside = [name for name in beside if name not in part_folders.values()]
        notes += [f"ignored what lies beside the parts: {', '.join(beside)}"] if beside else []
    if ignored:
        notes.append(
            f"ignored files that are no images of a class: {len(ignored)}, such as {sorted(ignored)[0]}"
        )
    if not any(images.names for images in parts.values()):
        loose = sum(_is_image(name) for name in ignored)
        raise GraftError(
            f"{source}: no images in folders of classes ({loose} images lie outside such folders)"
        )
    return number_classes(source, folder, parts, notes)


def _check_folder(source: str, folder: Path) -> None:
    if folder.is_dir():
        return
    if folder.exists():
        raise GraftError(f"{source}: is a file, not a folder")
    missing = folder.absolute()
    while not missing.parent.is_dir():
        missing = missing.parent
    siblings = _listing(missing.parent)[0]
    raise GraftError(
        f"{source}: {missing.parent} has no folder {missing.name}{did_you_mean(missing.name, siblings)}"
    )


def _part_folders(source: str, root: Path) -> dict[str, str]:
    """Part to the name of its folder; nothing where the folders in `root` are classes."""
    found: dict[str, str] = {}
    for name in _listing(root)[0]:
        part = PART_WORDS.get(name.lower())
        # A class may be called "train" too, but then it holds images, not folders of classes.
        if part is None or not _listing(root / name)[0]:
            continue
        if part in found:
            raise GraftError(f"{source}: {found[part]} and {name} both mean {part}; keep one")
        found[part] = name
    return {part: found[part] for part in ("train", "val", "test") if part in found}


def _read_part(source: str, root: Path, top: str, ignored: list[str]) -> NamedImages:
    """The images of one part, in the order of their names; what is no image of a class goes to `ignored`."""
    images = NamedImages()
    classes, files = _listing(root / top)
    ignored += [(Path(top) / name).as_posix() for name in files]
    for class_name in classes:
        paths = _files_below(root, Path(top) / class_name)
        names = [path for path in paths if _is_image(path)]
        ignored += [path for path in paths if not _is_image(path)]
        if not names:
            raise GraftError(
                f"{source}: the class folder {(Path(top) / class_name).as_posix()} holds no images"
            )
        images.names.extend(names)
        images.classes.extend([class_name] * len(names))
    return images


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders (hidden ones left out) and of the files in a folder, sorted."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir()) for entry in entries]
    folders = sorted(name for name, is_folder in found if is_folder and not name.startswith("."))
    return folders, sorted(name for name, is_folder in found if not is_folder)


def _files_below(root: Path, top: Path) -> list[str]:
    """Paths, relative to `root` and sorted, of all files below `root / top`; hidden folders left out."""
    paths: list[str] = []
    for folder, folders, files in os.walk(root / top, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(folder).relative_to(root).as_posix()
        paths += [f"{below}/{name}" for name in files]
    return sorted(paths)


def _is_image(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    return name.endswith(SUFFIXES) and not name.startswith(".")
