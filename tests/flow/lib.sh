# SPDX-License-Identifier: BSD-2-Clause
# Sourced by the flow tests: a private folder, daemons started and stopped by pid, checks.
# A test ends with "finish"; its exit status is 0, 77 (skip) or 1.

srcdir=${SEALGATE_SRC:-${srcdir:-$(dirname "$0")/../..}}
srcdir=$(cd "$srcdir" && pwd)
builddir=${SEALGATE_BUILD:-$(pwd)}
work=$(mktemp -d "${TMPDIR:-/tmp}/sealgate-flow.XXXXXX")
chmod 755 "$work"
mkdir -m 750 "$work/run"
pids=
failures=0

cleanup() {
	for pid in $pids; do
		kill -9 "$pid" 2>/dev/null
	done
	{ wait; } 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

skip() {
	echo "skipped: $*"
	exit 77
}

fail() {
	echo "FAILED: $*"
	failures=$((failures + 1))
}

finish() {
	if [ "$failures" -gt 0 ]; then
		for log in "$work"/*.log; do
			[ -f "$log" ] && { echo "--- $log"; tail -n 30 "$log"; }
		done
		exit 1
	fi
	exit 0
}

# want WHAT GOT EXPECTED: the same text
want() {
	[ "$2" = "$3" ] || fail "$1: got \"$2\", want \"$3\""
}

# match WHAT TEXT PATTERN: TEXT has the extended regular expression PATTERN in it
match() {
	printf '%s\n' "$2" | grep -Eq -- "$3" || fail "$1: \"$2\" does not match \"$3\""
}

mismatch() {
	! printf '%s\n' "$2" | grep -Eq -- "$3" || fail "$1: \"$2\" matches \"$3\""
}

# at_most WHAT NUMBER LIMIT
at_most() {
	awk -v a="$2" -v b="$3" 'BEGIN { exit !(a + 0 <= b + 0) }' || fail "$1: $2 is more than $3"
}

# wait_for SECONDS COMMAND…: true as soon as the command is
wait_for() {
	local until=$(($(date +%s%N) + $1 * 1000000000))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ "$(date +%s%N)" -lt "$until" ] || return 1
		sleep 0.02
	done
}

# start NAME COMMAND…: in the background, its output in NAME.log, its pid in $pid
start() {
	local name=$1
	shift
	"$@" >>"$work/$name.log" 2>&1 &
	pid=$!
	pids="$pids $pid"
}

# stop PID [SIGNAL]: its exit status in $status, the milliseconds it took in $took
stop() {
	local begun
	begun=$(date +%s%N)
	kill "-${2:-TERM}" "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	status=$?
	took=$((($(date +%s%N) - begun) / 1000000))
	pids=$(echo " $pids " | sed "s/ $1 / /")
}

# field NAME: of the JSON line on standard input, a string or number
field() {
	sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}

# free_port: one that nobody listens on now, below the range that the kernel hands out itself
free_port() {
	local port
	while :; do
		port=$((10240 + $(od -An -N2 -tu2 /dev/urandom) % 20000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

drive() {
	"$builddir/mtadriver" "$@"
}

# made …: see tests/lib/made-gate
made() {
	SEALGATE_BUILD=$builddir "$srcdir/tests/lib/made-gate" "$@" >>"$work/made.log" 2>&1
}
