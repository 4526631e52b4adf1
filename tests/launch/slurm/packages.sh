#!/usr/bin/env bash
# Installs what tests/slurm starts, where it is missing: Slurm and munge, on Debian and Ubuntu. No daemon is started.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
policy=/usr/sbin/policy-rc.d
install=(apt-get install --yes --no-install-recommends slurmctld slurmd slurm-client munge)

missing=()
for program in munged slurmctld slurmd sbatch; do
	command -v "$program" >/dev/null || missing+=("$program")
done
[ ${#missing[@]} = 0 ] && exit

fail() {
	echo "The cluster tests need ${missing[*]}: $1" >&2
	exit 1
}
command -v apt-get >/dev/null || fail "install Slurm and munge (on Debian and Ubuntu: sudo ${install[*]})"
as_root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || fail "as root: ${install[*]}"
	as_root=(sudo)
fi

# What Debian has for this: while policy-rc.d exits with 101, installing a package starts no service.
if [ ! -e "$policy" ]; then
	trap '"${as_root[@]}" rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install --mode=755 /dev/stdin "$policy"
fi
"${as_root[@]}" apt-get update || true # an old list often serves
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" || fail "this failed: ${as_root[*]} ${install[*]}"
