"""What is installed as an extra is imported only where it is asked for."""

import subprocess
import sys
from pathlib import Path

EXTRAS = {"timm", "huggingface_hub", "optuna", "submitit", "cleanlab", "soundfile", "soxr", "transformers"}
EXTRAS |= {"datasets"}
CODE = f"""
import sys
from graft import train
train(["data=digits", "freeze=frozen", "data.shots=2", "hydra.run.dir=run", "cache.dir=cache"])
sys.exit(" ".join(sorted({EXTRAS!r} & set(sys.modules))) or 0)
"""


def test_a_run_of_a_network_of_graft_s_own_imports_none_of_them(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stderr.strip(), done.returncode) == ("", 0)
