"""What an inspection found, a sentence each: leaks, then what to look into, then what is worth knowing."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from graft.data.kinds import how_many
from graft.inspection.inspection import APART, Inspection

KINDS = ("leak", "warning", "note")
# Images of the largest class for one of the smallest from which on the balance is warned of.
UNEVEN = 10
# Of one image, of several.
EXACT = ("has an exact copy", "have exact copies")
NEAR = ("has a near copy", "have near copies")


class Finding(NamedTuple):
    """One sentence, and its kind, one of `KINDS`."""

    kind: str
    text: str


def find(inspection: Inspection) -> list[Finding]:
    """All findings: leaks, warnings, notes."""
    notes = [("warning" if note.startswith("warning: ") else "note", note) for note in inspection.data.notes]
    findings = [
        *(Finding("leak", text) for text in _leaks(inspection)),
        *(Finding("warning", text) for text in _warnings(inspection)),
        *(Finding(kind, note.removeprefix("warning: ")) for kind, note in notes),
    ]
    findings += _labels(inspection)
    findings += _domains(inspection)
    if _balance(inspection)[2] < UNEVEN:
        findings.append(Finding("note", _balance_text(inspection)))
    return sorted(findings, key=lambda finding: KINDS.index(finding.kind))


def _domains(inspection: Inspection) -> Iterator[Finding]:
    if (gap := inspection.gap) is None:
        return
    low, high = gap.interval
    told = (
        f"{gap.by} tells source from target in {100 * gap.accuracy:.1f} % of {gap.of:,} unseen "
        f"{inspection.data.kind.plural} (95 % interval {100 * low:.1f} to {100 * high:.1f}; 50 is chance; "
        f"proxy A-distance {gap.a_distance:.2f} of 2)"
    )
    if low > 0.5:
        yield Finding(
            "warning", f"{told}: the domains differ, and accuracy on the source says little of the target"
        )
    else:
        yield Finding("note", f"{told}: no difference is shown")
    if gap.shares:
        name = max(gap.shares, key=lambda name: abs(gap.shares[name][0] - gap.shares[name][1]))
        source, target = (100 * share for share in gap.shares[name])
        yield Finding(
            "note",
            f"the class whose share differs most is {name}: {source:.1f} % of the source, {target:.1f} % "
            "of the target",
        )


def _leaks(inspection: Inspection) -> Iterator[str]:
    names, split_of = inspection.data.samples.names, inspection.split_of
    kinds = ((inspection.exact, EXACT), (inspection.near, NEAR))
    for (sets, how), (first, second) in ((kind, pair) for kind in kinds for pair in combinations(APART, 2)):
        shared = [copies_of for copies_of in sets if {first, second} <= {split_of[i] for i in copies_of}]
        copies = [i for copies_of in shared for i in copies_of if split_of[i] == second]
        if shared:
            source = next(i for i in shared[0] if split_of[i] == first)
            yield (
                f"{_with_copies(inspection, len(copies), second, how)} in {first}, "
                f"such as {names[copies[0]]}, of {names[source]}"
            )
    if divided := inspection.divided_groups():
        assert inspection.data.groups is not None
        such = inspection.data.groups[divided[0][0]]
        yield f"{how_many(len(divided), 'group is', 'groups are')} divided by the splits, such as {such}"


def _warnings(inspection: Inspection) -> Iterator[str]:
    names = inspection.data.samples.names
    noun, plural = inspection.data.kind.noun, inspection.data.kind.plural
    if unreadable := inspection.unreadable:
        count = how_many(len(unreadable), f"{noun} cannot", f"{plural} cannot")
        yield f"{count} be read, such as {unreadable[0][1]}"
    if sets := inspection.contradictions():
        first = sets[0]
        other = next(i for i in first if inspection.label(i) != inspection.label(first[0]))
        such = " and ".join(f"{names[i]} ({inspection.label(i)})" for i in (first[0], other))
        count = how_many(sum(map(len, sets)), f"{noun} agrees", f"{plural} agree")
        what = "every pixel" if inspection.data.kind.near else "everything"
        yield f"{count} in {what} with others of another class, such as {such}"
    yield from _within(inspection, inspection.exact, EXACT)
    yield from _within(inspection, inspection.near, NEAR)
    yield from inspection.data.kind.warnings(names, inspection.readable)
    for split in APART:
        counts = inspection.counts[split]
        lacking = np.flatnonzero(counts == 0)
        if counts.sum() and len(lacking):
            such = inspection.data.class_names[lacking[0]]
            yield f"{split} has no {noun} of {how_many(len(lacking), 'class', 'classes')}, such as {such}"
    if (ratio := _balance(inspection)[2]) >= UNEVEN:
        yield f"{_balance_text(inspection)}; loss.class_weights=balanced makes up for {ratio:.0f} times"


def _labels(inspection: Inspection) -> Iterator[Finding]:
    """Which labels look wrong to a backbone, and which classes are taken for each other."""
    if (suspects := inspection.suspects) is None:
        return
    names, classes = inspection.data.samples.names, inspection.data.class_names
    if suspects.reason:
        yield Finding("note", f"labels: {suspects.reason}")
    if not len(suspects.indices):
        return
    judged = f"{len(suspects.indices):,} labels of train and val"
    known = f"which knows {suspects.known:.1%} of these {inspection.data.kind.plural} by the others"
    if wrong := np.flatnonzero(suspects.issue).tolist():
        first = wrong[0]
        such = (
            f"{names[suspects.indices[first]]}, labelled {classes[suspects.given[first]]}, "
            f"which looks like {classes[suspects.suggested[first]]}"
        )
        looks = "looks wrong to" if len(wrong) == 1 else "look wrong to"
        text = f"{len(wrong):,} of {judged} {looks} {suspects.by}, {known}, such as {such}; see suspects.png"
        yield Finding("warning", text)
    else:
        yield Finding("note", f"none of {judged} looks wrong to {suspects.by}, {known}")
    if suspects.confusions:
        label, called, images, of = suspects.confusions[0]
        kinds = f"{inspection.data.kind.plural} of {classes[label]}"
        much = f"{images:,} of {of:,} {kinds} look like {classes[called]}"
        yield Finding("note", f"most confused by {suspects.by}: {much}")


def _within(inspection: Inspection, sets: Sequence[Sequence[int]], how: tuple[str, str]) -> Iterator[str]:
    """How many images of a split could go, because others of it are their copies."""
    names, split_of = inspection.data.samples.names, inspection.split_of
    for split in APART:
        inside = [[i for i in members if split_of[i] == split] for members in sets]
        spare = sum(len(members) - 1 for members in inside if members)
        if spare:
            such = next(members for members in inside if len(members) > 1)
            count = _with_copies(inspection, spare, split, how)
            yield f"{count} in {split} too, such as {names[such[1]]}, of {names[such[0]]}"


def _balance(inspection: Inspection) -> tuple[int, int, float]:
    """The largest class, the smallest, and how many times the images of the smallest the largest has."""
    counts = np.bincount(inspection.data.samples.labels, minlength=len(inspection.data.class_names))
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    return largest, smallest, float(counts[largest] / max(1, counts[smallest]))


def _balance_text(inspection: Inspection) -> str:
    largest, smallest, _ = _balance(inspection)
    names, labels = inspection.data.class_names, inspection.data.samples.labels
    plural = inspection.data.kind.plural
    most, fewest = int((labels == largest).sum()), int((labels == smallest).sum())
    if most == fewest:
        return f"every class has {most:,} {plural}"
    share = most / len(labels)
    return (
        f"the largest class, {names[largest]}, has {most:,} {plural}, "
        f"the smallest, {names[smallest]}, {fewest:,}; "
        f"to answer {names[largest]} always is right in {share:.1%}"
    )


def _with_copies(inspection: Inspection, count: int, split: str, how: tuple[str, str]) -> str:
    of = f"{len(inspection.splits[split]):,} {split} {inspection.data.kind.plural}"
    return f"{count:,} of {of} {how[count != 1]}"
