"""Addresses of governance."""

from django.urls import path

from riskops.views import break_glass, gates, risk, sheets

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
    path("break-glass/", break_glass.show_break_glass, name="break-glass"),
    path("break-glass/ask/", break_glass.ask_break_glass, name="ask-break-glass"),
    path("break-glass/<int:glass_id>/grant/", break_glass.grant_break_glass, name="grant-break-glass"),
    path("break-glass/<int:glass_id>/end/", break_glass.end_break_glass, name="end-break-glass"),
    path("people/authenticator/", gates.show_authenticator, name="authenticator"),
    path("people/authenticator/begin/", gates.begin_authenticator, name="begin-authenticator"),
    path("people/authenticator/confirm/", gates.confirm_authenticator, name="confirm-authenticator"),
    path("roadmap/", gates.show_roadmap, name="roadmap"),
    path("roadmap/start/", gates.start_run, name="start-run"),
    path("gate/", gates.show_gate, name="gate"),
    path("gate/criteria/", gates.show_criteria, name="criteria"),
    path("gate/incident/<int:incident_id>/close/", gates.close_incident, name="close-incident"),
    path("checklist/", gates.show_checklist, name="checklist"),
    path("checklist/attachments/<int:attachment_id>/", gates.show_attachment, name="attachment"),
    path("gate/card/", gates.show_card, name="gate-card"),
    path("gate/evidence.json", sheets.export_evidence_now, name="export-evidence-now"),
    path("gate/requests/<int:request_id>/sheet/", sheets.show_sheet, name="sheet"),
    path("gate/requests/<int:request_id>/sheet.pdf", sheets.show_sheet_pdf, name="sheet-pdf"),
    path("gate/requests/<int:request_id>/evidence.json", sheets.export_evidence, name="export-evidence"),
    path("gate/request/", gates.request_step, name="request-step"),
    path("gate/request/<int:request_id>/sign/", gates.sign_step, name="sign-step"),
    path("gate/request/<int:request_id>/tick/", gates.tick_item, name="tick-item"),
    path("gate/request/<int:request_id>/decide/", gates.decide_step, name="decide-step"),
    path("gate/request/<int:request_id>/withdraw/", gates.withdraw_step, name="withdraw-step"),
]
