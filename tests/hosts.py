"""Stand-ins for the machines of a cluster: `ssh` and `rsync` reach folders of this machine, and write down what they were asked for.

A host is a folder, the home of its user, in which what ssh brings is run by a real bash. The programs that a node
would install or start (uv, ray, tmux, htsweep) are stand-ins as well, which write down how they were called: nothing is
downloaded, and no Ray starts or stops.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SSH = """\
name, given = os.path.basename(sys.argv[0]), sys.argv[1:]
root = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))

def home(target):
    user, _, host = target.rpartition("@")
    folder = os.path.join(root, "hosts", host)
    if not os.path.isdir(folder):
        os.makedirs(folder)
        with open(os.path.join(folder, ".bashrc"), "w") as file:
            file.write(f"PATH={root}/installed:/usr/bin:/bin\\n")
    return user, host, folder

def say(**what):
    with open(os.path.join(root, "said"), "a") as file:
        file.write(json.dumps(what) + "\\n")

options, words = [], []
while given:
    word = given.pop(0)
    if words and name == "ssh":
        words.append(word)
    elif word in ("-i", "-o", "-L", "--rsh", "--exclude", "--filter"):
        options.append([word, given.pop(0)])
    elif word.startswith("-"):
        options.append([word, ""])
    else:
        words.append(word)

if name == "ssh":
    user, host, folder = home(words[0])
    say(by="ssh", host=host, user=user, options=options, command=" ".join(words[1:]))
    if any(option == "-L" for option, _ in options):
        sys.exit(0)
    os.chdir(folder)
    own = {"HOME": folder, "USER": user, "PATH": "/usr/bin:/bin", "SHELL": "/bin/bash"}
    os.execve("/bin/bash", ["bash", "-c", " ".join(words[1:])], own)

source, target = words
here, _, there = target.partition(":")
user, host, folder = home(here)
say(by="rsync", host=host, user=user, options=options, source=source, target=there)
there = os.path.join(folder, there.removeprefix("~/"))
if not os.path.isdir(source):
    if os.path.isdir(there):
        there = os.path.join(there, os.path.basename(source))
    shutil.copy(source, there)
else:
    if not source.endswith("/"):
        there = os.path.join(there, os.path.basename(source))
    left = [value for option, value in options if option == "--exclude"]
    shutil.copytree(source, there, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*left))
"""
INSTALLED = """\
name, words, at = os.path.basename(sys.argv[0]), sys.argv[1:], os.path.expanduser("~")
shown = ("RAY_AUTH_MODE", "RAY_HEAD_IP", "RAY_OVERRIDE_RESOURCES", "RAY_enable_autoscaler_v2",
         "RAY_NODE_TYPE_NAME", "PIP_BREAK_SYSTEM_PACKAGES")
with open(os.path.join(ROOT, "said"), "a") as file:
    settings = {one: os.environ[one] for one in shown if one in os.environ}
    file.write(json.dumps({"by": "host", "host": os.path.basename(at), "program": name,
                           "words": words, "at": os.getcwd(), "settings": settings}) + "\\n")

def install(folder, *names):
    os.makedirs(folder, exist_ok=True)
    for one in names:
        shutil.copy(os.path.join(ROOT, "installed", "uv"), os.path.join(folder, one))

if name == "pip" or (name == "python3" and settings.get("PIP_BREAK_SYSTEM_PACKAGES") != "1"):
    sys.exit("error: externally-managed-environment")  # as on Debian 12 and Ubuntu 24.04
elif name == "python3" and words[-1] == "uv":
    install(os.path.join(at, ".local/bin"), "uv")
elif name == "uv" and words[0] == "sync":
    if not (os.path.exists("uv.lock") and os.path.exists("pyproject.toml")):
        sys.exit("uv: there is no project here")
    install(os.path.join(os.getcwd(), ".venv/bin"), "python", "ray", "htsweep")
elif name == "tmux":
    os.execvp("bash", ["bash", "-c", words[-1].removesuffix("; exec bash")])
elif name == "ray" and ".venv" not in sys.argv[0]:
    sys.exit("ray: command not found")
"""
"""What a host has before anything was installed: a Python that its system keeps pip out of, tmux, and no Ray."""


@dataclass(frozen=True)
class Hosts:
    """Machines that `ssh` of the folder `programs` reaches, and a home to call it from."""

    root: Path

    @classmethod
    def made(cls, root: Path) -> Hosts:
        """No machine yet: each is there once it is called."""
        for folder in ("programs", "installed", "home/.ssh", "hosts", "tmp"):
            (root / folder).mkdir(parents=True)
        head = f"#!{sys.executable} -IS\nimport json, os, shutil, sys\nROOT = {str(root)!r}\n"
        programs = [("programs", name, SSH) for name in ("ssh", "rsync")]
        programs += [
            ("installed", name, INSTALLED) for name in ("python3", "pip", "uv", "tmux", "ray")
        ]
        for folder, name, text in programs:
            file = root / folder / name
            file.write_text(head + text)
            file.chmod(0o755)
        return cls(root)

    def home(self, host: str = "") -> Path:
        """The home folder of the user there; "": of the one who calls."""
        return self.root / "hosts" / host if host else self.root / "home"

    def variables(self, home: Path, more: Mapping[str, str]) -> dict[str, str]:
        """The environment of a process whose `ssh` reaches these hosts."""
        path = f"{self.root / 'programs'}:{Path(sys.executable).parent}:/usr/bin:/bin"
        temporary = str(self.root / "tmp")
        return {
            "HOME": str(home),
            "PATH": path,
            "USER": "tester",
            "LANG": "C.UTF-8",
            "TMPDIR": temporary,
            "RAY_TMPDIR": temporary,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_UP_enable_autoscaler_v2": "1",
            **more,
        }

    def run(self, line: str, at: Path, more: Mapping[str, str], home: Path | None = None) -> str:
        """What a line of shell prints, which must end well."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=at,
            env=self.variables(home or self.home(), more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
            # Ray asks for interactive shells, which would take the terminal of the tests.
            start_new_session=True,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return done.stdout

    def said(self, **wanted: Any) -> list[dict[str, Any]]:
        """What was asked of the hosts so far, in its order, by these values."""
        file = self.root / "said"
        lines = file.read_text().splitlines() if file.exists() else []
        return [
            one
            for one in map(json.loads, lines)
            if all(one.get(key) == value for key, value in wanted.items())
        ]

    def commands(self, host: str) -> list[str]:
        """What Ray ran by ssh on a host, without what it puts around each command."""
        return [_bare(one["command"]) for one in self.said(by="ssh", host=host)]


def _bare(command: str) -> str:
    words = shlex.split(command)
    if words[:2] != ["bash", "--login"]:
        return command
    _, _, inner = words[-1].partition(" && (")
    return inner.removesuffix(")")
