"""How much is lost by doing as `graft advise` says, against the arm of a grid that is best on average?

    python regret.py TASK RUNS [--images FOLDER] [--weights FILE] [--splits 10] [--minutes 3]
        [--steps frozen,last_k] [--networks efficientnet_lite0] [--report]

TASK is digits (handwritten, from drawn ones), cifar-10 or cifar-100 (five classes of CIFAR-10, FOLDER,
with so many labels a class, from its five others), dirty (drawn digits, from handwritten ones; 8 % of the
labels are wrong, 5 % of the images copies of others), or photos (ants and bees, FOLDER, at 96 px, on four
networks of ImageNet's: SqueezeNet's weights are FILE, those of EfficientNet-Lite0 to 2 come from their
packages). For each re-drawn split every step of the ladder is trained and tested on each network, or those
that are named, then the advice is asked. A row a training in `regret.csv`; stopped, the same words go on.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from scipy import stats

from graft import advise, train
from graft.advice.ladder import LADDER
from graft.composition.composing import compose
from graft.runs.files import read_csv, write_csv
from graft.sources.opening import open_data

FILE = Path(__file__).with_name("regret.csv")
ADVISED = "advised"
# Classes of the source, and of the task.
SOURCE = ("airplane", "bird", "deer", "frog", "ship")
TARGET = ("automobile", "cat", "dog", "horse", "truck")
# Images a class that test.
TESTED = 200
# Of ants and bees: networks, images of both classes that test, pixels.
PHOTOS = ("squeezenet1_0", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
PHOTOS_TESTED, PIXELS = 153, 96
# Of the dirty task: images, and the shares of wrong labels and of copies.
DRAWN, WRONG, COPIED = 600, 0.08, 0.05
Row = dict[str, Any]


def main() -> None:
    """Read the command line, run what is missing, report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("digits", "cifar-10", "cifar-100", "dirty", "photos"))
    parser.add_argument("runs", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--steps", default=",".join(step.name for step in LADDER))
    parser.add_argument("--networks", default=",".join(PHOTOS), help="of the photos that are retrained")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    if not given.report:
        arms = [(name, step) for name in given.networks.split(",") for step in given.steps.split(",")]
        study(given.task, given.runs, given.images, given.weights, given.splits, given.minutes, arms)
    report(given.task)


def study(
    task: str,
    runs: Path,
    images: Path | None,
    squeezenet: Path | None,
    splits: int,
    minutes: float,
    wanted: list[tuple[str, str]],
) -> None:
    """Train what is missing, a row each."""
    rows: list[Row] = list(read_csv(FILE)) if FILE.is_file() else []
    done = {(row["task"], int(row["split"]), row["arm"]) for row in rows}
    if task == "photos":
        weights, given = {"squeezenet1_0": squeezenet}, list(PHOTOS)
    else:
        weights, given = {"simple_cnn": source(task, runs, images)}, ["simple_cnn"]
    for split in range(splits):
        words = [*data_of(task, runs, images, split), "trainer=cpu"]
        for name, step in ((name, step) for name in given for step in LADDER):
            arm = arm_of(name, step.name)
            if (task, split, arm) in done or (task == "photos" and (name, step.name) not in wanted):
                continue
            path = runs / task / f"{split}-{arm}"
            backbone = [
                f"backbone={name}",
                *(f"backbone.weights={file}" for file in [weights.get(name)] if file),
            ]
            sized = [f"backbone.image_size={PIXELS}"] if task == "photos" else []
            kept = ["data.keep_copies_together=true", "logger=none", f"hydra.run.dir={path}"]
            metrics = train([*words, *backbone, *sized, *step.words, *kept]).metrics
            rows.append(row(task, split, arm, metrics))
            write_csv(FILE, rows)
        if (task, split, ADVISED) not in done:
            asked = [f"backbones=[{','.join(given)}]", f"minutes={minutes}"]
            asked += [f"weights.{name}={file}" for name, file in weights.items()]
            asked += [f"image_size={PIXELS}"] if task == "photos" else []
            answer = advise([*words, *asked, f"hydra.run.dir={runs / task / f'{split}-advice'}"]).answer
            promise = answer["trust"]["promised"].get(Path(answer["advice"]["run"]).name, {})
            said = {
                "step": arm_of(answer["advice"]["backbone"], answer["advice"]["freeze"]),
                "low": promise.get("low", ""),
                "high": promise.get("high", ""),
                "folds": len(answer["trust"]["folds"]),
                "asked": answer["time"]["asked"],
                "spent": answer["time"]["spent"],
            }
            if task == "dirty":
                said |= named(runs / task / str(split), runs / task / f"{split}-advice")
            rows.append({**row(task, split, ADVISED, answer["test"]), **said})
            write_csv(FILE, rows)


def row(task: str, split: int, arm: str, metrics: dict[str, Any]) -> Row:
    """One training, or one advice."""
    return {"task": task, "split": split, "arm": arm, "accuracy": f"{metrics['test/accuracy']:.4f}"}


def arm_of(backbone: str, step: str) -> str:
    """What a row calls a step of the ladder; on the small network, the only one of its tasks, the step."""
    return step if backbone == "simple_cnn" else f"{backbone}-{step}"


def source(task: str, runs: Path, images: Path | None) -> Path:
    """The run whose weights the task starts from, trained once."""
    name = {"digits": "source-glyphs", "dirty": "source-digits"}.get(task, "source-cifar10")
    path = runs / name
    if not (path / "metrics.json").is_file():
        if task in ("digits", "dirty"):
            words = ["data=glyphs" if task == "digits" else "data=digits"]
        else:
            assert images is not None
            manifest = path.with_suffix(".csv")
            write_manifest(manifest, images, SOURCE, 5000, 0, tested=TESTED)
            words = ["data=csv", f"data.file={manifest}", "trainer.max_epochs=8", "data.batch_size=64"]
        train([*words, "backbone=simple_cnn", "logger=none", "trainer=cpu", f"hydra.run.dir={path}"])
    return path


def data_of(task: str, runs: Path, images: Path | None, split: int) -> list[str]:
    """The words of a re-drawn split."""
    if task == "digits":
        return ["data=digits", f"data.split_seed={split}", "data.fraction=0.2"]
    if task == "dirty":
        draw_dirty(runs / task / str(split), split)
        return ["data=image_folder", f"data.root={runs / task / str(split)}", f"data.split_seed={split}"]
    assert images is not None
    manifest = runs / task / f"{split}.csv"
    if task == "photos":
        write_photos(manifest, images, split)
        return ["data=csv", f"data.file={manifest}", f"data.split_seed={split}"]
    write_manifest(manifest, images, TARGET, int(task.rpartition("-")[2]), split, tested=TESTED)
    return ["data=csv", f"data.file={manifest}", f"data.split_seed={split}"]


def draw_dirty(folder: Path, seed: int) -> None:
    """Drawn digits as files, a folder a class, some under a wrong class and some twice; and what is wrong."""
    if folder.is_dir():
        return
    rng = np.random.default_rng(seed)
    data = open_data(compose("train", ["data=glyphs"])[0]["data"])
    chosen = rng.permutation(len(data.samples))[:DRAWN]
    wrong = set(rng.permutation(DRAWN)[: round(WRONG * DRAWN)].tolist())
    copied = rng.permutation(DRAWN)[: round(COPIED * DRAWN)].tolist()
    rows, names = [], {}
    for place, index in enumerate(chosen):
        label = int(data.samples.labels[index])
        if place in wrong:
            label = (label + int(rng.integers(1, len(data.class_names)))) % len(data.class_names)
        names[place] = f"{data.class_names[label]}/{place:04d}.png"
        (folder / names[place]).parent.mkdir(parents=True, exist_ok=True)
        data.samples[int(index)].save(folder / names[place])
        rows.append({"path": names[place], "wrong": place in wrong, "copy_of": ""})
    for number, place in enumerate(copied):
        # Of 8 x 8 pixels, in which a near copy could not be told from another drawing.
        copy = names[place].replace(f"{place:04d}", f"copy-{number:03d}")
        data.samples[int(chosen[place])].save(folder / copy)
        rows.append({"path": copy, "wrong": place in wrong, "copy_of": names[place]})
    write_csv(folder.with_suffix(".csv"), rows)


def named(folder: Path, advice: Path) -> Row:
    """Shares of the wrong labels in the first tenth of the suspects, and of the copies that are told."""
    truth = {row["path"]: row for row in read_csv(folder.with_suffix(".csv"))}
    suspects = [row["path"] for row in read_csv(advice / "suspects.csv")]
    wrong = {path for path in suspects if truth[path]["wrong"] == "True"}
    first = set(suspects[: round(len(suspects) / 10)])
    copies = {row["path"] for row in read_csv(advice / "copies.csv")}
    those = [path for path, row in truth.items() if row["copy_of"]]
    return {
        "wrong_named": f"{len(wrong & first) / len(wrong):.3f}",
        "copies_named": f"{sum(path in copies for path in those) / len(those):.3f}",
    }


def write_manifest(
    path: Path, images: Path, classes: tuple[str, ...], labels: int, seed: int, tested: int
) -> None:
    """So many images a class to train and validate on, and others to test on, drawn anew for each seed."""
    rng, rows = np.random.default_rng(seed), []
    for name in classes:
        for part, number in (("train", labels), ("test", tested)):
            files = sorted((images / part / name).glob("*.jpg"))
            chosen = rng.permutation(len(files))[:number]
            rows += [{"path": files[place], "label": name, "split": part} for place in chosen]
    write_csv(path, rows)


def write_photos(path: Path, folder: Path, seed: int) -> None:
    """All ants and bees, of which others test for each seed."""
    rng = np.random.default_rng(seed)
    files = sorted(folder.glob("*/*/*.jpg"))
    tests = set(rng.permutation(len(files))[:PHOTOS_TESTED].tolist())
    rows = [
        {"path": file, "label": file.parent.name, "split": "test" if place in tests else "train"}
        for place, file in enumerate(files)
    ]
    write_csv(path, rows)


def report(task: str) -> None:
    """Print each arm's mean, and what the advice loses against the best of them."""
    reached: dict[str, dict[int, float]] = defaultdict(dict)
    advices = []
    for each in (each for each in read_csv(FILE) if each["task"] == task):
        reached[each["arm"]][int(each["split"])] = float(each["accuracy"])
        if each["arm"] == ADVISED:
            advices.append(each)
    splits = sorted(reached.get(ADVISED, {}))
    if len(splits) < 2:
        return
    whole = [name for name, of in reached.items() if name != ADVISED and set(of) >= set(splits)]
    arms = {name: [reached[name][split] for split in splits] for name in whole}
    best = max(arms, key=lambda name: mean(arms[name]))
    for name, values in {**arms, ADVISED: [reached[ADVISED][split] for split in splits]}.items():
        print(f"{task} {name:8} {mean(values):.4f} ± {stdev(values):.4f}")
    lost = [arms[best][place] - reached[ADVISED][split] for place, split in enumerate(splits)]
    low, high = stats.t.interval(0.95, len(lost) - 1, mean(lost), max(stats.sem(lost), 1e-12))
    interval = f"95 % interval {100 * low:.2f} to {100 * high:.2f}"
    print(f"regret against {best}: {100 * mean(lost):.2f} points, {interval}")
    advised = [each["step"] for each in advices]
    print("advised:", {name: advised.count(name) for name in dict.fromkeys(advised)})
    promised = [each for each in advices if each["low"]]
    # An accuracy at an end of its interval is within, and was rounded.
    ends = [(round(float(each["low"]), 4), round(float(each["high"]), 4)) for each in promised]
    held = [low <= float(each["accuracy"]) <= high for each, (low, high) in zip(promised, ends, strict=True)]
    print(f"promise held: {sum(held)} of {len(held)}")
    for key in ("wrong_named", "copies_named"):
        if shares := [float(each[key]) for each in advices if each.get(key)]:
            print(f"{key}: {mean(shares):.3f}, at least {min(shares):.3f}")
    over = [float(each["spent"]) / float(each["asked"]) for each in advices]
    print(f"seconds spent of those asked for: {mean(over):.2f}, at most {max(over):.2f}")


if __name__ == "__main__":
    main()
