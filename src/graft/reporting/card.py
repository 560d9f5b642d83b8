"""The model card: what stands beside a bundle's weights for whoever meets them without the run."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.configuration.plain_text import in_markdown
from graft.reporting.few import few_errors


def model_card(
    config: Mapping[str, Any],
    class_names: Sequence[str],
    metrics: Mapping[str, Any],
    noun: str = "image",
    plural: str = "images",
) -> str:
    """A Markdown page: what the model is, what it was trained on, what it reached, how it is used.

    `noun` and `plural` are what its samples are called.
    """
    backbone = config["backbone"].get("name") or config["backbone"]["_target_"]
    weights = config["backbone"].get("weights") or "none (trained from scratch)"
    data = config["data"].get("root") or config["data"]["_target_"].rsplit(".", 1)[-1]
    numbers = [
        f"| {key} | {value:.4f} | {_interval(metrics.get(f'{key}_ci'))} |"
        for key, value in metrics.items()
        if "/" in key and key != "test/errors" and isinstance(value, int | float)
    ]
    few = few_errors(metrics)
    article = "An" if noun[0] in "aeiou" else "A"
    given = "'image.jpg'" if noun == "image" else noun
    shown = ", ".join(map(in_markdown, class_names[:20])) + (
        f" and {len(class_names) - 20} more" if len(class_names) > 20 else ""
    )
    return "\n".join(
        [
            f"# {in_markdown(config['name'])}",
            "",
            f"{article} {noun} classifier with {len(class_names)} classes: {shown}.",
            "",
            f"- Backbone: {in_markdown(backbone)}, starting weights: {in_markdown(weights)}",
            f"- What trained: {in_markdown(_spelled(config['freeze']))}",
            f"- Data: {in_markdown(data)}",
            f"- Seed: {config['seed']}",
            "",
            "| metric | value | 95 % interval |",
            "|---|---|---|",
            *numbers,
            "",
            *([f"{few}.".capitalize(), ""] if few else []),
            f"The test {plural} were used once, after the epoch had been chosen. The numbers hold for",
            f"{plural} like those; other cameras, places or populations need a test of their own.",
            "",
            "```python",
            "import graft",
            "",
            "model = graft.load('path/to/this/folder')",
            f"print(model.predict({given})[0].label)",
            "```",
            "",
        ]
    )


def _interval(ends: Sequence[float] | None) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else ""


def _spelled(node: Mapping[str, Any]) -> str:
    """A node as `LastK, k=2`."""
    settings = [f"{key}={value}" for key, value in node.items() if key != "_target_"]
    return ", ".join([node["_target_"].rsplit(".", 1)[-1], *settings])
