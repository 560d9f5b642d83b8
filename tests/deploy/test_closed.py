"""The script of an export is run where there is nothing but what it says that it needs."""

from pathlib import Path

import pytest

from graft.deploy.closed import modules_of, run_closed
from graft.errors import GraftError

pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("module", ["torch", "graft", "onnx"])
def test_what_is_not_needed_cannot_be_imported(module: str, tmp_path: Path) -> None:
    # What is needed can.
    (tmp_path / "predict.py").write_text(f"import numpy, PIL.Image, onnxruntime, csv\nimport {module}\n")
    with pytest.raises(GraftError, match=rf"batch size 5: ModuleNotFoundError: No module named '{module}'"):
        run_closed(tmp_path, "onnx", ["a.png"], 5)


def test_the_modules_of_a_package_are_those_of_what_it_needs_too() -> None:
    modules = modules_of(["onnxruntime", "pillow"])
    assert {"onnxruntime", "numpy", "PIL"} <= modules
    assert not modules & {"torch", "graft", "onnx"}
    # An extra's are not needed.
    assert "numpy" not in modules_of(["pillow"])
