#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The fetcher between real daemons: lists, an issuer's certificate and OCSP answers that are only on the web or in a
# directory (an HTTP server, openssl's responder, slapd), and mail that waits for them and then passes.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
[ -x "$builddir/sealgate-fetcher" ] && [ -x "$builddir/webserver" ] || skip "not built"
www=$work/www
fetched=$dir/fetched
mkdir "$www"
web_up() { # [PORT]
	rm -f "$www/port"
	start web "$builddir/webserver" "$www" "$@"
	web=$pid
	wait_for 10 test -s "$www/port" || fail "the HTTP server did not start"
}
web_up
port=$(cat "$www/port")
responder=$(free_port)
ldap=$(free_port)
endless=$(free_port)

# --- a root, an issuing CA that only the web has, people of both
newkey() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"
}
# issue NAME CA EXTENSIONS…
issue() {
	local name=$1 ca=$2
	shift 2
	newkey "$name"
	openssl req -new -key "$work/$name.key" -out "$work/$name.csr" -subj "/O=Partner/CN=$name" 2>/dev/null
	printf '%s\n' "$@" >"$work/$name.ext"
	openssl x509 -req -in "$work/$name.csr" -CA "$work/$ca.pem" -CAkey "$work/$ca.key" -CAcreateserial -days 20 -sha256 \
		-extfile "$work/$name.ext" -out "$work/$name.pem" 2>/dev/null
}
# person NAME CA EXTENSIONS…
person() {
	local name=$1 ca=$2
	shift 2
	issue "$name" "$ca" "keyUsage=critical,digitalSignature,keyAgreement" "extendedKeyUsage=emailProtection" \
		"subjectAltName=email:$name@$partner" "$@"
}
# list CA FILE
list() {
	printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s\ncrlnumber=%s\ndefault_md=sha256\ndefault_crl_days=7\n' \
		"$work/$1.index" "$work/$1.number" >"$work/$1.conf"
	[ -f "$work/$1.index" ] || { : >"$work/$1.index"; echo 01 >"$work/$1.number"; }
	openssl ca -config "$work/$1.conf" -gencrl -keyfile "$work/$1.key" -cert "$work/$1.pem" -out "$work/$1.crl.pem" 2>/dev/null
	openssl crl -in "$work/$1.crl.pem" -outform DER -out "$2"
}
newkey root
openssl req -x509 -key "$work/root.key" -sha256 -days 30 -out "$work/root.pem" -subj "/O=Partner/CN=root" \
	-addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
newkey other
openssl req -x509 -key "$work/other.key" -sha256 -days 30 -out "$work/other.pem" -subj "/O=Partner/CN=other" \
	-addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
base=http://127.0.0.1:$port
issue sub root "basicConstraints=critical,CA:TRUE" "keyUsage=critical,keyCertSign,cRLSign" \
	"crlDistributionPoints=URI:$base/file/root.crl"
openssl x509 -in "$work/sub.pem" -outform DER -out "$www/sub.cer"
person carol root "crlDistributionPoints=URI:$base/file/root.crl"
person dora sub "crlDistributionPoints=URI:$base/chunked/sub.crl" "authorityInfoAccess=caIssuers;URI:$base/to/$base/file/sub.cer"
person gina sub "authorityInfoAccess=caIssuers;URI:$base/file/nowhere.cer"
person hans sub "authorityInfoAccess=caIssuers;URI:http://127.0.0.1:1/sub.cer"
person erin other "authorityInfoAccess=OCSP;URI:http://127.0.0.1:$responder/"
person fred root "crlDistributionPoints=URI:ldap://127.0.0.1:$ldap/cn=root%2Co=partner?certificateRevocationList;binary"
list root "$work/root.crl"
list sub "$www/sub.crl"
# openssl ca's own words for what the responder may answer about
printf 'V\t350101000000Z\t\t%s\tunknown\t/O=Partner/CN=erin\n' \
	"$(openssl x509 -in "$work/erin.pem" -noout -serial | cut -d= -f2)" >"$work/ocsp.index"

made_gate alice
sed -i "/^fetch = {/d" "$conf"
cat >>"$conf" <<-END
	fetch = {
		user = "$(id -un)"; dir = "$fetched"; socket = "$dir/run/fetch.sock";
		allow_private = true; ports = ( "$port", "$responder", "$ldap", "$endless" ); retry = 1; retry_max = 2; nonce = "send";
	};
	rules = ( { name = "must"; direction = [ "outbound" ]; encrypt = "required"; sign = "required"; } );
END
sed -i 's/^trust = {/trust = { revocation = "required";/' "$conf"
"$builddir/sealgate-fetcher" --help | grep -q usage || fail "no help"
"$builddir/sealgate-fetcher" -f 2>/dev/null
want "without a configuration" $? 64
gate cert add --anchor "$work/root.pem" >/dev/null || fail "cert add --anchor"
gate cert add --anchor "$work/other.pem" >/dev/null || fail "cert add --anchor"
for who in carol dora erin fred gina hans; do
	gate cert add "$work/$who.pem" >/dev/null || fail "cert add $who"
done
gate fetch status >/dev/null
want "no fetcher" $? 75
fetcher_up() {
	start fetcher "$builddir/sealgate-fetcher" -c "$conf" -f
	fetcher=$pid
	wait_for 10 gate fetch status || fail "the fetcher does not answer"
}
fetcher_up
vault_up
milter_up
printf 'From: alice@%s\nTo: x@%s\nSubject: x\nMessage-ID: <1@%s>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\nthe secret text\n' \
	"$org" "$partner" "$org" >"$work/out.eml"
# send NAME: the reply's code in $code
send() {
	code=$(drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<$1@$partner>" -o "$work/$1.out" "$work/out.eml" | field code)
	: "${code:=250}"
}
passes() {
	send "$1"
	[ "$code" = 250 ]
}
# opened NAME: what went out is for NAME
opened() {
	grep -q 'the secret text' "$work/$1.out" && fail "$1: in the clear"
	openssl cms -decrypt -in "$work/$1.out" -recip "$work/$1.pem" -inkey "$work/$1.key" -out "$work/$1.in" 2>>"$work/tool.log" ||
		fail "$1: openssl does not open it"
}

# --- a list: first the web has none, then it has
send carol
want "carol, nothing known" "$code" 451
wait_for 40 grep -q "event=fetch-failed.*root.crl" "$work/fetcher.log" || fail "carol's list was not asked for"
match "list of the fetcher" "$(gate fetch list --failing)" "root.crl"
cp "$work/root.crl" "$www/root.crl"
wait_for 40 grep -q "event=fetched kind=crl.*root.crl" "$work/fetcher.log" || fail "carol's list did not come"
wait_for 40 passes carol || fail "carol: still $code"
opened carol

# --- somebody on the way sends a list of the root's name, newer and longer than the real one; carol may even be on it
newkey forger
openssl req -x509 -key "$work/forger.key" -sha256 -days 30 -out "$work/forger.pem" -subj "/O=Partner/CN=root" \
	-addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
list forger "$www/root.crl"
gate fetch now --wait 20 "$base/file/root.crl" >"$work/said" && fail "a forged list was taken"
match "said" "$(gate fetch list --failing)" 'not signed by a key of its CA that is known: it is kept beside'
send carol
want "the CA's own list stays" "$code" 250
list root "$work/root.crl"
cp "$work/root.crl" "$www/root.crl"
gate fetch now --wait 20 "$base/file/root.crl" >/dev/null || fail "the CA's next list was not taken: $(gate fetch list)"
want "it is the only one" "$(find "$fetched/crl" -name '*.beside.crl' | wc -l)" 0

# --- an issuer that never comes: mail waits until the fetcher gives it up
send gina
want "gina, no issuer yet" "$code" 451
send hans # a port that is not asked
refused() {
	send "$1"
	[ "$code" = 550 ]
}
wait_for 40 refused gina || fail "gina: still $code"
want "three tries" "$(grep -c 'event=fetch-failed .*nowhere.cer' "$work/fetcher.log")" 3
wait_for 40 refused hans || fail "hans: still $code"

# --- an issuer that is behind a redirection, then its list
send dora
want "dora, no issuer yet" "$code" 451
wait_for 40 grep -q "event=fetched kind=ca" "$work/fetcher.log" || fail "dora's issuer did not come"
send dora
wait_for 40 grep -q "event=fetched kind=crl.*sub.crl" "$work/fetcher.log" || fail "dora's list did not come"
wait_for 40 passes dora || fail "dora: still $code"
opened dora

# --- OCSP by a real responder; the verdict of a minute ago may stand that long in the milter, not in a new process
openssl ocsp -port "$responder" -index "$work/ocsp.index" -CA "$work/other.pem" -rsigner "$work/other.pem" -rkey "$work/other.key" \
	-ndays 1 >>"$work/ocsp.log" 2>&1 &
pids="$pids $!"
check() {
	"$builddir/sealgate" -c "$conf" cert check "$work/$1.pem" 2>>"$work/tool.log" | grep -o '"revocation":"[a-z]*"' | head -n 1 | cut -d'"' -f4
}
is_good() {
	[ "$(check "$1")" = good ]
}
want "erin, nothing known" "$(check erin)" unknown
wait_for 40 is_good erin || fail "erin: no OCSP answer: $(gate fetch list)"
match "OCSP in the log" "$(cat "$work/fetcher.log")" "event=fetched kind=ocsp"

# --- a list in a directory
if command -v slapd >/dev/null; then
	mkdir -p "$work/slapd"
	printf 'include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nsuffix "o=partner"\ndirectory %s\n' \
		"$work/slapd" >"$work/slapd.conf"
	printf 'dn: o=partner\nobjectClass: organization\no: partner\n\ndn: cn=root,o=partner\nobjectClass: cRLDistributionPoint\ncn: root\ncertificateRevocationList;binary:: %s\n' \
		"$(base64 -w0 <"$work/root.crl")" >"$work/slapd.ldif"
	slapadd -q -f "$work/slapd.conf" -l "$work/slapd.ldif" >>"$work/slapd.log" 2>&1 || fail "slapadd"
	start slapd slapd -d 0 -f "$work/slapd.conf" -h "ldap://127.0.0.1:$ldap"
	want "fred: the list of his issuer counts for him too" "$(check fred)" good
	gate fetch add crl "ldap://127.0.0.1:$ldap/cn=root%2Co=partner?certificateRevocationList;binary" || fail "fetch add"
	wait_for 40 grep -q "event=fetched kind=crl url=\"ldap:" "$work/fetcher.log" || fail "no list from slapd: $(gate fetch list)"
	gate fetch add crl "ldap://127.0.0.1:$ldap/cn=none%2Co=partner" || fail "fetch add"
	wait_for 40 grep -q "event=fetch-failed.*cn=none.*No such object" "$work/fetcher.log" || fail "an entry that is not there"
fi

# A server that gives entry after entry is not listened to for long.
echo "64 04 04 00 30 00" >"$work/entry"
start endless "$builddir/slowldap" "$endless" 0 "$work/entry" 50000
gate fetch add crl "ldap://127.0.0.1:$endless/cn=endless" || fail "fetch add"
wait_for 40 grep -q "event=fetch-failed.*cn=endless.*Size limit exceeded" "$work/fetcher.log" || fail "an answer without end: $(gate fetch list)"

# --- what does not do
gate fetch add crl "file:///etc/passwd"
want "file:" $? 65
gate fetch add crl "http://127.0.0.1:1/x"
want "another port" $? 65
gate fetch add crl "$base/loop" && gate fetch now --wait 20 "$base/loop" >/dev/null
want "a loop" $? 65
gate fetch now --wait 20 "$base/file/root.crl" >/dev/null
want "again" $? 0
match "as JSON" "$(gate fetch status --json)" '^\{"v":1,"items":[0-9]+,'
match "as JSON" "$(gate fetch list --json)" '^\{"v":1,"items":\[\{"kind":"c'

# --- killed at any time: what is there stays, and it goes on
before=$(ls "$fetched/crl" | wc -l)
for wait in 0 0.01 0.02 0.05 0.1 0.2; do
	gate fetch now >/dev/null
	sleep "$wait"
	stop "$fetcher" KILL
	fetcher_up
done
want "lists after six deaths" "$(ls "$fetched/crl" | wc -l)" "$before"
want "half-written files" "$(find "$fetched/new" -type f | wc -l)" 0
for f in "$fetched"/crl/*; do
	openssl crl -inform DER -in "$f" -noout 2>/dev/null || fail "$f is no list"
done
passes carol || fail "carol after six deaths: $code"

# --- reload and stop
kill -USR1 "$fetcher"
wait_for 40 grep -q event=reloaded "$work/fetcher.log" || fail "no reload"
stop "$fetcher"
want "stopped" "$status" 0
[ -S "$dir/run/fetch.sock" ] && fail "the socket is still there"
passes carol || fail "carol without a fetcher: $code"
finish
