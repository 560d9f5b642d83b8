"""What runs an exported network, imported only where it is used. Imports nothing of Graft's but its error."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graft.errors import GraftError

Floats = NDArray[np.float32]
# Inputs `(B, 3, H, W)` to logits `(B, C)` and features `(B, D)`.
Network = Callable[[Floats], tuple[Floats, Floats]]
# From a file and a number of threads, 0 for as many as there are cores, to the network in it.
Engine = Callable[[Path, int], Network]


def onnx_engine(file: Path, threads: int) -> Network:
    """The network of an ONNX file, on the CPU.

    Raises:
        GraftError: onnxruntime is missing, or cannot read the file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise GraftError("this model needs onnxruntime: pip install onnxruntime numpy pillow") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Errors alone: it warns of what it does to the graph.
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    # Its exceptions have no base class of their own.
    except Exception as error:
        raise GraftError(f"{file} cannot be read ({' '.join(str(error).split())})") from error

    def run(images: Floats) -> tuple[Floats, Floats]:
        logits, features = session.run(["logits", "features"], {"images": images})
        return logits, features

    return run


def torch_engine(file: Path, threads: int) -> Network:
    """The network of a file that `torch.export` wrote, on the CPU.

    Raises:
        GraftError: torch is missing.
    """
    try:
        import torch
    except ImportError:
        raise GraftError("this model needs torch: pip install torch numpy pillow") from None
    if threads:
        torch.set_num_threads(threads)
    network = torch.export.load(file).module()

    def run(images: Floats) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            logits, features = network(torch.from_numpy(images))
        return logits.numpy(), features.numpy()

    return run
