#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What outsiders, insiders without rights and broken machines try, against the real vault.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice
vault_up
partners carol

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
sed "1s/.*/From: president@bank.example/" "$work/signed.eml" >"$work/other.eml"
run 0 $in <"$work/other.eml"
match "another's signature" "$(head -n 2 "$work/out.eml")" 'smime=policy '
{ sed '/^Content-Type: application\/.*signature/,/^$/!d' "$work/signed.eml" >"$work/part.head"; sed '/^Content-Type: application\/.*signature/q' "$work/signed.eml" | sed '$d'; cat "$work/part.head"; echo bm8gc2lnbmF0dXJl; tail -n 3 "$work/signed.eml"; } >"$work/garbage.eml"
run 0 $in <"$work/garbage.eml"
match "a signature that can't be read" "$(head -n 2 "$work/out.eml")" 'smime=neutral '
{ printf 'From: carol@%s\nTo: alice@%s\n' "$partner" "$org"; sed 's/^Content-Type: multipart/Content-Type: text\/plain\n&/; s/^This is.*/pay to account 1/' "$work/in.signed"; } >"$work/two.eml"
run 0 $in <"$work/two.eml"
mismatch "two Content-Type fields" "$(head -n 3 "$work/out.eml")" 'smime=pass'
{ printf 'From: carol@%s\nTo: alice@%s\n' "$partner" "$org"; sed 's/^\(Content-Type: multipart.*\)/\1\nContent-Type: text\/plain/; s/^This is.*/pay to account 1/' "$work/in.signed"; } >"$work/two.eml"
run 0 $in <"$work/two.eml"
mismatch "two Content-Type fields" "$(head -n 3 "$work/out.eml")" 'smime=pass'

# What some readers' programs would show besides: another boundary, a line that is nearly a delimiter, a CR that ends a line,
# an encoding around the parts.
# seen NAME SED-SCRIPT: signed.eml, changed where nothing is signed; its reader may see another text
seen() {
	sed "$2" "$work/signed.eml" >"$work/seen.eml"
	cmp -s "$work/signed.eml" "$work/seen.eml" && fail "$1: not changed"
	run 0 $in <"$work/seen.eml"
	mismatch "$1" "$(tr -d '\n' <"$work/out.eml")" 'smime=pass'
	match "$1" "$(head -n 4 "$work/out.eml")" 'smime=permerror'
}
boundary=$(sed -n 's/.*boundary="\(.*\)".*/\1/p' "$work/signed.eml" | head -n 1)
evil='Content-Type: text\/plain\n\npay to account 1\n'
seen "a comment with a boundary" 's/boundary=/(; boundary="o";) &/'
seen "a boundary behind a quoted one" 's/boundary=/x="; boundary=o"; &/'
seen "RFC 2231" "s/boundary=\"\(.*\)\"/boundary*=us-ascii''\1/"
seen "nearly a delimiter" "s/^This is an S.*/--${boundary}x\n$evil&/"
seen "a delimiter for a program that ends lines at CR" "s/^This is an S.*/x\r--$boundary\n$evil&/"
seen "a header that ends at two CR" 's/^From:/X: y\r\rpay to account 1\n&/'
seen "base64 around the parts" 's/^Content-Type: multipart/Content-Transfer-Encoding: base64\n&/'

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
sed "1s/.*/From: president@bank.example <carol@$partner>/" "$work/signed.eml" >"$work/from.eml"
run 0 $in <"$work/from.eml"
mismatch "an address as a name" "$(head -n 4 "$work/out.eml")" 'smime=pass'
sed "1s/.*/From: carol@$partner <Carol@$partner>/" "$work/signed.eml" >"$work/from.eml"
run 0 $in <"$work/from.eml"
match "the same address as a name" "$(head -n 4 "$work/out.eml")" 'smime=pass'

# Forged results that are long or oddly written; none of them stays, whatever the mail is.
long=$(printf 'x%.0s' $(seq 59000))
for forged in "Authentication-Results: $org; smime=pass" "authentication-results: (c) \"$org\" 1; spf=pass; smime=pass" \
	"Authentication-Results:$org ; SMIME = pass; x=$long"; do
	for mail in signed.eml in.txt; do
		{ printf '%s\nFrom: carol@%s\n' "$forged" other.example; sed 's/^From:.*/X: y/; s/\r$//' "$work/$mail"; } >"$work/forged.eml"
		run 0 $in --rcpt "x@$org" <"$work/forged.eml"
		mismatch "forged: ${forged:0:60}" "$(cat "$work/out.eml")" '[sS][mM][iI][mM][eE] *= *pass'
	done
done

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

# An answer of the directory's that cannot be read is not the answer "none": nothing goes in the clear for it.
port=$(free_port)
start ldap "$builddir/slowldap" "$port" 0 "$work/entry"
printf 'directories = ( { name = "bad"; uri = "ldap://127.0.0.1:%s"; base = "dc=example"; willing = true; domains = [ "bad.example" ]; } );\nlookup = { negative_ttl = 0; error_ttl = "0s"; };\n' \
	"$port" >>"$conf"
printf 'From: alice@%s\nTo: x@bad.example\n\nhello\n' "$org" >"$work/out.txt"
out="--sender alice@$org --user alice@$org --rcpt x@bad.example"
: >"$work/entry"
wait_for 5 sh -c "exec 3<>/dev/tcp/127.0.0.1/$port" 2>/dev/null
run 0 $out <"$work/out.txt"
name=75736572 certificate=4365727469666963617465
# userCertificate with values that end too late; a type that does; attributes that are no sequence; none at all
for entry in "64 1a 04 00 30 16 30 14 04 0f $name $certificate 31 01 04" \
	"64 1c 04 00 30 18 30 16 04 0f $name $certificate 31 03 04 7f 61" \
	"64 0b 04 00 30 07 30 05 04 7f 61 62 63" "64 07 04 00 04 03 61 62 63" "64 02 04 00" "64 02 04 7f" \
	"64 19 04 00 30 15 30 13 04 0f $name $certificate 31 00 00 00"; do
	echo "$entry" >"$work/entry"
	run 75 $out <"$work/out.txt"
done

# Nor is it "in no group": the rule for a group might forbid to send in the clear.
gate_conf=$conf
conf=$dir/groups.conf
{
	sed "s/^directories = (/&  { name = \"people\"; uri = \"ldap:\/\/127.0.0.1:$port\"; base = \"dc=example\"; certificates = false; },/" "$gate_conf"
	printf 'groups = { directory = "people"; };\nrules = ( { name = "vip"; direction = "outbound"; recipient_group = [ "vip" ]; encrypt = "required"; } );\n'
} >"$conf"
out="--sender alice@$org --user alice@$org --rcpt y@elsewhere.example"
: >"$work/entry"
run 0 $out <"$work/out.txt"
for entry in "64 0b 04 00 30 07 30 05 04 7f 61 62 63" "64 02 04 00" \
	"64 13 04 00 30 0f 30 0d 04 08 6d656d6265724f66 31 03 04 7f 61"; do
	echo "$entry" >"$work/entry"
	run 75 $out <"$work/out.txt"
done
# memberOf: cn=a
echo "64 18 04 00 30 14 30 12 04 08 6d656d6265724f66 31 06 04 04 636e3d61" >"$work/entry"
run 0 $out <"$work/out.txt"
conf=$gate_conf
: >"$work/entry"

# A certificate store that is gone or empty is not one that knows nobody.
mv "$dir/certs/certs.db" "$work/certs.db"
carol="--sender alice@$org --user alice@$org --rcpt carol@$partner"
run 75 $carol <"$work/out.txt"
: >"$dir/certs/certs.db"
run 75 $carol <"$work/out.txt"
mv "$work/certs.db" "$dir/certs/certs.db"
run 0 $carol <"$work/out.txt"
match "the store is back" "$json" '"encrypted":true'

# The signal only asks: a thread may be at work a little longer.
frozen() {
	! sed 's/.*) //' "/proc/$1"/task/*/stat | grep -qv '^T'
}

# A vault that hangs is waited for once, not for each recipient: the SMTP client must not give up before us.
printf 'rules = ( { name = "must"; direction = "outbound"; encrypt = "required"; if_missing = "clear"; } );\n' >>"$conf"
many=
for i in $(seq 20); do many="$many --rcpt r$i@elsewhere.example"; done
kill -STOP "$vault"
wait_for 10 frozen "$vault"
begun=$(date +%s)
run 75 --sender "alice@$org" --user "alice@$org" $many <"$work/out.txt"
at_most "20 recipients, the vault hangs: seconds (100 one by one)" $(($(date +%s) - begun)) 40
kill -CONT "$vault"

finish
