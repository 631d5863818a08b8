#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The look-up against a real slapd: what is there, what is not, what is broken, what is too much, and what does not answer.
SEALGATE_SRC=${SEALGATE_SRC:-$(cd "$(dirname "$0")/../.." && pwd)}
SEALGATE_BUILD=${SEALGATE_BUILD:-$SEALGATE_SRC/b}
PKI_MADE=$SEALGATE_BUILD
. "$SEALGATE_SRC/tests/lib/servers.sh"
. "$SEALGATE_SRC/tests/mta/checks.sh"
needs slapd slapadd openssl perl
tool=$SEALGATE_BUILD/tests/mta/lookuptool
built "$tool"
servers_begin || exit 1
W=$SERVERS
suffix=dc=partner,dc=test

# limit NAME MOST GOT
limit() {
	if [ "$3" -le "$2" ]; then
		echo "ok: $1 ($3 ms)"
	else
		echo "FAILED: $1: $3 ms, want at most $2"
		bad=1
	fi
}

# conf FILE URIS [LINES]: a configuration with one directory
conf() {
	cat >"$1" <<-E
	organisation = { domains = "here.test"; };
	certstore = { path = "$1.db"; };
	lookup = { error_ttl = "400ms"; negative_ttl = "0"; positive_ttl = "0"; };
	directories = ( { name = "partner"; uri = $2; base = "$suffix"; timeout = "1s"; ${3:-} } );
	E
}

# find CONF ADDRESS: the line for one address
find() {
	echo "$2" | "$tool" "$1" "$W/pki/ca.pem" 2>>"$W/log" | head -n 1
}

# --- people
export PKI_KEY=ec
pki_ca "$W/pki" Partner || exit 1
pki_person "$W/pki" carol carol@partner.test &&
	pki_person "$W/pki" carol2 carol@partner.test &&
	pki_person "$W/pki" expired carol@partner.test $PKI_EXPIRED &&
	pki_person "$W/pki" dave dave@partner.test &&
	pki_person "$W/pki" star '*@partner.test' || exit 1
pki_ca "$W/stranger" Stranger && pki_person "$W/stranger" eve eve@partner.test || exit 1
pki_server "$W/pki" "$W/slapd/tls" || exit 1
echo "this is no certificate" >"$W/garbage"
head -c 5000000 /dev/zero | tr '\0' 'A' >"$W/huge"
head -c 300000 /dev/zero | tr '\0' 'A' >"$W/big"
{
	ldif_suffix "$suffix"
	ldif_person "mail=carol@partner.test,$suffix" carol@partner.test 'userCertificate;binary' "$W/pki/carol.der"
	ldif_person "mail=dave@partner.test,$suffix" dave@partner.test userSMIMECertificate "$W/pki/dave.p7"
	ldif_person "cn=bare,$suffix" bare@partner.test userSMIMECertificate "$W/pki/dave.der"
	ldif_person "mail=eve@partner.test,$suffix" eve@partner.test 'userCertificate;binary' "$W/stranger/eve.der"
	ldif_person "mail=nothing@partner.test,$suffix" nothing@partner.test
	ldif_person "mail=garbage@partner.test,$suffix" garbage@partner.test userSMIMECertificate "$W/garbage"
	ldif_person "cn=many,$suffix" carol+many@partner.test 'userCertificate;binary' "$W/pki/carol.der"
	for i in 1 2 3; do
		ldif_person "cn=twice$i,$suffix" twins@partner.test
	done
} >"$W/people.ldif"
# Carol with everything at once: two good ones, an expired one, one of somebody else, both attributes, garbage.
cat >>"$W/people.ldif" <<E
dn: cn=mixed,$suffix
objectClass: inetOrgPerson
cn: mixed
sn: mixed
mail: mixed@partner.test
userCertificate;binary:: $(base64 -w 0 <"$W/pki/dave.der")
userSMIMECertificate:: $(base64 -w 0 <"$W/garbage")
userSMIMECertificate:: $(base64 -w 0 <"$W/big")

dn: cn=carols,$suffix
objectClass: inetOrgPerson
cn: carols
sn: carols
mail: CAROL@partner.test
userCertificate;binary:: $(base64 -w 0 <"$W/pki/carol2.der")
userCertificate;binary:: $(base64 -w 0 <"$W/pki/expired.der")
userSMIMECertificate:: $(base64 -w 0 <"$W/pki/carol.p7")
userSMIMECertificate:: $(base64 -w 0 <"$W/garbage")

dn: cn=huge,$suffix
objectClass: inetOrgPerson
cn: huge
sn: huge
mail: huge@partner.test
userSMIMECertificate:: $(base64 -w 0 <"$W/huge")

E
{
	printf 'dn: cn=ten thousand,%s\nobjectClass: inetOrgPerson\ncn: ten thousand\nsn: x\nmail: values@partner.test\n' "$suffix"
	seq -f 'userSMIMECertificate: value %.0f' 10000
	echo
	for i in $(seq 40); do
		ldif_person "cn=crowd$i,$suffix" crowd@partner.test 'userCertificate;binary' "$W/pki/dave.der"
	done
} >>"$W/people.ldif"

slapd_up "$W/slapd" "$suffix" "$W/people.ldif" || exit 1
uri=$(cat "$W/slapd/uri")
conf "$W/conf" "\"$uri\""

# --- what is there and what is not
check "several values in two entries: once each, userSMIMECertificate preferred" "carol@partner.test ok - 1 0 3" "$(find "$W/conf" carol@partner.test)"
check "the same in another case" "CAROL@PARTNER.test ok - 1 0 3" "$(find "$W/conf" CAROL@PARTNER.test)"
conf "$W/all" "\"$uri\"" 'prefer = false;'
check "without preference: the good ones" "carol@partner.test ok - 2 0 3" "$(find "$W/all" carol@partner.test)"
conf "$W/other" "\"$uri\"" 'attributes = ["userCertificate", "userSMIMECertificate"];'
check "the other way round" "carol@partner.test ok - 2 0 3" "$(find "$W/other" carol@partner.test)"
conf "$W/one" "\"$uri\"" 'attributes = "userCertificate";'
check "one attribute alone" "dave@partner.test none - 0 0 0" "$(find "$W/one" dave@partner.test)"
check "certs-only PKCS#7" "dave@partner.test ok - 1 0 1" "$(find "$W/conf" dave@partner.test)"
check "a certificate of another address" "bare@partner.test none - 0 0 1" "$(find "$W/conf" bare@partner.test)"
check "a CA that nobody trusts" "eve@partner.test none - 0 0 1" "$(find "$W/conf" eve@partner.test)"
check "an entry without certificates" "nothing@partner.test none - 0 0 0" "$(find "$W/conf" nothing@partner.test)"
check "no entry" "nobody@partner.test none - 0 0 0" "$(find "$W/conf" nobody@partner.test)"
check "garbage only" "garbage@partner.test none - 0 0 0" "$(find "$W/conf" garbage@partner.test)"
check "garbage and a value of 300 KB beside a certificate" "mixed@partner.test none - 0 0 1" "$(find "$W/conf" mixed@partner.test)"
check "an address is no pattern" "*@partner.test none - 0 0 0" "$(find "$W/conf" '*@partner.test')"
check "an address is no filter" "x)(mail=carol@partner.test none - 0 0 0" "$(find "$W/conf" 'x)(mail=carol@partner.test')"

# --- too much: an answer that cannot be believed, not "none"; and the server is not taken for dead
check "10,000 values" "values@partner.test temp dir-answer 0 0 0" "$(find "$W/conf" values@partner.test)"
check "a value of 5 MB" "huge@partner.test temp dir-answer 0 0 0" "$(find "$W/conf" huge@partner.test)"
check "40 entries" "crowd@partner.test temp dir-answer 0 0 0" "$(find "$W/conf" crowd@partner.test)"
check "others are served after that" "dave@partner.test ok - 1 0 1" \
	"$(printf 'huge@partner.test\nvalues@partner.test\ndave@partner.test\n' | "$tool" "$W/conf" "$W/pki/ca.pem" 2>>"$W/log" | grep '^dave')"

# --- a directory that lets only one entry through, and only one question
mkdir -p "$W/shy"
printf 'limits * size.soft=1 size.hard=1\n' >"$W/shy/extra.conf"
{
	ldif_suffix "$suffix"
	ldif_person "cn=dave1,$suffix" dave@partner.test userSMIMECertificate "$W/pki/dave.p7"
	ldif_person "cn=dave2,$suffix" dave@partner.test
	ldif_person "cn=one,$suffix" carol@partner.test 'userCertificate;binary' "$W/pki/carol.der"
	ldif_person "cn=a,$suffix" expired@partner.test 'userCertificate;binary' "$W/pki/expired.der"
	ldif_person "cn=b,$suffix" expired@partner.test
} >"$W/shy.ldif"
slapd_up "$W/shy" "$suffix" "$W/shy.ldif" || exit 1
conf "$W/shy.conf" "\"$(cat "$W/shy/uri")\""
check "one entry of one" "carol@partner.test ok - 1 0 1" "$(find "$W/shy.conf" carol@partner.test)"
check "one entry of two is used" "dave@partner.test ok - 1 0 1" "$(find "$W/shy.conf" dave@partner.test)"
check "and is no \"none\" when it can't be" "expired@partner.test temp dir-answer 0 0 1" "$(find "$W/shy.conf" expired@partner.test)"
check "nobody is nobody" "nobody@partner.test none - 0 0 0" "$(find "$W/shy.conf" nobody@partner.test)"

# --- settings
conf "$W/willing" "\"$uri\"" 'willing = true;'
check "a willing directory is proof" "dave@partner.test ok - 1 1 1" "$(find "$W/willing" dave@partner.test)"
conf "$W/domains" "\"$uri\"" 'domains = "other.test";'
check "not asked for this domain" "dave@partner.test none - 0 0 0" "$(find "$W/domains" dave@partner.test)"
sed "s/base = \"[^\"]*\"/base = \"dc=nowhere,dc=test\"/" "$W/conf" >"$W/base"
check "a search base that is not there is no \"none\"" "dave@partner.test temp dir-answer 0 0 0" "$(find "$W/base" dave@partner.test)"
printf secret >"$W/password"
printf wrong >"$W/wrong"
conf "$W/simple" "\"$uri\"" "bind = \"simple\"; bind_dn = \"cn=admin,$suffix\"; password_file = \"$W/password\";"
check "simple bind" "dave@partner.test ok - 1 0 1" "$(find "$W/simple" dave@partner.test)"
conf "$W/badsimple" "\"$uri\"" "bind = \"simple\"; bind_dn = \"cn=admin,$suffix\"; password_file = \"$W/wrong\";"
check "wrong password" "dave@partner.test temp dir-answer 0 0 0" "$(find "$W/badsimple" dave@partner.test)"
conf "$W/external" "\"$(cat "$W/slapd/ldapi_uri")\"" 'bind = "external";'
check "SASL EXTERNAL over ldapi" "dave@partner.test ok - 1 0 1" "$(find "$W/external" dave@partner.test)"

# --- TLS
conf "$W/starttls" "\"$uri\"" "starttls = true; ca_file = \"$W/pki/ca.pem\";"
check "STARTTLS" "dave@partner.test ok - 1 0 1" "$(find "$W/starttls" dave@partner.test)"
conf "$W/ldaps" "\"$(cat "$W/slapd/ldaps_uri")\"" "ca_file = \"$W/pki/ca.pem\";"
check "LDAPS" "dave@partner.test ok - 1 0 1" "$(find "$W/ldaps" dave@partner.test)"
for way in starttls ldaps; do
	sed "s|$W/pki/ca.pem|$W/stranger/ca.pem|" "$W/$way" >"$W/$way.bad"
	check "$way with a server of an unknown CA" "dave@partner.test temp dir-unavailable 0 0 0" "$(find "$W/$way.bad" dave@partner.test)"
done
sed "s|//127.0.0.1|//localhost|" "$W/ldaps" >"$W/name.bad"
check "LDAPS with another name than the certificate's" "dave@partner.test temp dir-unavailable 0 0 0" "$(find "$W/name.bad" dave@partner.test)"

# --- a server that stops and comes back, seen by one process: its kept connection dies
mkfifo "$W/ask"
"$tool" "$W/conf" "$W/pki/ca.pem" <"$W/ask" >"$W/answers" 2>>"$W/log" &
echo $! >"$W/tool.pid"
servers_remember stop_pid "$W/tool.pid"
exec 9>"$W/ask"
asked=0

# ask ADDRESSES…: the first answer; $took is set from the last line
ask() {
	asked=$((asked + 1))
	echo "$*" >&9
	wait_for 30 sh -c "[ \$(grep -c '^done' '$W/answers') -ge $asked ]" || echo "no answer"
	took=$(grep '^done' "$W/answers" | tail -n 1 | cut -d' ' -f2)
}

# answer ADDRESS: the last answer for it
answer() {
	grep "^$1 " "$W/answers" | tail -n 1
}

ask dave@partner.test
check "before" "dave@partner.test ok - 1 0 1" "$(answer dave@partner.test)"
slapd_down "$W/slapd"
ask dave@partner.test
check "slapd is stopped" "dave@partner.test temp dir-unavailable 0 0 0" "$(answer dave@partner.test)"
ask dave@partner.test
limit "left alone meanwhile" 900 "$took"
slapd_start "$W/slapd"
sleep 0.5
ask dave@partner.test
check "slapd is back" "dave@partner.test ok - 1 0 1" "$(answer dave@partner.test)"
slapd_down "$W/slapd" && slapd_start "$W/slapd"
ask dave@partner.test
check "restarted between two questions: nobody notices" "dave@partner.test ok - 1 0 1" "$(answer dave@partner.test)"

# --- a server that hangs
process_freeze "$(cat "$W/slapd/slapd.pid")"
ask dave@partner.test
check "slapd hangs" "dave@partner.test temp dir-timeout 0 0 0" "$(answer dave@partner.test)"
limit "not longer than the limit" 5000 "$took"
for way in starttls ldaps simple external; do
	check "slapd hangs, $way" "dave@partner.test temp dir-timeout 0 0 0" \
		"$(find "$W/$way" dave@partner.test | sed 's/dir-unavailable/dir-timeout/')"
	limit "not longer than the limit, $way" 5000 \
		"$(echo dave@partner.test | "$tool" "$W/$way" "$W/pki/ca.pem" 2>>"$W/log" | sed -n 's/^done //p')"
done
# The second server of the list answers for the first.
slapd_up "$W/slapd2" "$suffix" "$W/people.ldif" || exit 1
conf "$W/two" "[ \"$uri\", \"$(cat "$W/slapd2/uri")\" ]"
check "the second server" "dave@partner.test ok - 1 0 1" "$(find "$W/two" dave@partner.test)"
kill -CONT "$(cat "$W/slapd/slapd.pid")"
sleep 0.5
ask dave@partner.test
check "slapd goes on" "dave@partner.test ok - 1 0 1" "$(answer dave@partner.test)"
exec 9>&-

# --- a server that takes two seconds for everything: twenty do not stand in a row
mkdir -p "$W/slow"
printf 'overlay retcode\nretcode-parent "ou=none,%s"\nretcode-sleep 2\n' "$suffix" >"$W/slow/extra.conf"
slapd_down "$W/slapd2"
{
	ldif_suffix "$suffix"
	ldif_person "mail=dave@partner.test,$suffix" dave@partner.test userSMIMECertificate "$W/pki/dave.p7"
} >"$W/few.ldif"
SLAPD_GLOBAL='moduleload retcode
threads 64' slapd_up "$W/slow" "$suffix" "$W/few.ldif" || exit 1
conf "$W/slow.conf" "\"$(cat "$W/slow/uri")\"" | cat
sed -i 's/timeout = "1s"/timeout = "5s"/' "$W/slow.conf"
# shellcheck disable=SC2046
set -- $(seq -f 'user%.0f@partner.test' 19) dave@partner.test
echo "$@" | "$tool" "$W/slow.conf" "$W/pki/ca.pem" >"$W/slow.out" 2>>"$W/log"
check "slow, and found" "dave@partner.test ok - 1 0 1" "$(grep '^dave' "$W/slow.out")"
check "slow, and none" 19 "$(grep -c ' none ' "$W/slow.out")"
limit "twenty at a time" 3900 "$(sed -n 's/^done //p' "$W/slow.out")"
[ "$(sed -n 's/^done //p' "$W/slow.out")" -ge 2000 ] || { echo "FAILED: the slow server is not slow"; bad=1; }

if [ $bad != 0 ]; then
	grep -E 'ERROR|SUMMARY' "$W/log"
	tail -n 20 "$W/log"
fi
exit $bad
