"""Random changes of files: blind ones, and ones that keep checksums valid."""

import copy
import gzip
import io
import json
import struct
import zipfile
import zlib

# Values at which sizes, offsets and counts overflow or turn negative.
_INTEGERS = [0, 1, 2, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
_INTEGERS += [2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
_VALUES = [None, True, -1, 0, 2**70, 1e308, float("nan"), "", "x" * 300, "../x", "/x"]
_VALUES += ["\0", "\ud800", "\x1b[2J\n", [], {}, [[]], [1, "a"], {"a": None}, [2**40]]


def mutate(rng, content, others=()):
    """Returns the bytes after one to four random changes.

    Args:
        rng: `numpy.random.Generator`.
        content: bytes.
        others: sequence of bytes, from which parts may be taken.
    """
    content = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        change = _CHANGES[rng.integers(len(_CHANGES))]
        change(rng, content, others)
    return bytes(content)


def _span(rng, content, longest=64):
    start = int(rng.integers(0, len(content) + 1))
    return start, min(start + int(rng.integers(1, longest)), len(content))


def _flip_bits(rng, content, _):
    for _ in range(int(rng.integers(1, 9)) if content else 0):
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))


def _set_bytes(rng, content, _):
    start, stop = _span(rng, content)
    value = (0, 1, 0x7F, 0x80, 0xFF, 0x20, 0x30, 0x39)[rng.integers(8)]
    content[start:stop] = bytes([value]) * (stop - start)


def _set_integer(rng, content, _):
    size = (1, 2, 4, 8)[rng.integers(4)]
    value = _INTEGERS[rng.integers(len(_INTEGERS))] % 2 ** (8 * size)
    start = int(rng.integers(0, len(content) + 1))
    content[start : start + size] = value.to_bytes(size, ("little", "big")[start % 2])


def _set_digits(rng, content, _):
    """Replaces a number that is written in digits."""
    starts = [i for i, c in enumerate(content) if 0x30 <= c <= 0x39][:2000]
    if starts:
        start = starts[rng.integers(len(starts))]
        stop = start
        while stop < len(content) and 0x30 <= content[stop] <= 0x39:
            stop += 1
        value = str(_INTEGERS[rng.integers(len(_INTEGERS))]).encode()
        keep = rng.random() < 0.5  # In a field of a fixed size.
        content[start:stop] = value[: stop - start] if keep else value


def _truncate(rng, content, _):
    del content[int(rng.integers(0, len(content) + 1)) :]


def _remove(rng, content, _):
    start, stop = _span(rng, content)
    del content[start:stop]


def _repeat(rng, content, _):
    start, stop = _span(rng, content, 1024)
    content[start:start] = content[start:stop] * int(rng.integers(1, 20))


def _insert(rng, content, _):
    start, stop = _span(rng, content)
    content[start:start] = rng.bytes(stop - start)


def _move(rng, content, _):
    start, stop = _span(rng, content, 1024)
    part = content[start:stop]
    del content[start:stop]
    start, _ = _span(rng, content)
    content[start:start] = part


def _splice(rng, content, others):
    if others:
        other = others[rng.integers(len(others))]
        start, _ = _span(rng, other)
        stop = min(start + int(rng.integers(1, len(other) + 2)), len(other))
        at, end = _span(rng, content, len(content) + 2)
        content[at:end] = other[start:stop]


_CHANGES = [_flip_bits, _set_bytes, _set_integer, _set_digits, _truncate, _remove]
_CHANGES += [_repeat, _insert, _move, _splice]


def mutate_tar(rng, content, others=()):
    """Changes the tar file inside a `.tar.gz`; the sums of its headers are valid."""
    content = bytearray(gzip.decompress(content))
    for _ in range(int(rng.integers(1, 4))):
        block = 512 * int(rng.integers(0, len(content) // 512))
        header = content[block : block + 512]
        if rng.random() < 0.2:  # Another type.
            header[156] = b"0123456gxLKSVZ\0"[rng.integers(15)]
        elif rng.random() < 0.3:  # Another size.
            value = _INTEGERS[rng.integers(len(_INTEGERS))] % 2**88
            field = (b"%011o" % value)[-11:] + b"\0"
            if rng.random() < 0.5:
                field = bytes([(0x80, 0xFF)[value % 2]]) + value.to_bytes(11, "big")
            header[124:136] = field
        elif rng.random() < 0.4:  # Another name.
            names = (b"../x", b"/x", b"a\0b", b"a/" * 40, b"", b"C:\\x", b"\xff", b"./")
            name = names[rng.integers(len(names))]
            header[: len(name) + 1] = name + b"\0"
        else:
            header = bytearray(mutate(rng, bytes(header)).ljust(512, b"\0")[:512])
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        content[block : block + 512] = header
    return gzip.compress(bytes(content), 1, mtime=0)


def mutate_zip(rng, content, others=()):
    """Changes one member of a zip file; its checksum is valid."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(i, archive.read(i)) for i in archive.infolist()]
    chosen = int(rng.integers(len(members)))
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as archive:
        for number, (info, data) in enumerate(members):
            kind = info.compress_type
            if number == chosen:
                data = mutate(rng, data, [other for _, other in members])
                kind = (kind, zipfile.ZIP_DEFLATED)[rng.random() < 0.1]
            archive.writestr(info.filename, data, kind)
    return result.getvalue()


def mutate_png(rng, content, others=()):
    """Changes a chunk of a PNG file; its checksum is valid."""
    start, chunks = 8, []
    while start < len(content):
        (size,) = struct.unpack_from(">I", content, start)
        chunks.append((content[start + 4 : start + 8], content[start + 8 :][:size]))
        start += size + 12
    chosen = int(rng.integers(len(chunks)))
    result = content[:8]
    for number, (name, data) in enumerate(chunks):
        if number == chosen:
            data = mutate(rng, data)
        crc = zlib.crc32(name + data)
        result += struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)
    return result


def mutate_json(rng, content, others=()):
    """Replaces, removes or adds values of a JSON file."""
    value = json.loads(content)
    for _ in range(int(rng.integers(1, 4))):
        value = _mutate_value(rng, value)
    text = json.dumps(value)
    if rng.random() < 0.05:
        text = text.replace("null", "[" * 100_000, 1)
    return text.encode("utf-8", "surrogatepass")


def _mutate_value(rng, value):
    """Walks down to a random value and replaces it."""
    keys = list(value) if isinstance(value, dict) else []
    keys = list(range(len(value))) if isinstance(value, list) else keys
    if not keys or rng.random() < 0.1:
        return copy.deepcopy(_VALUES[rng.integers(len(_VALUES))])
    key = keys[rng.integers(len(keys))]
    if rng.random() < 0.1:
        del value[key]
    else:
        value[key] = _mutate_value(rng, value[key])
    return value


def mutate_safetensors(rng, content, others=()):
    """Changes the header of a safetensors file; its length is valid."""
    size = int.from_bytes(content[:8], "little")
    change = (mutate, mutate_json)[rng.integers(2)]
    header = change(rng, content[8 : 8 + size])
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def mutate_checkpoint(rng, content, others=()):
    """Changes a JSON file in a checkpoint, and leaves the other members intact."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = ("run.json", "config.json")[rng.integers(2)]
    change = (mutate, mutate_json)[rng.integers(2)]
    members[name] = change(rng, members[name])
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return result.getvalue()
