"""A model as files: which it may hold, how large, and the sums that make it one thing with one name."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

SUMS: Final = "SHA256SUMS"
CARD: Final = "card.json"
NET: Final = "model.onnx"
STEP: Final = "step.onnx"
WEIGHTS: Final = "weights.safetensors"
EVALUATION: Final = "evaluation.json"
MB: Final = 1_000_000
# The roadmap's largest net has 100 million parameters of 4 bytes; everything else is text (ours).
AT_MOST: Final[Mapping[str, int]] = {
    SUMS: 1_000,
    CARD: MB,
    NET: 500 * MB,
    STEP: 500 * MB,
    WEIGHTS: 500 * MB,
    EVALUATION: 10 * MB,
}
NEEDED: Final = frozenset({SUMS, CARD, NET, WEIGHTS})
PICKLED: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")  # and the ZIP around one
DTYPES: Final[Mapping[str, str]] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "U8": "|u1",
    "BOOL": "|b1",
}

Files = Mapping[str, bytes]


class UnsoundModel(ValueError):
    """These files are no model; the message names the file, the reason and what to do."""


def sealed(files: Files) -> dict[str, bytes]:
    """Return `files` with their SHA256SUMS, as `sha256sum --check` reads it.

    Raises:
        UnsoundModel: a file is unknown, missing, empty or too large.
    """
    content = {name: files[name] for name in sorted(files) if name != SUMS}
    lines = (f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in content)
    found = {**content, SUMS: "".join(lines).encode()}
    _refuse_odd_files(found)
    return found


def digest_of(files: Files) -> str:
    """Return the name of a model for life: the SHA-256 of its SHA256SUMS."""
    return hashlib.sha256(files[SUMS]).hexdigest()


def verify(files: Files, digest: str = "") -> None:
    """Refuse what is not one whole model, untouched since it was sealed; with `digest` exactly that one.

    Raises:
        UnsoundModel: a file is unknown, missing, empty, too large, a pickle, or not what its sum says.
    """
    _refuse_odd_files(files)
    if digest and digest_of(files) != digest:
        raise UnsoundModel(f"{SUMS}: hash mismatch, it is not of model {digest[:8]}; register the model again.")
    sums = read_sums(files[SUMS])
    if sums.keys() != files.keys() - {SUMS}:
        odd = ", ".join(sorted(sums.keys() ^ (files.keys() - {SUMS})))
        raise UnsoundModel(f"{odd}: only one of {SUMS} and the folder knows it; register the model again.")
    for name, found in sums.items():
        if hashlib.sha256(files[name]).hexdigest() != found:
            raise UnsoundModel(f"{name}: hash mismatch, it was changed or cut off; register the model again.")


def read_sums(text: bytes) -> dict[str, str]:
    """Return name -> SHA-256 in hexadecimal digits.

    Raises:
        UnsoundModel: a line is no sum, or names a file that no model has.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.decode("ascii", "replace").splitlines(), 1):
        digits, gap, name = line[:64], line[64:66], line[66:]
        is_sum = len(digits) == 64 and not set(digits) - set("0123456789abcdef") and gap == "  "
        if not is_sum or name not in AT_MOST or name in found or name == SUMS:
            raise UnsoundModel(f"{SUMS}: line {number} is no sum of a file of a model; register the model again.")
        found[name] = digits
    return found


def tensors_of(weights: bytes) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """Return name -> dtype in numpy's letters, shape, and where in `weights` its bytes begin and end.

    Raises:
        UnsoundModel: it is no safetensors file, it is cut off, or a tensor has another dtype or size than it says.

    Source:
        github.com/huggingface/safetensors, section "Format": 8 bytes little-endian length of a JSON header, then bytes.
    """
    base = 8 + int.from_bytes(weights[:8], "little")
    if len(weights) < 8 or base > len(weights):
        raise UnsoundModel(f"{WEIGHTS}: no safetensors file, or cut off; register the model again.")
    header = json_in(WEIGHTS, weights[8:base])
    found = {name: _tensor(name, raw, base) for name, raw in header.items() if name != "__metadata__"}
    if base + _size(found) != len(weights) or not found:
        raise UnsoundModel(f"{WEIGHTS}: its tensors do not fill it, it is cut off or added to; register it again.")
    return found


def json_in(name: str, text: bytes) -> dict[str, Any]:
    """Return the object in `text`, strictly: no NaN, no key twice.

    Raises:
        UnsoundModel: anything else.
    """
    try:
        found = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UnsoundModel(f"{name}: no JSON that may be in a model ({error}); register the model again.") from error
    if not isinstance(found, dict):
        raise UnsoundModel(f"{name}: holds no fields; register the model again.")
    return found


def _refuse_odd_files(files: Files) -> None:
    if missing := sorted(NEEDED - files.keys()):
        raise UnsoundModel(f"{', '.join(missing)}: missing; register the model again.")
    for name, content in files.items():
        if name not in AT_MOST:
            raise UnsoundModel(f"{name!r:.60}: no file of a model; a model is {', '.join(AT_MOST)}.")
        if not content:
            raise UnsoundModel(f"{name}: 0 bytes; register the model again.")
        if len(content) > AT_MOST[name]:
            raise UnsoundModel(f"{name}: {len(content):,} bytes, at most {AT_MOST[name]:,}; train a smaller model.")
        if content.startswith(PICKLED):
            raise UnsoundModel(f"{name}: holds a pickle, which can run anything; export the model as ONNX.")


def _tensor(name: str, raw: Any, base: int) -> tuple[str, tuple[int, ...], int, int]:
    fit = isinstance(raw, dict) and raw.keys() == {"dtype", "shape", "data_offsets"}
    if not fit or raw["dtype"] not in DTYPES or not (_counts(raw["shape"]) and _counts(raw["data_offsets"])):
        raise UnsoundModel(f"{WEIGHTS}: {name!r:.60} is no tensor of plain numbers; register the model again.")
    dtype, shape, offsets = DTYPES[raw["dtype"]], tuple(raw["shape"]), raw["data_offsets"]
    size = int(dtype[-1])
    for length in shape:
        size *= length
    if len(offsets) != 2 or offsets[1] - offsets[0] != size:
        raise UnsoundModel(f"{WEIGHTS}: {name!r:.60} is not as long as its shape says; register the model again.")
    return dtype, shape, base + offsets[0], base + offsets[1]


def _size(tensors: Mapping[str, tuple[str, tuple[int, ...], int, int]]) -> int:
    return sum(end - begin for _, _, begin, end in tensors.values())


def _counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**40 for value in values)


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
