#!/usr/bin/env python3
"""Reads a log from its static files and verifies it, from the public specifications alone.

    tests/tiles/read.py DIR --log-key KEY [--witness KEY]…

C2SP tlog-tiles, tlog-checkpoint, signed-note and tlog-cosignature; RFC 6962 (2.1) for the hashes; RFC 8032 for Ed25519,
written out here (section 6 and 5.1.7), so that nothing but Python is needed. KEY is a C2SP verifier key. Every entry
is hashed, the tree is built, every tile of every level is compared, and the root must be the signed one. Prints JSON;
exits with 1 and the reason when anything does not hold.
"""

import argparse
import base64
import hashlib
import json
import struct
import sys
from pathlib import Path


def refuse(why):
    print(json.dumps({"verified": False, "reason": why}))
    sys.exit(1)


# --- Ed25519 (RFC 8032) --------------------------------------------------------------------------------------------

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def x_of(y, sign):
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


def point(data):
    number = int.from_bytes(data, "little")
    y, sign = number & (2**255 - 1), number >> 255
    x = x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, h2, f2, g2 = f - e, f + e, h - g, h + g
    return e * f2 % P, g2 * h2 % P, f2 * g2 % P, e * h2 % P


def times(n, p):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = add(out, p)
        p, n = add(p, p), n >> 1
    return out


BASE_Y = 4 * pow(5, -1, P) % P
BASE = point((BASE_Y | 0 << 255).to_bytes(32, "little"))


def ed25519_holds(key, signature, message):
    a, r = point(key), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % Q
    left, right = times(s, BASE), add(r, times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# --- Notes and checkpoints -----------------------------------------------------------------------------------------

class Key:
    """A C2SP verifier key: name, id, type and bytes."""

    def __init__(self, text):
        name, key_id, data = text.split("+", 2)
        data = base64.b64decode(data, validate=True)
        self.name, self.id, self.type, self.bytes = name, bytes.fromhex(key_id), data[0], data[1:]
        made = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        if made != self.id or len(self.bytes) != 32:
            refuse(f"{text} is no verifier key")

    def signatures(self, lines):
        """The signature bytes of this key's lines."""
        for name, data in lines:
            if name == self.name and data[:4] == self.id:
                yield data[4:]


def read_note(text):
    body, _, rest = text.rpartition("\n\n")
    lines = []
    for line in rest.splitlines():
        if not line.startswith("\u2014 "):
            refuse(f"no signature line: {line!r}")
        name, _, data = line[2:].partition(" ")
        lines.append((name, base64.b64decode(data, validate=True)))
    return body + "\n", lines


def read_checkpoint(text, log, witnesses):
    body, lines = read_note(text)
    origin, size, root = body.split("\n")[:3]
    if origin != log.name:
        refuse(f"the checkpoint is of `{origin}`, the key of `{log.name}`")
    if str(int(size)) != size:
        refuse(f"`{size}` is no size")
    if not any(ed25519_holds(log.bytes, s, body.encode()) for s in log.signatures(lines)):
        refuse("the log's signature does not hold")
    seen = {}
    for witness in witnesses:
        for signature in witness.signatures(lines):
            time = struct.unpack(">Q", signature[:8])[0]
            message = f"cosignature/v1\ntime {time}\n{body}"
            if not ed25519_holds(witness.bytes, signature[8:], message.encode()):
                refuse(f"the cosignature of `{witness.name}` does not hold")
            seen[witness.name] = time
    return origin, int(size), base64.b64decode(root, validate=True), seen


# --- Tiles ---------------------------------------------------------------------------------------------------------

def place(number):
    """Three digits at a time, all but the last with an x before them."""
    parts = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        parts.insert(0, f"x{number % 1000:03d}")
    return "/".join(parts)


def read(folder, kind, number, width):
    path = folder / "tile" / kind / (place(number) + (f".p/{width}" if width < 256 else ""))
    try:
        return path.read_bytes()
    except OSError as error:
        refuse(f"{path.relative_to(folder)}: {error.strerror}")


def entries(folder, size):
    for first in range(0, size, 256):
        width = min(256, size - first)
        data, at = read(folder, "entries", first // 256, width), 0
        for i in range(width):
            if at + 2 > len(data):
                refuse(f"entry {first + i} is missing in its bundle")
            length = struct.unpack_from(">H", data, at)[0]
            entry = data[at + 2:at + 2 + length]
            if len(entry) != length:
                refuse(f"entry {first + i} is cut off")
            at += 2 + length
            yield entry
        if at != len(data):
            refuse(f"the bundle of entry {first} holds more than {width}")


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes):
    """RFC 6962, 2.1, from the leaf hashes of a tree or of one tile."""
    while len(hashes) > 1:
        # An odd one at the end goes up as it is: it is the root of the last, incomplete subtree.
        pairs = [node(*hashes[i:i + 2]) for i in range(0, len(hashes) - 1, 2)]
        hashes = pairs + ([hashes[-1]] if len(hashes) % 2 else [])
    return hashes[0] if hashes else hashlib.sha256(b"").digest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--log-key", required=True)
    parser.add_argument("--witness", action="append", default=[])
    options = parser.parse_args()
    log, witnesses = Key(options.log_key), [Key(k) for k in options.witness]
    text = (options.dir / "checkpoint").read_text()
    origin, size, root, seen = read_checkpoint(text, log, witnesses)
    if witnesses and not seen:
        refuse("none of the witnesses cosigned this checkpoint")

    hashes = [hashlib.sha256(b"\0" + entry).digest() for entry in entries(options.dir, size)]
    found = root_of(hashes)
    if found != root:
        refuse(f"the entries have the root {found.hex()}, the checkpoint says {root.hex()}")
    level, tiles = 0, 0
    while hashes:
        above = []
        for first in range(0, len(hashes), 256):
            part = hashes[first:first + 256]
            if read(options.dir, str(level), first // 256, len(part)) != b"".join(part):
                refuse(f"tile {level}/{first // 256} is not what the entries give")
            tiles += 1
            if len(part) == 256:
                above.append(root_of(part))
        level, hashes = level + 1, above
    print(json.dumps({"verified": True, "log": origin, "size": size, "root": root.hex(), "tiles": tiles,
                      "cosigned": seen}))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, IndexError) as error:
        refuse(str(error))
