#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The local store with the operator's tool: added, found, pinned, forgotten, remembered, imported, exported.
# openssl made the certificates and reads what comes out.
. "$(dirname "$0")/lib.sh"
tool=$builddir/sealgate
[ -x "$tool" ] || skip "not built"
command -v openssl >/dev/null || skip "openssl is not installed"
cd "$work" || exit 70
printf 'organisation = { domains = ["example.org"]; };\n' >seal.conf

# run STATUS ARGUMENTS…: output in out, messages in err
run() {
	local expected=$1
	shift
	"$tool" -c seal.conf "$@" >out 2>err
	want "$*" $? "$expected"
	[ "$expected" = 0 ] || [ -s out ] || [ -s err ] || fail "$*: says nothing"
}
has() { # WHAT PATTERN
	match "$1" "$(cat out)" "$2"
}
says() {
	match "$1" "$(cat err)" "$2"
}
fingerprint() {
	openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f
}
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout ca.key -out ca.pem -subj "/CN=Partner CA" \
	-addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out one.key 2>/dev/null
# person NAME SAN [DAYS [USAGE]]: NAME.pem; one key for all, which does not matter here
person() {
	openssl req -new -key one.key -out csr -subj "/CN=$1" 2>/dev/null
	printf 'keyUsage=critical,%s\nextendedKeyUsage=emailProtection\n%s\n' \
		"${4:-digitalSignature,keyEncipherment}" "${2:+subjectAltName=$2}" >ext
	openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days "${3:-20}" -extfile ext -out "$1.pem" 2>/dev/null
}
person carol email:carol@partner.example,email:c.d@partner.example
person carol2 email:carol@partner.example 25
person signer email:carol@partner.example 20 digitalSignature
person nameless ''
c=$(fingerprint carol.pem) c2=$(fingerprint carol2.pem) s=$(fingerprint signer.pem) n=$(fingerprint nameless.pem)

# --- add
run 0 cert add --anchor --why 'by phone' ca.pem
run 0 cert add --why 'handed over' carol.pem signer.pem
has "each address" "^added   $c  carol@partner.example$"
has "each address" "^added   $c  c.d@partner.example$"
says "one that only signs" 'signer.pem: .*[Kk]ey'
run 0 cert add --json --why 'handed over' carol.pem
has "again" '"result":"known".*"added":0,"known":2,"left_out":0'
run 65 cert add nameless.pem
says "without an address" 'left out, it has no mail address \(--address names one\)'
run 65 cert add --address dave@partner.example carol.pem
says "another's address" 'left out, it names carol@partner.example'
run 0 cert add --address gw@partner.example nameless.pem
says "under an address" 'used only where domain_certificates says so'
run 66 cert add carol2.pem nothing.pem
run 0 cert list carol@partner.example
mismatch "all files or none" "$(cat out)" "${c2:0:16}"

# --- find: every candidate and why
run 0 cert find carol@partner.example
has "one is used" "^used     ${c:0:16}.*proven"
has "from whom" '^         admin by .* on 20.*: handed over, last seen 20'
has "the other says why" 'because .*[Kk]ey'
run 0 cert find --json carol@partner.example
has "find: from whom" '"provenance":\{"source":"admin","vouched":"[^"]*","reason":"handed over","since":"20'
has "find as JSON" '"answer":"found".*"candidates":\['
has "who vouched" '"source":"store"'
run 65 cert find gw@partner.example
has "a certificate without a name is not a person's" 'another address'
run 65 cert find --json nobody@partner.example
has "none" '"answer":"none"'

openssl req -x509 -newkey rsa:2048 -nodes -keyout zoe.key -subj /CN=zoe -addext subjectAltName=email:zoe@partner.example \
	-days 30 -out zoe.pem 2>>openssl.log
run 0 cert add zoe.pem
run 65 cert find zoe@partner.example
has "no path" 'because no path to a trust anchor'
says "and what can be done" 'cert add --anchor --domain partner.example FILE'
run 0 cert forget --erase "$(fingerprint zoe.pem)"

# --- pin, unpin, forget, and what is remembered
run 0 cert add carol2.pem
run 0 cert find --json carol@partner.example
want "both are used" "$(grep -o '"used":true' out | wc -l)" 2
run 0 cert pin --why 'two keys, this one is read' "${c2:0:12}"
has "pinned" "pinned: ${c2:0:16}  carol@partner.example"
run 0 cert find carol@partner.example
want "the pin decides" "$(grep -c '^used ' out)" 1
run 0 cert list --pinned --json
has "pinned rows" '"pinned":true.*"tier":"pinned"'
want "pinned rows" "$(grep -o '"sha256"' out | wc -l)" 1
run 0 cert unpin "$c2"
run 0 cert forget --address c.d@partner.example --why 'left' "$c"
run 65 cert forget --address c.d@partner.example "$c"
says "not filed there" 'is not filed under c.d@partner.example'
run 65 cert pin "$(fingerprint ca.pem)"
says "an anchor" 'an anchor, which has no pin'
run 0 cert forget --json --why 'key lost' "$c2"
has "forgotten" '"done":"forgotten".*"addresses":\["carol@partner.example"\]'
run 0 cert list --history carol@partner.example
for event in "added     ${c:0:16}.* from admin by .*: handed over" "pinned    ${c2:0:16}.*: two keys, this one is read" \
	"unpinned  ${c2:0:16}" "forgotten ${c2:0:16}.*: key lost" "added     ${c2:0:16}"; do
	has "history" "Z  $event"
done
run 0 cert list --history --json
has "history of all" '^\{"v":1,"events":\[\{"event":"added","at":"20.*"anchor":true'
has "history of all" '"event":"forgotten".*"address":"c.d@partner.example".*"reason":"left"'
run 0 cert show "$c2"
has "forgotten and remembered" "^${c2:0:16}  forgotten"
want "as PEM" "$(openssl x509 -in out -noout -subject -nameopt RFC2253)" "subject=CN=carol2"
run 0 cert show --json "$c2"
has "forgotten as JSON" '"certificates":\[\],"forgotten":\{.*"events":\[\{"event":"added"'
run 0 cert forget --erase "$c2"
run 65 cert show "$c2"
run 65 cert forget --erase "$c2"

# --- a folder, whatever its files are called
mkdir in
person dave email:dave@partner.example
person erin email:erin@other.example
openssl x509 -in dave.pem -outform DER -out in/ABCD.ac.jp.cer
openssl crl2pkcs7 -nocrl -certfile erin.pem -certfile ca.pem -outform DER -out in/bundle.p7b
cat carol.pem signer.pem >in/pem
head -c 100 in/ABCD.ac.jp.cer >in/cut.cer
run 65 cert import-dir --why 'list of 2026' in
has "DER" "^added .*  dave@partner.example$"
has "PKCS#7" "^added .*  erin@other.example$"
says "named" 'left out: in/cut.cer: '
says "sums" '[0-9]+ added, [0-9]+ known already, 1 left out, 1 files without certificates'
run 65 cert import-dir --json --why 'list of 2026' in
has "again" '\{"file":"in/cut.cer","certificates":\[\],"error":"in/cut.cer: .*"added":0,"known":5,"left_out":1,"malformed":1\}'
rm in/cut.cer
run 0 cert import-dir --why 'list of 2026' in
run 66 cert import-dir nowhere

# --- export
run 0 cert export --out all.pem
want "each once" "$(grep -c 'BEGIN CERT' all.pem)" 5
run 0 cert export --format p7
cp out all.p7
want "PKCS#7" "$(openssl pkcs7 -inform DER -in all.p7 -print_certs 2>/dev/null | grep -c 'BEGIN CERT')" 5
run 0 cert add all.p7
run 0 cert export --format files --out folder --json @partner.example
has "files" '"certificates":4,"format":"files","out":"folder"'
want "by address" "$(fingerprint "folder/dave@partner.example.$(fingerprint dave.pem | cut -c1-16).pem")" "$(fingerprint dave.pem)"
run 0 cert export --format ldif --base ou=people,dc=example dave@partner.example
has "LDIF" '^dn: mail=dave@partner.example,ou=people,dc=example$'
sed -n '/^userCertificate;binary:: /,$p' out | sed 's/^userCertificate;binary:: //; s/^ //' | tr -d '\n' | base64 -d >back.der
cmp -s back.der in/ABCD.ac.jp.cer || fail "LDIF: another certificate"
run 0 cert export --anchor
want "anchors" "$(fingerprint out)" "$(fingerprint ca.pem)"
run 65 cert export nobody@partner.example
for args in "export --format nonsense" "export --format files" "export --format ldif" "export --json" \
	"list --tier nonsense" "list --anchor --history" "pin" "forget --erase --address a@b.example $c" \
	"add --pin --anchor ca.pem" "add --address nonsense carol.pem" "import-dir"; do
	# shellcheck disable=SC2086
	run 64 cert $args
done

# --- several usable ones: all, the newest, the one that lasts longest
person old email:frank@partner.example 29
sleep 1.1
person new email:frank@partner.example 10
run 0 cert add old.pem new.pem
for case in "all 2 ." "newest 1 $(fingerprint new.pem | cut -c1-16)" "longest 1 $(fingerprint old.pem | cut -c1-16)"; do
	read -r word count first <<<"$case"
	printf 'organisation = { domains = ["example.org"]; };\nlookup = { several = "%s"; };\n' "$word" >seal.conf
	run 0 cert find frank@partner.example
	want "several = $word" "$(grep -c '^used' out)" "$count"
	match "several = $word" "$(grep '^used' out)" "^used +$first"
done
has "why not the other" 'because one that is valid for longer is used \(lookup.several\)'

# --- a directory that cannot be asked: trouble where nobody else knows, a note where a pin has decided
cat >seal.conf <<-CONF
	organisation = { domains = ["example.org"]; };
	directories = ( { name = "down"; uri = "ldap://127.0.0.1:1"; base = "dc=x"; timeout = "300ms"; } );
CONF
run 75 cert find frank@partner.example
run 0 cert pin "$(fingerprint new.pem)"
run 0 cert find frank@partner.example
has "a pin has decided" "^used .*$(fingerprint new.pem | cut -c1-16)"
has "and the directory is named" '^could not be asked, which does not matter here: .*down'
run 0 cert find --json frank@partner.example
has "as JSON" '"not_asked":".*down'

# --- another version's store is refused in words
printf 'organisation = { domains = ["example.org"]; };\n' >seal.conf
cp certs.db kept.db
printf '\0\0\0\011' | dd of=certs.db bs=1 seek=60 conv=notrunc 2>/dev/null
run 75 cert list
says "another version" 'a certificate store of version 9; this program knows version 2'
finish
