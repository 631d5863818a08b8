#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A backup that is made while mail goes on, opened by openssl, and restored on an empty machine.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

"$builddir/sealgate" init --dir "$dir" --domain "$org" >>"$work/tool.log" 2>&1 || fail "sealgate init"
own_users
vault_up
gate key new "alice@$org" --type p256 >/dev/null || fail "key new alice"
staff_cert alice
{
	printf 'From: carol@%s\nTo: alice@%s\nSubject: in\n' "$partner" "$org"
	printf 'Content-Type: text/plain\n\nfrom outside\n' | openssl cms -encrypt -aes-256-cbc "$work/alice.cert" 2>/dev/null
} >"$work/in.eml"
opens() {
	gate process --sender "carol@$partner" --rcpt "alice@$org" <"$work/in.eml" >"$work/opened"
	grep -q 'from outside' "$work/opened" || fail "$1: mail does not open"
}
usage=digitalSignature,keyEncipherment partner_cert officer "officer@$org" rsa:2048
usage=digitalSignature,keyAgreement partner_cert second "second@$org" ec -pkeyopt ec_paramgen_curve:P-256
cat "$work/second.key" "$work/second.pem" >"$work/second.both"
cat "$work/officer.key" "$work/officer.pem" >"$work/officer.both"
printf 'open sesame\n' >"$work/passphrase"
chmod 600 "$work/passphrase"
opens "before"
gate audit anchor >"$work/anchor.before" || fail "anchor"

# Lists of revocations stand in a folder that two options name.
gate ca crl --publish >>"$work/tool.log" || fail "ca crl"

# --- while mail goes on
{
	while [ ! -e "$work/enough" ]; do
		gate process --sender "carol@$partner" --rcpt "alice@$org" <"$work/in.eml" >"$work/busy.out" || echo bad
		echo done
	done
} >"$work/busy" &
busy=$!
pids="$pids $busy"
gate vault backup --to "$work/officer.pem" --to "$work/second.pem" --passphrase-file "$work/passphrase" "$work/backup.p7m" ||
	fail "backup"
touch "$work/enough"
wait "$busy"
grep -q bad "$work/busy" && fail "mail was not opened meanwhile"
want "mode of the backup" "$(stat -c %a "$work/backup.p7m")" 600
want "not over another file" "$(gate vault backup --to "$work/officer.pem" "$work/backup.p7m"; echo $?)" 65
want "for nobody" "$(gate vault backup "$work/none.p7m"; echo $?)" 64
want "for a CA's certificate" "$(gate vault backup --to "$dir/ca.pem" "$work/none.p7m"; echo $?)" 65
[ -e "$work/none.p7m" ] && fail "a refused backup left a file"
want "nothing is left" "$(find "$dir/vault" "$work" -name '*.backup*' -o -name '*.p7m.*')" ""
match "recorded" "$(gate audit search --type admin)" 'vault.backup'
grep -aq "alice@$org" "$work/backup.p7m" && fail "an address in the clear"

# --- a full disk: nothing half
mkdir "$work/small"
(
	ulimit -f 8
	trap '' XFSZ
	gate vault backup --passphrase-file "$work/passphrase" "$work/small/backup"
) && fail "a backup on a full disk"
want "a full disk" "$(find "$work/small" -type f)" ""

# --- other people's program opens it
openssl cms -decrypt -inform DER -in "$work/backup.p7m" -inkey "$work/officer.key" -recip "$work/officer.pem" \
	-out "$work/backup.tar" 2>>"$work/openssl.log" || fail "openssl with the officer's key"
tar tf "$work/backup.tar" >"$work/list" 2>>"$work/openssl.log" || fail "tar"
want "each file once" "$(sort "$work/list" | uniq -d)" ""
for name in backup.json store.key conf/sealgate.conf conf/ca.pem conf/stamp.key ledger/000001.jsonl vault.db; do
	grep -qx "$name" "$work/list" || fail "the backup has no $name"
done
id=$(LC_ALL=C grep -ao -E 'scrypt:65536:8:1:[0-9a-f]{32}' "$work/backup.p7m" | head -n 1)
key=$(openssl kdf -keylen 32 -binary -kdfopt pass:"open sesame" -kdfopt hexsalt:"${id##*:}" -kdfopt n:65536 -kdfopt r:8 \
	-kdfopt p:1 -kdfopt maxmem_bytes:134217728 SCRYPT 2>>"$work/openssl.log" | od -An -v -tx1 | tr -d ' \n')
openssl cms -decrypt -inform DER -in "$work/backup.p7m" -secretkey "$key" \
	-secretkeyid "$(printf %s "$id" | od -An -v -tx1 | tr -d ' \n')" -out "$work/again.tar" 2>>"$work/openssl.log" ||
	fail "openssl with the passphrase"
cmp -s "$work/backup.tar" "$work/again.tar" || fail "two ways, two contents"

# --- the machine burns; other paths, nothing there
opens "behind the backup"
gate audit anchor >"$work/anchor.after" || fail "anchor"
stop "$vault"
mv "$dir" "$work/burnt"
restore() {
	"$builddir/sealgate" vault restore "$@" "$work/backup.p7m" >>"$work/tool.log" 2>&1
}
want "no key there" "$(restore --dir "$work/x" --key "$work/none"; echo $?)" 66
cat "$work/ca.key" "$work/ca.pem" >"$work/ca.both"
want "somebody else's key" "$(restore --dir "$work/x" --passphrase-file "$work/in.eml" --key "$work/ca.both"; echo $?)" 65
want "another passphrase" "$(restore --dir "$work/x" --passphrase-file "$work/in.eml"; echo $?)" 65
[ -e "$work/x" ] && fail "a refused restore left a folder"
dir=$work/new/place/gate
mkdir -p "${dir%/*}"
restore --dir "$dir" --key "$work/officer.both" || fail "restore"
conf=$dir/sealgate.conf
want "no old path" "$(grep -c "$work/gate" "$conf")" 0
want "mode of the master key" "$(stat -c %a "$dir/vault/master.key")" 400
cmp -s "$dir/vault/master.key" "$work/burnt/vault/master.key" && fail "the old master key"
cmp -s "$dir/stamp.key" "$work/burnt/stamp.key" || fail "the stamp's key"
[ -n "$(ls "$dir/crls")" ] && diff -r "$dir/crls" "$work/burnt/crls" >>"$work/tool.log" || fail "the revocation lists"
want "what stays of it" "$(ls "$dir/.." | wc -l)" 1
gate check >/dev/null || fail "check"
sock=unix:$dir/run/milter.sock
vault_up
opens "restored"
gate key new "bob@$org" --type p256 >/dev/null || fail "a new key"
match "the ledger verifies" "$(gate audit verify --anchor "$work/anchor.before")" 'The ledger is whole'
match "the ledger says so" "$(gate audit search --type admin)" 'vault.restored'
want "what came after is missing" "$(gate audit verify --anchor "$work/anchor.after" >/dev/null; echo $?)" 65
stop "$vault"

# --- the other keys; over nothing that is there
want "a folder with something" "$(restore --dir "$dir" --key "$work/officer.both"; echo $?)" 65
restore --dir "$work/by-second" --key "$work/second.both" || fail "restore with a P-256 key"
restore --dir "$work/by-word" --passphrase-file "$work/passphrase" || fail "restore with the passphrase"
"$builddir/sealgate" -c "$work/by-word/sealgate.conf" key list | grep -q "alice@$org" || fail "keys after it"

# --- damaged anywhere: refused, nothing left
size=$(stat -c %s "$work/backup.p7m")
for at in 1000 $((size / 3)) $((size / 2)) $((size - 1)); do
	cp "$work/backup.p7m" "$work/damaged"
	byte=$(od -An -tu1 -j "$at" -N 1 "$work/damaged" | tr -d ' ')
	printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$work/damaged" bs=1 seek="$at" conv=notrunc 2>/dev/null
	"$builddir/sealgate" vault restore --dir "$work/d" --key "$work/officer.both" "$work/damaged" >>"$work/tool.log" 2>&1 &&
		fail "damaged at $at"
	want "damaged at $at: nothing left" "$(find "$work" -maxdepth 1 -name 'd' -o -maxdepth 1 -name 'd.*')" ""
done
head -c $((size / 2)) "$work/backup.p7m" >"$work/damaged"
"$builddir/sealgate" vault restore --dir "$work/d" --key "$work/officer.both" "$work/damaged" >>"$work/tool.log" 2>&1 &&
	fail "cut"

# --- without a vault
mv "$work/burnt" "$work/gate"
conf=$work/gate/sealgate.conf
gate vault backup --to "$work/officer.pem" "$work/offline.p7m" || fail "backup without a vault"
"$builddir/sealgate" vault restore --dir "$work/offline" --key "$work/officer.both" "$work/offline.p7m" >>"$work/tool.log" 2>&1 ||
	fail "restore of that"
"$builddir/sealgate" -c "$work/offline/sealgate.conf" audit verify --anchor "$work/anchor.after" >/dev/null ||
	fail "the later anchor"
finish
