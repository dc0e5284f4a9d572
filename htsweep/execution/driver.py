"""The process between a launch and Ray: reads commands from one pipe, writes events to another.

A message is one line of JSON; htsweep/execution/ray.py is the other end. Ray ends the process that
uses it when its control store or its node is lost, which is why the launch itself does not use Ray.
The work with Ray is in htsweep/execution/tune.py, which is imported inside a function: if this Ray
lacks a part that it uses, the launch reports that as a message.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import Any

from htsweep.errors import HtsweepError, untested
from htsweep.execution.channel import Channel, Commands


def main(arguments: list[str] | None = None) -> int:
    """Has Ray run the work that the launch sends, until no more comes."""
    commands, events = map(int, sys.argv[1:] if arguments is None else arguments)
    channel, options = Channel(events), json.loads(os.environ["HTSWEEP_RAY"])
    work: Commands = queue.SimpleQueue()
    threading.Thread(target=_listen, args=[commands, work, channel], daemon=True).start()
    try:
        _place(work, channel, options)
    except HtsweepError as error:
        channel.send("refused", kind=type(error).__name__, text=str(error))
        return 2
    return 0


def _place(work: Commands, channel: Channel, options: dict[str, Any]) -> None:
    try:
        from htsweep.execution import tune
    except ImportError as error:
        raise untested("ray", error) from error
    except AttributeError as error:
        raise untested("ray", f"{getattr(error.obj, '__name__', 'ray')}.{error.name}") from error
    tune.serve(work, channel, options)


def _listen(commands: int, work: Commands, channel: Channel) -> None:
    """Passes commands on; if the launch is gone, ends this process, and Ray with it."""
    with os.fdopen(commands, encoding="utf-8") as lines:
        for line in lines:
            command = json.loads(line)
            if command["do"] == "run":
                work.put((command["trial"], command["work"]))
            elif command["do"] == "stop":
                # Tune ends its loop and its trials on this signal.
                os.kill(os.getpid(), signal.SIGUSR1)
            elif command["do"] == "probe":
                channel.probes.put(command["works"])
            elif command["do"] == "recall":
                channel.recalled.set()
            else:
                work.put(None)
                return
    os._exit(1)
