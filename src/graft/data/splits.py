"""Which images train, validate and test."""

import math
from dataclasses import dataclass, replace

import numpy as np

from graft.data.folds import cut
from graft.data.grouping import counts_of, divisible, draw, kept_together
from graft.data.sample_data import SampleData
from graft.data.samples import Indices
from graft.errors import GraftError

SPLITS = ("train", "val", "test", "unused")


@dataclass(frozen=True)
class Splits:
    """The split of every image.

    Attributes:
        indices: for each of train, val, test and unused, the sorted `(N,)` indices into `SampleData.samples`;
            no image is in two of them, and every image is in one.
        rule: how it came about, in words.
    """

    indices: dict[str, Indices]
    rule: str

    def __getitem__(self, split: str) -> Indices:
        return self.indices[split]

    def beside(self, name: str, indices: Indices) -> "Splits":
        """These, and some images of theirs under a further name."""
        return replace(self, indices={**self.indices, name: indices})

    def of_each(self) -> dict[int, str]:
        """The split of every image, by its index."""
        return {int(index): split for split in SPLITS for index in self[split]}

    def describe(self) -> str:
        """One line that says what was found and which rule was applied."""
        return f"split: {self.rule}"


def split(
    data: SampleData,
    *,
    val_fraction: float = 0.2,
    test_fraction: float = 0.2,
    test_seed: int | None = None,
    folds: int | None = None,
    fold: int | None = None,
    shots: int | None = None,
    fraction: float = 1.0,
    seed: int = 0,
) -> Splits:
    """Divide images into train, val, test and unused.

    The source's own parts stay what they are; only what is missing is split off. A test set is drawn from
    everything where there is one part only; of train and val alone, val is the test set, so that nothing
    was chosen on it. A validation set is drawn from what then trains. Draws are stratified, and keep groups
    and known copies together. With `shots` or `fraction` less trains, chosen for each class by itself, so
    that fewer are always among more.

    With `folds`, all that is no official test set is cut into so many parts, and `fold` says which of them
    tests; the source's val is cut too, and its test set unused. Unused too is the test set that `test_seed`
    draws, the same as without folds. What validates comes out of the others.

    Args:
        data: the images.
        val_fraction: share of the training part that validates; 0: nothing validates.
        test_fraction: share of all images that tests, where there is no test set.
        test_seed: draws that test set by itself, and folds leave it out; None: `seed` draws it, and with
            folds there is none, so that every image tests once.
        folds: number of parts.
        fold: which of them tests, from 1 on.
        shots: exactly this many images a class train.
        fraction: this share of each class, rounded up, trains.
        seed: of all draws; the same numbers give the same split.

    Raises:
        GraftError: nothing can train on these images, `shots` and `fraction` are both given, or a class has
            too few images.
    """
    if shots is not None and fraction != 1:
        raise GraftError(
            "data.shots and data.fraction are two ways to take less of the training part; give one"
        )
    if data.labelled or data.untrainable:
        data.check_trainable()
    parts, labels, rules = _given(data), data.samples.labels, []
    plural = data.kind.plural
    kind = how_drawn(data)
    drawn = f"{kind}, data.split_seed={seed}"
    of_test = drawn if test_seed is None else f"{kind}, data.test_seed={test_seed}"
    if folds is not None and fold is not None:
        by = ""
        if "test" not in parts and test_seed is not None:
            parts["train"], parts["test"] = _draw(
                data, parts["train"], test_fraction, test_seed, "data.test_fraction"
            )
            by = f" of data.test_seed={test_seed}"
        parts, rule = _fold(data, parts, folds, fold, seed, by)
        rules.append(f"{rule} ({drawn})")
    elif "test" in parts and "val" in data.parts and "test" not in data.parts:
        rules.append(f"parts train and val found: val ({len(parts['test'])} {plural}) is the test set")
    elif "test" in parts:
        rules.append(
            f"parts {', '.join(data.parts)} found: test ({len(parts['test'])} {plural}) is the test set"
        )
    else:
        pool = parts["train"]
        parts["train"], parts["test"] = _draw(
            data,
            pool,
            test_fraction,
            seed if test_seed is None else test_seed,
            "data.test_fraction",
            val_fraction if "val" not in parts else 0,
        )
        near = _nearest(data, len(parts["test"]), len(pool), test_fraction, "data.test_fraction")
        rules.append(
            f"no test set found: {len(parts['test'])} of {len(pool)} {plural} test ({of_test}){near}"
        )
    if "val" in parts:
        rules.append(f"val ({len(parts['val'])} {plural}) validates")
    elif val_fraction > 0:
        pool = parts["train"]
        parts["train"], parts["val"] = _draw(data, pool, val_fraction, seed, "data.val_fraction")
        near = _nearest(data, len(parts["val"]), len(pool), val_fraction, "data.val_fraction")
        rules.append(f"{len(parts['val'])} of the other {len(pool)} validate ({drawn}){near}")
    else:
        rules.append("nothing validates (data.val_fraction=0)")
    for label in range(len(data.class_names)):
        if not (labels[parts["train"]] == label).any():
            raise GraftError(
                f"data: no {data.kind.noun} of class {data.class_names[label]} is left to train on; "
                f"add {plural} of it, or take the class out"
            )
    pool = parts["train"]
    if shots is not None or fraction < 1:
        parts["train"] = _fewer(data, pool, shots, fraction, seed)
        asked = f"data.shots={shots}" if shots is not None else f"data.fraction={fraction}"
        rules.append(f"{len(parts['train'])} of {len(pool)} train ({asked})")
    else:
        rules.append(f"{len(pool)} train")
    return from_lists(data, parts, "; ".join(rules))


def how_drawn(data: SampleData) -> str:
    """How every draw is made, in words."""
    kept, how = kept_together(data), "stratified" if data.labelled else "at random"
    return f"{how}, {kept} kept together" if kept else how


def from_lists(data: SampleData, parts: dict[str, Indices], rule: str) -> Splits:
    """Splits from the indices of train, val and test; whatever is in none of them is unused."""
    nothing = np.zeros(0, np.int64)
    indices = {name: np.sort(parts.get(name, nothing)) for name in SPLITS[:3]}
    unused = np.setdiff1d(np.arange(len(data.samples)), np.concatenate(list(indices.values())))
    return Splits({**indices, "unused": unused}, rule)


def by_parts(data: SampleData, rule: str) -> Splits:
    """The source's own parts, for images that cannot be split, or need not be; `rule` says why."""
    return from_lists(data, _own_parts(data), rule)


def to_test(data: SampleData) -> Splits:
    """Which images test where nothing trains: the part test; without one val; else all."""
    if "test" in data.parts:
        return by_parts(data, "part test is the test set")
    parts = by_parts(data, "part val is the test set")
    if len(parts["val"]):
        return from_lists(data, {"train": parts["train"], "test": parts["val"]}, parts.rule)
    everything = {"test": np.arange(len(data.samples))}
    return from_lists(data, everything, f"no part is named test, so every {data.kind.noun} is tested")


def _own_parts(data: SampleData) -> dict[str, Indices]:
    """The indices of each of the source's parts."""
    indices: dict[str, Indices] = {}
    start = 0
    for part, images in data.parts.items():
        indices[part] = np.arange(start, start + len(images))
        start += len(images)
    return indices


def _given(data: SampleData) -> dict[str, Indices]:
    """The source's parts as train, val and test, before anything is drawn."""
    indices = _own_parts(data)
    if "all" in indices:
        return {"train": indices["all"]}
    if "val" in indices and "test" not in indices:
        indices["test"] = indices.pop("val")
    return indices


def _fold(
    data: SampleData, parts: dict[str, Indices], folds: int, fold: int, seed: int, by: str
) -> tuple[dict[str, Indices], str]:
    """Training and test part of one fold, and how they came about; `by` says what drew the test set."""
    pool = np.sort(np.concatenate([indices for part, indices in parts.items() if part != "test"]))
    parts_of_pool = cut(data, pool, folds, seed)
    training, testing = parts_of_pool[fold - 1]
    plural = data.kind.plural
    left_out = f", the test set of {len(parts['test'])} {plural}{by} left out" if "test" in parts else ""
    sizes = sorted(len(held) for _, held in parts_of_pool)
    even = len(pool) / folds
    uneven = any(_is_off(size, even) for size in sizes) and data.together is not None
    spread = f" of {sizes[0]} to {sizes[-1]}, as even as {kept_together(data)} allow" if uneven else ""
    rule = f"{len(pool)} {plural} in {folds} folds{spread}{left_out}: the {len(testing)} of fold {fold} test"
    return {"train": training, "test": testing}, rule


def _draw(
    data: SampleData, pool: Indices, share: float, seed: int, key: str, then: float = 0
) -> tuple[Indices, Indices]:
    """The indices `pool` `(N,)` as what remains and the `share` that is drawn, each class in proportion."""
    labels = data.samples.labels[pool]
    classes, counts = divisible(data, pool)
    if counts.min() < 2:
        rarest = classes[counts.argmin()]
        name, number = data.class_names[rarest], int((labels == rarest).sum())
        what = (
            f"1 {data.kind.noun}"
            if number == 1
            else f"1 picture, of which its {number} {data.kind.plural} are copies,"
        )
        without = "data.val_fraction=0" if key == "data.val_fraction" else "a test set of your own"
        raise GraftError(
            f"{key}={share}: class {name} has {what} to divide, a split needs 2 of every "
            f"class; add {data.kind.plural} of it, take the class out, or give {without}"
        )
    if data.groups is not None:
        return _draw_groups(data, pool, share, seed, key)
    size, least = round_up(share, len(pool)), len(classes)
    if size < least:
        words = _at_least(key, least, len(pool))
        remaining = len(pool) - round_up(_share(least, len(pool)), len(pool))
        if round_up(then, remaining) < least and then and remaining >= 2 * least:
            words += f" {_at_least('data.val_fraction', least, remaining)}"
        raise GraftError(
            f"{key}={share}: {size} of {len(pool)} {data.kind.plural} would be drawn, of {least} classes; "
            f"for one of each class give {words}"
        )
    if len(pool) - size < least:
        most = math.floor(100 * (len(pool) - least) / len(pool)) / 100
        raise GraftError(
            f"{key}={share}: {len(pool) - size} of {len(pool)} {data.kind.plural} would be left, of {least} "
            "classes; "
            f"for one of each class give {key}={most}"
        )
    if data.together is not None:
        return _draw_groups(data, pool, share, seed, key)
    # Imported here: it is slow, and not needed where the source has all its parts.
    from sklearn.model_selection import train_test_split

    remaining, drawn = train_test_split(pool, test_size=size, random_state=seed, stratify=labels)
    return remaining, drawn


def _share(number: int, of: int) -> float:
    """The share of `of` that is at least `number`, in hundredths."""
    return math.ceil(100 * number / of) / 100


def _at_least(key: str, number: int, of: int) -> str:
    return f"{key}={_share(number, of)}"


def _draw_groups(
    data: SampleData, pool: Indices, share: float, seed: int, key: str
) -> tuple[Indices, Indices]:
    """As `_draw`, of whole groups, of whatever they are made."""
    assert data.together is not None
    labels = data.samples.labels[pool]
    counts, group_of = counts_of([data.together[index] for index in pool], labels, len(data.class_names))
    drawn = draw(counts, share, np.random.default_rng(seed))[group_of] if len(counts) > 1 else None
    left = set() if drawn is None else set(labels[~drawn])
    if drawn is None or not drawn.any() or left < set(labels):
        without = "data.val_fraction=0" if key == "data.val_fraction" else "a column split"
        plural = data.kind.plural
        of = (
            "groups" if data.pictures is None else f"groups of {plural} ({kept_together(data)} stay together)"
        )
        raise GraftError(
            f"{key}={share}: {len(counts)} {of} cannot be divided so that {plural} of every class are left; "
            f"add groups, or give {without}"
        )
    # A class may have too few patients; of pictures each has enough, but one may have too many copies.
    if data.groups is None and (lacking := sorted(set(labels) - set(labels[drawn]))):
        raise GraftError(
            f"{key}={share}: no {data.kind.noun} of class {data.class_names[lacking[0]]} would be drawn, "
            "because its pictures have too many copies, which stay together; take copies out, or give "
            f"another {key}"
        )
    return pool[~drawn], pool[drawn]


def _nearest(data: SampleData, got: int, of: int, share: float, key: str) -> str:
    """A note for the case that whole groups are more than a tenth off the share that was asked for."""
    if data.together is None or not _is_off(got, share * of):
        return ""
    return f", as near to the {share * of:.0f} of {key}={share} as {kept_together(data)} allow"


def _is_off(got: int, asked: float) -> bool:
    # A difference below one image is not due to groups.
    return abs(got - asked) > max(asked / 10, 1)


def _fewer(data: SampleData, pool: Indices, shots: int | None, fraction: float, seed: int) -> Indices:
    """`shots` images of each class in `pool`, or a `fraction` of each class."""
    chosen: list[Indices] = []
    for label, name in enumerate(data.class_names):
        members = pool[data.samples.labels[pool] == label]
        number = round_up(fraction, len(members)) if shots is None else shots
        if number > len(members):
            raise GraftError(
                f"data.shots={shots}: class {name} has {len(members)} {data.kind.plural} to train on; "
                f"give data.shots={len(members)} or fewer"
            )
        # Seeded by the name, so that a class's images are the same whatever other classes there are.
        stream = np.random.default_rng([seed, *name.encode(errors="surrogateescape")])
        order = stream.permutation(np.sort(members))
        chosen.append(order[:number])
    return np.concatenate(chosen)


def round_up(share: float, number: int) -> int:
    """`share * number`, rounded up; 0.07 of 100 is 7, though in floating point it is a little more."""
    return math.ceil(round(share * number, 9))
