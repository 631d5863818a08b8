#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# One slow answer stalls nobody: a directory that takes two seconds for everything, twenty sessions that need it, each for
# another address, and others meanwhile that do not.
. "$(dirname "$0")/world.sh"
driver=$SEALGATE_BUILD/mtadriver
[ -x "$driver" ] || skip "mtadriver is not built"
WORLD_TIMEOUT=5s
WORLD_SLAPD='overlay retcode
retcode-parent "ou=none,dc=partner,dc=test"
retcode-sleep 2'
export SLAPD_GLOBAL='moduleload retcode
threads 64'
world
socket=unix:$W/sealgate/run/milter.sock
letter alice@local.test carol@partner.test hello "the text" >"$W/letter"
letter x@elsewhere.test y@elsewhere.test hello "the text" >"$W/other"

now() {
	date +%s%3N
}

# session N: a message that waits for the directory
session() {
	"$driver" -q -S "$socket" -u alice@local.test -f '<alice@local.test>' -r "<user$1@partner.test>" "$W/letter" &&
		now >"$W/done.$1"
}

for round in 1 2; do
	rm -f "$W"/done.*
	begin=$(now)
	pids=
	for i in $(seq 20); do
		session "$round$i" >>"$W/checks.log" 2>&1 &
		pids="$pids $!"
	done
	# Meanwhile, for a second and a half, mail that asks nobody.
	others=0 slowest=0
	while [ $(($(now) - begin)) -lt 1500 ]; do
		start=$(now)
		"$driver" -q -S "$socket" -f '<x@elsewhere.test>' -r '<y@elsewhere.test>' "$W/other" >>"$W/checks.log" 2>&1 || bad=1
		took=$(($(now) - start))
		[ $took -le $slowest ] || slowest=$took
		others=$((others + 1))
	done
	for pid in $pids; do
		wait "$pid"
	done
	last=$(cat "$W"/done.* | sort -n | tail -n 1)
	first=$(cat "$W"/done.* | sort -n | head -n 1)
	same "round $round: all twenty are through" 20 "$(cat "$W"/done.* | wc -l)"
	echo "note: round $round: twenty slow sessions done after $((first - begin)) to $((last - begin)) ms; $others others meanwhile, the slowest in $slowest ms"
	check "round $round: the directory is slow" [ $((first - begin)) -ge 2000 ]
	check "round $round: they do not stand in a row" [ $((last - begin)) -lt 4000 ]
	check "round $round: the others feel nothing" [ $slowest -lt 2000 ]
	check "round $round: there were others" [ $others -ge 1 ]
done
finish
