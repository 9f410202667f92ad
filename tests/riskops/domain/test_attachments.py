"""What may be attached to an item of the checklist."""

import hashlib

import pytest

from riskops.domain.attachments import LARGEST, Attached, UnfitAttachment, attached

PDF = b"%PDF-1.7 ..."
PNG = b"\x89PNG\r\n\x1a\n...."
JPEG = b"\xff\xd8\xff...."


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
    ],
)
def test_a_file_is_kept_as_it_is(name: str, content: bytes, kind: str) -> None:
    assert attached(name, content) == Attached(name, kind, content)
    assert attached(name, content).sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.txt", b"", "0 bytes"),
        ("a.txt", b"x" * (LARGEST + 1), "1000001 bytes"),
        ("a.exe", b"MZ", "no others"),
        ("a.html", b"<script>", "no others"),
        ("a.svg", b"<svg>", "no others"),
        ("pdf", PDF, "no others"),
        ("a.pdf", b"<script>", "does not hold"),
        ("a.png", JPEG, "does not hold"),
        ("a.txt", b"\xff\xfe\x00", "does not hold"),
        ("a.txt", b"nul\x00", "does not hold"),
        ("../a.txt", b"x", "rename it"),
        ("a..txt", b"x", "rename it"),
        (".txt", b"x", "rename it"),
        ('a".txt', b"x", "rename it"),
        ("a\r\nSet-Cookie: x.txt", b"x", "rename it"),
        ("a" * 97 + ".txt", b"x", "rename it"),
    ],
)
def test_what_is_not_what_its_name_says_is_not_kept(name: str, content: bytes, why: str) -> None:
    with pytest.raises(UnfitAttachment, match=why):
        attached(name, content)
