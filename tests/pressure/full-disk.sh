#!/bin/sh
# Two nodes on a real file system of 200 MiB that fills up to the last byte, and is made larger then. Needs root (mount)
# and tmpfs.
set -eu
cd "$(dirname "$0")/../.."
LIENTHONG_SMALL_DISK=$(mktemp -d)
export LIENTHONG_SMALL_DISK
mount -t tmpfs -o size=200m tmpfs "$LIENTHONG_SMALL_DISK"
trap 'umount "$LIENTHONG_SMALL_DISK"; rmdir "$LIENTHONG_SMALL_DISK"' EXIT
cargo test --locked --test pressure -- --ignored --nocapture a_real_disk
