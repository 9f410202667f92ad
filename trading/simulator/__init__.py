"""The simulated exchange: recorded market data behind Binance's spot dialect, over real sockets."""

from typing import Final

INSTANCE_PATH: Final = "/instance/{}"  # before any address of the exchange: only the instance of that name answers
