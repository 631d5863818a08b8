#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Builds and tests in a chroot of another Debian release: tests/lib/chroot.sh RELEASE SOURCE
# The base system is kept in /var/cache/sealgate-chroot for the next run; the work is done in a copy of it.
set -eu
release=$1 src=$2
[ "$(id -u)" = 0 ] || { echo "a chroot needs root" >&2; exit 77; }
command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v security | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror is configured" >&2; exit 77; }
cache=/var/cache/sealgate-chroot/$release
root=$(mktemp -d "${TMPDIR:-/tmp}/sealgate-chroot.XXXXXX")
cleanup() {
	umount "$root/proc" 2>/dev/null || true
	umount "$root/dev" 2>/dev/null || true
	# Nothing is removed while something is still mounted in it.
	grep -q " $root/" /proc/mounts || rm -rf "$root"
}
trap cleanup EXIT
if [ ! -e "$cache/.complete" ]; then
	rm -rf "$cache"
	mkdir -p "$cache"
	debootstrap --variant=minbase "$release" "$cache" "$mirror" >"$cache.log" 2>&1 ||
		{ tail -n 20 "$cache.log" >&2; exit 1; }
	mkdir -p "$cache/sealgate-deps/contrib"
	cp "$src/contrib/deps" "$cache/sealgate-deps/contrib/"
	printf '#!/bin/sh\nexit 101\n' >"$cache/usr/sbin/policy-rc.d"
	chmod 755 "$cache/usr/sbin/policy-rc.d"
	chroot "$cache" /sealgate-deps/contrib/deps test >>"$cache.log" 2>&1 </dev/null ||
		{ tail -n 20 "$cache.log" >&2; exit 1; }
	touch "$cache/.complete"
fi
cp -a "$cache/." "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mkdir "$root/sealgate"
tar -C "$src" --exclude=./.git -cf - . | tar -C "$root/sealgate" -xf -
chroot "$root" /bin/sh -c 'cd /sealgate && contrib/deps test && openssl version &&
	autoreconf -i >/dev/null 2>&1 && mkdir /build && cd /build && /sealgate/configure -q --enable-werror &&
	make -s -j"$(nproc)" && make -s -k -j"$(nproc)" check-all' </dev/null >"$root/log" 2>&1 || status=$?
tail -n 400 "$root/log" | grep -E '^OpenSSL|error:|^# |^(PASS|FAIL|ERROR|SKIP)' || true
passed=$(find "$root/build" -name '*.trs' -exec grep -l '^:test-result: PASS' {} + 2>/dev/null | wc -l)
skipped=$(find "$root/build" -name '*.trs' -exec grep -l '^:test-result: SKIP' {} + 2>/dev/null | wc -l)
failed=$(find "$root/build" -name '*.trs' -exec grep -lE '^:test-result: (FAIL|ERROR)' {} + 2>/dev/null | wc -l)
if [ "${status:-0}" != 0 ] && [ "$failed" = 0 ]; then
	tail -n 40 "$root/log"
	failed=1
fi
find "$root/build" -name '*.trs' -exec grep -lE '^:test-result: (FAIL|ERROR)' {} + 2>/dev/null |
	while read -r trs; do echo "--- $trs"; tail -n 40 "${trs%.trs}.log"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
