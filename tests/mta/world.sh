# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# To be read with ".": a gateway as "sealgate init" makes it, a partner with a real slapd, and what tests ask of messages.
# Staff: alice@local.test and bob@local.test; role key office@local.test. Partner: carol@partner.test, in slapd.
SEALGATE_SRC=${SEALGATE_SRC:-$(cd "$(dirname "$0")/../.." && pwd)}
SEALGATE_BUILD=${SEALGATE_BUILD:-$SEALGATE_SRC/b}
PKI_MADE=$SEALGATE_BUILD
. "$SEALGATE_SRC/tests/lib/servers.sh"
bad=0

skip() {
	echo "skipped: $*"
	exit 77
}

# check NAME COMMAND…: the command succeeds
check() {
	check_name=$1
	shift
	if "$@" >>"$W/checks.log" 2>&1; then
		echo "ok: $check_name"
	else
		echo "FAILED: $check_name"
		bad=1
	fi
}

not() {
	! "$@"
}

# same NAME WANT GOT
same() {
	if [ "$2" = "$3" ]; then
		echo "ok: $1"
	else
		echo "FAILED: $1: got \"$3\", want \"$2\""
		bad=1
	fi
}

finish() {
	if [ $bad != 0 ]; then
		for finish_log in checks.log run/vault.log run/milter.log postfix/maillog sendmail/sendmail.log; do
			[ ! -s "$W/$finish_log" ] || { echo "--- $finish_log"; tail -n 40 "$W/$finish_log"; }
		done
	fi
	exit $bad
}

gate() {
	"$SEALGATE_BUILD/sealgate" -c "$conf" "$@"
}

# is_ready NAME EVENT: the log has one more EVENT than when the program was started
is_ready() {
	[ "$(grep -c "event=$2" "$W/run/$1.log")" -gt "$ready_before" ]
}

# daemon_up NAME EVENT: starts sealgate-NAME and waits for EVENT
daemon_up() {
	ready_before=$(grep -c "event=$2" "$W/run/$1.log" 2>/dev/null)
	ready_before=${ready_before:-0}
	process_up "$W/run" "$1" "$SEALGATE_BUILD/sealgate-$1" -c "$conf" -f
	wait_for 10 is_ready "$1" "$2" || { servers_fail "sealgate-$1 does not start"; tail "$W/run/$1.log" >&2; return 1; }
}

vault_up() {
	daemon_up vault vault-ready
}

milter_up() {
	daemon_up milter ready
}

# world [LINES]: everything but an MTA. $WORLD_EDIT, a sed script, changes what init wrote; LINES are added.
# $WORLD_SLAPD: more lines for its database in slapd.conf; $WORLD_TIMEOUT: the time limit for it.
world() {
	for world_program in sealgate sealgate-vault sealgate-milter; do
		[ -x "$SEALGATE_BUILD/$world_program" ] || skip "$world_program is not built"
	done
	for world_need in slapd openssl perl; do
		command -v "$world_need" >/dev/null || skip "$world_need is not installed"
	done
	[ "$(id -u)" = 0 ] || skip "needs root"
	servers_begin || exit 1
	W=$SERVERS
	conf=$W/sealgate/sealgate.conf
	: >"$W/checks.log"
	pki_ca "$W/partner" Partner && pki_person "$W/partner" carol carol@partner.test || exit 1
	{
		ldif_suffix dc=partner,dc=test
		ldif_person "cn=Carol,dc=partner,dc=test" carol@partner.test \
			'userCertificate;binary' "$W/partner/carol.der" userSMIMECertificate "$W/partner/carol.p7"
	} >"$W/partner/carol.ldif"
	mkdir -p "$W/slapd"
	[ -z "${WORLD_SLAPD:-}" ] || printf '%s\n' "$WORLD_SLAPD" >"$W/slapd/extra.conf"
	slapd_up "$W/slapd" dc=partner,dc=test "$W/partner/carol.ldif" || exit 1
	SEALGATE_BUILD=$SEALGATE_BUILD "$SERVERS_LIB/made-gate" gate "$W/sealgate" local.test alice bob >"$W/init.log" 2>&1 ||
		{ cat "$W/init.log"; exit 1; }
	[ -z "${WORLD_EDIT:-}" ] || sed -i "$WORLD_EDIT" "$conf"
	cat >>"$conf" <<-E
	directories = ( {
	  name = "partner"; uri = "$(cat "$W/slapd/uri")"; base = "dc=partner,dc=test"; domains = "partner.test";
	  willing = true; timeout = "${WORLD_TIMEOUT:-1s}";
	} );
	lookup = { error_ttl = "300ms"; positive_ttl = "0"; negative_ttl = "0"; };
	rules = ( {
	  name = "confidential"; subject_mark = "[confidential]"; direction = "outbound";
	  encrypt = "required"; sign = "required"; message = "No certificate is known.";
	} );
	E
	[ -z "${1:-}" ] || printf '%s\n' "$1" >>"$conf"
	vault_up || exit 1
	gate key new office@local.test --kind role >>"$W/init.log" 2>&1 || { cat "$W/init.log"; exit 1; }
	gate cert add --anchor "$W/partner/ca.pem" --domain partner.test >>"$W/init.log" 2>&1 || { cat "$W/init.log"; exit 1; }
	gate key export --cert alice@local.test >"$W/alice.pem" || exit 1
	milter_up || exit 1
}

# letter FROM TO SUBJECT TEXT
letter() {
	printf 'From: <%s>\nTo: <%s>\nSubject: %s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n%s\n' "$1" "$2" "$3" "$4"
}

# sealed_for_alice SUBJECT TEXT: from Carol, signed and encrypted
sealed_for_alice() {
	printf 'Content-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n' "$2" >"$W/sealed.plain"
	openssl cms -sign -in "$W/sealed.plain" -signer "$W/partner/carol.pem" -inkey "$W/partner/carol.key" \
		-out "$W/sealed.signed" 2>>"$W/checks.log"
	{
		printf 'From: <carol@partner.test>\nTo: <alice@local.test>\nSubject: %s\n' "$1"
		openssl cms -encrypt -aes256 -in "$W/sealed.signed" "$W/alice.pem" 2>>"$W/checks.log"
	} | tr -d '\r'
}

# send PORT FROM TO FILE [OPTION…]: prints the last reply; its status
send() {
	send_port=$1 send_from=$2 send_to=$3 send_file=$4
	shift 4
	"$SERVERS_LIB/smtp-send" --server "127.0.0.1:$send_port" --from "$send_from" --to "$send_to" "$@" "$send_file"
}

has_file() {
	[ -n "$(ls "$1" 2>/dev/null)" ]
}

is_complete() {
	# smtp-sink ends each file with an empty line, virtual(8) renames a whole one into place.
	case "$1" in
	*/sink/*) [ "$(tail -c 2 "$1" | od -An -tx1 | tr -d ' ')" = 0a0a ] ;;
	esac
}

# take FOLDER FILE [SECONDS]: waits for a message in FOLDER and moves it to FILE
take() {
	: >"$2"
	wait_for "${3:-20}" has_file "$1" || { echo "nothing came to $1" >>"$W/checks.log"; return 1; }
	for take_file in "$1"/*; do
		wait_for 5 is_complete "$take_file"
		mv "$take_file" "$2"
		return
	done
}

# opens_for_carol FILE TEXT: Carol's key opens it, the signature inside is by SIGNER, TEXT is in it and cannot be seen before
opens_for_carol() {
	! grep -qF "$2" "$1" &&
		openssl cms -decrypt -in "$1" -recip "$W/partner/carol.pem" -inkey "$W/partner/carol.key" -out "$W/inner" &&
		signed_by "$W/inner" "$2" "$3"
}

# signed_by FILE TEXT ADDRESS: a good signature of ADDRESS over a text that has TEXT in it
signed_by() {
	rm -f "$W/signer.pem"
	openssl cms -verify -in "$1" -CAfile "$W/sealgate/ca.pem" -purpose any -certsout "$W/signer.pem" -out "$W/text" &&
		grep -qF "$2" "$W/text" && openssl x509 -in "$W/signer.pem" -noout -email | grep -qxF "$3"
}

# verified FILE: the Authentication-Results says so
verified() {
	tr -d '\r\n' <"$1" | grep -Eiq 'Authentication-Results:[^:]*smime=pass'
}
