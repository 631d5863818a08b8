#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A directory that takes 2 s: 20 sessions at once do not wait for each other, and others do not wait for them.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
port=$(free_port)
start ldap "$builddir/slowldap" "$port" 2000
world
printf 'directories = ( { name = "slow"; uri = "ldap://127.0.0.1:%s"; base = "dc=example"; timeout = "5s"; domains = [ "slow.example" ]; } );\n' \
	"$port" >>"$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reloaded "$work/milter.log" || fail "no reload"
printf 'From: Alice <alice@%s>\nTo: x@slow.example\nSubject: hello\n\ntext\n' "$org" >"$work/m.eml"

drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<r%d@slow.example>" -n 20 -m 1 "$work/m.eml" \
	>"$work/slow" &
slow=$!
sleep 0.2
drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<bob@$org>" -n 4 -m 50 "$work/m.eml" >"$work/quick"
wait $slow
want "20 slow: accepted" "$(field ok <"$work/slow")" 20
at_most "20 slow sessions: seconds (4 when one waits for another)" "$(field seconds <"$work/slow")" 3.9
want "20 slow: the others" "$(field ok <"$work/quick")" 200
at_most "20 slow: the others (p50)" "$(field p50_ms <"$work/quick")" 900
echo "note: 20 sessions of 2 s took $(field seconds <"$work/slow") s, others meanwhile $(field p50_ms <"$work/quick") ms each"
finish
