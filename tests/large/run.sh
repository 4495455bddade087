#!/usr/bin/env bash
# Many large documents at once between two nodes that are processes: peak memory of each, throughput, nothing lost.
#
#   tests/large/run.sh [MIB] [COUNT]        128 MiB each and 20 of them, if nothing is said
#
# COUNT documents of MIB MiB of distinct content are sent at once by as many commands, pulled by the other node, and
# fetched at once. Prints one line of JSON; exit 1 when a node ever had more than 256 MiB resident or anything is
# missing. Needs a little more than 2 × MIB × COUNT MiB of disk below $TMPDIR.
# $LIENTHONG_BIN: the program (default: target/release/lienthong). Documented figures: docs/PERFORMANCE.md, "Large
# content"; for 1 GiB each: tests/large/run.sh 1024 20
set -euo pipefail

mib=${1:-128}
count=${2:-20}
limit_mib=256
cd "$(dirname "$0")/../.."
bin=$(realpath "${LIENTHONG_BIN:-target/release/lienthong}")
work=$(mktemp -d)
pids=()
end() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

die() {
    echo "$*" >&2
    for node in tinh huyen; do
        echo "--- $node" >&2
        tail -n 20 "$work/$node.log" >&2 || true
    done
    exit 1
}

now_ms() { date +%s%3N; }

# Free ports: a range that nobody listens in.
port=${LIENTHONG_PORT:-$((21000 + ($$ % 500) * 8))}
net=$work/net
"$bin" init "$net" --local-network --port "$port" >"$work/init.txt"
for node in tinh huyen; do
    "$bin" serve --config "$net/$node/lienthong.toml" >/dev/null 2>"$work/$node.log" &
    pids+=($!)
    declare "pid_$node=$!"
done
for node in tinh huyen; do
    for _ in $(seq 300); do
        grep -q '^ready' "$work/$node.log" && break
        sleep 0.1
    done
    grep -q '^ready' "$work/$node.log" || die "node $node does not start"
done

# Distinct content: holes on this disk, full of zeros for the nodes, with something of its own every 4 MiB.
mkdir "$work/files" "$work/sent" "$work/got"
for n in $(seq "$count"); do
    file=$work/files/$n.bin
    truncate -s "$((mib * 1048576 + n))" "$file"
    for at in $(seq 0 4 "$((mib - 1))"); do
        dd if=/dev/urandom of="$file" bs=4096 count=1 seek="$((at * 256))" conv=notrunc status=none
    done
done

began=$(now_ms)
senders=()
for n in $(seq "$count"); do
    "$bin" send "$work/files/$n.bin" --config "$net/tinh/lienthong.toml" --sender H09 --to H09.21 --number "$n" \
        --notation CV-LON --subject "Tài liệu lớn $n" --sign "$net/documents/person-H09.pem" \
        --sign "$net/documents/seal-H09.pem" --format json >"$work/sent/$n.json" 2>"$work/sent/$n.err" &
    senders+=($!)
done
for pid in "${senders[@]}"; do
    wait "$pid" || die "a send failed: $(cat "$work"/sent/*.err | head -n 5)"
done
sent=$(now_ms)

# All of them arrive.
arrived=0
for _ in $(seq 36000); do
    arrived=$("$bin" inbox --config "$net/huyen/lienthong.toml" --agency H09.21 --format json | grep -c '"delivery_id"' || true)
    [ "$arrived" -eq "$count" ] && break
    sleep 0.2
done
[ "$arrived" -eq "$count" ] || die "$arrived of $count arrived"
pulled=$(now_ms)
peak() { awk '/^VmHWM/ {print int($2 / 1024)}' "/proc/$1/status"; }
peak_tinh=$(peak "$pid_tinh")
# Its disk is needed for what is fetched.
kill "$pid_tinh" && wait "$pid_tinh" || die "node tinh does not stop in order"
rm -r "$net/tinh/data"

fetchers=()
for n in $(seq "$count"); do
    id=$(grep -o '"delivery_id":"[0-9a-f]*"' "$work/sent/$n.json" | cut -d'"' -f4)
    "$bin" fetch "$id" --config "$net/huyen/lienthong.toml" --agency H09.21 --to "$work/got/$n" \
        >/dev/null 2>"$work/sent/$n.err" &
    fetchers+=($!)
done
for pid in "${fetchers[@]}"; do
    wait "$pid" || die "a fetch failed: $(cat "$work"/sent/*.err | head -n 5)"
done
fetched=$(now_ms)

lost=0
for n in $(seq "$count"); do
    cmp -s "$work/files/$n.bin" "$work/got/$n/$n.bin" || lost=$((lost + 1))
done

peak_huyen=$(peak "$pid_huyen")
rate() { echo $((mib * count * 1000 / ($1 > 0 ? $1 : 1))); }
printf '{"documents":%d,"mib_each":%d,"lost":%d,"peak_mib":{"tinh":%d,"huyen":%d},"limit_mib":%d,' \
    "$count" "$mib" "$lost" "$peak_tinh" "$peak_huyen" "$limit_mib"
printf '"seconds":{"send":%d.%03d,"pull_after":%d.%03d,"fetch":%d.%03d},"mib_per_second":{"send":%d,"to_the_inbox":%d,"fetch":%d}}\n' \
    $(((sent - began) / 1000)) $(((sent - began) % 1000)) $(((pulled - sent) / 1000)) $(((pulled - sent) % 1000)) \
    $(((fetched - pulled) / 1000)) $(((fetched - pulled) % 1000)) \
    "$(rate $((sent - began)))" "$(rate $((pulled - began)))" "$(rate $((fetched - pulled)))"

[ "$lost" -eq 0 ] || die "$lost of $count did not arrive as they were sent"
[ "$peak_tinh" -lt "$limit_mib" ] && [ "$peak_huyen" -lt "$limit_mib" ] || die "more than $limit_mib MiB resident"
