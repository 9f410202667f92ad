"""Each long-lived process tells the others which code and configuration it runs."""

from django.conf import settings
from redis import Redis

from trading.live import builds
from trading.runtime.build import digest


def announce_build() -> None:
    """Tell from now on, where this is a process that somebody supervises; a command or a test tells nothing."""
    if settings.PROCESS_NAME:
        client = Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
        builds.announce_for_ever(client, settings.PROCESS_NAME, digest())
