#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What rules can say about signing and sealing, message by message; openssl is the judge.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice bob office smime
vault_up
for who in alice bob office smime; do
	staff_cert $who
done
partner_cert carol "carol@$partner" rsa:2048
partner_cert archive "archive@safe.example" rsa:2048
partner_cert old "old@safe.example" rsa:2048
# Expired: OpenSSL 3.5 takes no negative days, 3.0 no dates.
for when in "-days -1" "-not_before 20240101000000Z -not_after 20240201000000Z"; do
	# shellcheck disable=SC2086
	openssl x509 -req -in "$work/old.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial $when \
		-sha256 -extfile "$work/old.ext" -out "$work/old.pem" 2>/dev/null && break
done
gate cert add --anchor "$work/ca.pem" >/dev/null || fail "cert add --anchor"
for who in carol archive old; do
	gate cert add "$work/$who.pem" >/dev/null || fail "cert add $who"
done
base=$(cat "$conf")

# rules TEXT…: the configuration with these rules (and whatever else they are)
rules() {
	printf '%s\n' "$base" "$@" >"$dir/case.conf"
}

# run WHAT STATUS ARGUMENTS… < mail: the message in out.eml, the JSON in $json
run() {
	local what=$1 expected=$2
	shift 2
	"$builddir/sealgate" -c "$dir/case.conf" process "$@" >"$work/out.eml" 2>"$work/out.json"
	want "$what: $*" $? "$expected"
	json=$(cat "$work/out.json")
}

# opens WHAT NAME: NAME's key opens out.eml, its content in inner
opens() {
	openssl cms -decrypt -in "$work/out.eml" -recip "$work/$2.pem" -inkey "$work/$2.key" -out "$work/inner" \
		2>>"$work/openssl.log" || fail "$1: $2 cannot open it"
	grep -q 'the secret text' "$work/inner" || fail "$1: $2 reads something else"
}

# signed_by WHAT FILE NAME: NAME of our house signed FILE
signed_by() {
	openssl cms -verify -in "$2" -CAfile "$dir/ca.pem" -purpose any -signer "$work/signer.pem" -out "$work/text" \
		2>>"$work/openssl.log" || fail "$1: not a good signature"
	want "$1: signed by" "$(openssl x509 -in "$work/signer.pem" -noout -email | head -n 1)" "$3@$org"
}

# recipients: how many RecipientInfos out.eml has
recipients() {
	openssl cms -cmsout -print -in "$work/out.eml" 2>/dev/null | grep -c 'd.ktri\|d.kari'
}

printf 'From: Alice <alice@%s>\nTo: carol@%s\nSubject: hello\nMessage-ID: <1@%s>\nDate: Sun, 22 Nov 2026 01:00:00 +0000\n\nthe secret text\n' \
	"$org" "$partner" "$org" >"$work/plain.eml"
staff="--sender alice@$org --user alice@$org"
carol="--rcpt carol@$partner"

# Escrow: one more who can open it, for each form; no certificate, an expired one: it waits.
rules 'rules = ( { name = "r"; encrypt = "required"; escrow = "archive@safe.example"; } );'
run escrow 0 $staff $carol <"$work/plain.eml"
opens escrow carol
opens escrow archive
want "escrow: RecipientInfos" "$(recipients)" 2
rules 'rules = ( { name = "r"; sign = "required"; encrypt = "if-known"; preset = "modern"; escrow = [ "archive@safe.example" ]; } );'
run "escrow, modern" 0 $staff $carol <"$work/plain.eml"
opens "escrow, modern" archive
rules 'rules = ( { name = "r"; encrypt = "required"; escrow = [ "archive@safe.example", "nobody@safe.example" ]; } );'
run "escrow, nobody" 75 $staff $carol <"$work/plain.eml"
match "escrow, nobody" "$json" '451 4.7.1 The archive'
want "escrow, nobody: nothing written" "$(wc -c <"$work/out.eml")" 0
rules 'rules = ( { name = "r"; encrypt = "required"; escrow = "old@safe.example"; } );'
run "escrow, expired" 75 $staff $carol <"$work/plain.eml"
rules 'rules = ( { name = "r"; encrypt = "if-known"; escrow = "nobody@safe.example"; } );'
run "escrow, not encrypted" 0 $staff --rcpt nobody@elsewhere.example <"$work/plain.eml"
rules "rules = ( { name = \"r\"; encrypt = \"required\"; escrow = \"office@$org\"; } );"
run "escrow of our own" 0 $staff $carol <"$work/plain.eml"
want "escrow of our own: RecipientInfos" "$(recipients)" 2
rules 'rules = ( { name = "r"; encrypt = "required"; escrow = "archive@safe.example"; } );' \
	'directories = ( { name = "gone"; uri = "ldap://127.0.0.1:1"; base = ""; domains = "safe.example"; tier = "pinned"; } );'
run "escrow, directory gone" 75 $staff $carol <"$work/plain.eml"

# Two rules, one signature, two envelopes: the archive is in its rule's only; marks go from its rule's copy only.
partner_cert dave "dave@$partner" rsa:2048
gate cert add "$work/dave.pem" >/dev/null || fail "cert add dave"
rules "rules = ( { name = \"kept\"; recipients = \"carol@$partner\"; sign = \"required\"; encrypt = \"required\"; escrow = \"archive@safe.example\";" \
	'subject_mark = "[x]"; remove_mark = true; },' \
	"{ name = \"not kept\"; recipients = \"dave@$partner\"; sign = \"required\"; encrypt = \"required\"; } );"
sed "s/^Subject: .*/Subject: [x] hello/; s/^To: .*/&, dave@$partner/" "$work/plain.eml" >"$work/both.eml"
before=$(gate audit verify --json | field intents)
json=$("$builddir/sealgate" -c "$dir/case.conf" process $staff $carol --rcpt "dave@$partner" --out "$work/copies" \
	<"$work/both.eml" 2>>"$work/tool.log")
want "two rules" $? 0
want "two rules: signatures" "$(($(gate audit verify --json | field intents) - before))" 1
for copy in "$work"/copies/*.eml; do
	cp "$copy" "$work/out.eml"
	subject=$(grep '^Subject:' "$copy" | tr -d '\r')
	case $(recipients) in
	2)
		opens "kept" carol
		cp "$work/inner" "$work/inner.kept"
		opens "kept" archive
		want "kept: subject" "$subject" "Subject: hello"
		;;
	1)
		opens "not kept" dave
		cp "$work/inner" "$work/inner.not"
		want "not kept: subject" "$subject" "Subject: [x] hello"
		;;
	*) fail "two rules: $(recipients) RecipientInfos" ;;
	esac
done
cmp -s "$work/inner.kept" "$work/inner.not" || fail "two rules: not the same signed message inside"

# The author's own copy: it comes back and is opened for the author.
rules 'rules = ( { name = "r"; direction = "outbound"; encrypt = "required"; copy_sender = true; } );'
run "author's copy" 0 $staff $carol <"$work/plain.eml"
opens "author's copy" carol
want "author's copy: RecipientInfos" "$(recipients)" 2
cp "$work/out.eml" "$work/back.eml"
run "author's copy comes back" 0 --sender "carol@$partner" --rcpt "alice@$org" <"$work/back.eml"
grep -q 'the secret text' "$work/out.eml" || fail "author's copy: not opened for the author"
run "author's copy comes to bob" 0 --sender "carol@$partner" --rcpt "bob@$org" <"$work/back.eml"
grep -q 'the secret text' "$work/out.eml" && fail "author's copy: opened for another"
run "forged author's copy" 0 --sender "alice@$org" $carol <"$work/plain.eml"
want "forged author's copy: RecipientInfos" "$(recipients)" 1
sed "s/alice@/dora@/" "$work/plain.eml" >"$work/dora.eml"
run "author without a key" 0 --sender "dora@$org" --user "dora@$org" $carol <"$work/dora.eml"
want "author without a key: RecipientInfos" "$(recipients)" 1

# Which key signs.
rules "rules = ( { name = \"r\"; sign = \"required\"; sign_key = \"office@$org\"; } );"
run "role key" 0 $staff $carol <"$work/plain.eml"
signed_by "role key" "$work/out.eml" office
rules 'rules = ( { name = "r"; sign = "required"; sign_key = "smime@%d"; } );'
run "domain key" 0 $staff $carol <"$work/plain.eml"
signed_by "domain key" "$work/out.eml" smime
rules 'rules = ( { name = "r"; sign = "required"; sign_key = [ "own", "smime@%d" ]; } );'
run "own, or the domain's" 0 $staff $carol <"$work/plain.eml"
signed_by "own, or the domain's" "$work/out.eml" alice
run "own is not there" 0 --sender "dora@$org" --user "dora@$org" $carol <"$work/dora.eml"
signed_by "own is not there" "$work/out.eml" smime
rules 'rules = ( { name = "r"; sign = "required"; sign_key = "nobody@%d"; } );'
run "no such key" 65 $staff $carol <"$work/plain.eml"
rules "rules = ( { name = \"r\"; sign = \"required\"; sign_key = \"office@$org\"; form = \"opaque\"; } );"
run "opaque" 0 $staff $carol <"$work/plain.eml"
grep -qi 'smime-type=signed-data' "$work/out.eml" || fail "opaque: it is not"
signed_by "opaque" "$work/out.eml" office

# Text before it is signed: ISO-2022-JP stays byte for byte unless the rule says base64.
{
	head -n 5 "$work/plain.eml"
	printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: 7bit\n\n'
	printf '\033$B0E9f2=\033(B the secret text\n'
} >"$work/jis.eml"
for preset in classic modern jp-classic; do
	rules "rules = ( { name = \"r\"; sign = \"required\"; preset = \"$preset\"; } );"
	run "$preset" 0 $staff $carol <"$work/jis.eml"
	signed_by "$preset" "$work/out.eml" alice
	grep -q "$(printf '\033\$B0E9f2=\033(B the secret')" "$work/out.eml" || fail "$preset: ISO-2022-JP was encoded"
	rules "rules = ( { name = \"r\"; sign = \"required\"; preset = \"$preset\"; encoding = \"base64\"; } );"
	run "$preset, base64" 0 $staff $carol <"$work/jis.eml"
	signed_by "$preset, base64" "$work/out.eml" alice
	grep -q 'the secret' "$work/out.eml" && fail "$preset, base64: it is not"
	grep -q 'GyRCMEU5ZjI9GyhCIHRoZSBzZWNyZXQgdGV4dA0K' "$work/out.eml" || fail "$preset, base64: other bytes"
done
sed 's/iso-2022-jp/utf-8/; s/7bit/8bit/; s/\x1b.*\x1b(B/暗号化/' "$work/jis.eml" >"$work/utf8.eml"
rules 'rules = ( { name = "r"; sign = "required"; preset = "jp-classic"; } );'
run "jp-classic, UTF-8" 0 $staff $carol <"$work/utf8.eml"
signed_by "jp-classic, UTF-8" "$work/out.eml" alice
grep -qi 'quoted-printable' "$work/out.eml" && fail "jp-classic, UTF-8: quoted-printable"

# A reply to what came encrypted, by whom it came to; a memory that can't be read is no answer.
rules 'rules = ( { name = "answer"; direction = "outbound"; class = "reply-to-encrypted"; encrypt = "required"; } );'
{
	printf 'From: carol@%s\nTo: alice@%s\nMessage-ID: <42@%s>\nMIME-Version: 1.0\n' "$partner" "$org" "$partner"
	printf 'Content-Type: text/plain\n\nthe secret text\n' | openssl cms -encrypt -aes-256-cbc "$work/alice.cert" 2>/dev/null |
		grep -v '^MIME-Version'
} >"$work/in.eml"
sed "s/^Subject:.*/In-Reply-To: <42@$partner>/" "$work/plain.eml" >"$work/reply.eml"
run "reply before" 0 $staff --rcpt nobody@elsewhere.example <"$work/reply.eml"
run "to alice" 0 --sender "carol@$partner" --rcpt "alice@$org" <"$work/in.eml"
grep -q 'the secret text' "$work/out.eml" || fail "to alice: not opened"
run "reply to nobody's certificate" 65 $staff --rcpt nobody@elsewhere.example <"$work/reply.eml"
match "reply" "$json" 'rule answer'
run "reply" 0 $staff $carol <"$work/reply.eml"
opens "reply" carol
run "another mail" 0 $staff --rcpt nobody@elsewhere.example <"$work/plain.eml"
sed 's/^From: .*/From: bob@'"$org"'/' "$work/reply.eml" >"$work/bob.eml"
run "another's reply" 0 --sender "bob@$org" --user "bob@$org" --rcpt nobody@elsewhere.example <"$work/bob.eml"
mv "$dir/replies.db" "$work/replies.away"
echo 'this is no database, as anybody can see' >"$dir/replies.db"
run "memory broken" 75 $staff --rcpt nobody@elsewhere.example <"$work/reply.eml"
run "memory broken, no reply" 0 $staff --rcpt nobody@elsewhere.example <"$work/plain.eml"
run "memory broken, inbound" 75 --sender "carol@$partner" --rcpt "alice@$org" <"$work/in.eml"
run "memory broken, inbound for nobody here" 0 --sender "carol@$partner" --rcpt "bob@$org" <"$work/in.eml"
mv "$work/replies.away" "$dir/replies.db"
run "memory healed" 65 $staff --rcpt nobody@elsewhere.example <"$work/reply.eml"

# Explain says all that.
rules "rules = ( { name = \"r\"; sign = \"required\"; sign_key = [ \"own\", \"smime@%d\" ]; encrypt = \"if-known\"; escrow = \"archive@safe.example\"; copy_sender = true; encoding = \"base64\"; } );"
text=$("$builddir/sealgate" -c "$dir/case.conf" explain $staff $carol <"$work/plain.eml")
match explain "$text" "with the author's key or smime@%d, clear, text as base64"
match explain "$text" 'also for archive@safe.example, also for the author'
match explain "$text" 'archive +archive@safe.example: 1 certificates'
match explain "$text" "author +alice@$org: 1 certificates"
rules 'rules = ( { name = "r"; encrypt = "required"; escrow = "old@safe.example"; } );'
text=$("$builddir/sealgate" -c "$dir/case.conf" explain $staff $carol <"$work/plain.eml")
match "explain, expired" "$text" 'archive +old@safe.example: 0 certificates, .*no valid certificate'
text=$("$builddir/sealgate" -c "$dir/case.conf" explain --json $staff $carol <"$work/plain.eml")
match "explain --json, expired" "$text" '"added":\[\{"address":"old@safe.example","escrow":true,"certificates":0,"why":'

gate audit verify >/dev/null || fail "the ledger does not verify"
finish
