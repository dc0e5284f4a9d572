"""Compares a benchmark on disk with what its paper, or its authors' lists, state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tasks.data import benchmarks, contents, listing, parts, registry
from tasks.data.benchmarks import Benchmark, Expected
from tasks.data.domain import Domain
from tasks.data.listed import Listed
from tasks.data.listing import SUFFIXES, shown, some

FOLDER = "folder"
NAMED = 10
"""How many differences are named for each domain."""
MOST_ROWS = 60
"""How many domains have a line of their own."""


@final
@dataclass(frozen=True)
class Count:
    """What a domain holds, and what it should hold."""

    domain: str
    images: int
    classes: int
    by_part: tuple[int, int, int] | None
    """Training, validation and test images by the official split; None: there is none."""
    expected: Expected | None
    differences: tuple[str, ...]
    """How it differs from that, the first ones by name."""


@final
@dataclass(frozen=True)
class Checked:
    """What was found."""

    name: str
    root: Path
    counts: Sequence[Count]
    differences: Sequence[str]
    """Of all domains together."""
    problems: Sequence[str]
    notes: Sequence[str]

    @property
    def wrong(self) -> bool:
        """Whether anything differs from the paper, or cannot be used."""
        differences = [text for count in self.counts for text in count.differences]
        return bool(differences or self.differences or self.problems)

    def lines(self) -> list[str]:
        """A table of the domains, then what differs, what is wrong, and what should be known."""
        rows = [("domain", "images", "classes", "train", "validation", "test", "paper")]
        for count in self.counts[:MOST_ROWS]:
            split = [f"{number:,}" for number in count.by_part] if count.by_part else ["-"] * 3
            rows.append(
                (
                    shown(count.domain),
                    f"{count.images:,}",
                    f"{count.classes:,}",
                    split[0],
                    split[1],
                    split[2],
                    _verdict(count),
                )
            )
        widths = [max(len(row[place]) for row in rows) for place in range(7)]
        text = [f"{self.name} in {shown(self.root)}: {len(self.counts):,} domains"]
        text += [
            "  ".join(
                cell.ljust(width) if place in (0, 6) else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        if len(self.counts) > MOST_ROWS:
            text.append(f"and {len(self.counts) - MOST_ROWS:,} more domains")
        differences = [text for count in self.counts for text in count.differences]
        for heading, found in (
            ("differs from the paper:", [*differences, *self.differences]),
            ("cannot be used:", self.problems),
            ("known:", self.notes),
        ):
            if found:
                text += ["", heading, *(f"  {line}" for line in found)]
        return text if self.wrong else [*text, "", "nothing is wrong"]


def names() -> list[str]:
    """What can be checked: benchmarks, layouts, and folders of images."""
    return [*benchmarks.NAMES, FOLDER]


def check(name: str, root: Path, *, images: bool = True) -> Checked:
    """What a benchmark's folder holds, beside what the paper states.

    Args:
        name: one of `names`.
        root: the folder.
        images: whether every image is read once, to find those that cannot be.

    Raises:
        ValueError: the folder does not hold the benchmark at all; with the remedy.
    """
    contents.forget()
    problems: dict[str, None] = {}
    notes: list[str] = []
    if name == FOLDER:
        described = None
        domains = sorted(listing.folders(root))
        beside = [path for path in sorted(root.iterdir()) if not listing.hidden(path.name)]
        problems |= dict.fromkeys(_leading_nowhere(root, beside))
        notes += _alone(beside)
    else:
        described = benchmarks.described(name)
        held = benchmarks.opened(name, str(root))
        domains = list(held.names)
        problems |= dict.fromkeys(held.wrong)
        if not domains and held.wrong:
            raise ValueError("; ".join(held.wrong))
    if not domains:
        raise ValueError(
            f"{shown(root)} holds no domain; it should hold "
            f"{described.layout if described else 'DOMAIN/CLASS/IMAGE'}"
        )
    counts: list[Count] = []
    seen: set[str] = set()
    for domain_name in domains:
        domain = registry.find(f"{name}:{root}:{domain_name}")
        expected = _expected(described, domain_name)
        count = _count(domain, domain_name, expected)
        counts.append(count)
        seen |= set(domain.classes)
        if not count.images and expected is not None:
            continue  # said once, as a difference
        found = domain.problems() if images else _without_images(domain)
        problems |= dict.fromkeys(found)
        notes += domain.notes() if images and not found else []
    whole = described.expected.get("") if described else None
    return Checked(
        name,
        root,
        counts,
        [
            *_lacking(described, domains),
            *_of_all(whole, sum(count.images for count in counts), len(seen)),
        ],
        list(problems),
        notes if len(domains) <= MOST_ROWS else [],
    )


def _leading_nowhere(root: Path, beside: Sequence[Path]) -> Iterator[str]:
    """A problem for each link in the place of a domain's folder that leads nowhere."""
    for path in beside:
        if path.is_symlink() and not path.exists():
            yield (
                f"{shown(root)} holds a link that leads nowhere: {shown(path.name)}; fix what it "
                "names, or remove it"
            )


def _alone(beside: Sequence[Path]) -> Iterator[str]:
    """A note on images that lie beside the folders of domains, if there are some."""
    images = [path for path in beside if path.suffix.lower() in SUFFIXES and path.is_file()]
    if images:
        names = some(shown(path.name) for path in images)
        yield f"left out: images beside the domains' folders ({len(images):,}: {names})"


def _expected(described: Benchmark | None, domain: str) -> Expected | None:
    return described.expected.get(domain) if described else None


def _count(domain: Domain, name: str, expected: Expected | None) -> Count:
    rows = domain.rows()
    present = domain.present() if isinstance(domain, Listed) else None
    by_part = None
    if rows is not None and rows.split is not None:
        kept = rows.split if present is None else rows.split[present]
        by_part = tuple(
            int((kept == part).sum()) for part in (parts.TRAIN, parts.VALIDATION, parts.TEST)
        )
    held = dict(domain.counts())
    if present is not None and rows is not None:
        labels = rows.labels[present].tolist()
        held = {own: labels.count(index) for index, own in enumerate(domain.classes)}
    images = sum(held.values())
    return Count(
        name,
        images,
        sum(1 for number in held.values() if number),
        (by_part[0], by_part[1], by_part[2]) if by_part else None,
        expected,
        tuple(_differences(domain, name, held, by_part, expected)) if expected else (),
    )


def _differences(
    domain: Domain,
    name: str,
    held: dict[str, int],
    by_part: tuple[int, ...] | None,
    expected: Expected,
) -> Iterator[str]:
    """How a domain differs from the paper, the first classes by name."""
    images, place = sum(held.values()), shown(name)
    if not images:
        yield f"{place}: not there"
        return
    if expected.images is not None and images != expected.images:
        yield f"{place}: {images:,} images, the paper has {expected.images:,}"
    classes = sum(1 for number in held.values() if number)
    if expected.classes is not None and classes != expected.classes:
        yield f"{place}: {classes:,} classes, the paper has {expected.classes:,}"
    for what, number, wanted in zip(
        ("train", "test"),
        (by_part[0] + by_part[1], by_part[2]) if by_part else (None, None),
        (expected.train, expected.test),
        strict=True,
    ):
        either = (wanted, expected.other_train if what == "train" else None)
        known = [one for one in either if one is not None]
        if known and number is not None and number not in known:
            said = " or ".join(f"{one:,}" for one in known)
            yield f"{place}: {number:,} {what} images, the paper has {said}"
    other = [
        f"{shown(label)} has {held.get(label, 0):,} of {count:,}"
        for label, count in expected.by_class.items()
        if held.get(label, 0) != count
    ]
    if other:
        yield f"{place}: {some(other, NAMED)}"
    if isinstance(domain, Listed):
        beyond = domain.unlisted()
        if beyond:
            yield f"{place}: {len(beyond):,} images that no list names: {some(map(shown, beyond))}"


def _lacking(described: Benchmark | None, domains: Sequence[str]) -> list[str]:
    if described is None or described.either:
        return []
    absent = [name for name in described.expected if name]
    return [f"{shown(name)}: not there" for name in absent if name not in domains]


def _of_all(expected: Expected | None, images: int, classes: int) -> Iterator[str]:
    if expected is None:
        return
    if expected.images is not None and images != expected.images:
        yield f"all domains: {images:,} images, the paper has {expected.images:,}"
    if expected.classes is not None and classes != expected.classes:
        yield f"all domains: {classes:,} classes, the paper has {expected.classes:,}"


def _without_images(domain: Domain) -> list[str]:
    """The problems that are seen without reading images; of other domains than lists, none."""
    return list(domain.table.wrong) if isinstance(domain, Listed) else []


def _verdict(count: Count) -> str:
    if count.expected is None:
        return "-"
    return "differs" if count.differences else "as stated"
