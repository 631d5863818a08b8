#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A backup that is made while mail goes on, opened by openssl, and restored on an empty machine.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate
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
# What the milter has of its own: certificates of others, a pin, anchors, revocation lists.
partners carol
gate cert list >"$work/certs.before" || fail "cert list"
grep -q "carol@$partner" "$work/certs.before" || fail "no certificate to lose"
printf 'a list' >"$dir/crls/some.crl"
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
for name in backup.json store.key conf/sealgate.conf conf/ca.pem conf/stamp.key conf/crls/some.crl ledger/000001.jsonl certs.db vault.db; do
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
want "somebody else's key, and no passphrase" "$(restore --dir "$work/x" --key "$work/ca.both" </dev/null; echo $?)" 65
match "is told so" "$(tail -n 1 "$work/tool.log")" 'none of these keys'
want "a key alone" "$(restore --dir "$work/x" --key "$work/officer.key" </dev/null; echo $?)" 65
match "is told so, too" "$(tail -n 1 "$work/tool.log")" 'without its certificate'
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
gate cert list | cmp -s - "$work/certs.before" || fail "other people's certificates"
cmp -s "$dir/crls/some.crl" "$work/burnt/crls/some.crl" || fail "revocation lists"
want "mode of the stamp's key" "$(stat -c %a "$dir/stamp.key")" 400
want "mode of a public file" "$(stat -c %a "$dir/ca.pem")" 644
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

# --- a full disk while it is restored, a kill at many places: all or nothing
nothing_half() {
	if [ -e "$work/d" ]; then
		"$builddir/sealgate" -c "$work/d/sealgate.conf" audit verify >/dev/null || fail "$1: the ledger"
		"$builddir/sealgate" -c "$work/d/sealgate.conf" key list | grep -q "alice@$org" || fail "$1: half restored"
	fi
	rm -rf "$work/d"
}
for size in 0 1 8 20 60; do
	(
		ulimit -f $size
		trap '' XFSZ
		"$builddir/sealgate" vault restore --dir "$work/d" --key "$work/officer.both" "$work/backup.p7m" >>"$work/tool.log" 2>&1
	)
	want "a full disk ($size)" $? 75
	want "a full disk ($size): nothing left" "$(find "$work" -maxdepth 1 -name 'd' -o -maxdepth 1 -name 'd.*')" ""
done
n=0 killed=0
while n=$((n + ${SEALGATE_KILL_STEP:-13})); do
	"$builddir/killat" $n "$builddir/sealgate" vault restore --dir "$work/d" --key "$work/officer.both" "$work/backup.p7m" \
		>>"$work/kill.log" 2>&1
	code=$?
	[ $code = 3 ] && break
	[ $code = 0 ] || fail "killat $n: $code"
	killed=$((killed + 1))
	nothing_half "killed at $n"
	rm -rf "$work"/d.??????
	[ "$failures" -gt 3 ] && break
done
[ -e "$work/d" ] || fail "not restored in the end"
nothing_half "at the end"
[ "$killed" -gt 5 ] || fail "killed only $killed times"

# --- anybody can make a backup for the officer: it leads nowhere outside of its folder
mkdir "$work/evil"
tar xf "$work/backup.tar" -C "$work/evil" || fail "tar x"
# pack NAME OPTION…: the files of evil/, as tar makes them, for the officer
pack() {
	local name=$1
	shift
	(cd "$work/evil" && find . -type f -o -type l | sed 's#^./##' | sort | tar --format=ustar -c -f "$work/$name.tar" -T - "$@") ||
		fail "tar c"
	openssl cms -encrypt -binary -aes-256-gcm -outform DER -in "$work/$name.tar" -out "$work/$name.p7m" "$work/officer.pem" \
		2>>"$work/openssl.log" || fail "openssl cms -encrypt"
}
# refused NAME TEXT
refused() {
	"$builddir/sealgate" vault restore --dir "$work/d" --key "$work/officer.both" "$work/$1.p7m" >/dev/null 2>"$work/refused"
	[ $? = 0 ] && fail "$1: not refused"
	match "$1" "$(cat "$work/refused")" "$2"
	want "$1: nothing left" "$(find "$work" -maxdepth 1 -name 'd' -o -maxdepth 1 -name 'd.*' -o -name 'outside*')" ""
}
pack honest
"$builddir/sealgate" vault restore --dir "$work/d" --key "$work/officer.both" "$work/honest.p7m" >>"$work/tool.log" 2>&1 ||
	fail "a backup that other programs packed"
nothing_half "packed by others"
pack above --transform 's#^conf/ca.pem#../outside#'
refused above 'could not be opened'
pack absolute -P --transform "s#^conf/ca.pem#$work/outside#"
refused absolute 'could not be opened'
pack elsewhere --transform 's#^conf/ca.pem#outside#'
refused elsewhere 'could not be opened'
pack twice --transform 's#^conf/ca.pem#conf/stamp.key#'
refused twice 'could not be opened'
pack parent --transform 's#^conf/ca.pem#conf/stamp.key/x#'
refused parent '.'
ln -s "$work" "$work/evil/conf/link"
pack link
refused link 'could not be opened'
rm "$work/evil/conf/link"
cp "$work/evil/conf/sealgate.conf" "$work/honest.conf"
for line in "certstore = { path = \"${work%/*}\" \"/${work##*/}/outside\"; };" "certstore = { path = \"$work\\x2foutside\"; };" \
	'certstore = { path = "certs/../../outside"; };'; do
	grep -v '^certstore' "$work/honest.conf" >"$work/evil/conf/sealgate.conf"
	printf '%s\n' "$line" >>"$work/evil/conf/sealgate.conf"
	pack path
	refused path 'would not be in|not a plain path'
done
cp "$work/honest.conf" "$work/evil/conf/sealgate.conf"
cp "$work/evil/certs.db" "$work/honest.certs"
echo 'nonsense' >"$work/evil/certs.db"
pack nocerts
refused nocerts 'certs.db'
cp "$work/honest.certs" "$work/evil/certs.db"

# --- by root for the daemons' users: each gets what it needs, and no more
if [ "$(id -u)" = 0 ]; then
	awk '/^milter/ { user = "nobody" } /^vault/ { user = "daemon" } /user = / { sub(/user = "[^"]*"/, "user = \"" user "\"") } 1' \
		"$work/honest.conf" >"$work/evil/conf/sealgate.conf"
	pack users
	"$builddir/sealgate" vault restore --dir "$work/d" --key "$work/officer.both" "$work/users.p7m" >>"$work/tool.log" 2>&1 ||
		fail "restore for other users"
	owner() {
		want "owner of $1" "$(stat -c '%U %a' "$work/d/$1")" "$2"
	}
	owner . 'root 755'
	owner run 'root 755'
	owner sealgate.conf 'root 644'
	owner vault 'daemon 700'
	owner vault/vault.db 'daemon 600'
	owner vault/master.key 'daemon 400'
	owner ledger 'daemon 700'
	owner stamp.key 'nobody 400'
	owner certs 'nobody 700'
	owner certs/certs.db 'nobody 640'
	owner state 'nobody 700'
	owner spool 'nobody 700'
	owner crls/some.crl 'nobody 644'
	want "no other owner in the vault" "$(find "$work/d/vault" "$work/d/ledger" ! -user daemon)" ""
	rm -rf "$work/d"
fi

# --- without a vault
mv "$work/burnt" "$work/gate"
conf=$work/gate/sealgate.conf
gate vault backup --to "$work/officer.pem" "$work/offline.p7m" || fail "backup without a vault"
"$builddir/sealgate" vault restore --dir "$work/offline" --key "$work/officer.both" "$work/offline.p7m" >>"$work/tool.log" 2>&1 ||
	fail "restore of that"
"$builddir/sealgate" -c "$work/offline/sealgate.conf" audit verify --anchor "$work/anchor.after" >/dev/null ||
	fail "the later anchor"
finish
