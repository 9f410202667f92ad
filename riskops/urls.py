"""Addresses of governance."""

from django.urls import path, register_converter

from riskops.views import (
    alerts,
    arming,
    audit,
    break_glass,
    gates,
    incidents,
    keys,
    people,
    promotions,
    reports,
    risk,
    sheets,
)


class ExportConverter:
    """The formats in which the audit trail leaves."""

    regex = "csv|jsonl"

    def to_python(self, value: str) -> str:
        """Return the format."""
        return value

    def to_url(self, value: str) -> str:
        """Return the format."""
        return value


class ModelConverter(ExportConverter):
    """A model is named by the SHA-256 of its sums."""

    regex = "[0-9a-f]{64}"


register_converter(ExportConverter, "export")
register_converter(ModelConverter, "model")
PROMOTION = "models/<model:digest>/promotion/"

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
    path("accounts/<slug:slug>/arming/", arming.show_arming, name="arming"),
    path("accounts/<slug:slug>/arming/prepare/", arming.prepare, name="arming-prepare"),
    path("accounts/<slug:slug>/arming/request/", arming.request_arming, name="arming-request"),
    path("accounts/<slug:slug>/arming/<int:request_id>/approve/", arming.approve_arming, name="arming-approve"),
    path("accounts/<slug:slug>/arming/<int:request_id>/withdraw/", arming.withdraw_arming, name="arming-withdraw"),
    path("accounts/<slug:slug>/arming/disarm/", arming.disarm, name="arming-disarm"),
    path("accounts/<slug:slug>/transfers/<int:transfer_id>/confirm/", arming.confirm_transfer, name="confirm-transfer"),
    path("accounts/<slug:slug>/members/give/", arming.give_account, name="give-account"),
    path("accounts/<slug:slug>/members/take/", arming.take_account, name="take-account"),
    path("settings/keys/", keys.show_keys, name="keys"),
    path("settings/keys/add/", keys.add_key, name="add-key"),
    path("settings/keys/check/", keys.check_keys, name="check-keys"),
    path("settings/keys/<int:key_id>/revoke/", keys.revoke_key, name="revoke-key"),
    path("alerts/<int:alert_id>/shelve/", alerts.shelve, name="shelve"),
    path("alerts/<int:alert_id>/unshelve/", alerts.unshelve, name="unshelve"),
    path("alerts/routes/add/", alerts.add_route, name="add-route"),
    path("alerts/routes/<int:route_id>/remove/", alerts.remove_route, name="remove-route"),
    path("alerts/routes/<int:route_id>/test/", alerts.test_route, name="test-route"),
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
    path("gate/incident/<int:incident_id>/close/", incidents.close_incident, name="close-incident"),
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
    path(PROMOTION, promotions.show_promotion, name="promotion"),
    path(f"{PROMOTION}request/", promotions.request_promotion, name="request-promotion"),
    path(f"{PROMOTION}roll-back/", promotions.roll_back, name="roll-back-model"),
    path(f"{PROMOTION}<int:request_id>/sign/", promotions.sign_promotion, name="sign-promotion"),
    path(f"{PROMOTION}<int:request_id>/decide/", promotions.decide_promotion, name="decide-promotion"),
    path(f"{PROMOTION}<int:request_id>/withdraw/", promotions.withdraw_promotion, name="withdraw-promotion"),
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
    path("audit/", audit.show_audit, name="audit"),
    path("audit/export.<export:kind>", audit.export_audit, name="export-audit"),
    path("settings/", people.show_settings, name="settings"),
    path("settings/password/", people.change_password, name="change-password"),
    path("settings/sessions/end/", people.end_other_sessions, name="end-other-sessions"),
    path("settings/sessions/<uuid:label>/end/", people.end_session, name="end-session"),
    path("settings/people/add/", people.add_person, name="add-person"),
    path("settings/people/<int:person_id>/invite/", people.invite_person, name="invite-person"),
    path("settings/people/<int:person_id>/roles/", people.set_roles, name="set-roles"),
    path("settings/people/<int:person_id>/active/", people.set_active, name="set-active"),
    path("settings/people/<int:person_id>/authenticator/", people.remove_authenticator, name="remove-authenticator"),
    path("incidents/", incidents.show_incidents, name="incidents"),
    path("incidents/open/", incidents.open_incident, name="open-incident"),
    path("incidents/looked/", incidents.review_desk, name="review-desk"),
    path("incidents/<int:incident_id>/", incidents.show_incident, name="incident"),
    path("incidents/<int:incident_id>/apply/", incidents.apply_step, name="apply-step"),
    path("incidents/<int:incident_id>/undo/", incidents.undo_step, name="undo-step"),
    path("incidents/<int:incident_id>/write/", incidents.write, name="write-incident"),
]
