"""Addresses of operation."""

from django.urls import path, register_converter

from trading import lab_views, learning_views, search_views, views
from trading.selectors.orders import TABS


class TabConverter:
    """Only tabs that exist are an address."""

    regex = "|".join(TABS)

    def to_python(self, value: str) -> str:
        """Return the name of the tab."""
        return value

    def to_url(self, value: str) -> str:
        """Return the name of the tab."""
        return value


class PanelConverter(TabConverter):
    """Only sections that stand alone are an address."""

    regex = "alerts|events|state_bar|alert_count|replay"


class DigestConverter(TabConverter):
    """Only what can be the digest of a model is an address."""

    regex = "[0-9a-f]{64}"


class BacktestFileConverter(TabConverter):
    """Only kinds of files that exist are an address."""

    regex = "html|json"


register_converter(BacktestFileConverter, "backtestfile")
register_converter(DigestConverter, "digest")
register_converter(TabConverter, "tab")
register_converter(PanelConverter, "panel")

app_name = "trading"
urlpatterns = [
    path("", views.show_overview, name="overview"),
    path("symbols/", views.show_symbols, name="symbols"),
    path("symbols/<str:symbol>/ladder/", views.show_ladder, name="ladder"),
    path("symbols/<str:symbol>/edit/", views.show_grid_edit, name="grid-edit"),
    path("symbols/<str:symbol>/edit/preview/", views.show_grid_change, name="grid-change"),
    path("symbols/<str:symbol>/edit/confirm/", views.edit_grid, name="edit-grid"),
    path("symbols/<str:symbol>/pause/", views.set_paused, {"paused": True}, name="pause"),
    path("symbols/<str:symbol>/unpause/", views.set_paused, {"paused": False}, name="unpause"),
    path("orders/reconciliation/", views.show_reconciliation, name="reconciliation"),
    path("orders/reconciliation/proofs/", views.show_proofs, name="proofs"),
    path("orders/reconciliation/foreign/", views.decide_foreign, name="decide-foreign"),
    path("orders/<tab:tab>/", views.show_orders, name="orders"),
    path("orders/<tab:tab>.csv", views.export_orders, name="export-orders"),
    path("data/", views.show_data, name="data"),
    path("backtests/", lab_views.show_lab, name="backtests"),
    path("backtests/preview/", lab_views.show_preview, name="backtest-preview"),
    path("backtests/run/", lab_views.run_backtest, name="run-backtest"),
    path("backtests/compare/", lab_views.compare_backtests, name="compare-backtests"),
    path("backtests/compare/figures/", lab_views.compared_figures, name="compared-figures"),
    path("backtests/<int:run_id>/", lab_views.show_backtest, name="backtest"),
    path("backtests/<int:run_id>/progress/", lab_views.follow_backtest, name="follow-backtest"),
    path("backtests/<int:run_id>/cancel/", lab_views.cancel_backtest, name="cancel-backtest"),
    path("backtests/<int:run_id>/figures/", lab_views.backtest_figures, name="backtest-figures"),
    path("backtests/<int:run_id>/export.<backtestfile:kind>", lab_views.export_backtest, name="export-backtest"),
    path("backtests/search/", search_views.show_form, name="search-form"),
    path("backtests/search/run/", search_views.run_search, name="run-search"),
    path("backtests/<int:run_id>/search/", search_views.show_search, name="search"),
    path("backtests/<int:run_id>/search/figures/", search_views.search_figures, name="search-figures"),
    path("backtests/<int:run_id>/search/trials.json", search_views.export_search, name="export-search"),
    path("backtests/<int:run_id>/search/adopt/", search_views.adopt_trial, name="adopt-trial"),
    path("models/", learning_views.show_models, name="models"),
    path("models/train/", learning_views.train_model, name="train-model"),
    path("models/trainings/", learning_views.show_trainings, name="trainings"),
    path("models/trainings/<int:run_id>/cancel/", learning_views.cancel_training, name="cancel-training"),
    path("models/readiness/", learning_views.show_readiness, name="model-readiness"),
    path("models/<digest:digest>/", learning_views.show_model, name="model"),
    path("models/<digest:digest>/figures/", learning_views.model_charts, name="model-figures"),
    path("symbols/<str:symbol>/candidate/withdraw/", search_views.withdraw_candidate, name="withdraw-candidate"),
    path("alerts/<int:alert_id>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("alerts/<int:alert_id>/unacknowledge/", views.take_back_acknowledgement, name="unacknowledge"),
    path("desk/", views.choose_desk, name="choose-desk"),
    path("replay/", views.steer_replay, name="steer-replay"),
    path("panels/<panel:panel>/", views.show_panel, name="panel"),
    path("api/prices/<str:symbol>/", views.price_history, name="price-history"),
    path("api/recent/", views.recent_prices, name="recent-prices"),
    path("api/drawdown/", views.drawdown_history, name="drawdown-history"),
]
