"""Every wrong word gets one line that says what to type instead, exit status 2, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graft.cli.console import run
from graft.configuration.keys import conf_dir

TYPOS = [
    (["trian"], "unknown command trian; did you mean train?"),
    (["train", "optimzer.lr=1"], "unknown key optimzer.lr; did you mean optimizer.lr?"),
    (["train", "optimizer.lrr=1"], "unknown key optimizer.lrr; did you mean optimizer.lr?"),
    (["train", "++optimizer.lrr=1"], "unknown key optimizer.lrr; did you mean optimizer.lr?"),
    (["train", "+optimizer.lrr=1"], "unknown key optimizer.lrr; did you mean optimizer.lr?"),
    (["train", "+sede=1"], "unknown key sede; did you mean seed?"),
    (["train", "lr=1"], "unknown key lr; did you mean optimizer.lr?"),
    (["train", "epochs=1"], "unknown key epochs; did you mean trainer.max_epochs?"),
    (["train", "trainer.max_epoch=1"], "did you mean trainer.max_epochs?"),
    (["train", "batch_size=1"], "did you mean data.batch_size?"),
    (["train", "optimizr=sgd"], "unknown key optimizr; did you mean optimizer?"),
    (["train", "optimizer=agd"], "optimizer=agd: no such option; did you mean sgd?"),
    (["train", "backbone=resnt18"], "backbone=resnt18: no such option; did you mean resnet18?"),
    (["train", "freeze=forzen"], "did you mean frozen?"),
    (["train", "optimizer=sgd", "optimizer.betas=[1,1]"], "unknown key optimizer.betas"),
    (["train", "freeze=last_k", "freeze.k=0"], "freeze.k=0 is wrong: it must be a whole number >= 1"),
    (["train", "seed=-1"], "seed=-1 is wrong"),
    (["train", "seed=one"], "seed=one is wrong"),
    (["train", "seed=null"], "seed=null is wrong"),
    (["train", "data.batch_size=lots"], "data.batch_size=lots is wrong: it must be a whole number >= 1"),
    (["train", "data.batch_size=0"], "data.batch_size=0 is wrong"),
    (["train", "data.batch_size=1.5"], "data.batch_size=1.5 is wrong"),
    (["train", "data.val_fraction=1"], "data.val_fraction=1 is wrong"),
    (["train", "data.test_fraction=0"], "data.test_fraction=0 is wrong"),
    (["train", "data.shots=0"], "data.shots=0 is wrong"),
    (["train", "data.shots=2", "data.fraction=0.5"], "data.shots and data.fraction"),
    (["train", "optimizer.lr=-1"], "optimizer.lr=-1 is wrong"),
    (["train", "optimizer.lr=high"], "optimizer.lr=high is wrong"),
    (["train", "optimizer.amsgrad=3"], "optimizer.amsgrad=3 is wrong: it must be true or false"),
    (["train", "trainer.max_epochs=0"], "trainer.max_epochs=0 is wrong"),
    (["train", "trainer.devices=0"], "trainer.devices=0 is wrong: it must be auto, a number of processes"),
    (["train", "trainer.precision=bf16-mixd"], "did you mean bf16-mixed?"),
    (["train", "trainer.accelerator=gpus"], "did you mean gpu?"),
    (["train", "loss.label_smoothing=1"], "loss.label_smoothing=1 is wrong"),
    (["train", "loss.class_weights=balancd"], "did you mean balanced?"),
    (["train", "name=a/b"], "name=a/b is wrong"),
    (["train", "~optimizer"], "optimizer was taken out, but it is needed"),
    (["train", "~optimizer.lr"], "optimizer.lr was taken out, but it is needed"),
    (["train", "+seed=1"], "seed exists already; write seed=… without the +"),
    (["train", "data=image_folder"], "data.root is missing"),
    (["train", "backbone=torchvision"], "backbone.name is missing"),
    (["train", "loss.class_weights=/a b(1)=c"], "'loss.class_weights=\"/a b(1)=c\"'"),
    (["compare"], "runs is missing"),
    (
        ["compare", "runs=no/such/folder"],
        "runs=no/such/folder: there is no such folder: ",
    ),
    (["compare", "runs=x", "sort=test/accuracy"], "the test set is for the end"),
    (["train", "foo"], "foo: expected key=value"),
    (["train", "--config-dir", "no/such/folder"], "--config-dir=no/such/folder: there is no such folder: "),
    (["train", "scheduler=plateau", "data.val_fraction=0"], "val/loss"),
    (["train", "callbacks=early_stopping", "data.val_fraction=0"], "val/loss"),
    (["train", "data.root=/x"], "unknown key data.root with this data; it belongs to data=audio_folder, "),
    (["train", "head.hidden=3"], "unknown key head.hidden with this head; it belongs to head=mlp"),
    (["train", "freeze.k=3"], "it belongs to freeze=last_k"),
    (["train", "++freeze.k=3"], "it belongs to freeze=last_k"),
    (["train", "seed=1,2"], "seed=1,2: several values make a sweep, which needs -m"),
    (["train", "data=_loading"], "data: the chosen option has no _target_ to build; see graft list data"),
    (["train", "--foo"], "unrecognized arguments: --foo"),
    (["train", "--cfg", "jbo"], "invalid choice: 'jbo'"),
    (["train", "-m", "seed=0,1", "--cfg", "job"], "--multirun and --cfg do not go together: leave out one"),
    (["train", "optimizer.betas=3"], "it must be two numbers"),
    (["train", "augment.policy=3"], "it must be a transform with a _target_, or null"),
    (["train", "augment.crop_scale=[1.0,0.5]"], "the smaller first"),
    (["train", "trainer.limit_train_batches=foo"], "it must be a share"),
    (["train", "trainer.limit_train_batches=1.5"], "it must be a share"),
    (["train", "trainer.limit_test_batches=0"], "it must be a share"),
    (["train", "trainer.strategy=dpp"], "trainer.strategy=dpp is wrong: it must be one of auto, ddp, fsdp"),
    (["train", "optimizer.lr={a:1}"], "optimizer.lr={'a': 1} is wrong: it must be a number > 0"),
    (["train", "trainer.profiler=simpel"], "did you mean simple?"),
    (["train", "trainer.max_time=an hour"], "such as 00:01:30:00"),
    (["train", "trainer.deterministic=yes please"], "trainer.deterministic=yes please is wrong"),
    (["train", "backbone.mean=[0.5]"], "it must be a list of 3 numbers"),
    (["train", "callbacks.best.monitor=val/los"], "did you mean val/loss?"),
    (["train", "callbacks.best.monitor=test/accuracy"], "the test set is for the end"),
    (["train", "callbacks.best.monitor=val/accuracy"], "callbacks.best.mode=min does not fit val/accuracy"),
    (["train", "resume=nowhere"], "resume=nowhere: there is no such folder"),
    (["train", "resume=last"], "there is no unfinished run below outputs/"),
    (["train", "resume=''"], "resume= is wrong: it must be a path or a name"),
    (["crossval", "resume=nowhere"], "resume=nowhere: there is no such folder"),
    (["crossval", "resume=."], "resume=. is no cross-validation's folder (it has no config.yaml with folds)"),
    (["crossval", "resume=''"], "resume= is wrong: it must be a path or a name"),
    (["crossval", "resum=x"], "unknown key resum; did you mean resume?"),
    (["train", "resum=x"], "unknown key resum; did you mean resume?"),
    (["train", "cache.features=onn"], "cache.features=onn is wrong: it must be one of auto, on, off"),
    (["train", "cache.feature=on"], "unknown key cache.feature; did you mean cache.features?"),
    (
        ["train", "cache.views=2", "cache.features=off"],
        "cache.views needs stored features; leave cache.features=off out",
    ),
    (["train", "optimizer=lbfgs"], "optimizer=lbfgs is not possible: the backbone must be frozen whole"),
    (["train", "head.standardize=true", "cache.features=off"], "head.standardize=true needs stored features"),
    (["train", "optimizer=lbfgs", "lr_find=true"], "solves the head at once and has no use for lr_find"),
    (["train", "callbacks.last.minutes=-1"], "callbacks.last.minutes=-1 is wrong"),
    (["evaluate", "run=x", "data=digits", "data.batch_size=3"], "data.batch_size does nothing"),
    (["evaluate"], "run is missing"),
    (["evaluate", "run=nowhere"], "run=nowhere: there is no such folder"),
    (["evaluate", "run=nowhere", "split=tset"], "did you mean test?"),
    (["predict", "run=nowhere"], "source is missing"),
    (["serve"], "run is missing"),
    (["serve", "run=nowhere"], "run=nowhere: there is no such folder"),
    (["serve", "run=x", "port=70000"], "port=70000 is wrong: it must be a whole number from 0 to 65535"),
    (["serve", "run=x", "limits.file=3"], "unknown key limits.file; did you mean limits.files?"),
    (["serve", "-m", "run=x", "port=1,2"], "graft serve takes one run at a time; leave out -m"),
    (["extract"], "give either run=FOLDER or backbone=… with data=…"),
    (["extract", "run=x", "backbone=simple_cnn", "data=digits"], "give either run=FOLDER or backbone=…"),
    (["extract", "backbone=simple_cnn"], "backbone=… has no images of its own; give data=… too"),
    (["extract", "run=nowhere"], "run=nowhere: there is no such folder"),
    (["extract", "run=x", "precision=fst"], "did you mean fast?"),
    (["rank"], "graft rank asks which backbone suits some images; give data=…"),
    (
        ["rank", "data=digits", "backbones=resnet18"],
        "it must be at_hand, or a list of names, each once, such as [resnet18",
    ),
    (["rank", "data=digits", "backbone=resnet18"], "unknown key backbone; did you mean backbones?"),
    (["rank", "data=digits", "weights.resnet18=3"], "weights.resnet18=3: there is no such file or folder"),
    (["rank", "data=digits", "weights=x.pth"], "weights=x.pth is wrong: it must be a mapping"),
    (["rank", "data=digits", "weigths.resnet18=x"], "unknown key weigths.resnet18"),
    (
        ["rank", "data=digits", "backbones=[resnet50]", "weights.resnet18=x"],
        "weights.resnet18 is given, but backbones has no resnet18",
    ),
    (
        ["rank", "data=digits", "backbones=[resnt18]"],
        "resnt18 is no backbone that there is; did you mean resn",
    ),
    (["rank", "data=digits", "data.cache_images=ram"], "data.cache_images does nothing in graft rank"),
    (
        ["rank", "data=digits", "weights.simple_cnn=null", "runs=nowhere"],
        "runs=nowhere: there is no such folder",
    ),
    (["inspect"], "graft inspect looks at images; give data=…"),
    (["inspect", "data=digits", "nar=3"], "unknown key nar; did you mean near?"),
    (
        ["inspect", "data=digits", "near=99"],
        "near=99 is wrong: it must be a whole number from 0",
    ),
    (["inspect", "data=digits", "samples=0"], "samples=0 is wrong"),
    (["inspect", "data=digits", "strict=yess"], "strict=yess is wrong"),
    (["inspect", "data=digits", "data.batch_size=3"], "data.batch_size does nothing in graft inspect"),
    (["inspect", "data=digits", "data.cache_images=ram"], "data.cache_images does nothing in graft inspect"),
    (["inspect", "data=image_folder", "data.root=nowhere"], "data.root=nowhere: "),
    (["cache", "lst"], "graft cache lst: there are list and prune; did you mean list?"),
    (["cache", "prune"], "say what: all, the keys of entries, or older_than=DAYS"),
    (["cache", "prune", "beef"], "graft cache prune beef: no entry's key begins so"),
    (["cache", "prune", "older_than=soon"], "it must be a number of days such as 30"),
    (["cache", "list", "all"], "takes dir=FOLDER and no more, not all"),
    (["list", "backbonez"], "no such group"),
    (["list", "freeze", "zzz"], "nothing matches"),
]


@pytest.mark.parametrize(("words", "answer"), TYPOS, ids=[" ".join(words) for words, _ in TYPOS])
def test_a_wrong_word(
    words: list[str],
    answer: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    captured = capsys.readouterr()
    assert answer in captured.err
    assert len(captured.err.splitlines()) == 1, captured.err
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_word_costs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom graft.cli.console import run\n"
        "for words in (['train', 'optimzer.lr=1'], ['train', '++optimizer.lrr=1'], ['train', 'seed=-1'],\n"
        "              ['train', 'resume=nowhere'], ['train', 'resume=last'], ['train', '--cfg', 'job'],\n"
        "              ['train', '--help'], ['list', 'data'], ['--help'],\n"
        "              ['crossval', 'resume=nowhere'],\n"
        "              ['extract'], ['cache', 'list'], ['cache', 'prune', 'beef'], ['rank'],\n"
        "              ['rank', 'data=digits', 'weights.x=3'], ['rank', 'data=digits', '--cfg', 'job'],\n"
        "              ['rank', '--help'], ['inspect'], ['inspect', 'data=digits', '--cfg', 'job']):\n"
        "    sys.argv = ['graft', *words]\n    run(words)\n"
        "slow = {'torch', 'torchvision', 'pytorch_lightning', 'scipy', 'sklearn', 'matplotlib'}\n"
        "heavy = slow & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_graft_imports_next_to_nothing() -> None:
    code = "import sys, graft; sys.exit(bool({'torch', 'hydra', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("flag", [["--cfg", "job"], ["--cfg=job"]])
def test_flags_may_stand_between_overrides(flag: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Hydra's own parser takes the overrides before a flag alone: unrecognized arguments: seed=3."""
    assert run(["train", "data=digits", *flag, "seed=3", "optimizer=sgd"]) == 0
    said = capsys.readouterr().out
    assert "\nseed: 3\n" in said
    assert "torch.optim.SGD" in said


@pytest.mark.parametrize(
    "words", [["--help"], [], ["train", "--help"], ["train", "--cfg", "job"], ["list"], ["--version"]]
)
def test_help_says_something(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    assert "graft" in capsys.readouterr().out


@pytest.mark.parametrize("group", ["backbone", "data", "freeze", "optimizer", "experiment", "debug"])
def test_list_names_every_option_with_a_line(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = list((conf_dir() / group).glob("[!_]*.yaml"))
    assert run(["list", group]) == 0
    out = capsys.readouterr().out
    assert options
    for path in options:
        assert path.stem in out


def test_list_takes_a_pattern_and_the_plural(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "backbones", "resnet*"]) == 0
    out = capsys.readouterr().out
    assert "resnet18" in out
    assert "resnet34" in out
    assert "vgg16" not in out


@pytest.mark.parametrize(
    ("line", "offered", "withheld"),
    [
        ("graft ev", "evaluate", "train"),
        ("graft train freeze=", "freeze=frozen", "data=digits"),
        ("graft train optimizer.head_", "optimizer.head_lr=", "optimizer.lr="),
        ("graft predict top", "top_k=", "freeze="),
        ("graft serve limits.", "limits.pixels=", "freeze="),
        ("graft list free", "freeze", "data"),
        ("graft extract prec", "precision=", "top_k="),
        ("graft ra", "rank", "train"),
        ("graft rank back", "backbones=", "top_k="),
        ("graft cache pr", "prune", "list"),
        ("graft insp", "inspect", "train"),
        ("graft inspect sa", "samples=", "top_k="),
    ],
)
def test_completion_knows_the_command(
    line: str,
    offered: str,
    withheld: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setattr(sys, "argv", ["graft"])
    assert run(["-sc", "query=bash"]) == 0
    out = capsys.readouterr().out
    assert offered in out
    assert withheld not in out


def test_a_reader_that_leaves_early_is_no_error_of_the_run_folders() -> None:
    code = (
        "import os, sys\nfrom graft.cli.console import run\n"
        "reader, writer = os.pipe()\nos.close(reader)\nos.dup2(writer, 1)\n"
        "sys.exit(run(['inspect', '--help']))"
    )
    # Buffered, as in a pipe it is, so that the first to notice is the last flush.
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=environment)
    assert (done.returncode, done.stderr) == (1, "")


def test_the_command_ends_the_process_at_once() -> None:
    """What it imported is not taken apart; what it has registered is called, and what it said is said."""
    code = (
        "import atexit, sys\nfrom graft.cli import console\n"
        "class Heavy:\n    def __del__(self): print('taken apart')\n"
        "heavy = Heavy()\nsys.argv = ['graft', 'trian']\n"
        "def fail(words):\n"
        "    atexit.register(print, 'tidied')\n    raise console.GraftError('wrong')\n"
        "console.dispatch = fail\nconsole.main()"
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (2, "tidied\n")
    assert done.stderr.endswith("wrong\n")


def test_an_import_looks_for_no_garbage() -> None:
    code = (
        "import gc, sys\nfrom graft.commands.importing import without_collections\n"
        "before = gc.get_freeze_count()\n"
        "with without_collections():\n    assert not gc.isenabled()\n"
        "assert gc.isenabled()\nassert gc.get_freeze_count() > before"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
