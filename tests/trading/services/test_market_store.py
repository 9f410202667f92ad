"""A file of market history is stored whole or not at all; the refusal names line, field, reason and remedy."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from trading.adapters import history_files
from trading.adapters.store_parquet import ParquetStore
from trading.models import AuditEvent, MarketImport, MarketPart, VenueInstrument
from trading.selectors import market_store as selectors
from trading.services import audit, market_store
from trading.services.market_store import Imported, UnableToImport, Wish

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MS = 1_723_161_255_000
TRADES = "BTCUSDT-trades-2024-08-08"
RECORDED = Path(__file__).resolve().parents[4] / "shared" / "data" / "ticks"


@pytest.fixture(autouse=True)
def store(settings: Any, tmp_path: Path) -> ParquetStore:
    settings.MARKET_STORE_DIR = tmp_path / "market"
    return ParquetStore(tmp_path / "market")


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str | bytes, name: str = f"{TRADES}.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def taken(path: Path, **options: Any) -> Imported:
    return market_store.import_file(wish=Wish(path=path, **({"venue": "binance-spot"} | options)), by="trader", at=AT)


def lines(count: int = 5, *, factor: int = 1) -> list[str]:
    """Rows of a spot trades dump: id, price, quantity, quote quantity, time, buyer is maker, best match."""
    return [
        f"{100 + n},61800.{n:02d},0.00{n + 1}00,1.5,{(MS + n * 40) * factor},{n % 2 == 0},True" for n in range(count)
    ]


def changed(row: int, column: int, value: str) -> str:
    rows = [line.split(",") for line in lines()]
    rows[row][column] = value
    return "\n".join(",".join(fields) for fields in rows) + "\n"


def zipped(*members: tuple[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return content.getvalue()


def rows_of(store: ParquetStore) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for part in MarketPart.objects.order_by("first_at_ns"):
        for name, values in store.read(part.path).items():
            found.setdefault(name, []).extend(values.tolist())
    return found


HEADER = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match\n"
OTHER_HEADER = "Trade ID,Price,Amount,Timestamp,Side\n"
OTHER_ROWS = "".join(
    f"{100 + n},61800.{n:02d},0.00{n + 1},{MS + n * 40},{'sell' if n % 2 == 0 else 'buy'}\n" for n in range(5)
)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("\n".join(lines()) + "\n", f"{TRADES}.csv"),
        ("\n".join(lines()), f"{TRADES}.csv"),
        (HEADER + "\n".join(lines()) + "\n", f"{TRADES}.csv"),
        ("\r\n".join([HEADER.strip(), *lines()]) + "\r\n", f"{TRADES}.csv"),
        ("\ufeff" + HEADER + "\n".join(lines()) + "\n", f"{TRADES}.csv"),
        ("\n".join(lines(factor=1_000)) + "\n", f"{TRADES}.csv"),
        ((HEADER + "\n".join(lines())).replace(",", ";"), f"{TRADES}.csv"),
        (OTHER_HEADER + OTHER_ROWS, f"{TRADES}.csv"),
        (gzip.compress(("\n".join(lines()) + "\n").encode()), f"{TRADES}.csv.gz"),
        (zipped((f"{TRADES}.csv", "\n".join(lines()) + "\n")), f"{TRADES}.zip"),
        (zipped(("b.csv", "\n".join(lines()[3:])), ("a.csv", "\n".join(lines()[:3]))), f"{TRADES}.zip"),
    ],
    ids=["dump", "no end", "header", "crlf", "bom", "us", "semicolons", "other header", "gz", "zip", "two members"],
)
def test_every_writing_of_the_same_trades_is_stored_alike(
    content: str | bytes, name: str, put: Callable[..., Path], store: ParquetStore
) -> None:
    done = taken(put(content, name))

    assert (done.row.rows, done.steps.tick_size, done.steps.lot_size) == (5, Decimal("0.01"), Decimal("0.001"))
    assert rows_of(store) == {
        "at_ns": [(MS + n * 40) * 1_000_000 for n in range(5)],
        "trade_id": [100, 101, 102, 103, 104],
        "price_ticks": [6_180_000, 6_180_001, 6_180_002, 6_180_003, 6_180_004],
        "quantity_lots": [1, 2, 3, 4, 5],
        "buyer_is_maker": [1, 0, 1, 0, 1],
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "the file is empty"),
        ("\n\n", "line 1"),
        (HEADER, "no row"),
        (changed(2, 4, str(MS)), "line 3: at_ns: earlier than the row before"),
        (changed(2, 0, "101"), "line 3: trade_id: the same id"),
        (changed(2, 0, "99"), "line 3: trade_id: lower"),
        (changed(3, 1, "NaN"), "line 4: price: 'NaN' is not a plain decimal"),
        (changed(3, 1, "inf"), "line 4: price: 'inf' is not a plain decimal"),
        (changed(3, 1, "1e5"), "line 4: price: '1e5'"),
        (changed(3, 1, " 5"), "line 4: price: ' 5'"),
        (changed(3, 1, "５"), "line 4: price: '５'"),  # noqa: RUF001  # the full-width digit is the point
        (changed(3, 1, "0"), "line 4: price_ticks: zero or negative"),
        (changed(3, 2, "-1"), "line 4: quantity_lots: zero or negative"),
        (changed(3, 2, ""), "line 4: quantity: ''"),
        (changed(3, 1, "9" * 19), "line 4: price: too many digits"),
        (changed(3, 4, str(MS * 1_000)), "line 4: time: not in ms"),
        (changed(0, 4, "12345"), "line 1: time"),
        (changed(3, 5, "maybe"), "line 4: buyer_is_maker: 'maybe'"),
        (changed(3, 6, "True,9"), "line 4: 8 columns instead of 7"),
        (HEADER + changed(3, 6, "True,9"), "line 5: 8 columns instead of 7"),
        (changed(3, 6, "True").replace("\n103,", "\n\n103,"), "line 4: time: ''"),
        (changed(3, 0, "103;61800"), "line 4: trade_id: '103;61800'"),
        (changed(3, 0, "1" * 25), "line 4: trade_id"),
        ("a,b,c\n1,2,3\n", "column 'a' is not known"),
        ("price,price,qty,time\n1,1,1,1\n", "a second time"),
        ("price,qty,time\n1,1,1723161255000\n", "neither is_buyer_maker nor side"),
        ("1,2,3\n", "line 1: 3 columns, but a trades dump has 7 or 6"),
        (b"\xff\xfeh\0i\0", "UTF-16"),
        (b"PK\0\0", "no text"),
        (HEADER + "\n".join(lines()) + "\n\xff\xfe,1,1,1,1,1,1\n", "line 7"),
        ((HEADER + "\n".join(lines())).encode() + b"\n\xff\xfe,1\n", "line 7: bytes that are no UTF-8"),
    ],
)
def test_a_bad_file_is_refused_with_its_line_and_nothing_is_stored(
    content: str | bytes, told: str, put: Callable[..., Path], store: ParquetStore
) -> None:
    with pytest.raises(UnableToImport) as refused:
        taken(put(content))

    assert told in str(refused.value)
    assert str(refused.value).endswith("Nothing was stored.")
    assert not MarketImport.objects.exists()
    assert store.orphans(set()) == []
    assert not list(store.root.glob(".staging/*"))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (f"{TRADES}.csv.gz", gzip.compress(b"1,2\n" * 99)[:-9], "damaged"),
        (f"{TRADES}.csv.gz", b"no gzip at all", "damaged"),
        (f"{TRADES}.zip", zipped(("a.csv", "\n".join(lines())))[:-30], "damaged"),
        (f"{TRADES}.zip", zipped(), "empty"),
        (f"{TRADES}.zip", zipped(("../a.csv", "1")), "only plain names"),
        (f"{TRADES}.zip", zipped(("/etc/a.csv", "1")), "only plain names"),
        (f"{TRADES}.zip", zipped(("a.exe", "1")), "only plain names"),
        (f"{TRADES}.zip", zipped(("a.csv", "\n".join(lines())), ("b.csv", lines()[0])), "b.csv line 1: at_ns: earlier"),
        (f"{TRADES}.parquet", b"PAR1 and no more", "cannot be read"),
        ("BTCUSDT.xls", b"x", "does not say the symbol"),
        (f"{TRADES}.csv.bz2", b"x", "does not say the symbol"),
        ("trades.csv", "\n".join(lines()), "does not say the symbol"),
        ("BTCUSDT.csv", "\n".join(lines()), "does not say the symbol"),
    ],
)
def test_a_damaged_archive_or_a_name_that_says_nothing_is_refused(
    name: str, content: str | bytes, told: str, put: Callable[..., Path], store: ParquetStore
) -> None:
    with pytest.raises(UnableToImport, match="Nothing was stored") as refused:
        taken(put(content, name))

    assert told in str(refused.value)
    assert store.orphans(set()) == []


def test_a_bomb_is_refused_before_and_while_it_unpacks(put: Callable[..., Path], monkeypatch: Any) -> None:
    monkeypatch.setattr(history_files, "FREE_BYTES", 1 << 16)
    zeros = "0" * (1 << 22)

    with pytest.raises(UnableToImport, match="bomb"):
        taken(put(zipped(("a.csv", zeros)), f"{TRADES}.zip"))
    with pytest.raises(UnableToImport, match="bomb"):
        taken(put(gzip.compress((lines()[0] + zeros).encode()), f"{TRADES}.csv.gz"))


@pytest.mark.parametrize("options", [{"symbol": "ETHUSDT"}, {"venue": "Binance!"}, {"kind": "candles"}])
def test_an_option_that_contradicts_or_does_not_exist_is_refused(
    options: dict[str, str], put: Callable[..., Path]
) -> None:
    with pytest.raises(UnableToImport):
        taken(put("\n".join(lines())), **options)


def kline(minute: int, *prices: str) -> str:
    at_ms = 1_723_161_240_000 + minute * 60_000
    return ",".join(
        [str(at_ms), *(prices or ("10", "12", "9", "11")), "5.5", str(at_ms + 59_999), "1", "2", "3", "4", "0"]
    )


def test_klines_keep_their_holes_and_refuse_impossible_bars(put: Callable[..., Path]) -> None:
    done = taken(put("\n".join([kline(0), kline(1), kline(4)]), "BTCUSDT-1m-2024-08.csv"))

    assert (done.row.kind, done.row.interval_s, done.row.hole_count) == ("bars", 60, 1)
    assert [line.as_json()["missing"] for line in selectors.gap_lines()] == [2]
    for rows, told in (
        ([kline(0), kline(1, "10", "9", "8", "9")], "line 2: high_ticks: high below"),
        ([kline(0), kline(0)], "line 2: at_ns: the same time"),
        ([kline(0).replace("240000", "240001")], "line 1: at_ns: not on the grid of 60 s"),
    ):
        with pytest.raises(UnableToImport, match="Nothing was stored") as refused:
            taken(put("\n".join(rows), "ETHUSDT-1m-2024-08.csv"))
        assert told in str(refused.value)


def test_aggregates_are_trades(put: Callable[..., Path], store: ParquetStore) -> None:
    rows = [f"{7 + n},61800.5,0.1,{n},{n},{MS + n},true,true" for n in range(3)]

    taken(put("\n".join(rows), "BTCUSDT-aggTrades-2024-08-08.csv"))

    assert rows_of(store)["trade_id"] == [7, 8, 9]


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def futures(tmp_path: Path, words: list[str]) -> Path:
    count = len(words)
    return parquet(
        tmp_path / "binance-usdm_BTCUSDT_20240808_trades.parquet",
        ts_ns=[MS * 1_000_000 + n for n in range(count)],
        trade_id=list(range(count)),
        price=pa.array([Decimal("61800.3")] * count, pa.decimal128(18, 1)),
        qty=pa.array([Decimal("0.006")] * count, pa.decimal128(18, 3)),
        is_buyer_maker=[False] * count,
        exec_type=words,
    )


def test_what_was_not_traded_on_the_market_is_refused_or_left_out_and_counted(tmp_path: Path) -> None:
    path = futures(tmp_path, ["MARKET", "INSURANCE_FUND", "MARKET"])

    with pytest.raises(UnableToImport, match=r"row 2: exec_type: INSURANCE_FUND.*--only-market"):
        taken(path, venue="")
    done = taken(path, venue="", only_market=True)

    assert (done.row.rows, done.row.left_out) == (2, 1)


def test_floats_and_other_symbols_are_refused(tmp_path: Path) -> None:
    floats = parquet(tmp_path / f"{TRADES}.parquet", time=[MS], price=[1.5], qty=[1.0], id=[1], is_buyer_maker=[True])
    mixed = parquet(
        tmp_path / "mixed.parquet",
        time=[MS, MS],
        symbol=["ETHUSDT", "ADAUSDT"],
        price=["1.5", "1.5"],
        qty=["1", "1"],
        id=[1, 2],
        is_buyer_maker=[True, True],
    )

    with pytest.raises(UnableToImport, match=r"\.xlsx: \.csv, .* are read"):
        taken(floats.rename(tmp_path / f"{TRADES}.xlsx"), symbol="BTCUSDT")
    floats = (tmp_path / f"{TRADES}.xlsx").rename(floats)
    with pytest.raises(UnableToImport, match=r"price: stored as double"):
        taken(floats)
    with pytest.raises(UnableToImport, match="no row is about BTCUSDT; the file has ADAUSDT, ETHUSDT"):
        taken(mixed, symbol="BTCUSDT")
    assert taken(mixed, symbol="ADAUSDT").row.rows == 1


def test_the_same_bytes_and_the_same_time_are_stored_once_unless_asked(
    put: Callable[..., Path], django_capture_on_commit_callbacks: Any
) -> None:
    path = put("\n".join(lines()))
    taken(path)

    with pytest.raises(UnableToImport, match=r"the same bytes were imported .* --again"):
        taken(path)
    with pytest.raises(UnableToImport, match=r"2024-08-08 of trades/binance-spot/BTCUSDT is stored"):
        taken(put("\n".join(lines(3)), f"{TRADES}.csv"))
    with django_capture_on_commit_callbacks(execute=True):
        done = taken(put("\n".join(lines(4)), f"{TRADES}.csv"), again=True)

    assert (done.replaced, MarketPart.objects.get().rows) == (1, 4)
    assert market_store.check(at=AT).problems == ()
    assert market_store.check(at=AT).orphans == ()


def test_the_other_half_of_a_day_joins_the_first(put: Callable[..., Path], store: ParquetStore) -> None:
    taken(put("\n".join(lines()[:2])))

    taken(put("\n".join(lines()[2:]), "BTCUSDT-trades-2024-08-09.csv"))

    assert rows_of(store)["trade_id"] == [100, 101, 102, 103, 104]
    assert [line.holes for line in selectors.series_lines()] == [0]


def test_a_failure_at_the_last_moment_leaves_neither_file_nor_row(
    put: Callable[..., Path], store: ParquetStore, monkeypatch: Any
) -> None:
    def fail(**facts: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(audit, "record", fail)

    with pytest.raises(OSError, match="full"):
        taken(put("\n".join(lines())))

    assert (MarketPart.objects.count(), store.orphans(set())) == (0, [])


def test_an_import_is_audited_with_its_hash(put: Callable[..., Path]) -> None:
    done = taken(put("\n".join(lines())))

    event = AuditEvent.objects.get(action="data.imported")
    assert (event.actor, event.subject) == ("trader", "data:trades/binance-spot/BTCUSDT")
    assert event.payload["sha256"] == done.row.sha256


def test_the_venues_own_steps_are_taken_where_every_value_is_on_them(put: Callable[..., Path]) -> None:
    VenueInstrument.objects.update_or_create(
        venue="binance",
        symbol="BTCUSDT",
        defaults={
            "base": "BTC",
            "quote": "USDT",
            "tick_size": Decimal("0.01"),
            "lot_size": Decimal("0.00001"),
            "min_notional": 5,
            "as_of": AT.date(),
            "source": "test",
        },
    )

    on = taken(put("\n".join(lines())))
    off = taken(put("\n".join(lines()).replace("61800.01", "61800.015"), f"{TRADES}.csv"), again=True)

    assert (on.steps.origin, on.steps.lot_size) == ("instrument", Decimal("0.00001"))
    assert (off.steps.origin, off.steps.tick_size) == ("data", Decimal("0.001"))


def test_check_keeps_what_it_found(put: Callable[..., Path], store: ParquetStore) -> None:
    taken(put("\n".join(lines())))
    path = store.root / MarketPart.objects.get().path
    path.write_bytes(path.read_bytes()[:-1])

    found = market_store.check(at=AT)

    row = MarketPart.objects.get()
    assert len(found.problems) == 1
    assert (row.checked_at, row.problem) == (AT, found.problems[0])


def told_by(*arguments: object) -> dict[str, Any]:
    out = StringIO()
    call_command("data", *map(str, arguments), "--json", stdout=out)
    result: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return result


def test_the_command_tells_everything_on_its_last_line(put: Callable[..., Path]) -> None:
    rows = [*lines()[:2], *lines()[3:]]

    done = told_by("import", put("\n".join(rows)), "--venue", "binance-spot")

    assert done["imported"][0]["rows"] == 4
    assert told_by("list")["series"][0]["series"] == "trades/binance-spot/BTCUSDT"
    assert told_by("gaps")["gaps"][0]["missing"] == 1
    assert told_by("check") == {"parts": 1, "rows": 4, "problems": [], "orphans": []}
    with pytest.raises(CommandError, match="the same bytes"):
        told_by("import", put("\n".join(rows)), "--venue", "binance-spot")


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the larger recordings are not beside this checkout")
def test_a_recording_with_missing_trades_tells_how_many() -> None:
    done = taken(RECORDED / "binance-spot_LTCUSDT_20250621-22_trades.parquet")

    missing = [line.hole.missing for line in selectors.gap_lines()]
    assert (done.row.rows, len(missing), sum(missing)) == (152_763, 26, 25_595)
    assert sum(part.bytes for part in done.parts) / done.row.rows <= 6.5
