"""Health for machines: alive, ready, and numbers for Prometheus."""

import time
from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from typing import Final, cast

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis, RedisError

from trading.live.keys import HEARTBEAT, METRICS

MISDIRECTED: Final = 421  # RFC 9110, 15.5.20
LONGEST_TIME: Final = 19  # digits of milliseconds; Python reads no number of five thousand


@lru_cache
def valkey() -> Redis:
    """Return this process's Valkey connection pool for health and metrics."""
    return Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


def only_here(view: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Let `view` answer only who means this installation: `up` must not take another console for its own."""

    @wraps(view)
    def asked(request: HttpRequest, instance: str) -> HttpResponse:
        if instance != settings.INSTANCE:
            return HttpResponse("another console listens here\n", status=MISDIRECTED, content_type="text/plain")
        return view(request)

    return asked


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that this process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether database, Valkey and every loop answer; 503 names what does not.

    With `?since=<milliseconds since 1970>` an earlier heartbeat does not count: after a quick restart those of the
    loops before it are still fresh.
    """
    since = request.GET.get("since", "0")
    since_ms = int(since) if since.isdecimal() and len(since) <= LONGEST_TIME else 0
    findings = {"database": _database(), "valkey": _valkey(), **_loops(since_ms)}
    ready = all(value == "ok" for value in findings.values())
    return JsonResponse({"ready": ready, **findings}, status=200 if ready else 503)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics of this process and of the loops in Prometheus text."""
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"no answer: {type(error).__name__}"
    return "ok"


def _valkey() -> str:
    try:
        valkey().ping()
    except RedisError as error:
        return f"no answer: {type(error).__name__}"
    return "ok"


def _loops(since_ms: int) -> dict[str, str]:
    keys = [HEARTBEAT.format(loop=loop) for loop in settings.LOOPS]
    try:
        beats = cast(list[bytes | None], valkey().mget(keys))
    except RedisError:
        beats = [None] * len(keys)
    now_ms = time.time_ns() // 1_000_000
    return {
        loop: beat_finding(beat, now_ms=now_ms, since_ms=since_ms)
        for loop, beat in zip(settings.LOOPS, beats, strict=True)
    }


def beat_finding(beat: bytes | None, *, now_ms: int, since_ms: int = 0) -> str:
    """Return "ok" for a fresh heartbeat, else what is wrong with it."""
    if beat is None:
        return "no heartbeat"
    if not beat.isdigit():
        return "unreadable heartbeat"
    if int(beat) < since_ms:
        return "no heartbeat yet"
    age_ms = now_ms - int(beat)
    return "ok" if age_ms <= settings.LOOP_HEARTBEAT_LIMIT_MS else f"last heartbeat {age_ms} ms ago"


class LoopMetrics(Collector):
    """The numbers the loops leave in Valkey, as gauges named gridconsole_<name>, those of a desk labelled with it."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one gauge per entry; an unreachable Valkey yields none and is visible as gridconsole_valkey_up 0."""
        try:
            entries = _gauges()
        except RedisError:
            entries = {}
            yield GaugeMetricFamily("gridconsole_valkey_up", "Valkey answers", value=0)
        else:
            yield GaugeMetricFamily("gridconsole_valkey_up", "Valkey answers", value=1)
        for name, samples in sorted(entries.items()):
            yield _family(name, samples)

    def describe(self) -> list[GaugeMetricFamily]:
        """Name nothing ahead: the registry must not ask Valkey while the process starts."""
        return []


def _gauges() -> dict[str, dict[str, float]]:
    """Return gauge -> account ("" where it is of no account) -> number; what is no number is left out."""
    pipe = valkey().pipeline(transaction=False)
    for loop in settings.LOOPS:
        pipe.hgetall(METRICS.format(loop=loop))
    found: dict[str, dict[str, float]] = {}
    for entries in cast(list[dict[bytes, bytes]], pipe.execute()):
        for key, value in entries.items():
            name, _, account = key.decode().partition(":")
            if (number := _number(value)) is not None:
                found.setdefault(name, {})[account] = number
    return found


def _family(name: str, samples: dict[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"gridconsole_{name}", "Told by the loops once a second", labels=["account"])
    for account, number in sorted(samples.items()):
        if account:
            family.add_metric([account], number)
        else:
            family.add_sample(family.name, {}, number)
    return family


def _number(value: bytes) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


REGISTRY.register(LoopMetrics())
