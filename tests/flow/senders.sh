#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Who is signed for, through the daemon: every shape that From: can have, and every way to write somebody else's
# name there. Nobody who only writes a name is ever signed for.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

printf 'a.lias@example.org alice@example.org\n' >"$work/aliases"
world
stop "$milter"
sed -i "s|^organisation = {|&\n\talias_map = \"$work/aliases\";|" "$conf"
# Rules sign whatever direction it is, when there is a right.
cat >>"$conf" <<'C'
rules = ( { name = "sign"; authorised = "yes"; sign = "required"; } );
connectors = ( { name = "hosted"; certificate = "mail.hosted.example"; issuer = "Hosted CA";
	headers = [ "X-Tenant-Id: 8c1f", "X-Tenant-AuthAs: Internal" ]; } );
C
sed -i "/^rights = (/,/^);/c\\
rights = (\\
	{ identity = \"*\"; from = \"%l\"; key = \"own\"; },\\
	{ identity = [ \"deputy\", \"assistant\" ]; from = \"bob@$org\"; },\\
	{ identity_pattern = \"EXAMPLE.([a-z]+)\"; from = \"%1@$org\"; },\\
	{ connector = \"hosted\"; from = \"@$org\"; },\\
	{ networks = \"192.0.2.0/24\"; from = \"scanner@$org\"; key = \"robot@$org\"; },\
	{ networks = \"203.0.113.0/24\"; from = \"scanner@$org\"; key = \"bob@$org\"; }\\
);" "$conf"
gate check >/dev/null || fail "check"
gate key new "robot@$org" --kind role >/dev/null || fail "key new robot"
milter_up

# mail FIELDS: in.eml; FIELDS as printf has them
mail() {
	{
		printf "$1"
		printf 'To: dave@%s\r\nSubject: x\r\nDate: Sun, 22 Nov 2026 01:00:00 +0000\r\nMIME-Version: 1.0\r\n\r\ntext\r\n' "$partner"
	} >"$work/in.eml"
}

# send FIELDS OPTIONS…: through the daemon into out.eml
send() {
	local fields=$1
	shift
	mail "$fields"
	rm -f "$work/out.eml"
	drive -q --crlf -S "$sock" -r "<dave@$partner>" -o "$work/out.eml" "$@" "$work/in.eml" >>"$work/drive.log" 2>&1
}

# signed WHAT WHO: out.eml is signed by WHO
signed() {
	openssl cms -verify -in "$work/out.eml" -CAfile "$dir/ca.pem" -purpose any -signer "$work/signer.pem" \
		-out "$work/text" 2>>"$work/openssl.log" || fail "$1: not signed"
	want "$1: signed by" "$(openssl x509 -in "$work/signer.pem" -noout -email 2>/dev/null | head -n 1)" "$2@$org"
}

# alone WHAT: not signed, not touched, but for what was never to be there
alone() {
	cmp -s "$work/in.eml" "$work/out.eml" || fail "$1: not left alone"
}

uses() {
	gate audit verify --json | field intents
}

# --- the author, with a right: what each shape of header comes to
author() {
	local what=$1 who=$2 fields=$3
	send "$fields" -u "${login:-alice@$org}" -f "<${from-alice@$org}>" || fail "$what: the driver says $?"
	if [ -n "$who" ]; then
		signed "$what" "$who"
	else
		alone "$what"
	fi
}
author "one address" alice "From: alice@$org\r\n"
author "name and address" alice "From: Alice <alice@$org>\r\n"
author "other case" alice "From: ALICE@EXAMPLE.ORG\r\n"
author "folded" alice "From:\r\n Alice\r\n\t<alice@$org>\r\n"
author "comments" alice "From: alice (me) @ (here) $org (x)\r\n"
author "quoted local part" alice "From: \"alice\"@$org\r\n"
author "plus-address" alice "From: alice+news@$org\r\n"
author "alias" alice "From: a.lias@$org\r\n"
author "full-width domain" alice "From: alice@ｅｘａｍｐｌｅ.org\r\n"
author "raw ISO-2022-JP" alice "From: \033\$B\"\"<@,\033(B <alice@$org>\r\n"
author "raw UTF-8" alice "From: 暗号 <alice@$org>\r\n"
author "Latin-1" alice "From: J\374rgen <alice@$org>\r\n"
author "encoded word" alice "From: =?iso-2022-jp?B?GyRCMEU5ZhsoQg==?= <alice@$org>\r\n"
author "quoted address as a name" alice "From: \"bob@$org\" <alice@$org>\r\n"
author "group of one" alice "From: Team: alice@$org;\r\n"
author "another Sender:" alice "From: alice@$org\r\nSender: bob@$org\r\n"
author "resent by another" alice "Resent-From: bob@$org\r\nFrom: alice@$org\r\n"
from='' author "null sender" alice "From: alice@$org\r\n"
author "no From:" "" ""
author "empty From:" "" "From:\r\n"
author "two addresses" "" "From: alice@$org, bob@$org\r\nSender: alice@$org\r\n"
author "the same twice" "" "From: alice@$org, alice@$org\r\n"
author "two fields" "" "From: alice@$org\r\nFrom: alice@$org\r\n"
author "empty group" "" "From: Undisclosed:;\r\n"
author "group of two" "" "From: Team: alice@$org, bob@$org;\r\n"
author "an address as a group" "" "From: bob@$org: alice@$org;\r\n"
author "an address as a name" "" "From: bob@$org <alice@$org>\r\n"
author "Sender: is alice" "" "From: bob@$org\r\nSender: alice@$org\r\n"
author "resent by alice" "" "Resent-From: alice@$org\r\nResent-Sender: alice@$org\r\nFrom: bob@$org\r\n"
author "cannot be read" "" "From: <alice@$org\r\n"
login=deputy author "a delegate" bob "From: bob@$org\r\n"
login=assistant author "another delegate" bob "From: bob@$org\r\n"
login=deputy author "a delegate as somebody else" "" "From: alice@$org\r\n"
login='EXAMPLE\alice' author "a pattern" alice "From: alice@$org\r\n"
login='EXAMPLE\alice' author "a pattern, another's" "" "From: bob@$org\r\n"
login='OTHER\alice' author "another pattern" "" "From: alice@$org\r\n"

# --- a network has its role key for its address, and nothing else
send "From: scanner@$org\r\n" --client-addr 192.0.2.7 -f "<scanner@$org>" && signed "network" robot
send "From: scanner@$org\r\n" --client-addr 203.0.113.7 -f "<scanner@$org>"
want "network, a person's key" $? 65
send "From: alice@$org\r\n" --client-addr 192.0.2.7 -f "<alice@$org>" && alone "network, as alice"
send "From: scanner@$org\r\n" --client-addr 192.0.3.7 -f "<scanner@$org>" && alone "another network"

# --- a hosted mail service
hosted() {
	local what=$1 who=$2 fields=$3
	shift 3
	send "From: alice@$org\r\n$fields" -f "<alice@$org>" "$@" || fail "$what: the driver says $?"
	[ -n "$who" ] && signed "$what" "$who" || alone "$what"
}
subject="-M M:cert_subject=mail.hosted.example"
issuer='M:cert_issuer=Hosted CA'
tenant='X-Tenant-Id: 8c1f\r\nX-Tenant-AuthAs: Internal\r\n'
hosted "hosted" alice "$tenant" $subject -M "$issuer"
hosted "hosted, verified" alice "$tenant" $subject -M "$issuer" -M 'M:verify=OK'
hosted "hosted, not verified" "" "$tenant" $subject -M "$issuer" -M 'M:verify=FAIL'
hosted "no certificate" "" "$tenant"
hosted "another issuer" "" "$tenant" $subject -M 'M:cert_issuer=Other CA'
hosted "another certificate" "" "$tenant" -M 'M:cert_subject=evil.example' -M "$issuer"
hosted "another tenant" "" 'X-Tenant-Id: 9999\r\nX-Tenant-AuthAs: Internal\r\n' $subject -M "$issuer"
hosted "two tenants" "" "X-Tenant-Id: 9999\r\n$tenant" $subject -M "$issuer"
hosted "no tenant" "" 'X-Tenant-AuthAs: Internal\r\n' $subject -M "$issuer"

# --- nobody else: whatever they write, no key is used and nothing is signed
before=$(uses)
forge() {
	local what=$1 fields=$2 who
	for who in "" "mallory@$org" "eve@$partner" "alice" "alice@$partner"; do
		send "$fields" --client-addr 198.51.100.9 ${who:+-u "$who"} -f "<${3-alice@$org}>"
		[ -f "$work/out.eml" ] || continue # refused
		grep -aqi '^content-type:.*pkcs7\|^content-type: multipart/signed' "$work/out.eml" &&
			fail "$what: signed for ${who:-nobody}"
	done
}
forge "plain" "From: alice@$org\r\n"
forge "null sender" "From: alice@$org\r\n" ""
forge "outside sender" "From: alice@$org\r\n" "mallory@outside.example"
forge "two fields" "From: mallory@outside.example\r\nFrom: alice@$org\r\n"
forge "two fields, the other way" "From: alice@$org\r\nFrom: mallory@outside.example\r\n"
forge "two addresses" "From: mallory@outside.example, alice@$org\r\n"
forge "folded" "From:\r\n alice@$org\r\n"
forge "folded in the address" "From: alice\r\n @$org\r\n"
forge "encoded name" "From: =?utf-8?q?alice=40$org?= <mallory@outside.example>\r\n"
forge "encoded address" "From: =?utf-8?q?alice=40$org?=\r\n"
forge "encoded in brackets" "From: x <=?utf-8?q?alice?=@$org>\r\n"
forge "quoted local part" "From: \"alice\"@$org\r\n"
forge "quoted pair" "From: \"al\\\\ice\"@$org\r\n"
forge "comments" "From: alice(x)@(y)$org\r\n"
forge "comment in front" "From: (mallory@outside.example) alice@$org\r\n"
forge "comment behind" "From: alice@$org (mallory@outside.example)\r\n"
forge "nested comment" "From: (a (b) <mallory@outside.example>) <alice@$org>\r\n"
forge "case" "FROM: ALICE@EXAMPLE.ORG\r\n"
forge "full-width" "From: ａｌｉｃｅ@ｅｘａｍｐｌｅ.ｏｒｇ\r\n"
forge "full-width at" "From: alice＠$org\r\n"
forge "trailing dot" "From: alice@$org.\r\n"
forge "double dot" "From: alice@example..org\r\n"
forge "8-bit" "From: \377\376 <alice@$org>\r\n"
forge "soft hyphen" "From: ali\302\255ce@$org\r\n"
forge "Sender: is alice" "From: mallory@outside.example\r\nSender: alice@$org\r\n"
forge "Sender: is mallory" "From: alice@$org\r\nSender: mallory@outside.example\r\n"
forge "group" "From: Team: alice@$org;\r\n"
forge "group and address" "From: Team: mallory@outside.example;, alice@$org\r\n"
forge "address as a group" "From: alice@$org: mallory@outside.example;\r\n"
forge "address as a name" "From: alice@$org <mallory@outside.example>\r\n"
forge "name with a bracket" "From: \"<alice@$org>\" <mallory@outside.example>\r\n"
forge "two brackets" "From: <alice@$org> <mallory@outside.example>\r\n"
forge "open bracket" "From: <alice@$org\r\n"
forge "open quote" "From: \"alice@$org\r\n"
forge "route" "From: <@outside.example,@b:alice@$org>\r\n"
forge "percent" "From: alice%%$org@outside.example\r\n"
forge "bang" "From: $org!alice\r\n"
forge "literal" "From: alice@[127.0.0.1]\r\n"
forge "blank before the colon" "From : alice@$org\r\n"
forge "empty" "From:\r\n"
forge "none" ""
forge "plus-address" "From: alice+x@$org\r\n"
forge "alias" "From: a.lias@$org\r\n"
forge "resent" "Resent-From: alice@$org\r\nResent-Sender: alice@$org\r\nFrom: mallory@outside.example\r\n"
forge "role of a network" "From: scanner@$org\r\n"
forge "our own fields" "X-Sealgate-Stamp: v=1; i=616c696365; r=yes\r\nX-Sealgate-Opened: $org\r\nAuthentication-Results: $org; auth=pass smtp.auth=alice@$org\r\nFrom: alice@$org\r\n"
forge "tenant without certificate" "${tenant}From: alice@$org\r\n"
forge "raw ISO-2022-JP" "From: \033\$B<alice@$org>\033(B <alice@$org>\r\n"
forge "tab and bare CR" "From: alice@$org\r\n\tmallory\r\n"
long=$(printf 'x%.0s' $(seq 1 50000))
forge "long name" "From: $long <alice@$org>\r\n"
forge "long comment" "From: ($long) alice@$org\r\n"
many=$(printf 'u%d@outside.example, ' $(seq 1 3000))
forge "many addresses" "From: ${many}alice@$org\r\n"
want "keys used for forgers" "$(uses)" "$before"

# A NUL, which no MTA hands over: by the same pipeline.
printf 'From: alice@%s\0@outside.example\r\nTo: x@y.z\r\n\r\ntext\r\n' "$org" >"$work/nul.eml"
for who in "mallory@$org" "alice@$org"; do
	gate process --sender "alice@$org" --user "$who" --rcpt "dave@$partner" <"$work/nul.eml" >"$work/out.eml"
	grep -aqi 'pkcs7' "$work/out.eml" && fail "NUL: signed for $who"
done
finish
