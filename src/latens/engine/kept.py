"""Pieces of rows kept between passes: in memory as far as it goes, or in a folder."""

import os
import pickle
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from threading import Lock, local
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latens.data.parts import Part
from latens.engine.dealer import Dealer, Item, Piece
from latens.errors import DataError, first_line
from latens.numerics.devices import accelerator, placed
from latens.numerics.memory import ALIGNMENT, aligned

MEMORY = 1 << 28  # bytes of pieces that a process keeps
TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Rows kept by latens between passes; see lt.Source(cache=...)\n"


class Kept:
    """The pieces of a dealer, wherever they are nearest: in memory, in a folder, or to be read again."""

    def __init__(self, dealer: Dealer, memory: int = MEMORY) -> None:
        """`memory`: bytes that may be held."""
        self.dealer, self.left = dealer, memory
        self.held: dict[int, dict[int, Piece]] = {}
        self.whole: dict[int, int] = {}  # pieces of the parts that have been read to their ends
        self.folder = None if dealer.source.cache is None else Folder(Path(dealer.source.cache), dealer)
        self.compiled: set[Any] = set()  # programs and shapes of rows
        self.compiling: dict[Any, Lock] = {}
        self.lock = Lock()

    def items(self, part: Part) -> Iterator[Item]:
        """The pieces of a part."""
        number = self.whole.get(part.number)
        own = self.held.get(part.number, {})
        if number is not None and len(own) == number:
            yield from (Item(part, i, 0, own[i]) for i in range(number))
            return
        if self.folder is not None and self.folder.has(part):
            yield from (Item(part, i, 0, piece) for i, piece in enumerate(self.folder.read(part)))
            return
        i = -1
        for item in self.dealer.items(part):
            i = item.number
            yield item
        self.whole[part.number] = i + 1

    def piece(self, item: Item) -> Piece:
        """The piece itself, kept if there is room."""
        if isinstance(item.content, Piece):
            return item.content
        known = self.held.get(item.part.number, {}).get(item.number)
        if known is not None:
            return known
        piece = self.dealer.piece(item)
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(piece.shard))
        with self.lock:
            keep = size <= self.left
            self.left -= size if keep else 0
            if keep:
                self.held.setdefault(item.part.number, {})[item.number] = piece
        if self.folder is not None:
            self.folder.write(item, piece)
        return piece

    def ended(self, part: Part) -> None:
        """All pieces of the part have been looked at."""
        if self.folder is not None and part.number in self.whole:
            self.folder.end(part, self.whole[part.number])


class Folder:
    """Pieces in files, each the arrays as they lie in memory behind a pickle of what they belong to."""

    def __init__(self, path: Path, dealer: Dealer) -> None:
        self.root, self.path = path, path / dealer.key
        self.rooms = local()
        self.full = False  # whether nothing more can be written

    def has(self, part: Part) -> bool:
        return (self.path / f"{part.number:06d}").exists()

    def read(self, part: Part) -> Iterator[Piece]:
        """The pieces of a part that was written to its end; the thread that takes one is done with those before it."""
        marker = self.path / f"{part.number:06d}"
        path = marker
        try:
            for i in range(int(marker.read_text())):
                path = self._file(part, i)
                piece = self._piece(path)
                yield piece
        except (OSError, EOFError, ValueError, IndexError, TypeError, pickle.UnpicklingError) as error:
            raise DataError(
                f"{path} is not what was written there ({first_line(error) or type(error).__name__}): delete "
                f"{self.path}, and rows are kept anew"
            ) from None

    def _piece(self, path: Path) -> Piece:
        with path.open("rb") as file:
            place, check, sizes = pickle.load(file)
            if place != path.name:
                raise ValueError(f"it is {place}")
            head = file.read(sizes[0])
            file.seek(_up(file.tell()))
            whole = sum(map(_up, sizes[1:]))
            room = self._room(whole)
            # no map of the file: what is read once would stay in the memory of the process
            if file.readinto(room[:whole].data) != whole:
                raise EOFError("it is cut off")
            if _sum(room[:whole]) != check:
                raise ValueError("its numbers have changed")
        ends = np.cumsum([0, *map(_up, sizes[1:])])
        parts = [room[begin : begin + size] for begin, size in zip(ends, sizes[1:], strict=False)]
        piece: Piece = pickle.loads(head, buffers=parts)
        return piece._replace(shard=placed(jax.tree.map(jnp.asarray, piece.shard)))

    def _room(self, size: int) -> np.ndarray:
        """Memory of this thread, used again and again: what is new the system would hand over page by page."""
        room: np.ndarray | None = getattr(self.rooms, "last", None)
        if room is None or room.nbytes < size or accelerator() is not None:
            self.rooms.last = room = aligned(np.empty(size, np.uint8))
        return room

    def write(self, item: Item, piece: Piece) -> None:
        """Keep a piece; a folder that is full ends the keeping, not the fit."""
        if self.full:
            return
        views: list[pickle.PickleBuffer] = []
        plain = piece._replace(shard=jax.device_get(piece.shard))
        head = pickle.dumps(plain, protocol=5, buffer_callback=views.append)
        parts = [view.raw() for view in views]
        path = self._file(item.part, item.number)
        beside = _beside(path)
        try:
            self._make()
            with beside.open("wb") as file:
                check = sum(_sum(np.frombuffer(part, np.uint8)) for part in parts) % 2**64
                pickle.dump((path.name, check, [len(head), *(part.nbytes for part in parts)]), file)
                file.write(head)
                for part in parts:
                    file.seek(_up(file.tell()))
                    file.write(part)
                file.truncate(_up(file.tell()))
            beside.replace(path)
        except OSError as error:
            self._give_up(error, beside)

    def end(self, part: Part, pieces: int) -> None:
        """Say that a part is there, if all of its pieces are."""
        if self.full or self.has(part):
            return
        path = self.path / f"{part.number:06d}"
        beside = _beside(path)
        try:
            self._make()
            beside.write_text(str(pieces))
            beside.replace(path)
        except OSError as error:
            self._give_up(error, beside)

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        tag = self.root / "CACHEDIR.TAG"
        if not tag.exists():
            tag.write_text(TAG)

    def _give_up(self, error: OSError, beside: Path) -> None:
        self.full = True
        beside.unlink(missing_ok=True)
        warnings.warn(
            f"rows cannot be kept in {self.root} ({error.strerror or error}): the fit goes on without, and reads them "
            "again in every pass; for a faster one see to that folder, or give another (cache=)",
            stacklevel=2,
        )

    def _file(self, part: Part, number: int) -> Path:
        return self.path / f"{part.number:06d}-{number:05d}"


def _beside(path: Path) -> Path:
    """Where a file is written before it takes its place: by one thread of one machine."""
    return path.with_name(f".{path.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}")


def _sum(room: np.ndarray) -> int:
    """Of all 64-bit words, to tell a change by: reading must not take longer for it."""
    whole = room[: len(room) // 8 * 8].view(np.uint64)
    rest = int.from_bytes(room[len(whole) * 8 :].tobytes(), "little")
    return (int(np.add.reduce(whole, dtype=np.uint64)) + rest) % 2**64


def _up(size: int) -> int:
    """To the next multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def plain(value: Any) -> Any:
    """Arrays as NumPy's."""
    return jax.tree.map(np.asarray, value)
