#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# kill -9 of milter, vault and fetcher at random moments of a real Postfix's traffic, mail that has to be encrypted: when the dust has
# settled every recipient has every message, nothing left in the clear, nothing came back, what was fetched is whole, and the
# ledger verifies. kill.sh [ROUNDS [SEED]]; the seed of a failure makes the same choices again, not the same moments.
. "$(dirname "$0")/world.sh"
for need in postfix smtp-sink saslpasswd2; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
[ -x "$SEALGATE_BUILD/tally" ] && [ -x "$SEALGATE_BUILD/webserver" ] || skip "not built"
rounds=${1:-25}
seed=${2:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
WORLD_EDIT='/^rights = (/,/^);/d; /^fetch = {/d'
world 'rights = ( { networks = "127.0.0.1"; from = "office@local.test"; key = "office@local.test"; } );'
run=$W/sealgate/run P=$W/postfix

# --- a list of the partner's on the web, long enough to be cut in the middle
mkdir -p "$W/www/file"
perl -e 'printf "R\t400101000000Z\t240101000000Z\t7F%030X\tunknown\t/CN=x%d\n", $_, $_ for 1 .. 20000' >"$W/partner/index"
printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s\ncrlnumber=%s\ndefault_md=sha256\ndefault_crl_days=7\n' \
	"$W/partner/index" "$W/partner/number" >"$W/partner/ca.conf"
echo 01 >"$W/partner/number"
openssl ca -config "$W/partner/ca.conf" -gencrl -keyfile "$W/partner/ca.key" -cert "$W/partner/ca.pem" -out "$W/partner/crl.pem" \
	2>>"$W/checks.log" && openssl crl -in "$W/partner/crl.pem" -outform DER -out "$W/www/partner.crl" || exit 1
process_up "$W/www" web "$SEALGATE_BUILD/webserver" "$W/www"
wait_for 10 test -s "$W/www/port" || exit 1
web=$(cat "$W/www/port")

# --- two recipients outside with certificates, so that each gets a copy, and one inside
pki_person "$W/partner" dora dora@partner.test || exit 1
gate cert add "$W/partner/dora.pem" >>"$W/init.log" 2>&1 || { cat "$W/init.log"; exit 1; }
sed -i 's/^rules = ( {/&\n  name = "sealed"; recipients = "@partner.test"; sign = "required"; encrypt = "required";\n}, {/' "$conf"
mkdir -p "$P"
postfix_ports "$P" || exit 1
cat >>"$conf" <<-E
	port = { address = "inet:$(cat "$P/reinject")@127.0.0.1"; user = "gate@localhost"; password_file = "$P/port.password"; };
	fetch = {
	  user = "root"; dir = "fetched"; socket = "run/fetch.sock"; allow_private = true; ports = ( "$web" ); retry = "1s"; retry_max = "1s";
	  refresh = "1s"; crl_urls = "http://127.0.0.1:$web/file/partner.crl";
	};
	E
fetcher_up() {
	daemon_up fetcher fetcher-ready
}
process_down "$W/run" milter
process_down "$W/run" vault
vault_up && milter_up && fetcher_up || exit 1
for name in alice bob office; do echo "$name@local.test $name@local.test/"; done >"$P/mailboxes"
postfix_up "$P" "front_filter=hop:[127.0.0.1]:@hop@" "hop_milters=unix:$run/milter.sock" || exit 1
mx=$(cat "$P/mx")

# random LIMIT: below it; the seed makes the same numbers again
random() {
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	random=$((seed / 65536 % $1))
}

# traffic NAME: numbered messages to three recipients until the file "enough" is there; how many is in NAME.sent
traffic() {
	traffic_n=0
	while [ ! -e "$W/enough" ]; do
		traffic_n=$((traffic_n + 1))
		letter office@local.test list@local.test "$1-$traffic_n" "the secret text" >"$W/letter.$1"
		send "$mx" office@local.test carol@partner.test "$W/letter.$1" --to dora@partner.test --to bob@local.test \
			>>"$W/send.log" || { echo "$1-$traffic_n" >>"$W/send.failed"; break; }
		echo "$1-$traffic_n" >>"$W/sent"
	done
	: >"$W/ended.$1"
}

echo "seed $seed"
: >"$W/send.failed" && : >"$W/sent"
for sender in a b; do
	traffic $sender &
done
for round in $(seq "$rounds"); do
	random 500
	sleep "0.$(printf %03d "$random")"
	random 4
	case $random in
	0) victims=vault ;;
	1) victims=milter ;;
	2) victims=fetcher ;;
	3) victims="milter vault" ;;
	esac
	for victim in $victims; do
		kill -KILL "$(cat "$W/run/$victim.pid")" && echo "$victim" >>"$W/killed"
	done
	random 200
	sleep "0.$(printf %03d "$random")"
	for victim in $victims; do
		"${victim}_up" || { echo "FAILED: round $round: $victim does not start again"; bad=1; }
	done
done
: >"$W/enough"
wait_for 20 test -e "$W/ended.a" && wait_for 20 test -e "$W/ended.b"
echo "$(wc -l <"$W/sent") messages, killed: $(sort "$W/killed" | uniq -c | tr -s ' \n' ' ')"
check "the MTA took everything" not test -s "$W/send.failed"

# What waits leaves now.
drained() {
	postqueue -c "$P/etc" -f
	postfix_is_idle "$P"
}
wait_for 90 drained
check "nothing waits any more" postfix_is_idle "$P"

# --- who has what: lines "NUMBER ADDRESS" of each copy
for file in "$P/sink"/*; do
	wait_for 5 is_complete "$file"
	number=$(sed -n 's/^Subject: //p' "$file" | tr -d '\r' | head -n 1)
	sed -n "s/^X-Rcpt-Args: <\([^>]*\)>.*/$number \1/p" "$file" | tr -d '\r'
done >"$W/came"
for file in "$P/mail/bob@local.test/new"/*; do
	sed -n 's/^Subject: \(.*\)/\1 bob@local.test/p;/^$/q' "$file" | tr -d '\r'
done >>"$W/came"
sort -u "$W/came" >"$W/came.once"
while read -r number; do
	printf '%s bob@local.test\n%s carol@partner.test\n%s dora@partner.test\n' "$number" "$number" "$number"
done <"$W/sent" | sort >"$W/due"
same "nobody misses anything" "" "$(comm -23 "$W/due" "$W/came.once" | head -n 5)"
same "nobody got anything else" "" "$(comm -13 "$W/due" "$W/came.once" | head -n 5)"
echo "$(($(wc -l <"$W/came") - $(wc -l <"$W/came.once"))) of $(wc -l <"$W/came") came twice"
"$SEALGATE_BUILD/tally" "$W/partner" "the secret text" "$P/sink"/* >"$W/tally"
same "all that left is encrypted for its reader, and signed" "" "$(grep -v ' own$' "$W/tally" | head -n 5)"
same "that is everything" "$(grep -c partner.test "$W/came")" "$(wc -l <"$W/tally")"
for file in "$P/mail/bob@local.test/new"/*; do
	signed_by "$file" "the secret text" office@local.test || echo "$file"
done >"$W/unsigned" 2>>"$W/checks.log"
same "bob's are signed" "" "$(grep -v ^CMS "$W/unsigned" | head -n 3)"
check "nothing came back to the sender" not has_file "$P/mail/office@local.test/new"

# --- what was fetched is whole, and still fetched
fetched_whole() {
	cmp "$W/www/partner.crl" "$W/sealgate/fetched/crl"/*.crl
}
check "the list is whole" wait_for 10 fetched_whole
same "and the only one" 1 "$(ls "$W/sealgate/fetched/crl" | wc -l)"
check "the fetcher answers" gate fetch status
# The vault's store and ledger, with everything under way settled.
check "the ledger verifies" gate audit verify
check "after one more start, too" sh -c 'kill "$(cat "$1")"' sh "$W/run/vault.pid"
wait_for 10 process_is_gone "$(cat "$W/run/vault.pid")"
vault_up
check "it still verifies" gate audit verify
sleep 0.6
check "every use was for a message that the MTA had" gate audit reconcile --log "$P/maillog"
finish
