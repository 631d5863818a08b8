#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The hop layout as contrib/sendmail/hop has it, with two real Sendmails: aliases are expanded in front, who sent is known behind the
# queue, opened mail that is sent on is encrypted anew or refused, and what can't be treated now waits.
. "$(dirname "$0")/world.sh"
for need in m4 smtp-sink; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
sendmail_unpack >/dev/null || skip "Sendmail's packages cannot be had"
WORLD_EDIT='/^services = (/,/^);/d; /^rights = (/,/^);/d'
# Sendmail here knows no logins: a right by network, and only the gate sees this network.
world "$(sed '/^stamp = /d; s|unix:/run/sealgate/|unix:run/|' "$SEALGATE_SRC/contrib/postfix/hop/sealgate.conf")
"'rights = ( { networks = "127.0.0.2"; from = "office@local.test"; key = "office@local.test"; } );'
run=$W/sealgate/run F=$W/front B=$W/back
sockets() {
	wait_for 10 test -S "$run/gate.sock" && wait_for 10 test -S "$run/hop.sock" || exit 1
}
sockets

mkdir -p "$F" "$B"
free_port 2 | { read -r a b; echo "$a" >"$F/port"; echo "$b" >"$F/reinject"; }
free_port 2 | { read -r a b; echo "$a" >"$B/port"; echo "$b" >"$B/reinject"; }
sink_port=$(free_port) sink=$W/sink
smtp_sink_up "$sink" "$sink_port" || exit 1

# contrib NAME FOLDER: the lines of contrib, for this world's sockets, ports and folders
contrib() {
	sed "s|/run/sealgate/|$run/|g; s|Port=10026|Port=$(cat "$B/port")|; s|Port=10027|Port=$(cat "$B/reinject")|
		s|@ example.org\.|@ local.test.|
		s|^\(.*A=TCP \$h\) 10026|\1 $(cat "$B/port")|
		s|/var/spool/mqueue-back|$2/queue|; s|/run/sendmail/back.pid|$2/sendmail.pid|; s|/var/lib/sendmail/back.st|$2/statistics|" \
		"$SEALGATE_SRC/contrib/sendmail/hop/$1" >"$2/contrib.mc"
}
contrib front.mc "$F"
contrib back.mc "$B"
cat >"$F/aliases" <<-E
	team: carol@partner.test, bob
	one: carol@partner.test
	E
# The front: its port 25, aliases and the domain; nothing of the test's own about milters and the way out.
cat >"$F/edit.sed" <<-E
	/INPUT_MAIL_FILTER/d
	/Name=REINJECT/d
	/SMART_HOST/d
	/promiscuous_relay/d
	/nocanonify/d
	s|^define(.ALIAS_FILE.*|define(\`ALIAS_FILE', \`$F/aliases')|
	/^MAILER/{
	i RELAY_DOMAIN(\`partner.test elsewhere.test')
	i LOCAL_DOMAIN(\`local.test')
	r $F/contrib.mc
	N
	}
	E
cat >"$B/edit.sed" <<-E
	/INPUT_MAIL_FILTER/d
	/DAEMON_OPTIONS/d
	/promiscuous_relay/d
	/no_default_msa/d
	/accept_un/d
	/nocanonify/d
	/ALIAS_FILE/d
	/^MAILER/{
	r $B/contrib.mc
	N
	}
	E
sendmail_up "$B" "$sink_port" unused || exit 1
sendmail_up "$F" "$sink_port" unused || exit 1
port=$(cat "$F/port")
letter office@local.test team@local.test offer "the price is 40,000" >"$W/office"
{ letter office@local.test carol@partner.test long "grüße"; head -c 3000 /dev/zero | tr '\0' x; echo; } >"$W/long"
sealed_for_alice sealed "only for alice" >"$W/sealed"

# office TO[,TO…] FILE: from where the gate lets the role sign
office() {
	office_to=$(echo "$1" | sed 's/,/ --to /g')
	# shellcheck disable=SC2086
	send "$port" office@local.test ${office_to%% *} "$2" --local 127.0.0.2 $(echo "$office_to" | sed 's/^[^ ]*//')
}
idle() {
	wait_for 20 sh -c 'ls "$1"/queue "$2"/queue | grep -q "^[qdt]f" && exit 1; exit 0' sh "$F" "$B"
}
# gather NAME WHO: everything that came, as $W/got/ADDRESS (a second one: ADDRESS.2)
gather() {
	idle || { echo "not idle" >>"$W/checks.log"; ls "$F/queue" "$B/queue" >>"$W/checks.log"; }
	rm -rf "$W/got" && mkdir "$W/got"
	for gather_file in "$sink"/*; do
		[ -f "$gather_file" ] || continue
		wait_for 5 is_complete "$gather_file"
		gather_name=$(sed -n 's/^X-Rcpt-Args: <\([^>]*\)>.*/\1/p' "$gather_file" | tr -d '\r' | paste -sd+)
		[ ! -e "$W/got/$gather_name" ] || gather_name=$gather_name.2
		mv "$gather_file" "$W/got/$gather_name"
	done
	same "$1: who got it" "$2" "$(cd "$W/got" && echo *)"
	for gather_file in "$W"/got/*; do
		check "$1: no stamp for ${gather_file##*/}" sh -c '! sed "/^\r*\$/q" "$1" | grep -qi "^X-Sealgate-Stamp"' sh "$gather_file"
	done
}

# --- an alias that leads outside and inside
check "alias: sent" office team@local.test "$W/office"
gather alias "bob@local.test carol@partner.test"
check "alias: encrypted for carol, signed with the role key" opens_for_carol "$W/got/carol@partner.test" "the price is 40,000" office@local.test
check "alias: bob's is signed" signed_by "$W/got/bob@local.test" "the price is 40,000" office@local.test

# --- who sent is known behind the queue, whatever the text is like, and nobody else gets a key
check "long lines, 8 bits: sent" office carol@partner.test "$W/long"
gather "long lines" carol@partner.test
check "long lines: encrypted and signed" opens_for_carol "$W/got/carol@partner.test" "xxxxxxxxxxxxxxxxxxxx" office@local.test
check "another network: sent" send "$port" office@local.test bob@local.test "$W/office"
gather "another network" bob@local.test
check "another network: not signed" not grep -qi pkcs7 "$W/got/bob@local.test"

# --- Bcc
check "Bcc: sent" office bob@local.test,carol@partner.test "$W/office"
gather Bcc "bob@local.test carol@partner.test"
check "Bcc: bob does not see carol" not grep -q carol "$W/got/bob@local.test"

# --- opened for whom it is, and not for whom an alias of theirs leads to
check "opened: sent" send "$port" carol@partner.test alice@local.test "$W/sealed"
gather opened alice@local.test
check "opened: readable" grep -q "only for alice" "$W/got/alice@local.test"
check "opened: verified" verified "$W/got/alice@local.test"
sed '/^X-[A-Z][a-z]*-[A-Z][a-z]*: \|^Return-Path:/d' "$W/got/alice@local.test" >"$W/redirected.all"
{ grep -A1 '^X-Sealgate-Opened' "$W/got/alice@local.test"; sed '/^X-Sealgate-Opened/,+1d' "$W/redirected.all"; } >"$W/redirected"
for who in eve@elsewhere.test carol@partner.test bob@local.test; do
	check "redirect to $who: sent" send "$port" carol@partner.test $who "$W/redirected"
done
gather redirect "bob@local.test carol@partner.test carol@partner.test.2"
check "redirect: bob's is readable" grep -q "only for alice" "$W/got/bob@local.test"
check "redirect: a report names eve" grep -q eve@elsewhere.test "$W/got/carol@partner.test" "$W/got/carol@partner.test.2"
check "redirect: one is encrypted anew" grep -q 'enveloped-data' "$W/got/carol@partner.test" "$W/got/carol@partner.test.2"
check "redirect: nothing is in the clear" not grep -q "only for alice" "$W/got/carol@partner.test" "$W/got/carol@partner.test.2"

# --- each part gone: the front's queue has it, and it leaves encrypted
has_mail() {
	ls "$F/queue" | grep -q '^qf'
}
back_again() {
	"$(sendmail_binary "$sendmail_root")" -C "$F/test.cf" -q >>"$W/checks.log" 2>&1
	gather "$1: back again" carol@partner.test
	check "$1: encrypted" opens_for_carol "$W/got/carol@partner.test" "the price is 40,000" office@local.test
}
process_down "$W/run" vault
check "vault stopped: taken" office one@local.test "$W/office"
sleep 0.5
check "vault stopped: it waits" wait_for 5 has_mail
check "vault stopped: nothing leaves" not has_file "$sink"
vault_up
back_again vault
process_down "$W/run" milter
reply=$(office one@local.test "$W/office")
same "milters stopped: nothing gets past the gate ($reply)" 75 $?
milter_up
sockets
check "milters: back again" office one@local.test "$W/office"
gather milters carol@partner.test

# --- with a port for copies sealgate sees all recipients at once, and each still gets their own
echo "port = { address = \"inet:$(cat "$B/reinject")@127.0.0.1\"; };" >>"$conf"
process_down "$W/run" milter
milter_up
sockets
sendmail_down "$F"
many=$(sed -n 's/^dnl .*less work: F=\([A-Za-z0-9]*\) then\./\1/p' "$SEALGATE_SRC/contrib/sendmail/hop/front.mc")
sed -i "s/F=[A-Za-z0-9]*, S=/F=$many, S=/" "$F/contrib.mc"
sendmail_up "$F" "$sink_port" unused || exit 1
check "by copies: sent" office bob@local.test,carol@partner.test,dave@elsewhere.test "$W/office"
gather "by copies" "bob@local.test+dave@elsewhere.test carol@partner.test"
check "by copies: bob's and dave's is signed" signed_by "$W/got/bob@local.test+dave@elsewhere.test" "the price is 40,000" office@local.test
check "by copies: carol's is encrypted" opens_for_carol "$W/got/carol@partner.test" "the price is 40,000" office@local.test

check "the ledger verifies" gate audit verify
finish
