#!/bin/sh
# Power cuts under load: three nodes on an ext4 image in memory, which goes back to what its disk had, three times
# (or LIENTHONG_POWER_CUTS). Needs root, loop devices, mkfs.ext4 and about 2 GiB in /dev/shm.
set -eu
cd "$(dirname "$0")/../.."
TMPDIR=${TMPDIR:-/dev/shm} exec cargo test --locked --test crash -- --ignored --nocapture a_power_cut
