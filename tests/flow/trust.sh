#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the sections anchors, trust, denied and allowed do to verdicts, by sealgate cert check, verify and check.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

sealgate=$builddir/sealgate
[ -x "$sealgate" ] || skip "sealgate is not built"
command -v openssl >/dev/null || skip "openssl is not installed"
cd "$work" || exit 1

# field NAME: the answer of that name in the JSON on standard input; the reasons, which have the same names, left out
field() {
	sed 's/"reasons":{.*"signers"/"signers"/' | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}
# why PART: what was found about it
why() {
	sed -n "s/.*\"$1\":{\"text\":\"\([^\"]*\)\".*/\1/p"
}
# make NAME ISSUER DAYS EXTENSIONS… [-- OPTION…]: a P-256 certificate, self-signed when the issuer is itself
make() {
	name=$1 issuer=$2 days=$3
	shift 3
	printf '%s\n' "$@" >"$name.ext"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$name.key" -subj "/CN=$name" -out "$name.csr" 2>/dev/null
	if [ "$name" = "$issuer" ]; then
		openssl x509 -req -in "$name.csr" -signkey "$name.key" -days "$days" -extfile "$name.ext" -out "$name.pem" 2>/dev/null
	else
		openssl x509 -req -in "$name.csr" -CA "$issuer.pem" -CAkey "$issuer.key" -CAcreateserial -days "$days" \
			-extfile "$name.ext" -out "$name.pem" 2>/dev/null
	fi || fail "openssl x509 $name"
}
# fingerprint FILE: of a certificate
fingerprint() {
	openssl x509 -in "$1" -outform DER | openssl dgst -sha256 -r | cut -d ' ' -f 1
}
# conf TEXT: the configuration, with these sections
conf() {
	printf 'organisation = { domains = [ "example.org" ]; };\n%s\n' "$1" >sealgate.conf
}
# judged FILE [OPTION…]: the verdict of cert check
judged() {
	file=$1
	shift
	"$sealgate" -c sealgate.conf cert check --no-revocation "$@" "$file" 2>>tool.log
}

make Root Root 3650 "basicConstraints=critical,CA:TRUE" "keyUsage=keyCertSign"
make CA Root 3650 "basicConstraints=critical,CA:TRUE" "keyUsage=keyCertSign" "nameConstraints=permitted;email:example.net"
make bob CA 365 "subjectAltName=email:bob@example.net" "keyUsage=digitalSignature"
make eve CA 365 "subjectAltName=email:eve@example.com" "authorityInfoAccess=caIssuers;URI:http://ca.example.net/ca.cer"
make self self 365 "subjectAltName=email:self@example.net"
cat bob.pem CA.pem >bob-chain.pem
cat eve.pem CA.pem >eve-chain.pem

conf 'anchors = ( { file = "Root.pem"; domains = [ "example.net", "example.com" ]; } );'
want "a good one" "$(judged bob-chain.pem --from bob@example.net | field verdict)" pass
want "nothing to say" "$(judged bob-chain.pem --from bob@example.net | why path)" ""
out=$(judged bob-chain.pem)
want "for nobody" "$(echo "$out" | field verdict)" pass
match "for nobody" "$(echo "$out" | why path)" 'valid, but the trust anchor .* may speak only for mail of example.net, example.com; for which address was not asked'
conf 'anchors = ( { file = "Root.pem"; domains = [ "example.net", "example.com" ]; }, { file = "Root.pem"; } );'
want "one without a limit, too" "$(judged bob-chain.pem | why path)" ""
conf 'anchors = ( { file = "Root.pem"; domains = [ "example.net", "example.com" ]; } );'
out=$(judged eve-chain.pem --from eve@example.com)
want "name constraints" "$(echo "$out" | field path)" invalid
match "whose" "$(echo "$out" | why path)" 'the CA CN=CA may not speak for eve@example.com: it is in no permitted subtree'
match "the certificate" "$out" "\"sha256\":\"$(fingerprint eve.pem)\""
out=$(judged eve.pem)
match "an issuer is missing" "$(echo "$out" | why path)" 'the issuer of CN=eve \(CN=CA\) is not known'
match "and has an address" "$out" '"missing":\["http://ca.example.net/ca.cer"\]'
text=$("$sealgate" -c sealgate.conf cert check --text --no-revocation --from eve@example.com eve.pem 2>>tool.log)
want "as text: status" $? 65
match "as text: the file" "$text" '^eve.pem: fail$'
match "as text: a reason" "$text" '^  path        invalid: .*the issuer of CN=eve \(CN=CA\) is not known'
match "as text: where to get it" "$text" '^  issuer at   http://ca.example.net/ca.cer$'
match "as text: whose" "$text" "^  certificate $(fingerprint eve.pem | cut -c 1-16)  CN=eve$"
match "out of scope" "$(judged bob-chain.pem --from bob@example.org | why path)" 'may not speak for example.org'

conf 'anchors = ( { file = "Root.pem"; curves = [ "P-384" ]; } );'
out=$(judged bob-chain.pem)
want "a curve that the anchor does not accept" "$(echo "$out" | field verdict)" policy
match "says so" "$(echo "$out" | why strength)" 'of a curve that is not accepted'
conf 'anchors = ( { file = "Root.pem"; policies = [ "1.3.6.1.4.1.99999.1" ]; require_policy = true; } );'
match "a policy" "$(judged bob-chain.pem | why path)" 'policy'

conf "anchors = ( { file = \"Root.pem\"; } ); denied = ( { sha256 = \"$(fingerprint CA.pem)\"; reason = \"stolen\"; } );"
match "a denied CA" "$(judged bob-chain.pem | why path)" 'the certificate of CN=CA is denied: stolen'
serial=$(openssl x509 -in bob.pem -noout -serial | cut -d = -f 2)
conf "anchors = ( { file = \"Root.pem\"; } ); denied = ( { issuer = \"CN=CA\"; serial = \"$serial\"; } );"
match "denied by serial number" "$(judged bob-chain.pem | why path)" 'the certificate of CN=bob is denied'
spki=$(openssl x509 -in bob.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r | cut -d ' ' -f 1)
conf "anchors = ( { file = \"Root.pem\"; } ); denied = ( { spki = \"$spki\"; } );"
match "denied by key" "$(judged bob-chain.pem | why path)" 'the certificate of CN=bob is denied'

conf "allowed = ( { sha256 = \"$(fingerprint self.pem)\"; addresses = [ \"self@example.net\" ]; reason = \"by telephone\"; } );"
out=$(judged self.pem --from self@example.net)
want "allowed" "$(echo "$out" | field verdict)" pass
match "and why" "$(echo "$out" | why path)" 'believed without a path: the certificate of CN=self is allowed: by telephone'
want "not for others" "$(judged self.pem --from x@example.net | field verdict)" fail

# A mail of two years ago: its signer's certificate has expired since.
make old Root 1 "subjectAltName=email:old@example.net"
printf 'Content-Type: text/plain\r\n\r\nhello\r\n' >body
openssl cms -sign -in body -signer old.pem -inkey old.key -from old@example.net -out old.eml 2>>tool.log || fail "openssl cms"
later=$(date -u -d '+40 days' +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -v+40d +%Y-%m-%dT%H:%M:%SZ)
conf 'anchors = ( { file = "Root.pem"; } );'
verify() {
	"$sealgate" -c sealgate.conf verify --no-revocation --at "$later" "$@" <old.eml 2>>tool.log
}
want "expired" "$(verify | field verdict)" fail
match "says when" "$(verify | why path)" 'the certificate of CN=old expired on'
want "valid when it signed" "$(verify --time signing | field verdict)" pass
want "nobody knows when it came" "$(verify --time receipt | field verdict)" fail
conf 'anchors = ( { file = "Root.pem"; } ); trust = { signature_time = "signing"; signing_age = "7d"; };'
want "too long ago" "$(verify | field time)" odd
match "says so" "$(verify | why time)" 'too long before the time of receipt'
want "of the options" "$("$sealgate" verify --time yesterday <old.eml 2>/dev/null; echo $?)" 64

# refused TEXT PATTERN: a configuration that is not taken, with the line
refused() {
	conf "$1"
	"$sealgate" -c sealgate.conf check >/dev/null 2>err
	want "refused: $1" "$?" 78
	match "why" "$(cat err)" "$2"
}
refused 'anchors = ( { file = "Root.pem"; curves = [ "P-1" ]; } );' 'sealgate.conf:2: .*no elliptic curve: P-1'
refused 'trust = { sha1_until = "long ago"; };' 'sealgate.conf:2: trust.sha1_until'
refused 'trust = { policies = [ "1.x" ]; };' 'sealgate.conf:2: .*no object identifier'
refused 'denied = ( { sha256 = "abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdxx"; } );' 'sealgate.conf:2: denied.sha256'
refused 'denied = ( { reason = "x"; } );' 'one of sha256, spki, or issuer and serial'
refused 'denied = ( { issuer = "CN=x"; } );' 'belong together'
refused "allowed = ( { sha256 = \"$(fingerprint self.pem)\"; addresses = [ \"nobody@\" ]; } );" 'allowed.addresses'
finish
