"""A wheel of this very bucle, the same bytes for the same sources."""

import hashlib
import zipfile
from io import BytesIO
from pathlib import Path

import bucle
from bucle.runtimes import own_wheel
from bucle.runtimes.wheel import build_wheel


def test_equal_sources_give_equal_bytes() -> None:
    assert build_wheel() == build_wheel()


def test_the_wheel_holds_every_file_of_the_package_and_its_record() -> None:
    archive = zipfile.ZipFile(BytesIO(build_wheel()))
    names = set(archive.namelist())
    package = Path(bucle.__file__).parent
    assert {"bucle/__init__.py", "bucle/py.typed", "bucle/ledger/migrations/0001_ledger.sql"} <= names
    assert len([name for name in names if name.endswith(".py")]) == len(list(package.rglob("*.py")))
    assert not [name for name in names if "__pycache__" in name]
    info = f"bucle-{bucle.__version__}.dist-info"
    recorded = {line.split(",")[0] for line in archive.read(f"{info}/RECORD").decode().splitlines()}
    assert recorded == names
    described = archive.read(f"{info}/METADATA").decode()
    assert "Requires-Dist: msgspec" in described
    assert 'extra == "sklearn"' in described
    assert "bucle = bucle.cli:main" in archive.read(f"{info}/entry_points.txt").decode()


def test_the_wheel_lies_under_its_hash_and_is_written_once(tmp_path: Path) -> None:
    wheel = own_wheel(tmp_path)
    assert hashlib.sha256(wheel.read_bytes()).hexdigest().startswith(wheel.parent.name)
    before = wheel.stat()
    assert own_wheel(tmp_path) == wheel
    assert wheel.stat().st_mtime_ns == before.st_mtime_ns
