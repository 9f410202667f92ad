"""Several symbols in one backtest: what they share, and what each has of its own."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from trading.domain.backtest_settings import (
    FIELDS,
    BacktestSettings,
    Engine,
    UnusableSettings,
    Wrong,
    read,
    shown,
)

NAME: Final = re.compile(r"[A-Z0-9]{2,20}")
OF_THE_PURSE: Final = ("symbol", "each", "cash", "max_drawdown", "engine")
OF_ONE_SYMBOL: Final = (  # prices, quantities and counts that say nothing of another symbol
    "lower", "upper", "base", "max_trades_per_day", "trail_up_to", "trail_down_to", "stop", "take_profit", "start_at",
)  # fmt: skip
LAYS: Final = frozenset({"lower", "upper", "atr_multiple"})  # each of them says the step
FORM: Final = "write it like ETHUSDT: step=0.001, levels=30; BTCUSDT: lot=400."


def legs_of(settings: BacktestSettings) -> tuple[BacktestSettings, ...]:
    """Return the settings of each symbol alone, in their order: a grid of its own, with the cash of the purse.

    Raises:
        UnusableSettings: names every value that cannot be used, of a symbol as SYMBOL.field.
    """
    if len(settings.symbols) == 1:
        if settings.each is not None:
            raise UnusableSettings(Wrong("each", "is for several symbols; leave it out, or name them: --symbol A,B."))
        return (settings,)
    own, wrong = own_of(settings.each or ""), list(_not_shared(settings))
    for name in sorted(own.keys() - set(settings.symbols)):
        wrong.append(Wrong("each", f"{name} is none of the symbols {settings.symbol}; name it there too."))
    legs = [_leg(settings, symbol, own.get(symbol, {}), wrong) for symbol in settings.symbols]
    if wrong:
        raise UnusableSettings(*wrong)
    return tuple(leg for leg in legs if leg is not None)


def own_of(text: str) -> dict[str, dict[str, str]]:
    """Return what "ETHUSDT: step=0.001, levels=30; BTCUSDT: lot=400" says of each symbol.

    Raises:
        UnusableSettings: it cannot be read.
    """
    found = dict[str, dict[str, str]]()
    for part in filter(None, (one.strip() for one in text.split(";"))):
        symbol, colon, rest = part.partition(":")
        pairs = [tuple(word.strip() for word in one.partition("=")) for one in rest.split(",")]
        values = {name: value for name, _, value in pairs}
        if not (colon and NAME.fullmatch(symbol) and all(all(pair) for pair in pairs) and len(values) == len(pairs)):
            raise UnusableSettings(Wrong("each", f"{shown(part)} cannot be read; {FORM}"))
        if symbol in found:
            raise UnusableSettings(Wrong("each", f"{symbol} stands there twice; name it once."))
        found[symbol] = values
    return found


def spelled(own: Mapping[str, Mapping[str, object]]) -> str:
    """Return what `own_of` reads back as `own`.

    Raises:
        UnusableSettings: a value holds a comma or a semicolon.
    """
    for symbol, values in own.items():
        for name, value in values.items():
            if {",", ";"} & set(f"{name}{value}"):
                raise UnusableSettings(Wrong(f"{symbol}.{name}", f"{shown(value)} holds a comma or a semicolon."))
    return "; ".join(
        f"{symbol}: {', '.join(f'{name}={_written(value)}' for name, value in values.items())}"
        for symbol, values in own.items() if values
    )  # fmt: skip


def _written(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _not_shared(settings: BacktestSettings) -> list[Wrong]:
    plain = BacktestSettings()
    given = [name for name in OF_ONE_SYMBOL if getattr(settings, name) != getattr(plain, name)]
    wrong = [Wrong(name, "says nothing of several symbols at once; give it under each of them.") for name in given]
    if settings.engine is Engine.CORE:
        wrong.append(Wrong("engine", "core runs one symbol here; use the kernel, or --desk for a desk of several."))
    return wrong


def _leg(
    settings: BacktestSettings, symbol: str, own: Mapping[str, str], wrong: list[Wrong]
) -> BacktestSettings | None:
    known = {name: value for name, value in own.items() if name in FIELDS and name not in OF_THE_PURSE}
    wrong += [Wrong(f"{symbol}.{name}", _why_not(name)) for name in own if name not in known]
    shared: dict[str, Any] = {**settings.as_json(), "symbol": symbol, "each": None, "max_drawdown": None}
    if LAYS & known.keys():
        shared["step"] = None
    try:
        return read({**shared, **known})
    except UnusableSettings as error:
        wrong += [Wrong(f"{symbol}.{one.field}", one.reason) for one in error.wrong]
        return None


def _why_not(name: str) -> str:
    if name in OF_THE_PURSE:
        return "is that of the purse, for all symbols; give it beside --symbol."
    return f"is not known; known are {', '.join(one for one in FIELDS if one not in OF_THE_PURSE)}."
