"""Every address of the console: pages of operation and governance, sign-in, admin, health and metrics."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from gridconsole import health
from riskops.admin import change_own_password
from riskops.views import alerts
from trading import urls as operation

# The page of operation that governance fills: its rules, states and routes are there.
operation_urls = [path("alerts/", alerts.show_alerts, name="alerts"), *operation.urlpatterns]
urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/password_change/", admin.site.admin_view(change_own_password, cacheable=True), name="own-password"),
    path("admin/", admin.site.urls),
    path("", include("riskops.urls")),
    path("", include((operation_urls, operation.app_name))),
]
