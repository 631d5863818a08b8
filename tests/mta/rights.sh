#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Who may be signed for, as real servers say it: a login's addresses from slapd, and the certificate of an SMTP client
# by the macros of Postfix. A certificate that Postfix could not verify must name nobody.
. "$(dirname "$0")/world.sh"
for need in postfix smtp-sink saslpasswd2; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
world
suffix=dc=staff,dc=test
{
	ldif_suffix "$suffix"
	for person in "alice@local.test alice@local.test a.smith@local.test" "u2@local.test bob@local.test" "u3@local.test"; do
		# shellcheck disable=SC2086
		set -- $person
		printf 'dn: cn=%s,%s\nobjectClass: inetOrgPerson\ncn: %s\nsn: x\nuid: %s\n' "$1" "$suffix" "$1" "$1"
		shift
		for address; do printf 'mail: %s\n' "$address"; done
		echo
	done
} >"$W/staff.ldif"
slapd_up "$W/staff" "$suffix" "$W/staff.ldif" || exit 1
sed -i "/^rights = (/,/^);/d; /^rules = (/,/^);/d
	s|^directories = ( {|directories = (\n{ name = \"logins\"; uri = \"$(cat "$W/staff/uri")\"; base = \"$suffix\"; filter = \"(uid=%a)\";\n\ttimeout = \"1s\"; certificates = false; },\n{|" "$conf"
cat >>"$conf" <<'E2'
senders = { directory = "logins"; };
rights = ( { identity = "*"; from = "%a"; key = "own"; }, { connector = "hosted"; from = "@local.test"; } );
connectors = ( { name = "hosted"; certificate = "mail.hosted.test"; issuer = "Hosted CA"; headers = "X-Tenant-Id: 8c1f"; } );
rules = ( { name = "sign"; authorised = "yes"; direction = "outbound"; sign = "required"; } );
E2
gate key new a.smith@local.test >>"$W/init.log" 2>&1 || exit 1
process_down "$W/run" milter
milter_up || exit 1

# The sender's TLS: a CA that Postfix trusts, and one that it does not.
pki_ca "$W/hosted" Hosted && pki_ca "$W/stranger" Hosted && pki_key "$W/client.key" || exit 1
ext="extendedKeyUsage=clientAuth,serverAuth
keyUsage=critical,digitalSignature,keyEncipherment"
pki_issue "$W/hosted" "$W/client.key" "$W/client.pem" /CN=mail.hosted.test "$ext" || exit 1
pki_issue "$W/hosted" "$W/client.key" "$W/other.pem" /CN=mail.other.test "$ext" || exit 1
pki_issue "$W/stranger" "$W/client.key" "$W/forged.pem" /CN=mail.hosted.test "$ext" || exit 1
chmod 644 "$W/client.key"
socket=unix:$W/sealgate/run/milter.sock
P=$W/postfix
postfix_up "$P" "mx_milters = $socket" "submission_milters = $socket" "smtpd_tls_security_level = may" \
	"smtpd_tls_cert_file = $W/client.pem" "smtpd_tls_key_file = $W/client.key" "smtpd_tls_ask_ccert = yes" \
	"smtpd_tls_CAfile = $W/hosted/ca.pem" || exit 1
for login in alice u2 u3; do
	postfix_user "$P" "$login@local.test" pw || exit 1
done
mx=$(cat "$P/mx") submission=$(cat "$P/submission")
sink=$P/sink

# --- addresses of a login
letter alice@local.test dave@elsewhere.test one "text one" >"$W/alice"
letter a.smith@local.test dave@elsewhere.test two "text two" >"$W/smith"
letter bob@local.test dave@elsewhere.test three "text three" >"$W/bob"
# as LOGIN FILE: its status, the message in got
as() {
	send "$submission" x@local.test dave@elsewhere.test "$2" --auth "$1@local.test:pw" >>"$W/checks.log"
	as_status=$?
	[ $as_status != 0 ] || take "$sink" "$W/got"
	return $as_status
}
is_signed() {
	grep -qi 'multipart/signed' "$W/got"
}
check "alice as alice" as alice "$W/alice"
check "alice as alice: signed" signed_by "$W/got" "text one" alice@local.test
check "alice as her other address" as alice "$W/smith"
check "bob's login is another" as u2 "$W/bob"
check "bob: signed" signed_by "$W/got" "text three" bob@local.test
check "bob as alice" as u2 "$W/alice"
check "bob as alice: not signed" not is_signed
check "a login without addresses" as u3 "$W/alice"
check "a login without addresses: not signed" not is_signed
slapd_down "$W/staff"
process_down "$W/run" milter
milter_up || exit 1
as alice "$W/alice"
same "slapd gone: deferred" 75 $?
check "slapd gone: nothing leaves" not has_file "$sink"
slapd_start "$W/staff"
sleep 0.4
check "slapd is back" as alice "$W/alice"
check "slapd is back: signed" signed_by "$W/got" "text one" alice@local.test

# --- the client's certificate
# tls CERTIFICATE|none FIELD: alice's mail with FIELD by STARTTLS; the message in got
tls() {
	tls_cert="-cert $W/$1 -key $W/client.key"
	[ "$1" != none ] || tls_cert=
	{
		printf 'EHLO client.test\r\nMAIL FROM:<alice@local.test>\r\nRCPT TO:<dave@elsewhere.test>\r\nDATA\r\n'
		printf 'From: alice@local.test\r\nTo: dave@elsewhere.test\r\nSubject: tls\r\n%s\r\nMIME-Version: 1.0\r\n\r\ntext four\r\n.\r\nQUIT\r\n' "$2"
	} >"$W/dialogue"
	# shellcheck disable=SC2086
	openssl s_client -connect "127.0.0.1:$mx" -starttls smtp -quiet -ign_eof $tls_cert <"$W/dialogue" >"$W/said" 2>>"$W/checks.log"
	cat "$W/said" >>"$W/checks.log"
	grep -q '^250 .*queued' "$W/said" && take "$sink" "$W/got"
}
check "hosted" tls client.pem "X-Tenant-Id: 8c1f"
check "hosted: signed" signed_by "$W/got" "text four" alice@local.test
check "another tenant" tls client.pem "X-Tenant-Id: 9999"
check "another tenant: not signed" not is_signed
check "another service" tls other.pem "X-Tenant-Id: 8c1f"
check "another service: not signed" not is_signed
check "a certificate that cannot be verified" tls forged.pem "X-Tenant-Id: 8c1f"
check "a certificate that cannot be verified: not signed" not is_signed
check "no certificate" tls none "X-Tenant-Id: 8c1f"
check "no certificate: not signed" not is_signed
finish
