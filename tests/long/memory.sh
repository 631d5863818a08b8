#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What core images of the daemons under load hold: no private key in the milter's, no text of mail in the vault's.
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/../flow/world.sh"
command -v cc >/dev/null || skip "no compiler"
[ "$(id -u)" = 0 ] || skip "needs root, to read the memory of processes that forbid it"
nm "$builddir/sealgate" 2>/dev/null | grep -q __asan_init && skip "a sanitizer's memory has no end"
cc -O2 -D_GNU_SOURCE -Wall -Werror -o "$work/memscan" "$srcdir/tests/long/memscan.c" -lcrypto || fail "cc"

# Keys that the test knows: imported ones.
made_gate
pin=pin-$(openssl rand -hex 12)
printf '%s\n' "$pin" >"$work/pin"

# A token, where the packages are there: its PIN is a secret like others.
token_pin=
for module in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
	[ -f "$module" ] && break
done
if [ -f "$module" ] && command -v softhsm2-util >/dev/null; then
	token_pin=token-$(openssl rand -hex 12)
	mkdir "$work/tokens"
	printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$work/tokens" >"$work/softhsm.conf"
	export SOFTHSM2_CONF=$work/softhsm.conf
	softhsm2-util --init-token --free --label hsm --so-pin 12345678 --pin "$token_pin" >>"$work/hsm.log" 2>&1 || fail "init-token"
	printf '%s\n' "$token_pin" >"$dir/vault/token.pin"
	chmod 400 "$dir/vault/token.pin"
	printf 'tokens = ( { name = "hsm"; module = "%s"; pin = "file:vault/token.pin"; } );\n' "$module" >>"$conf"
fi
vault_up
[ -z "$token_pin" ] || wait_for 10 grep -q token-up "$work/vault.log" || fail "the token is not up"
partner_cert carol "carol@$partner" rsa:2048
partner_cert alice "alice@$org" rsa:2048
partner_cert bob "bob@$org" rsa:3072
usage=digitalSignature,keyAgreement partner_cert erin "erin@$org" ec -pkeyopt ec_paramgen_curve:P-256
gate cert add --anchor "$work/ca.pem" >/dev/null || fail "cert add --anchor"
gate cert add "$work/carol.pem" >/dev/null || fail "cert add"
for name in alice bob erin; do
	openssl pkcs12 -export -in "$work/$name.pem" -inkey "$work/$name.key" -certfile "$work/ca.pem" -passout "file:$work/pin" \
		-out "$work/$name.p12" || fail "pkcs12 $name"
	gate key import --password "$work/pin" "$work/$name.p12" >/dev/null || fail "key import $name"
done
milter_up

# Text that the test knows: in header, subject and body, outbound and inbound.
secret() {
	openssl rand -hex 24
}
declare -A extra=([alice]= [bob]= [erin]="$work/carol.pem")
header=$(secret) subject=$(secret) body=$(secret) inner=$(secret)
for name in alice bob erin; do
	printf 'From: %s@%s\nTo: carol@%s\nSubject: %s\nX-Note: %s\n\n%s\n' "$name" "$org" "$partner" "$subject" "$header" "$body" \
		>"$work/$name.eml"
	printf 'Content-Type: text/plain\r\n\r\n%s\r\n' "$inner" >"$work/in.txt"
	{
		printf 'From: carol@%s\nTo: %s@%s\nSubject: %s\n' "$partner" "$name" "$org" "$subject"
		# carol's key tells the content key where there is no RSA key of the recipient's.
		openssl cms -encrypt -aes-256-cbc -in "$work/in.txt" "$work/$name.pem" ${extra[$name]}
	} >"$work/to_$name.eml" 2>>"$work/openssl.log"
done
# The content keys of those.
for name in alice bob erin; do
	reader=$name
	[ -z "${extra[$name]}" ] || reader=carol
	openssl cms -cmsout -in "$work/to_$name.eml" -outform DER -out "$work/cms.der"
	at=$(openssl asn1parse -inform DER -in "$work/cms.der" | sed -n 's/^ *\([0-9]*\):d=[0-9]* *hl=\([0-9]\) *l= *\(256\|384\) prim: OCTET STRING.*/\1 \2 \3/p' | head -n 1)
	set -- $at
	[ $# = 3 ] || fail "no encryptedKey for $name"
	tail -c +$(($1 + $2 + 1)) "$work/cms.der" | head -c "$3" |
		openssl pkeyutl -decrypt -inkey "$work/$reader.key" -out "$work/$name.cek" || fail "no content key for $name"
	want "$name's content key" "$(wc -c <"$work/$name.cek")" 32
done

# A master key in digits, and as it is.
master=$(tr -dc '0-9a-f' <"$dir/vault/master.key" | head -c 64)
want "master key" "${#master}" 64
keys=("alice=key:$work/alice.key" "bob=key:$work/bob.key" "erin=key:$work/erin.key" "master=hex:$master" "master-text=text:$master" "pin=text:$pin")
texts=("header=text:$header" "subject=text:$subject" "body=text:$body" "inner=text:$inner")
ceks=("cek-alice=file:$work/alice.cek" "cek-bob=file:$work/bob.cek" "cek-erin=file:$work/erin.cek")
# What operators and officers give: in none of the daemons when it was used.
export_pin=export-$(openssl rand -hex 12) backup_pin=backup-$(openssl rand -hex 12)
given=("pin=text:$pin" "export-pin=text:$export_pin" "backup-pin=text:$backup_pin")

# nothing WHAT PID|-f FILE NEEDLE…
nothing() {
	local what=$1 got
	shift
	got=$("$work/memscan" "$@" 2>>"$work/where.log") || fail "$what: cannot be read"
	match "$what" "$got" ' 0$'
	printf '%s\n' "$got" | grep -v ' 0$' | sort -u >"$work/hits"
	[ ! -s "$work/hits" ] || { fail "$what: $(tr '\n' ' ' <"$work/hits")"; tail -n 5 "$work/where.log"; }
}

# found WHAT PID NEEDLE…: each; else the tool would find nothing anywhere
found() {
	local what=$1 got
	shift
	got=$("$work/memscan" "$@" 2>/dev/null) || fail "$what: cannot be read"
	mismatch "$what" "$got" ' 0$'
}

# Mail in both directions, as fast as it goes.
load() {
	while [ ! -e "$work/enough" ]; do
		drive -q -S "$sock" -f "<$1@$org>" -u "$1@$org" -r "<carol@$partner>" "$work/$1.eml" >/dev/null || return 1
		drive -q -S "$sock" -f "<carol@$partner>" -r "<$1@$org>" "$work/to_$1.eml" >/dev/null || return 1
	done
}
before=$(grep -c '"type":"intent"' "$dir/ledger/000001.jsonl")
loads=
for name in alice bob erin; do
	load $name &
	loads="$loads $!"
done
pids="$pids $loads"
sleep 0.5
# The tool finds what is there …
found "keys in the vault" "$vault" "${keys[@]:0:3}"
seen=
for n in $(seq 20); do
	nothing "keys in the milter, look $n" "$milter" "${keys[@]}"
	nothing "text in the vault, look $n" "$vault" "${texts[@]}"
	nothing "what the vault got at its start, look $n" "$vault" "${keys[@]:4}"
	[ -n "$seen" ] || "$work/memscan" "$milter" "${texts[@]}" 2>/dev/null | grep -qv ' 0$' && seen=yes
done
want "text in the milter" "$seen" yes
touch "$work/enough"
for load in $loads; do
	wait "$load" || fail "mail under load"
done
after=$(grep -c '"type":"intent"' "$dir/ledger/000001.jsonl")
[ $((after - before)) -ge 20 ] || fail "there was no load: $((after - before)) uses of keys"

# At rest: content keys are gone from both.
sleep 0.3
nothing "content keys in the vault" "$vault" "${ceks[@]}"
nothing "content keys in the milter" "$milter" "${ceks[@]}"
nothing "keys in the milter, at rest" "$milter" "${keys[@]}"
nothing "text in the vault, at rest" "$vault" "${texts[@]}"

# Acts of two persons: a message for an auditor, a key in a file; and a backup.
printf '%s\n' "$export_pin" >"$work/export_pin"
printf '%s\n' "$backup_pin" >"$work/backup_pin"
chmod 600 "$work/export_pin" "$work/backup_pin"
for name in anna ben; do
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$name.key" -out "$work/$name.crt" \
		-days 30 -subj "/CN=$name" 2>>"$work/openssl.log"
	cat "$work/$name.key" "$work/$name.crt" >"$work/$name.both"
done
gate officer init --cert "$work/anna.crt" --cert "$work/ben.crt" >/dev/null || fail "officer init"
# approved COMMAND…: asks, and both approve; the request in $id
approved() {
	local officer
	id=$(gate "$@" --json | field request)
	for officer in anna ben; do
		gate officer approve --yes --key "$work/$officer.both" "$id" >/dev/null || fail "$officer approves $*"
	done
}
for name in alice erin; do
	approved audit open --reason memory "$work/to_$name.eml"
	match "opened for an auditor" "$(gate audit open --request "$id" "$work/to_$name.eml")" "$inner"
done
approved key export "alice@$org"
gate officer run --out "$work/exported.p12" --password "$work/export_pin" "$id" >/dev/null || fail "key export"
gate vault backup --passphrase-file "$work/backup_pin" "$work/backup" || fail "backup"
nothing "content keys in the vault, after an auditor's opening" "$vault" "${ceks[@]}"
nothing "text in the vault, after an auditor's opening" "$vault" "${texts[@]}"
nothing "what was given, in the vault" "$vault" "${given[@]}"
nothing "what was given, in the milter" "$milter" "${given[@]}"
# A token's PIN stays in the vault, for the token's next process: where secrets are, locked and in no core.
if [ -n "$token_pin" ]; then
	found "the token's PIN in the vault" "$vault" "token-pin=text:$token_pin"
	"$work/memscan" "$vault" "token-pin=text:$token_pin" 2>&1 >/dev/null | sed -n 's/.* is in \([0-9a-f]*-[0-9a-f]*\) .*/\1/p' |
		sort -u >"$work/places"
	[ -s "$work/places" ] || fail "nobody says where the token's PIN is"
	while read -r place; do
		flags=$(sed -n "/^$place /,/^VmFlags/p" "/proc/$vault/smaps" | grep '^VmFlags')
		match "memory with the token's PIN, $place" "$flags" ' lo .*dd|dd .*lo '
	done <"$work/places"
	given+=("token-pin=text:$token_pin")
	nothing "the token's PIN in the milter" "$milter" "${given[@]}"
fi

# Keys that were retired long ago are not kept: the cache is emptied by any change of the store.
gate key new "dora@$org" >/dev/null || fail "key new"

# No core files, no debugger of another user, memory that does not go to the swap.
for pid in "$vault" "$milter"; do
	match "limits of $pid" "$(grep 'core file' /proc/"$pid"/limits)" ' 0 +0 '
	want "environment of $pid" "$(tr '\0' '\n' <"/proc/$pid/environ" | grep -c "$pin\|$master")" 0
	want "arguments of $pid" "$(tr '\0' '\n' <"/proc/$pid/cmdline" | grep -c "$pin\|$master")" 0
done
[ "$(awk '/VmLck/ { print $2 }' /proc/"$vault"/status)" -gt 0 ] || fail "the vault has no locked memory"

# Nothing on the disk, but for the master key's own file.
while read -r file; do
	case "$file" in */master.key | */token.pin) continue ;; esac
	nothing "$file" -f "$file" "${keys[@]}" "${texts[@]}" "${ceks[@]}" "${given[@]}"
done < <(find "$dir" -type f)
for log in "$work"/vault.log "$work"/milter.log "$work"/tool.log; do
	nothing "$log" -f "$log" "${keys[@]}" "${texts[@]}" "${ceks[@]}" "${given[@]}"
done

# A crash leaves no core.
cd "$work" || exit 70
kill -ABRT "$milter"
wait_for 5 bash -c "! kill -0 $milter 2>/dev/null"
want "core files" "$(find "$work" "$dir" -name 'core*' -type f | wc -l)" 0
finish
