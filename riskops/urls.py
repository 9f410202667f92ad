"""Addresses of governance, below /risk/."""

from django.urls import path

from riskops import views

app_name = "riskops"
urlpatterns = [
    path("", views.show_risk, name="risk"),
    path("halt/", views.halt, name="halt"),
    path("halt/effect/", views.show_halt_effect, name="halt-effect"),
    path("halt/stages/", views.show_halt_stages, name="halt-stages"),
    path("halt/history/", views.show_halt_history, name="halt-history"),
    path("kill-switch/", views.show_kill_switch, name="kill-switch"),
    path("drill/", views.run_drill, name="run-drill"),
    path("drills/", views.show_drills, name="drills"),
    path("resume/", views.request_resume, name="request-resume"),
    path("resume/<int:request_id>/grant/", views.grant_resume, name="grant-resume"),
    path("resume/<int:request_id>/withdraw/", views.withdraw_resume, name="withdraw-resume"),
]
