#!/usr/bin/env python3
"""Checks one proof of an evidence container, from the public specifications alone.

    tests/evidence/proof.py CONTAINER FILE --log-key KEY

FILE is an entry `event/….proof` of the container, KEY the C2SP verifier key that the directory lists for its log. The
leaf is hashed and its path followed to a root (RFC 9162, 2.1.3.2), which must be the one that the key signed (C2SP
tlog-checkpoint). Notes and Ed25519 are read as in tests/tiles/read.py. Prints JSON; exits with 1 and the reason when
anything does not hold.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tiles"))
from read import Key, node, read_checkpoint, refuse  # noqa: E402


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """The fields of a protobuf message: numbers and bytes, which is all that a Proof has."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            if len(value) != size:
                refuse("the proof is cut off")
        else:
            refuse("the proof has a field of another kind")
        yield tag >> 3, value


def root_of(leaf, index, size, path):
    """RFC 9162, 2.1.3.2."""
    if index >= size:
        refuse(f"there is no event {index} among {size}")
    fn, sn, root = index, size - 1, hashlib.sha256(b"\0" + leaf).digest()
    for sibling in path:
        if sn == 0:
            refuse("the path is too long")
        if fn & 1 or fn == sn:
            root = node(sibling, root)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node(root, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        refuse("the path is too short")
    return root


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("container", type=Path)
    parser.add_argument("file")
    parser.add_argument("--log-key", required=True)
    options = parser.parse_args()
    with zipfile.ZipFile(options.container) as container:
        data = container.read(options.file)
    leaf, index, path, checkpoint = b"", 0, [], ""
    for number, value in fields(data):
        if number == 1:
            leaf = value
        elif number == 2:
            index = value
        elif number == 3:
            path.append(value)
        elif number == 4:
            checkpoint = value.decode()
    origin, size, root, _ = read_checkpoint(checkpoint, Key(options.log_key), [])
    found = root_of(leaf, index, size, path)
    if found != root:
        refuse(f"the path leads to {found.hex()}, the checkpoint says {root.hex()}")
    print(json.dumps({"verified": True, "log": origin, "size": size, "index": index,
                      "leaf_hash": hashlib.sha256(b"\0" + leaf).hexdigest()}))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, IndexError, KeyError, zipfile.BadZipFile) as error:
        refuse(str(error))
