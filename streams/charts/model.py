"""A chart model as workers and studies score with it: the card and one ONNX file a year."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from processors.arrays import Floats
from processors.chart_labels import HORIZONS
from processors.chart_scores import NO_MODEL, Scorer
from processors.charts import Heights, draw, numbers
from processors.logistic import probability
from streams.charts.card import ModelCard, Year, read_card
from streams.charts.errors import ChartModelError

_BATCH = 512  # images at once: 2 MB, which stay in the processor's cache


class ChartModel:
    """A loaded model; an ensemble is opened when its first year is scored.

    Raises
    ------
    ChartModelError : if the folder has no card, or a file is not the one of the card.
    """

    def __init__(self, folder: Path) -> None:
        self.card: ModelCard = read_card(folder)
        self._folder = folder
        self._sessions: dict[int, Any] = {}
        for one in self.card.years:
            self._content(one)

    @property
    def digest(self) -> str:
        """The digest of its files."""
        return self.card.digest

    @property
    def revision(self) -> int:
        """Number of trainings in its folder before this one."""
        return self.card.revision

    def chances(self, year: int, of: Heights) -> Floats | None:
        """Return the chances of charts in a year: (n, 2); None before its first year."""
        entry = self.card.year(year)
        if entry is None:
            return None
        if entry.year not in self._sessions:
            self._sessions[entry.year] = _open(self._content(entry))
        session = self._sessions[entry.year]
        (name,) = (one.name for one in session.get_inputs())
        parts = [of[start : start + _BATCH] for start in range(0, len(of), _BATCH)]
        found = [session.run(None, {name: draw(part)})[0] for part in parts]
        return np.concatenate([np.empty((0, len(HORIZONS))), *found]).astype(np.float64)

    def rival(self, year: int, of: Heights) -> Floats | None:
        """Return the chances by the logistic regression on the same charts (n,); None before its first year."""
        entry = self.card.year(year)
        return None if entry is None else probability(numbers(of), np.array(entry.logistic))

    def _content(self, one: Year) -> bytes:
        path = self._folder / one.file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ChartModelError(
                f"{path} can't be read ({error.strerror}): copy the whole folder of the model"
            ) from error
        if sha256(content).hexdigest() != one.digest:
            raise ChartModelError(f"{path} is not the file that its card names: copy the whole folder of the model")
        return content


def _open(content: bytes) -> Any:
    """Return a session of onnxruntime with one thread: scores do not depend on the number of processors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def load(folder: Path | None) -> Scorer | str:
    """Return the model of a folder, or the reason why there is none: no folder is set, or onnxruntime is not installed.

    Raises
    ------
    ChartModelError : if a folder is set, and has no whole model.
    """
    if folder is None:
        return NO_MODEL
    try:
        import onnxruntime  # noqa: F401 - an extra
    except ImportError:
        return "onnxruntime is not installed: install marginwatch[charts]"
    return ChartModel(folder)
