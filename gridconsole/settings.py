"""Django settings: one file; GRIDCONSOLE_PROFILE says who starts the servers."""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gridconsole import env, profile, secret
from gridconsole.logs import logging_config

_profile = profile.read()

# --- the installation -----------------------------------------------------------------------------------------
BASE_DIR = profile.BASE_DIR
PROFILE = _profile.kind
DATA_DIR: Path = _profile.data_dir
HALT_LATCH_FILE = DATA_DIR / "halt.latch"
AUDIT_ANCHOR_FILE = DATA_DIR / "audit-anchors.jsonl"
SECRETS_KEY_FILE = DATA_DIR / "secrets.key"
SECRETS_KEYS = env.text("GRIDCONSOLE_SECRETS_KEYS")
LOG_DIR = DATA_DIR / "log"
MARKET_STORE_DIR = env.directory("GRIDCONSOLE_MARKET_DIR", DATA_DIR / "market")  # recorded and imported history
RECORD_MARKET = env.boolean("GRIDCONSOLE_RECORD", True)
RECORD_DAYS = env.integer("GRIDCONSOLE_RECORD_DAYS", 7, low=1, high=3_650)  # recorded days that are kept
RECORD_MAX_MB = env.integer("GRIDCONSOLE_RECORD_MAX_MB", 2_000, low=10, high=10_000_000)  # what recordings may take
ARTIFACTS_DIR = env.directory("GRIDCONSOLE_ARTIFACTS_DIR", DATA_DIR / "store")  # models, unless a bucket is named
ARTIFACTS_S3 = env.bucket("GRIDCONSOLE_ARTIFACTS_S3")  # of a server that speaks S3; no name: the folder
RELEASE_REPOSITORY = env.text("GRIDCONSOLE_RELEASE_REPOSITORY")  # a git repository that gets a tag with every GO
INSTANCE = _profile.instance
PORT = _profile.port
SIMULATOR_URL = _profile.simulator_url
DEMO_SPEED = _profile.speed
DEMO_DATASET = _profile.dataset
# One installation trades at one venue: prices and orders come from and go to the same place.
VENUE = _profile.venue
VENUE_URL = {"testnet": "https://testnet.binance.vision", "live": "https://api.binance.com"}.get(VENUE, SIMULATOR_URL)
SIMULATOR_STANDS_IN = env.boolean("GRIDCONSOLE_SIMULATOR_STANDS_IN", False)  # for TESTNET and LIVE: a rehearsal
if SIMULATOR_STANDS_IN and (PROFILE == "distributed" or VENUE != "simulator"):
    raise env.InvalidEnvironment(
        "GRIDCONSOLE_SIMULATOR_STANDS_IN", "true", "false in profile distributed and where GRIDCONSOLE_VENUE is set"
    )
LOOPS = ("market_data", "model", "execution", "risk")
LOOP_HEARTBEAT_LIMIT_MS = 5_000  # a loop that has not said it lives for longer is not ready

# --- Django -----------------------------------------------------------------------------------------------------
SECRET_KEY = secret.key(_profile)
DEBUG = env.boolean("GRIDCONSOLE_DEBUG", False)
if DEBUG and PROFILE == "distributed":
    raise env.InvalidEnvironment("GRIDCONSOLE_DEBUG", "true", "false in profile distributed")
ROOT_URLCONF = "gridconsole.urls"
ASGI_APPLICATION = "gridconsole.asgi.application"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",  # its middleware and command; the rows are trading.models.sessions
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "gridconsole.apps.GridconsoleConfig",
    "riskops.apps.RiskopsConfig",
    "trading.apps.TradingConfig",
]
MIDDLEWARE = [
    "gridconsole.security.ContentSecurityPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "gridconsole.static.StaticFilesMiddleware",
    "gridconsole.logs.RequestIdMiddleware",
    "gridconsole.security.ReadableRequestsOnly",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "riskops.middleware.known_people",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "riskops.views.break_glass.bar",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
DATE_FORMAT, TIME_FORMAT, DATETIME_FORMAT = "Y-m-d", "H:i:s", "Y-m-d H:i:s"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
# Scrypt first: memory-hard, and a third of the time of Django's default PBKDF2 at its million rounds.
PASSWORD_HASHERS = [f"django.contrib.auth.hashers.{name}" for name in ("ScryptPasswordHasher", "PBKDF2PasswordHasher")]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

OTP_TOTP_THROTTLE_FACTOR = 0  # riskops.services.slowing slows: the device's own wait doubles without a bound

# --- database -----------------------------------------------------------------------------------------------------
PROCESS_NAME = _process = env.text("GRIDCONSOLE_PROCESS")  # web, loops, tasks ...; empty for a one-off command
COMMAND_NAME = " ".join(sys.argv[1:2]) if Path(sys.argv[0]).name == "manage.py" else ""  # "halt"
_database = env.database("DATABASE_URL", _profile.database_url)
# Every ASGI request has a thread of its own: share a few connections. A command fails at once instead, and so do the
# loops, whose few threads keep their connections: a pool waits ever longer before it tries a server that was away.
if _process not in {"", "loops"}:
    _database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 10, "timeout": 10, "reconnect_timeout": 1}
DATABASES: dict[str, dict[str, Any]] = {
    "default": {**_database, "ENGINE": "django.db.backends.postgresql", "CONN_HEALTH_CHECKS": True},
}

# --- Valkey: bus, leases, channel layer, cache, broker ------------------------------------------------------------
REDIS_URL = _profile.redis_url
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {
            # An idle browser blocks in a read for minutes: no read timeout, whatever the client library's default.
            "hosts": [{"address": REDIS_URL, "socket_timeout": None, "socket_connect_timeout": 5}],
            "prefix": "gc:channels",
        },
    },
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "gc:cache",
    },
}

# --- Celery: housekeeping tasks on beat; the loops are hosted by a worker bootstep ---------------------------
CELERY_BROKER_URL = _profile.broker_url.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "gc:celery:"} if "redis" in CELERY_BROKER_URL else {}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = True  # tasks are idempotent: one cut short runs again
CELERY_TASK_TIME_LIMIT = 300  # seconds
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_TASK_ROUTES: dict[str, dict[str, str]] = {
    "riskops.tasks.make_reports": {"queue": "reports"},
    "trading.tasks.run_trainings": {"queue": "learning"},
}
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "prune-samples": {"task": "trading.tasks.prune_samples", "schedule": 3_600},  # seconds
    "roll-up-evidence": {"task": "trading.tasks.roll_up_evidence", "schedule": 300},
    "compare-with-backtest": {"task": "trading.tasks.compare_with_backtest", "schedule": 3_600},
    "measure-mark-outs": {"task": "trading.tasks.measure_mark_outs", "schedule": 120},
    "tend-market-store": {"task": "trading.tasks.tend_market_store", "schedule": 900},
    "anchor-audit-chain": {"task": "trading.tasks.anchor_audit_chain", "schedule": 3_600},
    "verify-audit-chain": {"task": "trading.tasks.verify_audit_chain", "schedule": 86_400},
    "notice-quiet-accounts": {"task": "trading.tasks.notice_quiet_accounts", "schedule": 900},
    "tell-of-yesterday": {"task": "trading.tasks.tell_of_yesterday", "schedule": 900},
    "check-venue-keys": {"task": "trading.tasks.check_venue_keys", "schedule": 60},
    "judge-conduct": {"task": "trading.tasks.judge_conduct", "schedule": 60},
    "judge-models": {"task": "trading.tasks.judge_models", "schedule": 60},
    "replay-features": {"task": "trading.tasks.replay_features", "schedule": 3_600},
    "tend-promotions": {"task": "riskops.tasks.tend_promotions", "schedule": 60},
    "run-backtests": {"task": "trading.tasks.run_backtests", "schedule": 30},  # what nobody was called for
    "run-trainings": {"task": "trading.tasks.run_trainings", "schedule": 30},
    "tend-sign-ins": {"task": "riskops.tasks.tend_sign_ins", "schedule": 60},
    "judge-runs": {"task": "riskops.tasks.judge_runs", "schedule": 10},
    "escalate-alerts": {"task": "riskops.tasks.escalate_alerts", "schedule": 5},
    "prune-deliveries": {"task": "riskops.tasks.prune_deliveries", "schedule": 3_600},
    "make-reports": {"task": "riskops.tasks.make_reports", "schedule": 300},
    "create-release-tags": {"task": "riskops.tasks.create_release_tags", "schedule": 60},
}

# --- static files -------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Embedded serves straight from the source folders; distributed runs collectstatic and gets hashed, compressed files.
STATIC_ROOT = None if PROFILE == "embedded" else BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = PROFILE == "embedded"
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 0  # unhashed names: ask every time, get 304
WHITENOISE_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if PROFILE == "embedded"
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- security -----------------------------------------------------------------------------------------------------
ALLOWED_ORIGINS = list(_profile.origins)
ALLOWED_HOSTS = sorted({urlsplit(origin).hostname or "" for origin in ALLOWED_ORIGINS})
CSRF_TRUSTED_ORIGINS = ALLOWED_ORIGINS
_https = all(origin.startswith("https://") for origin in ALLOWED_ORIGINS)
# Cookies are shared by all ports of a host: two consoles on one machine would sign each other out.
SESSION_COOKIE_NAME = f"gridconsole_session_{PORT}"
CSRF_COOKIE_NAME = f"gridconsole_csrf_{PORT}"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_ENGINE = "trading.models.sessions"
SESSION_COOKIE_AGE = env.integer("GRIDCONSOLE_SESSION_HOURS", 12, low=1, high=168) * 3600  # seconds; one long shift
SESSION_IDLE_AGE = env.integer("GRIDCONSOLE_SESSION_IDLE_MINUTES", 240, low=5, high=10_080) * 60  # seconds
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_SSL_REDIRECT = _https
SECURE_REDIRECT_EXEMPT = [r"^((healthz|readyz)(/\w+)?|metrics)$"]  # asked by machines beside us, not through the proxy
# W005 and W021 would bind every other host under the same domain, for which the console cannot speak.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576  # bytes
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200

# --- logs: readable on the console, JSON lines in DATA_DIR/log ----------------------------------------------------
LOGGING = logging_config(log_dir=LOG_DIR, process=_process, level=_profile.log_level)
LOGGING_CONFIG = "gridconsole.logs.configure"
