#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What is left alone on its way out, bit for bit, and what only says that it ought to be.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice bob
vault_up
for who in alice bob; do
	staff_cert $who
done
gate cert add --anchor "$dir/ca.pem" >/dev/null
partners carol dave
staff="--sender alice@$org --user alice@$org"

# try WHAT RULE RECIPIENT: in.eml, whose rule has to be RULE; "left" means bit for bit
try() {
	local what=$1 rule=$2 rcpt=$3
	sed 's/\r$//; s/$/\r/' "$work/in.eml" >"$work/in.crlf"
	"$builddir/sealgate" -c "${with:-$conf}" process ${login-$staff} --rcpt "$rcpt" <"$work/in.crlf" >"$work/out.eml" \
		2>"$work/out.json"
	want "$what" $? 0
	match "$what" "$(cat "$work/out.json")" "\"rule\":\"$rule\""
	if [ "$rule" = shipped-outbound ] || [ "$rule" = shipped-internal ] || [ "$rule" = must ]; then
		cmp -s "$work/in.crlf" "$work/out.eml" && fail "$what: left alone"
		[ "$rule" = shipped-internal ] || ! grep -aq 'the secret text' "$work/out.eml" ||
			fail "$what: in the clear"
	else
		cmp -s "$work/in.crlf" "$work/out.eml" || fail "$what: not left alone"
	fi
}

fields() {
	printf 'From: alice@%s\nTo: carol@%s\nSubject: x\nDate: Sun, 22 Nov 2026 01:00:00 +0000\nMIME-Version: 1.0\n' "$org" "$partner"
}

# Enveloped by the sender's own program: for whom?
printf 'Content-Type: text/plain\n\nthe secret text\n' >"$work/text"
openssl cms -encrypt -aes-256-cbc -in "$work/text" "$work/carol.pem" 2>/dev/null | grep -v '^MIME-Version' >"$work/for-carol"
openssl cms -encrypt -aes-256-cbc -in "$work/text" -keyid "$work/carol.pem" 2>/dev/null | grep -v '^MIME-Version' >"$work/for-keyid"
openssl cms -encrypt -aes-256-cbc -in "$work/text" "$work/bob.cert" 2>/dev/null | grep -v '^MIME-Version' >"$work/for-bob"
{ fields; cat "$work/for-carol"; } >"$work/in.eml"
try "enveloped for carol" shipped-signed "carol@$partner"
try "enveloped for carol, to dave" shipped-outbound "dave@$partner"
try "enveloped for carol, to bob" shipped-internal "bob@$org"
cp "$work/in.eml" "$work/carol.eml"
{ fields; cat "$work/for-keyid"; } >"$work/in.eml"
try "enveloped by key identifier" shipped-signed "carol@$partner"
{ fields; sed 's/application\/x\{0,1\}-\{0,1\}pkcs7-mime; smime-type=enveloped-data;/application\/octet-stream;/' "$work/for-carol"; } >"$work/in.eml"
grep -q octet-stream "$work/in.eml" || fail "octet-stream: the fixture is not"
try "enveloped, octet-stream" shipped-signed "carol@$partner"
{ fields; cat "$work/for-bob"; } >"$work/in.eml"
try "enveloped for bob" shipped-signed "bob@$org"
try "enveloped for bob, to carol" shipped-outbound "carol@$partner"

# Plain text that says it is enveloped.
{ fields; printf 'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\nthe secret text\n'; } >"$work/in.eml"
try "fake, plain" shipped-outbound "carol@$partner"
{ fields; printf 'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n'
	base64 "$work/text"; } >"$work/in.eml"
try "fake, base64" shipped-outbound "carol@$partner"
{ fields; printf 'Content-Type: application/octet-stream; name=smime.p7m\n\nthe secret text\n'; } >"$work/in.eml"
try "fake, octet-stream" shipped-outbound "carol@$partner"
{ cat "$work/carol.eml"; printf '\nthe secret text\n'; } >"$work/in.eml"
try "text behind base64" shipped-outbound "carol@$partner"
sed '12a\
暗号化されていない' "$work/carol.eml" >"$work/in.eml"
try "8-bit text between base64" shipped-outbound "carol@$partner"
# The object itself: cut, longer than it says, without recipients, with content of another length.
sed -n '/^$/,$p' "$work/carol.eml" | base64 -d -i >"$work/carol.der"
raw() {
	fields
	printf 'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n'
	base64
}
size=$(stat -c %s "$work/carol.der")
raw <"$work/carol.der" >"$work/in.eml"
try "the object again" shipped-signed "carol@$partner"
head -c $((size - 1)) "$work/carol.der" | raw >"$work/in.eml"
try "cut by a byte" shipped-outbound "carol@$partner"
head -c 100 "$work/carol.der" | raw >"$work/in.eml"
try "cut" shipped-outbound "carol@$partner"
{ cat "$work/carol.der"; printf 'the secret text'; } | raw >"$work/in.eml"
try "bytes behind the object" shipped-outbound "carol@$partner"
# In pieces, so that no other length depends on that of the content: one block of it, then a byte less, then none.
printf 'short\n' | openssl cms -encrypt -aes256 -stream -indef -outform DER -out "$work/pieces.der" "$work/carol.pem" 2>/dev/null
size=$(stat -c %s "$work/pieces.der")
want "one block in one piece" "$(tail -c 28 "$work/pieces.der" | head -c 2 | od -An -tx1)" " 04 10"
raw <"$work/pieces.der" >"$work/in.eml"
try "in pieces" shipped-signed "carol@$partner"
{ head -c $((size - 28)) "$work/pieces.der"; printf '\004\017'; tail -c 26 "$work/pieces.der" | head -c 15; tail -c 10 "$work/pieces.der"; } |
	raw >"$work/in.eml"
try "a byte less than a block" shipped-outbound "carol@$partner"
{ head -c $((size - 28)) "$work/pieces.der"; tail -c 10 "$work/pieces.der"; } | raw >"$work/in.eml"
try "no content" shipped-outbound "carol@$partner"
openssl cms -data_create -in "$work/text" -outform DER 2>/dev/null | raw >"$work/in.eml"
try "data, not enveloped" shipped-outbound "carol@$partner"
openssl crl2pkcs7 -nocrl -certfile "$work/carol.pem" -outform DER | raw >"$work/in.eml"
try "certificates" shipped-outbound "carol@$partner"

# Signed by the sender's own program, clear and opaque; and what only says so.
openssl cms -sign -in "$work/text" -signer "$work/carol.pem" -inkey "$work/carol.key" 2>/dev/null >"$work/signed"
{ fields; grep -v '^MIME-Version' "$work/signed"; } >"$work/in.eml"
try "clear-signed" shipped-signed "dave@$partner"
awk '/^Content-Type: application\/.*signature/ { cut = 1 } cut && /^M/ { $0 = "AAAA" substr($0, 5) } { print }' \
	"$work/in.eml" >"$work/bad.eml"
cmp -s "$work/bad.eml" "$work/in.eml" && fail "the signature was not damaged"
mv "$work/bad.eml" "$work/in.eml"
try "no signature in it" shipped-outbound "dave@$partner"
{ fields; openssl cms -sign -nodetach -in "$work/text" -signer "$work/carol.pem" -inkey "$work/carol.key" 2>/dev/null |
	grep -v '^MIME-Version'; } >"$work/in.eml"
try "opaque-signed" shipped-signed "dave@$partner"
sed '$d' "$work/in.eml" | sed '$d' >"$work/cut.eml"
mv "$work/cut.eml" "$work/in.eml"
try "opaque-signed, cut" shipped-outbound "dave@$partner"

# The other kinds.
plain() {
	fields
	printf "$@"
	printf '\nthe secret text\n'
}
kind() {
	local what=$1 rule=$2
	shift 2
	plain "$@" >"$work/in.eml"
	try "$what" "$rule" "carol@$partner"
}
kind plain shipped-outbound 'Content-Type: text/plain\n'
kind pgp shipped-pgp 'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\n'
kind calendar shipped-calendar 'Content-Type: text/calendar\n'
kind tnef shipped-tnef 'Content-Type: application/ms-tnef\n'
kind report shipped-report 'Content-Type: multipart/report; report-type=delivery-status; boundary=b\n'
kind list-id shipped-list 'List-Id: <a.example.org>\n'
kind list-post shipped-list 'List-Post: <mailto:a@example.org>\n'
kind auto-reply shipped-auto-reply 'Auto-Submitted: auto-replied\n'
kind "dkim, ours" shipped-dkim 'DKIM-Signature: v=1; a=rsa-sha256; d = %s; s=x;\n\tb=AAAA\n' "$org"
kind "dkim, somebody else's" shipped-outbound 'DKIM-Signature: v=1; a=rsa-sha256; d=%s; i=@%s; s=x;\n\tb=AAAA\n' "$partner" "$org"
printf '# lists\ncarol@%s\n@lists.%s\n' "$partner" "$org" >"$dir/lists"
{ cat "$conf"; echo 'policy = { list_map = "lists"; };'; } >"$dir/lists.conf"
with=$dir/lists.conf
kind "to a list" shipped-to-list 'Content-Type: text/plain\n'
try "not to a list" shipped-outbound "dave@$partner"
login="--sender owner@lists.$org --user alice@$org" try "from a list" shipped-list "dave@$partner"

# A rule that requires encryption comes first, whatever the message says it is.
{ cat "$conf"; echo 'rules = ( { name = "must"; recipients = "@partner.example"; encrypt = "required"; } );'; } >"$dir/must.conf"
with=$dir/must.conf
for field in 'Content-Type: text/calendar' 'List-Id: <a.example.org>' 'Auto-Submitted: auto-replied' \
	'Content-Type: application/pkcs7-mime; smime-type=enveloped-data' 'Content-Type: multipart/encrypted; boundary=b' \
	'Content-Type: multipart/report; boundary=b' "DKIM-Signature: d=$org"; do
	kind "must: $field" must "$field\n"
done
finish
