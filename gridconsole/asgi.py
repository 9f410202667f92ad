"""The web process: HTTP through Django, WebSockets through Channels, only from our own origins."""

import os
from typing import Any

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridconsole.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - the registry of models must be ready first
from django.core.exceptions import SuspiciousOperation  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.http import HttpResponseBadRequest  # noqa: E402

from gridconsole.announcing import announce_build  # noqa: E402
from gridconsole.routing import websocket_urlpatterns  # noqa: E402
from gridconsole.security import OwnOriginsOnly  # noqa: E402


class Handler(ASGIHandler):
    """Django's handler; a request it cannot even make an object of is refused with 400 instead of failing."""

    def create_request(self, scope: Any, body_file: Any) -> Any:
        """Return the request, or None and the refusal (more fields than allowed beside a charset)."""
        try:
            return super().create_request(scope, body_file)
        except (SuspiciousOperation, ValueError, LookupError):
            return None, HttpResponseBadRequest()


announce_build()
http = Handler()
application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": OwnOriginsOnly(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), settings.ALLOWED_ORIGINS),
    }
)
