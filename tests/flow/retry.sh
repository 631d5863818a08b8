#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a client sends again after some copies went out: only what is missing goes, and never nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
[ -x "$builddir/fakesmtp" ] || skip "not built"
world
eve=eve@nowhere.example carol=carol@$partner bob=bob@$org
port=$(free_port)
journal=$dir/state/journal.db
cp "$conf" "$work/plain.conf"

# rules TEXT: these rules, and the port
rules() {
	{
		cat "$work/plain.conf"
		printf 'port = { address = "inet:%s@127.0.0.1"; end_timeout = "2s"; connections = 0; };\nrules = ( %s );\n' "$port" "$1"
	} >"$conf"
	local before
	before=$(grep -c event=reloaded "$work/milter.log")
	kill -USR1 "$milter"
	wait_for 5 sh -c "[ \$(grep -c event=reloaded '$work/milter.log') -gt $before ]" || fail "no reload"
}
none='{ name = "unused"; recipients = "@unused.example"; }'

# script LINE…: what the port does from now on, with an empty folder
script() {
	printf '%s\n' "$@" >"$work/script.new" && mv "$work/script.new" "$work/script"
	rm -f "$work"/port/*.env "$work"/port/*.eml
	: >"$work/port/dialogue"
}

# got: who has had messages since the script, in order of names
got() {
	sed -n 's/^RCPT TO:<\([^@>]*\)@.*/\1/p' "$work"/port/*.env 2>/dev/null | sort | tr '\n' ' ' | sed 's/ $//'
}

serial=0
mail() {
	serial=$((serial + 1))
	printf 'From: Alice <alice@%s>\nTo: %s, %s\nSubject: copies\nMessage-ID: <%d@%s>\n\nthe secret text\n' "$org" "$carol" "$eve" \
		"$serial" "$org" >"$work/mail.eml"
}

# send STATUS RCPT…: 0 accepted, 65 refused, 75 deferred
send() {
	local expected=$1 args=
	shift
	for rcpt; do
		args="$args -r <$rcpt>"
	done
	line=$(drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid "Q$serial.$RANDOM" $args "$work/mail.eml")
	want "mail $serial to $*" $? "$expected"
}

# events NAME: how many the milter has logged
events() {
	grep -c "event=$1" "$work/milter.log"
}

mkdir "$work/port"
script ""
start fakesmtp "$builddir/fakesmtp" -s "$work/script" "$port" "$work/port"
wait_for 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" 2>/dev/null || fail "the port did not start"
rules "$none"

# One is put off: the retry sends to that one only. The message sent once more goes to both.
mail
script "rcpt match=eve@ reply 450 4.2.0 not now"
send 75 "$carol" "$eve"
want "first try" "$(got)" carol
match "journal" "$(gate journal --json)" '"entries":1,"in_doubt":0,"oldest":"20'
script ""
send 0 "$carol" "$eve"
want "second try" "$(got)" eve
match "second try" "$line" '"discarded":true'
match "journal" "$(gate journal --json)" '"entries":0,"in_doubt":0'
script ""
send 0 "$carol" "$eve"
want "sent again on purpose" "$(got)" "carol eve"

# No reply to the end of data: in doubt, sent again, and the log says so.
mail
script "end match=x close" "end times=1 take-close"
send 75 "$carol" "$eve"
first=$(got)
match "journal: in doubt" "$(gate journal)" '^in doubt  1$'
script ""
before=$(events maybe-duplicate)
send 0 "$carol" "$eve"
want "in doubt" "$first" carol
want "in doubt: sent again" "$(got)" "carol eve"
want "in doubt: told" "$(($(events maybe-duplicate) - before))" 1

# The same when the port takes the recipients of a copy one by one: the first has it, the other may have it.
sed -i 's/connections = 0;/& recipients = 1;/' "$conf"
stop "$milter"
milter_up
mail
script "" "" "end times=1 reply 250 2.0.0 ok" "end times=1 take-close"
send 75 "$eve" "dave@nowhere.example" "$carol"
script ""
before=$(events maybe-duplicate)
send 0 "$eve" "dave@nowhere.example" "$carol"
want "in doubt, one by one: sent again" "$(got)" dave
want "in doubt, one by one: told" "$(($(events maybe-duplicate) - before))" 1
rules "$none"

# The recipients of the retry are others.
mail
script "rcpt match=eve@ reply 450 4.2.0 not now"
send 75 "$carol" "$eve"
script ""
send 0 "$carol" "$bob" "$carol"
want "others, one of them twice" "$(got)" bob
script ""
send 0 "$eve" "$eve"
want "the one who was left out" "$(got)" ""
match "the one who was left out is alone: no copies" "$line" '"discarded":false'

# Two alerts of a program that gives no Message-ID, with the same text: the second one is no retry of the first.
mail
sed -i '/^Message-ID/d; s/^Subject: .*/Subject: disk one/' "$work/mail.eml"
script "rcpt match=eve@ reply 450 4.2.0 not now"
send 75 "$carol" "$eve"
sed -i 's/^Subject: .*/Subject: disk two/' "$work/mail.eml"
send 75 "$carol" "$eve"
want "another alert" "$(got)" "carol carol"
script ""
send 0 "$carol" "$eve"
want "another alert: retry" "$(got)" eve
sed -i 's/^Subject: .*/Subject: disk one/' "$work/mail.eml"
script ""
send 0 "$carol" "$eve"
want "the first alert: retry" "$(got)" eve

# try STATUS QUEUE-ID OPTIONS…: the message to carol and eve
try() {
	local expected=$1 qid=$2
	shift 2
	line=$(drive -S "$sock" -f "<alice@$org>" "$@" --qid "$qid" -r "<$carol>" -r "<$eve>" "$work/mail.eml")
	want "$qid" $? "$expected"
}

# The same Message-ID, but another text, another ENVID or another login: no retry.
mail
script "rcpt match=eve@ reply 450 4.2.0 not now"
try 75 T1 --sender-args ENVID=one -u "alice@$org"
cp "$work/mail.eml" "$work/first.eml"
script ""
sed -i 's/^the secret text/another text/' "$work/mail.eml"
try 0 T2 --sender-args ENVID=one -u "alice@$org"
want "another text" "$(got)" "carol eve"
cp "$work/first.eml" "$work/mail.eml"
script ""
try 0 T3 --sender-args ENVID=two -u "alice@$org"
want "another ENVID" "$(got)" "carol eve"
script ""
try 0 T4 --sender-args ENVID=one -u "bob@$org"
want "another login" "$(got)" ""
match "another login: no copies" "$line" '"discarded":false'
try 0 T5 --sender-args ENVID=one -u "alice@$org"
want "the first one's retry" "$(got)" eve

# The MTA gives the message a Message-ID of its queue id, another one each time: a retry all the same.
mail
sed -i "s/^Message-ID: .*/Message-ID: <20261122.T6@mta.$org>/" "$work/mail.eml"
script "rcpt match=eve@ reply 450 4.2.0 not now"
try 75 T6 -u "alice@$org"
sed -i 's/T6@/T7@/' "$work/mail.eml"
script ""
try 0 T7 -u "alice@$org"
want "a Message-ID of the MTA's" "$(got)" eve

# The rules changed, so that one copy would do for all: it is still a retry.
mail
script "rcpt match=eve@ reply 450 4.2.0 not now"
send 75 "$carol" "$eve"
rules '{ name = "all-clear"; direction = "outbound"; }'
script ""
send 0 "$carol" "$eve"
want "other groups" "$(got)" eve
match "other groups" "$line" '"discarded":true'
rules "$none"

# The rules changed, so that all would be refused: who has it, has it; the sender hears of the rest.
mail
script "rcpt match=eve@ reply 450 4.2.0 not now"
send 75 "$carol" "$eve"
rules '{ name = "strict"; recipients = "@nowhere.example"; encrypt = "required"; }'
script ""
send 0 "$carol" "$eve"
match "refused by now" "$line" '"discarded":true'
match "refused by now: a report" "$(tail -n 20 "$work/milter.log")" 'event=notice .*what='
send 65 "$carol" "$eve"
rules "$none"

# Refused by the port when the encrypted copy is long there: the report does not carry the text out.
sed -i 's/^notices = {/& return_full = true;/' "$work/plain.conf"
grep -q return_full "$work/plain.conf" || fail "no return_full"
rules "$none"
mail
script "rcpt match=eve@ reply 450 4.2.0 not now"
send 75 "$carol" "$eve"
script "rcpt match=eve@ reply 550 5.1.1 no such person"
drive -S "$sock" -f "<alice@$org>" --sender-args RET=FULL -u "alice@$org" --qid R -r "<$carol>" -r "<$eve>" "$work/mail.eml" >/dev/null
want "refused later" $? 0
wait_for 10 sh -c "grep -q '^RCPT TO:<alice@' '$work'/port/*.env" || fail "refused later: no report"
grep -q 'the secret text' "$work"/port/*.eml && fail "refused later: what was encrypted goes back in the clear"

# Killed while the second copy is under way: the first is known, the second in doubt.
mail
script "rcpt match=eve@ hang"
args="-r <$carol> -r <$eve>"
drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid K $args "$work/mail.eml" >/dev/null 2>&1 &
client=$!
wait_for 10 grep -q 'RCPT TO:<eve@' "$work/port/dialogue" || fail "the second copy was not begun"
kill -9 "$milter"
wait "$client" "$milter" 2>/dev/null
milter_up
script ""
before=$(events known-duplicate)
send 0 "$carol" "$eve"
want "killed midway" "$(got)" eve
want "killed midway: known" "$(($(events known-duplicate) - before))" 1
want "killed midway: maybe" "$(grep -c 'event=maybe-duplicate rcpt=eve@' "$work/milter.log")" 1

# The journal is deleted, damaged, can't be written: deferred or sent twice, never lost, and it heals.
mail
script "rcpt match=eve@ reply 450 4.2.0 not now"
send 75 "$carol" "$eve"
rm "$journal"
script ""
send 0 "$carol" "$eve"
want "deleted" "$(got)" "carol eve"
want "deleted: told" "$(events journal-lost)" 1
mail
script ""
stop "$milter"
printf 'junk junk junk junk junk junk' | dd of="$journal" conv=notrunc 2>/dev/null
rm -f "$journal-wal" "$journal-shm"
milter_up
for try in 1 2 3; do
	drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid D$try -r "<$carol>" -r "<$eve>" "$work/mail.eml" >/dev/null && break
done
at_most "damaged: tries" "$try" 2
want "damaged" "$(got)" "carol eve"
[ -f "$journal.damaged" ] || fail "the damaged journal is not beside the new one"
want "damaged: told" "$(events journal-damaged)" 1
mv "$dir/state" "$dir/state.away"
mail
script ""
send 75 "$carol" "$eve"
want "no folder" "$(got)" ""
send 0 "$carol"
mv "$dir/state.away" "$dir/state"
send 0 "$carol" "$eve"
want "the folder is back" "$(got)" "carol eve"

# Behind a gate the login is the stamp's: a retry is one whatever the rules say by then.
cp "$work/plain.conf" "$conf"
sed -i "s|^services = (|&\\n\\t{ name = \"gate\"; role = \"gate\"; socket = \"unix:$dir/run/gate.sock\"; },|; s/role = \"all\";/& stamps = \"check\";/" "$conf"
gate check >/dev/null || fail "check"
cp "$conf" "$work/plain.conf"
stop "$milter"
milter_up
rules "$none"
mail
gate process --service gate --sender "alice@$org" --user "alice@$org" --rcpt "$carol" <"$work/mail.eml" >"$work/stamped.eml" ||
	fail "no stamp"
stamped() {
	line=$(drive -S "$sock" -f "<alice@$org>" --qid "S$RANDOM" -r "<$carol>" -r "<$eve>" "$work/stamped.eml")
	want "stamped" $? "$1"
}
script "rcpt match=eve@ reply 450 4.2.0 not now"
stamped 75
want "stamped: first try" "$(got)" carol
rules '{ name = "all-clear"; direction = "outbound"; }'
script ""
stamped 0
want "stamped: other groups" "$(got)" eve
finish
