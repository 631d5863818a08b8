#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Mail that a real Postfix gets from sendmail(1), in the direct layout with non_smtpd_milters as in contrib/postfix: who is
# signed for, what a redirect of opened mail (as Sieve does it) may do, and that nothing is lost or stuck. tests/mta/hop.sh has
# the hop layout.
. "$(dirname "$0")/world.sh"
for need in postfix smtp-sink saslpasswd2; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
WORLD_EDIT='/^rights = (/,/^);/d; s/^milter = {/&\n\tmax_recipients = 20;/'
world 'rights = (
  { identity = "*"; from = "%l"; key = "own"; },
  { networks = "127.0.0.1"; from = "office@local.test"; key = "office@local.test"; }
);'
P=$W/postfix
mkdir -p "$P"
for name in alice bob office; do echo "$name@local.test $name@local.test/"; done >"$P/mailboxes"
postfix_ports "$P" || exit 1
printf 'port = { address = "inet:%s@127.0.0.1"; user = "gate@localhost"; password_file = "%s"; };\n' \
	"$(cat "$P/reinject")" "$P/port.password" >>"$conf"
process_down "$W/run" milter
milter_up || exit 1

# contrib TEXT: what contrib/postfix says
contrib() {
	sed -n "s/^$1 = //p" "$SEALGATE_SRC/contrib/postfix/main.cf"
}
same "contrib/postfix has the milter for sendmail(1)" "\$smtpd_milters" "$(contrib non_smtpd_milters)"
socket=unix:$W/sealgate/run/milter.sock
postfix_up "$P" "mx_milters=$socket" "smtpd_milters=$socket" "non_smtpd_milters=$(contrib non_smtpd_milters)" \
	"bounce_size_limit=$(contrib bounce_size_limit)" || exit 1
mx=$(cat "$P/mx") sink=$P/sink alice_box=$P/mail/alice@local.test/new bob_box=$P/mail/bob@local.test/new
office_box=$P/mail/office@local.test/new

# hand_in SENDER TO… <FILE: by sendmail(1), which always takes it
hand_in() {
	hand_in_sender=$1
	shift
	/usr/sbin/sendmail -C "$P/etc" -i -f "$hand_in_sender" -- "$@"
}

# idle: neither in the queue nor before it
idle() {
	wait_for 20 postfix_is_idle "$P"
}

is_waiting() {
	has_file "$P/queue/maildrop"
}

# --- who is signed for: nobody has logged in, so only whom a right by network names
letter office@local.test carol@partner.test offer "the price is 40,000" >"$W/office"
check "by network: handed in" hand_in office@local.test carol@partner.test <"$W/office"
take "$sink" "$W/got"
check "by network: encrypted, signed with the role key" opens_for_carol "$W/got" "the price is 40,000" office@local.test
letter alice@local.test dave@elsewhere.test lunch "at noon" >"$W/alice"
check "a person: handed in" hand_in alice@local.test dave@elsewhere.test <"$W/alice"
take "$sink" "$W/got"
check "a person: not signed" not grep -qi pkcs7 "$W/got"
check "a person: as it was" grep -q "at noon" "$W/got"
letter alice@local.test carol@partner.test "[confidential] offer" "the secret plan" >"$W/confidential"
check "must be signed, and cannot be: handed in" hand_in alice@local.test carol@partner.test <"$W/confidential"
take "$alice_box" "$W/got"
check "must be signed, and cannot be: a report says why" grep -q 'has no' "$W/got"
check "must be signed, and cannot be: without the text" not grep -q "the secret plan" "$W/got"
check "must be signed, and cannot be: nothing left" not has_file "$sink"

# --- recipients from the header, each as the rules say, with Bcc, and text that is not ASCII
{
	printf 'From: <office@local.test>\nTo: <carol@partner.test>\nBcc: <bob@local.test>\nSubject: both\n'
	printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße an alle\n'
} >"$W/both"
check "to two: handed in" /usr/sbin/sendmail -C "$P/etc" -t -i -f office@local.test <"$W/both"
take "$sink" "$W/got"
check "to two: carol's is encrypted" opens_for_carol "$W/got" "Gr=C3=BC=C3=9Fe an alle" office@local.test
check "to two: bob is not named" not grep -q bob@ "$W/got"
take "$bob_box" "$W/got"
check "to two: bob's is signed" signed_by "$W/got" "Gr=C3=BC=C3=9Fe an alle" office@local.test

# --- opened mail that a Sieve script redirects: it keeps the sender of the message and hands it to sendmail(1)
sealed_for_alice sealed "only for alice" >"$W/sealed"
check "redirect: carol to alice" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$alice_box" "$W/opened"
check "redirect: opened" grep -q "only for alice" "$W/opened"
sed '1,/^Received:/{/^Received:/!{/^Return-Path:\|^X-Original-To:\|^Delivered-To:/d}}' "$W/opened" >"$W/redirected"
check "redirect, no certificate: handed in" hand_in carol@partner.test eve@elsewhere.test <"$W/redirected"
take "$sink" "$W/got"
check "redirect, no certificate: a report to the sender" grep -q '^X-Rcpt-Args: <carol@partner.test>' "$W/got"
check "redirect, no certificate: names eve" grep -q 'eve@elsewhere.test' "$W/got"
check "redirect, no certificate: without the text" not grep -q "only for alice" "$W/got"
check "redirect, certificate: handed in" hand_in carol@partner.test carol@partner.test <"$W/redirected"
take "$sink" "$W/got"
check "redirect, certificate: closed" not grep -q "only for alice" "$W/got"
check "redirect, certificate: no mark" not grep -qi '^X-Sealgate-Opened' "$W/got"
openssl cms -decrypt -in "$W/got" -recip "$W/partner/carol.pem" -inkey "$W/partner/carol.key" -out "$W/inner" 2>>"$W/checks.log"
check "redirect, certificate: encrypted anew" grep -q "only for alice" "$W/inner"
check "redirect inside: handed in" hand_in carol@partner.test bob@local.test <"$W/redirected"
take "$bob_box" "$W/got"
check "redirect inside: readable" grep -q "only for alice" "$W/got"
check "redirect inside: still marked" grep -q '^X-Sealgate-Opened: v=1' "$W/got"
check "redirect to both: handed in" hand_in carol@partner.test bob@local.test eve@elsewhere.test <"$W/redirected"
idle
for file in "$sink"/*; do
	[ ! -f "$file" ] || check "redirect to both: nothing in the clear" not grep -q "only for alice" "$file"
	rm -f "$file"
done
rm -f "$bob_box"/*
# What the MTA itself gives back before the milter has a say: a loop, and what has grown too big.
sed '/^From:/i\
Received: from loop\
Received: from loop\
Received: from loop' "$W/redirected" >"$W/looping"
postfix_set "$P" hopcount_limit=4
check "a loop: handed in" hand_in carol@partner.test carol@partner.test <"$W/looping"
take "$sink" "$W/got"
check "a loop: a report" grep -qi 'too many hops' "$W/got"
check "a loop: without the text" not grep -q "only for alice" "$W/got"
{ cat "$W/redirected"; head -c 40000 /dev/urandom | base64; } >"$W/large"
postfix_set "$P" hopcount_limit=50 message_size_limit=65000
check "grown too big: handed in" hand_in carol@partner.test carol@partner.test <"$W/large"
take "$sink" "$W/got"
check "grown too big: a report" grep -qi 'too big\|size limit' "$W/got"
check "grown too big: without the text" not grep -q "only for alice" "$W/got"
postfix_set "$P" message_size_limit=10240000

# --- an automatic reply has no sender
check "null sender: handed in" hand_in '<>' carol@partner.test <"$W/alice"
take "$sink" "$W/got"
check "null sender: as it was" grep -q "at noon" "$W/got"

# --- more recipients than a message may have: refused as a whole, once, instead of waiting for ever
# shellcheck disable=SC2046
check "too many recipients: handed in" hand_in office@local.test $(seq -f 'u%g@elsewhere.test' 21) <"$W/office"
take "$office_box" "$W/got"
check "too many recipients: a report says so" grep -q 'Too many recipients' "$W/got"
check "too many recipients: nothing waits" idle
check "too many recipients: nothing left" not has_file "$sink"

# --- each part gone: the mail waits where it was handed in, and leaves encrypted
# gone NAME
gone() {
	check "$1: taken" hand_in office@local.test carol@partner.test <"$W/office"
	check "$1: it waits" wait_for 10 is_waiting
	wait_for 10 grep -q "$2" "$P/maillog"
	check "$1: nothing leaves" not has_file "$sink"
}
# back NAME: whatever else is handed in wakes the MTA
back() {
	hand_in alice@local.test bob@local.test <"$W/alice"
	check "$1: it leaves" take "$sink" "$W/got"
	check "$1: encrypted" opens_for_carol "$W/got" "the price is 40,000" office@local.test
	take "$bob_box" "$W/got"
	check "$1: nothing waits any more" not is_waiting
	check "$1: nothing came twice" not has_file "$sink"
}
process_down "$W/run" milter
gone "milter stopped" "Service unavailable\|milter-reject"
milter_up
back milter
process_down "$W/run" vault
gone "vault stopped" "milter-reject: END-OF-MESSAGE.* 4"
vault_up
back vault
kill -KILL "$(cat "$W/run/milter.pid")"
gone "milter killed" "milter-reject"
milter_up
back "milter after kill -9"

check "the ledger verifies" gate audit verify
finish
