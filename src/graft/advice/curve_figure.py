"""The learning curve as a picture: what was measured, the power law through it, its interval."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from graft.advice.learning_curve import LearningCurve
from graft.configuration.plain_text import in_figure
from graft.reporting.figures import COLOURS

# How many times the images that there are the curve is drawn to.
BEYOND = 4
# Numbers of images at which the law is drawn.
STEPS = 60


def curve_figure(curve: LearningCurve) -> Figure | None:
    """Error against images, both on logarithmic axes, to `BEYOND` times the images; None without a law."""
    if curve.law is None:
        return None
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    counts = np.geomspace(curve.sizes[0], BEYOND * curve.now, STEPS)
    law = np.array([curve.law.error(count) for count in counts])
    axes.fill_between(counts, law[:, 1], law[:, 2], color=COLOURS[4], alpha=0.35, label="95 % interval")
    beyond = counts >= curve.sizes[-1]
    axes.plot(counts[~beyond], law[~beyond, 0], color=COLOURS[0], label="power law")
    axes.plot(counts[beyond], law[beyond, 0], "--", color=COLOURS[0], label="power law, not measured")
    for errors in curve.errors:
        axes.plot(curve.sizes, errors, "o", color="black", markersize=3, alpha=0.5)
    draws = len(curve.errors)
    axes.plot([], [], "o", color="black", markersize=3, label="measured, a dot a draw")
    axes.plot(curve.sizes, curve.errors.mean(0), "s", color=COLOURS[5], label=f"mean of {draws} draws")
    for times, line in ((1, "-"), (2, ":")):
        name = "the images there are" if times == 1 else "twice as many"
        axes.axvline(times * curve.now, color="black", linewidth=1, linestyle=line, label=name)
    axes.set(xscale="log", yscale="log")
    # A law may say an error of nothing, which no logarithm shows.
    low = max(0.3 / curve.judged, min(0.5 * law[:, 0].min(), curve.errors[curve.errors > 0].min()))
    axes.set_ylim(low, min(1.0, 1.3 * max(law[:, 2].max(), curve.errors.max())))
    ticks = [tick for tick in _ticks(BEYOND * curve.now) if curve.sizes[0] <= tick <= BEYOND * curve.now]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    bottom, top = (100 * end for end in axes.get_ylim())
    shares = [tick / 10 for tick in _ticks(1000) if bottom <= tick / 10 <= top]
    axes.set_yticks([share / 100 for share in shares], [f"{share:g}" for share in shares])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("images that a head learnt from")
    axes.set_ylabel("wrong, % of images that it did not learn from")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=9, loc="lower left")
    sentence = curve.sentence()
    figure.suptitle(in_figure(sentence[0].upper() + sentence[1:]), fontsize=11)
    return figure


def description(curve: LearningCurve) -> str:
    """What the picture shows, for those who do not see it."""
    points = ", ".join(
        f"{100 * (1 - row['accuracy']):.1f} % of {row['images']:,.0f} images" for row in curve.points
    )
    return f"Wrong answers fall with the images learnt from: {points}. {curve.sentence()}."


def _ticks(most: float) -> list[int]:
    """1, 2, 5, 10, 20 …, up to `most`."""
    return [step * 10**power for power in range(len(str(int(most)))) for step in (1, 2, 5)]
