#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What people are told by mail, through the daemons: a notice to the sender of a refused message, a report for recipients who were
# left out, an invitation and the news that it worked; with the port, the vault and the milter gone in between.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
port=$(free_port)
peer=$work/peer

peer_up() {
	mkdir -p "$peer"
	start peer "$builddir/fakesmtp" -s "$work/script" "$port" "$peer"
	peer_pid=$pid
	wait_for 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" || fail "fakesmtp did not start"
}

# message N: N messages have arrived; false: they have not
arrived() {
	[ -f "$peer/$1.eml" ] && [ -f "$peer/$1.env" ]
}

# take ADDRESS [SECONDS]: waits for a message for ADDRESS that was not taken yet, moves it to $work/got.eml and got.env
take() {
	rm -f "$work/got.eml" "$work/got.env"
	wait_for "${2:-10}" taken "$1"
}

taken() {
	local env
	for env in "$peer"/*.env; do
		[ -f "$env" ] && grep -qi "^RCPT TO:<$1>" "$env" && [ -f "${env%.env}.eml" ] || continue
		mv "$env" "$work/got.env" && mv "${env%.env}.eml" "$work/got.eml"
		return
	done
	return 1
}

# signed: got.eml is signed by office; its text in got.text
signed() {
	openssl cms -verify -in "$work/got.eml" -CAfile "$dir/ca.pem" -out "$work/got.text" -signer "$work/got.signer" 2>"$work/verify.log" &&
		openssl x509 -in "$work/got.signer" -noout -text | grep -q "email:office@$org"
}

# text: the text/plain parts of standard input, decoded
text() {
	perl -MMIME::QuotedPrint -MMIME::Base64 -0777 -ne 's/\r//g;
		while (/Content-Type: text\/plain[^\n]*\nContent-Transfer-Encoding: (\S+)\n\n(.*?)(?=\n--|\z)/sg) {
			print $1 eq "base64" ? decode_base64($2) : $1 eq "quoted-printable" ? decode_qp($2) : $2;
		}'
}

# restart the milter with what the configuration says now
milter_again() {
	stop "$milter" "${1:-TERM}"
	milter_up
}

# logged PATTERN: in the milter's log
logged() {
	grep -Eq -- "$1" "$work/milter.log"
}

# submit FILE RCPT… : as alice, by the driver; the JSON in $json
submit() {
	local file=$1
	shift
	number=$((number + 1))
	json=$(drive -S "$sock" -u "alice@$org" -f "<alice@$org>" "$@" --qid "Q$number" "$file")
}

made_gate alice office
: >"$work/script"
sed -i '/^notices = /d; s/^milter = {/milter = { refuse_at_rcpt = true;/' "$conf"
cat >>"$conf" <<E
port = { address = "inet:$port@127.0.0.1"; };
notices = { store = "state/notices.db"; from = "office@$org"; sign = true; language = "de+en"; check_interval = 1; per_day = 2; };
rules = (
	{ name = "early"; recipients = "@early.example"; direction = "outbound"; encrypt = "required"; invite = true; },
	{ name = "unsafe"; subject_mark = "[unsafe]"; direction = "outbound"; sign = "required"; unsafe = "refuse"; },
	{ name = "all-or-none"; subject_mark = "[all]"; direction = "outbound"; encrypt = "required"; invite = true; invite_language = "ja"; },
	{ name = "each"; subject_mark = "[each]"; direction = "outbound"; encrypt = "required"; if_missing = "refuse-recipient";
	  message = "Ask Bob."; }
);
E
peer_up
vault_up
partner_cert carol "carol@$partner" rsa:2048
partner_cert dave "dave@$partner" rsa:2048
gate cert add --anchor "$work/ca.pem" >/dev/null || fail "cert add --anchor"
gate cert add "$work/carol.pem" >/dev/null || fail "cert add"
milter_up
number=0
for mark in all each none; do
	printf 'From: Alice <alice@%s>\nTo: carol@%s, dave@%s\nSubject: [%s] plan\nMessage-ID: <%s@%s>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\nthe secret text\n' \
		"$org" "$partner" "$partner" "$mark" "$mark" "$org" >"$work/$mark.eml"
done

# Refused: a line for the program, a signed notice for Alice, an invitation for Dave; the port gets both, with the null sender.
submit "$work/all.eml" -r "<carol@$partner>" -r "<dave@$partner>"
want "refused" "$(field code <<<"$json")" 550
take "alice@$org" || fail "no notice"
grep -q '^MAIL FROM:<>' "$work/got.env" || fail "notice: not from the null sender"
grep -q '^RCPT TO:.* NOTIFY=NEVER' "$work/got.env" || fail "notice: a report about it is asked for"
signed || fail "notice: not signed by office"
grep -q '^Auto-Submitted: auto-generated' "$work/got.eml" || fail "notice: Auto-Submitted"
text <"$work/got.text" >"$work/text"
grep -q "dave@$partner" "$work/text" || fail "notice: does not name dave"
grep -q "carol@$partner" "$work/text" && fail "notice: carol is not the reason"
grep -q 'nicht gesendet' "$work/text" && grep -q 'was not sent' "$work/text" || fail "notice: not in both languages"
grep -q 'all-or-none' "$work/text" || fail "notice: no rule"
grep -q 'the secret text' "$work/got.eml" && fail "notice: has the message's text"
take "dave@$partner" || fail "no invitation"
signed || fail "invitation: not signed by office"
grep -q "^Reply-To: <alice@$org>" "$work/got.eml" || fail "invitation: the answer does not go to alice"
text <"$work/got.text" | grep -q '署名' || fail "invitation: not in the rule's language"
openssl cms -cmsout -in "$work/got.eml" -inform SMIME -print -noout 2>/dev/null | grep -q 'issuer: *O=' || fail "invitation: no chain"

# Again: one more notice, no more invitation; then the limit, which a restart does not forget.
submit "$work/all.eml" -r "<dave@$partner>"
take "alice@$org" || fail "no second notice"
milter_again
submit "$work/all.eml" -r "<dave@$partner>"
want "refused, the third time" "$(field code <<<"$json")" 550
wait_for 5 logged 'notice what=suppressed kind=refused .*why=limit' || fail "no limit"
logged 'notice what=suppressed kind=invite .*why=invited-already' || fail "invited twice"
take "dave@$partner" 1 && fail "invited twice"

# explain tells of the invitation and sends none.
gate explain --sender "alice@$org" --user "alice@$org" --rcpt "dave@$partner" <"$work/all.eml" >"$work/explain"
grep -q 'invite whoever has no certificate' "$work/explain" || fail "explain: no word of the invitation"

# Who is not logged in is not told, nor who sends for a list, nor the null sender.
json=$(drive -S "$sock" -f "<alice@$org>" -r "<dave@$partner>" "$work/all.eml")
sed 's/^Subject:/List-Id: <x.example>\n&/' "$work/all.eml" >"$work/list.eml"
submit "$work/list.eml" -r "<dave@$partner>"
take "alice@$org" 1 && fail "somebody was told who should not be"

# Refused for what is in it: the reason is nobody in particular, so all are named; the word is the one for that.
printf 'From: alice@%s\nTo: carol@%s\nSubject: [unsafe] x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: inner\n\n\303\244\n--b--\n' \
	"$org" "$partner" >"$work/unsafe.eml"
submit "$work/unsafe.eml" -r "<carol@$partner>"
want "refused for what is in it" "$(field code <<<"$json")" 550
take "alice@$org" && signed || fail "refused for what is in it: no notice"
text <"$work/got.text" | grep -q "cannot be signed safely" || fail "refused for what is in it: says something else"

# Refused when named: told as well, and invited.
submit "$work/none.eml" -r "<eve@early.example>"
want "refused when named" "$(field code <<<"$json")" 550
take "alice@$org" && signed || fail "refused when named: no notice"
text <"$work/got.text" | grep -q "refused before the message was" || fail "refused when named: says something else"
text <"$work/got.text" | grep -q "eve@early.example" || fail "refused when named: does not name eve"
take eve@early.example || fail "refused when named: not invited"

# Accepted, with somebody left out: Carol has her copy, Alice a report about Dave, unsigned, in the same words.
submit "$work/each.eml" --sender-args 'ENVID=QQ+2B314 RET=FULL' -r "<carol@$partner>" -r "<dave@$partner>" --rcpt-args 'NOTIFY=FAILURE ORCPT=rfc822;d+2Bd@x.example'
want "left out" "$(field code <<<"$json")" 250
take "carol@$partner" || fail "left out: carol's copy is not there"
take "alice@$org" || fail "no report"
grep -q '^MAIL FROM:<>' "$work/got.env" || fail "report: not from the null sender"
tr -d '\r' <"$work/got.eml" >"$work/report"
for line in 'Content-Type: multipart/report; report-type=delivery-status;' 'Auto-Submitted: auto-replied' \
	'Original-Envelope-Id: QQ+314' "Reporting-MTA: dns; $org" 'Original-Recipient: rfc822; d+d@x.example' \
	"Final-Recipient: rfc822; dave@$partner" 'Action: failed' 'Status: 5.7.1' 'Content-Type: text/rfc822-headers' \
	'Subject: [each] plan' 'In-Reply-To: <each@example.org>'; do
	grep -qxF -- "$line" "$work/report" || fail "report: no line \"$line\""
done
want "report: one recipient" "$(grep -c '^Final-Recipient:' "$work/report")" 1
text <"$work/report" | grep -q 'Ask Bob.' || fail "report: not the rule's own words"
grep -q 'the secret text' "$work/report" && fail "report: what had to be encrypted goes back in the clear"
submit "$work/each.eml" -r "<carol@$partner>" -r "<dave@$partner>" --rcpt-args 'NOTIFY=NEVER'
want "left out, NOTIFY=NEVER" "$(field code <<<"$json")" 250
take "carol@$partner" || fail "NOTIFY=NEVER: carol's copy is not there"
take "alice@$org" 1 && fail "NOTIFY=NEVER: told"
logged 'notice what=suppressed kind=failed .*why=notify' || fail "NOTIFY=NEVER: not logged"

# The port refuses one of two: the same, with its own words.
printf 'rcpt match=dave reply 550 5.1.1 no such person\n' >"$work/script"
sed 's/^Subject: .*/Subject: open/' "$work/none.eml" >"$work/open.eml"
submit "$work/each.eml" -r "<carol@$partner>" -r "<dave@$partner>"
take "carol@$partner" && take "alice@$org" || fail "refused by the port: no report"
: >"$work/script"

# Dave's certificate is learned: Alice hears of it once.
gate cert add "$work/dave.pem" >/dev/null || fail "cert add dave"
take "alice@$org" || fail "no news"
signed || fail "news: not signed"
text <"$work/got.text" | grep -q "^You wrote to dave@$partner" || fail "news: says something else"
take "alice@$org" 2 && fail "news: twice"

# The port and the vault are gone and the milter dies: the notice comes when they are back.
stop "$peer_pid"
stop "$vault"
sed -i 's/per_day = 2/per_day = 100/' "$conf"
kill -USR1 "$milter"
wait_for 10 logged event=reloaded || fail "no reload"
sed 's/^Subject:.*/Subject: [all] later/' "$work/all.eml" >"$work/later.eml"
vault_up
submit "$work/later.eml" -r "<eve@$partner>"
want "while the port is down" "$(field code <<<"$json")" 550
wait_for 10 logged 'notice what=later kind=refused' || fail "not tried"
stop "$milter" KILL
peer_up
# the second try is a minute after the first: the file's own times are moved instead of waiting
command -v sqlite3 >/dev/null && sqlite3 "$dir/state/notices.db" 'UPDATE outbox SET due = 0'
milter_up
if command -v sqlite3 >/dev/null; then
	take "alice@$org" || fail "lost: the notice"
	signed || fail "after trouble: not signed"
	take "eve@$partner" || fail "lost: the invitation"
fi
finish
