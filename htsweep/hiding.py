"""Takes secrets of this machine's environment out of text that others may read.

A trial's log and the reason of its failure go into results, into MLflow and into reports. What a
library prints, or puts into an exception, may hold a key that it took from the environment.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

SHORTEST = 8
"""A shorter value is no secret worth its name, and may be part of any word."""
_NAMES = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|ACCOUNT_?KEY|STORAGE_?KEY"
    r"|CREDENTIAL|AUTH_KEY|(?:^|_)(?:PWD|PW|SAS)$"
)
_NOT = re.compile(r"_(?:PATH|FILE|DIR|FOLDER|MODE|URL_PREFIX)$|^(?:OLD)?PWD$")
_IN_URI = re.compile(r"\b([a-zA-Z][\w+.-]*://[^\s/:@'\"]*):([^\s/@'\"]+)@")


def hidden(text: str, environment: Mapping[str, str] | None = None) -> str:
    """`text` with `[NAME]` for each value of a variable that is called a secret.

    Passwords in URIs (`scheme://user:password@host`) are replaced by `[password]`.

    Args:
        text: what others may read.
        environment: variable -> value; None: those of this process.
    """
    values = os.environ if environment is None else environment
    found = _pattern(
        tuple(sorted(_secrets(values).items(), key=lambda pair: (-len(pair[0]), pair)))
    )
    if found is not None:
        pattern, names = found
        text = pattern.sub(lambda match: f"[{names[match.group()]}]", text)
    return _IN_URI.sub(r"\1:[password]@", text) if "://" in text else text


def _secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Value -> the variable that holds it."""
    secrets: dict[str, str] = {}
    for name, value in environment.items():
        upper = name.upper()
        if _NAMES.search(upper) and not _NOT.search(upper) and len(value) >= SHORTEST:
            # The path of a file with a secret is none.
            if not (value.startswith(("/", "~")) and Path(value).expanduser().exists()):
                secrets.setdefault(value, name)
        elif "://" in value and "@" in value:
            try:
                password = urlsplit(value).password or ""
            except ValueError:
                continue
            for one in {password, unquote(password)}:
                if len(one) >= SHORTEST:
                    secrets.setdefault(one, name)
    return secrets


@functools.lru_cache(maxsize=4)
def _pattern(
    secrets: tuple[tuple[str, str], ...],
) -> tuple[re.Pattern[str], dict[str, str]] | None:
    if not secrets:
        return None
    return re.compile("|".join(re.escape(value) for value, _ in secrets)), dict(secrets)
