"""Regimes as a mixture of Gaussians: fitted on training rows, told inside the graph from the bar itself."""

import numpy as np
import torch
from torch import Tensor, nn

from trading.ml.learnable import Floats32

MOST_ROWS = 20_000  # a mixture of few parts is settled long before (ours)
WIDENED = 0.05  # added to each variance, of standardised features: keeps nearly collinear ones from deciding alone


class Mixture(nn.Module):
    """The probability of each regime, given the features of one bar alone: filtered, it cannot look ahead.

    Shapes: z (..., F) -> (..., K), sum 1.

    Source:
        C. Bishop (2006), "Pattern Recognition and Machine Learning", Springer, 9.2: responsibilities, with
        precisions by their Cholesky factors.
    """

    factors: Tensor
    shifts: Tensor
    offsets: Tensor

    def __init__(self, features: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        # Distances of thousands decide between parts: of their float32 the fifth digit of a probability differs.
        exact = torch.float64
        # The Cholesky factors of the precisions side by side, and the means through them.
        self.register_buffer("factors", torch.zeros(features, parts * features, dtype=exact))
        self.register_buffer("shifts", torch.zeros(parts * features, dtype=exact))
        self.register_buffer("offsets", torch.zeros(parts, dtype=exact))  # log weight and half log determinant

    def forward(self, z: Tensor) -> Tensor:
        away = (z.double() @ self.factors - self.shifts).reshape(*z.shape[:-1], self.parts, z.shape[-1])
        return (self.offsets - 0.5 * (away * away).sum(dim=-1)).softmax(dim=-1).float()

    def fit(self, z: Floats32, seed: int) -> None:
        """Set the buffers from standardised training rows (n, F); the same rows and seed give the same mixture."""
        from sklearn.mixture import GaussianMixture

        chosen = z[np.random.default_rng(seed).permutation(len(z))[:MOST_ROWS]].astype(np.float64)
        found = GaussianMixture(min(self.parts, len(chosen)), reg_covar=WIDENED, random_state=seed).fit(chosen)
        parts, features = found.means_.shape
        factors = found.precisions_cholesky_
        shifts = np.einsum("kf,kfg->kg", found.means_, factors)
        halves = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        offsets = np.full(self.parts, -1e9)  # parts that few rows cannot fill are never told
        offsets[:parts] = np.log(found.weights_) + halves
        self.offsets.copy_(torch.from_numpy(offsets))
        width = parts * features
        self.factors[:, :width].copy_(torch.from_numpy(factors.transpose(1, 0, 2).reshape(features, width)))
        self.shifts[:width].copy_(torch.from_numpy(shifts.reshape(width)))
