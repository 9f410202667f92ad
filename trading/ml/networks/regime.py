"""A deep regime detector: each bar as a code, how codes follow one another, and which regime comes."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trading.domain.bars import Floats
from trading.domain.learned import Output
from trading.ml.networks.blocks import Heads, Standardize
from trading.ml.networks.mixture import Mixture

OUTPUTS = (Output.LOG_RV, Output.LOG_RV_Q, Output.TREND, Output.REGIME)
MOST_RATIO = 5.0  # standard deviations that a return counts as
LEAST_SPREAD = 1e-6


class RegimeVAE(nn.Module):
    """Variational autoencoder of single bars.

    Shapes: z (..., F) -> mean, log variance (..., latent).

    Source:
        D. Kingma and M. Welling (2014), "Auto-Encoding Variational Bayes", arXiv 1312.6114, eq. 10.
    """

    def __init__(self, features: int, latent: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = _stack((features, *hidden))
        self.code = nn.Linear(hidden[-1], 2 * latent)
        self.decoder = nn.Sequential(*_stack((latent, *reversed(hidden))), nn.Linear(hidden[0], features))

    def encode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the code."""
        mean, log_variance = self.code(self.encoder(z)).chunk(2, dim=-1)
        return mean, log_variance.clamp(-8, 8)

    def cost(self, z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Return (...) the negative evidence bound of one drawn code, up to a constant, a feature."""
        drawn = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        wrong = 0.5 * (self.decoder(drawn) - z).square().sum(dim=-1)
        away = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1)
        total: Tensor = (wrong + away) / z.shape[-1]
        return total


def _stack(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.GELU()]
    return nn.Sequential(*layers)


class RegimeClassifier(nn.Module):
    """Log odds of each regime from what is known at a bar; small enough to be adapted in a few steps.

    Shapes: (..., width) -> (..., K).
    """

    def __init__(self, width: int, hidden: int, regimes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, regimes)
        )

    def forward(self, h: Tensor) -> Tensor:
        said: Tensor = self.layers(h)
        return said


class DeepRegime(nn.Module):
    """Codes of the bars of a window, a GRU that reads them both ways, and heads on both its ends.

    The GRU looks both ways inside the window alone, and the window ends at the bar that is told of: nothing later than
    that bar is seen. While it trains, a fifth output is what the autoencoder costs, (B,).

    Shapes: x (B, T, F), known (B, T) -> log_rv (B, H), log_rv_q (B, H, 2), trend (B,), regime (B, K), sum 1.
    """

    def __init__(
        self, features: int, horizons: int, *, latent: int, hidden: tuple[int, ...], gru: int, layers: int,
        classifier: int, regimes: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.standardize = Standardize(features)
        self.vae = RegimeVAE(features, latent, hidden)
        self.transition = nn.GRU(latent, gru, layers, batch_first=True, bidirectional=True)
        self.width = 2 * gru + latent
        self.heads = Heads(features, self.width, horizons)
        self.classifier = RegimeClassifier(self.width, classifier, regimes)

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, ...]:
        z = self.standardize(x, known)
        mean, log_variance = self.vae.encode(z)
        h = self._read(mean, known)
        said = (*self.heads(z[:, -1], h), self.classifier(h).softmax(dim=-1))
        return (*said, self._cost(z, mean, log_variance, known)) if self.training else said

    def state(self, x: Tensor, known: Tensor) -> Tensor:
        """Return (B, width), what the heads read."""
        return self._read(self.vae.encode(self.standardize(x, known))[0], known)

    def _read(self, codes: Tensor, known: Tensor) -> Tensor:
        codes = codes * known.unsqueeze(-1)
        both, _ = self.transition(codes)
        half = both.shape[-1] // 2
        return torch.cat((both[:, -1, :half], both[:, 0, half:], codes[:, -1]), dim=-1)

    def _cost(self, z: Tensor, mean: Tensor, log_variance: Tensor, known: Tensor) -> Tensor:
        return (self.vae.cost(z, mean, log_variance) * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)


class RegimeTeacher(nn.Module):
    """Which regime the first horizon turned out to be: a mixture of its volatility and its return over that.

    Fitted on training rows alone; the regimes stand in the order of their mean volatility, calmest first.

    Shapes: log_rv (B, H), returns (B,) -> (B, K), sum 1.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, regimes: int, first_horizon_s: int) -> None:
        super().__init__()
        self.hours = first_horizon_s / 3_600
        self.mixture = Mixture(2, regimes)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, log_rv: Tensor, returns: Tensor) -> Tensor:
        said: Tensor = self.mixture(self._seen(log_rv, returns))
        return said

    def _seen(self, log_rv: Tensor, returns: Tensor) -> Tensor:
        deviation = (0.5 * log_rv[:, 0]).exp() * self.hours**0.5
        ratio = (returns / deviation).clamp(-MOST_RATIO, MOST_RATIO)
        return torch.stack(((log_rv[:, 0] - self.mean) / self.spread, ratio), dim=1)

    @torch.no_grad()
    def fit(self, log_rv: Tensor, returns: Tensor, seed: int) -> None:
        """Fit it on the labels of training rows."""
        self.mean.copy_(log_rv[:, 0].mean())
        self.spread.copy_(log_rv[:, 0].std().clamp(min=LEAST_SPREAD))
        seen = self._seen(log_rv, returns)
        self.mixture.fit(seen.numpy(), seed)
        share = self.mixture(seen)
        level = (share * seen[:, :1]).sum(dim=0) / share.sum(dim=0).clamp(min=LEAST_SPREAD)
        self._order(torch.where(share.sum(dim=0) > 0, level, torch.inf).argsort(stable=True))

    def _order(self, order: Tensor) -> None:
        mixture = self.mixture
        mixture.offsets.copy_(mixture.offsets[order])
        mixture.shifts.copy_(mixture.shifts.view(-1, 2)[order].flatten())
        mixture.factors.copy_(mixture.factors.view(2, -1, 2)[:, order].flatten(1))


def seen_as(log_rv: Floats, returns: Floats, first_horizon_s: int, mean: float, spread: float) -> Floats:
    """Return (n, 2) what `RegimeTeacher` tells regimes by, of (n,) each, in numpy: volatility, return in deviations."""
    deviation = np.exp(0.5 * log_rv) * (first_horizon_s / 3_600) ** 0.5
    return np.column_stack(((log_rv - mean) / spread, np.clip(returns / deviation, -MOST_RATIO, MOST_RATIO)))


def divergence(said: Tensor, meant: Tensor) -> Tensor:
    """Return (B,) the cross entropy of probabilities `said` against `meant`, (B, K) each."""
    return functional.nll_loss(said.clamp(min=1e-9).log(), meant.argmax(dim=1), reduction="none")
