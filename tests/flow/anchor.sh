#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Anchors: printed, appended, to the system's log; and what comes back from there.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

sealgate=$builddir/sealgate
vault=$builddir/sealgate-vault
d=$work/gate
conf=$d/sealgate.conf
tool() {
	"$sealgate" -c "$conf" "$@" 2>>"$work/tool.log"
}
status() {
	"$@" >/dev/null 2>>"$work/tool.log"
	echo $?
}

made gate "$d" example.org || fail "init"
start vault "$vault" -c "$conf" -f
wait_for 10 grep -q vault-ready "$work/vault.log" || fail "no vault-ready"

# --- a file that grows by a line each time
for i in 1 2 3; do
	tool key new "p$i@example.org" --type p256 >/dev/null || fail "key new"
	tool audit anchor --append "$work/anchors" >"$work/printed" || fail "append"
	[ ! -s "$work/printed" ] || fail "printed although appended"
done
want "three lines" "$(wc -l <"$work/anchors")" 3
want "three records" "$(cut -d' ' -f3 "$work/anchors" | sort -u | wc -l)" 3
tool audit anchor --append "$work/anchors" || fail "append"
want "the same line when nothing is new" "$(sort -u "$work/anchors" | wc -l)" 3
out=$(tool audit verify --json --anchor "$work/anchors") || fail "verify: $out"
want "anchors" "$(printf '%s\n' "$out" | field anchors)" 3
want "append to nowhere" "$(status tool audit anchor --append "$work/no/such")" 75
want "every checkpoint" "$(tool audit anchor --all | wc -l)" "$(tool audit verify --json | field checkpoints)"
tool audit anchor --all >"$work/all" || fail "--all"
want "all of them" "$(status tool audit verify --anchor "$work/all")" 0

# --- a syslog's lines, among others
awk '{ print "Nov 22 04:1" NR ":17 vault1 sealgate[4711]: " $0 }' "$work/anchors" >"$work/auth.log"
sed -i '2i Nov 22 04:11:20 vault1 sshd[812]: Accepted publickey for root' "$work/auth.log"
want "syslog" "$(status tool audit verify --anchor "$work/auth.log")" 0
sed 's/$/\r/' "$work/auth.log" >"$work/dos.log"
want "with CR" "$(status tool audit verify --anchor "$work/dos.log")" 0
grep sshd "$work/auth.log" >"$work/none.log"
want "a log without anchors" "$(status tool audit verify --anchor "$work/none.log")" 66
sed '1s/.\{9\}$//' "$work/auth.log" >"$work/short.log"
want "a line that was cut" "$(status tool audit verify --anchor "$work/short.log")" 66
want "no file" "$(status tool audit verify --anchor "$work/nothing")" 66

# --- and the log itself, in a /dev of our own, where we may have one
command -v perl >/dev/null || fail "perl is missing: contrib/deps test"
own_dev=
mkdir "$work/dev"
for how in -rm -m; do
	if unshare $how sh -c ': >"$0/null"; mount --bind /dev/null "$0/null" && mount --rbind "$0" /dev' "$work/dev" 2>/dev/null; then
		own_dev=$how
		break
	fi
done
# Does somebody listen at /dev/log? A socket alone may be left from one who did.
takes_log() {
	perl -MIO::Socket::UNIX -e 'exit !IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => "/dev/log")'
}
if [ -n "$own_dev" ]; then
	unshare $own_dev sh -c '
		for f in null zero urandom random; do : >"$1/dev/$f"; mount --bind "/dev/$f" "$1/dev/$f" || exit 9; done
		mount --rbind "$1/dev" /dev || exit 9
		perl -MIO::Socket::UNIX -e "\$s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => \"/dev/log\") or die;
			open F, q(>), \"$1/ready\"; close F; \$SIG{ALRM} = sub { exit 1 }; alarm 20;
			\$s->recv(\$m, 8192); print \$m" >"$1/datagram" &
		while [ ! -e "$1/ready" ]; do sleep 0.02; done
		"$2" audit anchor --dir "$1/gate/ledger" --syslog || exit 8
		wait' sh "$work" "$sealgate" >"$work/printed" 2>>"$work/tool.log"
	want "in a /dev of our own" $? 0
	match "facility auth, level notice" "$(cat "$work/datagram")" '^<37>.* sealgate\[[0-9]+\]: sealgate-anchor:1 '
	tr -d '\000' <"$work/datagram" >"$work/got"
	echo >>"$work/got"
	want "what was logged" "$(status tool audit verify --anchor "$work/got")" 0
	want "printed too" "$(cat "$work/printed")" "$(sed 's/.*: sealgate-anchor/sealgate-anchor/' "$work/got")"
else
	echo "note: no namespace of our own for mounts here: what reaches /dev/log is not looked at"
	if takes_log; then
		tool audit anchor --syslog >"$work/printed" || fail "anchor --syslog"
		want "printed too" "$(status tool audit verify --anchor "$work/printed")" 0
	fi
fi

takes_log || want "nobody who takes it" "$(status tool audit anchor --syslog)" 75

# --- without the vault: the last one
stop "$pid"
tool audit anchor >"$work/last" || fail "anchor by the tool itself"
want "--dir" "$("$sealgate" audit anchor --dir "$d/ledger")" "$(cat "$work/last")"
match "as JSON" "$(tool audit anchor --all --json)" '^\{"v":1,"anchors":\["sealgate'
want "no ledger" "$(status "$sealgate" audit anchor --dir "$work")" 65

# --- two anchors that cannot both be true
cp -r "$d" "$work/fork"
sed "s|$d|$work/fork|g" "$conf" >"$work/fork/sealgate.conf"
tool key new left@example.org --type p256 >/dev/null || fail "key new"
"$sealgate" -c "$work/fork/sealgate.conf" key new right@example.org --type p256 >/dev/null || fail "key new in the copy"
tool audit anchor >"$work/left" 2>&1
"$sealgate" -c "$work/fork/sealgate.conf" audit anchor >"$work/right"
want "its own" "$(status tool audit verify --anchor "$work/left")" 0
out=$(tool audit verify --anchor "$work/right")
want "the copy's" $? 65
match "a second history" "$out" "signed with this ledger's own key"
cat "$work/left" "$work/right" >"$work/both"
out=$(tool audit verify --anchor "$work/both")
want "both" $? 65
match "both" "$out" 'cannot both be true'
finish
