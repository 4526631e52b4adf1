#!/usr/bin/env bash
# Installs packages of Debian or Ubuntu for the tests. No service is started.
#   debian_packages.sh WHAT PACKAGE… -- PROGRAM…    WHAT needs them, as messages say; nothing is done if all programs are there
#   a program with alternatives: chromium|google-chrome
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
policy=/usr/sbin/policy-rc.d
what=$1
shift
install=(apt-get install --yes --no-install-recommends)
while [ "$1" != -- ]; do
	install+=("$1")
	shift
done
shift

missing=()
for alternatives in "$@"; do
	IFS='|' read -ra programs <<<"$alternatives"
	command -v "${programs[@]}" >/dev/null || missing+=("${programs[0]}")
done
[ ${#missing[@]} = 0 ] && exit

fail() {
	echo "$what: ${missing[*]} is missing, and $1" >&2
	exit 1
}
command -v apt-get >/dev/null || fail "there is no apt-get here. On Debian and Ubuntu: sudo ${install[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || fail "sudo too. As root: ${install[*]}"
	as_root=(sudo)
fi

# What Debian has for this: while policy-rc.d exits with 101, installing a package starts no service.
if [ ! -e "$policy" ]; then
	trap '"${as_root[@]}" rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install --mode=755 /dev/stdin "$policy"
fi
"${as_root[@]}" apt-get update || true # an old list often serves
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" || fail "this failed: ${as_root[*]} ${install[*]}"
