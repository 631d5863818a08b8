#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Which keys open: every one ever held, whatever became of it; and what the ledger says of the same content key again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
today=$(date -u +%F)
world

# letter NAME CERT [RECIPIENT OPTION…]: to NAME, encrypted to CERT
letter() {
	local name=$1 cert=$2
	shift 2
	printf 'Content-Type: text/plain\n\nthe secret text\n' >"$work/in.txt"
	{
		printf 'From: carol@%s\nTo: %s@%s\nSubject: x\n' "$partner" "${name%%[0-9]*}" "$org"
		openssl cms -encrypt -aes-256-cbc -in "$work/in.txt" "$@" "$cert" 2>>"$work/openssl.log"
	} >"$work/$name.eml"
}

# opens WHAT MAIL RECIPIENT [QID]: and the text is there
opens() {
	drive -q -S "$sock" --qid "${4:-Q$RANDOM$RANDOM}" -f "<carol@$partner>" -r "<$3@$org>" -o "$work/out.eml" "$work/$2.eml"
	want "$1" $? 0
	grep -q 'the secret text' "$work/out.eml" || fail "$1: stays closed"
}

stays_closed() {
	drive -q -S "$sock" -f "<carol@$partner>" -r "<$3@$org>" -o "$work/out.eml" "$work/$2.eml"
	want "$1" $? 0
	! grep -q 'the secret text' "$work/out.eml" || fail "$1: was opened"
}

last_intent() {
	cat "$dir"/ledger/*.jsonl | grep '"type":"intent"' | grep '"event":"open"' | tail -n 1
}

# A key that was renewed, retired, revoked; by issuer and serial, and by SubjectKeyIdentifier.
staff_cert alice
letter alice "$work/alice.cert"
letter alice2 "$work/alice.cert" -keyid
opens "active" alice alice
opens "active, by SubjectKeyIdentifier" alice2 alice
gate key renew "alice@$org" >/dev/null || fail "key renew"
gate key list "alice@$org" >"$work/keys"
want "two keys" "$(grep -c . "$work/keys")" 2
letter alice3 "$work/alice.cert"
opens "the key before" alice3 alice
old=$(sed -n 's/^\([^ ]*\)  retired.*/\1/p' "$work/keys")
[ -n "$old" ] || fail "no key was retired: $(cat "$work/keys")"
gate key revoke "$old" >/dev/null || fail "key revoke"
letter alice4 "$work/alice.cert"
opens "revoked" alice4 alice
match "revoked, in the ledger" "$(last_intent)" '"key":"revoked"'
staff_cert alice
letter alice5 "$work/alice.cert"
opens "its successor" alice5 alice
stays_closed "another's" alice5 bob

# A key whose only certificate has expired, and one with several certificates.
openssl req -newkey rsa:2048 -nodes -keyout "$work/bob.key" -out "$work/bob.csr" -subj "/CN=bob" 2>/dev/null
printf 'subjectAltName=email:bob@%s\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\n' "$org" >"$work/bob.ext"
for n in 1 2 3; do
	when="-days 30"
	if [ $n = 1 ]; then
		when="-days -1"
		openssl x509 -help 2>&1 | grep -q -e -not_before && when="-not_before 20240101000000Z -not_after 20240201000000Z"
	fi
	# shellcheck disable=SC2086
	openssl x509 -req -in "$work/bob.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -set_serial 0x77$n $when -sha256 \
		-extfile "$work/bob.ext" -out "$work/bob$n.pem" 2>/dev/null || fail "certificate $n"
done
for n in 1 2 3; do
	cat "$work/bob.key" "$work/bob$n.pem" >"$work/bob.both"
	gate key import --address "bob@$org" "$work/bob.both" >/dev/null || fail "key import $n"
	letter bob$n "$work/bob$n.pem"
	opens "certificate $n" bob$n bob
done
opens "the expired one still" bob1 bob

# The same content key again: opened, and said. For the same queue id it is a try of the MTA's.
letter bob7 "$work/bob2.pem"
opens "first" bob7 bob QFIRST
mismatch "first" "$(last_intent)" reopen
opens "again" bob7 bob QAGAIN
match "again" "$(last_intent)" '"reopen":true,"opened":1,"first":"20[0-9T:-]*Z"'
mismatch "again" "$(last_intent)" retry
wait_for 5 grep -q 'warn qid=QAGAIN event=reopen .*opened=1 .*retry=no' "$work/vault.log" || fail "the vault's log does not say so"
opens "a try" bob7 bob QAGAIN
match "a try" "$(last_intent)" '"reopen":true,"opened":2,.*"retry":true'
# Other bytes around the same encryptedKey change nothing; the same text anew is another one.
{
	sed '/^$/q' "$work/bob7.eml" | sed 's/^Subject: .*/Subject: y/'
	sed '1,/^$/d' "$work/bob7.eml" | tr -d '\n' | fold -w 60
	echo
} >"$work/bob8.eml"
opens "in another coat" bob8 bob QCOAT
match "in another coat" "$(last_intent)" '"reopen":true,"opened":3'
letter bob9 "$work/bob2.pem"
opens "a new letter" bob9 bob
mismatch "a new letter" "$(last_intent)" reopen

# What was counted of the budgets that init sets; a restart keeps it.
uses=$(gate vault budgets | awk '/^key .*  open  / { n += $(NF - 1) } END { print n }')
[ "$(date -u +%F)" != "$today" ] ||
	want "openings in the budgets" "$uses" "$(cat "$dir"/ledger/*.jsonl | grep '"type":"intent"' | grep -c '"event":"open"')"
match "as JSON" "$(gate vault budgets --json)" '"v":1,.*"use":"open","in_hour":[0-9]+,"hour":2000'
want "none has reached half" "$(gate vault budgets --least 50 | wc -l)" 0

# It is known after a restart. Without its file it begins anew, and mail goes on.
stop "$vault"
vault_up
opens "after a restart" bob7 bob QLATER
[ "$(gate vault budgets | grep -c "^key .*  open  ")" -ge 3 ] || fail "a restart forgets the budgets"
match "after a restart" "$(last_intent)" '"reopen":true,"opened":4'
stop "$vault"
rm -f "$dir"/vault/*.opened*
vault_up
opens "without the file" bob7 bob QNEW
mismatch "without the file" "$(last_intent)" reopen
stop "$vault"
rm -f "$dir"/vault/*.opened*
mkdir "$dir/vault/store.db.opened" "$dir/vault/vault.db.opened" 2>/dev/null
vault_up
opens "a file that cannot be" bob7 bob QNEVER
wait_for 5 grep -q 'event=reopen-memory-lost' "$work/vault.log" || fail "the log does not say that the memory is lost"
"$builddir/sealgate" audit verify --dir "$dir/ledger" >/dev/null || fail "audit verify"
finish
