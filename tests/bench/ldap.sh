#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Look-ups in a real slapd against bare libldap: ldap_bench says how.
SEALGATE_SRC=${SEALGATE_SRC:-$(cd "$(dirname "$0")/../.." && pwd)}
bench=$PWD/tests/bench/ldap_bench
. "$SEALGATE_SRC/tests/lib/servers.sh"
for need in slapd slapadd; do
	command -v "$need" >/dev/null || { echo "ldap: $need is not installed, not measured"; exit 0; }
done
servers_begin || exit 1
suffix=dc=bench
people=4400
"$bench" ldif "$people" "$suffix" "$SERVERS/ca.der" >"$SERVERS/people.ldif" &&
	slapd_up "$SERVERS/slapd" "$suffix" "$SERVERS/people.ldif" || exit 1
cd "$SERVERS" && "$bench" run "$people" "$(cat slapd/uri)" "$suffix" ca.der
