"""Measuring a model on images that are sent ahead to a GPU: each answer is that for its image."""

import time

import pytest
import torch
from test_tasks_prefetch import LateCuda, Slow, transfer_of

from tasks import evaluation, prefetch
from tasks.prefetch import CudaLane


@pytest.fixture
def late(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: None)
    return LateCuda(monkeypatch)


class Counting:
    """A model that runs out of memory on more than `most` images."""

    def __init__(self, most):
        self.most = most

    def __call__(self, images):
        if len(images) > self.most:
            raise torch.OutOfMemoryError
        means = images.float().mean((2, 3))
        return means, 2 * means


@pytest.mark.parametrize("most", [1000, 7])
@pytest.mark.parametrize("some", [False, True])
def test_a_model_is_measured_on_images_that_are_sent_ahead(late, monkeypatch, most, some):
    """Copies take long, and a chunk may not fit: each answer is that for its own image."""
    images = transfer_of().images
    rows = torch.randperm(90)[:70].numpy() if some else None
    plain = evaluation.outputs(Counting(1000), images, "cpu", rows)
    monkeypatch.setattr(evaluation, "chunk_of", lambda *_: 16)
    monkeypatch.setattr(prefetch, "lane_of", lambda *_: CudaLane("cpu", late, pin=False))
    sent = evaluation.outputs(Counting(most), images, "cpu", rows)
    assert all((ours == theirs).all() for ours, theirs in zip(sent, plain, strict=True))
    assert any(what[0] == "wait" for what in late.log)


def test_the_next_chunks_are_under_way_while_a_model_answers():
    images, lane = transfer_of().images, Slow()
    chunks = prefetch.in_order(images, torch.arange(90), 10, lane)
    assert torch.equal(next(chunks), images[:10])
    deadline = time.monotonic() + 60
    while len(lane.sent) < prefetch.DEPTH + 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(lane.sent) == prefetch.DEPTH + 1
    assert torch.equal(torch.cat(list(chunks)), images[10:])
    assert len(lane.sent) == 9


def test_a_chunk_that_cannot_be_read_ends_the_measurement():
    class Broken(Slow):
        def send(self, images, labels, rows):
            if 50 in rows:
                raise OSError("the disk is gone")
            return super().send(images, labels, rows)

    chunks = prefetch.in_order(transfer_of().images, torch.arange(90), 10, Broken())
    with pytest.raises(OSError, match="the disk is gone"):
        list(chunks)


@pytest.mark.parametrize(("device", "there"), [("cpu", False), ("cuda:0", True)])
def test_only_images_on_the_host_have_a_way_to_a_gpu(monkeypatch, device, there):
    monkeypatch.setattr(prefetch, "CudaLane", lambda device: f"to {device}")
    images = transfer_of().images
    assert prefetch.lane_of(images, device) == (f"to {device}" if there else None)
