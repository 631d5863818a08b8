#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What outsiders, insiders without rights and broken machines try, against the real vault.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

"$builddir/sealgate" init --dir "$dir" --domain "$org" >>"$work/tool.log" 2>&1 || fail "sealgate init"
own_users
vault_up
gate key new "alice@$org" >/dev/null || fail "key new alice"
partner_cert carol "carol@$partner" rsa:2048
gate cert add --anchor "$work/ca.pem" >/dev/null || fail "cert add --anchor"
gate cert add "$work/carol.pem" >/dev/null || fail "cert add"

# run STATUS ARGUMENTS… < mail: the JSON in $json, the message in out.eml
run() {
	local expected=$1
	shift
	"$builddir/sealgate" -c "$conf" process "$@" >"$work/out.eml" 2>"$work/out.json"
	want "process $*" $? "$expected"
	json=$(tail -n 1 "$work/out.json")
}
in="--sender carol@$partner --rcpt alice@$org"

# A mail that carol signed once, shown in another way.
printf 'Content-Type: text/plain\r\n\r\nlunch at noon?\r\n' >"$work/in.txt"
openssl cms -sign -binary -md sha256 -in "$work/in.txt" -signer "$work/carol.pem" -inkey "$work/carol.key" -out "$work/in.signed" 2>/dev/null
sed -i 's/\r$//' "$work/in.signed"
{ printf 'From: carol@%s\nTo: alice@%s\n' "$partner" "$org"; cat "$work/in.signed"; } >"$work/signed.eml"
run 0 $in <"$work/signed.eml"
match "signed" "$(head -n 2 "$work/out.eml")" 'smime=pass'
{ printf 'From: carol@%s\nTo: alice@%s\n' "$partner" "$org"; sed 's/^Content-Type: multipart/Content-Type: text\/plain\n&/; s/^This is.*/pay to account 1/' "$work/in.signed"; } >"$work/two.eml"
run 0 $in <"$work/two.eml"
mismatch "two Content-Type fields" "$(head -n 3 "$work/out.eml")" 'smime=pass'
{ printf 'From: carol@%s\nTo: alice@%s\n' "$partner" "$org"; sed 's/^\(Content-Type: multipart.*\)/\1\nContent-Type: text\/plain/; s/^This is.*/pay to account 1/' "$work/in.signed"; } >"$work/two.eml"
run 0 $in <"$work/two.eml"
mismatch "two Content-Type fields" "$(head -n 3 "$work/out.eml")" 'smime=pass'

# Another author beside the signer.
for from in 'From: "president@bank.example"' 'From: President of the Bank' 'From:' 'From: president@bank.example:;'; do
	{ printf '%s\n' "$from"; cat "$work/signed.eml"; } >"$work/from.eml"
	run 0 $in <"$work/from.eml"
	mismatch "$from beside the signer's" "$(head -n 4 "$work/out.eml")" 'smime=pass'
	{ sed "1a $from" "$work/signed.eml"; } >"$work/from.eml"
	run 0 $in <"$work/from.eml"
	mismatch "$from behind the signer's" "$(head -n 4 "$work/out.eml")" 'smime=pass'
done
sed "1s/.*/From: president@bank.example:carol@$partner/" "$work/signed.eml" >"$work/from.eml"
run 0 $in <"$work/from.eml"
mismatch "an address as a group's name" "$(head -n 4 "$work/out.eml")" 'smime=pass'

# A certificate for two addresses: the result names the one that was checked.
printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\nsubjectAltName=email:president@bank.example,email:mallory@%s\n' "$partner" >"$work/m.ext"
openssl req -newkey rsa:2048 -nodes -keyout "$work/m.key" -out "$work/m.csr" -subj "/CN=m" 2>/dev/null
openssl x509 -req -in "$work/m.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 20 -sha256 -extfile "$work/m.ext" -out "$work/m.pem" 2>/dev/null
openssl cms -sign -binary -md sha256 -in "$work/in.txt" -signer "$work/m.pem" -inkey "$work/m.key" -out "$work/m.signed" 2>/dev/null
{ printf 'From: mallory@%s\nTo: alice@%s\n' "$partner" "$org"; sed 's/\r$//' "$work/m.signed"; } >"$work/m.eml"
run 0 --sender "mallory@$partner" --rcpt "alice@$org" <"$work/m.eml"
match "two addresses" "$(head -n 5 "$work/out.eml")" 'smime=pass'
match "two addresses" "$(head -n 5 "$work/out.eml")" "smime-identifier=\"?mallory@$partner"
mismatch "two addresses" "$(head -n 5 "$work/out.eml")" 'president'

finish
