"""Every address of the console: pages of operation and governance, sign-in, admin, health and metrics."""

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from gridconsole import health
from riskops.admin import change_own_password
from riskops.views import alerts, signing_in
from trading import urls as operation

# The page of operation that governance fills: its rules, states and routes are there.
operation_urls = [path("alerts/", alerts.show_alerts, name="alerts"), *operation.urlpatterns]
urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("healthz/<slug:instance>", health.only_here(health.healthz), name="healthz"),
    path("readyz/<slug:instance>", health.only_here(health.readyz), name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("login/", signing_in.enter, name="login"),
    path("logout/", signing_in.leave, name="logout"),
    path("invitation/<str:secret>/", signing_in.accept_invitation, name="invitation"),
    # One door: the admin's own would ask for no code.
    path(
        "admin/login/", require_safe(RedirectView.as_view(pattern_name="login", query_string=True)), name="admin-login"
    ),
    path("admin/logout/", signing_in.leave, name="admin-logout"),
    path("admin/password_change/", admin.site.admin_view(change_own_password, cacheable=True), name="own-password"),
    path("admin/", admin.site.urls),
    path("", include("riskops.urls")),
    path("", include((operation_urls, operation.app_name))),
]
