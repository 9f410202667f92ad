"""The simulated exchange: recorded market data behind Binance's spot dialect, over real sockets."""
