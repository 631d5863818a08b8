#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Keys that stay in a token (SoftHSM, behind a module that can be told to hang): openssl is the judge. A token that is stuck, pulled out
# or has another PIN defers mail for its keys only, and comes back by itself.
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
softhsm2-util --init-token --free --label 'house hsm' --so-pin 12345678 --pin 2468 >>"$work/hsm.log" 2>&1 || fail "init-token"
hsm() {
	pkcs11-tool --module "$module" --token-label 'house hsm' --login --pin 2468 "$@" >>"$work/hsm.log" 2>&1
}
hsm --keypairgen --key-type rsa:2048 --label alice --id 01 || fail "an RSA key in the token"
hsm --keypairgen --key-type EC:prime256v1 --label bob --id 02 --usage-sign --usage-derive || fail "an EC key in the token"
hsm --keypairgen --key-type EC:secp384r1 --label erin --id 03 --usage-sign --usage-derive || fail "a P-384 key in the token"
hsm --keypairgen --key-type rsa:2048 --label spare --id 04 || fail "another key in the token"

made_gate
printf '2468\n' >"$dir/vault/pin"
chmod 400 "$dir/vault/pin"
cat >>"$conf" <<E
tokens = ( { name = "house hsm"; module = "$builddir/tests/flow/stucktoken.so"; pin = "file:vault/pin"; timeout = "1s"; } );
E
echo 'rules = ( { name = "pss"; recipients = "@pss.example"; sign = "required"; encrypt = "never"; preset = "modern"; } );' >>"$conf"
gate check >/dev/null || fail "check"

# token_cert NAME USAGE: a certificate over the token's public key
token_cert() {
	# This program cannot write public keys of all curves, but prints their points.
	point=$(pkcs11-tool --module "$module" --token-label 'house hsm' -O --type pubkey 2>>"$work/hsm.log" |
		awk -v label="$1" '/EC_POINT:/ { p = substr($2, 5) } $1 == "label:" && $2 == label { print p }')
	case $3 in
	p384) der=3076301006072a8648ce3d020106052b81040022036200$point ;;
	p256) der=3059301306072a8648ce3d020106082a8648ce3d030107034200$point ;;
	*)
		der=
		pkcs11-tool --module "$module" --token-label 'house hsm' --read-object --type pubkey --label "$1" \
			-o "$work/$1.pub" >>"$work/hsm.log" 2>&1 || fail "the public key of $1"
		;;
	esac
	[ -z "$der" ] || printf %b "$(printf %s "$der" | sed 's/../\\x&/g')" >"$work/$1.pub"
	openssl pkey -pubin -inform DER -in "$work/$1.pub" -out "$work/$1.pub.pem" 2>>"$work/openssl.log" || fail "public key $1"
	usage=$2 partner_cert "$1" "$1@$org" rsa:2048
	openssl x509 -req -in "$work/$1.csr" -force_pubkey "$work/$1.pub.pem" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
		-days 20 -sha256 -extfile "$work/$1.ext" -out "$work/$1.pem" 2>>"$work/openssl.log" || fail "certificate $1"
}
token_cert alice digitalSignature,keyEncipherment
token_cert bob digitalSignature,keyAgreement p256
token_cert erin digitalSignature,keyAgreement p384

# --- without a vault, then with one
match "keys in the token" "$(gate key token list)" 'rsa +pkcs11:token=house%20hsm;object=alice;id=%01'
match "its state" "$(gate key token list --json)" '"state":"up"'
want "a key that is not there" "$(gate key token add 'pkcs11:token=house%20hsm;object=nobody' --cert "$work/alice.pem"; echo $?)" 75
want "another's certificate" "$(gate key token add 'pkcs11:token=house%20hsm;object=spare' --cert "$work/alice.pem"; echo $?)" 65
want "a PIN in the name" "$(gate key token add 'pkcs11:token=house%20hsm;object=alice?pin-value=2468' --cert "$work/alice.pem"; echo $?)" 64
want "nothing half done" "$(gate key list "alice@$org" >/dev/null; echo $?)" 65
gate key token add 'pkcs11:token=house%20hsm;object=alice' --cert "$work/alice.pem" >"$work/added" || fail "key token add"
match "added" "$(cat "$work/added")" '^k[0-9a-f]+ .*rsa.*alice@example.org'
vault_up
wait_for 10 grep -q token-up "$work/vault.log" || fail "the token is not up"
gate key token add 'pkcs11:token=house%20hsm;id=%02' --cert "$work/bob.pem" >/dev/null || fail "add bob"
gate key token add 'pkcs11:token=house%20hsm;object=erin;id=%03' --cert "$work/erin.pem" >/dev/null || fail "add erin"
match "again" "$(gate key token add 'pkcs11:token=house%20hsm;id=%02' --cert "$work/bob.pem")" 'known'
match "test" "$(gate key token test "bob@$org")" 'good'
match "no export, whoever approves" "$("$builddir/sealgate" -c "$conf" key export "alice@$org" 2>&1)" 'is in a token'
match "no second login" "$(wc -l <"$work/stuck/logins")" '^[1-9]$'
gate key new "dave@$org" --type p256 >/dev/null || fail "key new dave"
staff_cert dave
cp "$work/dave.cert" "$work/dave.pem"
strings -a "$dir/vault/vault.db" | grep -q 'pkcs11:token=house%20hsm;object=alice' && fail "the key's name stands open in the store"

# --- signing
signs() {
	printf 'From: %s <%s@%s>\nTo: dave@%s\nSubject: out\nMessage-ID: <%s%s@%s>\n\nsigned here\n' "$1" "$1" "$org" "$org" "$1" "$RANDOM" "$org" |
		gate process --sender "$1@$org" --user "$1@$org" --rcpt "dave@$org" >"$work/signed.eml"
	status=$?
	[ "$status" = 0 ] || return "$status"
	openssl cms -verify -in "$work/signed.eml" -CAfile "$work/both.pem" -purpose any -out "$work/text" \
		2>>"$work/openssl.log" || fail "$1: the signature is not good"
	grep -q 'signed here' "$work/text" || fail "$1: another text"
}
cat "$work/ca.pem" "$dir/ca.pem" >"$work/both.pem"
for who in alice bob erin dave; do
	signs $who || fail "$who does not sign"
done

# RSA-PSS, where a rule wants it.
printf 'From: alice@%s\nTo: x@pss.example\nSubject: pss\nMessage-ID: <pss@%s>\n\nsigned here\n' "$org" "$org" |
	gate process --sender "alice@$org" --user "alice@$org" --rcpt x@pss.example >"$work/pss.eml" || fail "PSS: not signed"
openssl cms -verify -in "$work/pss.eml" -CAfile "$work/both.pem" -purpose any -out "$work/text" 2>>"$work/openssl.log" ||
	fail "PSS: the signature is not good"
grep -q 'signed here' "$work/text" || fail "PSS: another text"
openssl cms -cmsout -print -noout -in "$work/pss.eml" 2>>"$work/openssl.log" | grep -q rsassaPss || fail "PSS: it is none"

# --- opening
# mail_for NAME FILE OPTIONS…
mail_for() {
	local who=$1 file=$2
	shift 2
	printf 'From: carol@%s\nTo: %s@%s\nSubject: in\n' "$partner" "$who" "$org" >"$file"
	printf 'Content-Type: text/plain\n\nfrom outside\n' |
		openssl cms -encrypt "$1" -recip "$work/$who.pem" "${@:2}" >>"$file" 2>>"$work/openssl.log"
}
mail_for alice "$work/v15" -aes-256-cbc
mail_oaep() {
	printf 'From: carol@%s\nTo: alice@%s\nSubject: in\n' "$partner" "$org" >"$work/oaep-$1"
	printf 'Content-Type: text/plain\n\nfrom outside\n' |
		openssl cms -encrypt -aes-256-gcm -recip "$work/alice.pem" -keyopt rsa_padding_mode:oaep \
			-keyopt "rsa_oaep_md:$1" >>"$work/oaep-$1" 2>>"$work/openssl.log"
}
mail_oaep sha1
mail_oaep sha256
mail_oaep sha512
mail_for bob "$work/ecdh" -aes-256-cbc
mail_for erin "$work/ecdh384" -aes-256-gcm -keyopt ecdh_kdf_md:sha384
mail_for dave "$work/soft" -aes-256-cbc
opens() {
	gate process --sender "carol@$partner" --rcpt "$1@$org" <"$2" >"$work/opened"
	status=$?
	[ "$status" = 0 ] || return "$status"
	grep -q 'from outside' "$work/opened"
}
opens alice "$work/v15" || fail "RSA v1.5 does not open"
opens alice "$work/oaep-sha1" || fail "OAEP with SHA-1 does not open"
opens alice "$work/oaep-sha256" || fail "OAEP with SHA-256 does not open"
opens alice "$work/oaep-sha512" || fail "OAEP with SHA-512 does not open"
opens bob "$work/ecdh" || fail "ECDH does not open"
opens erin "$work/ecdh384" || fail "ECDH with P-384 does not open"
opens dave "$work/soft" || fail "the key that is no token's does not open"

# --- a wrapped key that was changed: accepted and not opened, as with any other key, and no trouble of the token's
for mail in v15 oaep-sha256 ecdh; do
	who=alice
	[ $mail = ecdh ] && who=bob
	sed '/^$/,$d' "$work/$mail" >"$work/bent"
	echo >>"$work/bent"
	sed '1,/^$/d' "$work/$mail" | base64 -di >"$work/bent.der"
	# The wrapped key stands behind the recipient's name: somewhere in the last bytes before the content's type.
	at=$(LC_ALL=C grep -obUaP '\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01' "$work/bent.der" | head -n 1 | cut -d: -f1)
	byte=$(od -An -tu1 -j $((at - 20)) -N 1 "$work/bent.der" | tr -d ' ')
	printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$work/bent.der" bs=1 seek=$((at - 20)) conv=notrunc 2>/dev/null
	base64 -w 64 "$work/bent.der" >>"$work/bent"
	cp "$work/bent" "$work/bent-$mail"
	gate process --sender "carol@$partner" --rcpt "$who@$org" <"$work/bent" >"$work/opened"
	want "a changed $mail" $? 0
	grep -q 'from outside' "$work/opened" && fail "a changed $mail opens"
done
# The same by a token that does not give the bare operation away.
touch "$work/stuck/noraw"
for mail in v15 oaep-sha1; do
	opens alice "$work/$mail" || fail "without the bare operation: $mail does not open"
done
# This token has OAEP with SHA-1 only: such mail waits, and the token is none the worse.
for mail in oaep-sha256 oaep-sha512; do
	opens alice "$work/$mail" || want "without the bare operation: $mail" "$status" 75
done
gate process --sender "carol@$partner" --rcpt "alice@$org" <"$work/bent-v15" >"$work/opened"
want "without the bare operation: a changed message" $? 0
grep -q 'from outside' "$work/opened" && fail "without the bare operation: a changed message opens"
rm "$work/stuck/noraw"
grep -q token-down "$work/vault.log" && fail "a changed message brought the token down"

# --- one broken key is that key's trouble: the token stays up for the others, and it is not tried for every message
touch "$work/stuck/broken-alice"
for i in 1 2 3 4 5 6; do
	opens alice "$work/v15"
	want "broken: mail for it" $? 75
	opens erin "$work/ecdh384" || fail "broken: mail for another key of the token"
done
match "broken: the log" "$(grep token-key-failed "$work/vault.log")" 'object=alice reason=.*0x5'
for i in 1 2 3 4 5 6 7 8 9 10; do
	"$builddir/sealgate" -c "$conf" key token test "alice@$org" >"$work/tried" 2>&1 && fail "broken: test"
	grep -q 'not tried for another' "$work/tried" && break
done
match "broken: it waits" "$(cat "$work/tried")" 'not tried for another'
grep -q token-down "$work/vault.log" && fail "one broken key brought the token down"
rm "$work/stuck/broken-alice"
for i in $(seq 60); do
	opens alice "$work/v15" && break
	sleep 0.5
done
opens alice "$work/v15" || fail "broken: it does not come back"

# --- a token that is stuck: its keys' mail waits, others' goes on; it comes back by itself
comes_back() {
	wait_for 30 sh -c "'$builddir/sealgate' -c '$conf' key token list 2>/dev/null | grep -q '  up'" || fail "$1: it does not come back"
	opens alice "$work/v15" || fail "$1: mail does not open afterwards"
	signs bob || fail "$1: nothing is signed afterwards"
}
touch "$work/stuck/hang"
opens alice "$work/v15"
want "stuck: mail for its keys" $? 75
signs bob
want "stuck: signing with its keys" $? 75
opens dave "$work/soft" || fail "stuck: mail for another key"
signs dave || fail "stuck: signing with another key"
match "stuck: the log" "$(grep token-down "$work/vault.log")" 'did not answer in time'
match "stuck: its state" "$(gate key token list)" 'house hsm +(down|starting)'
rm "$work/stuck/hang"
comes_back "stuck"

# Many at once: none of the others' fails.
touch "$work/stuck/hang"
waiting=
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	gate process --sender "carol@$partner" --rcpt "alice@$org" <"$work/v15" >/dev/null 2>&1 &
	waiting="$waiting $!"
done
for i in 1 2 3 4 5 6; do
	opens dave "$work/soft" || fail "among many: mail for another key"
done
for one in $waiting; do
	wait "$one"
	want "among many: mail for its keys" $? 75
done
rm "$work/stuck/hang"
comes_back "among many"

# --- pulled out; a module that crashes
touch "$work/stuck/gone"
opens alice "$work/v15"
want "pulled out: mail for its keys" $? 75
opens dave "$work/soft" || fail "pulled out: mail for another key"
rm "$work/stuck/gone"
comes_back "pulled out"
touch "$work/stuck/crash"
opens bob "$work/ecdh"
want "a crash: mail for its keys" $? 75
rm "$work/stuck/crash"
comes_back "a crash"

# --- a PIN that is refused is tried once, until there is another
: >"$work/stuck/logins"
stop "$vault"
printf '135791113\n' >"$work/wrong"
cp -f "$work/wrong" "$dir/vault/pin"
vault_up
wait_for 10 grep -q token-pin-refused "$work/vault.log" || fail "no word of the PIN"
opens alice "$work/v15"
want "another PIN: mail for its keys" $? 75
opens dave "$work/soft" || fail "another PIN: mail for another key"
kill -USR1 "$vault"
sleep 1
want "another PIN: tried once" "$(wc -l <"$work/stuck/logins")" 1
grep -q 135791113 "$work/vault.log" && fail "the PIN stands in the log"
printf '2468\n' >"$work/right"
cp -f "$work/right" "$dir/vault/pin"
kill -USR1 "$vault"
comes_back "another PIN"
want "the right PIN: tried once" "$(wc -l <"$work/stuck/logins")" 2
# --- the PIN as a credential
stop "$vault"
mkdir "$work/credentials"
cp "$work/right" "$work/credentials/hsm-pin"
chmod 440 "$work/credentials/hsm-pin"
sed -i 's#pin = "file:vault/pin"#pin = "credential:hsm-pin"#' "$conf"
rm -f "$dir/vault/pin"
export CREDENTIALS_DIRECTORY=$work/credentials
vault_up
comes_back "a credential"
# --- the process ends with the vault
child=$(pgrep -P "$vault" -f token-process | head -n 1)
[ -n "$child" ] || fail "no process for the token"
grep -qa 2468 "/proc/$child/cmdline" && fail "the PIN is in the arguments"
# A reload that goes to every process of that name is none of its business.
kill -USR1 "$child"
sleep 0.2
kill -0 "$child" || fail "SIGUSR1 ends the token's process"
kill -9 "$vault"
wait "$vault" 2>/dev/null
wait_for 5 sh -c "! kill -0 $child" || fail "the token's process goes on without a vault"
match "the ledger" "$(gate audit verify)" 'The ledger is whole'
match "uses are in it" "$(gate audit search --type intent | grep -c event=open)" '[0-9]'
finish
