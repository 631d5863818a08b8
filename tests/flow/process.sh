#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# sealgate process and explain against a real vault; openssl is the judge of what they made.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice bob
vault_up
partners carol
staff_cert alice

# run STATUS ARGUMENTS… < mail: the JSON in $json, the message in out.eml
run() {
	local expected=$1
	shift
	"$builddir/sealgate" -c "$conf" process "$@" >"$work/out.eml" 2>"$work/out.json"
	want "process $*" $? "$expected"
	want "process $*: lines on standard error" "$(wc -l <"$work/out.json")" 1
	json=$(cat "$work/out.json")
	match "process $*: JSON" "$json" '^\{"v":1,.*\}$'
}

printf 'From: Alice <alice@%s>\nTo: carol@%s\nSubject: hello\nMessage-ID: <1@%s>\n\nthe secret text\n' \
	"$org" "$partner" "$org" >"$work/plain.eml"
sed 's/$/\r/' "$work/plain.eml" >"$work/plain.crlf"
staff="--sender alice@$org --user alice@$org"

# Copies in a folder.
json=$(gate process $staff --rcpt "carol@$partner" --out "$work/copies" <"$work/plain.eml")
want "to carol" $? 0
match "to carol" "$json" '"file":"1.eml","recipients":\["carol@partner.example"\],"signed":true,"encrypted":true,"opened":false,"rule":"shipped-outbound"'
grep -q 'the secret text' "$work/copies/1.eml" && fail "to carol: in the clear"
grep -q '^Subject: hello' "$work/copies/1.eml" || fail "to carol: the subject is gone"
openssl cms -decrypt -in "$work/copies/1.eml" -recip "$work/carol.pem" -inkey "$work/carol.key" -out "$work/inner" \
	2>>"$work/openssl.log" || fail "to carol: openssl does not open it"
grep -q '^Content-Type: multipart/signed' "$work/inner" || fail "to carol: not clear-signed inside"
openssl cms -verify -in "$work/inner" -CAfile "$dir/ca.pem" -purpose any -out "$work/text" 2>>"$work/openssl.log" ||
	fail "to carol: the signature inside is not good"
grep -q 'the secret text' "$work/text" || fail "to carol: another text inside"

# One copy on standard output.
run 0 $staff --rcpt "bob@$org" <"$work/plain.eml"
match "to bob" "$json" '"signed":true,"encrypted":false'
openssl cms -verify -in "$work/out.eml" -CAfile "$dir/ca.pem" -purpose any -out "$work/text" 2>>"$work/openssl.log" ||
	fail "to bob: openssl does not verify it"
verdict=$(gate verify <"$work/out.eml")
match "to bob: sealgate verify" "$verdict" '"verdict":"pass"'
sed 's/the secret text/the other text/' "$work/out.eml" | openssl cms -verify -CAfile "$dir/ca.pem" -purpose any \
	-out "$work/text" 2>>"$work/openssl.log" && fail "to bob: a changed text verifies"

# Without a right nothing is touched, bit for bit.
run 0 --sender "alice@$org" --rcpt "carol@$partner" <"$work/plain.eml"
cmp -s "$work/out.eml" "$work/plain.crlf" || fail "no login: the message was changed"
run 0 --sender "bob@$org" --user "bob@$org" --rcpt "carol@$partner" <"$work/plain.eml"
cmp -s "$work/out.eml" "$work/plain.crlf" || fail "another's address: the message was changed"

# Recipients that need different treatment.
run 65 $staff --rcpt "carol@$partner" --rcpt "bob@$org" <"$work/plain.eml"
match "split" "$json" '"copies":\[\].*"refused":\[\{"recipient":"carol@partner.example","reply":"550 5.7.1 .*separately'
want "split: nothing on standard output" "$(wc -c <"$work/out.eml")" 0

# In: opened for its owner, for nobody else.
printf 'Content-Type: text/plain\n\nfrom outside\n' >"$work/in.txt"
openssl cms -sign -in "$work/in.txt" -signer "$work/carol.pem" -inkey "$work/carol.key" -out "$work/in.signed" 2>/dev/null
{
	printf 'From: carol@%s\nTo: alice@%s\nSubject: in\nAuthentication-Results: %s; smime=pass; spf=fail\n' "$partner" "$org" "$org"
	openssl cms -encrypt -aes-256-cbc -in "$work/in.signed" "$work/alice.cert" 2>/dev/null
} >"$work/in.eml"
match "verify of what is closed" "$(gate verify <"$work/in.eml")" '"verdict":"none".*the message is encrypted'
run 0 --sender "carol@$partner" --rcpt "alice@$org" <"$work/in.eml"
match "in" "$json" '"opened":true.*"layers":\[\{"kind":"enveloped".*\{"kind":"signed"'
grep -q 'from outside' "$work/out.eml" || fail "in: not readable"
want "in: our result on top" "$(head -n 2 "$work/out.eml" | tr -d '\r\n\t')" "Authentication-Results: $org;smime=pass"
want "in: the forged one is gone" "$(grep -c 'smime=pass' "$work/out.eml")" 1
grep -q "^Authentication-Results: $org; spf=fail" "$work/out.eml" || fail "in: another method's result is gone"
run 0 --sender "mallory@outside.example" --rcpt "bob@$org" <"$work/in.eml"
match "in, to bob" "$json" '"opened":false'
grep -q 'from outside' "$work/out.eml" && fail "bob reads alice's mail"
run 0 --sender "mallory@outside.example" --rcpt "bob@$org" --rcpt "alice@$org" <"$work/in.eml"
grep -q 'from outside' "$work/out.eml" && fail "bob reads alice's mail beside her"

# Broken ciphertext is never refused.
for cut in 300 900 1500 2200; do
	head -c $cut "$work/in.eml" >"$work/cut.eml"
	run 0 --sender "carol@$partner" --rcpt "alice@$org" <"$work/cut.eml"
	match "cut at $cut" "$json" '"opened":false'
done

# Explain says why, and uses no key.
before=$(gate audit verify --json | field intents)
[ "$before" -gt 0 ] || fail "the ledger counts no use of a key"
text=$(gate explain $staff --rcpt "carol@$partner" --rcpt "nobody@elsewhere.example" <"$work/plain.eml")
want "explain" $? 65
match "explain" "$text" 'shipped-outbound +shipped +matches and decides'
match "explain" "$text" 'used +[0-9a-f]{16} from store'
match "explain" "$text" 'nobody knows this address'
text=$(gate explain --json --sender "carol@$partner" --rcpt "alice@$org" <"$work/in.eml")
want "explain --json" $? 0
match "explain --json" "$text" '"rule":"shipped-inbound","says"'
match "explain --json" "$text" 'would be opened'
want "explain: uses of keys" "$(gate audit verify --json | field intents)" "$before"

# Rules of the administrator's.
printf 'rules = ( { name = "must"; subject_mark = "[secret]"; encrypt = "required"; message = "Ask the helpdesk."; } );\n' >>"$conf"
sed 's/^Subject: .*/Subject: [Secret] x/' "$work/plain.eml" >"$work/secret.eml"
run 65 $staff --rcpt "nobody@elsewhere.example" <"$work/secret.eml"
match "must" "$json" '"reply":"550 5.7.1 [A-Z].*<nobody@elsewhere.example>, rule must\). Ask the helpdesk."'
run 0 $staff --rcpt "carol@$partner" <"$work/secret.eml"
match "must" "$json" '"signed":false,"encrypted":true'

# The vault gone: what needs a key waits, everything else passes.
stop "$vault"
want "vault: stop" "$status" 0
run 75 $staff --rcpt "carol@$partner" <"$work/plain.eml"
match "vault gone" "$json" '"reply":"451 4.3.2'
run 75 --sender "carol@$partner" --rcpt "alice@$org" <"$work/in.eml"
run 0 --sender "x@outside.example" --rcpt "alice@$org" <"$work/plain.eml"
cmp -s "$work/out.eml" "$work/plain.crlf" || fail "vault gone: mail without a key was changed"
run 0 --sender "alice@$org" --rcpt "carol@$partner" <"$work/plain.eml"

# What cannot be done at all.
"$builddir/sealgate" -c "$conf" process --sender x@y.z </dev/null >/dev/null 2>&1
want "no recipient" $? 64
"$builddir/sealgate" -c "$conf" process --sender x@y.z --rcpt a@b.c --service nowhere </dev/null >/dev/null 2>&1
want "no such service" $? 78

gate audit verify >/dev/null || fail "the ledger does not verify"
finish
