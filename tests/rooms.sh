#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The folder rule: a room includes only from the rooms below it, and each outside library has its rooms.
src=${SEALGATE_SRC:-$(dirname "$0")/..}
cd "$src" || exit 70
bad=0

# may ROOM ALLOWED…: every #include "x/y.h" in ROOM is from ALLOWED or ROOM itself
may() {
	room=$1
	shift
	allowed=$(echo "$room $*" | tr ' ' '|')
	found=$(grep -nE '^#[[:space:]]*include "' "$room"/*.c "$room"/*.h 2>/dev/null |
		grep -vE "include \"(($allowed)/[^/\"]+|config\.h)\"")
	[ -z "$found" ] && return
	echo "$room/ may include only from: $room $*"
	echo "$found"
	bad=1
}

# only PATTERN ALLOWED…: #include <PATTERN> stands in these files or rooms only
only() {
	pattern=$1
	shift
	allowed=$(echo "$*" | tr ' ' '|')
	found=$(grep -nE "^#[[:space:]]*include <$pattern" base/*.[ch] message/*.[ch] policy/*.[ch] crypto/*.[ch] \
		directory/*.[ch] keystore/*.[ch] milter/*.[ch] cli/*.[ch] 2>/dev/null | grep -vE "^($allowed)")
	[ -z "$found" ] && return
	echo "<$pattern> may be included only in: $*"
	echo "$found"
	bad=1
}

may base
may message base
may policy message base
may crypto message base
may directory crypto message base
may keystore crypto message base
may milter keystore directory crypto policy message base
may cli milter keystore directory crypto policy message base
# message/spool.c encrypts its file; its key never leaves it.
only openssl/ crypto/ keystore/ message/spool.c
only openssl/ssl.h crypto/tls.c
only ldap.h directory/
only curl/ directory/fetch_http.c
only libconfig.h base/
only libmilter/ milter/
only sqlite3.h directory/certstore keystore/store milter/journal milter/notice_store milter/replies
only idn2.h message/addr.c
only zip.h cli/zip_read.c
exit $bad
