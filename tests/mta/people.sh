#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# preferredLanguage from a real slapd: there, not there, nobody, too long, and a server that is gone.
SEALGATE_SRC=${SEALGATE_SRC:-$(cd "$(dirname "$0")/../.." && pwd)}
SEALGATE_BUILD=${SEALGATE_BUILD:-$SEALGATE_SRC/b}
PKI_MADE=$SEALGATE_BUILD
. "$SEALGATE_SRC/tests/lib/servers.sh"
. "$SEALGATE_SRC/tests/mta/checks.sh"
needs slapd slapadd
tool=$SEALGATE_BUILD/tests/mta/attributetool
built "$tool"
servers_begin || exit 1
W=$SERVERS
suffix=dc=people,dc=test

# person NAME [LANGUAGE]
person() {
	printf 'dn: cn=%s,%s\nobjectClass: inetOrgPerson\ncn: %s\nsn: %s\nmail: %s@here.test\n' "$1" "$suffix" "$1" "$1" "$1"
	[ $# -lt 2 ] || printf 'preferredLanguage: %s\n' "$2"
	echo
}

# ask ADDRESS
ask() {
	echo "$1" | "$tool" "$W/conf" people preferredLanguage 2>>"$W/log"
}

{
	printf 'dn: %s\nobjectClass: dcObject\nobjectClass: organization\ndc: people\no: people\n\n' "$suffix"
	person alice 'de-AT, en;q=0.5'
	person bob ja
	person carol
	person long "$(head -c 1500 /dev/zero | tr '\0' a)"
} >"$W/people.ldif"
slapd_up "$W/slapd" "$suffix" "$W/people.ldif" || exit 1
cat >"$W/conf" <<E
organisation = { domains = "here.test"; };
lookup = { error_ttl = "0"; };
directories = ( { name = "people"; uri = "$(cat "$W/slapd/uri")"; base = "$suffix"; timeout = "2s"; certificates = false; } );
E

check "a language" "alice@here.test ok de-AT, en;q=0.5" "$(ask alice@here.test)"
check "case of the address" "ALICE@here.test ok de-AT, en;q=0.5" "$(ask ALICE@here.test)"
check "another" "bob@here.test ok ja" "$(ask bob@here.test)"
check "none" "carol@here.test none " "$(ask carol@here.test)"
check "nobody" "dave@here.test none " "$(ask dave@here.test)"
check "no wildcard" "*@here.test none " "$(ask '*@here.test')"
check "no filter" "x)(mail=bob@here.test none " "$(ask 'x)(mail=bob@here.test')"
check "a value that is too long" "long@here.test temp " "$(ask long@here.test)"

# One process, over a restart of the server: the kept connection is replaced; a server that is gone is no "none".
mkfifo "$W/in"
"$tool" "$W/conf" people preferredLanguage <"$W/in" >"$W/out" 2>>"$W/log" &
exec 5>"$W/in"
echo alice@here.test >&5
wait_for 10 grep -q "^alice" "$W/out"
slapd_down "$W/slapd" && slapd_start "$W/slapd" || exit 1
echo bob@here.test >&5
wait_for 10 grep -q "^bob" "$W/out"
slapd_down "$W/slapd"
echo carol@here.test >&5
wait_for 10 grep -q "^carol" "$W/out"
exec 5>&-
wait
check "over a restart" "alice@here.test ok de-AT, en;q=0.5 bob@here.test ok ja carol@here.test temp" \
	"$(tr '\n' ' ' <"$W/out" | sed 's/ *$//')"

echo | "$tool" "$W/conf" nowhere preferredLanguage 2>"$W/err"
check "no such directory" 78 $?
grep -q "there is no directory called nowhere" "$W/err" || { echo "FAILED: $(cat "$W/err")"; bad=1; }
exit $bad
