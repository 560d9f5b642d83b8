"""Data sets of the Hugging Face Hub, and folders of the same form: Parquet, saved ones, files."""

import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from graft.backbones.fetching import out_of_reach
from graft.configuration.names import nfc
from graft.configuration.paths import expanded
from graft.configuration.version import DISTRIBUTION
from graft.data.sample_data import SampleData
from graft.errors import GraftError, did_you_mean, first_line
from graft.sources.hub_samples import KINDS, MAKERS
from graft.sources.parts import PARTS, parts_of

_REPOSITORY = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
# What the library writes into a folder to save one data set, or several parts.
SAVED = ("state.json", "dataset_dict.json")
# Names that people give to columns, the likeliest first.
INPUTS = ("image", "img", "audio", "text", "sentence", "content", "question", "review")
LABELS = ("label", "labels", "class", "target", "category", "fine_label")
# What the library writes where a test set's labels are kept back.
HIDDEN = -1


class Columns(NamedTuple):
    """The two columns that are read, and of what kind the first one is: `image`, `audio` or `text`."""

    given: str
    label: str
    kind: str


def hub_data(
    name: str,
    revision: str | None = None,
    config: str | None = None,
    input: str | None = None,
    label: str | None = None,
    seconds: float | None = None,
) -> SampleData:
    """A data set of images, sounds or texts with a label each, in its own parts.

    Its splits train, validation (or valid, dev, ...) and test are the parts; others are left out, and so is a
    part whose labels are kept back. Images and sounds are decoded as those of files are.

    Args:
        name: a folder: of Parquet files, of a data set that `datasets` saved, or of what it can load; or
            `owner/name`, a repository of the Hugging Face Hub.
        revision: a commit, branch or tag of the repository; None: the newest, which a note names.
        config: of data sets that have several; None: the only one, or the default.
        input: the column of what is classified; None: the only one of images, sounds or text.
        label: the column of the classes; None: the only one of class labels, or one of a usual name.
        seconds: of sounds, that a network hears; None: as `data=audio_folder` has it.

    Raises:
        GraftError: `datasets` is not installed; there is no such data set, or it cannot be had; a column is
            not there, or not clear, or of a type that is no input or no class.
    """
    library = _library()
    key = f"data.name={name}"
    loaded, notes = _loaded(library, name, revision, config, key)
    meant = parts_of(loaded)
    unknown = [split for split in loaded if split not in meant] if len(loaded) > 1 else []
    if len(loaded) == 1 and not meant:
        meant = {next(iter(loaded)): "all"}
    if unknown:
        notes.append(f"left out: the splits {', '.join(unknown)}, which are none of train, val, test")
    splits: dict[str, Any] = {}
    for split, part in meant.items():
        if part in splits:
            raise GraftError(f"{key}: several splits are its {part}: {', '.join(meant)}")
        splits[part] = loaded[split]
    if not splits:
        raise GraftError(f"{key}: its splits {', '.join(loaded)} are none of train, val, test")
    columns = columns_of(library, next(iter(splits.values())).features, key, input, label)
    parts: dict[str, tuple[Any, list[str]]] = {}
    for part in sorted(splits, key=[*PARTS, "all"].index):
        rows = _undecoded(library, splits[part], columns)
        classes = _classes(library, rows, columns.label, f"{key}, {part}")
        if classes is None:
            notes.append(f"left out: {part}, whose labels are kept back")
        else:
            parts[part] = rows, classes
    return _numbered(key, parts, columns, notes, seconds)


def _library() -> ModuleType:
    try:
        import datasets
    except ModuleNotFoundError as error:
        if error.name != "datasets":
            raise
        raise GraftError(f"data=hf needs datasets: pip install '{DISTRIBUTION}[hf]'") from None
    library: ModuleType = datasets
    return library


def _loaded(
    library: ModuleType, name: str, revision: str | None, config: str | None, key: str
) -> tuple[dict[str, Any], list[str]]:
    """The parts of a data set by its own names for them, and notes.

    Raises:
        GraftError: there is none, or it cannot be had.
    """
    folder = expanded(name)
    local, notes = folder.is_dir(), []
    if local and revision is not None:
        raise GraftError(f"data.revision={revision} is for a name of the hub; {name} is a folder")
    if not local and not _REPOSITORY.fullmatch(name):
        raise GraftError(f"{key}: there is no such folder, and it is no name of the hub, owner/name")
    if not local and not library.config.HF_HUB_OFFLINE:
        from huggingface_hub import HfApi, constants

        # The library itself would try for minutes.
        if why := out_of_reach(constants.ENDPOINT):
            raise GraftError(
                f"{key}: it is no folder, and {why}; HF_HUB_OFFLINE=1 takes what was fetched before"
            )
        if revision is None:
            try:
                revision = HfApi().dataset_info(name).sha
            except Exception as error:
                raise GraftError(f"{key}: it cannot be had ({first_line(error)})") from error
            notes.append(f"the newest version of {name} is taken; data.revision={revision} keeps to it")
    logging = library.utils.logging
    level = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    bars = library.are_progress_bars_disabled()
    library.disable_progress_bars()
    try:
        if local and any((folder / file).is_file() for file in SAVED):
            opened = library.load_from_disk(str(folder))
        else:
            opened = library.load_dataset(
                str(folder.absolute()) if local else name, config, revision=None if local else revision
            )
    # Of damaged files, and of a hub that does not answer, each reader has errors of its own.
    except Exception as error:
        raise GraftError(f"{key}: it cannot be had ({first_line(error)})") from error
    finally:
        logging.set_verbosity(level)
        if not bars:
            library.enable_progress_bars()
    parts = (
        {str(split): rows for split, rows in opened.items()} if isinstance(opened, dict) else {"all": opened}
    )
    return parts, notes


def columns_of(
    library: ModuleType, features: Mapping[str, Any], key: str, given: str | None, label: str | None
) -> Columns:
    """The column of what is classified, and that of the classes.

    Raises:
        GraftError: one of them is not there, or not clear, or of a type that is no input or no class.
    """
    kinds = {column: _kind(library, feature) for column, feature in features.items()}
    there = f"the columns are {', '.join(f'{column} ({kinds[column]})' for column in features)}"
    for asked, column in (("input", given), ("label", label)):
        if column is not None and column not in features:
            near = did_you_mean(column, features)
            raise GraftError(f"{key}: data.{asked}={column}: there is no such column{near}; {there}")
    if label is None:
        labels = [column for column, kind in kinds.items() if kind == "class" and column != given]
        named = [column for column in LABELS if column in features and column != given]
        label = labels[0] if len(labels) == 1 else next(iter(named), None)
    if label is None:
        raise GraftError(f"{key}: which column holds the labels? give data.label=…; {there}")
    if kinds[label] not in ("class", "text", "number"):
        raise GraftError(f"{key}: data.label={label} is of {kinds[label]}, which are no classes; {there}")
    if given is None:
        inputs = {kind: [c for c in kinds if kinds[c] == kind and c != label] for kind in KINDS}
        # A picture or a sound has text beside it more often than the other way round.
        found = next((columns for columns in inputs.values() if columns), [])
        usual = [column for column in INPUTS if column in found]
        given = found[0] if len(found) == 1 else next(iter(usual), None)
    if given is None:
        raise GraftError(f"{key}: which column is to be classified? give data.input=…; {there}")
    if kinds[given] not in KINDS or given == label:
        raise GraftError(
            f"{key}: data.input={given} is of {kinds[given]}, and must be of {', '.join(KINDS)}; {there}"
        )
    return Columns(given, label, kinds[given])


def _kind(library: ModuleType, feature: Any) -> str:
    """What a column holds, in a word."""
    if isinstance(feature, library.Image):
        return "image"
    if isinstance(feature, library.Audio):
        return "audio"
    if isinstance(feature, library.ClassLabel):
        return "class"
    if isinstance(feature, library.Value):
        if "string" in feature.dtype:
            return "text"
        return "number" if re.match(r"u?int|bool", feature.dtype) else str(feature.dtype)
    return type(feature).__name__


def _undecoded(library: ModuleType, rows: Any, columns: Columns) -> Any:
    """The two columns alone, whose images and sounds stay files."""
    kept = rows.select_columns([columns.given, columns.label])
    if columns.kind == "text":
        return kept
    feature = {"image": library.Image, "audio": library.Audio}[columns.kind](decode=False)
    return kept.cast_column(columns.given, feature)


def _classes(library: ModuleType, rows: Any, label: str, where: str) -> list[str] | None:
    """The class of each row by name; None where they are kept back.

    Raises:
        GraftError: a row has none.
    """
    values, feature = list(rows[label]), rows.features[label]
    for place, value in enumerate(values):
        if value is None or value == "":
            raise GraftError(f"{where}: row {place} has no {label}")
    if not isinstance(feature, library.ClassLabel):
        return [nfc(str(value).strip()) for value in values]
    if values and all(value == HIDDEN for value in values):
        return None
    if (
        wrong := next((i for i, v in enumerate(values) if not 0 <= v < len(feature.names)), None)
    ) is not None:
        raise GraftError(f"{where}: row {wrong} has {label}={values[wrong]}, which is no class")
    return [nfc(feature.names[value]) for value in values]


def _numbered(
    key: str,
    parts: Mapping[str, tuple[Any, list[str]]],
    columns: Columns,
    notes: list[str],
    seconds: float | None,
) -> SampleData:
    """Classes by number, in the order of their names, whole numbers in theirs."""
    found = {name for _, classes in parts.values() for name in classes}
    if not found:
        raise GraftError(f"{key}: it holds no rows with a label")
    whole = all(re.fullmatch(r"-?\d+", name) for name in found)
    names = sorted(found, key=int) if whole else sorted(found)
    number_of = {name: number for number, name in enumerate(names)}
    lists = {}
    for part, (rows, classes) in parts.items():
        digits = len(str(max(0, len(rows) - 1)))
        called = [f"{part}/{place:0{digits}d}" for place in range(len(rows))]
        labels = [number_of[name] for name in classes]
        lists[part] = MAKERS[columns.kind](called, labels, rows, columns.given)
    learnt = parts.get("train") or parts.get("all")
    lacking = sorted(found - set(learnt[1])) if learnt else []
    why = f"{key}: the other parts hold a class that train lacks: {lacking[0]}" if lacking else None
    kind = KINDS[columns.kind](seconds)
    return SampleData(names, lists, notes, untrainable=why, kind=kind)
