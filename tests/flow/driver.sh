#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The test MTA itself against a milter that does nothing, or everything once; and the pool that is kicked.
. "$(dirname "$0")/lib.sh"

printf 'From: a@example.org\nSubject: test\nX-Twice: one\nX-Twice:two\nX-Fold: a\n\tb\n c\n\nhello\n.\nworld\n' >"$work/m.eml"

# null [OPTIONS]: a new do-nothing milter at $sock
null() {
	sock=$work/run/null.sock
	rm -f "$sock"
	start null "$builddir/nullmilter" "$@" "unix:$sock"
	wait_for 5 drive --probe -S "unix:$sock" || fail "nullmilter did not start"
}

null
for version in 6 3 2; do
	drive -S "unix:$sock" --version $version -o "$work/out.eml" "$work/m.eml" >"$work/json"
	want "version $version" $? 0
	cmp -s "$work/out.eml" "$work/m.eml" || fail "version $version: the message was changed"
	match "version $version" "$(cat "$work/json")" '"changed":false'
done
drive -q -S "unix:$sock" --cut-after 100 "$work/m.eml"
want "cut connection" $? 75
drive -q -S "unix:$sock" --inject L:0000000000 "$work/m.eml"
want "packet of no length" $? 75
drive -q -S "unix:$sock" "$work/m.eml"
want "after bad packets" $? 0
stop "$pid" KILL

null -a edit
drive -S "unix:$sock" -r '<gone@example.org>' -r '<stay@example.org>' --sender-args 'RET=FULL ENVID=x' \
	-o "$work/out.eml" "$work/m.eml" >"$work/json"
want "edits: accepted" $? 0
printf 'X-First: first\nFrom: a@example.org\nSubject: changed\nX-Twice: one\nX-Fold: a\n\tb\n c\nX-Added: 1\n\tfolded\nX-New: at the end\n\nnew body\nnew body\n' >"$work/want.eml"
cmp "$work/out.eml" "$work/want.eml" || fail "edits: not applied as Postfix does"
match "edits: envelope" "$(cat "$work/json")" '"sender":"<other@example.org>","sender_args":"RET=HDRS","recipients":\["<stay@example.org>","<more@example.org>"\],"quarantine":"why not"'
match "edits: progress" "$(cat "$work/json")" '"progress":1'
stop "$pid" KILL

for case in reject:65:554 tempfail:75:451 discard:0:250 die:75:451; do
	IFS=: read -r action exit code <<<"$case"
	null -a "$action"
	drive -S "unix:$sock" "$work/m.eml" >"$work/json"
	want "$action: exit status" $? "$exit"
	want "$action: code" "$(field code <"$work/json")" "$code"
	stop "$pid" KILL
done

# The stall of libmilter's pool, and what wakes it: 20 sessions of 1 s each, quick ones beside them.
null -k -s 1000 -F '<slow@example.org>'
drive -S "unix:$sock" -f '<slow@example.org>' -n 20 -m 1 "$work/m.eml" >"$work/slow" &
slow=$!
sleep 0.1
drive -S "unix:$sock" -n 2 -m 50 "$work/m.eml" >"$work/quick"
wait "$slow"
# A session that is left behind waits for another's whole second.
at_most "kicked pool: slow sessions" "$(field seconds <"$work/slow")" 1.9
at_most "kicked pool: quick sessions (p50)" "$(field p50_ms <"$work/quick")" 900
stop "$pid" KILL
finish
