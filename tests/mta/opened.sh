#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Opened mail in the direct layout: forwards that a directory knows, a mailbox instance with .forward, bounces.
. "$(dirname "$0")/world.sh"
for need in postfix smtp-sink ldapmodify; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
SLAPD_GLOBAL="include /etc/ldap/schema/misc.schema"
world 'forwarding = { directory = "partner"; };'
gate key new gone@local.test >>"$W/init.log" 2>&1 || exit 1
gate key export --cert gone@local.test >"$W/gone.pem" || exit 1
# The rule that leaves closed what will leave, before the shipped ones.
sed -i 's/^rules = ( {/&\n  name = "closed"; direction = "inbound"; open = "if-possible"; verify = "if-signed"; opened = "original";\n}, {/' "$conf"
process_down "$W/run" milter
milter_up || exit 1

P=$W/postfix B=$W/boxes
mkdir -p "$P" "$B/forward"
: >"$P/aliases" && : >"$P/transport"
for name in alice bob carol gone; do echo "$name@local.test $name@local.test/"; done >"$P/mailboxes"
socket=unix:$W/sealgate/run/milter.sock
postfix_up "$P" "mx_milters=$socket" "virtual_alias_maps=texthash:$P/aliases" "transport_maps=texthash:$P/transport" || exit 1
mx=$(cat "$P/mx") sink=$P/sink alice_box=$P/mail/alice@local.test/new

# forwarded NAME [ADDRESS…]: what LDAP says, and the MTA does
forwarded() {
	forwarded_name=$1
	shift
	{
		printf 'dn: cn=%s,dc=partner,dc=test\nchangetype: delete\n\n' "$forwarded_name"
	} | ldapmodify -c -x -H "$(cat "$W/slapd/uri")" -D cn=admin,dc=partner,dc=test -w secret >>"$W/checks.log" 2>&1
	{
		printf 'dn: cn=%s,dc=partner,dc=test\nchangetype: add\nobjectClass: inetOrgPerson\n' "$forwarded_name"
		printf 'objectClass: inetLocalMailRecipient\ncn: %s\nsn: x\nmail: %s@local.test\n' "$forwarded_name" "$forwarded_name"
		for forwarded_to in "$@"; do
			printf 'mailRoutingAddress: %s\n' "$forwarded_to"
		done
	} | ldapmodify -x -H "$(cat "$W/slapd/uri")" -D cn=admin,dc=partner,dc=test -w secret >>"$W/checks.log" 2>&1 ||
		echo "FAILED: ldapmodify for $forwarded_name"
	sed -i "/^$forwarded_name@/d" "$P/aliases"
	[ $# = 0 ] || echo "$forwarded_name@local.test $*" >>"$P/aliases"
	postfix_set "$P"
}

sealed_for_alice sealed "only for alice" >"$W/sealed"
forwarded alice
check "no forward: sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$alice_box" "$W/got"
check "no forward: opened" grep -q "only for alice" "$W/got"
forwarded alice eve@elsewhere.test
check "to the outside: sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$sink" "$W/got"
check "to the outside: eve got the original" grep -q 'enveloped-data' "$W/got"
check "to the outside: still closed" not grep -q "only for alice" "$W/got"
check "to the outside: the same ciphertext" sh -c 'tr -d "\r" <"$1" | grep -qxF "$(sed -n "/^$/{n;p;q}" "$2")"' sh "$W/got" "$W/sealed"
forwarded bob
forwarded alice bob@local.test
check "to the inside: sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$P/mail/bob@local.test/new" "$W/got"
check "to the inside: opened" grep -q "only for alice" "$W/got"
forwarded bob eve@elsewhere.test
check "over the inside to the outside: sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$sink" "$W/got"
check "over the inside to the outside: closed" not grep -q "only for alice" "$W/got"
slapd_down "$W/slapd"
reply=$(send "$mx" carol@partner.test alice@local.test "$W/sealed")
same "nobody knows: deferred ($reply)" 75 $?
check "nobody knows: nothing leaves" not has_file "$sink"
slapd_start "$W/slapd"
sleep 0.4
forwarded alice
check "known again: sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$alice_box" "$W/got"
check "known again: opened" grep -q "only for alice" "$W/got"

# --- a mailbox instance whose mail to the outside comes back to this port
users_up sg-test-alice || exit 1
echo "local unix - n n - - local" >"$B/master.more"
echo "alice sg-test-alice" >"$B/aliases"
echo other.test >"$B/domains"
chmod 755 "$B" "$B/forward"
# shellcheck disable=SC2016
postfix_up "$B" mydestination=local.test "alias_maps=texthash:$B/aliases" 'local_recipient_maps=$alias_maps' \
	"forward_path=$B/forward/\$user" "relayhost=[127.0.0.1]:$mx" || exit 1
printf '%s@local.test smtp:[127.0.0.1]:%s\n' alice "$(cat "$B/mx")" gone "$(cat "$B/mx")" >"$P/transport"
postfix_set "$P"
# forward TO: what the owner's .forward file says
forward() {
	echo "$1" >"$B/forward/sg-test-alice"
	chown sg-test-alice "$B/forward/sg-test-alice"
}
forward carol@partner.test
check ".forward, certificate: sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$sink" "$W/got"
check ".forward, certificate: closed" not grep -q "only for alice" "$W/got"
openssl cms -decrypt -in "$W/got" -recip "$W/partner/carol.pem" -inkey "$W/partner/carol.key" -out "$W/inner" 2>>"$W/checks.log"
check ".forward, certificate: encrypted anew" grep -q "only for alice" "$W/inner"
forward eve@elsewhere.test
check ".forward, no certificate: sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$sink" "$W/got"
check ".forward, no certificate: a report" grep -q 'eve@elsewhere.test' "$W/got"
check ".forward, no certificate: to carol" grep -q '^X-Rcpt-Args: <carol@partner.test>' "$W/got"
check ".forward, no certificate: without the text" not grep -q "only for alice" "$W/got"
check ".forward, no certificate: nothing else" not has_file "$sink"
# --- a bounce after opening
{
	printf 'From: <carol@partner.test>\nTo: <gone@local.test>\nSubject: for nobody\n'
	printf 'Content-Type: text/plain\r\n\r\nonly for alice\r\n' | openssl cms -encrypt -aes256 "$W/gone.pem"
} | tr -d '\r' >"$W/bouncing"
check "bounce: sent" send "$mx" carol@partner.test gone@local.test "$W/bouncing"
take "$sink" "$W/got"
check "bounce: it is one" grep -q 'multipart/report' "$W/got"
check "bounce: it was opened before" grep -q 'X-Sealgate-Opened' "$W/got"
check "bounce: with the header" grep -q 'for nobody' "$W/got"
check "bounce: without the text" not grep -q "only for alice" "$W/got"

check "the ledger verifies" gate audit verify
finish
