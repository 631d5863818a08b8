#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# contrib/systemd/install: units with the paths of an installation, none left of a package's, and refusals that say why.
src=${SEALGATE_SRC:-$(dirname "$0")/..}
work=$(mktemp -d) || exit 70
trap 'rm -rf "$work"' EXIT
bad=0

wrong() {
	echo "$*"
	bad=1
}

mkdir -p "$work/home" "$work/usr/sbin"
install="$src/contrib/systemd/install"
"$install" home "$work/usr" >/dev/null 2>&1
[ $? = 64 ] || wrong "a folder without its whole path"
"$install" "$work/home" "$work/usr" >/dev/null 2>"$work/said"
[ $? = 66 ] && grep -q 'home/sealgate.conf' "$work/said" || wrong "no configuration"
touch "$work/home/sealgate.conf"
"$install" "$work/home" "$work/usr" >/dev/null 2>"$work/said"
[ $? = 66 ] && grep -q 'sbin/sealgate-vault' "$work/said" || wrong "no programs"
touch "$work/usr/sbin/sealgate-vault"
chmod 755 "$work/usr/sbin/sealgate-vault"
DESTDIR=$work/root "$install" "$work/home/" "$work/usr" >"$work/said" || wrong "it fails"
grep -q 'systemctl enable --now sealgate-vault sealgate-milter sealgate-fetcher' "$work/said" || wrong "it does not say what to do next"

units=$work/root/etc/systemd/system
[ "$(ls "$units" | wc -l)" = "$(ls "$src"/contrib/systemd/*.service "$src"/contrib/systemd/*.timer | wc -l)" ] || wrong "not all units"
grep -n "^ExecStart=$work/usr/sbin/sealgate-vault -c $work/home/sealgate.conf -f\$" "$units/sealgate-vault.service" >/dev/null ||
	wrong "ExecStart of the vault"
grep -n "^ReadWritePaths=$work/home $work/home/run\$" "$units/sealgate-milter.service" >/dev/null || wrong "folders of the milter"
grep -nE '(^|[= -])/(usr/s?bin/sealgate|etc/sealgate|var/lib/sealgate|run/sealgate)([/ ]|$)' "$units"/* && wrong "paths of a package"
exit $bad
