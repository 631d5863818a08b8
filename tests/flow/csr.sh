#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Keys whose certificates an outside CA makes: requests out, certificates back, mail signed with them.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate
vault_up
status() {
	"$builddir/sealgate" -c "$conf" "$@" >"$work/out" 2>"$work/err"
	echo $?
}

# --- an outside CA with an issuing CA below its root
ca=$work/ca
mkdir "$ca" "$work/back"
quiet() {
	"$@" >>"$work/openssl.log" 2>&1 || fail "$*"
}
quiet openssl req -x509 -newkey rsa:2048 -nodes -keyout "$ca/root.key" -out "$ca/root.pem" -days 3650 \
	-subj '/O=Outside/CN=Root' -addext basicConstraints=critical,CA:TRUE
quiet openssl req -newkey rsa:2048 -nodes -keyout "$ca/sub.key" -out "$ca/sub.csr" -subj '/O=Outside/CN=Issuing'
printf 'basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' >"$ca/ca.ext"
quiet openssl x509 -req -in "$ca/sub.csr" -CA "$ca/root.pem" -CAkey "$ca/root.key" -days 3000 -extfile "$ca/ca.ext" \
	-out "$ca/sub.pem"
# issue CSR OUT [EXTENSIONS]: what the request asks for, or these
issue() {
	local csr=$1 out=$2
	if [ $# -gt 2 ]; then
		printf '%b\n' "$3" >"$ca/leaf.ext"
		set -- -extfile "$ca/leaf.ext"
	else
		set -- -copy_extensions copy
	fi
	quiet openssl x509 -req -in "$csr" -CA "$ca/sub.pem" -CAkey "$ca/sub.key" -days 365 -out "$out" "$@"
}

# --- requests
gate key request --out "$work/req" --type rsa2048 --name 'Alice Ä' \
	--subject 'CN={name},OU=Labs\, and more,O=Example,C=JP' "alice@$org" >"$work/first" || fail "key request"
csr=$(ls "$work/req"/alice*.csr.pem)
match "the name of the file" "$csr" "/alice@$org\.k[0-9a-f]{16}\.csr\.pem$"
key=$(cut -d' ' -f1 "$work/first")
openssl req -in "$csr" -noout -verify >/dev/null 2>&1 || fail "openssl: the request's signature"
text=$(openssl req -in "$csr" -noout -text -nameopt utf8)
match "subject" "$text" 'Subject: C=JP, O=Example, OU=Labs, and more, CN=Alice Ä'
match "address" "$text" "email:alice@$org"
match "usage" "$text" 'Digital Signature, Key Encipherment'
match "purpose" "$text" 'E-mail Protection'
text=$(certtool --crq-info --infile "$csr" 2>&1) || fail "certtool does not read the request"
match "certtool" "$text" 'Self signature: verified'
match "certtool: address" "$text" "RFC822Name: alice@$org"
cp "$csr" "$work/before"
match "again" "$(gate key request --out "$work/req" --subject 'CN={name},OU=Labs\, and more,O=Example,C=JP' "alice@$org")" \
	'asked for already'
cmp -s "$csr" "$work/before" || fail "a second run wrote another request"
rm "$csr"
gate key request --out "$work/req" --subject 'CN={name}, OU=Labs\2C and more, O=Example, C=JP' "alice@$org" >/dev/null
cmp -s "$csr" "$work/before" || fail "a request that was lost comes back different"
want "one request, one key" "$(gate key list "alice@$org" | wc -l)" 1
match "waiting" "$(gate key list "alice@$org")" "^$key +waiting .*waiting for certificate"
match "waiting, show" "$(gate key show "alice@$org")" '^requested +20'
# Another name: the same key asks anew.
gate key request --out "$work/req" "alice@$org" >/dev/null || fail "another subject"
want "another subject, the same key" "$(ls "$work/req" | wc -l)" 1
match "another subject" "$(openssl req -in "$csr" -noout -subject -nameopt rfc2253)" "^subject=CN=alice@$org\$"
want "another type" "$(status key request --out "$work/req" --type p256 "alice@$org")" 65
match "another type" "$(cat "$work/err")" "has key $key waiting for a certificate, and it is no p256"
want "a bad subject" "$(status key request --out "$work/req" --subject 'nonsense' "zoe@$org")" 64
match "a bad subject" "$(cat "$work/err")" 'subject: part 1 is no TYPE=VALUE'
want "a subject that cannot be" "$(status key request --out "$work/req" --subject 'C=JPN' "zoe@$org")" 64
match "a subject that cannot be" "$(cat "$work/err")" 'C=JPN cannot stand in a subject'
want "an unknown word" "$(status key request --out "$work/req" --subject 'CN={city}' "zoe@$org")" 64
want "no folder" "$(status key request "zoe@$org")" 64
want "nothing half done" "$(status key list "zoe@$org")" 65
gate key request --out "$work/req" --purpose separate --type p256 "od/d+x@$org" >/dev/null || fail "separate"
want "separate" "$(ls "$work/req" | grep -c '^od%2Fd')" 2
gate key request --out "$work/req" --type p384 "bob@$org" "carol@$org" >"$work/many" || fail "several"
want "several" "$(wc -l <"$work/many")" 2

# --- a key that waits signs nothing
printf 'From: alice@%s\nTo: x@%s\nSubject: s\nMessage-ID: <1@%s>\n\ntext\n' "$org" "$partner" "$org" >"$work/mail"
json=$(gate process --sender "alice@$org" --user "alice@$org" --rcpt "x@$partner" --out "$work/none" <"$work/mail" 2>&1)
mismatch "signed by a key that waits" "$json" '"signed":true'
want "no certificate yet" "$(status key export --cert "alice@$org")" 65

gate vault rekey --deep 2>>"$work/tool.log" || fail "rekey --deep with requests under way"
# --- certificates back: PEM, DER, PKCS#7, the chain in a file of its own, strangers among them
issue "$csr" "$work/back/1.cer"
bob=$(ls "$work/req"/bob*.pem)
issue "$bob" "$ca/bob.pem"
openssl x509 -in "$ca/bob.pem" -outform DER -out "$work/back/無題.der"
n=0
for odd in "$work/req"/od*.pem; do
	n=$((n + 1))
	issue "$odd" "$ca/odd$n.pem"
done
quiet openssl crl2pkcs7 -nocrl -certfile "$ca/odd1.pem" -certfile "$ca/odd2.pem" -certfile "$ca/sub.pem" -outform DER \
	-out "$work/back/odd.p7b"
cp "$ca/root.pem" "$work/back/root.crt"
quiet openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -out "$work/back/stranger.pem" -days 30 -subj /CN=S \
	-addext "subjectAltName=email:alice@$org" -addext basicConstraints=critical,CA:FALSE
want "import-certs" "$(status key import-certs "$work/back")" 0
cp "$work/out" "$work/imported"
want "added" "$(grep -c '^added' "$work/imported")" 4
match "unmatched" "$(cat "$work/imported")" '^unmatched .*stranger.pem .*no key here belongs to it'
match "counts" "$(cat "$work/err")" '4 added, 0 known already, 1 of no key here, 0 refused'
match "active" "$(gate key list "alice@$org")" "^$key +active"
mismatch "no longer asked for" "$(gate key show "alice@$org")" '^requested'
want "with its chain" "$(gate key export --cert "alice@$org" | grep -c BEGIN)" 2
want "the purposes of two keys" "$(gate key list "od/d+x@$org" | awk '{ print $2, $3 }' | sort | tr '\n' ' ')" \
	"active open active sign "
want "import-certs again" "$(status key import-certs "$work/back" "$work/back/1.cer")" 0
match "import-certs again" "$(cat "$work/err")" '0 added, (4|5) known already'

# A chain that was missing comes later; the certificate itself is known.
quiet openssl req -x509 -newkey rsa:2048 -nodes -keyout "$ca/other.key" -out "$ca/other.pem" -days 3650 \
	-subj '/O=Other/CN=Root' -addext basicConstraints=critical,CA:TRUE
gate key request --out "$work/lone" --type p256 "lone@$org" >/dev/null || fail "lone"
quiet openssl req -newkey rsa:2048 -nodes -keyout "$ca/sub2.key" -out "$ca/sub2.csr" -subj '/O=Other/CN=Issuing 2'
quiet openssl x509 -req -in "$ca/sub2.csr" -CA "$ca/other.pem" -CAkey "$ca/other.key" -days 3000 -extfile "$ca/ca.ext" \
	-out "$ca/sub2.pem"
quiet openssl x509 -req -in "$(ls "$work/lone"/*)" -CA "$ca/sub2.pem" -CAkey "$ca/sub2.key" -days 365 -copy_extensions copy \
	-out "$ca/lone.pem"
want "without its chain" "$(status key import-certs "$ca/lone.pem")" 0
want "without its chain" "$(gate key export --cert "lone@$org" | grep -c BEGIN)" 1
want "its chain" "$(status key import-certs "$ca/sub2.pem" "$ca/lone.pem")" 0
match "its chain" "$(cat "$work/out")" '^known .*its chain is longer now'
want "with its chain" "$(gate key export --cert "lone@$org" | grep -c BEGIN)" 2
want "its chain, again" "$(status key import-certs "$ca/sub2.pem" "$ca/lone.pem")" 0
mismatch "its chain, again" "$(cat "$work/out")" 'longer now'

# --- and mail is signed with it
json=$(gate process --sender "alice@$org" --user "alice@$org" --rcpt "x@$partner" --out "$work/signed" <"$work/mail")
match "signed" "$json" '"signed":true'
openssl cms -verify -in "$work/signed/1.eml" -CAfile "$ca/root.pem" -purpose any -signer "$work/signer" -out /dev/null \
	2>>"$work/openssl.log" || fail "openssl does not verify the signature with the outside root alone"
want "the signer" "$(openssl x509 -in "$work/signer" -noout -serial)" \
	"$(openssl x509 -in "$work/back/1.cer" -noout -serial)"
# gpgsm believes it too
mkdir -m 700 "$work/gnupg"
export GNUPGHOME=$work/gnupg
if gpgsm --batch --disable-dirmngr --import "$work/back/1.cer" "$ca/sub.pem" "$ca/root.pem" 2>"$work/gpgsm.log"; then
	fpr=$(openssl x509 -in "$ca/root.pem" -noout -fingerprint -sha1 | cut -d= -f2)
	echo "$fpr S" >"$GNUPGHOME/trustlist.txt"
	match "gpgsm" "$(gpgsm --batch --disable-dirmngr --disable-crl-checks --with-validation -k "alice@$org" 2>&1)" \
		'certificate is good'
else
	fail "gpgsm does not import the certificates"
fi
gpgconf --kill all 2>/dev/null

# --- refused: another's address, no mail, the wrong use; the rest of the files is kept
carol=$(ls "$work/req"/carol*.pem)
mkdir "$work/bad"
issue "$carol" "$work/bad/address.pem" "subjectAltName=email:mallory@$org\nextendedKeyUsage=emailProtection"
issue "$carol" "$work/bad/client.pem" "subjectAltName=email:carol@$org\nextendedKeyUsage=clientAuth"
echo nonsense >"$work/bad/readme.txt"
want "refused" "$(status key import-certs "$work/bad")" 65
match "address" "$(cat "$work/out")" "^refused .*address.pem .*: it names mallory@$org, and key k[0-9a-f]+ belongs to carol@$org"
match "client authentication" "$(cat "$work/out")" '^not-for-mail .*client.pem .*: it is for client authentication, not for mail'
match "no certificate" "$(cat "$work/err")" 'left out: .*readme.txt'
match "goes on waiting" "$(gate key list "carol@$org")" 'waiting'
signer=$(ls "$work/req"/od*.pem | head -n 1)
want "no file" "$(status key import-certs "$work/none.pem")" 66
printf 'keyUsage=critical,keyAgreement\nsubjectAltName=email:carol@%s\n' "$org" >"$ca/x"
gate key request --out "$work/sign" --purpose sign --also --type p256 "carol@$org" >/dev/null || fail "sign only"
issue "$(ls "$work/sign"/*)" "$work/bad/use.pem" "keyUsage=critical,keyAgreement\nsubjectAltName=email:carol@$org"
want "a use that is not the key's" "$(status key import-certs "$work/bad/use.pem")" 65
match "a use that is not the key's" "$(cat "$work/out")" '^refused .*for encrypting only, and the key only signs'
# A cut file, and each byte of a certificate wrong: said, never a crash, nothing kept.
issue "$carol" "$ca/carol.pem"
openssl x509 -in "$ca/carol.pem" -outform DER -out "$ca/carol.der"
head -c 300 "$ca/carol.der" >"$work/bad/cut.der"
want "cut" "$(status key import-certs "$work/bad/cut.der")" 66

# --- renewal with a new key: the old one goes on until the certificate is there
gate key request --renew --out "$work/renew" "alice@$org" >/dev/null || fail "renew"
want "a second key" "$(gate key list "alice@$org" | wc -l)" 2
match "the old one signs" "$(gate key list "alice@$org")" "^$key +active"
want "without --renew" "$(status key request --out "$work/renew" "bob@$org")" 65
match "without --renew" "$(cat "$work/err")" 'has the active key'
issue "$(ls "$work/renew"/*)" "$work/renewed.pem"
gate key import-certs "$work/renewed.pem" >/dev/null 2>&1 || fail "the renewed certificate"
match "the old one retires" "$(gate key list "alice@$org")" "^$key +retired"
want "its certificate stays" "$(gate key show "$key" | grep -c '^certificate')" 1
want "completed from the store" "$(gate key export --cert "alice@$org" | grep -c BEGIN)" 2

grep -q "\"event\":\"key.cert.add\".*\"retires\":\"$key\"" "$dir"/ledger/*.jsonl || fail "the ledger does not say what was retired"
# --- a certificate that nobody asked for, made by anybody for a public key of ours
issue "$bob" "$work/forged.pem"
want "unasked" "$(status key import-certs "$work/forged.pem")" 65
match "unasked" "$(cat "$work/out")" '^refused .*forged.pem .*has a certificate, and nobody asked for another'
want "unasked: nothing changed" "$(gate key show "bob@$org" | grep -c '^certificate')" 1

# --- renewal with the same key
gate key request --same-key --out "$work/same" "bob@$org" >/dev/null || fail "same key"
want "no second key" "$(gate key list "bob@$org" | wc -l)" 1
match "still active" "$(gate key show "bob@$org")" '^status +active'
cp "$(ls "$work/same"/*)" "$work/before"
gate key request --same-key --out "$work/same" "bob@$org" >/dev/null
cmp -s "$(ls "$work/same"/*)" "$work/before" || fail "another request for the same key (ECDSA signs at random)"
sleep 1.1 # a later second, so that it is another certificate
issue "$work/before" "$work/same.pem"
gate key import-certs --json "$work/same.pem" >"$work/out" 2>/dev/null || fail "a second certificate"
match "JSON" "$(cat "$work/out")" '^\{"v":1,"certificates":\[\{"file":"[^"]+same.pem","sha256":"[0-9a-f]{64}".*"outcome":"added"'
want "two certificates" "$(gate key show "bob@$org" | grep -c '^certificate')" 2

want "--unasked" "$(status key import-certs --unasked "$work/forged.pem")" 0
# --- all of it is in the ledger, before it happened
out=$(gate audit verify) || fail "the ledger does not verify"
gate audit search --type intent >"$work/intents"
want "requests that were signed" "$(grep -c 'event=request' "$work/intents")" 10
want "certificates" "$(gate audit search --type admin | grep -c event=key.cert.add)" 9
! grep -q "carol@" "$dir"/ledger/*.jsonl || fail "an address in the ledger"
finish
