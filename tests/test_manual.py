"""What README and the manual show works: Python runs, commands are understood, links lead somewhere."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graft.cli.console import run
from graft.commands import COMMANDS
from graft.composition.composing import compose
from graft.configuration.keys import key_of
from graft.errors import GraftError
from graft.runs.files import read_csv

ROOT = Path(__file__).parents[1]
MANUAL = {str(path.relative_to(ROOT)): path for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"))}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in MANUAL.items()}
# Command lines of others that the pages show; `make` is looked up in the Makefile.
OTHERS = (
    re.compile(r"pip install '?(\.|graft-transfer)(\[[a-z,]+\])?'?"),
    re.compile(r"\. \.venv/bin/activate"),
    re.compile(r"tensorboard --logdir outputs"),
    re.compile(r"make (?P<target>\w+)"),
)
# What stands before `graft` where something else starts it.
BEFORE = re.compile(r"(\w+=\S* )*(srun |torchrun [^|;]*--no-python )?graft ")
# An inline `key=value` with nothing left open; no option of Python's, nor a variable of the shell.
KEYS = re.compile(r"(?!hydra\.searchpath)[a-z][a-z_/]*(\.[a-z_0-9]+)*=(?!True|[A-Z]+$)[^\s…<>\"]*[^\s…<>\"/]")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXTS[name], re.DOTALL | re.MULTILINE)


def shell_lines() -> Iterator[tuple[str, str]]:
    """Each page's command lines, whole, without comments."""
    for name in TEXTS:
        for block in blocks(name, "bash"):
            for line in block.replace("\\\n", "").splitlines():
                if bare := re.sub(r"(^|\s)#.*", "", line).strip():
                    yield name, bare


def commands() -> list[list[str]]:
    """The words after `graft`, each command once; what stands in <…> is a checksum."""
    lines = [BEFORE.sub("", line) for _, line in shell_lines() if BEFORE.match(line)]
    words = [shlex.split(re.sub("<[^>]*>", "0" * 64, line.removesuffix("&"))) for line in lines]
    return [list(each) for each in dict.fromkeys(map(tuple, words))]


def jobs(words: list[str]) -> Iterator[list[str]]:
    """The words of single runs in which every value that is swept over stands at least once."""
    if "-m" not in words:
        yield words
        return
    words = [re.sub(r"=tag\(.*", "=0.1", word) for word in words if word != "-m"]
    values = [re.match(r"([^=]+)=([^\[({]+,.+)$", word) for word in words]
    firsts = [
        word if found is None else word.partition(",")[0] for word, found in zip(words, values, strict=True)
    ]
    yield firsts
    for place, found in enumerate(values):
        for value in found[2].split(",")[1:] if found else ():
            yield [*firsts[:place], f"{found[1]}={value}", *firsts[place + 1 :]]


def test_every_page_opens_with_an_answer_and_a_command() -> None:
    for name, text in TEXTS.items():
        if name not in ("README.md", "docs/README.md"):
            assert re.match(r"# [^\n]+\n\n[^`#|]+```bash\n", text), name
            assert f"({Path(name).name})" in TEXTS["docs/README.md"], name


def test_every_command_line_is_known() -> None:
    made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for name, line in shell_lines():
        if BEFORE.match(line):
            continue
        found = [match for pattern in OTHERS if (match := pattern.fullmatch(line))]
        assert found, f"{name}: {line}"
        assert found[0].groupdict().get("target") in (None, *made), f"{name}: {line}"


@pytest.mark.parametrize(
    "words", [words for words in commands() if "--config-dir" not in words], ids=" ".join
)
def test_a_command_is_understood(words: list[str]) -> None:
    assert words[0] in COMMANDS
    if words[0] in ("cache", "list"):
        assert run(words) == 0
        return
    for job in jobs(words[1:]):
        compose(words[0], job)


def test_all_values_of_a_sweep_are_looked_at() -> None:
    swept = ["-m", "freeze=frozen,full", "seed=0,1", "optimizer.lr=tag(log,interval(1,2))", "a=[1,2]"]
    rest = ["optimizer.lr=0.1", "a=[1,2]"]
    assert list(jobs(swept)) == [
        ["freeze=frozen", "seed=0", *rest],
        ["freeze=full", "seed=0", *rest],
        ["freeze=frozen", "seed=1", *rest],
    ]


def inline() -> dict[str, str]:
    """Words in running text and tables such as `optimizer.lr=0.1`, with a page that has them.

    Below a column's head such as `freeze=` stand its values.
    """
    found: dict[str, str] = {}
    for name, text in TEXTS.items():
        head = ""
        for line in re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE).splitlines():
            spans, first = re.findall(r"`([^`]+)`", line), re.findall(r"`([^`]+)`", line.split(" | ")[0])
            if not line.startswith("| "):
                head = "" if not line.startswith("|") else head
            elif column := re.match(r"\| `([a-z_./]+=)` \|", line):
                head, spans = column[1], []
            elif head:
                spans = [f"{head}{span}" for span in first] + spans[len(first) :]
            found |= {span: name for span in spans if all(map(KEYS.fullmatch, span.split()))}
    return found


# Its extra is installed nowhere here: it holds cloudpickle back.
NOT_INSTALLED = "hydra/launcher=ray"
# Which command has a key that `graft train` has not, and what that command wants beside it.
ELSEWHERE = {
    "top_k": ["predict", "run=a", "source=b"],
    "tta": ["evaluate", "run=a"],
    "split": ["evaluate", "run=a"],
    "int8": ["export", "run=a"],
    "format": ["export", "run=a"],
    "source": ["export", "run=a"],
    **{
        key: ["serve", "run=a"]
        for key in (
            *("host", "port"),
            *(f"limits.{limit}" for limit in ("files", "file_bytes", "bytes", "pixels", "seconds", "queue")),
        )
    },
    "strict": ["inspect", "data=digits"],
    "samples": ["inspect", "data=digits"],
    "weights.resnet18": ["advise", "data=digits"],
    "image_size": ["advise", "data=digits"],
    "engine": ["latency", "runs=a"],
    "accelerator": ["latency", "runs=a"],
}
# What a key of `graft train` wants beside it.
BESIDE = {
    "data.nested": ["data=image_folder", "data.root=photos"],
    **{
        f"data.{key}=": ["data=table_csv", "data.file=table.csv", "backbone=table_mlp"]
        for key in ("label", "split", "group", "id", "leave_out", "numbers", "categories", "blanks")
    },
    **{
        f"data.{key}=": ["data=text_csv", "data.file=reviews.csv", "backbone=text_cnn"]
        for key in ("text", "encoding")
    },
    **{
        f"backbone.{key}=": ["backbone=text_cnn"]
        for key in ("tokens", "min_count", "max_length", "embedding", "channels", "widths", "dropout")
    },
    "augment.p": ["backbone=text_cnn", "augment=words"],
    "experiment=grey_microscopy": ["data.file=labels.csv"],
    "experiment=": ["data.root=photos"],
    "target.label": [
        *("data=text_csv", "data.file=reviews.csv", "backbone=text_cnn"),
        *("data@target=text_csv", "target.file=inbox.csv"),
    ],
    "adapt=": ["data=glyphs", "data@target=digits"],
    "adapt.": ["data=glyphs", "data@target=digits"],
    "backbone=": [],
}


def test_inline_keys_are_understood() -> None:
    spans = inline()
    assert len(spans) >= 100
    del spans[NOT_INSTALLED]
    shown = [set(job) for words in commands() for job in jobs(words)]
    for span, name in spans.items():
        words = span.split()
        if any(job.issuperset(words) for job in shown):
            # It stands in a command line, which has a test.
            continue
        command, *beside = ELSEWHERE.get(key_of(words[0])) or [
            "train",
            *next(
                (given for start, given in BESIDE.items() if span.startswith(start)), ["backbone=resnet18"]
            ),
        ]
        try:
            compose(command, [*beside, *(word.replace("@commit", "@" + "0" * 40) for word in words)])
        except GraftError as error:
            pytest.fail(f"{name}: `{span}`: {error}")


def anchors(text: str) -> set[str]:
    """What headings are linked by, as hosts of Markdown make it: small letters, hyphens for blanks."""
    bare = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    heads = [
        re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", head) for head in re.findall(r"^#+ (.+)$", bare, re.MULTILINE)
    ]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_links_lead_to_files_and_headings() -> None:
    pages = [
        *MANUAL.values(),
        *ROOT.glob("*.md"),
        *ROOT.glob("experiments/*/README.md"),
        *ROOT.glob("*/README.md"),
    ]
    for page in pages:
        for link, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
            if "://" in link:
                continue
            target = page.parent / link if link else page
            assert target.exists(), f"{page}: {link}"
            if heading:
                assert heading in anchors(target.read_text(encoding="utf-8")), f"{page}: {link}#{heading}"


def test_every_file_that_code_names_in_the_manual_is_there() -> None:
    folders = ("src", "conf", "tests", "experiments")
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml")
    ]
    for path in files:
        for named in re.findall(r"\bdocs/[\w-]+\.md\b", path.read_text(encoding="utf-8")):
            assert (ROOT / named).exists(), f"{path}: {named}"


def test_all_python_is_run_here() -> None:
    assert {name: len(found) for name in TEXTS if (found := blocks(name, "python"))} == {
        "README.md": 1,
        "docs/own-parts.md": 1,
    }


def rows_of_files(text: str) -> dict[str, str]:
    """Each file that a table of a page names, with the rest of its row."""
    rows = re.findall(r"^\| (`[^|]*) \| (.*) \|$", text, re.MULTILINE)
    return {name: rest for names, rest in rows for name in re.findall(r"`([^`]+)`", names)}


def test_the_python_example_runs_and_leaves_what_the_manual_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(blocks("README.md", "python")[0], "README.md", "exec"), names)
    folder = names["run"].path
    told = rows_of_files(TEXTS["docs/run-folder.md"])
    left = {path.name for path in (*folder.iterdir(), *(folder / "model").iterdir()) if path.name != ".lock"}
    # Of a head that is solved.
    assert left == {name.rstrip("/") for name in told} - {"penalties.csv", "target_split.csv", "target"}
    for name in ("split.csv", "freeze.csv", "predictions.csv", "per_class.csv"):
        columns = {re.sub("_(low|high)$", "", column) for column in read_csv(folder / name)[0]}
        columns = {column for column in columns if not column.startswith("p_")}
        assert columns <= set(re.findall(r"`(\w+)`", told[name])), name


def test_a_part_of_ones_own_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = "docs/own-parts.md"
    (tmp_path / "mypkg.py").write_text(blocks(page, "python")[0])
    option = blocks(page, "yaml")[0]
    path = tmp_path / option.splitlines()[0].removeprefix("# ")
    path.parent.mkdir(parents=True)
    path.write_text(option)
    monkeypatch.syspath_prepend(tmp_path)
    # Another test has a package of that name too: each must find its own, in any order.
    sys.modules.pop("mypkg", None)
    words = next(words for words in commands() if "--config-dir" in words)
    try:
        assert run([*words, "debug=one_batch", "trainer=cpu", "logger=none", "hydra.run.dir=run"]) == 0
    finally:
        sys.modules.pop("mypkg", None)
    rows = read_csv(tmp_path / "run/freeze.csv")
    assert [row["from_epoch"] for row in rows] == ["", "1", "", "1", "1"]
