# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Bouncy Castle as a peer: the commands are collected and go to one Java machine (../Peer.java).

bc_up() {
	bc_jars=
	local jar
	command -v java >/dev/null || return 1
	for jar in bcmail bcpkix bcprov bcutil javax.mail javax.activation; do
		[ -f "/usr/share/java/$jar.jar" ] || return 1
		bc_jars=$bc_jars:/usr/share/java/$jar.jar
	done
	readlink -f /usr/share/java/bcprov.jar | sed 's/.*-//; s/\.jar$//'
}

bc_run() {
	java -Xshare:auto -XX:TieredStopAtLevel=1 -cp "$bc_jars" "$srcdir/tests/interop/Peer.java" people "$1"
}
