"""A user's own images in ROOT/DOMAIN/CLASS/IMAGE; classes are the sorted folder names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from tasks import buckets
from tasks.data import contents, corruptions, decoding, groups, listing, pixels
from tasks.data.contents import Content
from tasks.data.domain import Domain, Images
from tasks.data.listing import Listing, shown, some
from tasks.data.splits import Order

NAMED = 20
"""The number of unreadable files that a message names."""


@final
@dataclass(frozen=True)
class Folder(Domain):
    """Images in ROOT/DOMAIN/CLASS/IMAGE, under the name `folder:ROOT:DOMAIN`."""

    name: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the class folders."""
        return classes(self.name)

    @property
    def channels(self) -> int:
        """All images are read as RGB."""
        return 3

    @property
    def size(self) -> None:
        """All images are resized to `image_size`."""
        return

    def fingerprint(self) -> str:
        """From the names and contents of files."""
        return fingerprint(self.name)

    def load(self, cache: Path, image_size: int) -> Images:
        """The images, decoded once per node and image size."""
        return load(self.name, cache, image_size)

    def labels(self) -> NDArray[np.int64]:
        """By the folders' names."""
        return labels(listed(self.name))

    def order(self, seed: int) -> Order | None:
        """That of the groups beside the domain's folder, if there are some."""
        held = listed(self.name)
        return groups.order(held.place.parent, held.files, seed)

    def counts(self) -> Mapping[str, int]:
        """The number of images of each class."""
        return counts(self.name)

    def problems(self) -> list[str]:
        """Why the folder is not a valid domain; examines every image once."""
        return problems(self.name)

    def notes(self) -> list[str]:
        """What is used, what is left out and why, and how images are converted."""
        return notes(self.name)


@contents.for_a_moment
def domains(dataset: str) -> tuple[str, str]:
    """The two domains of `folder:ROOT:SOURCE-TARGET`; names may contain a '-' or a corruption.

    Raises:
        ValueError: the text is malformed or ambiguous, or a folder is missing; lists existing ones.
    """
    root, _, pair = dataset.removeprefix("folder:").rpartition(":")
    if not root or "-" not in pair or pair.startswith("//"):
        raise ValueError(
            f"'{dataset}' must be folder:ROOT:SOURCE-TARGET, as in "
            "folder:data/office_home:Art-Clipart"
        )
    place = buckets.place(root)
    present = set(listing.folders(place))
    parts, said = pair.split("-"), shown(place)
    ways = [("-".join(parts[:cut]), "-".join(parts[cut:])) for cut in range(1, len(parts))]
    fitting = [way for way in ways if {_decoded(root, name) for name in way} <= present]
    if not fitting:
        for name in dict.fromkeys(name for way in ways for name in way):
            # Raises if the folder exists but the corruption does not.
            corruptions.canonical(f"folder:{root}:{name}")
        # The way to cut the text that lacks the fewest folders is probably the intended one.
        lacking = [{_decoded(root, name) for name in way} - present for way in ways]
        fewest = min(lacking, key=len)
        absent = sorted(fewest)
        raise ValueError(
            f"{said} has no domain {' and no domain '.join(map(repr, absent))}; "
            f"its folders are {', '.join(map(shown, sorted(present))) or 'none'}"
        )
    if len(fitting) > 1:
        ways_said = ", or ".join(f"'{source}' to '{target}'" for source, target in fitting)
        raise ValueError(
            f"'{pair}' could be {ways_said}: {said} has all these folders; rename one, "
            "without a '-'"
        )
    source, target = fitting[0]
    if (place / _decoded(root, source)).resolve() == (place / _decoded(root, target)).resolve():
        raise ValueError(corruptions.SAME_IMAGES.format(dataset=pair))
    return corruptions.canonical(f"folder:{root}:{source}"), corruptions.canonical(
        f"folder:{root}:{target}"
    )


@contents.for_a_moment
def classes(domain: str) -> tuple[str, ...]:
    """The names of the class folders, sorted, in Unicode's composed form."""
    return listing.classes(_place(domain))


@contents.for_a_moment
def counts(domain: str) -> Mapping[str, int]:
    """The number of images of each class."""
    return listed(domain).counts


@contents.for_a_moment
def listed(domain: str) -> Listing:
    """The listing of the domain's folder.

    Raises:
        ValueError: the folder does not exist.
    """
    return listing.of(_place(domain))


@contents.for_a_moment
def problems(domain: str) -> list[str]:
    """Why a folder is not a valid domain, each with the remedy; examines every image once."""
    held = listed(domain)
    place = shown(held.place)
    texts = list(held.wrong)
    if not held.classes:
        texts.append(f"{place} holds no class folder; put images at ROOT/DOMAIN/CLASS/IMAGE")
    elif len(held.classes) == 1:
        texts.append(
            f"{place} holds only one class, {shown(held.classes[0])}; there is nothing to tell "
            "apart: a domain needs at least two classes"
        )
    empty = [shown(name) for name, count in held.counts.items() if not count]
    if empty:
        texts.append(
            f"{place} has no image of {some(empty, 10)}; each class needs at "
            f"least one{_left_out(held)}"
        )
    unread = [
        (path, content.problem)
        for path, content in zip(held.paths, _contents(domain), strict=True)
        if content.problem
    ]
    if unread:
        names = some((f"{held.relative(path)} {problem}" for path, problem in unread), NAMED)
        texts.append(
            f"{len(unread):,} of the {len(held.files):,} images in {place} cannot be used: "
            f"{names}; repair or remove them"
        )
    return texts + groups.problems(held.place.parent, held.files)


@contents.for_a_moment
def notes(domain: str) -> list[str]:
    """Notes on a domain without problems: images used, left out and why, and converted."""
    held = listed(domain)
    name, sizes = shown(held.place.name), held.counts.values()
    each = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
    said = [
        f"{name}: {len(held.files):,} images in {len(held.classes):,} classes, {each} "
        f"each{_left_out(held)}"
    ]
    kept = list(zip(held.paths, _contents(domain), strict=True))
    root, first = held.place.parent, dict[str, tuple[str, str]]()
    noted = {
        what: [path for path, content in kept if mark in content.answer[0]]
        for mark, what in pixels.DONE.items()
    } | {
        **{
            remark: [path for path, content in kept if remark in content.answer[1]]
            for remark in pixels.REMARKS
        },
        # Those of one group are on one side of the split.
        pixels.COPIES: [
            file[1]
            for file, (_, content) in zip(held.files, kept, strict=True)
            if first.setdefault(content.digest, own := groups.group_of(root, file)) != own
        ],
    }
    said += [f"{name}: {groups.NOTE}"] if groups.of(root) else []
    return said + [
        f"{name}: {what}: {_counted(held, paths)}" for what, paths in noted.items() if paths
    ]


@contents.for_a_moment
def shared(source: str, target: str) -> list[str]:
    """A note if images of the target are also in the source, byte for byte; else nothing."""
    ours = {content.digest for content in _contents(source)}
    held = listed(target)
    both = [
        path
        for path, content in zip(held.paths, _contents(target), strict=True)
        if content.digest in ours
    ]
    name, of = shown(held.place.name), shown(_place(source).name)
    return (
        [
            f"{name}: images that are in {of} too, so that the source model is trained on what the "
            f"target is tested on: {_counted(held, both)}"
        ]
        if both
        else []
    )


@contents.for_a_moment
def fingerprint(domain: str) -> str:
    """16 hexadecimal digits from the names and contents of files, and how they are read.

    And from the groups of images that belong together, which decide the splits.
    """
    held = listed(domain)
    return _pixels(held, _contents(domain), groups.fingerprint(held.place.parent))


def load(domain: str, cache: Path, image_size: int) -> Images:
    """The domain's images as uint8 [N, 3, size, size], decoded once per node and image size.

    Where the cache has no room for them, they are decoded as they are asked for.

    Raises:
        ValueError: an image cannot be read; names its path.
    """
    held = listing.of(_place(domain))
    kept = cache / "folders" / f"{_pixels(held, _contents_of(held))}-{image_size}.npy"
    decoded = decoding.fitting(held.paths, kept, image_size)
    return Images(decoded, labels(held), held.classes)


def labels(held: Listing) -> NDArray[np.int64]:
    """The class of each image of a listing, as a place among the classes, [N]."""
    index = {name: position for position, name in enumerate(held.classes)}
    return np.array([index[name] for name, _ in held.files], dtype=np.int64)


@contents.for_a_moment
def _contents(domain: str) -> list[Content]:
    return _contents_of(listed(domain))


def _contents_of(held: Listing) -> list[Content]:
    """The content of each image: its digest, and the answer of `pixels.examine`."""
    with pixels.quiet():
        return contents.of(held.paths, pixels.examine, pixels.EXAMINED)


def _pixels(held: Listing, kept: Sequence[Content], grouped: str = "") -> str:
    """From names and bytes; images that are converted in a special way add their marks.

    So the fingerprints of other images do not change with `pixels.VERSION`, nor those of images
    without groups.
    """
    marks = [
        ""
        if content.problem or not content.answer[0]
        else f"\0{pixels.VERSION} {'+'.join(content.answer[0])}"
        for content in kept
    ]
    pairs = [
        (path.relative_to(held.place).as_posix(), content.digest + mark)
        for path, content, mark in zip(held.paths, kept, marks, strict=True)
    ]
    pairs += [(groups.FILE, grouped)] if grouped else []
    # Classes are sorted by composed names, so names in another form change the order.
    return contents.named(pairs if held.composed else [("composed", ""), *pairs])


def _left_out(held: Listing) -> str:
    """`; left out: .heic files (2: ant/a.heic, ant/b.heic)`; empty if everything is used."""
    counted = ", ".join(
        f"{reason} ({len(paths):,}: {some(map(held.relative, paths))})"
        for reason, paths in held.left_out.items()
    )
    return f"; left out: {counted}" if counted else ""


def _counted(held: Listing, paths: Sequence[Path]) -> str:
    return f"{len(paths):,} of {len(held.files):,} ({some(map(held.relative, paths))})"


def _decoded(root: str, name: str) -> str:
    """The name of the folder with a domain's images, without the corruption."""
    return corruptions.base(f"folder:{root}:{name}").rpartition(":")[2]


def _place(domain: str) -> Path:
    root, _, name = domain.removeprefix("folder:").rpartition(":")
    return buckets.place(root) / name
