"""Addresses of governance."""

from django.urls import path

from riskops.views import gates, reports, risk

app_name = "riskops"
urlpatterns = [
    path("risk/", risk.show_risk, name="risk"),
    path("risk/halt/", risk.halt, name="halt"),
    path("risk/halt/effect/", risk.show_halt_effect, name="halt-effect"),
    path("risk/halt/stages/", risk.show_halt_stages, name="halt-stages"),
    path("risk/halt/history/", risk.show_halt_history, name="halt-history"),
    path("risk/kill-switch/", risk.show_kill_switch, name="kill-switch"),
    path("risk/drill/", risk.run_drill, name="run-drill"),
    path("risk/drills/", risk.show_drills, name="drills"),
    path("risk/resume/", risk.request_resume, name="request-resume"),
    path("risk/resume/<int:request_id>/grant/", risk.grant_resume, name="grant-resume"),
    path("risk/resume/<int:request_id>/withdraw/", risk.withdraw_resume, name="withdraw-resume"),
    path("people/authenticator/", gates.show_authenticator, name="authenticator"),
    path("people/authenticator/begin/", gates.begin_authenticator, name="begin-authenticator"),
    path("people/authenticator/confirm/", gates.confirm_authenticator, name="confirm-authenticator"),
    path("roadmap/", gates.show_roadmap, name="roadmap"),
    path("roadmap/start/", gates.start_run, name="start-run"),
    path("gate/", gates.show_gate, name="gate"),
    path("gate/criteria/", gates.show_criteria, name="criteria"),
    path("gate/incident/<int:incident_id>/close/", gates.close_incident, name="close-incident"),
    path("gate/card/", gates.show_card, name="gate-card"),
    path("gate/request/", gates.request_step, name="request-step"),
    path("gate/request/<int:request_id>/sign/", gates.sign_step, name="sign-step"),
    path("gate/request/<int:request_id>/tick/", gates.tick_item, name="tick-item"),
    path("gate/request/<int:request_id>/decide/", gates.decide_step, name="decide-step"),
    path("gate/request/<int:request_id>/withdraw/", gates.withdraw_step, name="withdraw-step"),
    path("reports/", reports.show_reports, name="reports"),
    path("reports/summary/", reports.show_summary, name="report-summary"),
    path("reports/planner/", reports.show_planner, name="planner"),
    path("reports/planner/figure/", reports.planner_figure, name="planner-figure"),
    path("reports/planner/cost/", reports.enter_cost, name="enter-cost"),
    path("reports/tax/", reports.show_tax, name="tax"),
    path("reports/tax.csv", reports.export_tax, name="export-tax"),
    path("reports/compliance/add/", reports.add_item, name="add-item"),
    path("reports/compliance/<int:item_id>/tick/", reports.tick_compliance, name="tick-compliance"),
    path("reports/<slug:kind>/<slug:period>/", reports.show_report, name="report"),
    path("reports/<slug:kind>/<slug:period>/figures/", reports.report_figures, name="report-figures"),
    path("reports/<slug:kind>/<slug:period>.json", reports.export_json, name="export-report"),
    path("reports/<slug:kind>/<slug:period>/<slug:table>.csv", reports.export_table, name="export-table"),
]
