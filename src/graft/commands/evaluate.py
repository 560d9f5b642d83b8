"""`graft evaluate`: test a run or bundle again, on the images it was tested on or on others."""

from pathlib import Path

import numpy as np

from graft.configuration.schema import Config
from graft.data import SampleData, Splits
from graft.data.model_classes import in_order_of
from graft.data.splits import to_test
from graft.data.views import views
from graft.errors import GraftError
from graft.evaluation.assessment import Metrics
from graft.evaluation.fall import fall, told_fall
from graft.models import load_bundle
from graft.models.wise_ft import move_towards_source
from graft.reporting.few import few_errors
from graft.runs import RunFolder
from graft.runs.bundles import is_crossval
from graft.runs.files import write_csv, write_json
from graft.runs.recorded import trusted_config
from graft.runs.seen import Seen, counted, told
from graft.sources.opening import open_for_model
from graft.sources.recognition import Known, anywhere, in_place
from graft.training.averaging import averaged, gained, told_gain
from graft.training.checks import check_calibration, check_device
from graft.training.mixed_statistics import images_of_run, take_anew
from graft.training.testing import (
    calibrate,
    calibration_line,
    loading_for,
    make_tester,
    run_test,
    show_test,
    tested_module,
    write_test,
)
from graft.training.unknown import able, test_on_unknown


def run(config: Config, path: Path, overrides: list[str]) -> Metrics:
    """Test the model of `config["run"]` and write metrics, predictions and figures to `path`.

    Returns:
        The metrics, `test/accuracy` and so on.

    Raises:
        GraftError: there is no model, its data cannot be had, or the classes are others.
    """
    check_device(config["accelerator"], key="accelerator")
    bundle = load_bundle(config["run"], config["trust"])
    unfit: list[str] = []
    if (alpha := config["wise_ft"]["alpha"]) is not None:
        unfit = move_towards_source(bundle, config["run"], alpha)
        if alpha != 1 and bundle.temperature != 1 and not config["calibrate"]:
            print(
                "the temperature was fitted to other weights, so it is left out; calibrate=true fits it anew"
            )
            bundle.temperature = 1.0
        if alpha != 1:
            # What was fitted to features and logits of other weights says nothing of these.
            bundle.known = None
    others = views(config["tta"], bundle.preprocessing) if config["tta"] else []
    if (unknown := config["unknown"]) is not None:
        able(bundle, unknown, alpha)
    saved = trusted_config(config["run"], config["trust"])
    _, opened = open_for_model(config["run"], config.get("data"), saved, bundle.levels)
    data = in_order_of(opened, bundle.class_names)
    splits, roles, notes = known_images(config, data, bundle.seen)
    splits = Splits({**splits.indices, "all": np.arange(len(data.samples))}, splits.rule)
    loading = loading_for(bundle, data, splits, config["batch_size"], config["num_workers"])
    if not len(splits[config["split"]]):
        raise GraftError(f"split={config['split']}: there are no such {data.kind.plural} ({splits.rule})")
    tested = splits[config["split"]]
    counts = counted(roles.get(int(index)) for index in tested) if roles or bundle.seen is not None else {}
    testing = f"testing {config['split']}: {len(tested)} {data.kind.plural}"
    warned = told(counts, f"these {len(tested):,} {data.kind.plural}")
    print("\n".join([f"{splits.describe()}; {testing}", *data.notes, *notes, *([warned] if warned else [])]))

    if unfit:
        moved = config.get("data") is not None
        trained_on = images_of_run(config["run"], saved, bundle, loading) if moved else loading
        print(f"wise_ft: {take_anew(bundle, unfit, trained_on, config['accelerator'])}")
    folder = RunFolder(path)
    if config["calibrate"]:
        check_calibration(config["split"], splits)
        validator = make_tester(bundle, config["accelerator"], path)
        calibrate(bundle, run_test(validator, tested_module(bundle), loading.ordered_loader("val")))
    tester = make_tester(bundle, config["accelerator"], path)
    plain = run_test(tester, tested_module(bundle), loading.ordered_loader(config["split"]))
    seen = [plain]
    for view in others:
        loading.evaluation = view  # type: ignore[assignment]
        seen.append(run_test(tester, tested_module(bundle), loading.ordered_loader(config["split"])))
    result = averaged(seen) if others else plain
    temperature = bundle.temperature if config["calibrate"] or bundle.temperature != 1 else None
    metrics = write_test(folder, result, data, temperature, bundle.known)
    metrics |= gained(plain, result, "tta") if others else {}
    metrics |= counts | ({} if alpha is None else {"wise_ft/alpha": alpha})
    # Of other samples, how much worse it does there than where it was tested.
    own = {} if config.get("data") is None else RunFolder(config["run"]).metrics
    metrics |= fall(own, metrics)
    if unknown is not None:
        sizes = {key: config[key] for key in ("batch_size", "num_workers")}
        on_unknown = test_on_unknown(bundle, unknown, saved, tester, result, **sizes)
        write_csv(path / "unknown.csv", on_unknown.rows)
        metrics |= on_unknown.metrics
        print("\n".join(on_unknown.notes))
    write_json(folder.metrics_file, metrics)
    show_test(metrics, config["split"])
    if few := few_errors(metrics):
        print(few)
    if others:
        print(told_gain(metrics, "tta", "the plain image alone"))
    if line := told_fall(own, metrics):
        print(line)
    if temperature is not None:
        print(calibration_line(metrics))
    print(path)
    return metrics


def known_images(config: Config, data: SampleData, seen: Seen | None) -> Known:
    """What each image is for: in the run's own data as it recorded, in any other as far as it is known."""
    folder = RunFolder(config["run"])
    if config.get("data") is None and not is_crossval(folder.path):
        return in_place(folder, data, seen, config["split"])
    return anywhere(folder, data, seen, lambda: to_test(data))
