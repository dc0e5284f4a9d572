"""A lock that one process holds, others wait for, and no dead process keeps."""

import multiprocessing
import os
import signal

from tasks import locking


def _hold(path, there, leave):
    with locking.alone(path):
        there.set()
        leave.wait(30)


def test_another_process_waits_and_a_killed_holder_lets_go(tmp_path):
    context = multiprocessing.get_context("spawn")
    there, leave = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "lock", there, leave))
    holder.start()
    assert there.wait(30)
    waited = []

    def waiting():
        waited.append(holder.is_alive())
        os.kill(holder.pid, signal.SIGKILL)

    with locking.alone(tmp_path / "lock", waiting):
        holder.join(30)
        assert not holder.is_alive()
    assert waited == [True]


def test_a_free_lock_is_taken_without_waiting(tmp_path):
    waited = []
    for _ in range(2):
        with locking.alone(tmp_path / "lock", lambda: waited.append(1)):
            pass
    assert waited == []
