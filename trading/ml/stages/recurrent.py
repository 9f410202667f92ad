"""Stage 0: what the roadmap calls current: feature attention, an LSTM, a mixture of Gaussians."""

from trading.ml.forecasting import Forecasting
from trading.ml.networks.blocks import Trunk
from trading.ml.networks.recurrent import Recurrent


def trunk(features: int, window: int, *, hidden: int) -> Trunk:
    """Return the trunk; it reads windows of any length."""
    return Recurrent(features, hidden)


STAGE = Forecasting(0, "lstm", trunk, {"quick": {"hidden": 8}, "usual": {"hidden": 32}, "roadmap": {"hidden": 64}})
