#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Trust that changes while the milter runs: what SIGUSR1 brings counts for the very next message, to whoever it is encrypted and whoever
# signed it, and what it takes away counts no more: allowed certificates, anchors and their rules.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice
vault_up
partner_cert carol "carol@$partner" rsa:2048
usage=digitalSignature,keyAgreement partner_cert erin "erin@$partner" ec -pkeyopt ec_paramgen_curve:P-256
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/sally.key" -out "$work/sally.pem" -subj "/CN=sally" -days 20 \
	-addext "basicConstraints=critical,CA:FALSE" -addext "keyUsage=critical,digitalSignature,keyEncipherment" \
	-addext "extendedKeyUsage=emailProtection" -addext "subjectAltName=email:sally@$partner" 2>/dev/null
for who in carol erin sally; do
	gate cert add "$work/$who.pem" >/dev/null || fail "cert add $who"
done
sed -i '/^anchors = (/,/^);/d' "$conf"
printf 'rules = ( { name = "must"; direction = "outbound"; encrypt = "required"; sign = "required"; } );\n' >>"$conf"
cp "$conf" "$work/conf.begin"
own="{ file = \"ca.pem\"; domains = \"$org\"; }"

# with TEXT: the configuration with these sections, read again
with() {
	local before
	{ cat "$work/conf.begin"; printf '%s\n' "$1"; } >"$conf"
	before=$(grep -c 'event=reloaded' "$work/milter.log")
	kill -USR1 "$milter"
	wait_for 5 bash -c "[ \$(grep -c event=reloaded '$work/milter.log') -gt $before ]" || fail "no reload: $1: $(tail -n 1 "$work/milter.log")"
}

# to NAME CODE: what mail to that person is answered
to() {
	local code
	printf 'From: alice@%s\nTo: %s@%s\nSubject: x\nMessage-ID: <o%s@%s>\nDate: %s\n\nthe secret text\n' "$org" "$1" "$partner" "$n" "$org" \
		"$(date -R)" >"$work/out.eml"
	drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<$1@$partner>" --qid "O$n" -o "$work/got.eml" "$work/out.eml" >"$work/json"
	code=$(field code <"$work/json")
	want "$what: to $1" "${code:-250}" "$2"
	[ "$2" != 250 ] || openssl cms -decrypt -in "$work/got.eml" -recip "$work/$1.pem" -inkey "$work/$1.key" -out /dev/null 2>>"$work/tool.log" ||
		fail "$what: $1 does not open it"
}
# from NAME VERDICT: what Authentication-Results says of that person's signature
from() {
	{
		printf 'From: %s@%s\nTo: alice@%s\nSubject: x\nMessage-ID: <i%s@%s>\nDate: %s\n' "$1" "$partner" "$org" "$n" "$partner" "$(date -R)"
		cat "$work/$1.signed"
	} >"$work/in.eml"
	drive -q -S "$sock" -f "<$1@$partner>" -r "<alice@$org>" --qid "I$n" -o "$work/got.eml" "$work/in.eml" >/dev/null
	want "$what: from $1" "$(tr -d '\r\n' <"$work/got.eml" | sed -n 's/.*Authentication-Results:[^:]*smime=\([a-z]*\).*/\1/p')" "$2"
}
printf 'Content-Type: text/plain\r\n\r\nhello\r\n' >"$work/text"
for who in carol erin sally; do
	openssl cms -sign -in "$work/text" -signer "$work/$who.pem" -inkey "$work/$who.key" 2>/dev/null | tr -d '\r' >"$work/$who.signed"
done
n=0
# expect WHAT SECTIONS NAME CODE VERDICT [NAME CODE VERDICT]…
expect() {
	what=$1
	with "$2"
	shift 2
	while [ $# -gt 0 ]; do
		n=$((n + 1))
		to "$1" "$2"
		from "$1" "$3"
		shift 3
	done
}

{ cat "$work/conf.begin"; echo "anchors = ( $own );"; } >"$conf"
milter_up
allowed() {
	printf 'allowed = ( { sha256 = "%s"; addresses = "%s"; reason = "by telephone"; } );' \
		"$(openssl x509 -in "$work/sally.pem" -outform DER | openssl dgst -sha256 -r | cut -d ' ' -f 1)" "$1"
}
partners="{ file = \"$work/ca.pem\";"
expect "nothing" "anchors = ( $own );" sally 550 fail carol 550 fail
expect "allowed" "anchors = ( $own ); $(allowed "sally@$partner")" sally 250 pass carol 550 fail
expect "allowed for another address" "anchors = ( $own ); $(allowed "bob@$partner")" sally 550 fail
expect "allowed again" "anchors = ( $own ); $(allowed "sally@$partner")" sally 250 pass
expect "no more" "anchors = ( $own );" sally 550 fail

expect "an anchor" "anchors = ( $own, $partners } );" carol 250 pass erin 250 pass sally 550 fail
expect "for another domain" "anchors = ( $own, $partners domains = \"other.example\"; } );" carol 550 fail
expect "for this domain" "anchors = ( $own, $partners domains = \"$partner\"; } );" carol 250 pass
expect "longer keys" "anchors = ( $own, $partners min_rsa = 3072; } );" carol 550 policy erin 550 policy # the CA's too
expect "other curves" "anchors = ( $own, $partners curves = \"P-384\"; } );" carol 250 pass erin 550 policy
expect "policies" "anchors = ( $own, $partners policies = \"1.2.3.4\"; require_policy = true; } );" carol 550 fail
expect "revocation has to be known" "anchors = ( $own, $partners revocation = \"required\"; } );" carol 451 temperror
expect "as it was" "anchors = ( $own, $partners } );" carol 250 pass erin 250 pass

# What is refused changes nothing.
{ cat "$work/conf.begin"; echo "anchors = ( $own, $partners min_rsa = -1; } );"; } >"$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reload-refused "$work/milter.log" || fail "a wrong configuration is not refused"
what=refused n=$((n + 1))
to carol 250
from carol pass
with ""
gate audit verify >/dev/null || fail "the ledger does not verify"
finish
