#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Another master key and another store key while mail goes on, and killed at many places.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

# Leak detection does not work under ptrace.
ASAN_OPTIONS=${ASAN_OPTIONS:-}${ASAN_OPTIONS:+:}detect_leaks=0
export ASAN_OPTIONS
made_gate
gate key new "alice@$org" --type p256 >/dev/null || fail "key new alice"
staff_cert alice
printf 'Content-Type: text/plain\n\nfrom outside\n' | {
	printf 'From: carol@%s\nTo: alice@%s\nSubject: in\n' "$partner" "$org"
	openssl cms -encrypt -aes-256-cbc "$work/alice.cert" 2>/dev/null
} >"$work/in.eml"
# opens WHAT: mail to alice can be read
opens() {
	gate process --sender "carol@$partner" --rcpt "alice@$org" <"$work/in.eml" >"$work/opened"
	grep -q 'from outside' "$work/opened" || fail "$1: mail does not open"
}
one_master() {
	match "$1: one master key" "$(gate vault status)" '^master key  current .*in use'
	want "$1: one master key" "$(gate vault status | wc -l)" 1
	want "$1: nothing is left" "$(find "$dir/vault" -name '*.rekey*')" ""
}
key=$dir/vault/master.key

# --- while the vault runs
vault_up
opens "before"
cp "$key" "$work/first.key"
{
	while [ ! -e "$work/enough" ]; do
		gate process --sender "carol@$partner" --rcpt "alice@$org" <"$work/in.eml" >"$work/busy.out" || echo bad
		grep -q 'from outside' "$work/busy.out" || echo unread
		echo done
	done
} >"$work/busy" &
busy=$!
pids="$pids $busy"
gate vault rekey || fail "rekey"
cmp -s "$key" "$work/first.key" && fail "the same master key"
want "mode of the new one" "$(stat -c %a "$key")" 400
one_master "rekey"
cp "$dir/vault/vault.db" "$work/before.db"
gate vault rekey --deep || fail "rekey --deep"
one_master "rekey --deep"
gate key new "bob@$org" --type p256 >/dev/null || fail "a new key afterwards"
sleep 0.2
touch "$work/enough"
wait "$busy"
grep -q done "$work/busy" || fail "no mail went on meanwhile"
grep -Eq 'bad|unread' "$work/busy" && fail "mail was not opened meanwhile"
opens "after"

# --- the old ones open nothing any more
stop "$vault"
cp "$key" "$work/new.key"
cp -f "$work/first.key" "$key"
"$builddir/sealgate" -c "$conf" key list 2>"$work/old.err" && fail "the old master key opens the store"
match "the old master key" "$(cat "$work/old.err")" "not this store's"
"$builddir/sealgate-vault" -c "$conf" -f 2>>"$work/tool.log"
want "a start with the old master key" $? 78
chmod 440 "$key"
"$builddir/sealgate-vault" -c "$conf" -f 2>>"$work/tool.log"
want "a start with a master key that others can read" $? 78
chmod 400 "$key"
cp -f "$work/new.key" "$key"
match "recorded" "$(gate audit search --type admin)" 'vault.rekeyed'
match "recorded" "$(gate audit search --type admin)" 'vault.reencrypted'

# --- to another place
want "no such place" "$(gate vault rekey --to tape:1; echo $?)" 78
want "nothing half done" "$(gate vault status | wc -l)" 1
gate vault rekey --to file:vault/second.key || fail "rekey --to"
want "two master keys" "$(gate vault status | wc -l)" 2
want "not another on top" "$(gate vault rekey; echo $?)" 65
rm -f "$key.rekey-new"
want "not finished before it is there" "$(gate vault rekey --finish; echo $?)" 75
match "and it says what is missing" "$(tail -n 1 "$work/tool.log")" 'vault.master_key does not give the new master key'
gate vault rekey --cancel || fail "cancel"
one_master "cancel"
rm -f "$dir/vault/second.key"
gate vault rekey --to file:vault/second.key || fail "rekey --to again"
sed -i 's#file:vault/master.key#file:vault/second.key#' "$conf"
vault_up
match "finished by the start" "$(grep master-key-replaced "$work/vault.log")" 'second.key'
one_master "second.key"
rm -f "$key"
key=$dir/vault/second.key
opens "second.key"

# --- to a passphrase and back, given by standard input for want of a terminal
printf 'sesame\nsesame\n' | setsid "$builddir/sealgate" -c "$conf" vault rekey --to ask 2>>"$work/tool.log" || fail "to ask"
printf 'sesame\nother\n' | setsid "$builddir/sealgate" -c "$conf" vault rekey --to ask 2>>"$work/tool.log" && fail "two passphrases"
sed -i 's#"file:vault/second.key"#"ask"#' "$conf"
echo sesame | setsid "$builddir/sealgate" -c "$conf" vault rekey --finish --deep 2>>"$work/tool.log" || fail "finish with ask"
one_master "ask"
stop "$vault"
echo wrong | setsid "$builddir/sealgate" -c "$conf" key list >/dev/null 2>"$work/ask.err"
want "another passphrase" $? 78
match "another passphrase" "$(cat "$work/ask.err")" 'sealgate-vault does not run, .*: that is not the passphrase of this key store'
# Nothing that passes: whatever restarts a vault is not to ask again and again.
for word in wrong ""; do
	echo "$word" | setsid "$builddir/sealgate-vault" -c "$conf" -f 2>"$work/ask.err"
	want "a start with the passphrase \"$word\"" $? 78
	match "a start with the passphrase \"$word\"" "$(cat "$work/ask.err")" 'event=vault-not-started error=master-key'
done
echo sesame | setsid "$builddir/sealgate" -c "$conf" key list >/dev/null || fail "the passphrase"
echo sesame | setsid "$builddir/sealgate" -c "$conf" vault rekey --to file:vault/master.key 2>>"$work/tool.log" ||
	fail "to a file"
sed -i 's#"ask"#"file:vault/master.key"#' "$conf"
gate vault rekey --finish || fail "finish with a file"
one_master "file"
sed -i 's#"file:vault/master.key"#"ask"#' "$conf"
text=$(setsid "$builddir/sealgate" -c "$conf" key list 2>&1 </dev/null)
want "a place that the store does not know" $? 78
match "a place that the store does not know" "$text" 'vault rekey --to ask'
sed -i 's#"ask"#"file:vault/master.key"#' "$conf"

# --- killed at many places, on the files themselves
cp -a "$dir" "$work/whole"
n=0 step=${SEALGATE_KILL_STEP:-7} killed=0
while :; do
	n=$((n + step))
	rm -rf "$dir"
	cp -a "$work/whole" "$dir"
	"$builddir/killat" $n "$builddir/sealgate" -c "$conf" vault rekey --deep >>"$work/kill.log" 2>&1
	case $? in
	0) killed=$((killed + 1)) ;;
	3) break ;;
	*) fail "killat $n" ;;
	esac
	gate key list >/dev/null || fail "killed at $n: the store does not open"
	if [ "$(gate vault status | wc -l)" = 2 ] || [ -e "$dir/vault/master.key.rekey-new" ]; then
		if [ $((n % 2)) = 0 ] && [ "$(gate vault status | wc -l)" = 2 ]; then
			gate vault rekey --finish || fail "killed at $n: finish"
		else
			gate vault rekey --cancel || fail "killed at $n: cancel"
		fi
	fi
	one_master "killed at $n"
	gate audit verify >/dev/null || fail "killed at $n: the ledger"
	[ "$failures" -gt 3 ] && break
done
[ "$killed" -gt 10 ] || fail "killed only $killed times"
vault_up
opens "at the end"
gate vault rekey --deep || fail "rekey at the end"
opens "at the end, again"
finish
