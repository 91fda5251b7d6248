"""Models and training frames between steps."""

import tempfile
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.pipelines.codecs.protocol import Codec, ValueRef

own_modules: ContextVar[tuple[str, ...]] = ContextVar("bucle_own_modules", default=())
"""The project's own modules, whose classes may be part of an estimator."""


class Estimator:
    """A scikit-learn estimator, in the registry's packaging: audited, never unpickled."""

    name = "estimator"

    def takes(self, value: object) -> bool:
        return not isinstance(value, type) and any(
            kind.__name__ == "BaseEstimator" and kind.__module__ == "sklearn.base" for kind in type(value).__mro__
        )

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        from bucle.registry import dump_model

        data = dump_model(value, own_modules.get())
        return ValueRef(self.name, store.put_bytes(data), size=len(data))

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        from bucle.registry import load_model

        return load_model(store.get_bytes(ref.artifact), own_modules.get())


class Frame:
    """A `TrainingFrame`. Its identity is what a step can learn from: rows, columns, label, seed; not when it was made."""

    name = "training-frame"

    def takes(self, value: object) -> bool:
        return any(
            each.__name__ == "TrainingFrame" and each.__module__ == "bucle.features.frames" for each in type(value).__mro__
        )

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        with tempfile.TemporaryDirectory() as folder:
            value.save(Path(folder))
            stored = {each.name: (store.put_file(each), each.stat().st_size) for each in sorted(Path(folder).iterdir())}
            header = msgspec.json.decode((Path(folder) / "frame.json").read_bytes())
        table, size = stored["frame.parquet"]
        essence = {key: content for key, content in header.items() if key != "facts"} | {"table": table}
        parts = tuple(ValueRef("file", id, name=name, size=bytes_) for name, (id, bytes_) in stored.items())
        return ValueRef(self.name, store.put_json(essence), size=size, parts=parts)

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        from bucle.features import TrainingFrame

        with tempfile.TemporaryDirectory() as folder:
            for part in ref.parts:
                (Path(folder) / part.name).symlink_to(store.path(part.artifact))
            return TrainingFrame.load(Path(folder))


MODELS: tuple[Codec, ...] = (Estimator(), Frame())
