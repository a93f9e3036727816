"""`python -m tests.paused_worker`: a worker that stops itself between storing a step and publishing it.

It sends itself SIGSTOP before it publishes to a topic whose name the file `PAUSE_BEFORE` contains, once; the file is
gone then. SIGCONT lets it publish.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streams import output_publisher, worker
from streams.settings import Settings
from streams.tables import Output

PAUSE_BEFORE = "TEST_PAUSE_BEFORE"


def main() -> None:
    """Run the worker until it is asked to end."""
    wanted = Path(os.environ[PAUSE_BEFORE])
    publish = output_publisher.send

    async def pause_and_publish(producer: Any, outputs: Sequence[Output]) -> None:
        if wanted.exists() and wanted.read_text() in {output.topic for output in outputs}:
            wanted.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)
        await publish(producer, outputs)

    output_publisher.send = pause_and_publish
    worker.run(Settings())


if __name__ == "__main__":
    main()
