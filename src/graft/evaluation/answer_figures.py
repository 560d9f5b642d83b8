"""Figures of what a model said: precision against recall, confidence against accuracy, the worst mistakes."""

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from graft.configuration.plain_text import in_figure
from graft.evaluation.answers import Answers
from graft.evaluation.assessment import ClassRow
from graft.evaluation.metrics import BINS, expected_calibration_error, reliability
from graft.reporting.figures import COLOURS, GREY, LINES

# The picture of mistakes has so many images, in rows of so many.
MISTAKES, IN_A_ROW = 12, 4
# Pixels of the longer side of an image, about as many as a panel has.
SIDE = 300


def precision_recall(answers: Answers, rows: Sequence[ClassRow]) -> Figure:
    """A curve a class; of many classes those with the lowest average precision are named, the others grey."""
    from sklearn.metrics import precision_recall_curve

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    averages = {
        label: average
        for label, row in enumerate(rows)
        if isinstance(average := row["average_precision"], float)
    }
    drawn = sorted(averages, key=averages.__getitem__)
    for place, label in reversed(list(enumerate(drawn))):
        precision, recall, _ = precision_recall_curve(
            answers.labels == label, answers.scores[:, label], drop_intermediate=True
        )
        if place < len(COLOURS):
            name = f"{_plain(answers.class_names[label], 28)} ({averages[label]:.3f})"
            axes.step(
                recall, precision, where="post", color=COLOURS[place], linestyle=LINES[place], label=name
            )
        else:
            axes.step(recall, precision, where="post", color=GREY, linewidth=0.6, alpha=0.6)
    handles, labels = axes.get_legend_handles_labels()
    if len(drawn) > len(COLOURS):
        handles.append(axes.plot([], [], color=GREY)[0])
        labels.append(f"the other {len(drawn) - len(COLOURS)}")
    # They were drawn last to first, so that the first lie on top.
    named = min(len(drawn), len(COLOURS))
    handles[:named] = handles[named - 1 :: -1]
    labels[:named] = labels[named - 1 :: -1]
    figure.legend(handles, labels, loc="outside right center", title="average precision", fontsize=9)
    axes.set(xlabel="recall (share of the class that is found)", xlim=(0, 1.005), ylim=(0, 1.02))
    axes.set_ylabel("precision (share of the found that is right)")
    axes.grid(alpha=0.3)
    worst = drawn[0]
    mean = np.mean([averages[label] for label in drawn])
    figure.suptitle(
        f"Average precision {mean:.3f} over the classes; hardest to find is "
        f"{_plain(answers.class_names[worst], 40)} with {averages[worst]:.3f}",
        fontsize=11,
    )
    return figure


def reliability_figure(answers: Answers, uncalibrated: Answers | None = None) -> Figure:
    """Accuracy against confidence in `BINS` bins, above the number of images in each."""
    figure = Figure(figsize=(6, 6.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    edges = np.linspace(0, 1, BINS + 1)
    above.plot((0, 1), (0, 1), color="black", linewidth=1, linestyle=":", label="confidence is accuracy")
    count, confidence, accuracy = reliability(answers.labels, answers.probabilities, answers.predicted)
    filled = count > 0
    width = 0.9 / BINS
    middles = (edges[:-1] + edges[1:]) / 2
    above.bar(middles[filled], accuracy[filled], width, color=COLOURS[4], label="accuracy of a bin")
    above.plot(
        confidence[filled], accuracy[filled], "o-", color=COLOURS[0], label="at the bin's mean confidence"
    )
    below.bar(middles, count, width, color=COLOURS[4])
    if uncalibrated is not None:
        before = reliability(uncalibrated.labels, uncalibrated.probabilities, uncalibrated.predicted)
        filled_before = before.images > 0
        above.plot(
            before.confidence[filled_before],
            before.accuracy[filled_before],
            "s--",
            color=COLOURS[5],
            label="before calibration",
        )
        below.step(
            edges,
            [*before.images, before.images[-1]],
            where="post",
            color=COLOURS[5],
            linestyle="--",
            linewidth=1,
        )
    above.set(ylabel="share that is right", ylim=(0, 1.02), xlim=(0, 1))
    below.set(xlabel="confidence (probability of the predicted class)", ylabel="images")
    above.legend(loc="upper left", fontsize=9)
    above.grid(alpha=0.3)
    figure.suptitle("\n".join(textwrap.wrap(_calibration_title(answers, uncalibrated), 60)), fontsize=11)
    return figure


def _calibration_title(answers: Answers, uncalibrated: Answers | None) -> str:
    p = answers.probabilities
    right = answers.labels == answers.predicted
    gap = float(p[np.arange(len(right)), answers.predicted].mean() - right.mean())
    error = expected_calibration_error(answers.labels, answers.probabilities, answers.predicted)
    word = "sure (over-confident)" if gap > 0 else "unsure (under-confident)"
    text = f"On the whole {abs(gap):.1%} too {word}; ECE {error:.3f}"
    if uncalibrated is not None:
        before = expected_calibration_error(
            uncalibrated.labels, uncalibrated.probabilities, uncalibrated.predicted
        )
        text += f", {before:.3f} before calibration"
    return text


def mistakes(answers: Answers, image_of: Callable[[int], Image.Image]) -> Figure | None:
    """The wrong answers that were given with the most confidence; None where there is no wrong one."""
    p = answers.probabilities
    sure = p[np.arange(len(p)), answers.predicted]
    wrong = np.flatnonzero(answers.labels != answers.predicted)
    if not len(wrong):
        return None
    shown = wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES]
    lines = -(-len(shown) // IN_A_ROW)
    height = 3.3 * lines + 0.4
    figure = Figure(figsize=(2.6 * IN_A_ROW, height))
    # All panels are alike, so there is nothing to solve for, which takes half a second.
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 1 / height, wspace=0.05, hspace=0.3)
    panels: Sequence[Axes] = figure.subplots(lines, IN_A_ROW, squeeze=False).ravel().tolist()
    for axes in panels:
        axes.set_axis_off()
    for axes, row in zip(panels, shown.tolist(), strict=False):
        image = image_of(row).convert("RGB")
        image.thumbnail((SIDE, SIDE))
        axes.imshow(np.asarray(image))
        true, said = (answers.class_names[c] for c in (answers.labels[row], answers.predicted[row]))
        name = answers.names[row]
        lines_of = (
            name if len(name) <= 30 else f"…{name[-29:]}",
            f"is {true}",
            f"said {said}, {sure[row]:.3f}",
        )
        axes.set_title("\n".join(_plain(line, 32) for line in lines_of), fontsize=8)
    several = f"the {len(shown)} surest" if len(shown) < len(wrong) else "surest first"
    figure.suptitle(f"{len(wrong)} of {len(p)} wrong; {several}: file, true class, what was said, how surely")
    return figure


def _plain(text: str, width: int) -> str:
    return in_figure(textwrap.shorten(str(text), width, placeholder="…"))
