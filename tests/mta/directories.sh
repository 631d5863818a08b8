#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Directories as they are: aliases, references to other servers, the shape of Active Directory, long lists, entries of somebody else,
# answers without end, a signed userSMIMECertificate; and one that can't be asked: left alone, probed, its last answers used when told to.
. "$(dirname "$0")/world.sh"
for need in slapd slapadd openssl perl; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
tool=$SEALGATE_BUILD/tests/mta/lookuptool
[ -x "$tool" ] || skip "lookuptool is not built"
servers_begin || exit 1
W=$SERVERS
suffix=dc=partner,dc=test
export PKI_KEY=ec
pki_ca "$W/pki" Partner || exit 1
for who in u1 carol dave; do
	domain=partner.test
	[ $who != u1 ] || domain=here.test
	pki_person "$W/pki" $who $who@$domain || exit 1
done
for n in 2 3; do
	pki_person "$W/pki" u1-$n u1@here.test || exit 1
done

# conf FILE URIS [LINES [LOOKUP]]
conf() {
	cat >"$W/c-$1" <<-X
	organisation = { domains = "us.test"; };
	certstore = { path = "$W/c-$1.db"; };
	lookup = { error_ttl = "300ms"; negative_ttl = "0"; positive_ttl = "0"; ${4:-} };
	directories = ( { name = "partner"; uri = $2; base = "$suffix"; timeout = "1s"; ${3:-} } );
	X
}
# find CONF ADDRESS: the line for one address
find() {
	echo "$2" | "$tool" "$W/c-$1" "$W/pki/ca.pem" 2>"$W/log" >"$W/found"
	cat "$W/log" >>"$W/checks.log"
	head -n 1 "$W/found"
}
logged() {
	grep -q "$1" "$W/log"
}

# --- aliases, and a part of the tree on another server
far_port=$(free_port)
{
	ldif_suffix "$suffix"
	printf 'dn: ou=real,%s\nobjectClass: organizationalUnit\nou: real\n\n' "$suffix"
	printf 'dn: ou=view,%s\nobjectClass: organizationalUnit\nou: view\n\n' "$suffix"
	ldif_person "cn=dave,ou=real,$suffix" dave@partner.test userSMIMECertificate "$W/pki/dave.p7"
	printf 'dn: cn=link,ou=view,%s\nobjectClass: alias\nobjectClass: extensibleObject\ncn: link\naliasedObjectName: cn=dave,ou=real,%s\n\n' "$suffix" "$suffix"
} >"$W/near.ldif"
far_suffix=ou=far,$suffix
{
	printf 'dn: %s\nobjectClass: organizationalUnit\nou: far\n\n' "$far_suffix"
	ldif_person "cn=carol,$far_suffix" carol@partner.test 'userCertificate;binary' "$W/pki/carol.der"
} >"$W/far.ldif"
slapd_up "$W/far" "$far_suffix" "$W/far.ldif" || exit 1
far=$(cat "$W/far/uri")
printf 'dn: ou=far,%s\nobjectClass: referral\nobjectClass: extensibleObject\nou: far\nref: %s/%s\n\n' "$suffix" "$far" "$far_suffix" >>"$W/near.ldif"
slapd_up "$W/near" "$suffix" "$W/near.ldif" || exit 1
near=$(cat "$W/near/uri")
conf near "\"$near\""
conf view "\"$near\""
sed -i "s/base = \"/base = \"ou=view,/" "$W/c-view"
sed 's/timeout =/deref = "always"; timeout =/' "$W/c-view" >"$W/c-deref"
same "an alias is not followed" "dave@partner.test none - 0 0 0" "$(find view dave@partner.test)"
same "an alias is followed when told to" "dave@partner.test ok - 1 0 1" "$(find deref dave@partner.test)"
same "a reference is not followed" "carol@partner.test none - 0 0 0" "$(find near carol@partner.test)"
conf follow "\"$near\"" "referral_uris = \"$far\";"
same "a reference is followed to a named server" "carol@partner.test ok - 1 0 1" "$(find follow carol@partner.test)"
conf elsewhere "\"$near\"" "referral_uris = \"ldap://127.0.0.1:$far_port\";"
same "and to no other" "carol@partner.test none - 0 0 0" "$(find elsewhere carol@partner.test)"
conf below "\"$near\"" "referral_uris = \"$far\";"
sed -i "s/base = \"/base = \"cn=carol,ou=far,/" "$W/c-below"
same "an answer that is a reference" "carol@partner.test ok - 1 0 1" "$(find below carol@partner.test)"
sed 's/referral_uris = "[^"]*";//' "$W/c-below" >"$W/c-notbelow"
same "is no \"none\"" "carol@partner.test temp dir-answer 0 0 0" "$(find notbelow carol@partner.test)"
slapd_down "$W/far"
same "the named server is down" "carol@partner.test temp dir-unavailable 0 0 0" "$(find follow carol@partner.test)"
same "which matters to everybody there" "dave@partner.test temp dir-unavailable 0 0 0" "$(find follow dave@partner.test)"
conf two "[\"$near\", \"$near\"]" 'domains = ["partner.test", ".other.test"];'
same "a directory by domain" "dave@partner.test ok - 1 0 1" "$(find two dave@partner.test)"
same "and not for another" "carol@third.test none - 0 0 0" "$(find two carol@third.test)"

# --- the shape of Active Directory: proxyAddresses with a kind before them
cat >"$W/ad.schema" <<'X'
attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.2.840.113556.1.5.9.99 NAME 'adPerson' SUP top AUXILIARY MAY proxyAddresses )
X
{
	ldif_suffix "$suffix"
	ldif_person "cn=dave,$suffix" first@partner.test 'userCertificate;binary' "$W/pki/dave.der" |
		sed 's/^objectClass: inetOrgPerson/&\nobjectClass: adPerson/; /^$/d'
	printf 'proxyAddresses: SMTP:First@partner.test\nproxyAddresses: smtp:dave@partner.test\nproxyAddresses: X500:/o=x\n\n'
} >"$W/ad.ldif"
SLAPD_GLOBAL="include $W/ad.schema" slapd_up "$W/ad" "$suffix" "$W/ad.ldif" || exit 1
conf ad "\"$(cat "$W/ad/uri")\"" 'filter = "(|(proxyAddresses=smtp:%a)(mail=%a))"; size_limit = 0;'
same "proxyAddresses" "dave@partner.test ok - 1 0 1" "$(find ad dave@partner.test)"
same "in another case" "DAVE@Partner.test ok - 1 0 1" "$(find ad DAVE@Partner.test)"
same "the first address, whose certificate it is not" "first@partner.test none - 0 0 1" "$(find ad first@partner.test)"

# --- fakes
# fake NAME HOW FILES…: sets $uri
fake() {
	fake_name=$1
	shift
	fake_port=$(free_port)
	process_up "$W/fake" "$fake_name" perl "$SEALGATE_SRC/tests/mta/fakeldap" "$fake_port" "$@" && wait_port "$fake_port" || exit 1
	uri="\"ldap://127.0.0.1:$fake_port\""
}
fake wrong wrong "$W/pki/carol.der"
conf wrong "$uri"
same "the entry of somebody else with a certificate that would do" "carol@partner.test none - 0 0 1" "$(find wrong carol@partner.test)"
check "is said" grep -q "the directory's entry is that of u1@here.test" "$W/found"
check "and logged" logged event=directory-wrong-entry
conf unchecked "$uri" 'check_entry = false;'
same "is used when told to" "carol@partner.test ok - 1 0 1" "$(find unchecked carol@partner.test)"
conf pinned "$uri" 'tier = "pinned";'
same "a wrong entry pins nobody" "carol@partner.test none - 0 0 1" "$(find pinned carol@partner.test)"
fake certranges certranges "$W/pki/u1.der" "$W/pki/u1-2.der" "$W/pki/u1-3.der"
conf ranges "$uri"
same "certificates in ranges" "u1@here.test ok - 3 0 3" "$(find ranges u1@here.test)"
fake certsame certsame "$W/pki/u1.der"
conf same "$uri"
same "ranges without end" "u1@here.test temp dir-answer 0 0 0" "$(find same u1@here.test)"
# Nor are they read for longer than the time limit, though each comes in time; some of the certificates are no answer.
export FAKELDAP_DELAY=0.4
fake slowranges certranges "$W/pki/u1.der" "$W/pki/u1-2.der" "$W/pki/u1-3.der" \
	"$W/pki/u1.der" "$W/pki/u1-2.der" "$W/pki/u1-3.der"
conf slowranges "$uri"
same "ranges that take too long together" "u1@here.test temp dir-timeout 0 0 0" "$(find slowranges u1@here.test)"
fake slowsame certsame "$W/pki/u1.der"
conf slowsame "$uri"
same "ranges without end that take their time" "u1@here.test temp dir-timeout 0 0 0" "$(find slowsame u1@here.test)"
unset FAKELDAP_DELAY
fake flood flood
conf flood "$uri"
same "entries without end" "u1@here.test temp dir-answer 0 0 0" "$(find flood u1@here.test)"
check "are the server's fault, which answers" not logged event=directory-down
fake cut cut
conf cut "$uri"
find cut u1@here.test >"$W/cut.out"
check "what is no certificate directory at all is no trouble" grep -q "none -" "$W/cut.out"

# --- a server that is not there: left alone, tried with one question, and back
conf breaker "\"$near\"" '' 'error_count = 2;'
mkfifo "$W/ask"
"$tool" "$W/c-breaker" "$W/pki/ca.pem" <"$W/ask" >"$W/answers" 2>"$W/breaker.log" &
echo $! >"$W/tool.pid"
servers_remember stop_pid "$W/tool.pid"
exec 9>"$W/ask"
asked=0
# ask ADDRESS…: the last answer for the first
ask() {
	asked=$((asked + 1))
	echo "$*" >&9
	wait_for 30 sh -c "[ \$(grep -c '^done' '$W/answers') -ge $asked ]" || echo "no answer"
	grep "^$1 " "$W/answers" | tail -n 1
}
# events NAME: how many of them
events() {
	grep -c "event=$1 " "$W/breaker.log"
}
same "closed" "dave@partner.test ok - 1 0 1" "$(ask dave@partner.test)"
slapd_down "$W/near"
asked=1
ask dave@partner.test >"$W/one"
asked=2
same "open" "1 0 0" "$(events directory-down) $(events directory-probe) $(events directory-up)"
ask dave@partner.test a@partner.test b@partner.test c@partner.test >"$W/one"
asked=3
same "left alone: nobody tries" "1 0 0" "$(events directory-down) $(events directory-probe) $(events directory-up)"
sleep 0.4
ask dave@partner.test >"$W/one"
asked=4
same "half open: one tries" "1 1 0" "$(events directory-down) $(events directory-probe) $(events directory-up)"
slapd_start "$W/near"
sleep 0.4
same "back" "dave@partner.test ok - 1 0 1" "$(ask dave@partner.test)"
asked=5
same "closed again, and the log says so" "1 2 1" "$(events directory-down) $(events directory-probe) $(events directory-up)"
check "with what was refused meanwhile" grep -q 'event=directory-up .*refused=4' "$W/breaker.log"
exec 9>&-

# --- what it said last
conf stale "\"$near\"" 'stale = "1h";'
conf fresh "\"$near\"" ''
for how in stale fresh; do
	mkfifo "$W/ask.$how"
	"$tool" "$W/c-$how" "$W/pki/ca.pem" <"$W/ask.$how" >"$W/answers.$how" 2>"$W/$how.log" &
	echo $! >"$W/$how.pid"
	servers_remember stop_pid "$W/$how.pid"
done
exec 7>"$W/ask.stale" 8>"$W/ask.fresh"
echo dave@partner.test nobody@partner.test >&7
echo dave@partner.test nobody@partner.test >&8
wait_for 10 sh -c "[ \$(grep -c ^done '$W/answers.stale') = 1 ] && [ \$(grep -c ^done '$W/answers.fresh') = 1 ]"
slapd_down "$W/near"
echo dave@partner.test nobody@partner.test >&7
echo dave@partner.test nobody@partner.test >&8
wait_for 10 sh -c "[ \$(grep -c ^done '$W/answers.stale') = 2 ] && [ \$(grep -c ^done '$W/answers.fresh') = 2 ]"
same "its last answer is used" "dave@partner.test ok - 1 0 1" "$(grep ^dave "$W/answers.stale" | tail -n 1)"
check "and marked" grep -q '^- stale' "$W/answers.stale"
check "and logged" grep -q 'event=directory-stale .*asked=dave@partner.test' "$W/stale.log"
same "that it had none is not used" "nobody@partner.test temp dir-unavailable 0 0 0" "$(grep ^nobody "$W/answers.stale" | tail -n 1)"
same "nothing is without being told to" "dave@partner.test temp dir-unavailable 0 0 0" "$(grep ^dave "$W/answers.fresh" | tail -n 1)"
# The person goes; then the directory: what it said before that is forgotten.
sed '/^dn: cn=dave/,/^$/d; /^dn: cn=link/,/^$/d' "$W/near.ldif" >"$W/without.ldif"
rm -rf "$W/near/db" && mkdir "$W/near/db" && slapadd -q -f "$W/near/slapd.conf" -l "$W/without.ldif" >>"$W/checks.log" 2>&1
slapd_start "$W/near"
sleep 0.4
echo dave@partner.test >&7
wait_for 10 sh -c "[ \$(grep -c ^done '$W/answers.stale') = 3 ]"
same "gone is gone" "dave@partner.test none - 0 0 0" "$(grep ^dave "$W/answers.stale" | tail -n 1)"
slapd_down "$W/near"
echo dave@partner.test >&7
wait_for 10 sh -c "[ \$(grep -c ^done '$W/answers.stale') = 4 ]"
same "and stays so" "dave@partner.test temp dir-unavailable 0 0 0" "$(grep ^dave "$W/answers.stale" | tail -n 1)"
exec 7>&- 8>&-

# --- our certificate for TLS: the server wants one, and takes the name in it
pki_server "$W/pki" "$W/strict/tls" || exit 1
pki_key "$W/client.key" && pki_issue "$W/pki" "$W/client.key" "$W/client.pem" /CN=sealgate "extendedKeyUsage=clientAuth
keyUsage=critical,digitalSignature" || exit 1
{
	ldif_suffix "$suffix"
	ldif_person "cn=dave,$suffix" dave@partner.test userSMIMECertificate "$W/pki/dave.p7"
} >"$W/strict.ldif"
printf 'access to * by dn="cn=sealgate" read by * none\n' >"$W/strict/extra.conf"
SLAPD_GLOBAL='TLSVerifyClient try' slapd_up "$W/strict" "$suffix" "$W/strict.ldif" || exit 1
ours="ca_file = \"$W/pki/ca.pem\"; cert_file = \"$W/client.pem\"; key_file = \"$W/client.key\";"
conf tls "\"$(cat "$W/strict/ldaps_uri")\"" "$ours bind = \"external\";"
same "SASL EXTERNAL by our certificate, LDAPS" "dave@partner.test ok - 1 0 1" "$(find tls dave@partner.test)"
conf starttls "\"$(cat "$W/strict/uri")\"" "$ours bind = \"external\"; starttls = true;"
same "and STARTTLS" "dave@partner.test ok - 1 0 1" "$(find starttls dave@partner.test)"
conf notls "\"$(cat "$W/strict/ldaps_uri")\"" "ca_file = \"$W/pki/ca.pem\"; bind = \"external\";"
same "without it there is no name" "dave@partner.test temp dir-answer 0 0 0" "$(find notls dave@partner.test)"
conf half "\"$(cat "$W/strict/ldaps_uri")\"" "cert_file = \"$W/client.pem\";"
check "a certificate without its key is refused" [ "$("$SEALGATE_BUILD/sealgate" -c "$W/c-half" check 2>&1 | grep -c 'cert_file.*go together')" = 1 ]

# --- check asks them
"$SEALGATE_BUILD/sealgate" -c "$W/c-two" check --directories >"$W/checked" 2>>"$W/checks.log"
same "check: a server that is down" 75 $?
check "check says why" grep -q "^partner $near: fails: .*contact" "$W/checked"
"$SEALGATE_BUILD/sealgate" -c "$W/c-ad" check --directories --json >"$W/checked" 2>>"$W/checks.log"
same "check: a server that answers" 0 $?
check "check says so" grep -q '"v":1,"servers":\[{"directory":"partner","uri":"ldap://[^"]*","answers":true,"ms":[0-9]*}\]' "$W/checked"

# --- the manual's examples
mkdir "$W/examples"
perl -ne 'if (/^\.Bd/) { $in = 1; $text = "" } elsif (/^\.Ed/) { $in = 0; if ($text =~ /^directories/) { $n++; open my $f, ">", "$dir[0]/$n.conf" or die; print $f $text } }
	elsif ($in) { s/\\\(dq/"/g; $text .= $_ } BEGIN { @dir = pop @ARGV }' "$SEALGATE_SRC/doc/sealgate.conf.5" "$W/examples"
for name in ldap.password ad.password ldap-ca.pem corp-ca.pem; do
	echo secret >"$W/examples/$name"
done
for n in 1 2 3; do
	check "example $n of the manual" sh -c "echo 'organisation = { domains = \"us.test\"; };' >>'$W/examples/$n.conf' && '$SEALGATE_BUILD/sealgate' -c '$W/examples/$n.conf' check"
done
finish
