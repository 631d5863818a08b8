#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Key files as other people's programs write them (OpenSSL, NSS, Java, Bouncy Castle, GnuTLS, GnuPG), with passwords in every
# encoding, into a running vault; and each is shown to fail with another password.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

sealgate=$builddir/sealgate
vault=$builddir/sealgate-vault
for program in openssl pk12util certutil certtool gpgsm java keytool iconv; do
	command -v $program >/dev/null || skip "$program is not installed (contrib/deps test)"
done
jars=/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar
[ -f /usr/share/java/bcpkix.jar ] || skip "Bouncy Castle is not installed (contrib/deps test)"
d=$work/gate
conf=$d/sealgate.conf
cd "$work" || exit 1
"$sealgate" init --dir "$d" --domain example.org >/dev/null || fail init
start vault "$vault" -c "$conf" -f
wait_for 10 grep -q vault-ready "$work/vault.log" || fail "no vault-ready"

# takes FILE PASSWORD: opens with the password (UTF-8), and not with another one
takes() {
	printf '%s\n' "$2" >password
	out=$("$sealgate" -c "$conf" key import --json --password password "$1" 2>import.err)
	if [ $? = 0 ] && grep -qE '"outcome":"(imported|known)".*"address":"alice@example.org"' <<<"$out"; then
		echo "ok: $1"
	else
		fail "$1: $out $(tail -n 1 import.err)"
	fi
	[ "${3-}" = plain ] && return
	printf '%sx\n' "$2" >password
	"$sealgate" -c "$conf" key import --password password "$1" >/dev/null 2>import.err && fail "$1 opens with any password"
	grep -qE 'password is wrong|needs a password' import.err || fail "$1: another password: $(tail -n 1 import.err)"
}

# --- a key, with a certificate of a CA
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=CA 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout alice.key -out alice.csr -subj /CN=Alice 2>/dev/null
printf 'basicConstraints=CA:FALSE\nsubjectAltName=email:alice@example.org\nkeyUsage=digitalSignature,keyEncipherment\n' >ext
openssl x509 -req -in alice.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext -days 20 -out alice.pem 2>/dev/null
openssl pkcs8 -topk8 -nocrypt -in alice.key -outform DER -out alice.p8
openssl x509 -in alice.pem -outform DER -out alice.der

# --- OpenSSL
export_p12() { # FILE PASSWORD-FILE options
	local file=$1 password=$2
	shift 2
	openssl pkcs12 -export -inkey alice.key -in alice.pem -certfile ca.pem -passout "file:$password" "$@" -out "$file" \
		2>/dev/null || fail "openssl: $file"
}
echo secret >ascii
echo 'pässwörd' >latin
echo '暗証番号ソ' >japanese # the last one has a backslash in Shift_JIS
: >empty && echo >>empty
export_p12 ssl.p12 ascii
takes ssl.p12 secret
export_p12 ssl-legacy.p12 ascii -legacy
takes ssl-legacy.p12 secret
export_p12 ssl-rc4.p12 ascii -legacy -keypbe PBE-SHA1-RC4-128 -certpbe PBE-SHA1-RC2-128
takes ssl-rc4.p12 secret
export_p12 ssl-3des.p12 ascii -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1
takes ssl-3des.p12 secret
export_p12 ssl-aes128.p12 ascii -keypbe AES-128-CBC -certpbe DES-EDE3-CBC -macalg sha512
takes ssl-aes128.p12 secret
export_p12 ssl-sha384.p12 ascii -macalg sha384
takes ssl-sha384.p12 secret
export_p12 ssl-nomac.p12 ascii -nomac
takes ssl-nomac.p12 secret
export_p12 ssl-open.p12 ascii -keypbe NONE -certpbe NONE -nomac
takes ssl-open.p12 "" plain
export_p12 ssl-once.p12 ascii -noiter -nomaciter
takes ssl-once.p12 secret
export_p12 ssl-600000.p12 ascii -iter 600000
takes ssl-600000.p12 secret
export_p12 ssl-2000000.p12 ascii -iter 2000000
takes ssl-2000000.p12 secret
export_p12 ssl-empty.p12 empty
takes ssl-empty.p12 ""
export_p12 ssl-empty-legacy.p12 empty -legacy
takes ssl-empty-legacy.p12 ""
for name in latin japanese; do
	for flags in "" -legacy; do
		# shellcheck disable=SC2086
		export_p12 "ssl-$name$flags.p12" $name $flags
		takes "ssl-$name$flags.p12" "$(cat $name)"
	done
done
# What a terminal with another charset gives: each byte becomes a character.
for pair in latin:CP1252 latin:CP850 japanese:CP932 japanese:EUC-JP; do
	iconv -f UTF-8 -t "${pair#*:}" "${pair%:*}" >bytes
	for flags in "" -legacy; do
		# shellcheck disable=SC2086
		export_p12 "ssl-${pair#*:}$flags.p12" bytes $flags
		takes "ssl-${pair#*:}$flags.p12" "$(cat "${pair%:*}")"
	done
	# and the other way round: the password comes in that charset, the file has it right
	cp bytes password
	"$sealgate" -c "$conf" key import --password password "ssl-${pair%:*}-legacy.p12" >/dev/null 2>import.err ||
		[ "${pair#*:}" = CP850 ] || fail "a password in ${pair#*:}: $(tail -n 1 import.err)"
done
openssl pkcs8 -topk8 -in alice.key -passout file:japanese -scrypt -out scrypt.pem
cat alice.pem >>scrypt.pem
takes scrypt.pem "$(cat japanese)"
openssl pkcs8 -topk8 -in alice.key -passout file:latin -v1 PBE-MD5-DES -provider legacy -provider default -out md5des.pem &&
	cat alice.pem >>md5des.pem && takes md5des.pem "$(cat latin)"
openssl rsa -in alice.key -aes256 -passout file:ascii -traditional -out dek.pem 2>/dev/null
cat alice.pem ca.pem >>dek.pem
takes dek.pem secret

# --- NSS
mkdir nss
: >nothing
certutil -N -d sql:nss -f nothing --empty-password 2>/dev/null || fail "certutil -N"
pk12util -i ssl.p12 -d sql:nss -w ascii -k nothing >/dev/null || fail "pk12util -i"
nick=$(certutil -L -d sql:nss | sed -n 's/ *u,u,u *$//p')
nss() { # FILE PASSWORD-FILE options
	local file=$1 password=$2
	shift 2
	pk12util -o "$file" -d sql:nss -n "$nick" -w "$password" -k nothing "$@" >/dev/null 2>nss.err ||
		fail "pk12util: $file: $(cat nss.err)"
	takes "$file" "$(cat "$password")"
}
nss nss.p12 ascii
nss nss-3des.p12 ascii -c DES-EDE3-CBC -C DES-EDE3-CBC
nss nss-rc2.p12 ascii -c RC2-CBC -C RC2-CBC
nss nss-aes.p12 ascii -c AES-128-CBC -C AES-128-CBC
nss nss-japanese.p12 japanese
nss nss-latin.p12 latin
nss nss-latin-3des.p12 latin -c DES-EDE3-CBC -C DES-EDE3-CBC

# --- Java, Bouncy Castle
cat ascii latin japanese empty >passwords
java -Dfile.encoding=UTF-8 -cp "$jars" "$srcdir/tests/interop/Keystores.java" alice.p8 alice.der passwords >java.log 2>&1 ||
	fail "Keystores.java"
n=0
while IFS= read -r password; do
	n=$((n + 1))
	for file in java-$n.p12 bc-$n.p12 bcrc2-$n.p12 bc3des-$n.p12 bcaes-$n.p12 bcnomac-$n.p12; do
		[ ! -f $file ] || takes $file "$password"
	done
done <passwords
want "files of Java" "$(ls java-*.p12 bc*-*.p12 | wc -l)" 20
keytool -importkeystore -srckeystore ssl.p12 -srcstorepass secret -srcstoretype PKCS12 -destkeystore keytool.p12 \
	-deststoretype PKCS12 -deststorepass secret >keytool.log 2>&1 || fail keytool
takes keytool.p12 secret
keytool -J-Dkeystore.pkcs12.legacy=true -importkeystore -srckeystore ssl.p12 -srcstorepass secret -srcstoretype PKCS12 \
	-destkeystore keytool-legacy.p12 -deststoretype PKCS12 -deststorepass secret >keytool.log 2>&1 || fail "keytool, legacy"
takes keytool-legacy.p12 secret

# --- GnuTLS
gnutls() { # FILE PASSWORD options
	local file=$1 password=$2
	shift 2
	certtool --to-p12 --load-privkey alice.key --load-certificate alice.pem --load-ca-certificate ca.pem --p12-name alice \
		--outder --outfile "$file" "$@" >/dev/null 2>gnutls.err || fail "certtool: $file: $(cat gnutls.err)"
	takes "$file" "$password"
}
gnutls gnutls.p12 secret --password secret
gnutls gnutls-3des.p12 secret --password secret --pkcs-cipher 3des-pkcs12
gnutls gnutls-rc2.p12 secret --password secret --pkcs-cipher rc2-40
gnutls gnutls-arcfour.p12 secret --password secret --pkcs-cipher arcfour
gnutls gnutls-latin.p12 "$(cat latin)" --password "$(cat latin)"
gnutls gnutls-japanese.p12 "$(cat japanese)" --password "$(cat japanese)" --pkcs-cipher 3des-pkcs12
gnutls gnutls-empty.p12 "" --empty-password
gnutls gnutls-null.p12 "" --null-password

# --- GnuPG
export GNUPGHOME=$work/gnupg
mkdir -m 700 "$GNUPGHOME"
printf 'disable-crl-checks\nbatch\ndisable-dirmngr\n' >"$GNUPGHOME/gpgsm.conf"
printf 'allow-loopback-pinentry\n' >"$GNUPGHOME/gpg-agent.conf"
gpgsm --import ca.pem 2>gpg.log
gpgsm --pinentry-mode loopback --passphrase-fd 0 --import ssl-3des.p12 <ascii 2>>gpg.log || fail "gpgsm --import"
gpgsm --pinentry-mode loopback --passphrase-fd 0 --output gpg.p12 --export-secret-key-p12 alice@example.org <ascii 2>>gpg.log
if [ -s gpg.p12 ]; then
	takes gpg.p12 secret
else
	fail "gpgsm --export-secret-key-p12: $(tail -n 2 gpg.log)"
fi
gpgconf --kill all 2>/dev/null

"$sealgate" -c "$conf" key list | grep -c alice@example.org | grep -qx 1 || fail "one key in all of them"
"$sealgate" -c "$conf" key export --cert alice@example.org >out.pem
cmp -s <(openssl x509 -in out.pem -outform DER) alice.der || fail "the certificate"
finish
