"""`graft export`: a trained model as files that run without Graft, left only where they answer as it does."""

from pathlib import Path

from graft.backbones.preprocessings import read_preprocessing
from graft.configuration.schema import Config
from graft.data.kinds import kind_of
from graft.deploy import int8
from graft.deploy.export import export
from graft.deploy.gate import BATCH_SIZES
from graft.errors import GraftError
from graft.models import load_bundle
from graft.models.bundle_files import read_description
from graft.runs.bundles import bundle_folder
from graft.runs.folder import refuse_taken


def run(config: Config, path: Path, overrides: list[str]) -> Path:
    """Export the model of `config["run"]` to the folder `path`.

    Returns:
        The folder.

    Raises:
        GraftError: there is no model or no image to check it with, it cannot be exported, or a check fails.
    """
    refuse_taken(path)
    description = read_description(bundle_folder(config["run"]))
    kind = kind_of(read_preprocessing(description["preprocessing"]))
    if kind.noun != "image":
        raise GraftError(
            f"run={config['run']} takes {kind.plural}; only models of images can be exported yet"
        )
    bundle = load_bundle(config["run"], config["trust"])
    passed, kept = export(config, bundle, path)
    sizes = ", ".join(map(str, BATCH_SIZES))
    print(
        f"{passed.images:,} images at batch sizes {sizes}: every top-1 as the run's, logits at most "
        f"{max(passed.differences.values()):.1e} apart"
    )
    if kept is not None:
        print(f"int8: {int8.told(kept)}")
    if str(bundle.tested.precision) not in ("32-true", "32"):
        print(
            f"the run was tested at precision {bundle.tested.precision}, and the export computes in float32: "
            "probabilities differ from graft predict's by that"
        )
    print(", ".join(f"{file.name} {_spelled(file.stat().st_size)}" for file in sorted(path.iterdir())))
    print(path)
    return path


def _spelled(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
