#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# "sealgate audit reconcile" against what a real Sendmail said to syslog(3), with old and with new times.
. "$(dirname "$0")/world.sh"
for need in m4 smtp-sink unshare; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
sendmail_unpack >/dev/null || skip "Sendmail's packages cannot be had"
WORLD_EDIT='/^rights = (/,/^);/d'
world 'rights = ( { networks = "127.0.0.1"; from = "office@local.test"; key = "office@local.test"; } );'
S=$W/sendmail
mkdir -p "$S"
free_port >"$S/port"
free_port >"$S/reinject"
# What contrib/sendmail says of logs.
grep '^define(`confMILTER_LOG_LEVEL' "$SEALGATE_SRC/contrib/sendmail/sealgate.mc" >"$S/more.mc"
echo "port = { address = \"inet:$(cat "$S/reinject")@127.0.0.1\"; };" >>"$conf"
process_down "$W/run" milter
milter_up
sink_port=$(free_port)
smtp_sink_up "$W/sink" "$sink_port" || exit 1
sealed_for_alice sealed "only for alice" >"$W/sealed"
letter office@local.test carol@partner.test offer "from the office" >"$W/office"
letter office@local.test bob@local.test lunch "at noon" >"$W/lunch"
letter office@local.test dave@elsewhere.test "[confidential] offer" "from the office" >"$W/confidential"

reconcile() {
	gate audit reconcile "$@" >"$W/out" 2>>"$W/checks.log"
}
number() {
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$W/json"
}
json() {
	gate audit reconcile --json "$@" >"$W/json" 2>>"$W/checks.log"
}

for times in "" --rfc3339; do
	name=${times:-old times}
	sendmail_logs "$S" "$times" || skip "no log of its own for Sendmail"
	sendmail_up "$S" "$sink_port" "unix:$W/sealgate/run/milter.sock" || exit 1
	port=$(cat "$S/port")
	check "$name: the office to carol" send "$port" office@local.test carol@partner.test "$W/office"
	check "$name: the office to both, by copies" send "$port" office@local.test carol@partner.test "$W/lunch" --to bob@local.test
	check "$name: carol to alice" send "$port" carol@partner.test alice@local.test "$W/sealed"
	send "$port" office@local.test dave@elsewhere.test "$W/confidential" >>"$W/checks.log"
	for got in 1 2 3 4; do
		check "$name: message $got" take "$W/sink" "$W/got"
	done
	sleep 0.6 # outcomes and decisions are written a moment later
	sendmail_down "$S"
	process_down "$S" syslog
	mv "$S/maillog" "$W/maillog$times"
done
check "what was changed is not in Sendmail's log" not grep -q 'Milter.*header' "$W/maillog" "$W/maillog--rfc3339"
cat "$W/maillog" "$W/maillog--rfc3339" "$W/run/milter.log" >"$W/log"
check "all of it agrees" reconcile --log "$W/log"
check "and says so" grep -q '^OK: ' "$W/out"
json --log "$W/log"
same "every use is known" 6 "$(number matched)"
check "in files of their own" reconcile --log "$W/maillog" --log "$W/maillog--rfc3339" --log "$W/run/milter.log"
json --log "$W/maillog--rfc3339" --log "$W/run/milter.log"
same "new times alone" 3 "$(number matched)"

# --- a message that Sendmail did not have: one in hand, one whose copies went out and that was discarded
for kind in "nrcpts=1.*proto=ESMTP, daemon=MTA" "nrcpts=2"; do
	qid=$(sed -n "s/.*: \([^ ]*\): from=<office@.*$kind.*/\1/p" "$W/maillog--rfc3339" | head -n 1)
	check "a queue id" [ -n "$qid" ]
	grep -v "$qid" "$W/maillog--rfc3339" >"$W/doctored"
	reconcile --log "$W/maillog" --log "$W/doctored" --log "$W/run/milter.log"
	same "$kind: a message that Sendmail did not see" 65 $?
	check "$kind: is named" grep -q "did not see: queue id $qid" "$W/out"
done
finish
