#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A network with a private root in DER that may speak for its own domains only, PKCS#12 files with an empty
# password, and certificates of others in files whose names mean nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate
# run STATUS WHAT ARGUMENTS…
run() {
	local expected=$1 what=$2
	shift 2
	"$builddir/sealgate" -c "$conf" "$@" >"$work/out" 2>"$work/err"
	want "$what" $? "$expected"
}
quiet() {
	"$@" >>"$work/openssl.log" 2>&1 || fail "$*"
}

ca=$work/ca
mkdir "$ca" "$work/downloads"
quiet openssl req -x509 -newkey rsa:2048 -nodes -keyout "$ca/root.key" -out "$ca/root.pem" -days 3650 \
	-subj '/C=JP/O=Network/CN=Private Root' -addext basicConstraints=critical,CA:TRUE
openssl x509 -in "$ca/root.pem" -outform DER -out "$ca/cacert.der"
# person FILE ADDRESS…: a certificate with these addresses, DER
person() {
	local file=$1 names=
	shift
	for a; do
		names="$names,email:$a"
	done
	quiet openssl req -newkey rsa:2048 -nodes -keyout "$ca/$file.key" -subj "/CN=$1" -out "$ca/$file.csr"
	printf 'subjectAltName=%s\nextendedKeyUsage=emailProtection\n' "${names#,}" >"$ca/ext"
	quiet openssl x509 -req -in "$ca/$file.csr" -CA "$ca/root.pem" -CAkey "$ca/root.key" -days 400 -extfile "$ca/ext" \
		-out "$ca/$file.pem"
	openssl x509 -in "$ca/$file.pem" -outform DER -out "$ca/$file.der"
}

# --- the root, in DER, for its domains
run 0 "anchor in DER" cert add --anchor --domain med.example --domain med-net.example "$ca/cacert.der"
match "anchor" "$(cat "$work/out")" 'CN=Private Root'
run 0 "anchors" cert list --anchor
match "its domains" "$(cat "$work/out")" 'med.example med-net.example'

# --- a folder of downloads
person ABCD-EFG.ac.jp 'tanaka@med.example'
person HIJK-LMN.ac.jp 'suzuki@med-net.example' 'suzuki@med.example'
person OPQR-STU.ac.jp 'mallory@partner.example' # the root speaks for a domain that is not its own
for f in ABCD-EFG HIJK-LMN OPQR-STU; do
	cp "$ca/$f.ac.jp.der" "$work/downloads/$f.ac.jp.cer"
done
head -c 200 "$ca/ABCD-EFG.ac.jp.der" >"$work/downloads/VWXY-ZZZ.ac.jp.cer"
cp "$ca/cacert.der" "$work/downloads/cacert.der"
run 65 "import-dir with a cut file" cert import-dir "$work/downloads"
match "by the address inside" "$(cat "$work/out")" '  tanaka@med.example'
match "each address" "$(cat "$work/out")" '  suzuki@med.example'
match "each address" "$(cat "$work/out")" '  suzuki@med-net.example'
match "what is no certificate" "$(cat "$work/err")" 'left out: .*VWXY-ZZZ.ac.jp.cer'
match "a CA among them" "$(cat "$work/err")" 'cacert.der: left out, it has no mail address'
match "counts" "$(cat "$work/err")" '4 added, 0 known already, 1 left out, 1 files without certificates'
run 0 "tanaka" cert find tanaka@med.example
run 0 "suzuki" cert find suzuki@med-net.example
run 65 "not for other domains" cert find mallory@partner.example
run 0 "tanaka's certificate" cert check --from tanaka@med.example "$ca/ABCD-EFG.ac.jp.pem"

# --- PKCS#12 with an empty password
person own "alice@$org"
quiet openssl pkcs12 -export -inkey "$ca/own.key" -in "$ca/own.pem" -passout pass: -out "$work/own.p12"
: >"$work/empty"
run 0 "an empty password" key import --password "$work/empty" "$work/own.p12"
match "an empty password" "$(cat "$work/out")" "active .*alice@$org"
quiet openssl pkcs12 -export -legacy -inkey "$ca/own.key" -in "$ca/own.pem" -passout pass: -out "$work/old.p12"
run 0 "without any, old algorithms" key import "$work/old.p12"
finish
