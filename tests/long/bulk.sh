#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Ten thousand key files with a table of their PINs in one go: memory does not grow with the number of files. And some of
# them interrupted, killed and run again, as an archive, and held, with their PINs afterwards. What is in is in once.
#
#   tests/long/bulk.sh [N [SOME]]
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

n=${1:-10000}
some=${2:-500}
sealgate=$builddir/sealgate
vault=$builddir/sealgate-vault
d=$work/gate
conf=$d/sealgate.conf
cd "$work" || exit 1
"$builddir/keymaker" many "$n" || fail keymaker
head -n "$some" table.tsv >some.tsv
chmod 600 some.tsv
# gateway NAME: a new one, its vault runs
gateway() {
	d=$work/$1
	rm -f report
	conf=$d/sealgate.conf
	"$sealgate" init --dir "$d" --domain example.org >/dev/null || fail init
	start "$1" "$vault" -c "$conf" -f
	vault_pid=$pid
	wait_for 10 grep -q vault-ready "$work/$1.log" || fail "no vault-ready"
}
peak() {
	sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}
begin() { # TABLE
	"$sealgate" -c "$conf" key import --tsv "$1" --report report many >out.log 2>err.log &
	runner=$!
	pids="$pids $runner"
}
lines() {
	[ "$(wc -l <report 2>/dev/null)" -ge "$1" ]
}
keys() {
	"$sealgate" -c "$conf" key list | grep -c 'user[0-9]*@example.org'
}

# --- all of them
gateway gate
begun=$(date +%s)
begin table.tsv
wait_for 300 lines $((n / 4)) || fail "a quarter"
early=$(peak $runner)
wait_for 300 lines $((n / 4 * 3)) || fail "three quarters"
late=$(peak $runner)
wait $runner
want "all" $? 0
echo "$n files in $(($(date +%s) - begun)) s; peak of the tool $early kB after a quarter, $late kB after three; of the vault $(peak $vault_pid) kB"
[ -n "$early" ] && [ -n "$late" ] || fail "peak memory"
at_most "memory of the tool, kB" "$late" $((early + 8192))
want "in the report" "$(grep -c ^imported report)" "$n"
want "keys" "$(keys)" "$n"
match "the ledger" "$("$sealgate" -c "$conf" audit verify)" 'The ledger is whole'
stop "$vault_pid"

# --- interrupted, killed, run again
gateway again
begin some.tsv
wait_for 60 lines $((some / 4)) || fail "a quarter"
kill -INT $runner
wait $runner
want "interrupted" $? 75
begin some.tsv
wait_for 60 lines $((some / 2)) || fail "a half"
kill -9 $runner
wait $runner 2>/dev/null
begin some.tsv
wait $runner
want "the rest" $? 0
[ "$(grep -c ^known report)" -ge $((some / 4)) ] || fail "what was in before is not known"
want "in the report" "$(grep -cE '^(imported|known)' report)" "$some"
want "keys" "$(keys)" "$some"
# as an archive: all is known
cut -f 2 some.tsv | (cd many && zip -q0 ../some.zip -@)
"$sealgate" -c "$conf" key import --tsv some.tsv --report report some.zip 2>err.log || fail "the archive"
want "known" "$(grep -c ^known report)" "$some"
stop "$vault_pid"

# --- in two parts
gateway held
"$sealgate" -c "$conf" key import --hold --tsv some.tsv --report report many 2>err.log || fail "hold"
want "held" "$("$sealgate" -c "$conf" key held | wc -l)" "$some"
"$sealgate" -c "$conf" key pin --tsv some.tsv --report report 2>err.log || fail "pin"
want "imported" "$(grep -c ^imported report)" "$some"
want "none waits" "$("$sealgate" -c "$conf" key held | wc -l)" 0
match "the ledger" "$("$sealgate" -c "$conf" audit verify)" 'The ledger is whole'
finish
