#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# sealgate-milter's own part: sockets, sessions, waiting, reload, stop; on a pipeline that obeys the sender.
. "$(dirname "$0")/lib.sh"

printf 'From: a@example.org\nSubject: test\nX-Twice: one\nX-Twice:two\n\nhello\n' >"$work/m.eml"
user=$(id -un)
mkdir -m 777 "$work/spool" # also for the user that it becomes
conf() {
	printf 'organisation = { name = "%s"; domains = ["example.org"]; };\nmilter = { user = "%s"; max_recipients = 3; max_message = "1M"; };\n%s\n' \
		"$1" "$user" "$2" >"$work/c.conf"
}
unix='services = ( { name = "all"; socket = "unix:run/m.sock"; } );'
sock=unix:$work/run/m.sock

up() {
	start gate "$builddir/fakegate" -c "$work/c.conf" -f
	gate=$pid
	wait_for 5 grep -q event=ready "$work/gate.log" || fail "did not become ready"
}

# refused WHAT SERVICES PATTERN: exit status 78 and a line that says where
refused() {
	conf X "$2"
	text=$("$builddir/fakegate" -c "$work/c.conf" -f 2>&1)
	want "$1" $? 78
	match "$1" "$text" "c.conf:[0-9]+: services.$3"
}
refused "mode for all" 'services = ( { name = "a"; socket = "unix:run/m.sock"; socket_mode = "0666"; } );' socket_mode
refused "wildcard" 'services = ( { name = "a"; socket = "inet:9999@0.0.0.0"; allow = ["127.0.0.1"]; } );' socket
refused "wildcard of IPv6" 'services = ( { name = "a"; socket = "inet:9999@::"; allow = ["127.0.0.1"]; } );' socket
refused "TCP without peers" 'services = ( { name = "a"; socket = "inet:9999@127.0.0.1"; } );' allow
refused "everybody as peer" 'services = ( { name = "a"; socket = "inet:9999@127.0.0.1"; allow = ["0.0.0.0/0"]; } );' allow
refused "same socket twice" 'services = ( { name = "a"; socket = "unix:run/m"; }, { name = "b"; socket = "unix:run/m"; } );' socket
chmod 777 "$work/run"
refused "folder for all" "$unix" socket
chmod 750 "$work/run"

rmdir "$work/spool"
conf X "$unix"
text=$("$builddir/fakegate" -c "$work/c.conf" -f 2>&1)
want "no folder for the spool" $? 78
match "no folder for the spool" "$text" 'milter.spool: .*/spool: No such file'
mkdir -m 777 "$work/spool"

conf First "$unix
trust = { crl_dir = \"no-lists\"; };"
up
match "a folder that is not there" "$(cat "$work/gate.log")" 'event=folder-not-there option=trust.crl_dir'
want "socket's mode" "$(stat -c %a "$work/run/m.sock")" 660
text=$("$builddir/fakegate" -c "$work/c.conf" -f 2>&1)
want "second instance" $? 78
match "second instance" "$text" 'another sealgate-milter'

# An MTA that tells nothing of the sender is served; one that did and does not now has told of somebody who logged in,
# perhaps: libmilter drops macros when it has no memory for them.
json=$(drive -S "$sock" --lose-macros M "$work/m.eml")
want "no macros ever" $? 0
json=$(drive -S "$sock" -u alice@example.org --qid 4XYZ --client-addr 192.0.2.77 -o "$work/o.eml" "$work/m.eml")
want "pass" $? 0
match "pass" "$json" '"changed":false'
cmp -s "$work/o.eml" "$work/m.eml" || fail "pass: changed"
match "identity and client" "$(cat "$work/gate.log")" 'event=mail identity=alice@example.org client=192.0.2.77'
match "queue id" "$(cat "$work/gate.log")" 'qid=4XYZ event=end'

drive -q -S "$sock" -f '<>' "$work/m.eml"
want "the null sender" $? 0
json=$(drive -S "$sock" -u alice@example.org --lose-macros M "$work/m.eml")
want "lost macros" $? 75
match "lost macros" "$json" '"stage":"R","code":451'
match "lost macros" "$(cat "$work/gate.log")" 'event=macros-lost service=all'

json=$(drive -S "$sock" -f '<edit@x>' --sender-args 'RET=FULL ENVID=me' -o "$work/o.eml" "$work/m.eml")
want "edits" $? 0
match "body first, then header, then envelope" "$json" '"actions":"bb+mmhie"'
match "RET with the old ENVID" "$json" '"sender":"<edit@x>","sender_args":"RET=HDRS ENVID=me"'
{
	printf 'X-First: 1\nFrom: a@example.org\nSubject: new subject\nX-Twice: one\nX-Added: one\n\ttwo\n\n'
	yes 'new body' | head -n 20000
} >"$work/want.eml"
cmp "$work/o.eml" "$work/want.eml" || fail "edits: wrong result"
drive -q -S "$sock" -f '<edit@x>' --protocol 0xfffff -o "$work/o.eml" "$work/m.eml"
cmp "$work/o.eml" "$work/want.eml" || fail "edits without leading blanks: wrong result"
json=$(drive -S "$sock" -f '<empty@x>' -o "$work/o.eml" "$work/m.eml")
want "empty body" "$(tail -n 1 "$work/o.eml")" ""

json=$(drive -S "$sock" -f '<refuse@x>' "$work/m.eml")
want "refusal" $? 65
match "refusal" "$json" '"text":"550 5.7.1 100% sure: no %s"'
for word in trouble toobig inject; do
	json=$(drive -S "$sock" -f "<$word@x>" "$work/m.eml")
	want "$word" $? 75
	match "$word: nothing was changed" "$json" '"changed":false'
done
json=$(drive -S "$sock" -f '<badsender@x>' "$work/m.eml")
match "bad sender, said at the recipient: nobody waits for an answer to MAIL" "$json" '"stage":"R","code":553'
json=$(drive -S "$sock" -r '<a@x>' -r '<bad@x>' "$work/m.eml")
match "bad recipient, said at the end" "$json" '"stage":"E","code":553'
json=$(drive -S "$sock" -r '<a@x>' -r '<b@x>' -r '<c@x>' -r '<d@x>' "$work/m.eml")
match "too many recipients" "$json" '"code":250.*"recipients":\["<a@x>","<b@x>","<c@x>"\]'
# sendmail(1), whose addresses come without brackets, can't send to the rest: no reply before the end, and then one for good.
json=$(drive -S "$sock" -f 'a@x' -r 'a@x' -r 'b@x' -r 'c@x' -r 'd@x' "$work/m.eml")
match "too many recipients by sendmail(1)" "$json" '"stage":"E","code":550,"text":"550 5.5.3 Too many recipients'
json=$(drive -S "$sock" --sender-args SIZE=2000000 "$work/m.eml")
match "announced size" "$json" '"stage":"R","code":552'
# Refused recipients of mail from sendmail(1) would stay in the queue; the message is refused, and the next one is not.
json=$(drive -S "$sock" -f 'badsender@x' -r 'bob@x' "$work/m.eml")
match "bad sender by sendmail(1)" "$json" '"stage":"E","code":553'
json=$(drive -S "$sock" -n 1 -m 1 -f '<badsender@x>' "$work/m.eml"; drive -q -S "$sock" "$work/m.eml" && echo next)
match "the next one" "$json" next
{ cat "$work/m.eml"; head -c 1500000 /dev/zero | tr '\0' x | fold; } >"$work/big.eml"
json=$(drive -S "$sock" "$work/big.eml")
match "real size" "$json" '"stage":"E","code":552'
drive -q -S "$sock" --protocol 0x7f --actions 0x3f --version 2 "$work/m.eml"
want "MTA that is too old" $? 75

# Whatever the MTA breaks: no crash, and the next message passes.
for cut in 3 20 60 150 200 260; do
	drive -q -S "$sock" --cut-after $cut "$work/m.eml" && fail "cut after $cut bytes: accepted"
done
for bytes in O:0000000141 M:000000014d R:0000000152 L:00000003 B:7fffffff42 E:000000017a M:0000000145 \
	L:0000000344780078 C:0000000143 R:000000054d3c3e0000; do
	drive -q -S "$sock" --timeout 2000 --inject "$bytes" "$work/m.eml" 
done
kill -0 "$gate" || fail "died of bad packets"
drive -q -S "$sock" "$work/m.eml"
want "after bad packets" $? 0

# One slow answer stalls nobody: whoever is left behind waits for another's whole 2 s.
for word in lookup work; do
	drive -S "$sock" -f "<$word@x>" -n 20 -m 1 "$work/m.eml" >"$work/slow" &
	slow=$!
	sleep 0.2
	drive -S "$sock" -n 4 -m 100 "$work/m.eml" >"$work/quick"
	wait "$slow"
	want "slow $word" $? 0
	at_most "slow $word: 20 sessions of 2 s" "$(field seconds <"$work/slow")" 3.9
	at_most "slow $word: the others (p50)" "$(field p50_ms <"$work/quick")" 900
	at_most "slow $word: the others (p99)" "$(field p99_ms <"$work/quick")" 1900
done

# A reload: what is under way keeps its configuration, a bad one is refused and changes nothing.
drive -S "$sock" -f '<work@x>' --qid OLD "$work/m.eml" >"$work/json" &
slow=$!
sleep 0.3
conf Second "$unix"
kill -USR1 "$gate"
wait_for 5 grep -q event=reloaded "$work/gate.log" || fail "no reload"
drive -q -S "$sock" --qid NEW "$work/m.eml"
wait "$slow"
want "message over a reload" $? 0
match "message over a reload" "$(cat "$work/gate.log")" 'qid=OLD event=end organisation=First'
match "message after a reload" "$(cat "$work/gate.log")" 'qid=NEW event=end organisation=Second'
conf Third 'nonsense = 1;'
kill -USR1 "$gate"
wait_for 5 grep -q 'event=reload-refused.*c.conf:3' "$work/gate.log" || fail "no word about a bad reload"
drive -q -S "$sock" --qid KEPT "$work/m.eml"
match "message after a refused reload" "$(cat "$work/gate.log")" 'qid=KEPT event=end organisation=Second'

# A stop with messages in flight.
conf First "$unix"
drive -S "$sock" -f '<lookup@x>' "$work/m.eml" >"$work/json1" &
one=$!
drive -S "$sock" -f '<work@x>' "$work/m.eml" >"$work/json2" &
two=$!
sleep 0.3
stop "$gate"
want "stop: exit status" "$status" 0
at_most "stop: milliseconds (libmilter alone takes 4600)" "$took" 4000
wait "$one"
want "waiting message is deferred" "$(field code <"$work/json1")" 451
wait "$two"
want "working message is deferred" "$(field code <"$work/json2")" 451
[ ! -e "$work/run/m.sock" ] || fail "the socket was left behind"
: >"$work/gate.log"
up
stop "$gate" HUP
at_most "stop while idle: milliseconds" "$took" 4000

# In the background: the program returns when the daemon serves, and with its status when it does not.
conf First "$unix"
"$builddir/fakegate" -c "$work/c.conf" >"$work/back.log" 2>&1
want "background" $? 0
back=$(cat "$work/run/m.sock.lock")
pids="$pids $back"
drive -q -S "$sock" "$work/m.eml"
want "background: serves" $? 0
"$builddir/fakegate" -c "$work/c.conf" >"$work/back.log" 2>&1
want "second one in the background" $? 78
kill "$back"
wait_for 8 sh -c "! kill -0 $back 2>/dev/null" || fail "background: does not stop"
"$builddir/fakegate" -c "$work/c.conf" -s other -f >"$work/back.log" 2>&1
want "service that is not there" $? 78

# As root: the socket is opened, then privileges go, and a reload still works.
if [ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1; then
	chown nobody "$work/run"
	chmod 755 "$work"
	user=nobody
	conf First 'services = ( { name = "all"; socket = "unix:run/m.sock"; socket_group = "daemon"; } );'
	chmod 644 "$work/c.conf"
	: >"$work/gate.log"
	up
	want "dropped: user" "$(ps -o user= -p "$gate" | tr -d ' ')" nobody
	want "dropped: socket" "$(stat -c '%U %G %a' "$work/run/m.sock")" "nobody daemon 660"
	kill -USR1 "$gate"
	wait_for 5 grep -q event=reloaded "$work/gate.log" || fail "dropped: no reload"
	drive -q -S "$sock" -f '<edit@x>' "$work/m.eml"
	want "dropped: serves" $? 0
	stop "$gate"
	[ ! -e "$work/run/m.sock" ] || fail "dropped: the socket was left behind"
	user=$(id -un)
	chown root "$work/run"
fi

# TCP: peers, and no 44 ms for each message. Two services are two processes.
a=$(free_port) b=$(free_port)
conf First "services = ( { name = \"a\"; socket = \"inet:$a@127.0.0.1\"; allow = [\"127.0.0.0/8\"]; },
	{ name = \"b\"; socket = \"inet:$b@127.0.0.1\"; allow = [\"192.0.2.0/24\"]; } );"
: >"$work/gate.log"
start gate "$builddir/fakegate" -c "$work/c.conf" -f
gate=$pid
wait_for 5 sh -c "[ \"\$(grep -c event=ready '$work/gate.log')\" = 2 ]" || fail "two services: not ready"
for try in 1 2 3; do # a delayed packet costs 44 ms each time, a busy machine only now and then
	drive -S "inet:$a@127.0.0.1" -f '<edit@x>' -n 1 -m 50 "$work/m.eml" >"$work/json"
	want "TCP" $? 0
	awk -v p50="$(field p50_ms <"$work/json")" 'BEGIN { exit !(p50 <= 40) }' && break
done
at_most "TCP: no delayed packets (p50)" "$(field p50_ms <"$work/json")" 40
drive -q -S "inet:$b@127.0.0.1" "$work/m.eml"
want "peer that is not in the list" $? 75
match "peer that is not in the list" "$(cat "$work/gate.log")" 'event=peer-refused service=b peer=::ffff:127.0.0.1'
child=$(grep 'event=ready service=a' "$work/gate.log" | sed 's/.*\[\([0-9]*\)\].*/\1/')
kill -9 "$child"
wait_for 5 drive -q -S "inet:$a@127.0.0.1" "$work/m.eml" || fail "a killed service was not started again"
stop "$gate"
want "two services: exit status" "$status" 0
at_most "two services: stop" "$took" 1500
finish
