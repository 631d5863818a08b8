#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What people are told, with a real Postfix behind the re-injection port and preferredLanguage in a real slapd.
. "$(dirname "$0")/world.sh"
for need in postfix smtp-sink saslpasswd2; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
WORLD_EDIT='/^notices = /d'
ports() {
	P=$W/postfix
	mkdir -p "$P" && postfix_ports "$P"
}

# person NAME [LANGUAGE]
person() {
	printf 'dn: cn=%s,dc=people,dc=test\nobjectClass: inetOrgPerson\ncn: %s\nsn: %s\nmail: %s@local.test\n' "$1" "$1" "$1" "$1"
	[ $# -lt 2 ] || printf 'preferredLanguage: %s\n' "$2"
	echo
}

# subject FILE: decoded
subject() {
	perl -MEncode -0777 -ne 'binmode STDOUT, ":utf8"; s/\r//g; s/\n[ \t]+/ /g; print decode("MIME-Header", $1) if /^Subject: (.*)$/m' "$1"
}

# header FILE PATTERN: in the header
header() {
	sed '/^\r*$/q' "$1" | grep -Eq "$2"
}

world
ports
{
	ldif_suffix dc=people,dc=test
	person alice 'fr, de-AT;q=0.7, en;q=0.3'
	person bob ja
	person office
} >"$W/people.ldif"
slapd_up "$W/people" dc=people,dc=test "$W/people.ldif" || exit 1
cp "$P/port.password" "$W/port.password" && chmod 600 "$W/port.password"
sed -i "s|^directories = ( {|directories = ( { name = \"people\"; uri = \"$(cat "$W/people/uri")\"; base = \"dc=people,dc=test\"; certificates = false; }, {|
	s|encrypt = \"required\"; sign = \"required\"; message|encrypt = \"required\"; sign = \"required\"; invite = true; message|" "$conf"
cat >>"$conf" <<E
port = { address = "inet:$(cat "$P/reinject")@127.0.0.1"; user = "gate@localhost"; password_file = "$W/port.password"; };
notices = { store = "state/notices.db"; from = "office@local.test"; sign = true; directory = "people"; check_interval = 1; };
E
sed -i 's|^rules = ( {|rules = ( { name = "each"; subject_mark = "[each]"; direction = "outbound"; encrypt = "required"; sign = "required"; if_missing = "refuse-recipient"; }, {|' "$conf"
owner=$(stat -c %U "$W/sealgate/spool")
chown "$owner" "$W/port.password"
process_down "$W/run" milter
milter_up || exit 1
postfix_up "$P" "submission_milters = unix:$W/sealgate/run/milter.sock" || exit 1
for name in alice bob office; do
	postfix_user "$P" "$name@local.test" pw || exit 1
done
submission=$(cat "$P/submission")
sink=$P/sink alice_box=$P/mail/alice@local.test/new bob_box=$P/mail/bob@local.test/new

# A notice to Alice in German, to Bob in Japanese, to office, who has no language, in English.
letter alice@local.test dave@elsewhere.test "[confidential] Angebot" "the price is 40,000" >"$W/letter"
check "refused" not send "$submission" alice@local.test dave@elsewhere.test "$W/letter" --auth alice@local.test:pw
check "alice: told" take "$alice_box" "$W/got"
same "alice: in German" "Nicht gesendet: [confidential] Angebot" "$(subject "$W/got")"
check "alice: signed" signed_by "$W/got" dave@elsewhere.test office@local.test
check "alice: not to be answered" header "$W/got" '^Auto-Submitted: auto-generated'
check "alice: the null sender" header "$W/got" '^Return-Path: <>'
check "alice: no text of hers" not grep -q 40,000 "$W/got"
check "dave: invited" take "$sink" "$W/got"
check "dave: signed" signed_by "$W/got" alice@local.test office@local.test
check "dave: answers alice" header "$W/got" '^Reply-To: <alice@local.test>'
letter bob@local.test dave@elsewhere.test "[confidential] x" "the price is 40,000" >"$W/letter"
check "refused again" not send "$submission" bob@local.test dave@elsewhere.test "$W/letter" --auth bob@local.test:pw
check "bob: told" take "$bob_box" "$W/got"
same "bob: in Japanese" "送信されませんでした: [confidential] x" "$(subject "$W/got")"
check "dave: not invited again" not take "$sink" "$W/got" 1

# Carol gets hers, Alice a report about Dave that Postfix delivers like any other.
letter alice@local.test carol@partner.test "[each] Angebot" "the price is 40,000" >"$W/letter"
check "accepted" send "$submission" alice@local.test carol@partner.test "$W/letter" --to dave@elsewhere.test --auth alice@local.test:pw
check "carol: hers" take "$sink" "$W/got"
check "carol: encrypted" opens_for_carol "$W/got" "the price is 40,000" alice@local.test
check "alice: a report" take "$alice_box" "$W/got"
same "alice: the report in German" "Nicht zugestellt: [each] Angebot" "$(subject "$W/got")"
check "alice: it is one" header "$W/got" 'multipart/report; report-type=delivery-status'
check "alice: about dave" grep -q '^Final-Recipient: rfc822; dave@elsewhere.test' "$W/got"
check "alice: about nobody else" not grep -q '^Final-Recipient: rfc822; carol' "$W/got"
check "alice: no text in the report" not grep -q 40,000 "$W/got"
check "dave: nothing" not has_file "$sink"

# Dave's certificate appears: both who wrote to him hear of it, once.
pki_person "$W/partner" dave dave@elsewhere.test || exit 1
gate cert add --anchor "$W/partner/ca.pem" --domain elsewhere.test >>"$W/init.log" 2>&1
gate cert add "$W/partner/dave.pem" >>"$W/init.log" 2>&1 || { echo "FAILED: cert add"; bad=1; }
check "alice: news" take "$alice_box" "$W/got"
same "alice: the news in German" "dave@elsewhere.test kann nun verschlüsselte E-Mail bekommen" "$(subject "$W/got")"
check "bob: news" take "$bob_box" "$W/got"
check "alice: once" not take "$alice_box" "$W/got" 2
check "nothing else was sent" not has_file "$sink"
finish
