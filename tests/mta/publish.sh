#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Certificates and revocation lists into a real slapd: what is ours comes and goes, what is not ours stays, and a
# directory that is down costs nothing but another run.
SEALGATE_SRC=${SEALGATE_SRC:-$(cd "$(dirname "$0")/../.." && pwd)}
SEALGATE_BUILD=${SEALGATE_BUILD:-$SEALGATE_SRC/b}
PKI_MADE=$SEALGATE_BUILD
. "$SEALGATE_SRC/tests/lib/servers.sh"
. "$SEALGATE_SRC/tests/mta/checks.sh"
needs slapd slapadd ldapsearch ldapmodify openssl
sealgate=$SEALGATE_BUILD/sealgate
built "$sealgate"
servers_begin || exit 1
W=$SERVERS
suffix=dc=org,dc=test
admin=cn=admin,$suffix
d=$W/gate
conf=$d/sealgate.conf
tool() {
	"$sealgate" -c "$conf" "$@" 2>>"$W/tool.log"
}
status() {
	"$@" >/dev/null 2>>"$W/tool.log"
	echo $?
}
# values ADDRESS ATTRIBUTE: the fingerprints of all values, in base64, sorted
values() {
	ldapsearch -x -LLL -o ldif-wrap=no -H "$uri" -D "$admin" -w secret -b "$suffix" "(mail=$1)" "$2" |
		sed -n "s/^$2[^:]*:: //p" | sort
}
count() {
	values "$1" "$2" | grep -c .
}
# holds ADDRESS FILE [ATTRIBUTE]: yes when the value in FILE (DER) is there
holds() {
	values "$1" "${3:-userCertificate}" | grep -qxF "$(base64 -w 0 <"$2")" && echo yes || echo no
}
der() {
	tool key export --cert "$1" | openssl x509 -outform DER -out "$2"
}
set_conf() {
	sed -i "s|^publish = .*||" "$conf"
	echo "publish = { uri = \"$1\"; base = \"$suffix\"; $2 };" >>"$conf"
}

# --- a gateway with staff, and a directory in which others have put things before
"$sealgate" init --dir "$d" --domain org.test >"$W/init.log" 2>&1 || { cat "$W/init.log"; exit 1; }
# What init gave to the daemons' users becomes ours again.
sed -i "s/user = \"sealgate[a-z-]*\"/user = \"$(id -un)\"/" "$conf"
chown -R "$(id -un)" "$d"
export PKI_KEY=ec
pki_ca "$W/pki" Partner && pki_person "$W/pki" alice alice@org.test && pki_person "$W/pki" bob bob@org.test || exit 1
echo "no certificate at all" >"$W/garbage"
{
	ldif_suffix "$suffix"
	ldif_person "cn=alice,$suffix" alice@org.test 'userCertificate;binary' "$W/pki/alice.der" \
		userSMIMECertificate "$W/pki/alice.p7" userSMIMECertificate "$W/garbage"
	ldif_person "cn=bob,$suffix" bob@org.test
	ldif_person "cn=twin1,$suffix" twin@org.test
	ldif_person "cn=twin2,$suffix" twin@org.test
	ldif_person "cn=odd,$suffix" 'o*d@org.test'
	ldif_person "cn=food,$suffix" 'o.food@org.test'
	printf 'dn: cn=lists,%s\nobjectClass: cRLDistributionPoint\ncn: lists\n\n' "$suffix"
} >"$W/people.ldif"
slapd_up "$W/slapd" "$suffix" "$W/people.ldif" || exit 1
uri=$(cat "$W/slapd/uri")
printf secret >"$W/password"
chmod 600 "$W/password"
simple="bind_dn = \"$admin\"; password_file = \"$W/password\"; timeout = \"5s\";"
set_conf "$uri" "$simple"

check "not configured" 78 "$(sed '/^publish/d' "$conf" >"$d/none.conf"; status "$sealgate" -c "$d/none.conf" cert publish)"
for who in alice bob; do
	tool key new "$who@org.test" --type p256 >"$W/$who.key" || { echo "FAILED: key new"; exit 1; }
	der "$who@org.test" "$W/$who.der"
done
tool key new twin@org.test --type p256 >/dev/null
tool key new 'o*d@org.test' --type p256 >/dev/null
tool key new nobody@org.test --type p256 >/dev/null
tool key new signer@org.test --type p256 --purpose sign >/dev/null

# --- first a look, then the thing
before=$(values alice@org.test userSMIMECertificate | cksum)
out=$(tool cert publish --dry-run --json)
check "a dry run tells" 6 "$(echo "$out" | sed 's/.*"added":\([0-9]*\),"removed".*/\1/')"
check "and does nothing" "$before 1" "$(values alice@org.test userSMIMECertificate | cksum) $(count alice@org.test userCertificate)"
check "two entries for one address: said, not done" 75 "$(status tool cert publish)"
check "bob has his" "yes 1 1" "$(holds bob@org.test "$W/bob.der") $(count bob@org.test userCertificate) $(count bob@org.test userSMIMECertificate)"
check "so has alice" yes "$(holds alice@org.test "$W/alice.der")"
check "what others put there stays" "yes yes yes" \
	"$(holds alice@org.test "$W/pki/alice.der") $(holds alice@org.test "$W/pki/alice.p7" userSMIMECertificate) $(holds alice@org.test "$W/garbage" userSMIMECertificate)"
check "an address is no filter" 1 "$(ldapsearch -x -LLL -o ldif-wrap=no -H "$uri" -D "$admin" -w secret -b "cn=odd,$suffix" -s base userCertificate | grep -c '^userCertificate')"
check "neither of the twins was touched" 0 "$(count twin@org.test userCertificate)"
ldapmodify -x -H "$uri" -D "$admin" -w secret >>"$W/tool.log" 2>&1 <<E2
dn: cn=twin2,$suffix
changetype: delete
E2
check "again" 0 "$(status tool cert publish)"
out=$(tool cert publish --json)
check "and nothing is left to do" "0 0" "$(echo "$out" | sed 's/.*"added":\([0-9]*\),"removed":\([0-9]*\),"without_entry".*/\1 \2/')"
values bob@org.test userSMIMECertificate | base64 -d >"$W/bob.p7"
check "userSMIMECertificate has the chain" 2 "$(openssl pkcs7 -inform DER -in "$W/bob.p7" -print_certs | grep -c '^subject')"
openssl pkcs7 -inform DER -in "$W/bob.p7" -print_certs -out "$W/bob.chain"
openssl x509 -inform DER -in "$W/bob.der" -out "$W/bob.pem"
check "which leads to the root" "$W/bob.pem: OK" "$(openssl verify -CAfile "$d/ca.pem" -untrusted "$W/bob.chain" "$W/bob.pem" 2>&1)"

# --- a successor is published first and used later; then the old one goes
old=$(cut -d' ' -f1 "$W/bob.key")
new=$(tool key renew --type p256 --lead 9 bob@org.test | cut -d' ' -f1)
der "$new" "$W/bob2.der"
check "publish" 0 "$(status tool cert publish bob@org.test)"
check "both are there" "yes yes" "$(holds bob@org.test "$W/bob.der") $(holds bob@org.test "$W/bob2.der")"
check "the old one is used" "$old" "$(tool key export --cert --json bob@org.test | sed 's/.*"key":"\([^"]*\)".*/\1/')"
tool key revoke --reason keyCompromise "$old" >/dev/null
check "publish" 0 "$(status tool cert publish)"
check "what is revoked goes" "no yes 1" "$(holds bob@org.test "$W/bob.der") $(holds bob@org.test "$W/bob2.der") $(count bob@org.test userSMIMECertificate)"
tool key retire "$new" >/dev/null
check "publish" 0 "$(status tool cert publish)"
check "what is retired stays for a while" yes "$(holds bob@org.test "$W/bob2.der")"
set_conf "$uri" "$simple grace_days = 0;"
sleep 1
check "publish" 0 "$(status tool cert publish)"
check "and goes" "0 0" "$(count bob@org.test userCertificate) $(count bob@org.test userSMIMECertificate)"
set_conf "$uri" "$simple"

# --- an address that somebody else has now, and one that nobody has
tool key new carol@org.test --type p256 >/dev/null
der carol@org.test "$W/carol.der"
{
	ldif_person "cn=carol,$suffix" carol@org.test 'userCertificate;binary' "$W/alice.der"
} >"$W/carol.ldif"
ldapadd -x -H "$uri" -D "$admin" -w secret -f "$W/carol.ldif" >>"$W/tool.log" 2>&1
check "publish" 0 "$(status tool cert publish)"
check "another person's certificate of ours goes" "no yes" "$(holds carol@org.test "$W/alice.der") $(holds carol@org.test "$W/carol.der")"

# --- the directory is down: nothing is lost, another run does it
tool key new dave@org.test --type p256 >/dev/null
der dave@org.test "$W/dave.der"
ldif_person "cn=dave,$suffix" dave@org.test >"$W/dave.ldif"
ldapadd -x -H "$uri" -D "$admin" -w secret -f "$W/dave.ldif" >>"$W/tool.log" 2>&1
slapd_down "$W/slapd"
check "down" 75 "$(status tool cert publish)"
slapd_start "$W/slapd"
wait_for 10 ldapsearch -x -H "$uri" -b '' -s base
check "up again" "0 yes" "$(status tool cert publish) $(holds dave@org.test "$W/dave.der")"
printf wrong >"$W/wrong"
chmod 600 "$W/wrong"
set_conf "$uri" "bind_dn = \"$admin\"; password_file = \"$W/wrong\";"
check "a wrong password" 75 "$(status tool cert publish)"
set_conf "$(cat "$W/slapd/ldapi_uri")" 'bind = "external"; attributes = "userCertificate";'
tool key new erin@org.test --type p256 >/dev/null
ldif_person "cn=erin,$suffix" erin@org.test >"$W/erin.ldif"
ldapadd -x -H "$uri" -D "$admin" -w secret -f "$W/erin.ldif" >>"$W/tool.log" 2>&1
check "SASL EXTERNAL, without the right to write" 75 "$(status tool cert publish erin@org.test)"

# --- revocation lists, beside those of another CA
set_conf "$uri" "$simple"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$W/other.key" -out "$W/other.pem" -subj /CN=Other \
	-days 9 2>/dev/null
printf '[ca]\ndefault_ca = c\n[c]\ndatabase = %s\ncrlnumber = %s\ndefault_md = sha256\n' "$W/index" "$W/number" >"$W/other.cnf"
: >"$W/index"
echo 01 >"$W/number"
openssl ca -config "$W/other.cnf" -gencrl -keyfile "$W/other.key" -cert "$W/other.pem" -crldays 9 2>/dev/null |
	openssl crl -outform DER -out "$W/other.crl"
ldapmodify -x -H "$uri" -D "$admin" -w secret >>"$W/tool.log" 2>&1 <<E2
dn: cn=lists,$suffix
changetype: modify
add: certificateRevocationList;binary
certificateRevocationList;binary:: $(base64 -w 0 <"$W/other.crl")
E2
sed -i "s|^ca = .*|ca = { crl_dir = \"crls\"; crl_dn = \"cn=lists,$suffix\"; };|" "$conf"
lists() {
	ldapsearch -x -LLL -o ldif-wrap=no -H "$uri" -b "cn=lists,$suffix" -s base 'certificateRevocationList' |
		sed -n 's/^certificateRevocationList[^:]*:: //p'
}
check "publish lists" 0 "$(status tool ca crl --publish)"
check "ours and the other's" 3 "$(lists | wc -l)"
check "publish lists again" 0 "$(status tool ca crl --publish)"
check "in the place of ours" 3 "$(lists | wc -l)"
check "the other's is the same" 1 "$(lists | grep -cxF "$(base64 -w 0 <"$W/other.crl")")"
key=$(tool ca list | awk '$2 == "issuing" { print $1 }')
check "directory and file have the same" 1 "$(lists | grep -cxF "$(base64 -w 0 <"$d/crls/$key.crl")")"
check "signed by the CA" "verify OK" "$(tool ca export --cert >"$W/ca.issuing"; openssl crl -inform DER -in "$d/crls/$key.crl" -CAfile "$W/ca.issuing" -noout 2>&1)"
check "with the reason" 1 "$(openssl crl -inform DER -in "$d/crls/$key.crl" -noout -text | grep -c 'Key Compromise')"
slapd_down "$W/slapd"
check "a revocation while the directory is down" 75 "$(status tool key revoke alice@org.test)"
check "is in the file" 2 "$(openssl crl -inform DER -in "$d/crls/$key.crl" -noout -text | grep -c 'Serial Number:')"
slapd_start "$W/slapd"
wait_for 10 ldapsearch -x -H "$uri" -b '' -s base
check "and in the directory later" "0 1" "$(status tool ca crl --publish) $(lists | grep -cxF "$(base64 -w 0 <"$d/crls/$key.crl")")"
[ "$bad" = 0 ] || tail -n 40 "$W/tool.log"
exit $bad
