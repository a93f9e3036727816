"""One worker of the stream, from its start to SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Sequence
from types import ModuleType

import mode.loop
import pyarrow as pa

from streams import logs, preflight
from streams.clients import require_broker
from streams.ports import require_free
from streams.settings import Settings
from streams.topics import Topics


def run(settings: Settings) -> None:
    """Run a worker; the process exits with 0 after a clean stop and with 1 after an error.

    Raises
    ------
    PortError : if its port for health and metrics is taken.
    TopicError : if no broker answers at the start, or a topic is missing; later the worker waits for Kafka.
    PreflightError : if Redis would lose or mix up state.
    """
    logs.configure(settings.log_level, settings.log_format)
    require_free(
        settings.http_host,
        settings.http_port,
        "end what listens there, or set MARGINWATCH_HTTP_PORT (0 chooses a free port) and MARGINWATCH_HTTP_HOST",
    )
    gc.disable()  # imported modules are no garbage; the app enables the collector once it is ready
    require_broker(settings)
    asyncio.run(Topics(settings).require())
    mode.loop.use("uvloop")  # before the event loop of the app exists; saves 15–30% of the time per message
    forgo_pandas()
    preflight.check(settings)
    from streams.app import MarginwatchApp
    from streams.kafka.faust_adapter import Worker

    app = MarginwatchApp(settings)
    worker = Worker(app, loglevel=settings.log_level, override_logging=False, redirect_stdouts=False, console_port=0)
    worker.execute_from_commandline()


def forgo_pandas() -> None:
    """Make pyarrow believe that pandas is not installed, because a worker needs none.

    Otherwise pyarrow imports pandas with the first array: one second in the middle of the stream, and 100 MB of memory.
    """
    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([0]).to_numpy()  # pyarrow tries the import once and stores the result
    finally:
        sys.meta_path.remove(_NoPandas)


class _NoPandas:
    """A finder that hides pandas."""

    @staticmethod
    def find_spec(name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> None:
        """Raise `ModuleNotFoundError` for pandas; leave every other module to the next finder."""
        if name == "pandas":
            raise ModuleNotFoundError(name)
