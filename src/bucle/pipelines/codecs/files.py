"""Bytes, and files that a step made: the content travels, under the file's own name."""

import os
from pathlib import Path
from typing import Any

from bucle.artifacts import ArtifactStore
from bucle.pipelines.codecs.protocol import Codec, ValueRef
from bucle.pipelines.codecs.tree import NotPlain


class RawBytes:
    """`bytes`, as they are."""

    name = "bytes"

    def takes(self, value: object) -> bool:
        return type(value) is bytes

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        return ValueRef(self.name, store.put_bytes(value), size=len(value))

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        return store.get_bytes(ref.artifact)


class MadeFile:
    """A `Path` to a file: the next step finds the same content under the same name, in a scratch folder."""

    name = "file"

    def takes(self, value: object) -> bool:
        return isinstance(value, Path)

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        if not value.is_file():
            raise NotPlain(f"path without a file behind it ({value})")
        return ValueRef(self.name, store.put_file(value), name=value.name, size=value.stat().st_size)

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        folder = scratch / ref.artifact.rpartition(":")[2][:16]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / (Path(ref.name).name or "file")
        if not path.exists():
            new = folder / f".{os.getpid()}.new"
            new.unlink(missing_ok=True)
            new.symlink_to(store.path(ref.artifact))
            new.replace(path)
        return path


FILES: tuple[Codec, ...] = (RawBytes(), MadeFile())
