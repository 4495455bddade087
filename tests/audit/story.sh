#!/usr/bin/env bash
# The story behind docs/AUDIT.md: two nodes, three documents, and the five questions that an administrator gets, each
# with its command and what it prints: tests/audit/story.sh [LIENTHONG] [DIR]
#
# Ends with an error if a command does not answer as the page says it does.
set -euo pipefail
bin=$(realpath "${1:-target/release/lienthong}")
work=${2:-$(mktemp -d)}
mkdir -p "$work"
cd "$work"
lienthong() { "$bin" "$@"; }
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; [ -n "${2:-}" ] || rm -rf "$work"' EXIT

wait_for() { # what, command…
    local what=$1
    shift
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "never: $what" >&2
    exit 1
}
serve() {
    "$bin" serve --config "net/$1/lienthong.toml" >"$1.log" 2>&1 &
    pids+=($!)
    wait_for "node $1 is ready" grep -qx ready "$1.log"
}
# Prints a command as a person types it, runs it, and checks its exit status.
ask() { # expected status, command…
    local expected=$1 status=0
    shift
    printf '\n$ lienthong'
    for word in "$@"; do case $word in *' '*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac; done
    printf '\n'
    lienthong "$@" 2>&1 || status=$?
    if [ "$status" != "$expected" ]; then
        echo "exit status $status, not $expected" >&2
        exit 1
    fi
}
send() { # number, subject
    lienthong send "letter-$1.txt" --config net/tinh/lienthong.toml --sender H09 --to H09.21.7 --number "$1" \
        --notation UBND-VX --subject "$2" --sign net/documents/person-H09.pem --sign net/documents/seal-H09.pem \
        --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["delivery_id"])'
}
state() { # delivery: has it arrived, and was it answered?
    lienthong track "$1" --config net/tinh/lienthong.toml --format json
}

lienthong init net --local-network --port "${PORT:-17400}" >/dev/null
# The commune's node refuses what it cannot judge, instead of holding it.
python3 - net/huyen/lienthong.toml <<'P'
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
new = re.sub(r'#? ?revocation_unknown = "\w+"', 'revocation_unknown = "refuse"', text)
assert new != text, "there is no revocation_unknown in the configuration"
open(sys.argv[1], "w", encoding="utf-8").write(new)
P
serve tinh
serve huyen
for n in 12 13 14; do printf 'Công văn số %s\n' "$n" >"letter-$n.txt"; done

first=$(send 12 "Về việc chuẩn bị kỳ họp")
wait_for "12 is in the inbox" sh -c "'$bin' inbox --config net/huyen/lienthong.toml --agency H09.21.7 | grep -q '${first:0:12}'"
lienthong fetch "$first" --config net/huyen/lienthong.toml --agency H09.21.7 --to in --user van-thu.01 >/dev/null 2>&1
lienthong ack "$first" --config net/huyen/lienthong.toml --agency H09.21.7 >/dev/null
lienthong respond "$first" 03 --config net/huyen/lienthong.toml --agency H09.21.7 >/dev/null
second=$(send 13 "Về việc cấp kinh phí")
wait_for "13 is in the inbox" sh -c "'$bin' inbox --config net/huyen/lienthong.toml --agency H09.21.7 | grep -q '${second:0:12}'"
lienthong respond "$second" 02 --config net/huyen/lienthong.toml --agency H09.21.7 --reason "Sai thẩm quyền" >/dev/null 2>&1
# What the third is judged by is missing at the commune's node.
kill "${pids[1]}"
wait "${pids[1]}" 2>/dev/null || true
rm net/huyen/crls/*.crl
unset 'pids[1]'
serve huyen
third=$(send 14 "Về việc kiểm tra")
wait_for "14 is refused" sh -c "'$bin' track '$third' --config net/tinh/lienthong.toml | grep -qi refused"
wait_for "the answers are there" sh -c "'$bin' track '$second' --config net/tinh/lienthong.toml | grep -q '02'"

echo "== 1. Was this document delivered, and when?"
ask 0 track "${first:0:12}" --config net/tinh/lienthong.toml
ask 0 audit list --config net/tinh/lienthong.toml --number 12 --notation UBND-VX --year "$(date +%Y)"
echo; echo "== 2. Who opened it?"
ask 0 audit list --config net/huyen/lienthong.toml --delivery "${first:0:12}" --kind fetched
lienthong backup ./copy --config net/huyen/lienthong.toml --user sao-luu >/dev/null 2>&1
ask 0 audit list --config net/huyen/lienthong.toml --kind extracted
echo; echo "== 3. Has anything been removed or changed?"
ask 0 audit check --content --config net/huyen/lienthong.toml
ask 0 audit forks --config net/tinh/lienthong.toml
ask 0 audit list --config net/huyen/lienthong.toml --kind purged
echo; echo "== 4. What did this agency refuse, and why?"
ask 0 audit list --config net/huyen/lienthong.toml --agency H09.21.7 --kind refused
ask 0 track "${second:0:12}" --config net/tinh/lienthong.toml
echo; echo "== 5. Prove it to a court"
ask 0 audit export "${first:0:12}" --config net/tinh/lienthong.toml --user thanh-tra -o 12.asice
ask 0 audit verify 12.asice --authority "$(cat net/authority/directory.vkey)" --roots net/documents
# Changes one file of the container; with `again`, the manifest is made right again.
change() { # file, from, to, again?
    python3 - 12.asice changed.asice "$@" <<'P'
import base64, hashlib, sys, zipfile
path, old, new = sys.argv[3], sys.argv[4].encode(), sys.argv[5].encode()
container = zipfile.ZipFile(sys.argv[1])
files = [(entry.filename, container.read(entry)) for entry in container.infolist()]
before = dict(files)[path]
after = before.replace(old, new)
assert after != before, f"{path} has not {old}"
digest = lambda data: base64.b64encode(hashlib.sha256(data).digest())
changed = zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_STORED)
for name, data in files:
    if name == path:
        data = after
    elif name == "META-INF/ASiCManifest.xml" and sys.argv[6:]:
        data = data.replace(digest(before), digest(after))
    changed.writestr(zipfile.ZipInfo(name), data)
changed.close()
P
}
change document/letter-12.txt 12 21
ask 1 audit verify changed.asice --authority "$(cat net/authority/directory.vkey)" --roots net/documents
change index.html "hợp lệ" "không hợp lệ" again
ask 1 audit verify changed.asice --authority "$(cat net/authority/directory.vkey)" --roots net/documents
