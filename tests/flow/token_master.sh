#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The master key comes from a token: put there while the vault runs, needed at each start, and replaced by a restore.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

for module in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
	[ -f "$module" ] && break
done
[ -f "$module" ] && command -v softhsm2-util >/dev/null && command -v pkcs11-tool >/dev/null ||
	skip "softhsm2 and opensc are not installed"
mkdir -p "$work/tokens" "$work/stuck"
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$work/tokens" >"$work/softhsm.conf"
export SOFTHSM2_CONF=$work/softhsm.conf STUCK_MODULE=$module STUCK_DIR=$work/stuck
softhsm2-util --init-token --free --label hsm --so-pin 12345678 --pin 2468 >>"$work/hsm.log" 2>&1 || fail "init-token"
hsm() {
	pkcs11-tool --module "$module" --token-label hsm --login --pin 2468 "$@" >>"$work/hsm.log" 2>&1
}
hsm --keypairgen --key-type rsa:3072 --label master --id 01 || fail "an RSA key"
hsm --keypairgen --key-type rsa:2048 --label other --id 02 || fail "another"
hsm --keypairgen --key-type EC:prime256v1 --label curve --id 03 || fail "an EC key"

made_gate
printf '2468\n' >"$dir/vault/pin"
chmod 400 "$dir/vault/pin"
cat >>"$conf" <<E
tokens = ( { name = "hsm"; module = "$builddir/tests/flow/stucktoken.so"; pin = "file:vault/pin"; timeout = "2s"; } );
E
gate key new "alice@$org" --type p256 >/dev/null || fail "key new"
staff_cert alice
{
	printf 'From: carol@%s\nTo: alice@%s\nSubject: in\n' "$partner" "$org"
	printf 'Content-Type: text/plain\n\nfrom outside\n' | openssl cms -encrypt -aes-256-cbc "$work/alice.cert" 2>/dev/null
} >"$work/in.eml"
opens() {
	gate process --sender "carol@$partner" --rcpt "alice@$org" <"$work/in.eml" >"$work/opened"
	grep -q 'from outside' "$work/opened" || fail "$1: mail does not open"
}

# --- put there while the vault runs
vault_up
want "a key that is not there" "$(gate vault rekey --to 'pkcs11:token=hsm;object=none'; echo $?)" 75
want "a key that does not decrypt" "$(gate vault rekey --to 'pkcs11:token=hsm;object=curve'; echo $?)" 75
want "nothing half done" "$(gate vault status | wc -l)" 1
gate vault rekey --to 'pkcs11:token=hsm;object=master' || fail "rekey to the token"
want "two master keys" "$(gate vault status | wc -l)" 2
sed -i 's#file:vault/master.key#pkcs11:token=hsm;object=master#' "$conf"
gate vault rekey --finish --deep || fail "finish"
match "it is the token's" "$(gate vault status)" '^master key  current .*pkcs11:token=hsm;object=master.*in use'
rm -f "$dir/vault/master.key"
opens "running"
stop "$vault"
: >"$work/stuck/logins"
vault_up
opens "started with the token"
match "few logins" "$(wc -l <"$work/stuck/logins")" '^[1-3]$'
gate vault rekey || fail "another one in the same token"
opens "another one"
stop "$vault"
vault_up
opens "started again"

# --- a backup does not need the token
printf 'open sesame\n' >"$work/passphrase"
gate vault backup --passphrase-file "$work/passphrase" "$work/backup" || fail "backup"
stop "$vault"
"$builddir/sealgate" vault restore --dir "$work/elsewhere" --passphrase-file "$work/passphrase" "$work/backup" >>"$work/tool.log" 2>&1 ||
	fail "restore without the token"
match "a file there" "$(cat "$work/elsewhere/sealgate.conf")" 'master_key = "file:master.key"'
"$builddir/sealgate" -c "$work/elsewhere/sealgate.conf" key list 2>>"$work/tool.log" | grep -q "alice@$org" || fail "keys there"

# --- no token, no start; a refused PIN is a reason not to try again
touch "$work/stuck/gone"
"$builddir/sealgate-vault" -c "$conf" -f 2>>"$work/none.log"
want "without the token" $? 75
match "without the token" "$(cat "$work/none.log")" 'vault-not-started'
rm "$work/stuck/gone"
: >"$work/stuck/logins"
printf '1357\n' >"$work/wrong"
cp -f "$work/wrong" "$dir/vault/pin"
"$builddir/sealgate-vault" -c "$conf" -f 2>>"$work/wrong.log"
want "another PIN" $? 78
want "another PIN: tried once" "$(wc -l <"$work/stuck/logins")" 1
printf '2468\n' >"$work/right"
cp -f "$work/right" "$dir/vault/pin"
vault_up
opens "the right PIN"
stop "$vault"
# The key of another name opens another secret.
sed -i 's#object=master#object=other#' "$conf"
"$builddir/sealgate-vault" -c "$conf" -f 2>>"$work/other.log"
want "another key" $? 78
match "another key" "$(cat "$work/other.log")" 'opens another secret'
finish
