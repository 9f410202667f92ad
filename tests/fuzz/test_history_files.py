"""Files of market history with random damage are read right or refused in words; no other error gets out."""

import gzip
import io
import zipfile
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trading.adapters.history_columns import Unreadable
from trading.adapters.history_files import HistoryFile
from trading.adapters.history_rows import Decoder
from trading.domain.history import Unsound
from trading.domain.soundness import Checker

ROUNDS: Final = 600
MS: Final = 1_723_161_255_000
HEADER: Final = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match\n"
TEXT: Final = HEADER + "".join(f"{100 + n},61800.{n:02d},0.00{n + 1},1.5,{MS + n * 40},True,True\n" for n in range(9))
PIECES: Final = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r", b'"', b",", b";", b"NaN", b"-", b"1e9", b"9" * 30]


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT.replace("\n10", "\n20").replace("17231612", "17231613"))
    return content.getvalue()


def parquet() -> bytes:
    content = io.BytesIO()
    table = pa.table(
        {
            "ts_ns": [MS * 1_000_000 + n for n in range(9)],
            "trade_id": list(range(9)),
            "price": pa.array([Decimal("61800.3")] * 9, pa.decimal128(18, 1)),
            "qty": pa.array([Decimal("0.006")] * 9, pa.decimal128(18, 3)),
            "is_buyer_maker": [False] * 9,
        }
    )
    pq.write_table(table, content)
    return content.getvalue()


def damaged(content: bytes, random: Random) -> bytes:
    found = bytearray(content)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(found) + 1)
        match random.randrange(5):
            case 0:
                found[place : place + random.randint(1, 9)] = random.choice(PIECES)
            case 1:
                found[place:place] = random.choice(PIECES)
            case 2:
                del found[place : place + random.randint(1, 40)]
            case 3:
                found[place : place + 1] = bytes([random.randrange(256)])
            case _:
                found[place:] = b""
        if not found:
            break
    return bytes(found)


def read(path: Path) -> int:
    """Return how many rows were read; 0 where the file was refused in words."""
    decoder, rows = Decoder("BTCUSDT", only_market=False), 0
    checker: Checker | None = None
    try:
        for shape, block in HistoryFile(path, kind=None, dump="trades").blocks(lambda done: None):
            checker = checker or Checker(shape.kind)
            checker.feed(decoder.decode(shape, block).rows)
            rows = checker.rows
    except (Unreadable, Unsound):
        return 0
    return rows


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", TEXT.encode()),
        ("a.csv.gz", gzip.compress(TEXT.encode())),
        ("a.zip", zipped()),
        ("a.parquet", parquet()),
    ],
    ids=["csv", "gz", "zip", "parquet"],
)
def test_damage_is_refused_in_words(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    whole = read(path)
    assert whole in (9, 18)

    kept = []
    for seed in range(ROUNDS):
        path.write_bytes(damaged(content, Random(seed)))
        kept.append(read(path))

    assert 0 in kept
    assert max(kept) <= whole
