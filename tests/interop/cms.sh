#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What crypto/ writes, read by "openssl cms" and gpgsm; what they write, read by crypto/. Each reader is also shown to fail
# when it should: content changed, or the wrong key.
#
#   tests/interop/cms.sh        SEALGATE_BUILD: build folder, default b
set -u
src=${SEALGATE_SRC:-$(cd "$(dirname "$0")/../.." && pwd)}
tool=${SEALGATE_BUILD:-$src/b}/tests/interop/cmstool
[ -x "$tool" ] || { echo "$tool is not built"; exit 1; }
command -v openssl >/dev/null || { echo "skipped: openssl is not installed"; exit 77; }
W=$(mktemp -d "${TMPDIR:-/tmp}/sealgate-cms.XXXXXX") || exit 1
export GNUPGHOME=$W/gnupg
cleanup() {
	[ -z "${gpg-}" ] || gpgconf --kill all 2>/dev/null
	rm -rf "$W"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
cd "$W" || exit 1
bad=0

# good NAME COMMAND… : has to succeed;  fails NAME COMMAND… : has to fail
good() {
	local name=$1; shift
	if "$@" >out 2>err.log; then echo "ok: $name"; else
		echo "FAILED: $name"; sed 's/^/    /' err.log | head -5; bad=1
	fi
}
fails() {
	local name=$1; shift
	if "$@" >out 2>err.log; then echo "FAILED: $name did not fail"; bad=1; else echo "ok: $name fails"; fi
}
# same NAME: the last output is the content
same() {
	cmp -s out content || { echo "FAILED: $1: other content"; bad=1; }
}

# --- people: a CA, and one of each kind of key ---
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=Interop-CA \
	-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
person() { # NAME openssl-genpkey-arguments…
	local name=$1; shift
	openssl genpkey "$@" -out "$name.key" 2>/dev/null
	openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
	printf 'subjectAltName=email:%s@interop.test\nkeyUsage=critical,digitalSignature,%s\nextendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\n' \
		"$name" "$(case $name in rsa*) echo keyEncipherment ;; *) echo keyAgreement ;; esac)" >"$name.ext"
	openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -extfile "$name.ext" \
		-out "$name.pem" 2>/dev/null
	cat "$name.pem" ca.pem >"$name.chain"
	openssl pkcs8 -topk8 -nocrypt -in "$name.key" -outform DER -out "$name.der"
}
person rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048
person rsa2 -algorithm RSA -pkeyopt rsa_keygen_bits:3072
person p256 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
person p384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384
person p521 -algorithm EC -pkeyopt ec_paramgen_curve:P-521
{ printf 'Content-Type: text/plain\r\n\r\n'; head -c 300000 /dev/urandom | base64 | sed 's/$/\r/'; } >content
{ cat content; echo more; } >changed

# --- openssl ---
ours_signed() { "$tool" sign "$1.der" "$1.chain" ${2:-} <content >"$1.sig"; }
for who in rsa rsa2 p256 p384 p521; do
	for how in "" ${who/#p*/} ; do
		[ "$how" = "" ] || how=pss
		good "we sign $who $how" ours_signed "$who" "$how"
		good "openssl verifies $who $how" openssl cms -verify -binary -inform DER -in "$who.sig" -content content \
			-CAfile ca.pem -cades
		same "openssl verifies $who"
		fails "openssl, changed content, $who $how" openssl cms -verify -binary -inform DER -in "$who.sig" \
			-content changed -CAfile ca.pem
	done
	"$tool" opaque "$who.der" "$who.chain" <content >opaque
	good "openssl reads opaque $who" openssl cms -verify -binary -inform DER -in opaque -CAfile ca.pem
	same "openssl reads opaque $who"
done
theirs_signed() { : >sig; openssl cms -sign -binary -in content -signer "$1.pem" -inkey "$1.key" -certfile ca.pem -outform DER -out sig "${@:2}"; }
for who in rsa p256 p384 p521; do
	for flags in "" "-nodetach -stream" "-nodetach -noattr" "-keyid" "-cades -md sha512"; do
		# shellcheck disable=SC2086
		theirs_signed $who $flags
		case "$flags" in
		*nodetach*)
			good "we read openssl $who $flags" "$tool" read ca.pem <sig
			same "we read openssl $who $flags" ;;
		*)
			good "we verify openssl $who $flags" "$tool" verify ca.pem sig <content
			fails "we, changed content, openssl $who $flags" "$tool" verify ca.pem sig <changed ;;
		esac
	done
done
theirs_signed rsa -keyopt rsa_padding_mode:pss
good "we verify openssl PSS" "$tool" verify ca.pem sig <content

for who in rsa rsa2 p256 p384 p521; do
	for cipher in aes-128-cbc aes-256-cbc aes-256-gcm; do
		for how in v15 oaep; do
			"$tool" encrypt $cipher $how $who.pem <content >env
			good "openssl opens $cipher $how $who" openssl cms -decrypt -binary -inform DER -in env -recip $who.pem -inkey $who.key
			same "openssl opens $cipher $how $who"
			good "we open our own $cipher $how $who" "$tool" open $who.der $who.pem <env
			same "we open our own $cipher $how $who"
		done
		fails "openssl, wrong key, $cipher $who" openssl cms -decrypt -binary -inform DER -in env -inkey rsa2.key -recip ca.pem
	done
	for cipher in -des3 -aes-128-cbc -aes-256-cbc -aes-128-gcm -aes-256-gcm; do
		for flags in "" "-stream" "-keyid"; do
			: >env
			# shellcheck disable=SC2086
			openssl cms -encrypt -binary -in content -outform DER -out env $cipher $flags $who.pem
			good "we open openssl $cipher $flags $who" "$tool" open $who.der $who.pem <env
			same "we open openssl $cipher $flags $who"
		done
	done
	fails "we, not for us, $who" "$tool" open rsa2.der ca.pem <env
done

# --- gpgsm ---
if ! command -v gpgsm >/dev/null; then
	echo "note: gpgsm is not installed, left out"
	exit $bad
fi
gpg=yes
mkdir -m 700 "$GNUPGHOME"
printf 'disable-crl-checks\nno-secmem-warning\nbatch\ndisable-dirmngr\n' >"$GNUPGHOME/gpgsm.conf"
printf 'allow-loopback-pinentry\n' >"$GNUPGHOME/gpg-agent.conf"
openssl x509 -in ca.pem -noout -fingerprint -sha1 | sed 's/.*=//; s/$/ S relax/' >"$GNUPGHOME/trustlist.txt"
gpgsm --import ca.pem 2>gpg.log
gpgsm --import p256.pem p384.pem >>gpg.log 2>&1 # without keys: gpgsm 2.2 dies of a PKCS#12 with an EC key
for who in rsa rsa2; do
	openssl pkcs12 -export -inkey $who.key -in $who.pem -passout pass:x -out $who.p12 -legacy 2>/dev/null ||
		openssl pkcs12 -export -inkey $who.key -in $who.pem -passout pass:x -out $who.p12
	echo x | gpgsm --pinentry-mode loopback --passphrase-fd 0 --import $who.p12 >>gpg.log 2>&1
	gpgsm --import $who.pem >>gpg.log 2>&1
done
# gpgsm needs GOODSIG and TRUST for "good"; its exit status alone is not enough
gpgsm_verifies() {
	gpgsm --status-fd 1 --verify "$1" "$2" >status 2>gpg.log
	grep -q 'GOODSIG' status && grep -q 'TRUST_\(FULLY\|ULTIMATE\)' status
}
for who in rsa rsa2 p256 p384; do
	for how in "" ${who/#p*/}; do
		[ "$how" = "" ] || how=pss
		ours_signed $who $how
		good "gpgsm verifies $who $how" gpgsm_verifies $who.sig content
		fails "gpgsm, changed content, $who $how" gpgsm_verifies $who.sig changed
	done
done
gpgsm_opens() { # IN: to out.gpg
	rm -f out.gpg
	echo x | gpgsm --pinentry-mode loopback --passphrase-fd 0 --output out.gpg --decrypt "$1" 2>gpg.log
}
for who in rsa rsa2; do
	for cipher in aes-128-cbc aes-256-cbc; do
		"$tool" encrypt $cipher v15 $who.pem <content >env
		gpgsm_opens env
		good "gpgsm opens $cipher $who" cmp out.gpg content
		"$tool" encrypt $cipher v15 p256.pem <content >env
		fails "gpgsm, not for it, $cipher" gpgsm_opens env
	done
	openssl x509 -in $who.pem -noout -fingerprint -sha1 | sed 's/.*=//; s/://g' >fpr
	: >sig
	echo x | gpgsm --pinentry-mode loopback --passphrase-fd 0 --local-user "$(cat fpr)" --output sig --yes --detach-sign content 2>gpg.log
	good "we verify gpgsm $who" "$tool" verify ca.pem sig <content
	fails "we, changed content, gpgsm $who" "$tool" verify ca.pem sig <changed
done
for who in rsa rsa2; do # gpgsm 2.2 does not encrypt to EC
	openssl x509 -in $who.pem -noout -fingerprint -sha1 | sed 's/.*=//; s/://g' >fpr
	: >env
	gpgsm --recipient "$(cat fpr)" --output env --yes --encrypt content 2>gpg.log
	good "we open gpgsm $who" "$tool" open $who.der $who.pem <env
	same "we open gpgsm $who"
done
exit $bad
