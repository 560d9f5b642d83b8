"""`predict.py`: a model's command line as one file, gathered from Graft's own source."""

from pathlib import Path

from graft.configuration.version import __version__
from graft.deploy.engines import onnx_engine, torch_engine
from graft.deploy.gathering import gathered
from graft.deploy.program import main
from graft.runs.files import write_text

SCRIPT = "predict.py"
# By format: what runs the model, and what that needs.
ENGINES = {
    "onnx": (onnx_engine, "onnxruntime numpy pillow"),
    "torch_export": (torch_engine, "torch numpy pillow"),
}
_HEAD = '''"""What the model beside this file says of images, as the CSV of `graft predict`.

    pip install {packages}
    python predict.py photos > predictions.csv

Written by Graft {version}, which is not needed to run it.
"""

'''
_TAIL = """

if __name__ == "__main__":
    sys.exit(main({engine}, Path(__file__).resolve().parent))
"""


def script(form: str) -> str:
    """The text of `predict.py` for a format."""
    engine, packages = ENGINES[form]
    # The folder of Graft's caches needs a package to be found.
    instead = {("graft.data.cache_location", "cache_folder"): ("graft.deploy.program", "cache_folder")}
    head, tail = _HEAD.format(packages=packages, version=__version__), _TAIL.format(engine=engine.__name__)
    return head + gathered([main, engine], instead) + tail


def write_script(folder: Path, form: str) -> None:
    """Write `predict.py`."""
    write_text(folder / SCRIPT, script(form))
