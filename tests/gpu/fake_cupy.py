"""A strict stand-in for CuPy: NumPy behind it, CuPy's rules in front, CUDA kernels through ``cuda_on_cpu``.

What plain ``xp = numpy`` lets slip is refused: host arrays among device arrays, copies to the host that nobody asked
for, an array of one device used under another, more memory than a device has. Memory that was not set holds 0xFF
(NaN). Devices are virtual; ``configure`` sets how many and how large. Copies from pinned memory happen late: when
their stream is waited for, and not before. It is no CuPy: numbers are NumPy's, and kernels run at once.
"""

import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

import cuda_on_cpu
import numpy as np

__version__ = "0 (a stand-in)"

_local = threading.local()
_lock = threading.Lock()
_used: dict[int, int] = {}
_peak: dict[int, int] = {}
_limit: dict[int, int | None] = {}
_pool_limit: dict[int, int] = {}
freed: list[int] = []  # devices whose pool was emptied, each time
_count = 1

_VIEWS = {"reshape", "ravel", "transpose", "view", "squeeze", "swapaxes"}
_HOST_ONLY = {"data", "ctypes", "tobytes", "tofile", "flat", "base"}
_OPERATORS = "add sub mul truediv floordiv mod pow lt le gt ge eq ne neg abs and or xor invert matmul".split()  # noqa: SIM905
_OPERATORS += "radd rsub rmul rtruediv rpow iadd isub imul itruediv".split()  # noqa: SIM905
_IN_PLACE = {"iadd", "isub", "imul", "itruediv"}


class OutOfMemoryError(MemoryError):
    """A device has not so much left."""


class CUDARuntimeError(RuntimeError):
    """What the driver says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def configure(devices: int = 1, limit_bytes: int | None = None) -> None:
    """Set how many devices there are and how much memory each has; forget all counters."""
    global _count
    _count = devices
    for table in (_used, _peak, _limit, _pool_limit, freed):
        table.clear()
    _limit.update(dict.fromkeys(range(devices), limit_bytes))


def used() -> dict[int, int]:
    """Return the bytes in use on each device that has any."""
    return {device: n for device, n in _used.items() if n}


def peak() -> dict[int, int]:
    """Return the most bytes that each device held."""
    return dict(_peak)


def _current() -> int:
    return getattr(_local, "device", 0)


class Device:
    """A virtual device; a context in which it is the current one."""

    def __init__(self, number: int | None = None) -> None:
        self.id = _current() if number is None else int(number)
        if not 0 <= self.id < _count:
            raise CUDARuntimeError(101, f"cudaErrorInvalidDevice: invalid device ordinal ({self.id} of {_count})")

    def __enter__(self) -> "Device":
        self._before, _local.device = _current(), self.id
        return self

    def __exit__(self, *_: object) -> None:
        _local.device = self._before

    def synchronize(self) -> None:
        """Nothing is ever pending here."""

    attributes = {"MemoryClockRate": 1_000_000, "GlobalMemoryBusWidth": 1024}  # noqa: RUF012

    @property
    def mem_info(self) -> tuple[int, int]:
        """Bytes free and in all."""
        total = _limit.get(self.id) or 80 * 2**30
        return total - _used.get(self.id, 0), total


def _account(device: int, size: int) -> None:
    with _lock:
        limit, now = _limit.get(device), _used.get(device, 0)
        limit = min((one for one in (limit, _pool_limit.get(device)) if one), default=None)
        if limit is not None and now + size > limit:
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes (allocated so far: {now:,} bytes)")
        _used[device] = now + size
        _peak[device] = max(_peak.get(device, 0), now + size)


class ndarray:
    """A device array: a wrapper, no subclass, so that nothing reaches the NumPy array unasked."""

    __array_priority__ = 1000

    def __init__(self, host: np.ndarray, device: int | None = None, base: "ndarray | None" = None) -> None:
        self._host, self._device, self._base = host, _current() if device is None else device, base
        if base is None:
            _account(self._device, host.nbytes)
            weakref.finalize(self, _account, self._device, -host.nbytes)

    dtype, shape, ndim, size, nbytes, flags = (
        property(lambda self, name=name: getattr(self._host, name))
        for name in ("dtype", "shape", "ndim", "size", "nbytes", "flags")
    )
    T, real, imag = (
        property(lambda self, name=name: ndarray(getattr(self._host, name), self._device, self))
        for name in ("T", "real", "imag")
    )

    @property
    def device(self) -> Device:
        """Where it lies."""
        return Device(self._device)

    def get(self, out: np.ndarray | None = None) -> np.ndarray:
        """Copy to the host."""
        if out is None:
            return self._host.copy()
        out[...] = self._host
        return out

    def set(self, host: np.ndarray, stream: "Stream | None" = None) -> None:
        """Copy from the host: at once, or when what is queued in ``stream`` has to be done."""
        if not isinstance(host, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if host.dtype != self.dtype or host.shape != self.shape:
            raise ValueError(f"{host.dtype} {host.shape} is set to {self.dtype} {self.shape}")
        if stream is None:
            self._host[...] = host
            return
        if not isinstance(host, Pinned):
            raise TypeError("a copy that is waited for later must come from pinned memory")
        stream.queue(self._device, lambda: self._host.__setitem__(..., host))

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __getitem__(self, key: Any) -> "ndarray":
        found = np.asarray(_host_of(self)[_host_of(key, index=True)])
        return ndarray(found, self._device, self if found.base is not None else None)

    def __setitem__(self, key: Any, value: Any) -> None:
        _host_of(self)[_host_of(key, index=True)] = _host_of(value)

    def __array_ufunc__(self, function: Any, method: str, *given: Any, out: Any = None, **options: Any) -> Any:
        if out is not None:
            options["out"] = tuple(_host_of(one) for one in out)
        found = getattr(function, method)(*[_host_of(one) for one in given], **options)
        return out[0] if out is not None else _on_device(found)

    def __array_function__(self, function: Any, _: Any, args: Any, kwargs: Any) -> Any:
        return _call(function, args, kwargs)

    def __float__(self) -> float:
        return float(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __len__(self) -> int:
        return len(self._host)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in _HOST_ONLY or not hasattr(np.ndarray, name):
            raise AttributeError(f"cupy.ndarray has no attribute {name!r} here")
        bound = getattr(self._host, name)
        if not callable(bound):
            return bound

        def call(*args: Any, **kwargs: Any) -> Any:
            _host_of(self)
            found = bound(*[_host_of(one) for one in args], **{key: _host_of(one) for key, one in kwargs.items()})
            shared = name in _VIEWS and isinstance(found, np.ndarray) and np.shares_memory(found, self._host)
            return ndarray(found, self._device, self) if shared else _on_device(found)

        return call


def _operator(name: str) -> Callable[..., Any]:
    def apply(self: ndarray, *others: Any) -> Any:
        found = getattr(_host_of(self), f"__{name}__")(*[_host_of(one) for one in others])
        return self if name in _IN_PLACE else _on_device(found)

    return apply


for _name in _OPERATORS:
    setattr(ndarray, f"__{_name}__", _operator(_name))


def _host_of(value: Any, index: bool = False) -> Any:
    if isinstance(value, ndarray):
        if value._device != _current():
            raise RuntimeError(f"an array of device {value._device} is used under device {_current()}")
        return value._host
    if isinstance(value, np.ndarray) and value.ndim and not index:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, (tuple, list)):
        return type(value)(_host_of(one, index) for one in value)
    return value


def _on_device(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_on_device(one) for one in value)
    return ndarray(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else value


def _call(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    return _on_device(function(*[_host_of(one) for one in args], **{k: _host_of(one) for k, one in kwargs.items()}))


def asarray(value: Any, dtype: Any = None) -> ndarray:
    """Copy to the current device, unless it lies there."""
    if isinstance(value, ndarray):
        if value._device != _current():
            return ndarray(np.array(value._host, dtype=dtype))
        return value if dtype is None or value.dtype == dtype else ndarray(value._host.astype(dtype))
    return ndarray(np.array(value, dtype=dtype))


array = asarray


def asnumpy(value: Any) -> np.ndarray:
    """Copy to the host."""
    return value.get() if isinstance(value, ndarray) else np.asarray(value)


def empty(shape: Any, dtype: Any = float) -> ndarray:
    """Fresh memory holds anything: here 0xFF."""
    host = np.empty(shape, dtype)
    host.view(np.uint8).fill(0xFF)
    return ndarray(host)


def get_array_module(*values: Any) -> Any:
    """This module where a device array is among them."""
    import sys

    return sys.modules[__name__] if any(isinstance(one, ndarray) for one in values) else np


class RawModule:
    """CUDA source on a device: bound to the one that is current when it is made."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        self._device, self._module = _current(), cuda_on_cpu.RawModule(code=code, options=options)

    def get_function(self, name: str) -> Callable[..., None]:
        """Return a kernel that takes device arrays and NumPy scalars."""
        function = self._module.get_function(name)

        def launch(grid: tuple[int, ...], block: tuple[int, ...], args: Any, *, shared_mem: int = 0) -> None:
            if _current() != self._device:
                raise RuntimeError(f"a kernel of device {self._device} is launched under device {_current()}")
            if any(isinstance(one, np.ndarray) and one.ndim for one in args):
                raise TypeError("Unsupported type <class 'numpy.ndarray'>")
            function(grid, block, [_host_of(one) for one in args], shared_mem=shared_mem)

        return launch


def _mirror(module: Any, names: str) -> types.SimpleNamespace:
    def bound(name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: _call(getattr(module, name), args, kwargs)

    return types.SimpleNamespace(**{name: bound(name) for name in names.split()})


class Pinned(np.ndarray):
    """Host memory that copies may be made from while the device computes."""


class Stream:
    """A queue of copies; computing does not queue here. The stream of a thread is its own, as is the device."""

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self._device, self._waiting = _current(), list[Callable[[], None]]()

    def queue(self, device: int, copy: Callable[[], None]) -> None:
        """Let a copy wait."""
        if not device == self._device == _current():
            raise RuntimeError(f"a stream of device {self._device} copies to device {device} under {_current()}")
        self._waiting.append(copy)

    def run(self, until: int | None = None) -> None:
        """Do what waits, or so much of it."""
        for copy in self._waiting[:until]:
            copy()
        self._waiting[:until] = [lambda: None] * len(self._waiting[:until])  # places stay, for events

    def synchronize(self) -> None:
        """Do all that waits."""
        self.run()

    def wait_event(self, event: "Event") -> None:
        """Have what comes before the event done first: at once, as computing does not wait here."""
        event.synchronize()

    def __enter__(self) -> "Stream":
        self._before, _local.stream = getattr(_local, "stream", None), self
        return self

    def __exit__(self, *_: object) -> None:
        _local.stream = self._before


class Event:
    """A place in a stream."""

    def __init__(self, disable_timing: bool = False) -> None:
        self._stream: Stream | None = None

    def record(self, stream: Stream) -> None:
        """Remember where the stream is now."""
        self._stream, self._place = stream, len(stream._waiting)

    def synchronize(self) -> None:
        """Have everything before it done."""
        if self._stream is not None:
            self._stream.run(self._place)


def _get_current_stream() -> Stream:
    if getattr(_local, "stream", None) is None:
        _local.stream = Stream()
    return _local.stream


class _Pool:
    """The pool of one device."""

    def __init__(self, device: int) -> None:
        self._device = device

    def used_bytes(self) -> int:
        """Return what arrays hold."""
        return _used.get(self._device, 0)

    total_bytes = used_bytes

    def free_all_blocks(self) -> None:
        """Nothing is held that no array has."""
        freed.append(self._device)

    def get_limit(self) -> int:
        """Return the limit, 0 where there is none."""
        return _pool_limit.get(self._device, 0)

    def set_limit(self, size: int = 0, fraction: float | None = None) -> None:
        """Set it."""
        _pool_limit[self._device] = int(size)


class _Plans:
    """The plans that a thread keeps on a device: how many, how large."""

    size, memsize = 16, -1

    def set_size(self, size: int) -> None:
        """Bound their number."""
        self.size = size

    def set_memsize(self, size: int) -> None:
        """Bound their work areas."""
        self.memsize = size


def _get_plan_cache() -> _Plans:
    kept = _local.__dict__.setdefault("plans", {})
    return kept.setdefault(_current(), _Plans())


def get_default_memory_pool() -> _Pool:
    """Return the current device's pool."""
    return _Pool(_current())


def get_default_pinned_memory_pool() -> types.SimpleNamespace:
    """Return the pool of pinned memory."""
    return types.SimpleNamespace(free_all_blocks=lambda: None)


fft = _mirror(np.fft, "fft ifft rfft irfft fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn fftfreq rfftfreq")
fft.config = types.SimpleNamespace(get_plan_cache=_get_plan_cache, clear_plan_cache=lambda: None)
cuda = types.SimpleNamespace(
    Device=Device,
    Stream=Stream,
    Event=Event,
    get_elapsed_time=lambda begin, end: 1.0,
    get_current_stream=_get_current_stream,
    cufft=None,
    memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
    runtime=types.SimpleNamespace(
        getDeviceCount=lambda: _count,
        getDeviceProperties=lambda number: {
            "name": b"Virtual GPU",
            "major": 9,
            "minor": 0,
            "totalGlobalMem": _limit.get(number) or 80 * 2**30,
        },
        runtimeGetVersion=lambda: 12090,
        driverGetVersion=lambda: 12090,
        memGetInfo=lambda: Device().mem_info,
        CUDARuntimeError=CUDARuntimeError,
    ),
    nvrtc=types.SimpleNamespace(getVersion=lambda: (12, 9)),
    is_available=lambda: _count > 0,
)


def __getattr__(name: str) -> Any:  # everything else is NumPy's, its arguments looked at
    found = getattr(np, name)
    if not callable(found) or isinstance(found, type):
        return found
    return lambda *args, **kwargs: _call(found, args, kwargs)
