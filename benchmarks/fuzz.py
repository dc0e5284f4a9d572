"""The reader of studies on any text: a study or a `StudyError`, never a traceback.

    uv run python benchmarks/fuzz.py [--examples 10000] [--seed 0] [--keep FOLDER]
    uv run --with atheris python benchmarks/fuzz.py --atheris [--examples 10000]

Nor may one take over a second of the processor, or 200 MiB. Nine in ten inputs are studies with
bytes, words, lines and values changed, doubled or gone, alias bombs and deep nests among the
changes; the tenth is drawn key by key by Hypothesis. With `--atheris`, libFuzzer goes on from the
shipped studies, led by which lines of htsweep each input reaches. What breaks a promise is kept as
a file in FOLDER, one for each place that it comes from. Ends with 1 if there was any.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import itertools
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # for the texts that tests change

MOST_SECONDS = 1.0
MOST_MIB = 200.0
HANGS_AFTER = 30.0
BATCH = 1000


class Hangs(BaseException):
    """Reading took more of the processor than is waited for."""


@dataclass
class Seen:
    """What reading came to, over all inputs."""

    keep: Path
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    slowest: tuple[float, str] = (0.0, "")
    largest: tuple[float, str] = (0.0, "")
    broken: dict[str, str] = field(default_factory=dict)
    """Where it comes from -> what it is, and the file that shows it."""
    quiet: bool = False

    def breaks(self, where: str, what: str, data: bytes) -> None:
        """Keeps an input that breaks a promise, the first of each place."""
        self.counts["broken"] += 1
        if where not in self.broken and not self.quiet:
            self.keep.mkdir(parents=True, exist_ok=True)
            file = self.keep / f"{len(self.broken)}.yaml"
            file.write_bytes(data)
            self.broken[where] = f"{what} ({file})"
            print(f"broken: {where}: {self.broken[where]}", flush=True)


def read_one(file: Path, data: bytes, seen: Seen, *, again: bool = False) -> None:
    """Reads one input, and notes what came of it and what that took.

    What took too much is read again, and that counts: the first to need a library, such as torch,
    has imported it, and a busy machine may be slow for a moment.
    """
    from htsweep.errors import StudyError
    from htsweep.planning.reading import read

    file.write_bytes(data)
    counts = seen.counts.copy()
    before = _highest(anew=True)
    signal.setitimer(signal.ITIMER_PROF, HANGS_AFTER)
    began = time.process_time()
    try:
        try:
            read(file)
            seen.counts["a study"] += 1
        except StudyError as error:
            seen.counts["mistakes"] += 1
            _check(error, file, data, seen)
    except Hangs as error:
        seen.breaks(f"hangs in {_place(error)}", f"over {HANGS_AFTER:.0f} s", data)
    except BaseException as error:
        seen.breaks(f"{type(error).__name__} in {_place(error)}", str(error)[:200], data)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    took, grew = time.process_time() - began, _highest() - before
    if (took > MOST_SECONDS or grew > MOST_MIB) and not again:
        seen.counts = counts
        read_one(file, data, seen, again=True)
        return
    seen.slowest = max(seen.slowest, (took, _short(data)))
    seen.largest = max(seen.largest, (grew, _short(data)))
    if took > MOST_SECONDS:
        seen.breaks(f"slow, {took:.0f} s", f"{took:.2f} s", data)
    if grew > MOST_MIB:
        seen.breaks("large", f"{grew:.0f} MiB", data)


def _check(error: object, file: Path, data: bytes, seen: Seen) -> None:
    """What a message for a user must be."""
    problems = getattr(error, "problems", ())
    if not problems or str(file) not in str(error):
        seen.breaks("a message without a mistake or a file", str(error)[:200], data)
    for problem in problems:
        if "checking the study raised" in problem.message:
            at = problem.message.rpartition("(")[2]
            seen.breaks(f"raised at {at.partition(')')[0]}", problem.message[:200], data)
        if len(problem.message) > 10_000:
            seen.breaks(f"a long message about {problem.key[:40]}", problem.message[:80], data)


def _place(error: BaseException) -> str:
    """The innermost line that an error comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-2 if isinstance(error, Hangs) else -1]
    return f"{Path(last.filename).name}:{last.lineno}"


def _short(data: bytes) -> str:
    return repr(data[:60])


def _highest(anew: bool = False) -> float:
    """The highest memory of this process since it was last asked anew, MiB."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")  # back to what it has now
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def inputs(examples: int, seed: int) -> Iterator[bytes]:
    """All inputs, in batches: nine in ten changed, the tenth drawn."""
    import fuzzing

    draw, made = random.Random(seed), 0
    while made < examples:
        batch = min(BATCH, examples - made)
        drawn = list(fuzzing.drawn(batch // 10, draw.randrange(2**32)))
        yield from drawn
        for _ in range(batch - len(drawn)):
            yield fuzzing.changed(draw)
        made += batch


def warm(file: Path) -> int:
    """Reads each shipped study once, which imports torch and others; how many are studies here."""
    import fuzzing

    seen = Seen(file.parent, quiet=True)
    for text in fuzzing.SEEDS:
        before = seen.counts["a study"]
        read_one(file, text.encode(), seen)
        if seen.counts["a study"] > before:
            fuzzing.RIGHT.append(text)
    return len(fuzzing.RIGHT)


def instrument() -> None:
    """Lets libFuzzer see which lines of the reader an input reaches; before it is imported."""
    import atheris

    with atheris.instrument_imports(include=["htsweep.study", "htsweep.planning"]):
        importlib.import_module("htsweep.planning.reading")


def led(examples: int, seed: int, file: Path, seen: Seen) -> None:
    """Inputs by libFuzzer, which keeps those that reach new lines; ends this process."""
    import atheris
    import fuzzing

    corpus = file.parent / "corpus"
    corpus.mkdir()
    for index, text in enumerate((*fuzzing.RIGHT, *fuzzing.SEEDS)):
        (corpus / str(index)).write_text(text, encoding="utf-8")

    began, runs = time.perf_counter(), itertools.count(1)

    def one(data: bytes) -> None:
        read_one(file, data, seen)
        if next(runs) == examples:  # libFuzzer ends the process without a word to Python
            print(said(seen, time.perf_counter() - began), flush=True)

    words = [sys.argv[0], f"-runs={examples}", f"-seed={seed + 1}", "-max_len=8192", "-timeout=60"]
    # What it calls slow is by the clock, and kept here already.
    words += ["-rss_limit_mb=0", "-report_slow_units=3600", str(corpus)]
    atheris.Setup(words, one)
    atheris.Fuzz()


def said(seen: Seen, seconds: float) -> str:
    """What came of it, in a few lines."""
    total = seen.counts["a study"] + seen.counts["mistakes"]
    lines = [
        f"{total} inputs in {seconds:.0f} s: {seen.counts['a study']} studies, "
        f"{seen.counts['mistakes']} with mistakes, {seen.counts['broken']} that break a promise "
        f"in {len(seen.broken)} places",
        f"slowest {seen.slowest[0]:.2f} s of processor: {seen.slowest[1]}",
        f"most memory +{seen.largest[0]:.0f} MiB: {seen.largest[1]}",
        *(f"  {where}: {what}" for where, what in seen.broken.items()),
    ]
    return "\n".join(lines)


def main() -> int:
    """Reads all inputs and prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzzed"))
    parser.add_argument("--atheris", action="store_true")
    given = parser.parse_args()

    def hangs(_: int, frame: FrameType | None) -> None:
        raise Hangs

    signal.signal(signal.SIGPROF, hangs)
    if given.atheris:
        instrument()
    seen, began = Seen(given.keep), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for module in (Path(__file__).parent.parent / "docs/examples").glob("*.py"):
            shutil.copy(module, folder)  # what the examples' studies name
        file = Path(folder, "fuzzed.yaml")
        print(f"{warm(file)} studies to change have no mistake on this machine", flush=True)
        if given.atheris:
            led(given.examples, given.seed, file, seen)
        else:
            for index, data in enumerate(inputs(given.examples, given.seed), 1):
                read_one(file, data, seen)
                if index % 1000 == 0:
                    print(said(seen, time.perf_counter() - began).partition("\n")[0], flush=True)
    print(said(seen, time.perf_counter() - began))
    return 1 if seen.broken else 0


if __name__ == "__main__":
    sys.exit(main())
