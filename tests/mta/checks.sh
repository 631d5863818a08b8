# SPDX-License-Identifier: BSD-2-Clause
# Sourced by tests that say "ok" or "FAILED" for each case and go on; $bad is their exit status.
bad=0

# needs PROGRAM…: or the test is skipped
needs() {
	for need in "$@"; do
		command -v "$need" >/dev/null || { echo "skipped: $need is not installed"; exit 77; }
	done
}

# built PROGRAM
built() {
	[ -x "$1" ] || { echo "$1 is not built"; exit 1; }
}

# check NAME WANT GOT
check() {
	if [ "$2" = "$3" ]; then
		echo "ok: $1"
	else
		echo "FAILED: $1: got \"$3\", want \"$2\""
		bad=1
	fi
}
