#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# With the real OpenDKIM: what leaves is DKIM-signed after sealgate was at it, the edited original and the copies alike, and verifies.
. "$(dirname "$0")/world.sh"
for need in postfix smtp-sink saslpasswd2 opendkim; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
WORLD_EDIT='/^rights = (/,/^);/d'
world 'rights = ( { identity = "*"; from = "%l"; key = "own"; } );'
process_down "$W/run" milter
P=$W/postfix
mkdir -p "$P" "$W/dkim"
postfix_ports "$P" || exit 1
cat >>"$conf" <<-E
	port = {
	  address = "inet:$(cat "$P/reinject")@127.0.0.1"; user = "gate@localhost"; password_file = "port.password";
	};
	E
milter_user=$(sed -n '/^milter = {/,/^}/s/.*user = "\([^"]*\)".*/\1/p' "$conf")
install -m 400 -o "$milter_user" "$P/port.password" "$W/sealgate/port.password"
milter_up || exit 1

# --- the signer, after sealgate on 587 and alone on the port for copies; a verifier on 25 that has the public key from a file

openssl genrsa -out "$W/dkim/key.pem" 2048 2>>"$W/checks.log"
printf 's1._domainkey.local.test v=DKIM1; k=rsa; p=%s\n' \
	"$(openssl rsa -in "$W/dkim/key.pem" -pubout 2>>"$W/checks.log" | grep -v -- '-----' | tr -d '\n')" >"$W/dkim/keys"
signer=$(free_port) verifier=$(free_port)
# opendkim_up NAME PORT LINES
opendkim_up() {
	{
		echo "Socket inet:$2@127.0.0.1"
		echo "Background no"
		echo "AutoRestart no"
		echo "Syslog no"
		echo "Canonicalization simple/simple"
		printf '%s\n' "$3"
	} >"$W/dkim/$1.conf"
	process_up "$W/dkim" "$1" opendkim -f -x "$W/dkim/$1.conf"
	wait_port "$2" || { cat "$W/dkim/$1.log"; skip "opendkim does not start"; }
}
opendkim_up signer "$signer" "Mode s
Domain local.test
Selector s1
KeyFile $W/dkim/key.pem
RequireSafeKeys no
InternalHosts 127.0.0.1"
printf '192.0.2.1\n' >"$W/dkim/nobody"
opendkim_up verifier "$verifier" "Mode v
TestPublicKeys $W/dkim/keys
InternalHosts $W/dkim/nobody
AuthservID verifier.test
AlwaysAddARHeader yes"

# Canonicalization "simple" forgives nothing: a byte that changes after the signer breaks it.
postfix_up "$P" "submission_milters = unix:$W/sealgate/run/milter.sock, inet:127.0.0.1:$signer" \
	"reinject_milters = inet:127.0.0.1:$signer" "mx_milters = inet:127.0.0.1:$verifier" || exit 1
postfix_user "$P" alice@local.test pw || exit 1
submission=$(cat "$P/submission") mx=$(cat "$P/mx") sink=$P/sink bob_box=$P/mail/bob@local.test/new

# dkim_passes FILE: as OpenDKIM says when it comes back in; without what Postfix and smtp-sink have put on top
dkim_passes() {
	sed '1,/^Received:/{/^X-/d}' "$1" | awk 'on { print; next } /^Received:|^X-/ { skipping = 1; next }
		/^[ \t]/ && skipping { next } { skipping = 0; on = 1; print }' >"$W/back"
	send "$mx" carol@partner.test bob@local.test "$W/back" || return 1
	take "$bob_box" "$W/verified" && cat "$W/verified" && tr -d '\r\n' <"$W/verified" | grep -q 'verifier.test;[^;]*dkim=pass'
}

# for_rcpt ADDRESS: the copy that it got
for_rcpt() {
	grep -l "^X-Rcpt-Args: <$1>" "$sink"/* | head -n 1
}

letter alice@local.test carol@partner.test offer "the price is 40,000" >"$W/one"
check "one recipient: accepted" send "$submission" alice@local.test carol@partner.test "$W/one" --auth alice@local.test:pw
take "$sink" "$W/got"
check "one recipient: encrypted for carol" opens_for_carol "$W/got" "the price is 40,000" alice@local.test
check "one recipient: DKIM verifies over the edited original" dkim_passes "$W/got"
sed 's/^\(MII.\)./\1!/' "$W/got" >"$W/broken"
check "one recipient: and one changed byte breaks it" not dkim_passes "$W/broken"

sed 's/^To:.*/To: <carol@partner.test>, <dave@elsewhere.test>/; s/40,000/41,000/' "$W/one" >"$W/two"
check "two recipients: accepted" send "$submission" alice@local.test carol@partner.test "$W/two" --auth alice@local.test:pw \
	--to dave@elsewhere.test
wait_for 20 postfix_is_idle "$P"
same "two recipients: two copies" 2 "$(ls "$sink" | grep -vc '^\.')"
for name in carol@partner.test dave@elsewhere.test; do
	cp "$(for_rcpt $name)" "$W/got" || continue
	[ $name = dave@elsewhere.test ] || check "$name: encrypted" opens_for_carol "$W/got" "the price is 41,000" alice@local.test
	[ $name = carol@partner.test ] || check "$name: signed" signed_by "$W/got" "the price is 41,000" alice@local.test
	check "$name: one DKIM-Signature" [ "$(grep -ci '^DKIM-Signature:' "$W/got")" = 1 ]
	check "$name: DKIM verifies over the copy" dkim_passes "$W/got"
done
finish
