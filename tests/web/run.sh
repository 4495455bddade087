#!/usr/bin/env bash
# The pages in a real headless Chromium: tests/web/pages.test.mjs against `lienthong demo --keep`.
#
#   tests/web/run.sh [--install]
#
# Installs what is missing, as root: Debian's chromium and nodejs, and from the npm registry playwright-core and axe-core
# as tests/web/package-lock.json names them. $LIENTHONG_BIN: the program (default: target/release/lienthong).
# $LIENTHONG_PICTURES: a folder for a picture of every page. --install: installs only, and fails where it cannot be.
set -euo pipefail

cd "$(dirname "$0")"
missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
fc-list 2>/dev/null | grep -qi dejavu || missing+=(fonts-dejavu-core fontconfig)
if [ "${#missing[@]}" -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
npm ci --no-audit --no-fund --silent
[ "${1:-}" != --install ] || exit 0
LIENTHONG_BIN=$(realpath "${LIENTHONG_BIN:-../../target/release/lienthong}")
export LIENTHONG_BIN
CHROMIUM=$(command -v chromium) node --test --test-reporter=spec pages.test.mjs
