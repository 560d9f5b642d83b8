"""The model card tells whoever meets the weights alone what they are."""

import pytest

from graft.reporting import model_card

CONFIG = {
    "name": "simple_cnn-full",
    "seed": 7,
    "data": {"_target_": "graft.sources.digits", "batch_size": 32},
    "backbone": {"_target_": "graft.backbones.simple_cnn", "weights": None},
    "freeze": {"_target_": "graft.freezing.Full"},
}
METRICS = {
    "test/accuracy": 0.98765,
    "test/accuracy_ci": [0.97123, 1.0],
    "test/f1_macro": 1.0,
    "test/auroc": None,
    "test/auroc_ci": None,
    "epoch": 3,
    "trainable_parameters": 12345,
}


def lines(config=CONFIG, names=("cat", "dog"), metrics=METRICS):
    return model_card(config, list(names), metrics).splitlines()


def test_it_says_what_the_model_is_and_where_it_came_from():
    card = lines()
    assert card[0] == "# simple_cnn-full"
    assert "An image classifier with 2 classes: cat, dog." in card
    assert "- Backbone: graft.backbones.simple_cnn, starting weights: none (trained from scratch)" in card
    assert "- Data: digits" in card
    assert "- Seed: 7" in card
    assert any(line.startswith("- What trained: Full") for line in card)


def test_a_named_backbone_and_its_weights_are_named():
    backbone = {"_target_": "graft.backbones.torchvision", "name": "resnet18", "weights": "IMAGENET1K_V1"}
    assert "- Backbone: resnet18, starting weights: IMAGENET1K_V1" in lines({**CONFIG, "backbone": backbone})


def test_a_folder_of_images_is_named():
    data = {"_target_": "graft.sources.image_folder", "root": "photos/2026"}
    assert "- Data: photos/2026" in lines({**CONFIG, "data": data})


def test_the_table_holds_the_metrics_it_was_given():
    card = lines()
    head = card.index("| metric | value | 95 % interval |")
    assert card[head + 1] == "|---|---|---|"
    rows = card[head + 2 : card.index("", head)]
    assert "| test/accuracy | 0.9877 | 0.9712 to 1.0000 |" in rows
    assert "| test/f1_macro | 1.0000 |  |" in rows
    assert all(row.count("|") == 4 for row in rows)
    assert "auroc" not in str(rows)


def test_few_errors_are_said():
    card = lines(metrics={**METRICS, "test/errors": 3})
    assert "3 errors: the interval rests on few." in card
    assert not any("test/errors" in line for line in card)
    assert "rests on few" not in str(lines(metrics={**METRICS, "test/errors": 12}))


@pytest.mark.parametrize(
    ("count", "end"), [(20, "c18, c19."), (21, "c18, c19 and 1 more."), (100, "c18, c19 and 80 more.")]
)
def test_of_many_classes_some_are_named_and_the_others_counted(count, end):
    (line,) = (line for line in lines(names=[f"c{i}" for i in range(count)]) if "classifier" in line)
    assert line.startswith(f"An image classifier with {count} classes: c0, c1, ")
    assert line.endswith(end)


def test_the_python_in_it_is_python():
    card = "\n".join(lines())
    code = card.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert "graft.load(" in code


def test_it_ends_in_a_line_break():
    assert model_card(CONFIG, ["cat", "dog"], METRICS).endswith("\n")


def test_samples_of_other_kinds_are_called_what_they_are():
    card = model_card(CONFIG, ["yes", "no"], METRICS, "text", "texts")
    assert "A text classifier with 2 classes: yes, no." in card
    assert "print(model.predict(text)[0].label)" in card
    assert "image" not in card
