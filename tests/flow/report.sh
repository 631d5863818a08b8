#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What observe rules would have done is in the log, and "sealgate report" counts it; they change nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
world
{
	printf 'rules = (\n'
	printf '{ name = "watch-seal"; mode = "observe"; recipients = "@%s"; sign = "required"; encrypt = "required"; },\n' "$partner"
	printf '{ name = "watch-must"; mode = "observe"; direction = "outbound"; encrypt = "required"; },\n'
	printf '{ name = "watch-never"; mode = "observe"; recipients = "@unused.example"; encrypt = "required"; },\n'
	printf '{ name = "partner"; recipients = "@%s"; sign = "required"; encrypt = "if-known"; },\n' "$partner"
	printf '{ name = "rest"; direction = "outbound"; } );\n'
} >>"$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reloaded "$work/milter.log" || fail "no reload"

printf 'From: Alice <alice@%s>\nTo: carol@%s\nSubject: hello\nMessage-ID: <1@%s>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\ntext\n' \
	"$org" "$partner" "$org" >"$work/out.eml"
send() {
	drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "$1" "$work/out.eml" >"$work/json" || fail "drive"
}
send "<carol@$partner>"
want "sealed by the rule in force" "$(field changed <"$work/json")" true
send "<carol@$partner>"
send "<nobody@elsewhere.example>"
want "observed only" "$(field code <"$work/json")" 250
want "nothing done" "$(field changed <"$work/json")" false

line=$(grep 'event=observed.*nobody@elsewhere' "$work/milter.log")
match "would have been refused" "$line" 'rule=watch-must would=refuse .*error=policy-no-cert'
line=$(grep 'event=observed.*rule=watch-seal' "$work/milter.log" | head -n 1)
match "would have been sealed" "$line" 'would=sign\+encrypt'

report() {
	"$builddir/sealgate" "$@" 2>"$work/report.err"
}
json=$(report report --since 1h --log "$work/milter.log" --json)
for part in '"recipients":8' \
	'"rule":"watch-seal","recipients":2,"outcomes":{"sign+encrypt":2}' \
	'"rule":"watch-must","recipients":3,"outcomes":{"encrypt":2,"refuse":1},"causes":{"policy-no-cert":1}' \
	'"rule":"partner","recipients":2,"outcomes":{"sign+encrypt":2}' \
	'"rule":"rest","recipients":1,"outcomes":{"leave":1}'; do
	match "JSON" "$json" "$(printf '%s' "$part" | sed 's/[+{}]/\\&/g')"
done
text=$(report -c "$conf" report <"$work/milter.log")
match "text" "$text" 'watch-seal +2  sign\+encrypt 2$'
match "causes" "$text" 'watch-must +3  encrypt 2, refuse 1 \(policy-no-cert 1\)$'
match "a rule that nobody met" "$text" 'watch-never +0 '

# Explain says it for one mail, without doing anything.
text=$(gate explain --sender "alice@$org" --user "alice@$org" --rcpt nobody@elsewhere.example <"$work/out.eml")
match "explain" "$text" 'watch-must +line [0-9]+ +matches, but only observes; would refuse: must be encrypted'
match "explain: what a rule wants" "$text" "watch-seal +line [0-9]+ +no, by recipients \(wants @$partner\)"
json=$(gate explain --json --sender "alice@$org" --user "alice@$org" --rcpt nobody@elsewhere.example <"$work/out.eml")
match "explain: JSON" "$json" '"rule":"watch-must".*"would":"refuse","why":"must be [^"]*","error":"policy-no-cert"'
match "explain: JSON" "$json" '"criterion":"recipients","wanted":\["@unused.example"\]'

# As syslog and journalctl write it, and what is too old or somebody else's.
sed -n 's/^[^ ]* sealgate-milter\[\([0-9]*\)\]: [a-z]* /sealgate-milter[\1]: /p' "$work/milter.log" >"$work/bare"
awk -v t="$(date '+%b %e %H:%M:%S')" '{ print t " host " $0 }' "$work/bare" >"$work/syslog"
awk -v t="$(date '+%Y-%m-%dT%H:%M:%S%z')" '{ print t " host " $0 }' "$work/bare" >"$work/iso"
awk -v t="$(date '+%Y-%m-%dT%H:%M:%S%z')" '{ print t " host sealgate-milter[7]: " $0 }' "$work/milter.log" >"$work/journal"
awk -v t="$(date '+%s.%N')" '{ print t " host " $0 }' "$work/bare" >"$work/unix"
awk '{ print "2020-01-01T00:00:00+00:00 host " $0 }' "$work/bare" >"$work/old"
sed 's/sealgate-milter/somebody/' "$work/iso" >"$work/other"
for kind in syslog iso unix journal; do
	json=$(report report --since 1h --json <"$work/$kind")
	match "$kind" "$json" '"recipients":8'
done
for kind in old other; do
	json=$(report report --since 1h --json <"$work/$kind")
	match "$kind" "$json" '"recipients":0'
done
report report --since yesterday </dev/null
want "no time" $? 64
report report --log "$work/none"
want "no file" $? 66
finish
