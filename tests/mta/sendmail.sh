#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# sealgate behind a real Sendmail, unpacked from Debian's packages: over TCP and over a unix socket.
. "$(dirname "$0")/world.sh"
for need in m4 smtp-sink; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
sendmail_unpack >/dev/null || skip "Sendmail's packages cannot be had"
tcp=$(free_port)
# A second service on TCP, where only this machine may connect. Sendmail here knows no logins: a right by network has a role key.
WORLD_EDIT="s|^services = (|services = ( { name = \"tcp\"; role = \"all\"; socket = \"inet:$tcp@127.0.0.1\"; allow = [\"127.0.0.1\"]; },|; /^rights = (/,/^);/d"
world 'rights = ( { networks = "127.0.0.1"; from = "office@local.test"; key = "office@local.test"; } );'
S=$W/sendmail
sink_port=$(free_port)
smtp_sink_up "$W/sink" "$sink_port" || exit 1
sealed_for_alice "sealed" "only for alice" >"$W/sealed"
letter office@local.test carol@partner.test offer "from the office" >"$W/office"
letter office@local.test dave@elsewhere.test "[confidential] offer" "from the office" >"$W/confidential"
letter mailer-daemon@elsewhere.test alice@local.test report "it did not arrive" >"$W/report"

for way in "inet:$tcp@127.0.0.1" "unix:$W/sealgate/run/milter.sock"; do
	name=${way%%:*}
	sendmail_up "$S" "$sink_port" "$way" || exit 1
	port=$(cat "$S/port")
	check "$name: the office to carol" send "$port" office@local.test carol@partner.test "$W/office"
	take "$W/sink" "$W/got"
	check "$name: encrypted, signed with the role key" opens_for_carol "$W/got" "from the office" office@local.test
	check "$name: carol to alice" send "$port" carol@partner.test alice@local.test "$W/sealed"
	take "$W/sink" "$W/got"
	check "$name: opened" grep -q "only for alice" "$W/got"
	check "$name: verified" verified "$W/got"
	check "$name: the null sender, after one with an address" send "$port" '' alice@local.test "$W/report"
	take "$W/sink" "$W/got"
	check "$name: the report" grep -q "it did not arrive" "$W/got"
	reply=$(send "$port" office@local.test dave@elsewhere.test "$W/confidential")
	same "$name: must be encrypted, and cannot be" 65 $?
	check "$name: the reply says why" sh -c 'echo "$1" | grep -q "^550 5.7.1 .*certificate"' sh "$reply"
	process_down "$W/run" milter
	reply=$(send "$port" office@local.test carol@partner.test "$W/office")
	same "$name: without the milter ($reply)" 75 $?
	check "$name: nothing leaves" not has_file "$W/sink"
	milter_up
	check "$name: back again" send "$port" office@local.test carol@partner.test "$W/office"
	take "$W/sink" "$W/got"
	check "$name: encrypted" opens_for_carol "$W/got" "from the office" office@local.test
	sendmail_down "$S"
	rm -rf "$S"
done
check "the ledger verifies" gate audit verify
finish
