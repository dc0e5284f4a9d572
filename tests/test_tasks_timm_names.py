"""timm's names, as its source shows them, against what timm itself says."""

import timm
from timm.models import _registry

from tasks import backbones, timm_names
from tasks.holistic_transfer import holistic_transfer


def test_every_model_is_known():
    assert timm_names.models() == set(timm.list_models())


def test_every_old_name_is_known_with_its_new_one():
    assert timm_names.renamed() == _registry._deprecated_models
    assert all(
        backbones.canonical(old) == (new or old) for old, new in timm_names.renamed().items()
    )
    wrong = {old for old, new in timm_names.renamed().items() if new and backbones.problem(new)}
    # Timm 1.0 maps them to weights that are not there
    assert wrong <= {"vit_base_patch32_224_sam", "vit_base_patch16_224_sam"}
    assert all(".sam_in1k" in str(backbones.problem(backbones.canonical(old))) for old in wrong)


def test_names_of_weights_are_timm_s():
    """Not all are in the source as they are; those that are not are asked of timm."""
    theirs = {
        name: {tag.partition(".")[2] for tag in tags}
        for name, tags in _registry._model_with_tags.items()
    }
    ours = {
        name: set(tags) for name, tags in timm_names.tags().items() if name in timm_names.models()
    }
    assert all(tags <= theirs[name] for name, tags in ours.items())
    assert sum(len(tags) for tags in ours.values()) > 1500


def test_an_old_name_is_the_new_one_in_every_trial():
    """So that a study with either has the same ids."""
    old, new = (
        holistic_transfer.resolve({"backbone": name})
        for name in ("tv_resnet50", "resnet50.tv_in1k")
    )
    assert old == new
    assert old["backbone"] == "resnet50.tv_in1k"
    assert holistic_transfer.stages(old) == holistic_transfer.stages(new)
    assert not holistic_transfer.problems(old)
