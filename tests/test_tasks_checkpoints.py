"""Weights in files: found by name wherever they lie, never by position; refused in words that name the file."""

import argparse
import os
import pathlib
import re

import checkpointed
import numpy as np
import pytest
import timm
import torch
from checkpointed import equal, under

from tasks import backbones, cache, checkpoints, timm_models, weights

NAME = "test_resnet"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return timm.create_model(NAME).eval()


@pytest.fixture
def state(model):
    return dict(model.state_dict())


@pytest.fixture
def saved(tmp_path):
    return checkpointed.saved(tmp_path)


def other(state):
    """The same names, other values."""
    return {name: tensor + 1 for name, tensor in state.items()}


WRAPPED = {
    "as it is": (lambda state: state, ""),
    "model": (lambda state: {"model": state, "epoch": 3}, "'model'"),
    "state_dict": (lambda state: {"state_dict": state}, "'state_dict'"),
    "module": (lambda state: under("module.", state), "'module'"),
    "module in state_dict": (
        lambda state: {"state_dict": under("module.", state)},
        "'state_dict.module'",
    ),
    "backbone of a teacher": (
        lambda state: {
            "teacher": under("backbone.", state) | {"head.last.weight": torch.ones(3)},
            "student": under("module.backbone.", other(state)),
        },
        "'teacher.backbone'",
    ),
    "encoder": (
        lambda state: {
            "state_dict": under("module.encoder_q.", state) | {"module.queue": torch.ones(3)}
        },
        "'state_dict.module.encoder_q'",
    ),
    "of Lightning": (
        lambda state: {"state_dict": under("model.", state), "epoch": 2},
        "'state_dict.model'",
    ),
    "averaged beside not": (
        lambda state: {"state_dict": other(state), "state_dict_ema": state},
        "rather than 'state_dict'",
    ),
    "model_ema beside model": (
        lambda state: {"model": other(state), "model_ema": state},
        "'model_ema'",
    ),
    "beside an optimizer and arguments": (
        lambda state: {
            "model": state,
            "optimizer": {
                "state": {0: {"exp_avg": torch.ones(3)}},
                "param_groups": [{"lr": 0.1, "params": [0]}],
            },
            "args": argparse.Namespace(lr=0.1, path=pathlib.PosixPath("/x")),
            "best": np.float64(0.7),
            "epoch": 3,
        },
        "'model'",
    ),
    "without batch norm's counts": (
        lambda state: {name: one for name, one in state.items() if "num_batches" not in name},
        "",
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_weights_are_found_wherever_they_lie(model, state, saved, name):
    wrap, said = WRAPPED[name]
    fit = checkpoints.fit(model, saved(wrap(state)))
    assert all(
        torch.equal(fit.state[key], tensor) for key, tensor in state.items() if key in fit.state
    )
    assert {key for key in state if key not in fit.state} <= {
        key for key in state if key.endswith("num_batches_tracked")
    }
    assert said in fit.said
    assert bool(said) == bool(fit.said)
    assert not fit.headless


@pytest.mark.parametrize("kind", ["safetensors", "pt", "of old torch", "half"])
def test_each_format_is_read(model, state, tmp_path, saved, kind):
    if kind == "safetensors":
        from safetensors.torch import save_file

        file = tmp_path / "w.safetensors"
        save_file(state, file)
    elif kind == "half":
        file = saved(
            {
                name: tensor.half() if tensor.is_floating_point() else tensor
                for name, tensor in state.items()
            }
        )
        loaded = backbones.pretrained(NAME, 32, str(file)).state_dict()
        assert all(tensor.dtype != torch.float16 for tensor in loaded.values())
        return
    else:
        file = saved(state, "w.pt", _use_new_zipfile_serialization=kind == "pt")
    assert equal(checkpoints.fit(model, file), state)


def test_order_decides_nothing(model, state, saved):
    """Tensors of equal shapes in the model's own order, whose names are others'; once they were taken."""
    names = iter(range(len(state)))
    with pytest.raises(
        checkpoints.Misfit, match=r"it lacks .*, .* and more; it has others: layer_0"
    ):
        checkpoints.fit(
            model, saved({f"layer_{next(names)}.x": tensor for tensor in state.values()})
        )
    assert equal(checkpoints.fit(model, saved(dict(reversed(state.items())))), state)


def test_two_norms_that_changed_names_change_places(model, state, saved):
    """Equal shapes under each other's names are what the names say."""
    a, b = "layer1.0.bn1.weight", "layer1.0.bn1.bias"
    swapped = {**state, a: state[b], b: state[a]}
    assert equal(checkpoints.fit(model, saved(swapped)), swapped)


def test_a_head_for_other_classes_is_told_with_shapes(model, saved):
    file = saved(timm.create_model(NAME, num_classes=31).state_dict(), "other.pth")
    with pytest.raises(
        ValueError,
        match=r"other\.pth does not fit test_resnet: fc\.weight is \[31, \d+\] in the file, and "
        r"\[1000, \d+\] was expected, .*number of classes: take these tensors out of the file",
    ):
        backbones.pretrained(NAME, 32, str(file))


def test_without_a_head_the_rest_is_taken(model, state, saved):
    headless = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    file = saved({"model": headless})
    fit = checkpoints.fit(model, file)
    assert fit.headless
    assert fit.said == "taken from 'model' in the file; the file has no classifier"
    loaded = backbones.pretrained(NAME, 32, str(file))
    assert loaded.head.out_features == 0
    assert torch.equal(
        loaded.backbone[1].state_dict()["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"]
    )
    assert not backbones.classifier(NAME, str(file), 32)
    assert backbones.classifier(NAME, "")


def test_half_a_head_is_none(model, state, saved):
    with pytest.raises(checkpoints.Misfit, match=r"it lacks fc\.bias"):
        checkpoints.fit(
            model, saved({name: tensor for name, tensor in state.items() if name != "fc.bias"})
        )


def test_a_longer_model_is_another_one(saved):
    """All names and shapes of ResNet-50 are in ResNet-101."""
    long, short = (timm.create_model(name).state_dict() for name in ("resnet101", "resnet50"))
    assert all(long[name].shape == tensor.shape for name, tensor in short.items())
    with pytest.raises(
        checkpoints.Misfit,
        match=r"does not fit resnet50: .* extra tensors in parts that .*, such as layer3\.6",
    ):
        checkpoints.fit(timm.create_model("resnet50"), saved(long))


def test_a_decoder_beside_is_left_out(model, state, saved):
    file = saved(
        {"model": {**state, "decoder.0.weight": torch.ones(3), "mask_token": torch.ones(3)}}
    )
    fit = checkpoints.fit(model, file)
    assert equal(fit, state)
    assert "not used: 2 tensors such as decoder.0.weight, mask_token" in fit.said


def test_two_copies_of_which_none_is_preferred_are_refused(model, state, saved):
    with pytest.raises(
        checkpoints.Misfit,
        match=r"holds the backbone 2 times, under 'a\.' and 'b\.'; save one of them",
    ):
        checkpoints.fit(model, saved({"a": state, "b": other(state)}))


def test_values_that_are_no_numbers_are_refused(model, state, saved):
    name = next(iter(state))
    with pytest.raises(
        checkpoints.Misfit,
        match=re.escape(f"not finite (NaN or infinity) in 1 tensors, such as {name}"),
    ):
        checkpoints.fit(model, saved({**state, name: state[name] * float("nan")}))


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/never",)


DAMAGED = {
    "empty": (lambda file: file.write_bytes(b""), r"is empty \(0 bytes\)"),
    "git-lfs": (
        lambda file: file.write_bytes(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n"
        ),
        "git-lfs",
    ),
    "HTML": (lambda file: file.write_bytes(b"<!DOCTYPE html><html>404</html>"), "an HTML page"),
    "text": (lambda file: file.write_text("no weights at all"), "no checkpoint"),
    "cut short": (
        lambda file: (torch.save({"a": torch.ones(9999)}, file), os.truncate(file, 20_000)),
        "cut short or no",
    ),
    "with code": (
        lambda file: torch.save({"a": torch.ones(3), "b": Evil()}, file),
        r"asks Python to run posix\.system, which a file of weights need not do.*state_dict\(\) alone",
    ),
    "a whole model": (
        lambda file: torch.save(timm.create_model(NAME), file),
        r"asks Python to run timm\..*state_dict\(\)",
    ),
    "a list": (lambda file: torch.save([torch.ones(3)], file), "holds no tensors by name"),
    "no tensors": (lambda file: torch.save({"epoch": 3}, file), "holds no tensors by name"),
}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_told_by_name(model, tmp_path, kind, suffix):
    make, said = DAMAGED[kind]
    file = tmp_path / f"w{suffix}"
    make(file)
    with pytest.raises(checkpoints.Misfit, match=said) as error:
        checkpoints.fit(model, file)
    assert str(file) in str(error.value).splitlines()[0]
    assert weights.problem(NAME, str(file), 32) == str(error.value)
    assert not pathlib.Path("/tmp/never").exists()


@pytest.mark.parametrize("held", [b"", b"nothing", b"\x10\0\0\0\0\0\0\0{}"])
def test_damaged_safetensors_are_told_by_name(model, tmp_path, held):
    (tmp_path / "w.safetensors").write_bytes(held)
    with pytest.raises(checkpoints.Misfit, match=r"w\.safetensors is (empty|cut short)"):
        checkpoints.fit(model, tmp_path / "w.safetensors")


def test_plan_sets_a_file_against_a_backbone_once(state, saved, monkeypatch, tmp_path):
    monkeypatch.setenv("HTSWEEP_CACHE", str(tmp_path / "cache"))
    file = saved({"model": state})
    assert weights.problem(NAME, str(file), 32) is None
    monkeypatch.setattr(timm_models, "whole", lambda *_: pytest.fail("built twice"))
    file.rename(tmp_path / "elsewhere.pth")
    assert weights.problem(NAME, str(tmp_path / "elsewhere.pth"), 32) is None
    (said,) = weights.notes(NAME, str(tmp_path / "elsewhere.pth"), 32)
    assert said == f"{tmp_path}/elsewhere.pth: taken from 'model' in the file"


def test_an_answer_is_for_a_content(state, saved, monkeypatch, tmp_path):
    monkeypatch.setenv("HTSWEEP_CACHE", str(tmp_path / "cache"))
    file = saved(state)
    before = weights.meaning(str(file))
    assert weights.problem(NAME, str(file), 32) is None
    saved({name: tensor for name, tensor in state.items() if "layer" not in name})
    from tasks.data import contents

    contents.forget()
    assert "it lacks layer1" in weights.problem(NAME, str(file), 32)
    assert weights.meaning(str(file)) != before
    assert cache.place() == tmp_path / "cache"
