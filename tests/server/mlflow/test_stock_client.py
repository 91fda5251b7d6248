"""A stock MLflow client in an environment of its own, against a real server (J-M)."""

import subprocess
from pathlib import Path

import pytest
from tests.live import environment, up
from uv import find_uv_bin


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.17.2"])
def test_a_stock_client_does_not_notice_the_difference(tmp_path: Path, version: str) -> None:
    python = tmp_path / "client" / "bin" / "python"
    for command in (
        ["venv", str(tmp_path / "client")],
        ["pip", "install", "--python", str(python), f"mlflow-skinny=={version}"],
    ):
        subprocess.run([find_uv_bin(), *command, "--quiet"], check=True, timeout=300)
    with up(tmp_path / "home") as server:
        variables = environment(MLFLOW_TRACKING_URI=server.url, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", HOME=str(tmp_path))
        script = Path(__file__).with_name("stock_client.py")
        said = subprocess.run([python, script], env=variables | {"PYTHONPATH": ""}, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr[-3000:]
