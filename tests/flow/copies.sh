#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# sealgate process --out: each recipient's copy, as it would be sent; openssl says for whom it is.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice bob frank
cat >>"$conf" <<END
rules = (
	{ name = "must"; header = "X-Rule: must"; sign = "required"; encrypt = "required"; if_missing = "refuse-recipient";
	  direction = "outbound"; message = "Ask the helpdesk."; },
	{ name = "all-or-none"; header = "X-Rule: all"; sign = "required"; encrypt = "required"; direction = "outbound"; }
);
END
sed -i "s/^organisation = {/organisation = { help_url = \"https:\/\/help.$org\/mail\";/" "$conf"
vault_up
for name in alice bob frank; do
	staff_cert $name
done
partners carol dave grace
eve=eve@nowhere.example

# mail RULE HEADER…: a mail of alice's in mail.eml
mail() {
	local rule=$1
	shift
	{
		printf 'From: Alice <alice@%s>\n' "$org"
		for line; do
			printf '%s\n' "$line"
		done
		[ -n "$rule" ] && printf 'X-Rule: %s\n' "$rule"
		printf 'Subject: copies\nMessage-ID: <1@%s>\n\nthe secret text\n' "$org"
	} >"$work/mail.eml"
}

# copies STATUS RCPT…: the JSON in $json, the copies in out/
copies() {
	local expected=$1 rcpts=
	shift
	for rcpt; do
		rcpts="$rcpts --rcpt $rcpt"
	done
	json=$(gate process ${from:---sender alice@$org --user alice@$org} $rcpts --out "$work/out" <"${mail:-$work/mail.eml}")
	want "process $*" $? "$expected"
	files=$(cd "$work/out" 2>/dev/null && ls | tr '\n' ' ')
}

# serials FILE: of the certificates that the envelope in FILE is for, sorted
serials() {
	openssl cms -cmsout -print -noout -in "$1" 2>/dev/null | sed -n 's/ *serialNumber: *//p' | sort | tr '\n' ' '
}

# serials_of NAME…: what serials should say
serials_of() {
	local name
	for name; do
		openssl x509 -in "$work/$name.pem" -noout -serial | sed 's/serial=/0x/'
	done | sort | tr '\n' ' '
}

signs() {
	cat "$dir"/ledger/*.jsonl | grep -c '"event":"sign"'
}

# Who needs the same shares a copy; who is hidden has one alone, and is in no other's envelope.
mail "" "To: carol@$partner, dave@$partner" "Cc: $eve"
before=$(signs)
copies 0 "carol@$partner" "dave@$partner" "$eve" "grace@$partner" "bob@$org"
want "five recipients: copies" "$files" "1.eml 2.eml 3.eml "
match "five recipients" "$json" '"reply":"250 '
match "five recipients" "$json" '"file":"1.eml","recipients":\["carol@partner.example","dave@partner.example"\],"signed":true,"encrypted":true'
match "five recipients" "$json" '"file":"2.eml","recipients":\["eve@nowhere.example","bob@example.org"\],"signed":true,"encrypted":false'
match "five recipients" "$json" '"file":"3.eml","recipients":\["grace@partner.example"\],"signed":true,"encrypted":true'
match "five recipients" "$json" '"refused":\[\]'
want "visible: serials" "$(serials "$work/out/1.eml" | tr 'a-f' 'A-F')" "$(serials_of carol dave | tr 'a-f' 'A-F')"
want "hidden: serials" "$(serials "$work/out/3.eml" | tr 'a-f' 'A-F')" "$(serials_of grace | tr 'a-f' 'A-F')"
for pair in carol:1 dave:1 grace:3; do
	openssl cms -decrypt -in "$work/out/${pair#*:}.eml" -recip "$work/${pair%:*}.pem" -inkey "$work/${pair%:*}.key" \
		-out "$work/inner.${pair%:*}" 2>>"$work/openssl.log" || fail "${pair%:*} cannot open the copy"
	openssl cms -verify -in "$work/inner.${pair%:*}" -CAfile "$dir/ca.pem" -purpose any -out /dev/null \
		2>>"$work/openssl.log" || fail "${pair%:*}: the signature is not good"
done
cmp -s "$work/inner.carol" "$work/inner.grace" || fail "the signed part is not the same in each envelope"
openssl cms -verify -in "$work/out/2.eml" -CAfile "$dir/ca.pem" -purpose any -out /dev/null 2>>"$work/openssl.log" ||
	fail "the signed copy does not verify"
want "one use of the key for all copies" "$(($(signs) - before))" 1
cat "$dir"/ledger/*.jsonl | grep '"event":"sign"' | tail -n 1 >"$work/intent"
want "the intent names all recipients" "$(grep -o '"recipients":\[[^]]*\]' "$work/intent" | grep -o '"[^"]*"' | sed 1d | sort -u | wc -l)" 5
decisions() {
	[ "$(cat "$dir"/ledger/*.jsonl | grep -c '"event":"sealed".*"copies":3')" = 3 ]
}
wait_for 5 decisions || fail "a decision for each copy"

# A blind copy alone is a copy for one.
mail "" "To: undisclosed-recipients:;"
copies 0 "carol@$partner"
want "only blind" "$files" "1.eml "

# The recipient without a certificate is left out; the reply about them is complete.
mail must "To: carol@$partner, $eve"
copies 0 "carol@$partner" "$eve"
want "refuse-recipient: copies" "$files" "1.eml "
match "refuse-recipient" "$json" '"copies":\[\{"file":"1.eml","recipients":\["carol@partner.example"\]'
match "refuse-recipient" "$json" '"refused":\[\{"recipient":"eve@nowhere.example","reply":"550 5.7.1 [^"]*rule must[^"]*See https://help.example.org/mail[^"]*Ask the helpdesk.","rule":"must"\}\]'
copies 65 "$eve"
match "nobody left" "$json" '"reply":"550 5.7.1 .*"copies":\[\]'
want "nobody left: no copies of before" "$files" ""
mail all "To: carol@$partner, $eve"
copies 65 "carol@$partner" "$eve"
match "refuse-all" "$json" '"copies":\[\],"refused":\[\{"recipient":"carol@partner.example".*"recipient":"eve@nowhere.example"'

# Explain says the same without a key.
mail must "To: carol@$partner, $eve"
before=$(signs)
gate explain --sender "alice@$org" --user "alice@$org" --rcpt "carol@$partner" --rcpt "$eve" <"$work/mail.eml" >"$work/text"
want "explain without a port" $? 65
match "explain" "$(cat "$work/text")" 'reply      550 5.7.1 .*recipient <eve@nowhere.example>, rule must'
want "explain uses no key" "$(signs)" "$before"

# With a port it shows what each would get.
cp "$conf" "$work/conf.keep"
printf 'port = { address = "inet:1@127.0.0.1"; };\n' >>"$conf"
text=$(gate explain --sender "alice@$org" --user "alice@$org" --rcpt "carol@$partner" --rcpt "$eve" <"$work/mail.eml")
want "explain with a port" $? 0
match "explain with a port" "$text" 'Copy 1'
match "explain with a port" "$text" '  for        carol@partner.example'
match "explain with a port" "$text" '  refused    eve@nowhere.example: 550 5.7.1 '
json=$(gate explain --json --sender "alice@$org" --user "alice@$org" --rcpt "carol@$partner" --rcpt "bob@$org" <"$work/mail.eml")
match "explain with a port: JSON" "$json" '"copies":\[\{"recipients":\["carol@partner.example"\],"signed":true,"encrypted":true.*\{"recipients":\["bob@example.org"\]'
gate process --sender "alice@$org" --user "alice@$org" --rcpt "carol@$partner" --rcpt "bob@$org" <"$work/mail.eml" >"$work/none"
want "several on standard output" $? 64
want "several on standard output: nothing" "$(wc -c <"$work/none")" 0
want "explain with a port uses no key" "$(signs)" "$before"
cp "$work/conf.keep" "$conf"

# Without a folder for them several copies are not written.
mail "" "To: carol@$partner"
gate process --sender "alice@$org" --user "alice@$org" --rcpt "carol@$partner" --rcpt "bob@$org" <"$work/mail.eml" >"$work/none"
want "several without --out" $? 65
want "several without --out: nothing written" "$(wc -c <"$work/none")" 0

# In: opened for its owners, as it came for who has no right.
printf 'Content-Type: text/plain\n\nfrom outside\n' >"$work/in.txt"
{
	printf 'From: carol@%s\nTo: alice@%s\nSubject: in\n' "$partner" "$org"
	openssl cms -encrypt -aes256 -in "$work/in.txt" "$work/alice.cert" "$work/frank.cert" 2>/dev/null
} >"$work/in.eml"
from="--sender carol@$partner" mail=$work/in.eml copies 0 "bob@$org" "alice@$org" "frank@$org"
want "in: copies" "$files" "1.eml 2.eml "
match "in" "$json" '"file":"1.eml","recipients":\["alice@example.org","frank@example.org"\],"signed":false,"encrypted":false,"opened":true'
match "in" "$json" '"file":"2.eml","recipients":\["bob@example.org"\],"signed":false,"encrypted":false,"opened":false'
grep -q 'from outside' "$work/out/1.eml" || fail "in: not opened for alice"
grep -q 'from outside' "$work/out/2.eml" && fail "in: opened for bob"
sed 's/$/\r/' "$work/in.eml" | cmp -s - "$work/out/2.eml" || fail "in: bob's copy was changed"
finish
