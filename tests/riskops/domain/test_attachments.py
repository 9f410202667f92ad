"""What may be attached to an item of the checklist."""

import hashlib

import pytest

from riskops.domain.attachments import LARGEST, Attached, UnfitAttachment, attached

PDF = b"%PDF-1.7 ..."
PNG = b"\x89PNG\r\n\x1a\n...."
JPEG = b"\xff\xd8\xff...."
UNNAMED = "The file's name has other than letters, digits and . _ - ( ): rename it."
UNKNOWN = "Files ending with .pdf, .png, .jpg, .jpeg, .txt, .log, .csv, .json are kept, no others."
UNLIKE = "The file does not hold what the ending of its name says."


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("Report (final) 2.pdf", PDF, "application/pdf"),
        ("a.PNG", PNG, "image/png"),
        ("a.jpg", JPEG, "image/jpeg"),
        ("a.jpeg", JPEG, "image/jpeg"),
        ("a.txt", "größer\n".encode(), "text/plain"),
        ("a.csv", b"a,b\n1,-2\n", "text/csv"),
        ("a.log", b"x" * LARGEST, "text/plain"),
        ("a.json", b"{}", "application/json"),
        ("a.txt", b"x", "text/plain"),
        ("a.txt", b"<b>2 @ -1</b>", "text/plain"),
        ("a.csv", b"=1+1,-2,+3,@x\n", "text/csv"),
        ("2026.11.21.csv", b"a", "text/csv"),
        ("a" * 96 + ".txt", b"x", "text/plain"),
    ],
)
def test_a_file_is_kept_as_it_is(name: str, content: bytes, kind: str) -> None:
    assert attached(name, content) == Attached(name, kind, content)
    assert attached(name, content).sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.txt", b"", "The file has 0 bytes; keep it between 1 and 1000000."),
        ("a.txt", b"x" * (LARGEST + 1), "The file has 1000001 bytes; keep it between 1 and 1000000."),
        ("a.exe", b"MZ", UNKNOWN),
        ("a.html", b"<script>", UNKNOWN),
        ("a.svg", b"<svg>", UNKNOWN),
        ("pdf", PDF, UNKNOWN),
        ("a.pdf", b"<script>", UNLIKE),
        ("a.png", JPEG, UNLIKE),
        ("a.txt", b"\xff\xfe\x00", UNLIKE),
        ("a.txt", b"nul\x00", UNLIKE),
        ("../a.txt", b"x", UNNAMED),
        ("a..txt", b"x", UNNAMED),
        (".txt", b"x", UNNAMED),
        ('a".txt', b"x", UNNAMED),
        ("a\r\nSet-Cookie: x.txt", b"x", UNNAMED),
        ("a" * 97 + ".txt", b"x", UNNAMED),
    ],
)
def test_what_is_not_what_its_name_says_is_not_kept(name: str, content: bytes, why: str) -> None:
    with pytest.raises(UnfitAttachment) as refused:
        attached(name, content)

    assert str(refused.value) == why
