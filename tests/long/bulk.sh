#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Ten thousand key files with a table of their PINs, as a folder and as an archive: interrupted, killed and run again; then
# held, with their PINs afterwards. What is in is in once, and memory does not grow with the number of files.
#
#   tests/long/bulk.sh [N]
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

n=${1:-10000}
sealgate=$builddir/sealgate
vault=$builddir/sealgate-vault
d=$work/gate
conf=$d/sealgate.conf
cd "$work" || exit 1
"$builddir/keymaker" many "$n" || fail keymaker
"$sealgate" init --dir "$d" --domain example.org >/dev/null || fail init
start vault "$vault" -c "$conf" -f
vault_pid=$pid
wait_for 10 grep -q vault-ready "$work/vault.log" || fail "no vault-ready"
peak() {
	sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}
begin() {
	"$sealgate" -c "$conf" key import --tsv table.tsv --report report "$@" many >out.log 2>err.log &
	runner=$!
	pids="$pids $runner"
}
lines() {
	[ "$(wc -l <report 2>/dev/null)" -ge "$1" ]
}
begun=$(date +%s)
begin
wait_for 300 lines $((n / 4)) || fail "a quarter"
early=$(peak $runner)
kill -INT $runner
wait $runner
want "interrupted" $? 75
begin
wait_for 300 lines $((n / 2)) || fail "a half"
late=$(peak $runner)
kill -9 $runner
wait $runner 2>/dev/null
begin
wait $runner
want "the rest" $? 0
echo "$n files in $(($(date +%s) - begun)) s; peak of the tool $early kB after a quarter, $late kB after a half; of the vault $(peak $vault_pid) kB"
[ -n "$early" ] && [ -n "$late" ] || fail "peak memory"
at_most "memory of the tool, kB" "$late" $((early + 8192))
want "known" "$(grep -c ^known report)" "$(grep -c . report | awk -v i="$(grep -c ^imported report)" '{ print $1 - i }')"
want "in the report" "$(grep -cE '^(imported|known)' report)" "$n"
want "keys" "$("$sealgate" -c "$conf" key list | grep -c 'user[0-9]*@example.org')" "$n"

# --- as an archive: all is known
(cd many && zip -q0r ../many.zip .)
"$sealgate" -c "$conf" key import --tsv table.tsv --report report many.zip 2>err.log || fail "the archive"
want "known" "$(grep -c ^known report)" "$n"

# --- in two parts, a tenth of them, on another gateway
kill "$vault_pid"
wait "$vault_pid" 2>/dev/null
d=$work/other
conf=$d/sealgate.conf
"$sealgate" init --dir "$d" --domain example.org >/dev/null || fail init
start vault "$vault" -c "$conf" -f
wait_for 10 "$sealgate" -c "$conf" key list || fail "the other vault"
head -n $((n / 10)) table.tsv >tenth.tsv
chmod 600 tenth.tsv
"$sealgate" -c "$conf" key import --hold --tsv tenth.tsv --report report many 2>err.log || fail "hold"
want "held" "$("$sealgate" -c "$conf" key held | wc -l)" $((n / 10))
"$sealgate" -c "$conf" key pin --tsv tenth.tsv --report report 2>err.log || fail "pin"
want "imported" "$(grep -c ^imported report)" $((n / 10))
want "none waits" "$("$sealgate" -c "$conf" key held | wc -l)" 0
match "the ledger" "$("$sealgate" -c "$conf" audit verify)" 'The ledger is whole'
finish
