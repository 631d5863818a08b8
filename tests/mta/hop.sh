#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The hop layout as contrib/postfix/hop has it, with a real Postfix: who gets what through aliases, catch-all, Bcc, a
# mailbox instance with aliases(5) and .forward, and what becomes of opened mail that is sent on or bounces.
. "$(dirname "$0")/world.sh"
for need in postfix smtp-sink saslpasswd2; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
WORLD_EDIT='/^services = (/,/^);/d; /^rights = (/,/^);/d'
world "$(sed '/^stamp = /d; s|unix:/run/sealgate/|unix:run/|' "$SEALGATE_SRC/contrib/postfix/hop/sealgate.conf")
"'rights = ( { identity = "*"; from = "%l"; key = "own"; } );'
gate key new gone@local.test >>"$W/init.log" 2>&1 || exit 1
gate key export --cert gone@local.test >"$W/gone.pem" || exit 1
run=$W/sealgate/run
# sockets: both services listen
sockets() {
	wait_for 10 test -S "$run/gate.sock" && wait_for 10 test -S "$run/hop.sock" || exit 1
}
sockets

P=$W/postfix B=$W/boxes
read -r hop reinject own <<-E
	$(free_port 3)
	E
# Here the address is enough to be let in at the ports for copies and for sealgate's own mail.
by_address() {
	sed "s/smtpd_sasl_auth_enable=yes/smtpd_sasl_auth_enable=no/; s/permit_sasl_authenticated/permit_mynetworks/"
}
# What contrib has, for this world's sockets and port.
localise() {
	sed "s|/run/sealgate/|$run/|g; s|127\.0\.0\.1:10026|127.0.0.1:$hop|g; s|\[127\.0\.0\.1\]:10026|[127.0.0.1]:$hop|g
		s|^127\.0\.0\.1:10028|127.0.0.1:$own|" "$SEALGATE_SRC/contrib/postfix/hop/$1" | by_address
}
mkdir -p "$P" "$B/forward"
{
	localise master.cf
	# The port for copies that goes with it.
	sed -n '/^127\.0\.0\.1:10027/,/^#/p' "$SEALGATE_SRC/contrib/postfix/master.cf" | grep -v '^#' |
		sed "s/:10027/:$reinject/" | by_address
} >"$P/master.more"
cat >"$P/aliases" <<-E
	team@local.test carol@partner.test
	all@local.test bob@local.test, carol@partner.test, dave@elsewhere.test
	@catchall.test alice@local.test
E
: >"$P/transport" && : >"$P/bcc"
for name in alice bob carol gone; do echo "$name@local.test $name@local.test/"; done >"$P/mailboxes"
# up: the front instance
up() {
	localise main.cf | sed -n 's/^\([a-z_]*\) = /\1=/p' |
		sed 's/^smtpd_milters=\(.*\)/&\nmx_milters=\1\nsubmission_milters=\1/; s/^content_filter=\(.*\)/&\nfront_filter=\1/' >"$W/hop.keys"
	set -- "virtual_alias_maps=texthash:$P/aliases" "virtual_alias_domains=catchall.test" \
		"transport_maps=texthash:$P/transport" "sender_bcc_maps=texthash:$P/bcc"
	while read -r up_pair; do
		set -- "$@" "$up_pair"
	done <"$W/hop.keys"
	postfix_up "$P" "$@" || exit 1
}
up
postfix_user "$P" alice@local.test pw && postfix_user "$P" bob@local.test pw || exit 1
mx=$(cat "$P/mx") submission=$(cat "$P/submission") sink=$P/sink

# as_alice TO[,TO…] FILE
as_alice() {
	as_alice_to=${1%%,*}
	as_alice_file=$2
	as_alice_more=$(echo "$1" | sed 's/^[^,]*//; s/,/ --to /g')
	# shellcheck disable=SC2086
	send "$submission" alice@local.test "$as_alice_to" "$as_alice_file" --auth alice@local.test:pw $as_alice_more
}

# hand_in FROM TO FILE: by sendmail(1), as a Sieve script does that redirects mail
hand_in() {
	/usr/sbin/sendmail -C "$P/etc" -i -f "$1" -- "$2" <"$3"
}

# idle: nothing is on its way any more
idle() {
	wait_for 15 postfix_is_idle "$P"
}

# gather NAME WHO: everything that came to the sink and to the mailboxes, as $W/got/ADDRESS (a second one: ADDRESS.2)
gather() {
	idle || echo "not idle" >>"$W/checks.log"
	rm -rf "$W/got" && mkdir "$W/got"
	for gather_file in "$sink"/* "$P"/mail/*/new/*; do
		[ -f "$gather_file" ] || continue
		wait_for 5 is_complete "$gather_file"
		case "$gather_file" in
		"$sink"/*) gather_name=$(sed -n 's/^X-Rcpt-Args: <\([^>]*\)>.*/\1/p' "$gather_file" | tr -d '\r\n') ;;
		*) gather_name=${gather_file#"$P/mail/"} gather_name=${gather_name%%/*} ;;
		esac
		[ ! -e "$W/got/$gather_name" ] || gather_name=$gather_name.2
		mv "$gather_file" "$W/got/$gather_name"
	done
	same "$1: who got it" "$2" "$(cd "$W/got" && echo *)"
	for gather_file in "$W"/got/*; do # a report that returns a message to its sender has it inside
		check "$1: no stamp for ${gather_file##*/}" sh -c '! sed "/^\r*\$/q" "$1" | grep -qi "^X-Sealgate-Stamp"' sh "$gather_file"
	done
}

# recipients_of FILE: how many may open it
recipients_of() {
	openssl cms -cmsout -print -in "$1" 2>/dev/null | grep -c 'd.ktri:\|d.kari:'
}

# --- an alias that leads outside: the recipient is known behind the queue, and so is who logged in
letter alice@local.test team@local.test offer "the price is 40,000" >"$W/offer"
check "alias: sent" as_alice team@local.test "$W/offer"
gather alias carol@partner.test
check "alias: encrypted for carol, signed by alice" opens_for_carol "$W/got/carol@partner.test" "the price is 40,000" alice@local.test

# --- an alias with somebody inside, somebody with a certificate, somebody without
letter alice@local.test all@local.test lunch "at noon, in room 7" >"$W/lunch"
check "mixed: sent" as_alice all@local.test "$W/lunch"
gather mixed "bob@local.test carol@partner.test dave@elsewhere.test"
check "mixed: bob's is signed" signed_by "$W/got/bob@local.test" "in room 7" alice@local.test
check "mixed: carol's is encrypted" opens_for_carol "$W/got/carol@partner.test" "in room 7" alice@local.test
same "mixed: for carol alone" 1 "$(recipients_of "$W/got/carol@partner.test")"
check "mixed: dave's is signed" signed_by "$W/got/dave@elsewhere.test" "in room 7" alice@local.test

# --- a rule that forbids plain text: who has no certificate gets nothing, the sender a report, the others theirs
letter alice@local.test all@local.test "[confidential] plan" "the secret plan" >"$W/plan"
check "forbidden: sent" as_alice all@local.test "$W/plan"
gather forbidden "alice@local.test bob@local.test carol@partner.test"
check "forbidden: carol's is encrypted" opens_for_carol "$W/got/carol@partner.test" "the secret plan" alice@local.test
check "forbidden: the report names dave" grep -q 'dave@elsewhere.test' "$W/got/alice@local.test"
check "forbidden: and says why" grep -q 'certificate' "$W/got/alice@local.test"

# --- a member who is named too gets it once
letter alice@local.test "all@local.test>, <carol@partner.test>, <bob@local.test" twice "only once" >"$W/twice"
check "named too: sent" as_alice all@local.test,carol@partner.test,bob@local.test "$W/twice"
gather "named too" "bob@local.test carol@partner.test dave@elsewhere.test"
check "named too: carol's is encrypted" opens_for_carol "$W/got/carol@partner.test" "only once" alice@local.test

# --- Bcc: nobody is named in another's
letter alice@local.test bob@local.test blind "between us" >"$W/blind"
check "Bcc: sent" as_alice bob@local.test,carol@partner.test "$W/blind"
gather Bcc "bob@local.test carol@partner.test"
check "Bcc: carol's is encrypted" opens_for_carol "$W/got/carol@partner.test" "between us" alice@local.test
check "Bcc: bob does not see carol" not grep -q carol "$W/got/bob@local.test"

# --- catch-all
sealed_for_alice sealed "only for alice" >"$W/sealed"
check "catch-all: sent" send "$mx" carol@partner.test whoever@catchall.test "$W/sealed"
gather catch-all alice@local.test
check "catch-all: opened for whom it ends at" grep -q "only for alice" "$W/got/alice@local.test"
check "catch-all: verified" verified "$W/got/alice@local.test"

# --- sendmail(1): a Sieve script redirects what was opened; the gate in front of the queue, sealgate behind it
sed '/^Return-Path:/d; /^X-Original-To:/d; /^Delivered-To:/d' "$W/got/alice@local.test" >"$W/redirected"
for who in eve@elsewhere.test carol@partner.test bob@local.test; do
	check "redirect to $who: handed in" hand_in carol@partner.test $who "$W/redirected"
done
gather redirect "bob@local.test carol@partner.test carol@partner.test.2"
check "redirect: bob's is readable" grep -q "only for alice" "$W/got/bob@local.test"
check "redirect: bob's is still marked" grep -q '^X-Sealgate-Opened: v=1' "$W/got/bob@local.test"
check "redirect: a report names eve" grep -q eve@elsewhere.test "$W/got/carol@partner.test" "$W/got/carol@partner.test.2"
check "redirect: one is encrypted anew" grep -q 'enveloped-data' "$W/got/carol@partner.test" "$W/got/carol@partner.test.2"
check "redirect: nothing is in the clear" not grep -q "only for alice" "$W/got/carol@partner.test" "$W/got/carol@partner.test.2"

# --- an automatic Bcc of the MTA: one copy, and not one more behind sealgate
echo "alice@local.test carol@local.test" >"$P/bcc"
postfix_set "$P"
check "automatic Bcc: sent" as_alice carol@partner.test "$W/offer"
gather "automatic Bcc" "carol@local.test carol@partner.test"
check "automatic Bcc: the copy is signed" signed_by "$W/got/carol@local.test" "the price is 40,000" alice@local.test
check "automatic Bcc: carol's is encrypted" opens_for_carol "$W/got/carol@partner.test" "the price is 40,000" alice@local.test
same "automatic Bcc: for carol alone" 1 "$(recipients_of "$W/got/carol@partner.test")"
: >"$P/bcc"
postfix_set "$P"

# --- who may be signed for
letter alice@local.test carol@partner.test forged "not by alice" >"$W/forged"
check "from outside: sent" send "$mx" alice@local.test bob@local.test "$W/forged"
check "another's address: sent" send "$submission" bob@local.test carol@partner.test "$W/forged" --auth bob@local.test:pw
gather forged "bob@local.test carol@partner.test"
check "from outside: not signed" not grep -qi 'pkcs7' "$W/got/bob@local.test"
check "another's address: not signed" not grep -qi 'pkcs7' "$W/got/carol@partner.test"
# A stamp that was got hold of, on the same message: from outside, from a colleague, by sendmail(1).
gate process --service gate --sender alice@local.test --user alice@local.test --rcpt bob@local.test \
	<"$W/lunch" 2>>"$W/checks.log" | tr -d '\r' >"$W/stolen"
check "a stamp to steal" grep -q '^X-Sealgate-Stamp: v=1' "$W/stolen"
check "stolen: sent" send "$mx" mallory@elsewhere.test bob@local.test "$W/stolen"
check "stolen: sent by a colleague" send "$submission" bob@local.test carol@partner.test "$W/stolen" --auth bob@local.test:pw
check "stolen: sent by sendmail(1)" hand_in alice@local.test dave@elsewhere.test "$W/stolen"
gather stolen "bob@local.test carol@partner.test dave@elsewhere.test"
check "stolen: not signed for, by sendmail(1)" not grep -qi 'pkcs7' "$W/got/dave@elsewhere.test"
check "stolen: not signed for" not grep -qi 'pkcs7' "$W/got/bob@local.test"
check "stolen: not signed for, by a colleague" not grep -qi 'pkcs7' "$W/got/carol@partner.test"

# --- long lines and 8-bit text: the stamp still fits behind the queue
{ letter alice@local.test carol@partner.test long "grüße"; head -c 3000 /dev/zero | tr '\0' x; echo; } >"$W/long"
check "long lines: sent" as_alice carol@partner.test "$W/long"
gather "long lines" carol@partner.test
check "long lines: encrypted and signed" opens_for_carol "$W/got/carol@partner.test" "xxxxxxxxxxxxxxxxxxxx" alice@local.test

# --- each part gone: nothing leaves, and it heals
in_queue() {
	postqueue -c "$P/etc" -p | grep -q carol@partner.test
}
# gone NAME: taken by the queue, and there it stays
gone() {
	check "$1: taken by the queue" as_alice team@local.test "$W/offer"
	wait_for 10 in_queue
	sleep 1
	check "$1: nothing leaves" not has_file "$sink"
}
# back NAME
back() {
	postqueue -c "$P/etc" -f
	take "$sink" "$W/one" 30
	check "$1: delivered when it is back, encrypted" opens_for_carol "$W/one" "the price is 40,000" alice@local.test
	idle
}
process_down "$W/run" vault
gone "vault stopped"
vault_up
back "vault stopped"
slapd_down "$W/slapd"
gone "slapd stopped"
slapd_start "$W/slapd"
sleep 0.4
back "slapd stopped"
process_down "$W/run" milter
reply=$(as_alice team@local.test "$W/offer")
same "milters stopped: nothing gets past the gate ($reply)" 75 $?
milter_up
sockets

# --- mailboxes in an instance of their own: aliases(5), .forward, unknown users
users_up sg-test-alice || exit 1
echo "local unix - n n - - local" >"$B/master.more"
echo "alice sg-test-alice" >"$B/aliases"
echo other.test >"$B/domains"
echo "bob@local.test smtp:[127.0.0.1]:$mx" >"$B/transport"
chmod 755 "$B" "$B/forward"
# shellcheck disable=SC2016
postfix_up "$B" mydestination=local.test "alias_maps=texthash:$B/aliases" 'local_recipient_maps=$alias_maps' \
	"forward_path=$B/forward/\$user" "relayhost=[127.0.0.1]:$mx" "transport_maps=texthash:$B/transport" \
	"mail_spool_directory=$B/mail/" || exit 1
printf '%s@local.test smtp:[127.0.0.1]:%s\n' alice "$(cat "$B/mx")" gone "$(cat "$B/mx")" >"$P/transport"
postfix_set "$P"

# forward TO: what the owner's .forward file says
forward() {
	echo "$1" >"$B/forward/sg-test-alice"
	chown sg-test-alice "$B/forward/sg-test-alice"
}
# handed_on NAME WHO: when nothing is on its way in either instance, WHO got something
handed_on() {
	for handed_round in 1 2; do
		idle && wait_for 15 postfix_is_idle "$B"
	done
	gather "$1" "$2"
	for handed_file in "$W"/got/*; do
		case "$handed_file" in
		*@local.test) ;;
		*) check "$1: not in the clear to ${handed_file##*/}" not grep -q "only for alice" "$handed_file" ;;
		esac
	done
}

forward carol@partner.test
check ".forward, certificate: sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
handed_on ".forward, certificate" carol@partner.test
openssl cms -decrypt -in "$W/got/carol@partner.test" -recip "$W/partner/carol.pem" -inkey "$W/partner/carol.key" \
	-out "$W/inner" 2>>"$W/checks.log"
check ".forward, certificate: encrypted anew" grep -q "only for alice" "$W/inner"
check ".forward, certificate: no mark" not grep -qi '^X-Sealgate-Opened' "$W/got/carol@partner.test"
forward eve@elsewhere.test
check ".forward, no certificate: sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
handed_on ".forward, no certificate" carol@partner.test
check ".forward, no certificate: a report" grep -q 'eve@elsewhere.test' "$W/got/carol@partner.test"
forward bob@local.test
check ".forward inside: sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
handed_on ".forward inside" bob@local.test
check ".forward inside: readable" grep -q "only for alice" "$W/got/bob@local.test"
check ".forward inside: still marked" grep -q '^X-Sealgate-Opened: v=1' "$W/got/bob@local.test"
echo "alice eve@elsewhere.test, carol@partner.test" >"$B/aliases"
postfix_set "$B"
check "aliases(5): sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
handed_on "aliases(5)" "carol@partner.test carol@partner.test.2"
# Mail that was never encrypted is forwarded as ever.
letter mallory@elsewhere.test alice@local.test hello "nothing secret" >"$W/hello"
check "plain mail: sent" send "$mx" mallory@elsewhere.test alice@local.test "$W/hello"
handed_on "plain mail" "carol@partner.test eve@elsewhere.test"
check "plain mail: forwarded" grep -q "nothing secret" "$W/got/eve@elsewhere.test"

# --- a bounce after opening has the header only
{
	printf 'From: <carol@partner.test>\nTo: <gone@local.test>\nSubject: for nobody\n'
	printf 'Content-Type: text/plain\r\n\r\nonly for alice\r\n' | openssl cms -encrypt -aes256 "$W/gone.pem"
} | tr -d '\r' >"$W/bouncing"
check "bounce: sent" send "$mx" carol@partner.test gone@local.test "$W/bouncing"
handed_on bounce carol@partner.test
check "bounce: it is one" grep -q 'multipart/report' "$W/got/carol@partner.test"
check "bounce: it was opened before" grep -q 'X-Sealgate-Opened' "$W/got/carol@partner.test"
check "bounce: with the header" grep -q 'for nobody' "$W/got/carol@partner.test"

# --- with a port for copies sealgate sees all recipients at once, and each still gets their own
echo "port = { address = \"inet:$reinject@127.0.0.1\"; own_address = \"inet:$own@127.0.0.1\"; };" >>"$conf"
process_down "$W/run" milter
milter_up
sockets
mv "$P/transport" "$P/transport.boxes"
: >"$P/transport"
postfix_set "$P" sealgate_destination_recipient_limit=50
check "by copies: sent" as_alice all@local.test "$W/lunch"
gather "by copies" "bob@local.test carol@partner.test dave@elsewhere.test"
check "by copies: bob's is signed" signed_by "$W/got/bob@local.test" "in room 7" alice@local.test
check "by copies: carol's is encrypted" opens_for_carol "$W/got/carol@partner.test" "in room 7" alice@local.test
same "by copies: for carol alone" 1 "$(recipients_of "$W/got/carol@partner.test")"
check "by copies: dave's is signed" signed_by "$W/got/dave@elsewhere.test" "in room 7" alice@local.test
check "by copies, forbidden: sent" as_alice all@local.test "$W/plan"
gather "by copies, forbidden" "alice@local.test alice@local.test.2" # the MTA's report, and what sealgate says of it
check "by copies, forbidden: a report says why" grep -q 'certificate' "$W/got/alice@local.test"
# The sender's address is an alias, which the port for copies does not expand: the report comes all the same.
sed -i 's/message = "No certificate is known.";/& if_missing = "refuse-recipient";/; s/domains = ( "local.test" )/domains = ( "local.test", "catchall.test" )/' "$conf"
process_down "$W/run" milter
milter_up
sockets
check "by copies, from an alias: sent" send "$submission" office@catchall.test all@local.test "$W/plan" --auth alice@local.test:pw
gather "by copies, from an alias" "alice@local.test bob@local.test carol@partner.test"
check "by copies, from an alias: a report names dave" grep -q '^Final-Recipient: rfc822; dave@elsewhere.test' "$W/got/alice@local.test"
echo "alice eve@elsewhere.test, carol@partner.test" >"$B/aliases"
postfix_set "$B"
mv "$P/transport.boxes" "$P/transport"
postfix_set "$P"
check "by copies, aliases(5): sent" send "$mx" carol@partner.test alice@local.test "$W/sealed"
handed_on "by copies, aliases(5)" "carol@partner.test carol@partner.test.2"

check "the ledger verifies" gate audit verify
finish
