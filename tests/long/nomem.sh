#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Memory is refused at one moment after the other: what goes through is sealed or opened, all else waits.
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/../flow/world.sh"
command -v cc >/dev/null || skip "no compiler"
nm "$builddir/sealgate" 2>/dev/null | grep -q __asan_init && skip "a sanitizer has its own malloc"
cc -O1 -shared -fPIC -o "$work/nomem.so" "$srcdir/tests/long/nomem.c" -ldl || fail "cc"
world
staff_cert alice
printf 'From: alice@%s\nTo: carol@%s\n\nthe secret text\n' "$org" "$partner" >"$work/seal.eml"
printf 'Content-Type: text/plain\n\nthe secret text\n' >"$work/in.txt"
openssl cms -sign -in "$work/in.txt" -signer "$work/carol.pem" -inkey "$work/carol.key" -out "$work/in.signed" 2>/dev/null
{
	printf 'From: carol@%s\nTo: alice@%s\nAuthentication-Results: %s; smime=pass (forged)\n' "$partner" "$org" "$org"
	openssl cms -encrypt -aes-256-cbc -in "$work/in.signed" "$work/alice.cert" 2>/dev/null
} >"$work/open.eml"

run() {
	LD_PRELOAD=$work/nomem.so timeout 30 "$builddir/sealgate" -c "$conf" process "$@" >"$work/out" 2>"$work/json"
	status=$?
}

# try MAIL MEMBER ARGUMENTS…: MEMBER has to be true in the JSON of whatever is accepted
try() {
	local mail=$1 member=$2 last at
	shift 2
	NOMEM_COUNT=$work/count run "$@" <"$work/$mail.eml"
	want "$mail: with memory" "$status" 0
	last=$(cat "$work/count")
	for ((at = last * 6 / 10; at < last; at += 25)); do
		NOMEM_AT=$at NOMEM_SPAN=25 run "$@" <"$work/$mail.eml"
		case $status in
		0) grep -q "\"$member\":true" "$work/json" || fail "$mail: refused at $at: $(tail -n 1 "$work/json")" ;;
		70 | 75 | 78) ;;
		*) fail "$mail: refused at $at: status $status" ;;
		esac
		[ $status != 0 ] || ! grep -q forged "$work/out" || fail "$mail: refused at $at: forged results stayed"
	done
}
try seal encrypted --sender "alice@$org" --user "alice@$org" --rcpt "carol@$partner"
try open opened --sender "carol@$partner" --rcpt "alice@$org"
finish
