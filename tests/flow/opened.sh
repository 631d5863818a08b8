#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Mail that was opened, on its way out again: by a forward, a list, a redirect.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice
vault_up
partner_cert carol "carol@$partner" rsa:2048
partner_cert dave "dave@$partner" rsa:2048
gate cert add --anchor "$work/ca.pem" >/dev/null || fail "cert add --anchor"
gate cert add "$work/dave.pem" >/dev/null || fail "cert add"
staff_cert alice

# run STATUS ARGUMENTS… < mail: the JSON in $json, the message in out.eml
run() {
	local expected=$1
	shift
	"$builddir/sealgate" -c "$conf" process "$@" >"$work/out.eml" 2>"$work/out.json"
	want "process $*" $? "$expected"
	json=$(tail -n 1 "$work/out.json")
}

marks() {
	grep -ci '^X-Sealgate-Opened' "$1"
}

printf 'Content-Type: text/plain\r\n\r\nonly for alice\r\n' >"$work/in.txt"
{
	printf 'From: <carol@%s>\nTo: <alice@%s>\nSubject: sealed\nMessage-ID: <7@%s>\n' "$partner" "$org" "$partner"
	openssl cms -encrypt -aes256 -in "$work/in.txt" "$work/alice.cert" 2>/dev/null
} | tr -d '\r' >"$work/sealed.eml"
run 0 --sender "carol@$partner" --rcpt "alice@$org" <"$work/sealed.eml"
match "opened" "$json" '"opened":true'
grep -q 'only for alice' "$work/out.eml" || fail "not opened"
grep -q '^X-Sealgate-Opened: v=1; k=' "$work/out.eml" || fail "no mark"
# What a forward adds.
{ printf 'Received: by mail\r\nDelivered-To: alice@%s\r\n' "$org"; cat "$work/out.eml"; } >"$work/opened.eml"

# Out again, to whom a certificate is known: encrypted, unmarked; not signed for, since Carol wrote it.
run 0 --sender "carol@$partner" --rcpt "dave@$partner" <"$work/opened.eml"
match "re-encrypted" "$json" '"signed":false,"encrypted":true'
grep -q 'only for alice' "$work/out.eml" && fail "re-encrypted: in the clear"
want "re-encrypted: marks" "$(marks "$work/out.eml")" 0
openssl cms -decrypt -in "$work/out.eml" -recip "$work/dave.pem" -inkey "$work/dave.key" -out "$work/inner" 2>>"$work/openssl.log" ||
	fail "openssl does not open it"
grep -q 'only for alice' "$work/inner" || fail "another text inside"
# To whom nobody knows: refused, whatever a list changed meanwhile, and without the vault deferred.
run 65 --sender "carol@$partner" --rcpt "eve@elsewhere.example" <"$work/opened.eml"
match "no certificate" "$json" '"reply":"550 5.7.1 '
want "no certificate: nothing leaves" "$(wc -c <"$work/out.eml")" 0
sed 's/^Subject: /Subject: [list] /; s/only for alice/only for alice\r\n-- \r\nfooter/; s/^From:/List-Id: <x.example.org>\r\nFrom:/' \
	"$work/opened.eml" >"$work/list.eml"
run 65 --sender "list-bounces@$org" --rcpt "eve@elsewhere.example" <"$work/list.eml"
run 65 --sender "alice@$org" --user "alice@$org" --rcpt "eve@elsewhere.example" <"$work/opened.eml"
stop "$vault"
run 75 --sender "carol@$partner" --rcpt "dave@$partner" <"$work/opened.eml"
run 75 --sender "carol@$partner" --rcpt "eve@elsewhere.example" <"$work/opened.eml"
vault_up
# Inside it stays as it is, and stays marked.
run 0 --sender "carol@$partner" --rcpt "bob@$org" <"$work/opened.eml"
cmp -s "$work/out.eml" "$work/opened.eml" || fail "inside: the message was changed"

# A bounce of it would carry the text out: the MTA is asked for the header alone, unless what leaves is sealed again.
milter_up
# returned RCPT FILE RET: what becomes of the sender's RET=FULL
returned() {
	want "RET= to $1" "$(drive -S "$sock" -f "<carol@$partner>" --sender-args RET=FULL -r "<$1>" "$2" |
		sed -n 's/.*"sender_args":"\([^"]*\)".*/\1/p')" "$3"
}
returned "bob@$org" "$work/opened.eml" RET=HDRS
returned "dave@$partner" "$work/opened.eml" RET=FULL
returned "bob@$org" "$work/in.txt" RET=FULL
stop "$milter"

# A mark that is not ours goes at once and means nothing.
sed 's/^\tm=..../\tm=0000/' "$work/opened.eml" >"$work/forged.eml"
cmp -s "$work/forged.eml" "$work/opened.eml" && fail "the mark has no MAC"
for rcpt in "bob@$org" "eve@elsewhere.example"; do
	run 0 --sender "carol@$partner" --rcpt "$rcpt" <"$work/forged.eml"
	want "forged, to $rcpt" "$(marks "$work/out.eml")" 0
	grep -q 'only for alice' "$work/out.eml" || fail "forged, to $rcpt: the text is gone"
done
# Beside one of ours, it alone goes.
{ printf 'X-Sealgate-Opened: example.org\r\n'; cat "$work/opened.eml"; printf ''; } >"$work/two.eml"
run 0 --sender "carol@$partner" --rcpt "bob@$org" <"$work/two.eml"
cmp -s "$work/out.eml" "$work/opened.eml" || fail "two marks: not the forged one alone went"
run 65 --sender "carol@$partner" --rcpt "eve@elsewhere.example" <"$work/two.eml"

# What rules say.
# ruled VERDICT: a rule of our own decides for elsewhere.example
ruled() {
	sed -i '/^rules = /d' "$conf"
	echo "rules = ( { name = \"own\"; recipients = \"@elsewhere.example\"; $1 } );" >>"$conf"
}
ruled ''
run 65 --sender "carol@$partner" --rcpt "eve@elsewhere.example" <"$work/opened.eml"
match "a rule that says nothing of it" "$json" '"rule":"own"'
ruled 'encrypt = "required"; if_missing = "clear";'
run 65 --sender "carol@$partner" --rcpt "eve@elsewhere.example" <"$work/opened.eml"
run 0 --sender "carol@$partner" --rcpt "eve@elsewhere.example" <"$work/forged.eml"
ruled 'opened = "refuse";'
run 65 --sender "carol@$partner" --rcpt "eve@elsewhere.example" <"$work/opened.eml"
match "refuse" "$json" '"reply":"550 5.7.1 .*does not leave the house'
ruled 'opened = "clear";'
run 0 --sender "carol@$partner" --rcpt "eve@elsewhere.example" <"$work/opened.eml"
grep -q 'only for alice' "$work/out.eml" || fail "clear: the text is gone"
want "clear: marks" "$(marks "$work/out.eml")" 0
ruled 'open = "if-possible"; opened = "original";'
"$builddir/sealgate" -c "$conf" check >/dev/null 2>"$work/bad.txt"
want "original without a directory" $? 78
match "original without a directory" "$(cat "$work/bad.txt")" 'forwarding.directory'
echo 'forwarding = { directory = "nowhere"; };' >>"$conf"
"$builddir/sealgate" -c "$conf" check >/dev/null 2>"$work/bad.txt"
want "a directory that is not there" $? 78
match "a directory that is not there" "$(cat "$work/bad.txt")" 'no directory called nowhere'
finish
