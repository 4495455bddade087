#!/usr/bin/env python3
"""The cosigning keys that a directory lists, as options of read.py: witnesses.py directory.note [--but NODE]

The directory's own signature is checked by `lienthong directory show`, not here.
"""
import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("note", type=Path)
parser.add_argument("--but", default="")
options = parser.parse_args()
text, _, _ = options.note.read_text().rpartition("\n\n")
content = json.loads(text[text.index("{"):])
for node in content["nodes"]:
    if node["name"] != options.but:
        print(*(f"--witness {key}" for key in node["cosign_keys"]), sep="\n")
