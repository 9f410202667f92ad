"""WebSocket addresses."""

from importlib.util import find_spec
from typing import Any

from django.urls import path

websocket_urlpatterns: list[Any] = []
if find_spec("trading.consumers"):
    from trading.consumers import LiveConsumer

    websocket_urlpatterns.append(path("ws/live/", LiveConsumer.as_asgi()))
