"""How large an image is, from the first bytes of its file: what is too large to be decoded is refused before it takes memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import error, unpack_from

#: (width, height) in pixels, before any turn that the EXIF orientation says
Size = tuple[int, int]
#: markers of a JPEG that stand without a length
ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
#: start of frame, of any process: C0 to CF without DHT, JPG, DAC
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
START_OF_SCAN, ADOBE = 0xDA, 0xEE


def size(data: bytes) -> Size | None:
    """(width, height) of a file of one of `FORMATS`; None where it is of no other kind, or its header is cut off or wrong."""
    for begins, read in READERS:
        if data.startswith(begins):
            try:
                found = read(data)
            except error:  # a number beyond the end
                return None
            return found if found and min(found) > 0 else None
    return None


def inks_unclear(data: bytes) -> bool:
    """Whether a JPEG of four inks (CMYK) does not say, by Adobe's marker, that they are inverted: decoders differ in what they make
    of it then."""
    if not data.startswith(b"\xff\xd8"):
        return False
    try:
        segments = dict(_segments(data))
        frame = next((at for marker, at in segments.items() if marker in FRAMES), None)
        adobe = segments.get(ADOBE)
        return frame is not None and data[frame + 7] == 4 and (adobe is None or data[adobe + 2 : adobe + 7] != b"Adobe")
    except (error, IndexError):
        return False


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The marker of each segment of a JPEG before its pixels, and where its length stands (ITU T.81, B.1)."""
    at = 2
    while True:
        (prefix, marker) = unpack_from(">BB", data, at)
        if prefix != 0xFF or marker == START_OF_SCAN:
            return
        if marker == 0xFF:  # bytes that fill
            at += 1
        elif marker in ALONE:
            at += 2
        else:
            yield marker, at + 2
            at += 2 + unpack_from(">H", data, at + 2)[0]


def _jpeg(data: bytes) -> Size | None:
    for marker, at in _segments(data):
        if marker in FRAMES:
            height, width = unpack_from(">HH", data, at + 3)
            return width, height
    return None


def _png(data: bytes) -> Size | None:
    return unpack_from(">II", data, 16) if data[12:16] == b"IHDR" else None


def _gif(data: bytes) -> Size | None:
    return unpack_from("<HH", data, 6)


def _bmp(data: bytes) -> Size | None:
    if unpack_from("<I", data, 14)[0] == 12:  # OS/2's
        return unpack_from("<HH", data, 18)
    width, height = unpack_from("<ii", data, 18)
    return width, abs(height)  # from the top where it is negative


def _webp(data: bytes) -> Size | None:
    kind = data[12:16] if data[8:12] == b"WEBP" else b""
    if kind == b"VP8X":
        return tuple(int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))  # type: ignore[return-value]  # two
    if kind == b"VP8L":
        (bits,) = unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _tiff(data: bytes) -> Size | None:
    """Of the first image, which is the one that is read (TIFF 6.0, section 2)."""
    order = "<" if data.startswith(b"II") else ">"
    (at,) = unpack_from(f"{order}I", data, 4)
    found: dict[int, int] = {}
    for entry in range(unpack_from(f"{order}H", data, at)[0]):
        tag, kind = unpack_from(f"{order}HH", data, at + 2 + 12 * entry)
        if tag in (256, 257):  # as a number of two bytes or of four
            (found[tag],) = unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, at + 10 + 12 * entry)
    return (found[256], found[257]) if len(found) == 2 else None


READERS: tuple[tuple[bytes, Callable[[bytes], Size | None]], ...] = (
    (b"\xff\xd8", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF8", _gif),
    (b"BM", _bmp),
    (b"RIFF", _webp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
)
FORMATS = "JPEG, PNG, GIF, BMP, WebP or TIFF"
