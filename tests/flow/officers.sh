#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Acts of two persons: officers with keys made by openssl, approvals made by sealgate, openssl and gpgsm, each act, and what
# must not count as an approval. With the vault running and without.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

sealgate=$builddir/sealgate
vault=$builddir/sealgate-vault
[ -x "$sealgate" ] && [ -x "$vault" ] || skip "sealgate and sealgate-vault are not built"
for tool in openssl gpgsm sqlite3; do
	command -v $tool >/dev/null || fail "$tool is missing: contrib/deps test"
done
d=$work/gate
conf=$d/sealgate.conf
cd "$work" || exit 70
export GNUPGHOME=$work/gnupg TMPDIR=$work
gpg_end() {
	gpgconf --kill all 2>/dev/null
	cleanup
}
trap gpg_end EXIT
tool() {
	"$sealgate" -c "$conf" "$@" 2>>"$work/tool.log"
}
status() {
	"$@" >/dev/null 2>>"$work/tool.log"
	echo $?
}
# ask COMMAND…: makes a request; its id in $id
ask() {
	tool "$@" --json >"$work/asked" || fail "asking: $*"
	id=$(field request <"$work/asked")
	[ -n "$id" ] || fail "no request: $*"
}
# approve ID OFFICER: with our tool
approve() {
	status tool officer approve "$1" --yes --key "$2.pem"
}
# hand_in ID FILE
hand_in() {
	status tool officer approve "$1" --signature "$2"
}
# why ID FILE PATTERN: it is refused, and this is said
refused() {
	local out
	out=$("$sealgate" -c "$conf" officer approve "$1" --signature "$2" 2>&1)
	want "$4: status" $? 65
	match "$4" "$out" "$3"
}
# approved ACT…: a request with two approvals; its id in $id
approved() {
	ask "$@"
	want "anna approves $id" "$(approve "$id" anna)" 0
	want "ben approves $id" "$(approve "$id" ben)" 0
}
certificate() { # NAME KEYOPTIONS…
	local name=$1
	shift
	openssl req -x509 "$@" -nodes -keyout "$name.key" -out "$name.crt" -days 30 -subj "/CN=$name" 2>/dev/null ||
		fail "a certificate for $name"
	cat "$name.key" "$name.crt" >"$name.pem"
}
ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256'
# shellcheck disable=SC2086
certificate anna $ec
certificate ben -newkey rsa:2048
# shellcheck disable=SC2086
certificate carl -newkey ec -pkeyopt ec_paramgen_curve:P-384
certificate dora -newkey ed25519
# shellcheck disable=SC2086
certificate eve $ec
certificate weak -newkey rsa:1024
openssl req -x509 -key anna.key -out anna2.crt -days 30 -subj "/CN=Another name" 2>/dev/null
cat anna.key anna2.crt >anna2.pem
openssl ec -in anna.key -conv_form compressed -out anna3.key 2>/dev/null
openssl req -x509 -key anna3.key -out anna3.crt -days 30 -subj "/CN=Compressed" 2>/dev/null
# Expired: OpenSSL 3.5 takes no negative days, 3.0 no dates.
openssl x509 -in eve.crt -signkey eve.key -days -1 -out past.crt 2>/dev/null ||
	openssl req -x509 -key eve.key -out past.crt -not_before 20240101000000Z -not_after 20240201000000Z \
		-subj /CN=past 2>/dev/null || fail "no expired certificate"

made gate "$d" example.org || fail init
tool key new alice@example.org --name 'Alice A' --type rsa2048 >alice.row || fail "key new"
alice=$(cut -d' ' -f1 alice.row)
tool key new bob@example.org --type p256 >bob.row || fail "key new"
bob=$(cut -d' ' -f1 bob.row)
tool key export --cert alice@example.org >alice.crt
tool key export --cert bob@example.org >bob.crt

# --- before there are officers these acts are impossible
want "export without officers" "$(status tool key export alice@example.org)" 65
want "deletion without officers" "$(status tool key delete alice@example.org)" 65
match "no officers" "$(tool officer list)" 'There are no officers'

# --- the first officers
want "one officer" "$(status tool officer init --cert anna.crt)" 64
want "a threshold of one" "$(status tool officer init --cert anna.crt --cert ben.crt --threshold 1)" 64
want "a threshold above the officers" "$(status tool officer init --cert anna.crt --cert ben.crt --threshold 3)" 64
want "one key twice" "$(status tool officer init --cert anna.crt --cert anna2.crt)" 64
want "a key written otherwise" "$(status tool officer init --cert ben.crt --cert anna3.crt)" 65
want "a weak key" "$(status tool officer init --cert anna.crt --cert weak.crt)" 65
want "a certificate of the past" "$(status tool officer init --cert anna.crt --cert past.crt)" 65
want "a key that the vault has" "$(status tool officer init --cert anna.crt --cert alice.crt)" 65
want "a name that hides something" \
	"$(status tool officer init --cert anna.crt --name "$(printf 'Anna\342\200\256')" --cert ben.crt --name Ben)" 64
match "still none" "$(tool officer list)" 'There are no officers'
sqlite3 "$d/vault/vault.db" ".backup '$work/no-officers'" || fail "a copy of the store"
tool officer init --cert anna.crt --name 'Anna Bauer' --cert ben.crt --name Ben --cert carl.crt --name 'カール 太郎' \
	>officers || fail "officer init"
match "officers" "$(cat officers)" 'Anna Bauer'
want "a second beginning" "$(status tool officer init --cert dora.crt --cert eve.crt)" 65
want "who they are" "$(tool officer list --json | field threshold)" 2

# --- export: approvals by our tool and by openssl
ask key export alice@example.org --reason 'moves to another house'
tool officer show "$id" --out text || fail "show"
match "the text" "$(tr -d '\r' <text)" '^reason: moves to another house$'
match "the text" "$(tr -d '\r' <text)" "^key: $alice\$"
want "the beginning" "$(head -n 1 text | tr -d '\r')" sealgate-request:1
want "lines of CR LF" "$(grep -c "$(printf '\r')\$" text)" "$(wc -l <text)"
want "run without approval" "$(status tool officer run "$id" --out alice.p12 --password pass)" 66
echo 'long enough' >pass
want "run without approval" "$(status tool officer run "$id" --out alice.p12 --password pass)" 65
want "anna" "$(approve "$id" anna)" 0
want "anna again" "$(approve "$id" anna)" 65
want "anna by another certificate" "$(approve "$id" anna2)" 65
cat anna3.key anna3.crt >anna3.pem
want "anna by a key written otherwise" "$(approve "$id" anna3)" 65
want "one is not enough" "$(status tool officer run "$id" --out alice.p12 --password pass)" 65
[ ! -e alice.p12 ] || fail "a refused run left a file"
openssl cms -sign -in text -signer ben.crt -inkey ben.key -outform DER -out ben.p7s 2>/dev/null
want "ben by openssl" "$(hand_in "$id" ben.p7s)" 0
want "run without a password" "$(status tool officer run "$id" --out alice.p12 </dev/null)" 64
echo short >short
want "run with a short password" "$(status tool officer run "$id" --out alice.p12 --password short)" 64
tool officer run "$id" --out alice.p12 --password pass >/dev/null || fail "run of the export"
want "mode of the file" "$(stat -c %a alice.p12)" 600
want "run again" "$(status tool officer run "$id" --out alice2.p12 --password pass)" 65
openssl pkcs12 -in alice.p12 -passin file:pass -nodes -out alice.pem 2>/dev/null || fail "openssl reads the file"
want "the key" "$(openssl pkey -in alice.pem -pubout)" "$(openssl x509 -in alice.crt -noout -pubkey)"
match "its strength" "$(openssl pkcs12 -in alice.p12 -passin file:pass -info -noout 2>&1)" 'AES-256-CBC.*600000'
"$sealgate" init --dir "$work/other" --domain example.org >/dev/null || fail "another gateway"
out=$("$sealgate" -c "$work/other/sealgate.conf" key import --password pass alice.p12 2>>tool.log) || fail "import elsewhere"
match "import elsewhere" "$out" 'alice@example.org'
want "after its use an approval comes too late" "$(hand_in "$id" ben.p7s)" 65

# --- export to a certificate: nothing plain leaves the vault
approved key export --to eve.crt bob@example.org
tool key export --request "$id" --out bob.p7m >/dev/null || fail "export to a certificate"
openssl cms -decrypt -inform DER -in bob.p7m -inkey eve.key -recip eve.crt -out bob.pem 2>/dev/null || fail "eve opens it"
want "bob's key" "$(openssl pkey -in bob.pem -pubout)" "$(openssl x509 -in bob.crt -noout -pubkey)"
out=$("$sealgate" -c "$work/other/sealgate.conf" key import bob.pem 2>>tool.log) || fail "import of PEM elsewhere"
match "import of PEM elsewhere" "$out" 'bob@example.org'

# --- what does not count
ask key export alice@example.org --reason first
first=$id
tool officer show "$first" --out first || fail show
ask key export bob@example.org --reason second
second=$id
tool officer show "$second" --out second || fail show
sign() { # TEXT OFFICER [OPTION…]: to sig
	local text=$1 who=$2
	shift 2
	openssl cms -sign -in "$text" -signer "$who.crt" -inkey "$who.key" -outform DER -out sig "$@" 2>/dev/null ||
		fail "signing by $who $*"
}
sign first anna -binary
refused "$second" sig 'not good|not this request' "approval of another request"
sign first anna -binary -nodetach
refused "$second" sig 'what was signed is not this request' "approval of another request, with its text"
sed 's/^reason: first/reason: other/' first >altered
sign altered anna -binary
refused "$first" sig 'not good|not this request' "an altered text"
sign altered anna -binary -nodetach
refused "$first" sig 'what was signed is not this request' "an altered text, with it"
tr -d '\r' <first >lf
sign lf anna -binary
refused "$first" sig 'not good|not this request' "other line ends"
sign first eve -binary
refused "$first" sig "whose key is no officer's" "somebody else"
sign first eve -binary -nocerts
refused "$first" sig 'not found' "somebody else, without a certificate"
sign first ben -binary -md sha1
refused "$first" sig 'weak|not good|not supported' "SHA-1"
openssl cms -sign -in first -binary -signer anna.crt -inkey anna.key -signer ben.crt -inkey ben.key -outform DER -out sig 2>/dev/null
refused "$first" sig '2 signers in one file' "two in one file"
sign first anna -binary
head -c 100 sig >cut
refused "$first" cut '.' "a truncated signature"
cat sig sig >twice
refused "$first" twice 'something behind' "more behind it"
head -c 5000 /dev/urandom >noise
refused "$first" noise '.' "noise"
{ printf '\060\200'; head -c 200000 /dev/zero; } >nested
refused "$first" nested '.' "zeros"
head -c 300000 /dev/zero >big
refused "$first" big 'a signature of 300000 bytes' "too many bytes"
refused "$first" first '.' "the text itself"
echo '-----BEGIN CERTIFICATE-----' >pem
refused "$first" pem 'PEM' "damaged PEM"
refused "$first" eve.key 'is no signature' "another PEM file"
openssl cms -encrypt -in first -outform DER -out env eve.crt 2>/dev/null
refused "$first" env 'no signed data|another content type' "encrypted data"
openssl cms -sign -in first -binary -econtent_type 1.2.3.4 -signer anna.crt -inkey anna.key -outform DER -out sig 2>/dev/null
refused "$first" sig '.' "another type of content"
want "none of them counted" "$(tool officer show "$first" --json | grep -c '"approvals":\[\]')" 1
want "no such request" "$(hand_in q0000000000000000 sig)" 65
# what counts: forms of a signature
sign first anna -binary -nodetach
openssl base64 -in sig >b64
{ echo '-----BEGIN CMS-----'; cat b64; echo '-----END CMS-----'; } >sig.pem
want "opaque, PEM" "$(hand_in "$first" sig.pem)" 0
sign first carl -nocerts -keyid
want "no certificate, by key identifier" "$(hand_in "$first" sig)" 0
want "withdraw" "$(status tool officer withdraw "$first")" 0
want "run of what was withdrawn" "$(status tool officer run "$first" --out x --password pass)" 65

# --- gpgsm
mkdir -m 700 "$GNUPGHOME"
printf 'disable-crl-checks\nno-secmem-warning\nbatch\ndisable-dirmngr\n' >"$GNUPGHOME/gpgsm.conf"
printf 'allow-loopback-pinentry\n' >"$GNUPGHOME/gpg-agent.conf"
openssl x509 -in ben.crt -noout -fingerprint -sha1 | sed 's/.*=//; s/$/ S relax/' >"$GNUPGHOME/trustlist.txt"
openssl pkcs12 -export -inkey ben.key -in ben.crt -passout pass:x -out ben.p12 -legacy 2>/dev/null ||
	openssl pkcs12 -export -inkey ben.key -in ben.crt -passout pass:x -out ben.p12
echo x | gpgsm --pinentry-mode loopback --passphrase-fd 0 --import ben.p12 >>gpg.log 2>&1
gpgsm --import ben.crt >>gpg.log 2>&1
fpr=$(openssl x509 -in ben.crt -noout -fingerprint -sha1 | sed 's/.*=//; s/://g')
echo x | gpgsm --pinentry-mode loopback --passphrase-fd 0 --local-user "$fpr" --output gpg.sig --yes --armor --detach-sign second \
	2>>gpg.log || fail "gpgsm signs"
want "gpgsm, armored" "$(hand_in "$second" gpg.sig)" 0
# Signed away from the vault by our tool, with a PKCS#12 that has a password.
openssl pkcs12 -export -inkey anna.key -in anna.crt -passout pass:geheim -out anna.p12
echo geheim >geheim
want "signing something else" "$(status "$sealgate" officer sign --yes --key anna.p12 --password geheim pass)" 65
"$sealgate" officer sign --yes --key anna.p12 --password geheim second 2>>tool.log || fail "officer sign"
want "offline, PKCS#12" "$(hand_in "$second" second.p7s)" 0
# Five at once: one gets it.
for i in 1 2 3 4 5; do
	(status tool officer run "$second" --out "race$i" --password pass >"race$i.status") &
	racers="$racers $!"
done
# shellcheck disable=SC2086
wait $racers
want "five at once: one does it" "$(grep -lx 0 race?.status | wc -l)" 1
want "five at once: one file" "$(find . -name "race[1-5]" | wc -l)" 1

# --- the vault runs
start vault "$vault" -c "$conf" -f
wait_for 10 grep -q vault-ready "$work/vault.log" || fail "no vault-ready"

# --- opening for an auditor
printf 'From: x@example.com\nTo: alice@example.org\nSubject: plan\nMIME-Version: 1.0\n' >head
printf 'Content-Type: text/plain\r\n\r\nThe secret plan.\r\n' >inner
seal() { # CERT CIPHER IN OUT: a mail
	{
		cat head
		openssl cms -encrypt "$2" -binary -in "$3" -outform SMIME "$1" 2>/dev/null | sed '/^MIME-Version/d' | tr -d '\r'
	} >"$4"
}
seal alice.crt -aes-256-cbc inner mail
want "opening without a reason" "$(status tool audit open mail)" 64
ask audit open mail --reason 'complaint 4711'
match "which message" "$(tool officer show "$id" | tr -d '\r')" "^message: $(sha256sum <mail | cut -d' ' -f1)\$"
want "opening without approval" "$(status tool audit open mail --request "$id" --out opened)" 65
want "anna" "$(approve "$id" anna)" 0
tool vault rekey --deep || fail "rekey --deep between two approvals"
want "ben" "$(approve "$id" ben)" 0
tool audit open mail --request "$id" --out opened || fail "opening"
match "what was opened" "$(cat opened)" 'The secret plan'
match "with its own fields" "$(tr -d '\r' <opened)" '^Subject: plan$'
mismatch "without the envelope's" "$(cat opened)" 'pkcs7-mime'
want "mode of what was opened" "$(stat -c %a opened)" 600
seal alice.crt -aes-256-cbc inner mail2
want "another message by the same approval" "$(status tool audit open mail2 --request "$id" --out x)" 65
match "to standard output" "$(tool audit open mail --request "$id")" 'The secret plan'
match "the third time" "$(tool audit open mail --request "$id")" 'The secret plan'
want "the fourth time" "$(status tool audit open mail --request "$id")" 65
out=$(tool audit search --address alice@example.org --type intent)
match "in the ledger, by the owner's address" "$out" "open .*request=$id"
# authenticated, elliptic curve, inside signatures, alone
seal bob.crt -aes-256-gcm inner mail
openssl cms -sign -in mail -signer eve.crt -inkey eve.key -out signed -nodetach 2>/dev/null
approved audit open signed --reason 'signed outside'
match "GCM, EC, inside an opaque signature" "$(tool audit open signed --request "$id")" 'The secret plan'
openssl cms -sign -in inner -signer eve.crt -inkey eve.key -out inner.signed 2>/dev/null
seal bob.crt -aes-128-cbc inner.signed mail
approved audit open mail --for bob@example.org --reason 'signed inside'
match "a signature inside stays" "$(tool audit open mail --request "$id")" 'multipart/signed'
openssl cms -encrypt -aes-256-cbc -binary -in inner -outform DER -out smime.p7m alice.crt bob.crt 2>/dev/null
approved audit open smime.p7m --for bob@example.org --reason 'an attachment'
match "the CMS alone" "$(tool audit open smime.p7m --request "$id")" 'The secret plan'
match "with the key of whom was asked for" "$(tool officer show "$id" | tr -d '\r')" "^key: $bob\$"
seal alice.crt -aes-256-cbc inner two
seal bob.crt -aes-256-cbc two mail
approved audit open mail --reason 'two envelopes'
tool audit open mail --request "$id" --out two.opened || fail "the outer envelope"
approved audit open two.opened --reason 'two envelopes'
match "the inner envelope" "$(tool audit open two.opened --request "$id")" 'The secret plan'
seal eve.crt -aes-256-cbc inner mail
want "no key of ours" "$(status tool audit open mail --reason x)" 65
want "not encrypted" "$(status tool audit open inner --reason x)" 65
want "no message" "$(status tool audit open nothing --reason x)" 66
seal bob.crt -aes-256-cbc inner mail
want "a reason of two lines" "$(status tool audit open mail --reason "$(printf 'a\nact: x')")" 64

# --- the CA: its key like any other, a new root, a certificate from outside
issuing=$(tool ca show --json | field key)
want "no CA's key by its own command" "$(status tool ca export)" 65
approved key export --to eve.crt "$issuing"
match "the officers read whose it is" "$(tool officer show "$id" | tr -d '\r')" '^kind: .*, CA OF THE ORGANISATION, active$'
tool key export --request "$id" --out ca.p7m >/dev/null || fail "export of the CA's key"
openssl cms -decrypt -inform DER -in ca.p7m -inkey eve.key -recip eve.crt -out ca.pem 2>/dev/null || fail "eve opens it"
want "the CA's key" "$(openssl pkey -in ca.pem -pubout)" "$(tool ca export --cert | openssl x509 -noout -pubkey)"
match "recorded" "$(tool audit search --type intent --key "$issuing" | tail -n 1)" "export .*request=$id"
root=$(tool ca show --root --json | field key)
ask ca rollover --root --type p256 --reason 'the old root is weak'
match "which root" "$(tool officer show "$id" | tr -d '\r')" "^root so far: $root\$"
want "no new root yet" "$(tool ca show --root --json | field key)" "$root"
want "without approval" "$(status tool ca rollover --request "$id")" 65
want "anna" "$(approve "$id" anna)" 0
want "ben" "$(approve "$id" ben)" 0
match "a new root" "$(tool ca rollover --request "$id")" '^k[0-9a-f]+ +root '
[ "$(tool ca show --root --json | field key)" != "$root" ] || fail "the root is the old one"
want "a new issuing CA needs nobody" "$(status tool ca rollover --type p256)" 0
# shellcheck disable=SC2086
openssl req -x509 $ec -nodes -keyout off.key -out off.crt -days 99 -subj '/CN=Offline Root' \
	-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
tool ca new --csr --type p256 >ca.csr || fail "ca new --csr"
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' >ca.ext
openssl x509 -req -in ca.csr -CA off.crt -CAkey off.key -CAcreateserial -days 90 -extfile ca.ext -out sub.crt 2>/dev/null
issuing=$(tool ca show --json | field key)
ask ca import sub.crt off.crt
match "which certificate" "$(tool officer show "$id" | tr -d '\r')" \
	"^certificate: $(openssl x509 -in sub.crt -outform DER | sha256sum | cut -d' ' -f1)\$"
want "one is not enough" "$(approve "$id" anna; status tool ca import --request "$id")" "$(printf '0\n65')"
want "the CA so far" "$(tool ca show --json | field key)" "$issuing"
want "carl" "$(approve "$id" carl)" 0
tool officer run "$id" >/dev/null || fail "run of the import"
match "under the root outside" "$(tool ca show)" 'issuer +CN=Offline Root'

# --- other officers
sqlite3 "$d/vault/vault.db" ".backup '$work/with-ben'" || fail "a copy of the store"
ask officer change --add dora.crt --name Dora --remove 'Ben' --reason 'ben retires'
change=$id
ask key export bob@example.org
open=$id
want "ben approves while he may" "$(approve "$open" ben)" 0
want "ben approves his successor" "$(approve "$change" ben)" 0
want "one is not enough" "$(status tool officer run "$change")" 65
want "anna too" "$(approve "$change" anna)" 0
tool officer run "$change" >/dev/null || fail "run of the change"
mismatch "ben is none any more" "$(tool officer list)" 'Ben'
want "what was open is void" "$(approve "$open" anna)" 65
want "and listed so" "$(tool officer requests --all --json | tr '{' '\n' | grep "$open" | field state)" void
ask key export bob@example.org
want "ben's key counts no more" "$(approve "$id" ben)" 65
want "dora's does" "$(approve "$id" dora)" 0
want "carl's too" "$(approve "$id" carl)" 0
ask officer change --threshold 3
change=$id
want "anna" "$(approve "$change" anna)" 0
want "carl" "$(approve "$change" carl)" 0
tool officer run "$change" >/dev/null || fail "a higher threshold"
ask key export bob@example.org
want "anna" "$(approve "$id" anna)" 0
want "carl" "$(approve "$id" carl)" 0
want "two of three" "$(status tool officer run "$id" --out y --password pass)" 65
want "dora" "$(approve "$id" dora)" 0
want "too few to approve afterwards" "$(status tool officer change --remove Dora)" 64
want "nobody of that name" "$(status tool officer change --remove Zoe)" 64
want "nothing to change" "$(status tool officer change --threshold 3)" 64
keep=$id # approved by all, not used yet
# A request is carried out by its own act's command only.
want "a deletion's command" "$(status tool key delete --request "$keep")" 64
want "the officers' own" "$(status tool officer change --request "$keep")" 64
want "a period's" "$(status tool audit erase --request "$keep")" 64
want "a segment's" "$(status tool audit retire --request "$keep")" 64
want "a CA's" "$(status tool ca rollover --request "$keep")" 64
want "a CA's certificate" "$(status tool ca import --request "$keep")" 64
want "not used by that" "$(tool officer requests --json | tr '{' '\n' | grep "$keep" | field state)" open

# --- deletion
ask key delete alice@example.org --reason 'court order'
for who in anna carl dora; do
	want "$who" "$(approve "$id" $who)" 0
done
match "deletion" "$(tool key delete --request "$id")" "$alice +destroyed"
want "no export of it" "$(status tool key export "$alice")" 65
want "no renewal" "$(status tool key revoke "$alice")" 65
want "it does not come back" "$(status tool key import --password pass alice.p12)" 65
seal alice.crt -aes-256-cbc inner mail
want "nothing opens with it" "$(status tool audit open mail --reason x)" 65

# --- by hand in the files
kill "$pid"
wait "$pid" 2>/dev/null
pids=

store=$d/vault/vault.db
[ -f "$store" ] || fail "no store at $store"
cp "$store" before
tool officer run "$keep" --out kept --password pass >/dev/null || fail "the run that is undone"
cp "$store" after
cp before "$store"
want "a use is not given back by an old copy of the store" "$(status tool officer run "$keep" --out z --password pass)" 65
cp after "$store"
for sql in "DELETE FROM officers WHERE name = 'Dora'" "UPDATE quorum SET threshold = 2" "DELETE FROM quorum" \
	"DELETE FROM approvals" "UPDATE acts SET state = 0, uses = 0" "UPDATE officers SET until = 0" \
	"UPDATE acts SET expires = 9999999999"; do
	cp after "$store"
	sqlite3 "$store" "$sql" || fail "sqlite3: $sql"
	want "$sql" "$(status tool officer run "$keep" --out z --password pass)" 75
	want "$sql: list" "$(status tool officer requests --all)" 75
done
# An earlier copy of the whole store: the ledger tells of officers that it does not know.
# The one from before the rekey has another master key, which no retry mends.
for copy in with-ben:75 no-officers:78; do
	cp "$work/${copy%:*}" "$store"
	want "$copy: list" "$(status tool officer list)" "${copy#*:}"
	want "$copy: a request" "$(status tool key export bob@example.org)" "${copy#*:}"
	want "$copy: other officers" "$(status tool officer init --cert dora.crt --name D --cert eve.crt --name E)" "${copy#*:}"
done
cp after "$store"
want "as it was" "$(status tool officer list)" 0

# --- a ledger that was put back
ask key export bob@example.org --reason rollback
for who in anna carl dora; do
	want "$who" "$(approve "$id" $who)" 0
done
cp "$store" last
cp -r "$d/ledger" ledger.last
head -n 3 ledger.last/000001.jsonl >"$d"/ledger/000001.jsonl
out=$("$sealgate" -c "$conf" officer run "$id" --out z --password pass 2>&1)
[ $? -ne 0 ] || fail "a run with a ledger that was put back"
rm -rf "$d/ledger"
cp -r ledger.last "$d/ledger"
cp last "$store"
tool officer run "$id" --out rolled --password pass >/dev/null || fail "with its own ledger"
[ ! -e z ] || fail "a refused run left a file"

# --- the ledger
want "the ledger" "$(status tool audit verify)" 0
out=$(tool audit search --type admin)
for event in officer.init officer.request officer.approve officer.refused officer.run officer.done officer.change officer.withdraw \
	key.delete; do
	match "record of $event" "$out" "event=$event"
done
match "record of the use" "$(tool audit search --type intent)" 'event=export'
! grep -rq 'complaint 4711\|example.org' "$d/ledger" || fail "personal text in the ledger"
! grep -q 'secret plan\|geheim\|long enough' "$work"/*.log || fail "something secret in a log"
finish
