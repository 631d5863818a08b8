#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What contrib/systemd relies on: READY=1 comes from the main process, once, when the sockets answer and not before; reloads and stops
# are told; the master key comes from $CREDENTIALS_DIRECTORY. And the units: sound as systemd sees them, and as strict as they say.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
units=$srcdir/contrib/systemd

# --- a listener as systemd is one
cat >"$work/listen.pl" <<'END'
use strict;
use warnings;
use Socket;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!\n";
bind($s, pack_sockaddr_un($ARGV[0])) or die "$ARGV[0]: $!\n";
my $file = $ARGV[1];
while (defined recv($s, my $text, 4096, 0)) {
	open my $out, '>>', $file or die;
	# What answers at this moment.
	my @there = map { there($_) } @ARGV[2 .. $#ARGV];
	print $out "$text there=@there\n";
	close $out;
}
sub there {
	socket(my $c, AF_UNIX, SOCK_STREAM, 0);
	return connect($c, pack_sockaddr_un($_[0])) ? 1 : 0;
}
END
# listen NAME SOCKET…: messages to $work/NAME.told, with who answers then
listen() {
	local name=$1
	shift
	rm -f "$work/notify" "$work/$name.told"
	start listen perl "$work/listen.pl" "$work/notify" "$work/$name.told" "$@"
	listener=$pid
	wait_for 5 test -S "$work/notify" || fail "no listener"
}
told() {
	[ "$(wc -l <"$work/$1.told" 2>/dev/null)" = "$2" ]
}
export NOTIFY_SOCKET=$work/notify

made_gate alice
run=$dir/run

# --- the vault, with the master key as a credential
listen vault "$run/vault.sock" "$run/admin.sock"
mkdir -m 700 "$work/credentials"
mv "$dir/vault/master.key" "$work/credentials/master-key"
sed -i 's|master_key = "[^"]*"|master_key = "credential:master-key"|' "$conf"
"$builddir/sealgate-vault" -c "$conf" -f >"$work/no-credential.log" 2>&1
want "no credential: refused" $? 78
export CREDENTIALS_DIRECTORY=$work/credentials
vault_up
wait_for 5 told vault 1
want "the vault is ready" "$(cat "$work/vault.told")" "READY=1 there=1 1"
gate key list >/dev/null || fail "the vault with a credential does not answer"
kill -USR1 "$vault"
wait_for 5 told vault 3
want "the vault reloads" "$(sed -n '2,3s/ there.*//p' "$work/vault.told" | paste -sd+)" "RELOADING=1+READY=1"
stop "$vault"
wait_for 5 told vault 4
want "the vault stops" "$(sed -n '4s/ there.*//p' "$work/vault.told")" "STOPPING=1"
stop "$listener"

# One that can't start says nothing.
vault_up
listen second
"$builddir/sealgate-vault" -c "$conf" -f >"$work/second.log" 2>&1
[ $? = 0 ] && fail "a second vault starts"
[ ! -s "$work/second.told" ] || fail "a second vault was ready: $(cat "$work/second.told")"
stop "$listener"

# --- the milter: one service, and two in processes of their own
listen one "$run/milter.sock"
milter_up
wait_for 5 told one 1
want "one service is ready" "$(cat "$work/one.told")" "READY=1 there=1"
stop "$milter"
stop "$listener"
sed -i 's|^services = (|services = ( { name = "mx"; role = "open"; socket = "unix:run/mx.sock"; },|' "$conf"
listen two "$run/milter.sock" "$run/mx.sock"
milter_up
wait_for 5 told two 1
want "both services are ready, told once" "$(cat "$work/two.told")" "READY=1 there=1 1"
stop "$milter"
stop "$listener"

# --- the fetcher
if [ -x "$builddir/sealgate-fetcher" ]; then
	listen fetcher "$run/fetch.sock"
	start fetcher "$builddir/sealgate-fetcher" -c "$conf" -f
	fetcher=$pid
	wait_for 10 told fetcher 1
	match "the fetcher is ready" "$(cat "$work/fetcher.told")" "^READY=1"
	[ -S "$run/fetch.sock" ] || fail "the fetcher's socket is not there when it is ready"
	kill -USR1 "$fetcher"
	wait_for 5 told fetcher 3
	want "the fetcher reloads" "$(sed -n '2,3s/ there.*//p' "$work/fetcher.told" | paste -sd+)" "RELOADING=1+READY=1"
	stop "$fetcher"
	wait_for 5 told fetcher 4
	want "the fetcher stops" "$(sed -n '4s/ there.*//p' "$work/fetcher.told")" "STOPPING=1"
	stop "$listener"
fi
unset NOTIFY_SOCKET

# --- the units: their commands are ones that the programs know
# words UNIT: the words of its ExecStart=
words() {
	sed -n 's/^ExecStart=//p' "$1" | sed "s|/usr/s*bin/|$builddir/|; s|/etc/sealgate/sealgate.conf|$conf|; s|/var/lib/sealgate-anchors|$work|"
}
for unit in "$units"/*.service; do
	name=${unit##*/}
	command=$(words "$unit")
	[ -x "${command%% *}" ] || fail "$name: no program ${command%% *}"
	case "$command" in
	*-vault\ * | *-milter\ * | *-fetcher\ *) # begun above
		match "$name" "$command" "^[^ ]* -c $conf -f\$"
		grep -qx 'Type=notify' "$unit" || fail "$name: not Type=notify"
		for line in NoNewPrivileges=yes ProtectSystem=strict ProtectHome=yes PrivateTmp=yes PrivateDevices=yes MemoryDenyWriteExecute=yes \
			RestrictNamespaces=yes LimitCORE=0 UMask=0077; do
			grep -qx "$line" "$unit" || fail "$name: no $line"
		done
		! grep -q '^NotifyAccess=' "$unit" || fail "$name: more than the main process may speak for it"
		;;
	*)
		$command >"$work/unit.log" 2>&1
		status=$?
		[ $status != 64 ] && [ $status -lt 79 ] || fail "$name: $command: status $status: $(tail -n 2 "$work/unit.log")"
		[ "${name%%.*}" = sealgate-anchor ] || [ -f "${unit%.service}.timer" ] || fail "$name: no timer"
		;;
	esac
done
vault_unit=$units/sealgate-vault.service
grep -qx 'PrivateNetwork=yes' "$vault_unit" && grep -qx 'RestrictAddressFamilies=AF_UNIX' "$vault_unit" || fail "the vault's unit has a network"
for name in milter fetcher; do
	hidden=$(sed -n 's/^InaccessiblePaths=//p' "$units/sealgate-$name.service" | tr '\n' ' ')
	for path in /var/lib/sealgate/vault.db /var/lib/sealgate/vault /var/lib/sealgate/master.key /etc/sealgate/master.key \
		/etc/sealgate/master-key.cred /var/lib/sealgate/ledger /run/sealgate/admin.sock; do
		case " $hidden" in
		*" -$path "*) ;;
		*) fail "sealgate-$name.service: $path is to be seen" ;;
		esac
	done
done

# As systemd sees them, where it is.
if command -v systemd-analyze >/dev/null; then
	mkdir "$work/units"
	for unit in "$units"/*; do
		sed 's|^\(ExecStart=\)/usr/s*bin/sealgate[a-z-]*|\1/bin/true|' "$unit" >"$work/units/${unit##*/}"
	done
	(cd "$work/units" && systemd-analyze --man=no verify ./*.service ./*.timer) >"$work/verify" 2>&1
	status=$?
	grep -q 'Failed to initialize manager' "$work/verify" || { want "systemd-analyze verify" $status 0; want "and says" "$(head -n 3 "$work/verify")" ""; }
fi
stop "$vault"
finish
