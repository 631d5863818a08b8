#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One person written in many ways: the same outcome. And header fields as nobody should write them.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

long64=$(printf 'l%.0s' $(seq 1 64))
printf 'a.lias@%s alice@%s\n' "$org" "$org" >"$work/aliases"
world
sed -i "s|^organisation = {|&\n\talias_map = \"$work/aliases\";|" "$conf"
gate key new "$long64@$org" >/dev/null || fail "key new, 64 octets"
gate key new "o'brien@$org" >/dev/null || fail "key new, apostrophe"
for who in alice "$long64" "o'brien"; do
	staff_cert "$who"
done
partner_cert carrier 'a..b.@docomo.example' rsa:2048
partner_cert dotted '.a@docomo.example' rsa:2048
partner_cert long "$long64@$partner" rsa:2048
partner_cert quoted 'two words@partner.example' rsa:2048
printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\n' >"$work/utf8.ext"
printf 'subjectAltName=@alt\n[alt]\notherName=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:用户@partner.example\n' >>"$work/utf8.ext"
openssl req -newkey rsa:2048 -nodes -keyout "$work/utf8.key" -out "$work/utf8.csr" -subj /CN=utf8 2>/dev/null
openssl x509 -req -in "$work/utf8.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 20 -sha256 \
	-extfile "$work/utf8.ext" -out "$work/utf8.pem" 2>/dev/null
for who in carrier dotted long quoted utf8; do
	gate cert add "$work/$who.pem" >/dev/null || fail "cert add $who"
done
stop "$milter"
milter_up

# drives OPTIONS…: the message in.eml through the daemon, result in out.eml
drives() {
	rm -f "$work/out.eml"
	drive -q --crlf -S "$sock" -o "$work/out.eml" "$@" "$work/in.eml" >>"$work/drive.log" 2>&1
}

count() {
	openssl cms -cmsout -print -in "$work/out.eml" 2>/dev/null | grep -c 'd.ktri\|d.kari'
}

opens() {
	openssl cms -decrypt -in "$work/out.eml" -recip "$work/$2.pem" -inkey "$work/$2.key" -out "$work/inner" \
		2>>"$work/openssl.log" || fail "$1: $2 cannot open it"
	grep -q 'the secret text' "$work/inner" || fail "$1: $2 reads something else"
}

plain() {
	printf 'From: alice@%s\r\nTo: %b\r\nSubject: x\r\nDate: Sun, 22 Nov 2026 01:00:00 +0000\r\n\r\nthe secret text\r\n' "$org" "$1" >"$work/in.eml"
}

# --- recipients outside: each way of writing is sealed for the same certificate
outside() {
	local who=$1 form
	shift
	for form; do
		plain "<$form>"
		drives -u "alice@$org" -f "<alice@$org>" -r "<$form>" || fail "to $form: the driver says $?"
		opens "to $form" "$who"
		want "to $form: RecipientInfos" "$(count)" 1
	done
}
outside carol "carol@$partner" "CAROL@Partner.Example" "\"carol\"@$partner" 'carol@ｐａｒｔｎｅｒ.example'
outside carrier 'a..b.@docomo.example' '"a..b."@docomo.example' 'A..B.@DOCOMO.example'
outside dotted '.a@docomo.example' '".a"@docomo.example'
outside long "$long64@$partner" "\"$long64\"@$partner"
outside quoted "\"two words\"@$partner" "\"two\\ words\"@$partner"
outside utf8 "用户@$partner" "\"用户\"@$partner"
plain "<carol@$partner>"
drives -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" -r "<carol@$partner>" -r "<\"Carol\"@$partner>" || fail "thrice: $?"
opens "thrice" carol
want "thrice: RecipientInfos" "$(count)" 1

# Named in To: in whichever way, so not a blind copy: one message for both.
for to in "carol@$partner, long <$long64@$partner>" "carol (x) @ (y) $partner,\r\n\t$long64@$partner" \
	"\"carol\"@$partner, \"$long64\"@$partner" "both: carol@$partner, $long64@$partner;" \
	"=?utf-8?q?Carol?= <CAROL@PARTNER.EXAMPLE>, <$long64@$partner>" \
	"\033\$B\"<@,\033(B <carol@$partner>, $long64@$partner"; do
	plain "$to"
	drives -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" -r "<$long64@$partner>" || fail "To: $to: the driver says $?"
	opens "To: $to" carol
	opens "To: $to" long
	want "To: $to: RecipientInfos" "$(count)" 2
done

# --- our own, inbound: opened for each way of writing the owner, and for nobody else
inbound() {
	local who=$1 form
	shift
	{
		printf 'From: carol@%s\nTo: x@%s\nSubject: in\nMIME-Version: 1.0\n' "$partner" "$org"
		printf 'Content-Type: text/plain\n\nthe secret text\n' | openssl cms -encrypt -aes-256-cbc "$work/$who.cert" 2>/dev/null |
			grep -v '^MIME-Version'
	} | sed 's/\r$//; s/$/\r/' >"$work/in.eml"
	for form; do
		drives -f "<carol@$partner>" -r "<$form>" || fail "inbound to $form: the driver says $?"
		grep -q 'the secret text' "$work/out.eml" || fail "inbound to $form: not opened"
	done
	drives -f "<carol@$partner>" -r "<bob@$org>" || fail "inbound to bob: the driver says $?"
	grep -q 'the secret text' "$work/out.eml" && fail "inbound: $who's mail opened for bob"
}
inbound alice "alice@$org" "ALICE@EXAMPLE.ORG" "\"alice\"@$org" "alice+news@$org" "a.lias@$org" "\"a.lias\"@$org" \
	"A.Lias+x@$org" 'alice@ｅｘａｍｐｌｅ.org'
inbound "$long64" "$long64@$org" "\"$long64\"@$org" "$long64+x@$org"
inbound "o'brien" "o'brien@$org" "\"o'brien\"@$org" "O'Brien+a+b@$org"

# --- fields that are long, 8-bit, or there twice: signed and sealed all the same, and the field is as it was
shape() {
	local what=$1 kept=$2
	drives -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" || fail "$what: the driver says $?"
	openssl cms -decrypt -in "$work/out.eml" -recip "$work/carol.pem" -inkey "$work/carol.key" -out "$work/inner" \
		2>>"$work/openssl.log" || fail "$what: carol cannot open it"
	openssl cms -verify -in "$work/inner" -CAfile "$dir/ca.pem" -purpose any -out "$work/text" 2>>"$work/openssl.log" ||
		fail "$what: not signed"
	grep -q 'the secret text' "$work/text" || fail "$what: carol reads something else"
	sed -n "/^$kept:/,/^[A-Z]/p" "$work/in.eml" | sed '$d' >"$work/before"
	sed -n "/^$kept:/,/^[A-Z]/p" "$work/out.eml" | sed '$d' >"$work/after"
	[ -s "$work/before" ] && cmp -s "$work/before" "$work/after" || fail "$what: the field changed"
}
field() {
	printf 'From: alice@%s\r\nTo: carol@%s\r\nX-Field: ' "$org" "$partner"
	cat
	printf '\r\nSubject: x\r\nDate: Sun, 22 Nov 2026 01:00:00 +0000\r\nMIME-Version: 1.0\r\n\r\nthe secret text\r\n'
}
for size in 998 32768 33000 60000 61000 65535 70000; do
	head -c "$size" /dev/zero | tr '\0' x | field >"$work/in.eml"
	shape "a field of $size bytes" X-Field
	head -c "$size" /dev/zero | tr '\0' x | fold -w 70 | sed '2,$s/^/ /; $!s/$/\r/' | field >"$work/in.eml"
	shape "a folded field of $size bytes" X-Field
done
seq 1 3000 | sed 's/.*/X-&: x\r/' >"$work/many"
{ sed -n '1,2p' "$work/in.eml"; cat "$work/many"; printf 'X-Field: y\r\nSubject: x\r\n\r\nthe secret text\r\n'; } >"$work/many.eml"
mv "$work/many.eml" "$work/in.eml"
shape "3,000 fields" X-Field
printf 'Gr\374\337e \377\376 \201' | field >"$work/in.eml"
shape "8-bit" X-Field
printf '\033$B0E9f2=\033(B "<@,' | field >"$work/in.eml"
shape "ISO-2022-JP" X-Field
# A Content-Type with 8-bit bytes can't be signed clear: opaque then.
sed 's/^MIME-Version: 1.0/&\r\nContent-Type: text\/plain; name="Gr\xfc\xdfe.txt"/' "$work/in.eml" >"$work/type.eml"
mv "$work/type.eml" "$work/in.eml"
shape "8-bit in Content-Type" X-Field
# Several From: fields: nobody is signed for, the rest of the rules stand.
{ printf 'From: bob@%s\r\n' "$org"; cat "$work/in.eml"; } >"$work/two.eml"
mv "$work/two.eml" "$work/in.eml"
drives -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" || fail "two From:"
cmp -s "$work/in.eml" "$work/out.eml" || fail "two From: not left alone"
finish
