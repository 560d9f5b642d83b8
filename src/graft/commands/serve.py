"""`graft serve`: a page to try a run or bundle on, and the same by HTTP. Reads the bundle, writes nothing."""

from importlib.util import find_spec
from pathlib import Path

from graft.configuration.schema import Config
from graft.configuration.version import DISTRIBUTION
from graft.errors import GraftError
from graft.models import load_bundle
from graft.processes.lightning import lone_device
from graft.training.checks import check_device

# What the extra brings, as it is imported.
NEEDED = ("fastapi", "uvicorn", "python_multipart", "pytorch_grad_cam")


def run(config: Config, path: Path, overrides: list[str]) -> None:
    """Answer until Ctrl-C.

    Raises:
        GraftError: there is no model, no such device, the port is taken, or a library is not installed.
    """
    check_device(config["accelerator"], key="accelerator")
    if missing := next((name for name in NEEDED if find_spec(name) is None), None):
        raise GraftError(f"graft serve needs {missing}: pip install '{DISTRIBUTION}[serve]'")
    # Imported only now that they are known to be there.
    from graft.serve.app import is_loopback, make_app
    from graft.serve.limits import Limits
    from graft.serve.server import address_of, listening, serve
    from graft.serve.service import Service

    limits = Limits(**config["limits"])
    with listening(config["host"], config["port"]) as taken:
        bundle = load_bundle(config["run"], config["trust"])
        bundle.model.to(lone_device(config["accelerator"]))
        service = Service(bundle, limits, config["batch_size"], config["wait"])
        try:
            if not is_loopback(config["host"]):
                print("warning: whoever reaches this machine can use the model; nobody is asked who they are")
            classes = f"{len(bundle.class_names):,} classes"
            print(
                f"{bundle.kind.plural}, {classes}; at most {service.batches.size} at a time; Ctrl-C ends it"
            )
            print(address_of(taken), flush=True)
            serve(make_app(service, config["host"]), taken)
        finally:
            service.close()
