#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# sealgate verify, cert and check as a person calls them: output, exit status, messages.
# Keys, certificates and mails are made here by the openssl command.
tool=$PWD/sealgate
[ -x "$tool" ] || { echo "no ./sealgate"; exit 1; }
command -v openssl >/dev/null || { echo "skipped: no openssl command"; exit 77; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/sealgate-cli.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0

# is NAME GOT WANT
is() {
	[ "$2" = "$3" ] && return
	echo "$1: got $2, want $3"
	failed=1
}

# member NAME: of the JSON in $out
member() {
	printf '%s' "$out" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

# verdict CASE STATUS VERDICT SIGNATURE PATH REVOCATION SENDER STRENGTH ARGUMENT…: over the file in $mail
verdict() {
	name=$1 status=$2 want="$3 $4 $5 $6 $7 $8"
	shift 8
	out=$("$tool" "$@" 2>err)
	is "$name: status" $? "$status"
	is "$name" "$(member verdict) $(member signature) $(member path) $(member revocation) $(member sender) $(member strength)" "$want"
}

# --- a small world: CA, Alice, Mallory's own CA, CRLs ---
cat >ca.cnf <<'CNF'
[ca]
default_ca = d
[d]
database = index
serial = serial
crlnumber = crlnumber
new_certs_dir = .
default_md = sha256
default_crl_days = 30
policy = p
[p]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf]
keyUsage = digitalSignature
extendedKeyUsage = emailProtection
subjectAltName = email:alice@example.org
[crypt]
keyUsage = keyEncipherment
extendedKeyUsage = emailProtection
subjectAltName = email:alice@example.org
CNF
new_ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" \
		-subj "/CN=$1" -days 30 -config ca.cnf -extensions root
}
leaf() { # CA NAME PROFILE
	openssl req -newkey rsa:2048 -nodes -keyout "$2.key" -out "$2.csr" -subj "/CN=$2" -config ca.cnf
	openssl x509 -req -in "$2.csr" -CA "$1.pem" -CAkey "$1.key" -CAcreateserial -out "$2.pem" -days 20 \
		-extfile ca.cnf -extensions "$3"
}
{
	new_ca root && new_ca other && leaf root alice leaf && leaf root crypt crypt && leaf other mallory leaf
	: >index
	echo 01 >crlnumber
	openssl ca -config ca.cnf -gencrl -cert root.pem -keyfile root.key -out good.crl
	openssl ca -config ca.cnf -revoke alice.pem -cert root.pem -keyfile root.key
	openssl ca -config ca.cnf -gencrl -cert root.pem -keyfile root.key -out bad.crl
} >setup 2>&1 || { cat setup; exit 1; }

# sign WHO FROM OPTION…
sign() {
	who=$1 from=$2
	shift 2
	printf 'Content-Type: text/plain\r\n\r\nHello.\r\n' |
		openssl cms -sign -binary -crlfeol -signer "$who.pem" -inkey "$who.key" -from "$from" \
			-to bob@example.org -subject Test "$@"
}
sign alice alice@example.org >clear.eml
sign alice alice@example.org -nodetach >opaque.eml
sign alice Alice@EXAMPLE.org -md sha1 >sha1.eml
sign alice bob@example.org >mismatch.eml
sign mallory alice@example.org >mallory.eml
sed 's/Hello/Hallo/' clear.eml >changed.eml
printf 'From: alice@example.org\r\nSubject: plain\r\n\r\nHello.\r\n' >plain.eml
sed 's/^MI/MA/' clear.eml >broken.eml

# --- verify ---
for mail in clear opaque; do
	verdict "$mail" 0 pass good valid unknown match ok verify --anchor root.pem "$mail.eml"
	verdict "$mail, CRL" 0 pass good valid good match ok verify --anchor root.pem --crl good.crl "$mail.eml"
	verdict "$mail, revoked" 65 fail good valid revoked match ok verify --anchor root.pem --crl bad.crl "$mail.eml"
	verdict "$mail, revoked but not asked" 0 pass good valid unchecked match ok \
		verify --anchor root.pem --crl bad.crl --no-revocation "$mail.eml"
	verdict "$mail, no anchor" 65 fail good invalid unchecked match ok verify "$mail.eml"
	verdict "$mail, expired" 65 fail good invalid unchecked match ok \
		verify --anchor root.pem --at 2099-01-01 "$mail.eml"
	verdict "$mail, another sender" 65 fail good valid unknown mismatch ok \
		verify --anchor root.pem --from bob@example.org "$mail.eml"
done
out=$("$tool" verify --anchor root.pem <clear.eml)
is "from standard input" $? 0
mkdir lists certs && cp good.crl lists && cp other.pem certs && echo words >lists/README
verdict "folders" 0 pass good valid good match ok verify --anchor root.pem --crl lists --cert certs clear.eml
verdict "CRL of another CA" 65 policy good valid unknown match ok verify --anchor other.pem --crl good.crl mallory.eml
verdict "changed" 65 fail bad valid unknown match ok verify --anchor root.pem changed.eml
verdict "SHA-1" 65 policy good valid unknown match weak verify --anchor root.pem sha1.eml
verdict "mismatch" 65 fail good valid unknown mismatch ok verify --anchor root.pem mismatch.eml
verdict "somebody else's CA" 65 fail good invalid unchecked match ok verify --anchor root.pem mallory.eml
verdict "plain" 65 none none unknown unchecked unchecked ok verify --anchor root.pem plain.eml
verdict "broken" 65 permerror none unknown unchecked unchecked ok verify --anchor root.pem broken.eml
out=$("$tool" verify --anchor root.pem --json clear.eml)
is "v" "$(printf '%s' "$out" | grep -c '^{"v":1,"verdict":"pass".*"reason":"".*"signers":\[{"addresses":\["alice@example.org"\],"subject":"CN=alice","issuer":"CN=root","serial":"[0-9a-f]*","sha256":"[0-9a-f]*"}\]}$')" 1
want=$(openssl x509 -in alice.pem -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f)
is "fingerprint" "$(member sha256)" "$want"
want=$(openssl x509 -in alice.pem -noout -serial | sed 's/.*=//' | tr A-F a-f)
is "serial" "$(member serial)" "$want"

# --- cert check ---
verdict "cert" 0 pass none valid unknown unchecked ok cert check --anchor root.pem alice.pem
verdict "cert to sign" 0 pass none valid unknown match ok cert check --anchor root.pem --purpose sign \
	--from alice@example.org alice.pem
verdict "cert to encrypt" 65 fail none invalid unchecked unchecked ok cert check --anchor root.pem --purpose encrypt alice.pem
verdict "encryption cert" 0 pass none valid unknown unchecked ok cert check --anchor root.pem --purpose encrypt crypt.pem
verdict "cert of a stranger" 65 fail none invalid unchecked unchecked ok cert check --anchor root.pem mallory.pem
verdict "revoked cert" 65 fail none valid revoked unchecked ok cert check --anchor root.pem --crl bad.crl alice.pem

# --- the store ---
cat >seal.conf <<'CONF'
organisation = { domains = ["example.com"]; };
CONF
seal() {
	"$tool" -c seal.conf "$@"
}
seal cert add --anchor --domain example.org root.pem >out 2>err
is "add an anchor" $? 0
seal cert add crypt.pem alice.pem root.pem >out 2>err
is "add certificates" $? 0
is "a CA is left out" "$(grep -c 'left out' err)" 1
is "listed" "$(seal cert list | wc -l)" 2
is "anchors" "$(seal cert list --anchor | grep -c 'CN=root\|for example.org')" 2
out=$(seal cert find --json alice@example.org)
is "found" $? 0
is "used" "$(printf '%s' "$out" | grep -o '"used":true' | wc -l)" 1
seal cert find nobody@example.org >out
is "not found" $? 65
crypt=$(openssl x509 -in crypt.pem -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f)
seal cert pin "$(printf '%.12s' "$crypt")" 2>err
is "pin" $? 0
is "pinned" "$(seal cert show --json "$crypt" | grep -c '"pinned":true')" 1
seal cert show "$crypt" | openssl x509 -noout -subject -nameopt RFC2253 >out 2>err
is "show" "$(cat out)" "subject=CN=crypt"
seal cert unpin "$crypt" && seal cert forget "$crypt"
is "forget" $? 0
seal cert find alice@example.org >out
is "forgotten" $? 65
seal cert forget "$crypt" 2>err
is "forget again" $? 65
mkdir more && cp crypt.pem more && echo words >more/README
seal cert import-dir more >out 2>err
is "import with a file that is no certificate" $? 65
is "import" "$(grep -c "^added .*$crypt  alice@example.org" out)" 1
is "import leaves out" "$(grep -c README err)" 1
verdict "verify by the store's anchor" 0 pass good valid unknown match ok -c seal.conf verify clear.eml
seal cert check --anchor other.pem --from alice@example.net alice.pem >out
is "out of the anchor's domains" $? 65

# --- check, usage, files ---
seal check >shown 2>err
is "check" $? 0
"$tool" -c shown check >again 2>err
is "check of check" $? 0
echo 'nonsense = 1;' >bad.conf
"$tool" -c bad.conf check >out 2>err
is "bad configuration" $? 78
is "says where" "$(grep -c 'bad.conf:1' err)" 1
cat >rule.conf <<'CONF'
organisation = { domains = ["example.com"]; };
anchors = ( { file = "nothing.pem"; } );
CONF
"$tool" -c rule.conf check >out 2>err
is "missing anchor file" $? 78
# What only the rooms know: a service anybody could reach, a rule without sense, a right without key.
refused() { # NAME SECTION
	printf 'organisation = { domains = ["example.com"]; };\n%s\n' "$2" >refused.conf
	"$tool" -c refused.conf check >out 2>err
	is "$1" $? 78
	is "$1: says where" "$(grep -c 'refused.conf:2' err)" 1
}
refused "wildcard socket" 'services = ( { name = "a"; socket = "inet:10025@0.0.0.0"; } );'
refused "world-writable socket" 'services = ( { name = "a"; socket = "unix:m.sock"; socket_mode = "0666"; } );'
refused "rule twice" 'rules = ( { name = "a"; sign = "never"; }, { name = "a"; sign = "never"; } );'
refused "bad pattern" 'rules = ( { name = "a"; header = ["Subject: ["]; } );'
refused "invitation in no language" 'rules = ( { name = "a"; invite = true; invite_language = "en+jp"; } );'
refused "texts in no language" 'notices = { language = "jp"; };'
nowhere() { # NAME SECTION
	printf 'organisation = { domains = ["example.com"]; };\n%s\n' "$2" >refused.conf
	"$tool" -c refused.conf check >out 2>err
	is "$1" $? 78
	is "$1: says which" "$(grep -c 'there is no directory called nowhere' err)" 1
}
nowhere "logins in no directory" 'senders = { directory = "nowhere"; };'
nowhere "languages in no directory" 'notices = { directory = "nowhere"; };'
refused "port for our own mail alone" 'port = { own_address = "inet:10028@127.0.0.1"; };'
refused "bad directory" 'directories = ( { name = "d"; uri = "http://x"; base = ""; } );'
for args in check "no-such" "verify --no-such" "verify --at nonsense" "verify --policy x.y" "verify a b" \
	"verify --anchor" "cert" "cert nonsense" "cert check" "cert find" "cert check --purpose x alice.pem"; do
	# shellcheck disable=SC2086
	"$tool" $args </dev/null >out 2>err
	is "$args" $? 64
done
for args in "verify nothing.eml" "verify --anchor nothing.pem" "verify --anchor seal.conf" "cert check nothing.pem" \
	"cert check seal.conf"; do
	# shellcheck disable=SC2086
	"$tool" $args </dev/null >out 2>err
	is "$args" $? 66
	is "$args says why" "$(grep -c . err)" 1
done
for args in --help "verify --help" "cert --help" "cert check --help" "check --help" "cert add --help"; do
	# shellcheck disable=SC2086
	"$tool" $args >out 2>err
	is "$args" $? 0
	is "$args" "$(grep -c '^usage: sealgate' out)" 1
done
exit $failed
