"""Where an image's time goes in each engine: in products of matrices and convolutions, and in the rest.

`python experiments/latency/where.py outputs/latency/runs/vgg16 …`, one thread, a batch of 1. The kernels of
products are those that both engines have alike; the rest is what an export can save.
"""

import json
import sys
import tempfile
from pathlib import Path

import onnxruntime
import torch
from PIL import Image
from torch.profiler import ProfilerActivity, profile

from graft.deploy.files import card_of, write_network
from graft.models import Bundle, load_bundle

CALLS = 20
PRODUCTS = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}
OF_TORCH = ("aten::mkldnn_convolution", "aten::_slow_conv2d_forward", "aten::addmm", "aten::mm", "aten::bmm")


def main(runs: list[str]) -> None:
    """Print a line a run and engine."""
    torch.set_num_threads(1)
    for run in runs:
        bundle = load_bundle(run)
        given = bundle.finished([bundle.prepare(Image.new("RGB", (300, 300)))])
        assert isinstance(given, torch.Tensor)
        for engine, (products, rest) in (
            ("torch", in_torch(bundle, given)),
            ("onnx", in_onnx(bundle, given)),
        ):
            print(f"{Path(run).name} {engine}: products {products:.1f} ms, the rest {rest:.1f} ms")


def in_torch(bundle: Bundle, given: torch.Tensor) -> tuple[float, float]:
    """Milliseconds an image in products and in the rest."""
    with torch.inference_mode():
        for _ in range(3):
            bundle.model(given)
        with profile(activities=[ProfilerActivity.CPU]) as found:
            for _ in range(CALLS):
                bundle.model(given)
    times = {event.key: event.self_cpu_time_total / CALLS / 1000 for event in found.key_averages()}
    products = sum(time for name, time in times.items() if name in OF_TORCH)
    return products, sum(times.values()) - products


def in_onnx(bundle: Bundle, given: torch.Tensor) -> tuple[float, float]:
    """As `in_torch`, of the export."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    with tempfile.TemporaryDirectory() as folder:
        file = write_network(bundle, "onnx", Path(folder), card_of(bundle, "onnx"))
        options.enable_profiling, options.profile_file_prefix = True, f"{folder}/profile"
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: given.numpy()}
        for _ in range(3 + CALLS):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    of_nodes = [event for event in events if event.get("cat") == "Node" and "op_name" in event["args"]]
    # The first calls warm up.
    of_nodes = of_nodes[len(of_nodes) * 3 // (3 + CALLS) :]
    times = [(event["args"]["op_name"], event["dur"] / CALLS / 1000) for event in of_nodes]
    products = sum(time for name, time in times if name in PRODUCTS)
    return products, sum(time for _, time in times) - products


if __name__ == "__main__":
    main(sys.argv[1:])
