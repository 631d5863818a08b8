#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copies through the port: real milter and vault, a port that does what a script says.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
[ -x "$builddir/fakesmtp" ] || skip "not built"

made_gate alice bob
vault_up
for name in alice bob; do
	staff_cert $name
done
partners carol dave grace
eve=eve@nowhere.example
port=$(free_port)
cat >>"$conf" <<END
port = { address = "inet:$port@127.0.0.1"; };
rules = (
	{ name = "must"; header = "X-Rule: must"; sign = "required"; encrypt = "required"; if_missing = "refuse-recipient";
	  direction = "outbound"; },
	{ name = "sealed"; header = "X-Rule: sealed"; encrypt = "required"; if_missing = "refuse-recipient"; direction = "outbound"; },
	{ name = "safe"; header = "X-Rule: safe"; sign = "required"; unsafe = "refuse"; direction = "internal"; }
);
END

script() {
	printf '%s\n' "$@" >"$work/script"
}

# port_up: a fresh one, its messages in port/
port_up() {
	rm -rf "$work/port"
	mkdir "$work/port"
	start fakesmtp "$builddir/fakesmtp" -s "$work/script" "$port" "$work/port"
	peer=$pid
	wait_for 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" 2>/dev/null || fail "the port did not start"
}

port_down() {
	stop "$peer"
}

# taken: how many messages the port has, but for what people are told
taken() {
	grep -L '^MAIL FROM:<>' "$work/port"/*.env 2>/dev/null | wc -l
}

# told NUMBER: so many mails about mails are at the port; until then one could come in between
told() {
	wait_for 20 bash -c "[ \$(grep -l '^MAIL FROM:<>' '$work/port'/*.env 2>/dev/null | wc -l) = $1 ]" ||
		fail "not $1 mails about mails at the port"
}

# copy_for ADDRESS: the number of the message that the port took for it
copy_for() {
	grep -l "RCPT TO:<$1>" "$work/port"/*.env | sed 's/.*\/\([0-9]*\)\.env/\1/' | tr '\n' ' ' | sed 's/ $//'
}

# mail [HEADER…]: alice's in mail.eml, another one each time
serial=0
mail() {
	serial=$((serial + 1))
	{
		printf 'From: Alice <alice@%s>\n' "$org"
		for line; do
			printf '%s\n' "$line"
		done
		printf 'Subject: copies\nDate: Sun, 22 Nov 2026 00:00:00 +0000\nMessage-ID: <%d@%s>\n\nthe secret text\n' "$serial" "$org"
	} >"$work/mail.eml"
}

# send STATUS RCPT…: alice sends mail.eml; the driver's line in $line
send() {
	local expected=$1 args=
	shift
	for rcpt; do
		args="$args -r <$rcpt>"
	done
	line=$(drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid "Q$serial" --helo client.example \
		--client-name client.example --client-addr 192.0.2.7 $more $args "$work/mail.eml")
	want "send $*" $? "$expected"
}

# envelope NUMBER WORD…: the message's envelope has each of the patterns in a line
envelope() {
	local number=$1
	shift
	for pattern; do
		grep -Eq -- "$pattern" "$work/port/$number.env" ||
			fail "envelope $number has no \"$pattern\": $(cat "$work/port/$number.env")"
	done
}

# logged PATTERN: within a moment
logged() {
	wait_for 5 grep -Eq -- "$1" "$work/milter.log" || fail "not in the log: $1"
}

c=carol@$partner d=dave@$partner g=grace@$partner b=bob@$org

# Different treatment: a copy each, with all that the client said; the original is thrown away.
script ""
port_up
milter_up
mail "To: $c, $d" "Cc: $b"
line=$(drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid Q1 --helo client.example --client-name client.example \
	--client-addr 192.0.2.7 --sender-args 'SIZE=400 RET=FULL ENVID=xyz BODY=8BITMIME' \
	-r "<$c>" --rcpt-args 'NOTIFY=FAILURE,DELAY ORCPT=rfc822;c+2Bx@orig.example' -r "<$d>" \
	-r "<$b>" --rcpt-args 'NOTIFY=NEVER' "$work/mail.eml")
want "two copies" $? 0
match "two copies" "$line" '"discarded":true.*"actions":""'
want "two copies: at the port" "$(taken)" 2
want "carol and dave share one" "$(copy_for $c)" "$(copy_for $d)"
one=$(copy_for $c) two=$(copy_for $b)
envelope "$one" "^MAIL FROM:<alice@$org>.* RET=FULL" 'ENVID=xyz' "^RCPT TO:<$c> NOTIFY=FAILURE,DELAY ORCPT=rfc822;c\+2Bx@orig.example" \
	"^RCPT TO:<$d>\$" '^XFORWARD .*ADDR=192.0.2.7.*IDENT=Q1'
envelope "$two" "^RCPT TO:<$b> NOTIFY=NEVER"
for n in "$one" "$two"; do
	match "copy $n: our Received: with the queue id" "$(head -n 3 "$work/port/$n.eml" | tr -d '\r\n')" \
		'^Received: from client.example \(client.example \[192.0.2.7\]\).*id Q1;'
	match "copy $n: loop mark" "$(sed -n 4p "$work/port/$n.eml")" "^X-Sealgate-Loop: $org; h=[0-9a-f]{16}"
done
announced=$(sed -n 's/^MAIL.* SIZE=\([0-9]*\).*/\1/p' "$work/port/$one.env")
want "the announced size is exact" "$announced" "$(wc -c <"$work/port/$one.eml")"
openssl cms -decrypt -in "$work/port/$one.eml" -recip "$work/dave.pem" -inkey "$work/dave.key" -out "$work/inner" \
	2>>"$work/openssl.log" || fail "dave cannot open the copy"
grep -q 'the secret text' "$work/port/$one.eml" && fail "in the clear"
openssl cms -verify -in "$work/port/$two.eml" -CAfile "$dir/ca.pem" -purpose any -out /dev/null 2>>"$work/openssl.log" ||
	fail "bob's copy does not verify"
logged 'qid=Q1 event=sealed rcpt=carol@.* how=sign\+encrypt .*copy=1'

# A copy that comes back is a loop; the same from a mailing list, or of another sender, is none.
line=$(drive -S "$sock" -f "<alice@$org>" -r "<$b>" --crlf "$work/port/$two.eml")
want "a copy comes back" $? 65
match "a copy comes back" "$line" '"text":"554 5.4.6 Mail loop'
logged 'error=loop'
drive -S "$sock" -f "<list-bounces@lists.example>" -r "<$b>" --crlf "$work/port/$two.eml" >/dev/null
want "from a list" $? 0

# The same for all: edited in place, the port has nothing to do.
before=$(taken)
mail "To: $c"
send 0 "$c"
match "one group" "$line" '"discarded":false.*"body_changed":true|"body_changed":true.*"discarded":false'
want "one group: the port" "$(taken)" "$before"

# Hidden recipients: nobody sees the other's name, in the envelope of the mail or of S/MIME.
mail "To: $c"
send 0 "$c" "$d" "$g"
want "hidden: a copy each" "$(($(taken) - before))" 3
for name in carol dave grace; do
	n=$(copy_for "$name@$partner" | sed 's/.* //')
	want "hidden: $name's envelope" "$(grep -c '^RCPT' "$work/port/$n.env")" 1
	want "hidden: $name's RecipientInfos" "$(openssl cms -cmsout -print -noout -in "$work/port/$n.eml" | grep -c 'serialNumber:')" 1
	openssl cms -decrypt -in "$work/port/$n.eml" -recip "$work/$name.pem" -inkey "$work/$name.key" -out /dev/null \
		2>>"$work/openssl.log" || fail "hidden: $name cannot open it"
done

# One is refused by the port: the others have it, the sender is told.
port_down
script "rcpt match=dave reply 550 5.1.1 no such user"
port_up
mail "To: $c" "Cc: $b"
send 0 "$c" "$d" "$b"
want "one refused: copies" "$(taken)" 2
logged "qid=Q$serial event=refused rcpt=$d .*reply=550"
logged "qid=Q$serial event=notice what=(kept|sent) .*alice@$org"
told 1

# NOTIFY=NEVER: nobody is told. All refused: the refusal itself.
mail "To: $c"
line=$(drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid QNEVER -r "<$c>" -r "<$b>" -r "<$d>" \
	--rcpt-args NOTIFY=NEVER "$work/mail.eml")
want "NOTIFY=NEVER" $? 0
logged "qid=QNEVER event=refused rcpt=$d"
grep -Eq 'qid=QNEVER event=notice what=(kept|sent)' "$work/milter.log" && fail "NOTIFY=NEVER: the sender is told"
port_down
script "rcpt reply 550 5.1.1 no such user"
port_up
mail "To: $c"
send 65 "$c" "$b"
match "all refused" "$line" '"text":"550 5.1.1 '

# Refused by our rule: the rest by copy, the refused one in a report.
port_down
script ""
port_up
mail "To: $c, $eve" "X-Rule: must"
send 0 "$c" "$eve"
match "refuse-recipient" "$line" '"discarded":true'
want "refuse-recipient: one copy" "$(taken) $(copy_for $c)" "1 1"
logged "qid=Q$serial event=refused rcpt=$eve rule=must .*reply=550"
logged "qid=Q$serial event=notice what=(kept|sent) .*alice@$org"
told 1
send 65 "$eve"
match "refuse-recipient, nobody left" "$line" '"text":"550 5.7.1 '

# One copy can't be made after another has left: its recipients are in a report, the message is no refusal.
mail "To: $c" "Cc: $b" "X-Rule: safe" "MIME-Version: 1.0" "Content-Type: message/rfc822"
printf 'Subject: inner\n\n\303\244\n' >>"$work/mail.eml"
before=$(taken)
send 0 "$c" "$b"
want "one cannot be made: the other" "$(($(taken) - before))" 1
logged "qid=Q$serial event=refused rcpt=$b rule=safe .*reply=550"
logged "qid=Q$serial event=notice what=(kept|sent) .*alice@$org"
told 3

# The port is down: deferred, and no key is used for it; later everything goes, once.
intents() {
	grep -h '"type":"intent"' "$dir"/ledger/*.jsonl | wc -l
}
port_down
mail "To: $c" "Cc: $b"
before=$(intents)
send 75 "$c" "$b"
match "port down" "$line" '"text":"451 4\.[0-9.]+ '
want "port down: uses of keys" "$(intents)" "$before"
port_up
send 0 "$c" "$b"
want "after that" "$(taken)" 2

# The port goes in the middle: the next try sends only what is missing.
port_down
script "mail nth=2 reply 451 4.3.0 later"
port_up
mail "To: $c" "Cc: $b"
send 75 "$c" "$b"
want "half: the port has one" "$(taken)" 1
send 0 "$c" "$b"
want "half: the other one" "$(taken)" 2
want "half: carol once" "$(copy_for $c)" 1
logged "qid=Q$serial event=known-duplicate rcpt=$c"
# The same mail again on purpose is another mail.
send 0 "$c" "$b"
want "on purpose" "$(taken)" 4

# No answer to the end of a copy: in doubt, so it is sent again, and the log says so.
port_down
script "end nth=1 take-close"
port_up
mail "To: $c" "Cc: $b"
send 75 "$c" "$b"
send 0 "$c" "$b"
want "in doubt: sent again" "$(taken) $(copy_for $c | wc -w)" "3 2"
logged 'event=maybe-duplicate'

# The milter dies between two copies.
port_down
script "mail nth=2 hang"
port_up
mail "To: $c" "Cc: $b"
drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid "Q$serial" -r "<$c>" -r "<$b>" "$work/mail.eml" >"$work/killed.json" &
driver=$!
second() {
	[ "$(grep -c '^MAIL' "$work/port/dialogue")" = 2 ]
}
wait_for 10 second || fail "killed: no second copy was begun"
stop "$milter" KILL
wait "$driver"
want "killed: deferred" $? 75
port_down
script ""
mv "$work/port" "$work/port.killed"
port_up
milter_up
send 0 "$c" "$b"
want "killed: only the second one" "$(cat "$work/port.killed"/*.env "$work/port"/*.env | grep '^RCPT' | sort | tr '\n' ' ')" \
	"RCPT TO:<$b> RCPT TO:<$c> "

# A stop in the middle: 451, and what is missing goes the next time.
port_down
script "mail nth=2 hang"
port_up
mail "To: $c" "Cc: $b"
drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid "Q$serial" -r "<$c>" -r "<$b>" "$work/mail.eml" >"$work/stopped.json" &
driver=$!
wait_for 10 second || fail "stopped: no second copy was begun"
stop "$milter"
wait "$driver"
want "stopped: deferred" $? 75
port_down
script ""
port_up
milter_up
send 0 "$c" "$b"
want "stopped: only the second one" "$(taken) $(copy_for $b)" "1 1"

# Time is over after the first copy: what was begun is finished, the rest goes with the next try. While a copy takes long
# the MTA hears that we are still at it.
port_down
script "end nth=1 slow 5600"
port_up
sed -i '/^milter = {/s/^milter = {/milter = { end_timeout = "2s";/' "$conf"
grep -q end_timeout "$conf" || printf 'milter = { end_timeout = "2s"; };\n' >>"$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reloaded "$work/milter.log" || fail "no reload"
mail "To: $c" "Cc: $b"
send 75 "$c" "$b"
want "time is over: one is there" "$(taken)" 1
match "time is over: the MTA was told to wait" "$line" '"progress":1'
send 0 "$c" "$b"
want "time is over: the other one" "$(taken) $(copy_for $b)" "2 2"
script ""

# SMTPUTF8, which the header may need when no address does.
mail "To: $c" "Cc: $b"
line=$(drive -S "$sock" -f "<alice@$org>" --sender-args SMTPUTF8 -u "alice@$org" --qid QU -r "<$c>" -r "<$b>" "$work/mail.eml")
want "SMTPUTF8" $? 0
n=$(copy_for $c)
envelope "${n##* }" '^MAIL FROM:.* SMTPUTF8'

# The null sender: copies, but nobody to tell, so refuse-recipient refuses all.
mail "To: $c, $eve" "X-Rule: sealed"
before=$(taken)
line=$(drive -S "$sock" -f "<>" --qid QN -r "<$c>" -r "<$eve>" "$work/mail.eml")
want "null sender" $? 65
match "null sender" "$line" '"text":"550 5.7.1 .*eve@nowhere.example'
want "null sender: nobody has it" "$(taken)" "$before"
send 0 "$c" "$eve"
want "a sender who can be told" "$(taken)" "$((before + 1))"

# In: opened for its owner, as it came for the other, who has no right.
printf 'Content-Type: text/plain\n\nfrom outside\n' >"$work/in.txt"
{
	printf 'From: carol@%s\nTo: alice@%s\nSubject: in\nMessage-ID: <in@x>\n' "$partner" "$org"
	openssl cms -encrypt -aes256 -in "$work/in.txt" "$work/alice.cert" 2>/dev/null
} >"$work/mail.eml"
port_down
port_up
line=$(drive -S "$sock" -f "<$c>" --sender-args 'RET=FULL' --qid QI -r "<alice@$org>" -r "<$b>" "$work/mail.eml")
want "in" $? 0
want "in: copies" "$(taken)" 2
n=$(copy_for "alice@$org")
grep -q 'from outside' "$work/port/$n.eml" || fail "in: not opened for alice"
envelope "$n" 'RET=HDRS'
n=$(copy_for "$b")
grep -q 'from outside' "$work/port/$n.eml" && fail "in: opened for bob"
envelope "$n" 'RET=FULL'
sed '1,4d' "$work/port/$n.eml" | cmp -s - <(sed 's/$/\r/' "$work/mail.eml") || fail "in: bob's copy was changed"

# Without a port it is as before, and the log says what would help.
port_down
sed -i '/^port = /d' "$conf"
stop "$milter"
milter_up
mail "To: $c" "Cc: $b"
send 65 "$c" "$b"
match "no port" "$line" '"text":"550 5.7.1 .*separately'
logged 'event=not-split .*port'
finish
