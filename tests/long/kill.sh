#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# kill -9 of either daemon in traffic: nothing accepted in the clear, nothing answered with 5xx, and the ledger verifies.
. "$(dirname "$0")/../flow/lib.sh"
. "$(dirname "$0")/../flow/world.sh"
world
printf 'From: Alice <alice@%s>\nTo: carol@%s\nSubject: hello\nMessage-ID: <1@%s>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\nthe secret text\n' \
	"$org" "$partner" "$org" >"$work/out.eml"

traffic() {
	drive -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" -n 4 -m "$1" "$work/out.eml" >"$work/json"
}

# check WHAT: of the traffic that has ended
check() {
	want "$1: accepted in the clear" "$(field untouched <"$work/json")" 0
	want "$1: refused" "$(field refused <"$work/json")" 0
	want "$1: answers" "$(($(field ok <"$work/json") + $(field deferred <"$work/json")))" "$(field messages <"$work/json")"
	[ "$(field ok <"$work/json")" -gt 0 ] || fail "$1: nothing came through"
}

for round in 1 2; do
	traffic 150 &
	load=$!
	sleep "0.$((RANDOM % 400 + 100))"
	stop "$milter" KILL
	sleep 0.1
	milter_up
	wait $load
	check "milter killed"
	traffic 150 &
	load=$!
	sleep "0.$((RANDOM % 400 + 100))"
	stop "$vault" KILL
	sleep 0.1
	vault_up
	wait $load
	check "vault killed"
done
traffic 10
want "in the end: all accepted" "$(field ok <"$work/json")" 40
gate audit verify >"$work/audit" || fail "the ledger does not verify: $(cat "$work/audit")"
finish
