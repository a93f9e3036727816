"""The network that reads charts: three convolutions and one linear layer, small enough for two processors.

The first convolution has a stride of one session, so that its columns are sessions. Two outputs are the chances that
the return over each of `HORIZONS` lies above the median of the day.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import torch
from torch import nn

from processors.chart_labels import HORIZONS
from processors.charts import HEIGHT, PIXELS_A_SESSION, WHITE, WIDTH

_CHANNELS = (12, 24, 32)
_FLAT = _CHANNELS[-1] * 4 * 10  # rows × columns behind the last convolution
INPUT, OUTPUT = "images", "chances"


class Network(nn.Module):
    """Images (n, 64, 60) of 0 and 255 → logits (n, 2)."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = _CHANNELS
        self.layers = nn.Sequential(
            nn.Conv2d(1, first, (8, PIXELS_A_SESSION), stride=(4, PIXELS_A_SESSION), padding=(2, 0)),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=(2, 1), padding=1),
            nn.BatchNorm2d(second),
            nn.ReLU(),
            nn.Conv2d(second, third, 3, stride=(2, 2), padding=1),
            nn.BatchNorm2d(third),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(_FLAT, len(HORIZONS)),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        out: torch.Tensor = self.layers(images.float().unsqueeze(1) / WHITE)
        return out


class Ensemble(nn.Module):
    """The mean chance of several networks: images (n, 64, 60) → (n, 2)."""

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the mean chances."""
        return torch.stack([torch.sigmoid(network(images)) for network in self.networks]).mean(dim=0)


def to_onnx(networks: Sequence[Network]) -> bytes:
    """Return an ensemble as an ONNX file: `INPUT` (n, 64, 60) uint8 → `OUTPUT` (n, 2)."""
    ensemble = Ensemble(networks).eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter traces the same graph, but needs two more packages.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            ensemble,
            (torch.zeros((1, HEIGHT, WIDTH), dtype=torch.uint8),),
            buffer,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
            dynamo=False,
        )
    return buffer.getvalue()
