"""Texts for the reader of studies: studies with anything changed, and others drawn key by key."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import hypothesis
from hypothesis import strategies as st
from study_texts import ALL, TOY

from htsweep.study import document, schema

ROOT = Path(__file__).parent.parent
SEEDS = tuple(
    file.read_text(encoding="utf-8")
    for folder in ("studies", "studies/benchmarks", "docs/examples", "search_spaces")
    for file in sorted((ROOT / folder).glob("*.yaml"))
)
RIGHT: list[str] = [TOY, ALL]
"""And those whose data is on this machine: no other mistake hides what is changed in them."""
KEYS = tuple(
    dict.fromkeys(
        [
            *(name for section in schema.SECTIONS.values() for name in section.model_fields),
            *(key for text in SEEDS for key in re.findall(r"[\w-]+(?=:)", text)),
        ]
    )
)
SCALARS = (
    *("~", "null", "true", "{}", "[]", "''", "-1", "0", "2", "0.5", "1e400", "1e308", "5e-324"),
    *(".nan", ".inf", "-.inf", "99999999999999999999", "0x1F", "0o17", "1_000", "2020-01-01"),
    *("'x'", '"\\ud800"', '"\\0"', '"\\U0001f600"', "[[]]", "[~]", "{a: b}", "[{}]", "[[~]]"),
    *("*a", "&a 3", "!x y", "!!set {a}", "!!binary aGk=", "!!float 3", "<<: *a", "? a", "---"),
    *("...", "%YAML 1.1", "%TAG ! x", "|", ">-", "# c", "a:b", "x: y: z", "- -", "../..", "/"),
    *("toy", "toy:toy", "json:dumps", "my_method:build", "a+b", "all", "last", "auto", "natural"),
    *("mnist-uci", "mnist-uci@blur9", "folder:x:y-z", "folder:.:a-b", "l2sp", "[lolsgd, wise_ft]"),
    *("{low: 0, high: 1}", "{low: 1e-9, high: 1e9, log: true}", "{choices: [1, a, ~]}"),
)
LETTERS = "[]{},:-?&*!|>'\"%@`#~ \t\n\r\0\x07\x85é\u2028\ufeff\U0001f600"


def changed(draw: random.Random) -> bytes:
    """A shipped study in which one to six things are changed."""
    # The larger studies, of a hundred sweeps, take ten times as long to read.
    texts = draw.choices(([TOY], [ALL], RIGHT, SEEDS), (6, 3, 1, 1))[0]
    data = draw.choice(texts).encode()
    for _ in range(draw.choice((1, 1, 1, 2, 3, 6))):
        data = draw.choices(CHANGES, WEIGHTS)[0](data, draw)
    return data


def _flip(data: bytes, draw: random.Random) -> bytes:
    """A bit of a byte."""
    if not data:
        return bytes([draw.randrange(256)])
    at = draw.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]


def _cut(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + data[at + draw.choice((1, 2, 10, 80, 1000)) :]


def _letter(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + draw.choice(LETTERS).encode("utf-8", "surrogatepass") + data[at:]


def _token(data: bytes, draw: random.Random) -> bytes:
    """A word becomes a scalar of any kind, a key of studies, or another word of the text."""
    tokens = list(re.finditer(rb"[^\s\[\]{},:]+", data))
    if not tokens:
        return data
    token = draw.choice(tokens)
    words = (draw.choice(SCALARS).encode(), draw.choice(KEYS).encode(), draw.choice(tokens)[0])
    return data[: token.start()] + draw.choice(words) + data[token.end() :]


def _line(data: bytes, draw: random.Random) -> bytes:
    """A line or a block of lines is doubled, moved, indented otherwise, or gone."""
    lines = data.split(b"\n")
    here, there = draw.randrange(len(lines)), draw.randrange(len(lines))
    block = lines[here : here + draw.choice((1, 1, 2, 5))]
    kind = draw.randrange(4)
    if kind == 0:
        lines[there:there] = block
    elif kind == 1:
        lines[here], lines[there] = lines[there], lines[here]
    elif kind == 2:
        lines[here] = b" " * draw.choice((1, 2, 4, 40)) + lines[here].lstrip()
    else:
        del lines[here : here + len(block)]
    return b"\n".join(lines)


def _splice(data: bytes, draw: random.Random) -> bytes:
    """A piece of another study."""
    other = draw.choice(SEEDS).encode()
    at, start = draw.randrange(len(data) + 1), draw.randrange(len(other))
    return data[:at] + other[start : start + draw.choice((5, 60, 600))] + data[at:]


def _value(data: bytes, draw: random.Random) -> bytes:
    """What stands after a key becomes something large, deep, or of any kind."""
    keys = list(re.finditer(rb"^( *[\w-]+:)[^\n]*$", data, re.MULTILINE))
    if not keys:
        return data
    key = draw.choice(keys)
    return data[: key.end(1)] + b" " + _large(draw).encode() + data[key.end() :]


def _bomb(data: bytes, draw: random.Random) -> bytes:
    """Aliases that expand to more and more, and one of them as the value of a key."""
    each, levels = draw.choice(((2, 20), (10, 9), (100, 4), (1, 60), (3, 8)))
    names = [f"x-a{level}: &a{level} " for level in range(levels)]
    mapping = draw.random() < 0.5
    lines = [names[0] + ("{k: 1}" if mapping else "[1]")]
    for level in range(1, levels):
        if mapping and draw.random() < 0.5:
            lines.append(f"{names[level]}{{<<: *a{level - 1}, k{level}: *a{level - 1}}}")
        elif mapping:
            inner = ", ".join(f"k{one}: *a{level - 1}" for one in range(each))
            lines.append(f"{names[level]}{{{inner}}}")
        else:
            lines.append(f"{names[level]}[{', '.join([f'*a{level - 1}'] * each)}]")
    lines.append(f"{draw.choice(KEYS)}: *a{draw.randrange(levels)}")
    return "\n".join(lines).encode() + b"\n" + data


def _large(draw: random.Random) -> str:
    count = draw.choice((10, 49, 50, 51, 300, 3000, 30_000))
    return draw.choice(
        (
            "[" * count + "]" * draw.choice((0, count)),
            "{a: " * count + "1" + "}" * draw.choice((0, count)),
            "- " * count,
            "[" + ", ".join(map(str, range(min(count, 12_000)))) + "]",
            "{" + ", ".join(f"k{one}: {one}" for one in range(min(count, 6_000))) + "}",
            "x" * count,
            "9" * count,
            "'" + "\\" * count + "'",
            draw.choice(SCALARS),
        )
    )


CHANGES = (_flip, _cut, _letter, _token, _line, _splice, _value, _bomb)
WEIGHTS = (14, 9, 9, 42, 16, 9, 0.7, 0.3)
"""The last two, of texts that fill the file, take fifty times as long to read."""


def drawn(count: int, seed: int) -> Iterator[bytes]:
    """`count` studies by Hypothesis: known keys in their sections, with values of any kind."""
    texts: list[bytes] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(STUDIES)
    def add(study: dict[str, object]) -> None:
        texts.append(document.dump(study).encode("utf-8", "surrogatepass"))

    add()
    yield from texts


def _section(name: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A section with its own keys, or with something else."""
    fields = dict.fromkeys(schema.SECTIONS[name].model_fields, values)
    own: st.SearchStrategy[object] = st.fixed_dictionaries({}, optional=fields)
    return own | st.lists(own, max_size=3) | values


WORDS = st.sampled_from(
    [*KEYS, "toy", "holistic_transfer", "transferability", "mnist-uci", "uci-mnist", "lolsgd"]
)
ANY: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | WORDS
    | st.sampled_from([1, 2, 0.5, 0.1]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
LISTS = st.dictionaries(WORDS, st.lists(ANY, min_size=1, max_size=4), max_size=4)
STUDIES: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"task": st.sampled_from(["toy", "holistic_transfer", "fine_tuning", "nothing"]) | ANY},
    optional={
        **{name: ANY for name in schema.Study.model_fields if name != "task"},
        **{name: _section(name, ANY) for name in schema.SECTIONS if name},
        "grid": LISTS | ANY,
        "fixed": st.dictionaries(WORDS, ANY, max_size=4) | ANY,
    },
)
