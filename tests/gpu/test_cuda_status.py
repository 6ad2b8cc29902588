"""Why there is no usable GPU, in CuPy's own errors: the real CuPy, and a driver of ours that has no device."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cupy

ASK = "from pypcore.cuda import cuda_here; print(cuda_here())"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a libcuda.so.1 that has no device."""
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("fake_driver.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "libcuda.so.1", source], check=True)
    return folder


def asked(environment: dict[str, str], before: str = "") -> str:
    told = subprocess.run(
        [sys.executable, "-c", before + ASK], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("Cuda(devices=0, ")
    assert len(told.stdout.splitlines()) == 1
    return told.stdout


def test_without_a_driver() -> None:
    assert "no NVIDIA driver on this machine (CUDA 12 needs 525 or newer)" in asked({})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"FAKE_CUINIT": "100"}, "ask for one (--gres gpu:1)"),
        ({"FAKE_CUINIT": "3"}, "did not initialise"),
        ({"FAKE_CUINIT": "34"}, "stub"),
        ({"FAKE_CUINIT": "803"}, "different driver versions"),
        ({"FAKE_CUINIT": "999"}, "cudaErrorUnknown"),
        ({"FAKE_CUINIT": "0", "FAKE_VERSION": "11040"}, "too old: it knows CUDA 11.4; CUDA 12 needs 525"),
    ],
)
def test_a_driver_that_has_nothing_for_us(driver: Path, answer: dict[str, str], said: str) -> None:
    assert said in asked({**answer, "LD_LIBRARY_PATH": str(driver)})


def test_without_cupy() -> None:
    said = asked({}, "import sys; sys.modules['cupy'] = None; ")
    assert "pip install 'pypcore[cuda12]'" in said
