"""WebSocket addresses."""

from django.urls import path, re_path

from gridconsole.security import refuse_socket
from trading.consumers import LiveConsumer

websocket_urlpatterns = [
    path("ws/live/", LiveConsumer.as_asgi()),
    re_path("", refuse_socket),  # type: ignore[arg-type]  # Channels routes to applications, not to views
]
