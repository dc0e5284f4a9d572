"""YAML 1.2 with lines, merge keys, and answers to whatever text comes."""

import time
from pathlib import Path

import pytest
from documents import told
from hypothesis import given
from hypothesis import strategies as st

from htsweep.study import document
from htsweep.study.document import MOST_BYTES

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False)
    | st.text()
)


# -- what is no study, and what is no YAML
# ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a: [1,\n",
        "\ta: 1",
        "a: b: c",
        "a: *nowhere",
        "&x [*x]",
        "a: 1\n---\nb: 2\n",
        "a: \0\n",
        "%YAML 1.x\n---\na: 1\n",
        "? [a]\n: 1\n",
        "{a: 1}: 2\n",
        "'': 1\n",
        ": 1\n",
    ],
)
def test_broken_text_is_a_problem_with_a_line(text: str) -> None:
    found = document.parse(text)
    assert found.problems
    assert found.problems[0].line is not None or "%YAML" in text


def test_a_character_that_yaml_forbids_is_named_with_its_line() -> None:
    [(_, line, message)] = told("a: 1\nb: x\x07y\n")
    assert line == 2
    assert "U+0007" in message


def test_an_anchor_may_be_defined_again(recwarn: pytest.WarningsRecorder) -> None:
    assert document.parse("a: &x 1\nb: *x\nc: &x 2\nd: *x\n").value == {
        "a": 1,
        "b": 1,
        "c": 2,
        "d": 2,
    }
    assert not recwarn.list


BOMBS = {
    "laughs": "a0: &a0 [lol, lol]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
    "wide laughs": "a: &a [" + "0, " * 5000 + "]\nb: [" + "*a, " * 5000 + "]\n",
    "merged laughs": "m0: &m0 {a: 1, b: 2}\n"
    + "".join(
        f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 1000)
    ),
    "merged often": "m: &m {"
    + ", ".join(f"k{n}: 1" for n in range(5000))
    + "}\nz: {<<: ["
    + "*m, " * 5000
    + "]}\n",
    "a chain of aliases": "a0: &a0 [1]\n"
    + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000)),
    "a chain of merges": "m0: &m0 {a: 1}\n"
    + "".join(f"m0: &m{n} {{<<: *m{n - 1}}}\n" for n in range(1, 3000))
    + "z: *m2999\n",
    "brackets": "[" * 100_000,
    "braces": "{a: " * 100_000,
    "dashes": "- " * 100_000,
    "question marks": "? " * 100_000,
    "steps": "\n".join(" " * n + "a:" for n in range(1300)),
    "bracketed lines": "[\n" * 100_000,
    "quoted": "'" * 100_001,
    "anchors": "&a " * 100_000,
    "tags": "! " * 100_000,
    "percent": "%" * 100_000,
    "colons": ":" * 100_000,
    "large": "a" * (MOST_BYTES + 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_text_takes_the_time_or_the_memory_of_the_machine(name: str) -> None:
    import tracemalloc

    tracemalloc.start()
    began = time.process_time()
    found = document.parse(BOMBS[name])
    seconds = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.problems
    assert len(found.problems) <= 2
    too_long = len(BOMBS[name]) > document.MOST_BYTES
    assert found.problems[0].line is not None or too_long or name == "a chain of merges"
    assert seconds < 10  # under 1 s without tracemalloc, and on a machine that does nothing else
    assert peak < 300 * 2**20


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes("a: é\r\nb: 2\r\n".encode(encoding))
    assert document.read(path).value == {"a": "é", "b": 2}


def test_a_file_that_is_no_text_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(document.Unreadable) as caught:
        document.text_in(path)
    assert caught.value.problem.line == 2
    assert "0xff is not UTF-8; save the file as UTF-8" in caught.value.problem.message
    with pytest.raises(document.Unreadable, match="larger than 64 KiB"):
        document.text_in(Path("/dev/zero"))


# -- writing
# ------------------------------------------------------------------------------------------------------------


@given(st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4), max_leaves=8))
def test_what_is_dumped_is_read_back(value: object) -> None:
    assert document.scalar(document.dump(value)) == value
