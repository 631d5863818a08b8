#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The two daemons together, driven as Postfix drives them; openssl is the judge of what they made.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
world
staff_cert alice
staff_cert bob

printf 'From: Alice <alice@%s>\nTo: carol@%s\nSubject: hello\nMessage-ID: <1@%s>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\nthe secret text\n' \
	"$org" "$partner" "$org" >"$work/out.eml"

# Out: signed and encrypted for whoever has a proven certificate.
json=$(drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" -o "$work/1.eml" "$work/out.eml")
want "to carol" $? 0
match "to carol" "$json" '"body_changed":true'
grep -q 'the secret text' "$work/1.eml" && fail "to carol: in the clear"
openssl cms -decrypt -in "$work/1.eml" -recip "$work/carol.pem" -inkey "$work/carol.key" -out "$work/1.inner" 2>"$work/1.log" ||
	fail "to carol: openssl does not open it"
openssl cms -verify -in "$work/1.inner" -noverify -certsout "$work/1.signer" -out "$work/1.text" 2>>"$work/1.log" ||
	fail "to carol: the signature inside is not good"
grep -q 'the secret text' "$work/1.text" || fail "to carol: the text is not inside"

# A header field as long as Postfix takes one.
{
	printf 'From: alice@%s\nCc: ' "$org"
	for i in $(seq 3300); do printf 'u%d@elsewhere.example,\n ' "$i"; done
	printf 'v@elsewhere.example\n\nthe secret text\n'
} >"$work/long.eml"
drive -q -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" -o "$work/long.out" "$work/long.eml"
want "a header field of 90 KB" $? 0
grep -q 'the secret text' "$work/long.out" && fail "a header field of 90 KB: in the clear"

# Inside: signed, readable.
json=$(drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<bob@$org>" -o "$work/2.eml" "$work/out.eml")
want "to bob" $? 0
openssl cms -verify -in "$work/2.eml" -noverify -out "$work/2.text" 2>"$work/2.log" || fail "to bob: not signed well"
grep -q 'the secret text' "$work/2.eml" || fail "to bob: not readable"

# No identity, no signature.
json=$(drive -S "$sock" -f "<alice@$org>" -r "<bob@$org>" -o "$work/3.eml" "$work/out.eml")
match "without a login" "$json" '"body_changed":false'

# In: opened and verified for alice, for nobody else.
printf 'Content-Type: text/plain\n\nfrom outside\n' >"$work/in.txt"
openssl cms -sign -in "$work/in.txt" -signer "$work/carol.pem" -inkey "$work/carol.key" -out "$work/in.signed" 2>/dev/null
{
	printf 'From: carol@%s\nTo: alice@%s\nSubject: in\nMessage-ID: <2@%s>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n' \
		"$partner" "$org" "$partner"
	openssl cms -encrypt -aes-256-cbc -in "$work/in.signed" "$work/alice.cert" 2>/dev/null
} >"$work/in.eml"
json=$(drive -S "$sock" -f "<carol@$partner>" --sender-args 'ENVID=e1' -r "<alice@$org>" -o "$work/4.eml" "$work/in.eml")
want "to alice" $? 0
grep -q 'from outside' "$work/4.eml" || fail "to alice: not opened"
match "to alice: verified" "$(tr -d '\n' <"$work/4.eml")" 'Authentication-Results:[^:]*smime=pass'
match "to alice: no plaintext in bounces" "$json" '"sender_args":"RET=HDRS ENVID=e1"'
json=$(drive -S "$sock" -f '<mallory@outside.example>' -r "<bob@$org>" -o "$work/5.eml" "$work/in.eml")
grep -q 'from outside' "$work/5.eml" && fail "an outsider had bob read alice's mail"

# Refusal: what must be encrypted and can't be.
cp "$conf" "$work/conf.keep"
printf 'rules = ( { name = "must"; subject_mark = [ "[secret]" ]; direction = [ "outbound" ]; encrypt = "required"; sign = "required"; } );\n' >>"$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reloaded "$work/milter.log" || fail "no reload"
sed 's/^Subject: .*/Subject: [secret] x/' "$work/out.eml" >"$work/secret.eml"
json=$(drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<nobody@elsewhere.example>" "$work/secret.eml")
want "no certificate" $? 65
match "no certificate" "$json" '"text":"550 5.7.1 This message must be encrypted.*<nobody@elsewhere.example>, rule must'
json=$(drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" -r "<bob@$org>" "$work/out.eml")
match "recipients that need different treatment" "$json" '"code":550.*separately'

# The vault gone: what needs a key waits, everything else passes; back without a restart.
stop "$vault"
want "vault: stop" "$status" 0
json=$(drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" "$work/out.eml")
want "without the vault" "$(field code <<<"$json")" 451
match "without the vault: untouched" "$json" '"changed":false'
json=$(drive -S "$sock" -f '<x@outside.example>' -r '<y@elsewhere.example>' "$work/out.eml")
want "mail that needs no key" "$(field code <<<"$json")" 250
vault_up
json=$(drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" "$work/out.eml")
want "vault back" "$(field code <<<"$json")" 250

gate audit verify >/dev/null || fail "the ledger does not verify"
finish
