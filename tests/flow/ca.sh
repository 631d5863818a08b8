#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The organisation's CA: root and issuing CA, profiles, an outside root, rollover, revocation lists, renewal. What it makes is
# judged by other people's programs.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

sealgate=$builddir/sealgate
vault=$builddir/sealgate-vault
[ -x "$sealgate" ] && [ -x "$vault" ] || skip "sealgate and sealgate-vault are not built"
for need in openssl certtool gpgsm; do
	command -v "$need" >/dev/null || skip "$need is not installed"
done
d=$work/gate
conf=$d/sealgate.conf
tool() {
	"$sealgate" -c "$conf" "$@" 2>>"$work/tool.log"
}
status() {
	"$@" >/dev/null 2>>"$work/tool.log"
	echo $?
}
# said COMMAND…: what it says on standard error
said() {
	"$@" 2>&1 >/dev/null
}
# ca ROLE STATUS: the keys of such CAs
ca() {
	tool ca list | awk -v r="$1" -v s="$2" '$2 == r && $3 == s { print $1 }'
}
# verify ANCHOR FILE [OPTION…]: the first certificate of FILE by the others and the lists in crls.pem
verify() {
	anchor=$1 file=$2
	shift 2
	openssl verify "$@" -CAfile "$anchor" -untrusted "$file" "$file" 2>&1
}
lists() {
	: >"$work/crls.pem"
	for crl in "$d"/crls/*.crl; do
		openssl crl -inform DER -in "$crl" >>"$work/crls.pem"
	done
}

"$sealgate" init --dir "$d" --domain example.org --organisation 'Example Org' >"$work/init.log" 2>&1 || fail init
sed -i "s/user = \"sealgate[a-z-]*\"/user = \"$(id -un)\"/" "$conf"
chown -R "$(id -un)" "$d"
cp "$conf" "$work/plain.conf"

# --- what init made
want "one root" "$(ca root active | wc -l)" 1
want "one issuing CA" "$(ca issuing active | wc -l)" 1
tool ca export --cert >"$work/issuing.pem" || fail "ca export"
tool ca export --cert --root | cmp -s - "$d/ca.pem" || fail "ca.pem is not the root"
match "the issuing CA" "$(openssl x509 -in "$work/issuing.pem" -noout -text)" 'CA:TRUE, pathlen:0'
match "its usage" "$(openssl x509 -in "$work/issuing.pem" -noout -ext keyUsage)" 'critical'
match "its usage" "$(openssl x509 -in "$work/issuing.pem" -noout -ext keyUsage)" 'Certificate Sign, CRL Sign$'
want "the chain" "$(tool ca export --cert --chain | grep -c BEGIN)" 2
want "no private key comes out" "$(status tool ca export)" 65

# --- profiles
cat >>"$conf" <<'E2'
profiles = (
  { name = "staff"; kind = "person"; type = "p256"; days = 700; backdate = "1h"; names = "all";
    subject = ( "C=DE", "O=%o", "OU=100%% staff", "CN=%n", "emailAddress=%a" );
    extended_key_usage = ( "emailProtection", "clientAuth", "1.3.6.1.4.1.99999.7" );
    key_usage = ( "digitalSignature", "nonRepudiation", "keyAgreement" );
    policies = ( "1.3.6.1.4.1.99999.1 http://pki.example.org/cps", "2.23.140.1.5.3.1" );
    crl_urls = ( "http://pki.example.org/{ca}.crl", "ldap:///cn=crl,dc=example,dc=org?certificateRevocationList" );
    ca_urls = "http://pki.example.org/{ca}.cer"; ocsp_urls = "http://ocsp.example.org/"; hash = "sha384"; },
  { name = "desk"; kind = "role"; type = "rsa2048"; purpose = "separate"; days = 90; subject = "CN=Desk %l of %d"; }
);
E2
want "check" "$(status tool check)" 0
tool key new alice@example.org --name 'Alice Ä' >"$work/alice" || fail "key new alice"
tool key export --cert alice@example.org >"$work/alice.pem"
text=$(openssl x509 -in "$work/alice.pem" -noout -text -nameopt utf8,sep_comma_plus)
match "subject" "$text" 'Subject: C=DE,O=Example Org,OU=100% staff,CN=Alice Ä,emailAddress=alice@example.org'
match "policy" "$text" 'Policy: 1.3.6.1.4.1.99999.1'
match "CPS" "$text" 'CPS: http://pki.example.org/cps'
match "extended usage" "$text" 'E-mail Protection, TLS Web Client Authentication, 1.3.6.1.4.1.99999.7'
match "usage" "$text" 'Digital Signature, Non Repudiation, Key Agreement'
match "list" "$text" "URI:http://pki.example.org/$(ca issuing active).crl"
match "list in a directory" "$text" 'URI:ldap:///cn=crl,dc=example,dc=org'
match "issuer" "$text" "CA Issuers - URI:http://pki.example.org/$(ca issuing active).cer"
match "responder" "$text" 'OCSP - URI:http://ocsp.example.org/'
match "hash" "$text" 'Signature Algorithm: sha384WithRSAEncryption'
match "kind" "$(cat "$work/alice")" ' ec-p256 '
want "serial number of 128 random bits" "$(openssl x509 -in "$work/alice.pem" -noout -serial | cut -d= -f2 | awk '{ print (length > 28 && length <= 34) }')" 1
tool key new desk@example.org --kind role >"$work/desk" || fail "key new desk"
want "separate keys" "$(awk '{ print $3 }' "$work/desk" | tr '\n' ' ')" "sign open "
tool key export --cert "$(awk '$3 == "open" { print $1 }' "$work/desk")" >"$work/desk.pem"
match "the one that opens" "$(openssl x509 -in "$work/desk.pem" -noout -ext keyUsage)" 'Key Encipherment$'
match "its name" "$(openssl x509 -in "$work/desk.pem" -noout -subject -nameopt RFC2253)" 'CN=Desk desk of example.org'
tool key new long@example.org --profile default --type p384 >/dev/null || fail "--profile default"
want "no such profile" "$(status tool key new x@example.org --profile nix)" 64
tool key new 'jörg@example.org' >/dev/null || fail "an address that is not ASCII"
tool key export --cert 'jörg@example.org' >"$work/joerg.pem"
match "its name" "$(openssl x509 -in "$work/joerg.pem" -noout -ext subjectAltName)" 'SmtpUTF8Mailbox'

# Others believe it.
tool ca crl --publish >/dev/null || fail "ca crl"
lists
for who in alice desk joerg; do
	want "openssl and $who" "$(verify "$d/ca.pem" "$work/$who.pem" -x509_strict -crl_check_all -CRLfile "$work/crls.pem")" \
		"$work/$who.pem: OK"
done
cat "$work/alice.pem" "$d/ca.pem" >"$work/certtool.pem"
match "GnuTLS" "$(certtool --verify-chain --infile "$work/certtool.pem" 2>&1)" 'Verified. The certificate is trusted'
mkdir -m 700 "$work/gpg"
printf 'disable-crl-checks\nno-secmem-warning\ndisable-dirmngr\n' >"$work/gpg/gpgsm.conf"
openssl x509 -in "$d/ca.pem" -noout -fingerprint -sha1 | sed 's/.*=\(.*\)/\1 S relax/' >"$work/gpg/trustlist.txt"
for file in "$d/ca.pem" "$work/alice.pem"; do
	gpgsm --homedir "$work/gpg" --batch --import "$file" >>"$work/gpg.log" 2>&1 || fail "gpgsm --import $file"
done
# Its agent ends with its folder's socket.
match "GnuPG" "$(gpgsm --homedir "$work/gpg" --batch --with-validation --list-keys alice@example.org 2>&1)" 'certificate is good'
gpgconf --homedir "$work/gpg" --kill all >/dev/null 2>&1

# --- profiles that would not do: refused with file, line and reason
refuse() {
	{
		cat "$work/plain.conf"
		echo "profiles = ( { name = \"p\"; $2 } );"
	} >"$d/bad.conf"
	want "refused: $1" "$(status "$sealgate" -c "$d/bad.conf" check)" 78
	match "and why: $1" "$(said "$sealgate" -c "$d/bad.conf" check)" "bad.conf:[0-9]+: profiles[.]?[a-z_]*: .*$1"
	want "the vault as well: $1" "$(status "$vault" -c "$d/bad.conf" -f)" 78
}
refuse 'emailProtection is missing' 'extended_key_usage = "clientAuth";'
refuse 'neither a known word nor an object identifier' 'extended_key_usage = ( "emailProtection", "mail" );'
refuse 'is no object identifier' 'policies = "1.2.x";'
refuse 'no attribute "XX" in a subject' 'subject = "XX=%n";'
refuse 'only %n %a %l %d %o and %% are known' 'subject = "CN=%z";'
refuse 'two capital letters' 'subject = ( "C=de", "CN=%n" );'
refuse 'two capital letters' 'subject = ( "C=abcd", "CN=%n" );'
refuse 'a URL with http ldap' 'crl_urls = "https://pki.example.org/x.crl";'
refuse 'no blanks and only ASCII' 'crl_urls = "http://pki.example.org/a b.crl";'
refuse 'an RSA key that opens needs keyEncipherment' 'key_usage = "digitalSignature";'
refuse 'needs keyAgreement' 'type = "p256"; key_usage = ( "digitalSignature", "keyEncipherment" );'
refuse 'must not have keyEncipherment' 'purpose = "sign"; key_usage = ( "digitalSignature", "keyEncipherment" );'
refuse 'an unknown word' 'hash = "sha1";'
refuse 'must be from' 'days = 9000;'
refuse 'is there twice' '}, { name = "p";'
refuse 'for the same kind already' 'kind = "person"; }, { name = "q"; kind = "person";'

also() {
	{
		cat "$work/plain.conf"
		echo "$2"
	} | sed "${3:-}" >"$d/bad.conf"
	want "refused: $1" "$(status "$sealgate" -c "$d/bad.conf" check)" 78
	match "and why: $1" "$(said "$sealgate" -c "$d/bad.conf" check)" "$1"
}
also 'crl_dn: needs publish.uri' 'ca = { crl_dn = "cn=x"; };' '/^ca = .*crls/d'
also 'crl_refresh: has to be less' 'ca = { crl_validity = "2d"; crl_refresh = "2d"; };' '/^ca = .*crls/d'
also 'crl_mode: 0800 is no mode' 'ca = { crl_mode = "0800"; };' '/^ca = .*crls/d'
also 'publish.bind: simple needs bind_dn' 'publish = { uri = "ldap://127.0.0.1"; };'
also 'publish.filter: ' 'publish = { uri = "ldap://127.0.0.1"; filter = "(mail=x)"; bind = "external"; };'
sed 's/^ca = { crl_dir = "crls";/ca = { crl_dir = "crls"; days = 600;/' "$conf" >"$d/warn.conf"
match "a warning" "$(said "$sealgate" -c "$d/warn.conf" check)" 'certificates of 700 days below an issuing CA of 600'

# --- revocation: seen by others and by ourselves
start vault "$vault" -c "$conf" -f
vaultpid=$pid
wait_for 10 "$sealgate" -c "$conf" ca list || fail "the vault does not answer"
want "before" "$(tool cert check "$work/alice.pem" | field verdict)" pass
tool key revoke --reason superseded --comment 'lost token' alice@example.org >/dev/null || fail "key revoke"
match "with reason and comment" "$(tool key show "$(cut -d' ' -f1 "$work/alice")")" 'revoked .*superseded: lost token'
lists
match "openssl" "$(verify "$d/ca.pem" "$work/alice.pem" -crl_check -CRLfile "$work/crls.pem")" 'certificate revoked'
want "our own path validation" "$(tool cert check "$work/alice.pem" | field verdict)" fail
want "revoked" "$(tool cert check "$work/alice.pem" | sed 's/"reasons":.*//' | field revocation)" revoked
want "another one is not" "$(tool cert check "$work/desk.pem" | field revocation)" good
want "no such reason" "$(status tool key revoke --reason bad desk@example.org)" 64
number() {
	openssl crl -inform DER -in "$d/crls/$1.crl" -noout -crlnumber | sed 's/.*=//'
}
first=$(number "$(ca issuing active)")
want "nothing is due" "$(tool ca crl --publish --due | wc -l)" 0
sed -i 's|^ca = .*|ca = { crl_dir = "crls"; crl_validity = "31d"; crl_refresh = "30d"; crl_mode = "0640"; };|' "$conf"
kill -USR1 "$vaultpid"
wait_for 10 sh -c "[ \$('$sealgate' -c '$conf' ca crl --publish --due | wc -l) = 2 ]" || fail "lists that are due"
[ "$((first))" != "$(($(number "$(ca issuing active)")))" ] 2>/dev/null || [ "$first" != "$(number "$(ca issuing active)")" ] ||
	fail "the list's number"
want "mode of the lists" "$(stat -c %a "$d/crls/$(ca issuing active).crl")" 640
chmod 644 "$d"/crls/*

tool vault rekey --deep || fail "rekey --deep between revocation and rollover"
# --- rollover: the old CA signs its list as long as it is needed
old=$(ca issuing active)
tool key new bob@example.org >/dev/null || fail "key new bob"
tool key export --cert bob@example.org >"$work/bob.pem"
tool ca rollover --type p384 >/dev/null || fail "ca rollover"
want "the old one retires" "$(ca issuing retired)" "$old"
tool key new carol@example.org >/dev/null || fail "key new carol"
tool key export --cert carol@example.org >"$work/carol.pem"
match "signed on the new curve" "$(openssl x509 -in "$work/carol.pem" -noout -text)" 'ecdsa-with-SHA384'
tool key revoke bob@example.org >/dev/null || fail "revoke under the old CA"
lists
match "on the old one's list" "$(verify "$d/ca.pem" "$work/bob.pem" -crl_check -CRLfile "$work/crls.pem")" 'certificate revoked'
want "the new one's is good" "$(verify "$d/ca.pem" "$work/carol.pem" -crl_check_all -CRLfile "$work/crls.pem")" "$work/carol.pem: OK"
tool ca rollover --root --type p256 >/dev/null || fail "ca rollover --root"
tool key new dora@example.org >/dev/null || fail "key new dora"
tool key export --cert dora@example.org >"$work/dora.pem"
tool ca export --cert --root >"$work/root2.pem"
tool ca crl --publish >/dev/null
lists
for anchor in "$d/ca.pem" "$work/root2.pem"; do
	want "a new root, for those who know $anchor" \
		"$(verify "$anchor" "$work/dora.pem" -crl_check_all -CRLfile "$work/crls.pem")" "$work/dora.pem: OK"
done
sleep 1
tool ca renew "$(ca root active)" >/dev/null || fail "ca renew the root"
tool ca export --cert --root >"$work/root3.pem"
cmp -s "$work/root2.pem" "$work/root3.pem" && fail "the root has no new certificate"
want "the same key, so all still holds" "$(verify "$work/root3.pem" "$work/dora.pem")" "$work/dora.pem: OK"
tool ca renew >/dev/null || fail "ca renew the issuing CA"

# --- an offline root
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout "$work/off.key" -out "$work/off.pem" -days 99 \
	-subj '/O=Example Org/CN=Offline Root' -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
tool ca new --csr --type p256 >"$work/ca.csr" || fail "ca new --csr"
openssl req -in "$work/ca.csr" -noout -verify >/dev/null 2>&1 || fail "the request's signature"
before=$(ca issuing active)
want "it waits" "$(ca issuing waiting | wc -l)" 1
tool key new erna@example.org >/dev/null || fail "the CA so far goes on"
sign() {
	printf '%s\n' "$2" >"$work/ca.ext"
	openssl x509 -req -in "$work/ca.csr" -CA "$work/off.pem" -CAkey "$work/off.key" -CAcreateserial -days 90 -extfile "$work/ca.ext" \
		-out "$1" 2>/dev/null
}
sign "$work/noca.pem" 'basicConstraints=critical,CA:FALSE'
sign "$work/ca.crt" 'basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash'
want "no CA's certificate" "$(status tool ca import "$work/noca.pem" "$work/off.pem")" 65
want "without the root" "$(status tool ca import "$work/ca.crt")" 65
want "another key's" "$(status tool ca import "$work/off.pem")" 65
want "no file" "$(status tool ca import "$work/none")" 66
tool ca import "$work/ca.crt" "$work/off.pem" >/dev/null || fail "ca import"
want "it signs now" "$(tool ca show | awk '$1 == "issuer" { print }' | grep -c 'Offline Root')" 1
match "the one before retired" "$(ca issuing retired)" "$before"
tool key new fred@example.org --days 900 >"$work/fred" 2>"$work/fred.said" || fail "key new fred"
tool key new gina@example.org --days 400 >/dev/null
match "check warns" "$(said tool check; "$sealgate" -c "$conf" check 2>&1 >/dev/null)" "CA ends on .*, before certificates of 700 days"
match "never longer than the CA" "$("$sealgate" -c "$conf" key new hans@example.org --days 400 2>&1 >/dev/null)" \
	'ends on .* with the organisation.s CA, earlier than wanted'
tool key export --cert fred@example.org >"$work/fred.pem"
want "under the offline root" "$(verify "$work/off.pem" "$work/fred.pem")" "$work/fred.pem: OK"
want "ends with the CA" "$(openssl x509 -in "$work/fred.pem" -noout -enddate)" "$(openssl x509 -in "$work/ca.crt" -noout -enddate)"

# --- renewal: due, staggered, at most so many, again without harm
for who in r1 r2 r3 r4; do
	tool key new $who@example.org --days 20 >/dev/null || fail "key new $who"
done
match "a report" "$(tool key expiring --within 30d)" 'r[1-4]@example.org'
tool key expiring --within 30d --mail boss@example.org >"$work/mail" || fail "a report by mail"
match "its head" "$(cat "$work/mail")" '^To: <boss@example.org>'
match "its text" "$(cat "$work/mail")" 'r1@example.org'
want "all of the CA's, and nothing else" "$(tool key renew --due 30d --dry-run | grep -c ' due ')" 4
want "a dry run does nothing" "$(tool key list | grep -c 'r[1-4]@')" 4
want "a bad time" "$(status tool key renew --due soon)" 64
want "a time without its unit" "$(status tool key renew --due 30) $(status tool key expiring --within 60)" "64 64"
want "staggered over longer than the time" "$(status tool key renew --due 30d --stagger 31d)" 64
match "staggered, the time has just begun" "$(tool key renew --due 1728060s --stagger 19d --dry-run | tail -n 1)" '^[01] due, [34] later'
want "always the same" "$(tool key renew --due 30d --stagger 29d --dry-run)" "$(tool key renew --due 30d --stagger 29d --dry-run)"
match "two of them" "$(tool key renew --due 30d --limit 2 --lead 5 | tail -n 1)" '^2 renewed'
match "the others" "$(tool key renew --due 30d --lead 5 | tail -n 1)" '^2 renewed'
match "and no more" "$(tool key renew --due 30d --lead 5 | tail -n 1)" '^0 renewed'
want "old and new beside each other" "$(tool key list | grep -c ' active .*r[1-4]@')" 8
want "again by hand" "$(status tool key renew r1@example.org)" 65
# The successor's time comes.
tool key new soon@example.org >/dev/null
was=$(tool key export --cert --json soon@example.org | field key)
next=$(tool key renew --use-from "$(date -u -d '+4 seconds' +%Y-%m-%dT%H:%M:%SZ)" soon@example.org | cut -d' ' -f1)
want "not yet" "$(tool key export --cert --json soon@example.org | field key)" "$was"
wait_for 20 sh -c "'$sealgate' -c '$conf' key export --cert --json soon@example.org | grep -q '\"key\":\"$next\"'" || fail "the successor's time"
match "it is used before the old one retires" "$(tool key list soon@example.org | grep "$was")" ' active '
match "the next pass retires it" "$(tool key renew --due 1d | tail -n 1)" '1 retired'
match "it is retired" "$(tool key list soon@example.org | grep "$was")" ' retired '
tool key renew --same-key soon@example.org >/dev/null || fail "--same-key"
want "two certificates for one key" "$(tool key show soon@example.org | grep -c '^certificate ')" 2
match "the ledger is whole" "$(tool audit verify)" 'The ledger is whole'
stop "$vaultpid"
finish
