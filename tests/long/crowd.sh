#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A thousand recipients: all hidden with a small mail, and with 20 MB in the room of one copy.
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/../flow/world.sh"
[ -x "$builddir/fakesmtp" ] || skip "not built"

made_gate alice
port=$(free_port)
cat >>"$conf" <<END
port = { address = "inet:$port@127.0.0.1"; };
END
vault_up

# crowd NUMBER: partner's certificates with fifty addresses each
partner_cert root "root@$partner" rsa:2048
for n in $(seq 1 20); do
	names=$(seq $((n * 50 - 49)) $((n * 50)) | sed "s/.*/email:r&@$partner/" | paste -sd,)
	printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\nsubjectAltName=%s\n' \
		"$names" >"$work/crowd.ext"
	openssl req -newkey rsa:2048 -nodes -keyout "$work/crowd$n.key" -out "$work/crowd.csr" -subj "/CN=crowd $n" 2>/dev/null
	openssl x509 -req -in "$work/crowd.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 20 \
		-sha256 -extfile "$work/crowd.ext" -out "$work/crowd$n.pem" 2>/dev/null
done
gate cert add --anchor "$work/ca.pem" >/dev/null || fail "cert add --anchor"
for n in $(seq 1 20); do
	gate cert add "$work/crowd$n.pem" >/dev/null || fail "cert add crowd$n"
done
rm -rf "$work/port"
mkdir "$work/port"
: >"$work/script"
start fakesmtp "$builddir/fakesmtp" -s "$work/script" "$port" "$work/port"
milter_up

# memory: the most that the service's process had, in kB
memory() {
	awk '/VmHWM/ { print $2 }' /proc/"$milter"/status
}

# crowd COUNT: -r for each
crowd() {
	seq 1 "$1" | sed "s/.*/-r <r&@$partner>/" | tr '\n' ' '
}

# Each copy is one person's, all have the same signature, and one key was used once.
printf 'From: alice@%s\nTo: undisclosed-recipients:;\nSubject: all\nMessage-ID: <1@x>\n\nthe secret text\n' "$org" >"$work/small.eml"
drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid QSMALL --timeout 600000 $(crowd 1000) "$work/small.eml" >"$work/json"
want "a thousand hidden" $? 0
want "a thousand hidden: copies" "$(ls "$work/port" | grep -c '\.env$')" 1000
want "a thousand hidden: recipients" "$(cat "$work/port"/*.env | grep '^RCPT' | sort -u | wc -l)" 1000
want "a thousand hidden: one each" "$(grep -c '^RCPT' "$work/port"/*.env | grep -cv ':1$')" 0
want "a thousand hidden: uses of the key" "$(cat "$dir"/ledger/*.jsonl | grep -c '"event":"sign"')" 1
want "a thousand hidden: names in the intent" \
	"$(cat "$dir"/ledger/*.jsonl | grep '"event":"sign"' | sed 's/.*"recipients":\[//' | tr ',' '\n' | sort -u | wc -l)" 1000
at_most "a thousand hidden: kB of memory" "$(memory)" 60000

# 20 MB to a thousand, three of them hidden: four copies of 28 MB; in memory and in the spool never more than the message,
# the signed part and one copy.
rm -f "$work/port"/*
{
	printf 'From: alice@%s\nTo: r4@%s' "$org" "$partner"
	seq 5 1000 | sed "s/.*/,\n r&@$partner/" | tr -d '\n' | sed 's/, /,\n /g'
	printf '\nSubject: large\nMessage-ID: <2@x>\n\n'
	head -c 15000000 /dev/urandom | base64
} >"$work/large.eml"
most=0
watch_spool() {
	local now
	while [ -d "/proc/$milter" ] && [ ! -f "$work/watched" ]; do
		now=$(find -L "/proc/$milter/fd" -maxdepth 1 -type f -size +1M -printf '%s\n' 2>/dev/null | awk '{ s += $1 } END { print s + 0 }')
		[ "$now" -gt "$most" ] && most=$now && echo "$most" >"$work/most"
		sleep 0.05
	done
}
watch_spool &
watcher=$!
drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid QLARGE --timeout 600000 $(crowd 1000) "$work/large.eml" >"$work/json"
want "20 MB to a thousand" $? 0
touch "$work/watched"
wait "$watcher"
want "20 MB: copies" "$(ls "$work/port" | grep -c '\.env$')" 4
want "20 MB: recipients" "$(cat "$work/port"/*.env | grep '^RCPT' | sort -u | wc -l)" 1000
at_most "20 MB: kB of memory" "$(memory)" 80000
[ -s "$work/most" ] || fail "20 MB: the spool was never seen"
at_most "20 MB: bytes in the spool" "$(cat "$work/most")" 95000000

# More than may need copies at once: the rest with another message.
sed -i "s/^milter = {/milter = { max_copies = 10;/" "$conf"
grep -q max_copies "$conf" || printf 'milter = { max_copies = 10; };\n' >>"$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reloaded "$work/milter.log" || fail "no reload"
line=$(drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid QCAP $(crowd 11) "$work/small.eml")
want "one too many" $? 0
want "one too many: the others" "$(printf '%s' "$line" | grep -o '<r[0-9]*@' | wc -l)" 10
match "one too many: not among them" "$(printf '%s' "$line" | grep -c 'r11@')" 0
drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid QREST -r "<r11@$partner>" "$work/small.eml" >/dev/null
want "one too many: with another message" $? 0
finish
