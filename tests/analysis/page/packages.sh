#!/usr/bin/env bash
# Installs what tests/compare looks at pages with, where it is missing: Chromium without a window, on Debian.
set -euo pipefail
install=(apt-get install --yes --no-install-recommends chromium-headless-shell)

for program in chromium-headless-shell chromium chromium-browser google-chrome; do
	command -v "$program" >/dev/null && exit
done

fail() {
	echo "The tests of the page need Chromium: $1" >&2
	exit 1
}
command -v apt-get >/dev/null || fail "install Chromium or Chrome (on Debian: sudo ${install[*]})"
as_root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || fail "as root: ${install[*]}"
	as_root=(sudo)
fi
"${as_root[@]}" apt-get update || true # an old list often serves
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" || fail "this failed: ${as_root[*]} ${install[*]}"
