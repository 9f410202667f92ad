"""The web process: HTTP through Django, WebSockets through Channels, only from our own origins."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridconsole.settings")
http = get_asgi_application()

from django.conf import settings  # noqa: E402 - the registry of models must be ready first

from gridconsole.announcing import announce_build  # noqa: E402
from gridconsole.routing import websocket_urlpatterns  # noqa: E402
from gridconsole.security import OwnOriginsOnly  # noqa: E402

announce_build()
application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": OwnOriginsOnly(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), settings.ALLOWED_ORIGINS),
    }
)
