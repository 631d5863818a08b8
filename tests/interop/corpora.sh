#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Other people's examples, judged and opened by the gateway: the people of RFC 9216, the mails of RFC 4134, mails with protected
# headers, and the CMS messages of OpenSSL's tests that nobody may believe.
#
#   tests/interop/corpora.sh [-v]      SEALGATE_CORPORA: the folder of test data; what is absent is left out
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"
. "$srcdir/tests/flow/world.sh"

data=$(realpath -m "${SEALGATE_CORPORA:-$srcdir/../shared/corpora}")
[ -d "$data/rfc9216" ] && [ -d "$data/rfc4134" ] && [ -d "$data/protected-headers" ] && [ -d "$data/openssl-data" ] ||
	skip "no other people's test data"
command -v perl >/dev/null || skip "perl is not installed"
parts=$srcdir/tests/interop/mime-parts
tool=$builddir/sealgate
verbose=${1-}
org=smime.example
people=$data/rfc9216 headers=$data/protected-headers vectors=$data/openssl-data
rsa_root=$people/RSA-Certification-Authority-Root-Certificate.crt
ed_root=$people/Ed25519-Certification-Authority-Root-Certificate.crt
cd "$work" || exit 1
tried=0 agreed=0 mail_dir=0

# is WHAT GOT PATTERN: counts; the extended regular expression has to fit
is() {
	tried=$((tried + 1))
	if printf '%s\n' "$2" | grep -Eq -- "$3"; then
		agreed=$((agreed + 1))
		[ -z "$verbose" ] || echo "ok: $1: $2"
	else
		fail "$1: \"$2\" does not match \"$3\""
	fi
}

count() { # WHAT: what was counted since the last
	echo "note: $1: $agreed of $tried"
	tried=0 agreed=0
}

# der FILE: whether it is PEM or not
der() {
	if head -c 5 "$1" | grep -q -- -----; then
		sed '/^-----/d' "$1" | base64 -d 2>/dev/null
	else
		cat "$1"
	fi
}

# mail KIND CMS FROM TO: a message around a CMS in mail.eml
mail() {
	"$parts" wrap "$1" "$2" >entity.out && "$parts" message "$3" "$4" entity.out >mail.eml
}

# word NAME: a member of the verdict in $out
word() {
	printf '%s' "$out" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

# judged ARGUMENTS… < MAIL: "verdict signature path strength", or the signal that killed it
judged() {
	local status
	out=$("$tool" verify "$@" 2>&1)
	status=$?
	[ $status -lt 100 ] || { echo "killed: $status"; return; }
	echo "$(word verdict) $(word signature) $(word path) $(word strength)"
}

# delivered MAIL FROM TO: what the gateway does with it; the message is in in.eml then, the JSON in $json
delivered() {
	mail_dir=$((mail_dir + 1))
	mkdir "in.$mail_dir"
	json=$(gate process --sender "$2" --rcpt "$3" --out "in.$mail_dir" <"$1")
	[ -n "$json" ] || json="process failed"
	cp "in.$mail_dir/1.eml" in.eml 2>/dev/null || : >in.eml
}

authentication() {
	tr -d '\r\n' <in.eml | grep -o 'Authentication-Results:[^:]*smime=[a-z]*' | sed 's/.*=//'
}

made_gate
vault_up

# --- RFC 9216: who may do what
for who in Alice Bob Carlos Dana; do
	signing="$people/$who-s-Signature-Verification-End-Entity-Certificate.crt"
	opening="$people/$who-s-Encryption-End-Entity-Certificate.crt"
	case $who in
	Alice | Bob) root=$rsa_root other=$ed_root cross=$people/RSA-Certification-Authority-Cross-Signed-Certificate.crt want_open=valid ;;
	*) root=$ed_root other=$rsa_root cross=$people/Ed25519-Certification-Authority-Cross-Signed-Certificate.crt want_open='key \(x25519\) is not supported' ;;
	esac
	is "$who signs" "$("$tool" cert check --anchor "$root" --purpose sign "$signing")" '"path":"valid"'
	is "$who signs, by the other root" "$("$tool" cert check --anchor "$other" --cert "$cross" --purpose sign "$signing")" '"path":"valid"'
	is "$who signs, cross certificate missing" "$("$tool" cert check --anchor "$other" --purpose sign "$signing")" '"path":"(invalid|unknown)"'
	is "$who is encrypted for" "$("$tool" cert check --anchor "$root" --purpose encrypt "$opening")" "$want_open"
	is "$who signs with the wrong one" "$("$tool" cert check --anchor "$root" --purpose sign "$opening")" 'not for signing'
	is "$who is encrypted for with the wrong one" "$("$tool" cert check --anchor "$root" --purpose encrypt "$signing")" 'not for encryption'
done

# Partners elsewhere: the certificate to encrypt for is chosen by KeyUsage.
made gate "$work/elsewhere" example.org || fail "made-gate, elsewhere"
find_in() {
	"$tool" -c "$work/elsewhere/sealgate.conf" cert "$@" 2>>tool.log
}
find_in add "$people"/*End-Entity*.crt >/dev/null
find_in add --anchor "$rsa_root" >/dev/null
for who in alice bob; do
	serial=$(openssl x509 -in "$people/${who^}-s-Encryption-End-Entity-Certificate.crt" -noout -serial | tr -d '\n' | sed 's/.*=0*//' | tr A-F a-f)
	is "cert find $who" "$(find_in find --json "$who@$org" | sed 's/{"used":/\n&/g' | grep '"used":true')" "\"serial\":\"0*$serial\""
	is "cert find $who, how many" "$(find_in find --json "$who@$org" | grep -o '"used":true' | wc -l)" '^1$'
done
is "cert find carlos" "$(find_in find --json "carlos@$org")" '"answer":"none".*x25519\) is not supported'

# --- RFC 9216: keys into the vault, mail to and from them
gate cert add --anchor "$rsa_root" "$headers/sample-ca.pem" >/dev/null || fail "cert add --anchor"
for who in Alice Bob; do
	echo "${who,,}" >password
	is "$who's PKCS#12" "$(gate key import --json --password password "$people/PKCS-12-Object-for-$who.p12")" \
		'"outcome":"imported".*"purpose":"open".*"outcome":"imported".*"purpose":"sign"'
	echo nobody >password
	is "$who's PKCS#12, another password" "$(gate key import --json --password password "$people/PKCS-12-Object-for-$who.p12" 2>&1 |
		grep -c '"outcome":"imported"')" '^0$'
done
for who in Carlos Dana; do
	echo "${who,,}" >password
	is "$who's PKCS#12" "$("$tool" -c "$conf" key import --password password "$people/PKCS-12-Object-for-$who.p12" 2>&1)" 'x25519\) is not supported'
done
printf 'Content-Type: text/plain\r\n\r\nFor Bob alone: interop-secret.\r\n' >entity
openssl cms -sign -in entity -signer "$people/Alice-s-Signature-Verification-End-Entity-Certificate.crt" \
	-inkey "$people/Alice-s-Signing-Private-Key-Material.key" -out signed 2>>openssl.log || fail "openssl signs as Alice"
openssl cms -encrypt -aes-256-cbc -in signed -out sealed "$people/Bob-s-Encryption-End-Entity-Certificate.crt" 2>>openssl.log ||
	fail "openssl encrypts for Bob"
"$parts" message "alice@$org" "bob@$org" signed >signed.eml
"$parts" message "alice@$org" "bob@$org" sealed >sealed.eml
is "Alice's signature" "$(judged --anchor "$rsa_root" <signed.eml)" '^pass good valid ok$'
is "Alice's signature, in another's name" "$(judged --anchor "$rsa_root" --from "bob@$org" <signed.eml)" '^fail good valid'
delivered sealed.eml "alice@$org" "bob@$org"
is "mail for Bob" "$json $(authentication)" '"opened":true.* pass$'
is "what is in it" "$(grep -c interop-secret in.eml)" '^1$'
delivered sealed.eml "alice@$org" "alice@$org"
is "mail for Bob, to Alice" "$json $(grep -c interop-secret in.eml)" '"opened":false.* 0$'
printf 'From: alice@%s\nTo: carol@elsewhere.example\nSubject: x\n\nhello\n' "$org" >plain.eml
mkdir out
gate process --sender "alice@$org" --user "alice@$org" --rcpt "carol@elsewhere.example" --out out <plain.eml >json || fail process
openssl cms -verify -in out/1.eml -CAfile "$rsa_root" -signer signer.pem -out text 2>>openssl.log
is "we sign for Alice" "$(openssl x509 -in signer.pem -noout -serial)" \
	"$(openssl x509 -in "$people/Alice-s-Signature-Verification-End-Entity-Certificate.crt" -noout -serial)"
for who in Carlos Dana; do # Ed25519 in the CMS of OpenSSL begins with 3.5
	openssl cms -sign -in entity -md sha512 -signer "$people/$who-s-Signature-Verification-End-Entity-Certificate.crt" \
		-inkey "$people/$who-s-Signing-Private-Key-Material.key" -out signed 2>>openssl.log || continue
	"$parts" message "${who,,}@$org" "bob@$org" signed >signed.eml
	is "$who's signature" "$(judged --anchor "$ed_root" <signed.eml)" '^(pass good valid ok|(neutral|permerror) unsupported)'
done
count "people of RFC 9216"

# --- RFC 4134: mathematically right, weak by policy; what is not signed is never called so
rfc=$data/rfc4134
while IFS=$'\t' read -r file section kind detached signer valid rest; do
	case "$file" in
	*.eml) cp "$rfc/$file" mail.eml ;;
	5*) mail enveloped "$rfc/$file" alicedss@example.com "bob@$org" ;;
	4.3.bin)
		printf 'Content-Type: text/plain\r\n\r\n' | cat - "$rfc/$detached" >content # not what was signed
		"$parts" wrap clear "$rfc/$file" content >entity.out && "$parts" message AliceDSS@example.com "bob@$org" entity.out >mail.eml
		;;
	*) mail opaque "$rfc/$file" "${signer%%+*}@example.com" "bob@$org" ;;
	esac
	got=$(judged --anchor "$rfc/ca.pem" --anchor "$rfc/CarlDSSSelf.cer" --at 2003-01-01T00:00:00Z --from "${signer%%+*}@example.com" <mail.eml)
	case "$file" in
	4.3.bin) want='^fail bad' ;;
	4.6.bin) want='^(policy good valid weak|(neutral|permerror) unsupported|fail)' ;; # the second signer's DSA key inherits its parameters
	4.11.bin) want='^(none|neutral|permerror) none' ;;
	4.*) want='^policy good valid weak$' ;;
	*) want='^none none' ;;
	esac
	is "RFC 4134, $section ($kind)" "$got" "$want"
	delivered mail.eml alicedss@example.com "bob@$org"
	is "RFC 4134, $section, delivered" "$json" '"reply":"250 .*"opened":false'
done < <(sed 1d "$rfc/expected.tsv")
"$parts" wrap clear "$rfc/4.3.bin" "$rfc/ExContent.bin" >entity.out && "$parts" message AliceDSS@example.com "bob@$org" entity.out >mail.eml
is "RFC 4134, 4.3, with what was signed" "$(judged --anchor "$rfc/CarlDSSSelf.cer" --cert "$rfc/AliceDSSSignByCarlNoInherit.cer" \
	--at 2003-01-01T00:00:00Z <mail.eml)" '^policy good valid weak$'
count "mails of RFC 4134"

# --- protected headers
: >password
gate key import --password password "$headers/bob.der.p12" >/dev/null || {
	echo bob >password
	gate key import --password password "$headers/bob.der.p12" >/dev/null || fail "Bob's key of the protected headers"
}
for name in multipart-signed onepart-signed; do
	is "smime-$name" "$(judged --anchor "$headers/sample-ca.pem" <"$headers/smime-$name.eml")" '^pass good valid ok$'
	delivered "$headers/smime-$name.eml" "alice@$org" "bob@$org"
	is "smime-$name, delivered" "$(authentication)" '^pass$'
done
sed 's/cancel this contract/keep this contract/' "$headers/smime-multipart-signed.eml" >changed.eml
is "smime-multipart-signed, changed" "$(judged --anchor "$headers/sample-ca.pem" <changed.eml)" '^fail bad'
for name in sign+enc sign+enc+legacy-disp enc+legacy-disp; do
	delivered "$headers/smime-$name.eml" "alice@$org" "bob@$org"
	is "smime-$name" "$json" '"opened":true'
	case $name in
	sign*) inner=$headers/smime-$name.inner.inner want=pass ;;
	*) inner=$headers/smime-$name.inner want= ;;
	esac
	is "smime-$name, verdict" "$(authentication)" "^$want\$"
	# The body of the inner part, as it stands in the corpus
	kind=$("$parts" split in.eml .)
	case "$kind" in
	opaque) openssl cms -verify -noverify -inform DER -in cms -out text 2>>openssl.log ;;
	*) cp in.eml text ;;
	esac
	tr -d '\r' <"$inner" | sed '1,/^$/d' >body
	is "smime-$name, text" "$("$parts" has text body && echo same)" '^same$'
	is "smime-$name, header" "$(sed '/^\r\{0,1\}$/q' in.eml | grep -i '^Subject:' | tr -d '\r')" '^Subject: \.\.\.$'
done
delivered "$headers/unfortunately-complex.eml" "alice@openpgp.example" "bob@$org"
is "unfortunately-complex" "$(tr -d '\r' <"$headers/unfortunately-complex.eml" | cmp - <(tr -d '\r' <in.eml) && echo same)" '^same$'
count "mails with protected headers"

# --- OpenSSL's: never believed, never opened, never a crash; the keys do open what is good
for name in smrsa1 smec1; do
	cp "$vectors/smime-certs/$name.pem" $name.pem
	gate key import --address "$name@$org" $name.pem >/dev/null || fail "key import $name"
	openssl cms -encrypt -aes-256-cbc -in entity -out sealed $name.pem 2>>openssl.log
	"$parts" message "alice@$org" "$name@$org" sealed >sealed.eml
	delivered sealed.eml "alice@$org" "$name@$org"
	is "$name's key" "$json" '"opened":true'
done
openssl cms -sign -in entity -signer smrsa1.pem -out signed 2>>openssl.log
"$parts" message "smrsa1@$org" "bob@$org" signed >signed.eml
is "smrsa1's signature" "$(judged --anchor "$vectors/smime-certs/smroot.pem" <signed.eml)" ' good '
while IFS=$'\t' read -r file form expected; do
	case "$file" in
	*.eml) cp "$vectors/$file" mail.eml ;;
	*)
		der "$vectors/$file" >vector
		kind=opaque
		openssl asn1parse -inform DER -in vector 2>/dev/null | grep -m 1 OBJECT | grep -qi enveloped && kind=enveloped
		mail $kind vector "smrsa1@$org" "smrsa1@$org"
		;;
	esac
	case "$file" in
	*MappingFromanyPolicy*)
		[ -d "$data/pkits" ] || continue
		is "$file" "$(judged --anchor "$data/pkits/certs/TrustAnchorRootCertificate.crt" --no-revocation <mail.eml)" '^fail good invalid'
		;;
	*) is "$file ($expected)" "$(judged --anchor "$vectors/smime-certs/smroot.pem" <mail.eml)" '^(fail bad|permerror none|none none|(neutral|permerror) unsupported)' ;;
	esac
	for name in smrsa1 smec1; do
		delivered mail.eml "smrsa1@$org" "$name@$org"
		is "$file, to $name" "$json" '"reply":"250 .*"opened":false'
	done
	# With the key that it was made for, below the gateway: the same library
	case "$file" in
	*ecdh-malformed*) key=80-test_cms_data/ecdh-key.pem cert=80-test_cms_data/ecdh-cert.pem ;;
	*rsa-malformed*) key=smime-certs/smrsa1.pem cert=smime-certs/smrsa1.pem ;;
	*missing-kdf*) key=smime-certs/smec1.pem cert=smime-certs/smec1.pem ;;
	*) continue ;;
	esac
	openssl pkcs8 -topk8 -nocrypt -in "$vectors/$key" -outform DER -out key.der 2>>openssl.log
	openssl x509 -in "$vectors/$cert" -out cert.pem 2>>openssl.log
	"$builddir/tests/interop/cmstool" open key.der cert.pem <vector >opened 2>cmstool.err
	status=$?
	is "$file, opened by hand" "$status $(wc -c <opened)" '^(65|66|75) 0$'
done < <(sed 1d "$vectors/cms-negative.tsv")
count "CMS messages of OpenSSL's tests that must fail"
kill -0 "$vault" 2>/dev/null || fail "the vault is gone"
finish
