#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# sealgate behind a real Postfix, in both layouts, with a real slapd; what a failure of each part does to mail.
. "$(dirname "$0")/world.sh"
for need in postfix smtp-sink saslpasswd2; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
WORLD_EDIT='/^rights = (/,/^);/d'
world 'rights = (
  { identity = "*"; from = "%l"; key = "own"; },
  { networks = "127.0.0.1"; from = "office@local.test"; key = "office@local.test"; }
);'
socket=unix:$W/sealgate/run/milter.sock
P=$W/postfix
postfix_up "$P" "mx_milters = $socket" "submission_milters = $socket" || exit 1
postfix_user "$P" alice@local.test pw || exit 1
mx=$(cat "$P/mx") submission=$(cat "$P/submission")
sink=$P/sink alice_box=$P/mail/alice@local.test/new bob_box=$P/mail/bob@local.test/new
as_alice="--auth alice@local.test:pw"

# --- direct layout
letter alice@local.test carol@partner.test offer "the price is 40,000" >"$W/offer"
letter alice@local.test bob@local.test lunch "at noon" >"$W/lunch"
# shellcheck disable=SC2086
{
	check "direct: alice to carol" send "$submission" alice@local.test carol@partner.test "$W/offer" $as_alice
	take "$sink" "$W/got"
	check "direct: encrypted for carol, signed by alice" opens_for_carol "$W/got" "the price is 40,000" alice@local.test
	check "direct: alice to bob" send "$submission" alice@local.test bob@local.test "$W/lunch" $as_alice
	take "$bob_box" "$W/got"
	check "direct: signed and readable" signed_by "$W/got" "at noon" alice@local.test
	check "direct: the text is in the clear" grep -q "at noon" "$W/got"
}
sealed_for_alice "sealed" "only for alice" >"$W/sealed"
check "direct: carol to alice" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$alice_box" "$W/got"
check "direct: opened" grep -q "only for alice" "$W/got"
check "direct: verified" verified "$W/got"
check "direct: the same ciphertext to bob" send "$mx" mallory@elsewhere.test bob@local.test "$W/sealed"
take "$bob_box" "$W/got"
check "direct: not opened for bob" not grep -q "only for alice" "$W/got"
check "direct: but delivered" grep -q "enveloped-data" "$W/got"
letter alice@local.test dave@elsewhere.test "[confidential] offer" "the price is 40,000" >"$W/confidential"
# shellcheck disable=SC2086
reply=$(send "$submission" alice@local.test dave@elsewhere.test "$W/confidential" $as_alice)
same "direct: must be encrypted, and cannot be" 65 $?
check "direct: the reply says why" sh -c 'echo "$1" | grep -q "^550 5.7.1 .*certificate"' sh "$reply"
check "direct: nothing left" not has_file "$sink"

# A second service that nobody signs for: port 25 without a login.
letter alice@local.test dave@elsewhere.test "no login" "plain" >"$W/plain"
letter mailer-daemon@elsewhere.test dave@elsewhere.test report "it did not arrive" >"$W/report"
check "direct: the null sender, after one with an address" send "$mx" '' dave@elsewhere.test "$W/report"
take "$sink" "$W/got"
check "direct: the report" grep -q "it did not arrive" "$W/got"
check "direct: without a login" send "$mx" alice@local.test dave@elsewhere.test "$W/plain"
take "$sink" "$W/got"
check "direct: nothing is signed without a login" not grep -qi "multipart/signed\|pkcs7" "$W/got"

# --- each part gone: the mail waits with the sender, nothing leaves, and it heals
# gone NAME PORT FROM TO FILE: refused for the moment, and nothing came out
gone() {
	gone_name=$1
	shift
	gone_reply=$(send "$@")
	same "$gone_name: deferred ($gone_reply)" 75 $?
	check "$gone_name: nothing leaves" not has_file "$sink"
}

# back NAME: the same mail again, now accepted and encrypted
back() {
	# shellcheck disable=SC2086
	check "$1: back again" send "$submission" alice@local.test carol@partner.test "$W/offer" $as_alice
	take "$sink" "$W/got"
	check "$1: encrypted" opens_for_carol "$W/got" "the price is 40,000" alice@local.test
}

slapd_down "$W/slapd"
# shellcheck disable=SC2086
gone "slapd stopped" "$submission" alice@local.test carol@partner.test "$W/offer" $as_alice
slapd_start "$W/slapd"
sleep 0.4
back "slapd"
process_freeze "$(cat "$W/slapd/slapd.pid")"
# shellcheck disable=SC2086
gone "slapd hangs" "$submission" alice@local.test carol@partner.test "$W/offer" $as_alice
kill -CONT "$(cat "$W/slapd/slapd.pid")"
sleep 0.4
back "slapd after hanging"
process_down "$W/run" vault
# shellcheck disable=SC2086
gone "vault stopped" "$submission" alice@local.test carol@partner.test "$W/offer" $as_alice
check "vault stopped: mail that needs no key passes" send "$mx" x@elsewhere.test dave@elsewhere.test "$W/plain"
take "$sink" "$W/got"
vault_up
back "vault"
process_down "$W/run" milter
# shellcheck disable=SC2086
gone "milter stopped" "$submission" alice@local.test carol@partner.test "$W/offer" $as_alice
milter_up
back "milter"
kill -KILL "$(cat "$W/run/vault.pid")"
# shellcheck disable=SC2086
gone "vault killed" "$submission" alice@local.test carol@partner.test "$W/offer" $as_alice
vault_up
back "vault after kill -9"

# --- hop layout: the queue first, then sealgate; recipients are final there
echo "team@local.test bob@local.test" >"$P/aliases"
postfix_down "$P"
postfix_up "$P" "front_filter = hop:[127.0.0.1]:@hop@" "hop_milters = $socket" "virtual_alias_maps = texthash:$P/aliases" || exit 1
mx=$(cat "$P/mx") submission=$(cat "$P/submission")
check "hop: carol to alice" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$alice_box" "$W/got"
check "hop: opened" grep -q "only for alice" "$W/got"
check "hop: verified" verified "$W/got"
letter office@local.test carol@partner.test offer "from the office" >"$W/office"
# shellcheck disable=SC2086
check "hop: the office to carol" send "$submission" office@local.test carol@partner.test "$W/office" $as_alice
take "$sink" "$W/got"
check "hop: encrypted, signed with the role key" opens_for_carol "$W/got" "from the office" office@local.test
letter office@local.test team@local.test lunch "for the team" >"$W/team"
# shellcheck disable=SC2086
check "hop: the office to an alias" send "$submission" office@local.test team@local.test "$W/team" $as_alice
take "$bob_box" "$W/got"
check "hop: signed for whom the alias leads to" signed_by "$W/got" "for the team" office@local.test
sed 's/^From:.*/From: <office@local.test>/' "$W/confidential" >"$W/hopeless"
# The refusal comes after the queue, so the sender gets a report.
# shellcheck disable=SC2086
check "hop: must be encrypted, and cannot be: taken by the queue" \
	send "$submission" alice@local.test dave@elsewhere.test "$W/hopeless" $as_alice
take "$alice_box" "$W/got"
check "hop: a report with the reason" grep -q "certificate" "$W/got"
check "hop: nothing left" not has_file "$sink"
# With the milter gone the queue keeps the mail, and delivers it when it is back.
process_down "$W/run" milter
# shellcheck disable=SC2086
check "hop: taken without the milter" send "$submission" office@local.test carol@partner.test "$W/office" $as_alice
sleep 1
check "hop: but not delivered" not has_file "$sink"
milter_up
postqueue -c "$P/etc" -f
take "$sink" "$W/got" 30
check "hop: delivered when it is back, encrypted" opens_for_carol "$W/got" "from the office" office@local.test

check "the ledger verifies" gate audit verify
finish
