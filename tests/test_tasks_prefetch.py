"""Batches that are sent ahead: the same numbers, in time, and no buffer overwritten on its way."""

import contextlib
import threading
import time

import pytest
import torch

from tasks import backbones, prefetch, training
from tasks.batches import Batches
from tasks.methods.method import Method
from tasks.prefetch import CudaLane, Feed
from tasks.training import Recipe, Run
from tasks.transfer import Transfer


class FakeCuda:
    """What `CudaLane` asks of `torch.cuda`: copies "finish" when their event is waited for."""

    def __init__(self):
        self.log, self.lock = [], threading.Lock()
        fake = self

        class Event:
            def __init__(self):
                self.number = fake.note("event")

            def record(self, stream):
                fake.note(("record", self.number, stream))

            def synchronize(self):
                fake.note(("synchronize", self.number))

        class Current:
            def wait_event(self, event):
                fake.note(("wait", event.number))

        self.Event, self.Stream = Event, lambda device: f"stream of {device}"
        self.current = Current()

    def note(self, what):
        with self.lock:
            self.log.append(what)
            return len(self.log)

    def stream(self, stream):
        self.note(("on", stream))
        return contextlib.nullcontext()

    def current_stream(self, device):
        return self.current


@pytest.fixture
def fake(monkeypatch):
    # The CPU has no streams to remember for a tensor.
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: None)
    return FakeCuda()


class LateCuda(FakeCuda):
    """Copies that are not done before somebody waits for their event, as on a busy GPU.

    Until then the copy holds noise, and what it reads is whatever the buffer holds by then.
    """

    def __init__(self, monkeypatch):
        super().__init__()
        self.under_way, self.local = {}, threading.local()
        fake, copy = self, torch.Tensor.copy_

        def late(target, source, non_blocking=False):
            if not non_blocking:
                return copy(target, source)
            assert fake.local.on, "copied on the stream that computes"
            fake.local.begun.append(lambda: copy(target, source))
            return copy(target, torch.full_like(target, 77))

        monkeypatch.setattr(torch.Tensor, "copy_", late)
        record, event = self.Event.record, self.Event

        def recorded(self, stream):
            record(self, stream)
            with fake.lock:
                fake.under_way[self.number] = fake.local.begun

        event.record = recorded
        waited = type(self.current).wait_event

        def wait_event(self, event):
            waited(self, event)
            fake.finish(event.number)

        type(self.current).wait_event = wait_event
        synchronized = event.synchronize

        def synchronize(self):
            synchronized(self)
            fake.finish(self.number)

        event.synchronize = synchronize

    def finish(self, number):
        # Whoever else waits for the event goes on once the copies are done, not while they are made.
        with self.lock:
            for begun in self.under_way.pop(number, []):
                begun()

    @contextlib.contextmanager
    def stream(self, stream):
        self.local.on, self.local.begun = True, []
        yield
        self.local.on = False


def transfer_of(count=90):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8)
    labels = torch.arange(count) % 3
    rows = torch.arange(count)
    seed = lambda *names: sum(map(ord, repr(names)))  # noqa: E731
    return Transfer(None, images, labels, rows, rows[:0], 3, (), True, "cpu", seed)


def batches(transfer, size=16, drop_last=False):
    return Batches(transfer.labels, transfer.train, size, transfer.seed, drop_last=drop_last).batch


def test_each_batch_is_the_one_that_would_have_been_gathered(fake):
    transfer = transfer_of()
    feed = Feed(batches(transfer), transfer, CudaLane("cpu", fake, pin=False), 40)
    plain = batches(transfer)
    taken = []
    for number in range(40):
        rows = feed.batch(number)
        assert rows.tolist() == plain(number).tolist()
        taken.append((rows, feed.take(rows)))
    # All at the end: later batches went through the same buffers, and changed none of these.
    for rows, (images, labels) in taken:
        assert torch.equal(images, transfer.images[rows])
        assert torch.equal(labels, transfer.labels[rows])


def test_the_current_stream_waits_for_the_copy_before_it_uses_a_batch(fake):
    transfer = transfer_of()
    feed = Feed(batches(transfer), transfer, CudaLane("cpu", fake, pin=False), 20)
    for number in range(20):
        feed.take(feed.batch(number))
    recorded = {what[1]: place for place, what in enumerate(fake.log) if what[0] == "record"}
    waited = {what[1]: place for place, what in enumerate(fake.log) if what[0] == "wait"}
    assert len(waited) == len(recorded) == 20
    assert all(recorded[number] < waited[number] for number in waited)


def test_a_buffer_is_not_filled_before_its_latest_copy_is_done(fake):
    """There are DEPTH + 1 buffers: each send beyond that many waits for an earlier copy."""
    transfer = transfer_of()
    lane = CudaLane("cpu", fake, pin=False)
    for number in range(10):
        lane.send(transfer.images, transfer.labels, torch.arange(number, number + 4))
    assert sum(what[0] == "synchronize" for what in fake.log) == 10 - (prefetch.DEPTH + 1)


@pytest.fixture
def late(monkeypatch):
    seen = []
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: seen.append(stream))
    cuda = LateCuda(monkeypatch)
    cuda.seen = seen
    return cuda


def test_copies_that_take_long_bring_the_right_images(late):
    """Waiting for too little would show noise, or the images of a later batch."""
    transfer = transfer_of()
    feed = Feed(batches(transfer), transfer, CudaLane("cpu", late, pin=False), 40)
    for number in range(40):
        rows = feed.batch(number)
        images, labels = feed.take(rows)
        assert torch.equal(images, transfer.images[rows])
        assert torch.equal(labels, transfer.labels[rows])
    # The memory of images and labels stays with the stream that computes on them.
    assert late.seen == [late.current] * 80


def test_more_batches_than_buffers_are_each_what_was_gathered(late):
    """The fifth is gathered into the first one's buffer, whose copy has to be done by then."""
    transfer = transfer_of()
    lane = CudaLane("cpu", late, pin=False)
    rows = [torch.arange(number, number + 4) for number in range(3 * prefetch.DEPTH)]
    sent = [lane.send(transfer.images, transfer.labels, own) for own in rows]
    for own, one in zip(rows, sent, strict=True):
        assert torch.equal(lane.arrived(one)[0], transfer.images[own])


def test_batches_that_nobody_takes_hold_no_buffer_up(late):
    """A run that jumps ahead, as one that goes on from a saved state."""
    transfer = transfer_of()
    feed = Feed(batches(transfer), transfer, CudaLane("cpu", late, pin=False), 400)
    for number in range(0, 400, 7):
        rows = feed.batch(number)
        assert torch.equal(feed.take(rows)[0], transfer.images[rows])


def test_buffers_are_pinned_and_used_again(fake, monkeypatch):
    asked, empty = [], torch.empty

    def noted(*shape, pin_memory=False, **other):
        if "device" not in other:
            asked.append(pin_memory)
        return empty(*shape, **other)

    monkeypatch.setattr(torch, "empty", noted)
    transfer = transfer_of()
    lane = CudaLane("cpu", fake)
    for number in range(20):
        lane.send(transfer.images, transfer.labels, torch.arange(number, number + 4))
    # For images and labels of each of the DEPTH + 1 buffers, and no more.
    assert asked == [True] * 2 * (prefetch.DEPTH + 1)


class Slow:
    """A lane on the host that takes its time, and says when batches were sent."""

    def __init__(self):
        self.sent = []

    def send(self, images, labels, rows):
        self.sent.append(time.perf_counter())
        time.sleep(0.02)
        return images[rows], labels[rows]

    def arrived(self, sent):
        return sent


def test_the_next_batches_are_under_way_while_the_step_runs():
    transfer, lane = transfer_of(), Slow()
    feed = Feed(batches(transfer), transfer, lane, 12)
    feed.take(feed.batch(0))
    # Nobody asks for them; they are sent nevertheless, and no further ones.
    deadline = time.monotonic() + 60
    while len(lane.sent) < prefetch.DEPTH + 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(lane.sent) == prefetch.DEPTH + 1
    feed.take(feed.batch(prefetch.DEPTH))
    assert feed._sent.keys() == set(range(prefetch.DEPTH, 2 * prefetch.DEPTH + 1))


def test_nothing_is_sent_beyond_the_end_or_for_some_classes_alone():
    transfer, lane = transfer_of(), Slow()
    feed = Feed(batches(transfer), transfer, lane, 2)
    rows = feed.batch(0, [1, 2])
    assert set(transfer.labels[rows].tolist()) == {1, 2}
    assert torch.equal(feed.take(rows)[0], transfer.images[rows])
    assert lane.sent == []
    for number in range(2):
        feed.take(feed.batch(number))
    assert len(lane.sent) == 2


def test_an_error_of_a_thread_reaches_the_training():
    class Broken:
        def send(self, images, labels, rows):
            raise OSError("the disk is gone")

        def arrived(self, sent):
            return sent

    transfer = transfer_of()
    feed = Feed(batches(transfer), transfer, Broken(), 2)
    with pytest.raises(OSError, match="the disk is gone"):
        feed.take(feed.batch(0))


def trained(transfer):
    torch.manual_seed(1)
    model = backbones.build("lenet_bn", 3, 16, 3)
    recipe = Recipe(
        epochs=2,
        steps_per_epoch=5,
        batch_size=16,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=0.0,
        augmentation="flip_crop",
    )
    run = Run(model, transfer, Method(), recipe)
    loss = [float(run.advance(0, 5)), float(run.advance(5, 10))]
    return loss, model.state_dict()


def test_training_through_a_feed_has_the_same_numbers_bit_for_bit(fake, monkeypatch):
    plain = trained(transfer_of())
    used = []

    def feed_of(batch, transfer, steps):
        used.append(Feed(batch, transfer, CudaLane("cpu", fake, pin=False), steps))
        return used[-1]

    monkeypatch.setattr(training, "feed_of", feed_of)
    fed = trained(transfer_of())
    assert len(used) == 1
    assert sum(what[0] == "wait" for what in fake.log) == 10
    assert fed[0] == plain[0]
    assert all(torch.equal(fed[1][name], plain[1][name]) for name in plain[1])


def test_a_run_on_the_cpu_has_no_feed():
    assert prefetch.feed_of(None, transfer_of(), 3) is None
