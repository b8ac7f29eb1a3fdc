"""Files in the MNIST database's IDX format: a header of sizes followed by unsigned bytes, often gzip-compressed.

Format: two zero bytes, type code 8 (unsigned byte), number of dimensions d, d big-endian 32-bit sizes, then the data in
row-major order (LeCun, Cortes and Burges, "The MNIST database of handwritten digits").
"""

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .dataset import DataError

UNSIGNED_BYTE = 8
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True)
class IdxFile:
    """A file whose array is known in advance.

    Attributes:
        name: file name without ".gz".
        shape: shape of the array.
        sha256: hash of the uncompressed file, header included; gzip wrappers differ between mirrors.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def header(self) -> bytes:
        """The bytes before the data."""
        dimensions = len(self.shape)
        return struct.pack(f">BBBB{dimensions}I", 0, 0, UNSIGNED_BYTE, dimensions, *self.shape)

    @property
    def num_bytes(self) -> int:
        """Size of the uncompressed file."""
        return len(self.header) + math.prod(self.shape)

    def path_in(self, folder: Path) -> Path:
        """Return the path of the file in `folder`, compressed or not.

        Raises:
            DataError: the file is missing.
        """
        for name in (f"{self.name}.gz", self.name):
            if (folder / name).is_file():
                return folder / name
        raise DataError(f"{folder / self.name}.gz: no such file, compressed or not: put MNIST's four files there.")

    def check(self, path: Path) -> None:
        """Check size and format without decompressing: gzip stores the uncompressed size in its last four bytes.

        Raises:
            DataError: the file is truncated, or its format contradicts its name.
        """
        num_bytes = path.stat().st_size
        if path.suffix == ".gz":
            if num_bytes < 18:
                raise DataError(f"{path}: truncated: {num_bytes} bytes cannot hold a gzip file; download it again.")
            with path.open("rb") as file:
                if file.read(2) != GZIP_MAGIC:
                    raise DataError(f"{path}: not a gzip file, though its name ends in .gz; download it again.")
                file.seek(-4, 2)
                (num_bytes,) = struct.unpack("<I", file.read(4))
        if num_bytes != self.num_bytes:
            raise DataError(
                f"{path}: truncated or not MNIST's: expected {self.num_bytes} uncompressed bytes, "
                f"found {num_bytes}; download it again."
            )

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Read the array and compare the whole file with the original's hash.

        Returns:
            Unsigned bytes of shape `self.shape`.

        Raises:
            DataError: the file is truncated, malformed, or not the original.
        """
        try:
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path}: cannot be decompressed ({error}); download it again.") from error
        if not content.startswith(self.header):
            sizes = " x ".join(str(size) for size in self.shape)
            raise DataError(f"{path}: does not start as an IDX file of {sizes} unsigned bytes; download it again.")
        if len(content) != self.num_bytes:
            raise DataError(f"{path}: expected {self.num_bytes} bytes, found {len(content)}; download it again.")
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise DataError(f"{path}: MNIST's format but not its content (SHA-256 differs); download it again.")
        return np.frombuffer(content, np.uint8, offset=len(self.header)).reshape(self.shape)
