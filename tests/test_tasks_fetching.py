"""Weights that timm fetches: once, before trials run, and in words where they cannot be had."""

import socket
import urllib.request
from types import SimpleNamespace

import pytest

import htsweep
from htsweep.errors import HtsweepError
from htsweep.planning.reading import read
from tasks import fetching
from tasks.holistic_transfer import holistic_transfer

STUDY = """\
task: holistic_transfer
grid: {dataset: [mnist-uci], backbone: [resnet18, test_vit], method: [plain, l2sp]}
fixed: {weights: timm, image_size: 64}
repetitions: 2
"""


@pytest.fixture
def unplugged(monkeypatch, tmp_path):
    """A machine without network or weights; the hosts that are asked for."""
    asked = []

    def refuse(host, timeout):
        asked.append((host, timeout))
        raise urllib.error.URLError(socket.gaierror("no such host"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(fetching, "is_here", lambda settings: False)
    return asked


def test_a_launch_without_network_says_so_once_and_starts_nothing(unplugged, study_file, tmp_path):
    study = read(study_file(STUDY))
    notes = []
    watch = SimpleNamespace(
        **dict.fromkeys(("started", "ended", "tick", "reported"), lambda *_: None),
        note=notes.append,
    )
    with pytest.raises(HtsweepError) as raised:
        htsweep.launch(
            study, on="inline", results=str(tmp_path / "results"), mirror=None, watch=watch
        )
    for name in ("resnet18", "test_vit"):
        assert f"timm's weights of {name}" in str(raised.value)
        assert sum(f"looking for timm's weights of {name}" in note for note in notes) == 1
    assert "cannot be reached: no such host; connect this machine" in str(raised.value)
    assert str(raised.value).endswith("Nothing was started.")
    assert len(unplugged) == 2, "each backbone is tried once, whatever needs it"
    assert len(htsweep.trials(study, str(tmp_path / "results"))) == 0


def test_what_is_here_is_not_asked_for(unplugged, monkeypatch):
    monkeypatch.setattr(fetching, "is_here", lambda settings: True)
    fetching.fetch("resnet18")
    assert unplugged == []


def test_what_lies_in_a_cache_is_here(monkeypatch, tmp_path):
    import huggingface_hub
    import torch

    held = {"timm/other": str(tmp_path / "model.safetensors")}
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda repo, name: held.get(repo)
    )
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def settings(**given):
        usual = {"file": None, "hf_hub_id": None, "hf_hub_filename": None, "url": ""}
        return SimpleNamespace(**{**usual, **given})

    assert fetching.is_here(settings(hf_hub_id="timm/other"))
    assert not fetching.is_here(settings(hf_hub_id="timm/lacking"))
    url = settings(url="https://host.example/weights.pth")
    assert not fetching.is_here(url)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "weights.pth").write_bytes(b"x")
    assert fetching.is_here(url)
    assert not fetching.is_here(settings())


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, []),
        ({"weights": "timm", "backbone": "resnet18"}, ["timm's weights of resnet18"]),
        ({"source": "timm", "backbone": "test_vit"}, ["timm's weights of test_vit"]),
        ({"weights": "efficientnet-lite0", "backbone": "tf_efficientnet_lite0"}, []),
    ],
)
def test_who_needs_what(config, wanted):
    resolved = holistic_transfer.resolve(config)
    assert list(holistic_transfer.fetched(resolved)) == wanted
