"""A folder of images, a folder a class: the layout that most people have."""

from collections.abc import Sequence
from pathlib import Path

from graft.data.image_data import ImageData, file_images
from graft.errors import GraftError, did_you_mean

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
PART_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def image_folder(root: str) -> ImageData:
    """Images below `root`, each in the folder of its class.

    `root/train/<class>/…` with `val` or `test` beside it are taken for what they say; without a `train` the
    classes lie at the top. Classes and their order come from the training part, so a class that another part
    lacks cannot renumber the rest.

    Raises:
        GraftError: there is no such folder, a class has no images, or a part has a class that `train` lacks.
    """
    top = Path(root).expanduser()
    if not top.is_dir():
        beside = [path.name for path in top.parent.iterdir()] if top.parent.is_dir() else []
        hint = did_you_mean(top.name, beside)
        raise GraftError(f"data.root={root}: there is no such folder{hint}")
    folders = _parts(top, root)
    names = {part: _by_class(folder, part != "train") for part, folder in folders.items()}
    first = names["train" if "train" in names else "all"]
    classes = list(first)
    if len(classes) < 2:
        found = f"one class, {classes[0]}" if classes else "no class folders"
        raise GraftError(f"data.root={root}: found {found} in {folders.get('train', top)}; it takes at least 2")
    notes = []
    parts = {}
    for part, by_class in names.items():
        strange = next((name for name in by_class if name not in classes), None)
        if strange is not None:
            hint = did_you_mean(strange, classes)
            raise GraftError(f"data.root={root}: class {strange} is in {folders[part].name} but not in train{hint}")
        absent = [name for name in classes if name not in by_class]
        if absent:
            notes.append(f"note: {folders[part].name} has no images of {', '.join(absent)}")
        files = [(file, classes.index(name)) for name in classes for file in by_class.get(name, [])]
        paths = [file.relative_to(top).as_posix() for file, _ in files]
        parts[part] = file_images(top, paths, [label for _, label in files])
    return ImageData(classes, parts, notes)


def _parts(top: Path, root: str) -> dict[str, Path]:
    """The folders that are parts, by what they are for; `all` is the top where there is no `train`."""
    named: dict[str, Path] = {}
    for folder in _folders(top):
        part = PART_NAMES.get(folder.name.lower())
        if part in named:
            raise GraftError(f"data.root={root}: {named[part].name} and {folder.name} are both there; keep one")
        if part:
            named[part] = folder
    if not named:
        return {"all": top}
    if "train" not in named:
        others = ", ".join(folder.name for folder in named.values())
        raise GraftError(f"data.root={root}: there is {others} but no train folder")
    if len(named) == 1:
        raise GraftError(f"data.root={root}: there is train and no val or test; give data.root={top / 'train'}")
    return {part: named[part] for part in ("train", "val", "test") if part in named}


def _by_class(folder: Path, may_be_empty: bool) -> dict[str, list[Path]]:
    """Each class's image files, at any depth below its folder, in a stable order."""
    by_class = {}
    for class_folder in _folders(folder):
        files = [file for file in class_folder.rglob("*") if _is_image(file, class_folder)]
        if not files and not (may_be_empty and folder.name.lower() in PART_NAMES):
            wanted = ", ".join(IMAGE_SUFFIXES)
            raise GraftError(f"data.root: class folder {class_folder} has no images ({wanted})")
        if files:
            by_class[class_folder.name] = sorted(files)
    return by_class


def _folders(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_image(file: Path, below: Path) -> bool:
    hidden = any(name.startswith(".") for name in file.relative_to(below).parts)
    return file.suffix.lower() in IMAGE_SUFFIXES and not hidden and file.is_file()
