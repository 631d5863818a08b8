#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Revocation with the operator's tool and the gateway: lists and OCSP answers that openssl made, certificates judged, mail
# verified and encrypted by trust.revocation, by an anchor's and by a rule's own word.
. "$(dirname "$0")/lib.sh"
tool=$builddir/sealgate
[ -x "$tool" ] && [ -x "$builddir/sealgate-vault" ] || skip "not built"
command -v openssl >/dev/null || skip "openssl is not installed"
cd "$work" || exit 70

# --- a CA, two persons, lists and answers
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout ca.key -out ca.pem -subj "/CN=Partner CA" \
	-addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
cat >ca.conf <<-END
	[ca]
	default_ca = this
	[this]
	database = index
	serial = serial
	crlnumber = crlnumber
	certificate = ca.pem
	private_key = ca.key
	default_md = sha256
	default_crl_days = 10
	new_certs_dir = .
	policy = any
	copy_extensions = copy
	[any]
	commonName = supplied
END
echo 01 >serial
echo 01 >crlnumber
: >index
person() { # NAME
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" \
		-addext "subjectAltName=email:$1@partner.example" \
		-addext "keyUsage=critical,digitalSignature,keyAgreement" -addext "extendedKeyUsage=emailProtection" 2>/dev/null
	openssl ca -batch -config ca.conf -in "$1.csr" -out "$1.pem" -days 20 -notext 2>/dev/null
}
list() { # FILE [OPTION…]
	local out=$1
	shift
	openssl ca -config ca.conf -gencrl -out "$out.pem" "$@" 2>/dev/null
	openssl crl -in "$out.pem" -outform DER -out "$out"
}
answer() { # PERSON FILE [OPTION…]
	local person=$1 out=$2
	shift 2
	openssl ocsp -index index -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer ca.pem -cert "$person.pem" -respout "$out" \
		-ndays 1 "$@" >/dev/null 2>&1
}
person carol
person dave
# Somebody of a CA that is not asked about revocation, with two addresses.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout else.key -out else.pem -subj "/CN=Elsewhere CA" \
	-addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
openssl req -x509 -CA else.pem -CAkey else.key -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 20 -keyout erin.key -out erin.pem \
	-subj "/CN=erin" -addext "basicConstraints=critical,CA:FALSE" -addext "keyUsage=critical,digitalSignature,keyAgreement" \
	-addext "subjectAltName=email:erin@else.example,email:filed@else.example,email:copied@else.example" \
	-addext "extendedKeyUsage=emailProtection" 2>/dev/null
sed 's/ca\.pem/else.pem/; s/ca\.key/else.key/; s/index/else.index/' ca.conf >else.conf
: >else.index
openssl ca -config else.conf -gencrl -out else.crl 2>/dev/null || fail "a list of Elsewhere"
list clean.crl
answer carol carol-good.ocsp
list old.crl -crl_lastupdate 20260101000000Z -crl_nextupdate "$(date -u -d '2 hours ago' +%Y%m%d%H%M%SZ)"
openssl ca -config ca.conf -revoke carol.pem -crl_reason superseded 2>/dev/null
list listed.crl
answer carol carol-revoked.ocsp

# --- one certificate
# judged WHAT STATUS WORD PATTERN OPTION…
judged() {
	local what=$1 status=$2 word=$3 pattern=$4
	shift 4
	out=$("$tool" cert check --anchor ca.pem "$@" 2>err)
	want "$what: status" $? "$status"
	match "$what" "$out$(cat err)" "\"revocation\":\"$word\""
	match "$what" "$out" "$pattern"
}
judged "nothing at hand" 0 unknown "no CRL of its issuer" carol.pem
judged "clean list" 0 good '"verdict":"pass"' --crl clean.crl carol.pem
judged "PEM" 0 good '"verdict":"pass"' --crl clean.crl.pem carol.pem
judged "listed" 65 revoked "revoked on .* \(superseded\), by the list of CN=Partner CA of 20.*\(listed.crl\)" \
	--crl listed.crl carol.pem
judged "another" 0 good '"verdict":"pass"' --crl listed.crl dave.pem
judged "expired list" 65 unknown "old.crl\): it has expired" --crl old.crl carol.pem
judged "OCSP" 0 good '"verdict":"pass"' --ocsp carol-good.ocsp carol.pem
judged "OCSP about another" 65 unknown "no CRL" --ocsp carol-good.ocsp dave.pem
judged "OCSP, revoked" 65 revoked "superseded\), by the OCSP answer of 20.*carol-revoked.ocsp" \
	--ocsp carol-revoked.ocsp carol.pem
judged "both: the list revokes" 65 revoked "by the list" --crl listed.crl --ocsp carol-good.ocsp carol.pem
judged "not asked" 0 unchecked '"verdict":"pass"' --crl listed.crl --no-revocation carol.pem
head -c 100 carol-good.ocsp >cut.ocsp
"$tool" cert check --anchor ca.pem --ocsp cut.ocsp carol.pem >/dev/null 2>err
want "a cut answer" $? 66
match "a cut answer" "$(cat err)" "cut.ocsp: an OCSP response is malformed"

# --- the gateway
"$tool" init --dir gate --domain example.org >/dev/null 2>init.log || fail "init"
conf=gate/sealgate.conf
mkdir -p gate/crls
sed 's/\r*$/\r/' >plain.txt <<-END
	Content-Type: text/plain

	Hello
END
openssl cms -sign -in plain.txt -signer carol.pem -inkey carol.key -from carol@partner.example -to alice@example.org \
	-subject hello -md sha256 -crlfeol >signed.eml 2>/dev/null
cat >>"$conf" <<-END
	rules = (
	  { name = "strict"; senders = [ "@strict.example" ]; verify = "if-signed"; revocation = "required"; },
	  { name = "lenient"; senders = [ "@lenient.example" ]; verify = "if-signed"; revocation = "if-known"; },
	  { name = "patient"; senders = [ "@patient.example" ]; verify = "if-signed"; revocation = "grace"; },
	  { name = "careful"; recipients = [ "dave@partner.example" ]; encrypt = "required"; revocation = "required"; },
	  { name = "filed"; recipients = [ "filed@else.example" ]; encrypt = "required"; revocation = "required";
	    escrow = [ "dave@partner.example" ]; },
	  { name = "copied"; recipients = [ "copied@else.example" ]; encrypt = "required"; revocation = "required"; copy_sender = true; },
	  { name = "archive"; recipients = [ "erin@else.example" ]; encrypt = "required"; escrow = [ "dave@partner.example" ];
	    copy_sender = true; },
	  { name = "in"; direction = "inbound"; verify = "if-signed"; } );
END
sed "s|{ file = \"ca.pem\"; domains = \"example.org\"; }|&, { file = \"$work/ca.pem\"; ANCHOR }, { file = \"$work/else.pem\"; revocation = \"off\"; }|" "$conf" >template.conf
cp template.conf "$conf"
sed -i 's/ ANCHOR / /' "$conf"
"$tool" -c "$conf" check >/dev/null 2>err || fail "check: $(cat err)"
"$tool" -c "$conf" cert add --why test dave.pem erin.pem >/dev/null 2>err || fail "cert add: $(cat err)"
# verdict WHAT SENDER PATTERN: what explain says of the signature
verdict() {
	match "$1" "$("$tool" -c "$conf" explain --sender "$2" --rcpt alice@example.org <signed.eml 2>&1)" "$3"
}
verdict "soft by default" x@other.example "layer 1    signed: pass$"
verdict "hard by rule" x@strict.example "policy.*no CRL of its issuer"
cp old.crl gate/crls/
verdict "expired, soft" x@lenient.example "layer 1    signed: pass$"
verdict "expired, hard" x@strict.example "policy.*has expired"
verdict "expired, grace" x@patient.example "layer 1    signed: pass$"
sed 's/ ANCHOR / revocation = "grace"; revocation_grace = "1h"; /' template.conf >"$conf"
verdict "expired too long ago for this anchor" x@patient.example "policy.*has expired"
verdict "that anchor by default" x@other.example "policy.*has expired"
sed 's/ ANCHOR / revocation = "off"; /' template.conf >"$conf"
verdict "off for this anchor" x@other.example "layer 1    signed: pass$"
verdict "off, soft" x@lenient.example "layer 1    signed: pass$"
verdict "off, hard by rule" x@strict.example "policy.*has expired"
cp listed.crl gate/crls/
verdict "off, revoked" x@other.example "layer 1    signed: pass$"
verdict "off, revoked for a rule" x@lenient.example "fail.*superseded"
rm gate/crls/listed.crl
sed -i 's/ revocation = "off"; / /' "$conf"

# --- encryption
"$builddir/sealgate-vault" -c "$conf" -f 2>vault.log &
vault=$!
pids="$pids $vault"
wait_for 10 test -S gate/run/vault.sock || fail "the vault does not start"
"$tool" -c "$conf" key new alice@example.org >/dev/null 2>err || fail "key new: $(cat err)"
{ printf 'From: alice@example.org\r\nTo: somebody@else.example\r\n'; cat plain.txt; } >from.eml
sealed() { # [RECIPIENT]
	"$tool" -c "$conf" explain --sender alice@example.org --user alice@example.org --rcpt "${1:-dave@partner.example}" <from.eml 2>&1
}
rm gate/crls/*.crl
text=$(sealed)
match "hard by rule" "$text" "too little is known of its revocation for this rule"
match "hard by rule" "$text" "reply      451 4.4.3"
# A rule is stricter than an anchor that asks nobody.
text=$(sealed copied@else.example)
match "hard by rule, off by anchor" "$text" "too little is known of its revocation for this rule"
match "hard by rule, off by anchor" "$text" "reply      451 4.4.3"
cp else.crl gate/crls/
# What a rule adds to the envelope is held to the rule's own word, too.
match "an archive by the anchor's word" "$(sealed erin@else.example)" "encrypted yes"
text=$(sealed filed@else.example)
match "an archive by the rule's word" "$text" "revocation of a certificate of dave@partner.example is not known"
match "an archive by the rule's word" "$text" "reply      451 4.4.3"
text=$(sealed copied@else.example)
match "a copy by the rule's word" "$text" "revocation of a certificate of alice@example.org is not known"
match "a copy by the rule's word" "$text" "reply      451 4.4.3"
cp clean.crl gate/crls/
match "known good" "$(sealed)" "signed     no, encrypted yes"
match "an archive that is known good" "$(sealed filed@else.example)" "encrypted yes"
cp listed.crl gate/crls/
verdict "revoked" x@lenient.example "fail.*superseded"
kill "$vault"
wait "$vault" 2>/dev/null
finish
