"""Testing a finished run that kept its test images for later, as a search does with all but its winner."""

from dataclasses import replace

from graft.configuration.run_config import RunConfig
from graft.data import split_from_rows
from graft.models.bundle_files import load_bundle
from graft.models.lineage import seen_among
from graft.reporting import model_card
from graft.runs import RunFolder
from graft.runs.bundles import BundleFolder
from graft.runs.files import read_csv, write_json, write_text, write_yaml
from graft.runs.log import log_to, say
from graft.sources.opening import open_recorded
from graft.training.checks import check_device
from graft.training.testing import loading_for, make_tester, run_test, tested_module, write_test


def finish_test(folder: RunFolder, config: RunConfig) -> None:
    """Test the run's bundle on the run's own test images, and leave what a run that tests at once leaves.

    Raises:
        GraftError: the data, the model or the device cannot be had.
    """
    check_device(config.trainer["accelerator"])
    bundle = load_bundle(folder.path, config.trust)
    data = open_recorded(config.data)
    splits = split_from_rows(read_csv(folder.split), data, str(folder.split))
    loading = loading_for(bundle, data, splits, None, config.data.get("num_workers"))
    with log_to(folder.log):
        tester = make_tester(bundle, config.trainer["accelerator"], folder.path)
        result = run_test(tester, tested_module(bundle), loading.ordered_loader("test"))
        tested = write_test(
            folder, result, data, bundle.temperature if config.calibrate else None, bundle.known
        )
        if bundle.seen is not None:
            tested |= seen_among(bundle.seen, data, splits["test"])
        recorded = folder.metrics
        validated = {key: value for key, value in recorded.items() if key.startswith("val/")}
        # What was validated, what was tested, then the rest, as in any run.
        metrics = {**validated, **tested, **recorded}
        kind = bundle.kind
        card = model_card(config.recorded(), bundle.class_names, metrics, kind.noun, kind.plural)
        write_text(BundleFolder(folder.bundle).card, card)
        write_yaml(folder.config, replace(config, test=True).recorded())
        # Last: by it a run counts as tested.
        write_json(folder.metrics_file, metrics)
        say(f"tested: {folder.path}")
