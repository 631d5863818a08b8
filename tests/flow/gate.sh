#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The gate's stamp from end to end: service "gate" where senders log in, service "hop" behind the queue, "mx" for
# mail from outside. What happens to the message between them is done here by hand.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice bob
want "the key is the milter's alone" "$(stat -c %a "$dir/stamp.key")" 400
sed -i "/^services = (/,/^);/c\\
services = (\\
	{ name = \"all\"; role = \"all\"; socket = \"unix:$dir/run/milter.sock\"; },\\
	{ name = \"gate\"; role = \"gate\"; socket = \"unix:$dir/run/gate.sock\"; },\\
	{ name = \"hop\"; role = \"all\"; stamps = \"check\"; socket = \"unix:$dir/run/hop.sock\"; }\\
);" "$conf"
sed -i "/^rights = (/,/^);/c\\
rights = (\\
	{ identity = \"*\"; from = \"%l\"; key = \"own\"; },\\
	{ services = \"gate\"; networks = \"192.0.2.0/24\"; from = \"bob@$org\"; key = \"robot@$org\"; }\\
);" "$conf"
gate check >/dev/null || fail "check"
vault_up
gate key new "robot@$org" --kind role >/dev/null || fail "key new robot"
partners carol

# run STATUS ARGUMENTS… < mail: the JSON in $json, the message in out.eml
run() {
	local expected=$1
	shift
	"$builddir/sealgate" -c "$conf" process "$@" >"$work/out.eml" 2>"$work/out.json"
	want "process $*" $? "$expected"
	json=$(tail -n 1 "$work/out.json")
}

# stamped OPTIONS… < mail: through the gate, into stamped.eml
stamped() {
	run 0 --service gate --rcpt "team@$org" "$@"
	cp "$work/out.eml" "$work/stamped.eml"
}

# hop RCPT < mail: behind the queue; the client is the queue, and nobody logs in
hop() {
	run "${2:-0}" --service hop --sender "alice@$org" --client 127.0.0.1 --rcpt "$1"
	grep -qi '^X-Sealgate-Stamp' "$work/out.eml" && fail "$1: a stamp leaves"
}

printf 'From: Alice <alice@%s>\nTo: team@%s\nSubject: hello\nMessage-ID: <1@%s>\n\nthe secret text\n' \
	"$org" "$org" "$org" >"$work/plain.eml"
sed 's/$/\r/' "$work/plain.eml" >"$work/plain.crlf"

# The gate adds its stamp and touches nothing else; it needs no vault.
stop "$vault"
stamped --sender "alice@$org" --user "alice@$org" <"$work/plain.eml"
want "one stamp" "$(grep -c '^X-Sealgate-Stamp: v=1' "$work/stamped.eml")" 1
sed -n '/^From:/,$p' "$work/stamped.eml" | cmp -s - "$work/plain.crlf" || fail "the gate changed the message"
said=$(gate explain --service gate --sender "alice@$org" --user "alice@$org" --rcpt "team@$org" <"$work/stamped.eml")
match "explain says what the gate does" "$said" "stamp      made, .*: login alice@$org, .*right yes"
match "explain says what it takes out" "$said" 'taken out  1 that came'
printf %s "$said" | grep -Eq 'rules, in order|kind ' && fail "explain speaks of what a gate does not look at"
match "explain says why there is no stamp" "$(gate explain --service gate --sender "alice@$org" --rcpt "team@$org" <"$work/plain.eml")" \
	'stamp      none: no login'
vault_up

# The hop signs with the key of who logged in, and encrypts for whom the alias leads to.
hop "carol@$partner" <"$work/stamped.eml"
match "good" "$json" '"signed":true,"encrypted":true'
openssl cms -decrypt -in "$work/out.eml" -recip "$work/carol.pem" -inkey "$work/carol.key" -out "$work/inner" \
	2>>"$work/openssl.log" || fail "openssl does not open it"
openssl cms -verify -in "$work/inner" -CAfile "$dir/ca.pem" -purpose any -out "$work/text" 2>>"$work/openssl.log" ||
	fail "the signature inside is not good"
grep -qi 'stamp' "$work/inner" && fail "the stamp was signed"
match "explain says where the login was seen" "$(gate explain --service hop --sender "alice@$org" --rcpt "carol@$partner" <"$work/stamped.eml")" \
	'stamped by service gate'
hop "bob@$org" <"$work/stamped.eml"
match "to a colleague" "$json" '"signed":true,"encrypted":false'
# What the MTA adds on the way does no harm.
{
	printf 'Received: from gate\r\n\tby queue\r\nDelivered-To: team@%s\r\n' "$org"
	sed "s/^To: .*/To: Team <team@$org>\r/; s/^Subject:/Date: Sat, 21 Nov 2026 22:14:03 +0000\r\nSubject:/" "$work/stamped.eml"
} >"$work/queued.eml"
hop "carol@$partner" <"$work/queued.eml"
match "queued" "$json" '"signed":true,"encrypted":true'

# The MTA has the stamp in its hands, and is told to take out each one, of whomever.
milter_up
{
	printf 'X-Sealgate-Stamp: v=1; nobody wrote this\r\n'
	cat "$work/stamped.eml"
} >"$work/two.eml"
for rcpt in "bob@$org" "carol@$partner"; do
	drive -q -S "unix:$dir/run/hop.sock" -f "<alice@$org>" -r "<$rcpt>" -o "$work/handed.eml" "$work/two.eml"
	want "handed on to $rcpt" $? 0
	grep -q '^Content-Type: .*pkcs7' "$work/handed.eml" || fail "handed on to $rcpt: not sealed"
	grep -qi '^X-Sealgate-Stamp' "$work/handed.eml" && fail "handed on to $rcpt: with a stamp"
done
drive -q -S "unix:$dir/run/gate.sock" -f "<alice@$org>" -u "alice@$org" -r "<bob@$org>" -o "$work/handed.eml" "$work/plain.eml"
want "through the gate" $? 0
wait_for 5 grep -q 'event=stamped rcpt=bob@' "$work/milter.log" || fail "the log does not say that the gate gave a stamp"
stop "$milter"

# Somebody's mark of opened mail gets no further than the gate.
run 0 --service gate --rcpt "bob@$org" --sender "alice@$org" --user "alice@$org" < <(sed '1s/^/X-Sealgate-Opened: example.org\n/' "$work/plain.eml")
grep -qi '^X-Sealgate-Opened' "$work/out.eml" && fail "the gate hands on a mark of opened mail"

# A stamp on another message: refused, where a rule wants to know who the sender is.
for change in 's/secret/stolen/' 's/^From: Alice/From: Boss/' 's/^From:.*/From: <bob@example.org>\r/' 's/^Subject:.*/Subject: pay\r/' \
	's/^Subject:/Sender: <bob@example.org>\r\nSubject:/' 's/^Subject:/Content-Type: text\/html\r\nSubject:/'; do
	sed "$change" "$work/stamped.eml" >"$work/changed.eml"
	cmp -s "$work/stamped.eml" "$work/changed.eml" && fail "$change: changes nothing"
	hop "carol@$partner" 65 <"$work/changed.eml"
	match "$change" "$json" '"reply":"550 5.7.1 .*changed since'
	want "$change: nothing leaves" "$(wc -c <"$work/out.eml")" 0
done
# Where no rule asks, the message goes its way without the stamp.
hop "bob@$org" <"$work/changed.eml"
match "inside" "$json" '"signed":false,"encrypted":false,"opened":false,"rule":"shipped-inbound"'

# Forged, damaged and unknown ones: never as if there had been none.
sed 's/^\tm=..../\tm=0000/' "$work/stamped.eml" >"$work/forged.eml"
sed 's/^X-Sealgate-Stamp: v=1; k=/X-Sealgate-Stamp: v=1;/' "$work/stamped.eml" >"$work/damaged.eml"
{ echo 'X-Sealgate-Stamp: v=1; nobody wrote this'; cat "$work/plain.eml"; } >"$work/invented.eml"
for what in forged damaged invented; do
	hop "carol@$partner" 65 <"$work/$what.eml"
	match "$what" "$json" '"reply":"550 5.7.1 .*changed since'
	want "$what: nothing leaves" "$(wc -c <"$work/out.eml")" 0
done
hop "bob@$org" <"$work/forged.eml"
cmp -s "$work/out.eml" "$work/plain.crlf" || fail "forged, inside: something besides the stamp changed"
sed 's/^X-Sealgate-Stamp: v=1; k=......../X-Sealgate-Stamp: v=1; k=00000000/' "$work/stamped.eml" >"$work/unknown.eml"
hop "carol@$partner" 75 <"$work/unknown.eml"
match "unknown key" "$json" '"reply":"451 4.7.0 '
# Without one: what carries no identity is not signed for.
hop "carol@$partner" <"$work/plain.eml"
cmp -s "$work/out.eml" "$work/plain.crlf" || fail "missing: the message was changed"

# From outside a stamp counts nothing, even a good one, and goes no further.
run 0 --service all --sender "alice@$org" --client 198.51.100.7 --rcpt "carol@$partner" <"$work/stamped.eml"
cmp -s "$work/out.eml" "$work/plain.crlf" || fail "from outside: not as without the stamp"
run 0 --service gate --sender "x@elsewhere.example" --client 198.51.100.7 --rcpt "bob@$org" <"$work/stamped.eml"
cmp -s "$work/out.eml" "$work/plain.crlf" || fail "a gate and no login: not as without the stamp"
# A gate takes away what was there and writes its own.
run 0 --service gate --sender "bob@$org" --user "bob@$org" --rcpt "carol@$partner" <"$work/stamped.eml"
want "stamped again" "$(grep -c '^X-Sealgate-Stamp' "$work/out.eml")" 1
cp "$work/out.eml" "$work/again.eml"
hop "carol@$partner" <"$work/again.eml"
match "bob may not sign as alice" "$json" '"signed":false,"encrypted":false'

# Where the service wants it, nobody uses an address of ours without a right to it.
sed 's/name = "gate"; role = "gate";/& unauthorised = "refuse";/' "$conf" >"$dir/strict.conf"
# strict STATUS ARGUMENTS… < mail
strict() {
	local expected=$1
	shift
	"$builddir/sealgate" -c "$dir/strict.conf" process --service gate --rcpt "carol@$partner" "$@" >"$work/out.eml" 2>"$work/out.json"
	want "strict $*" $? "$expected"
	json=$(tail -n 1 "$work/out.json")
}
strict 0 --sender "alice@$org" --user "alice@$org" <"$work/plain.eml"
strict 65 --sender "alice@$org" --user "bob@$org" <"$work/plain.eml"
match "strict" "$json" '"reply":"550 5.7.1 .*no right'
strict 65 --sender "alice@$org" --client 198.51.100.7 <"$work/plain.eml"
strict 65 --sender "alice@$org" --user "alice@$org" < <(sed 's/^From:/From: <bob@example.org>\nFrom:/' "$work/plain.eml")
strict 0 --sender "x@elsewhere.example" --user "bob@$org" < <(sed 's/^From:.*/From: x@elsewhere.example/' "$work/plain.eml")

# A right by network, which holds for the gate alone, is carried across; the queue has none.
printf 'From: <bob@%s>\nTo: carol@%s\nSubject: report\n\nfrom the machine\n' "$org" "$partner" >"$work/machine.eml"
stamped --sender "bob@$org" --client 192.0.2.17 <"$work/machine.eml"
hop "carol@$partner" <"$work/stamped.eml"
match "by network" "$json" '"signed":true,"encrypted":true'
run 0 --service gate --sender "bob@$org" --client 198.51.100.7 --rcpt "carol@$partner" <"$work/machine.eml"
grep -qi '^X-Sealgate-Stamp' "$work/out.eml" && fail "a stamp for nobody"

# What the configuration refuses.
# refused NAME SED PATTERN
refused() {
	sed "$2" "$conf" >"$dir/bad.conf"
	"$builddir/sealgate" -c "$dir/bad.conf" check >/dev/null 2>"$work/bad.txt"
	want "$1" $? 78
	match "$1" "$(cat "$work/bad.txt")" "$3"
	rm -f "$dir/bad.conf"
}
refused "an opener that checks" 's/name = "hop"; role = "all"/name = "hop"; role = "open"/' 'only a service of role'
refused "stamps without a key" '/^stamp = /d' 'need stamp.key_file'
chmod 644 "$dir/stamp.key"
run 78 --service gate --sender "alice@$org" --user "alice@$org" --rcpt "carol@$partner" <"$work/plain.eml"
match "a key that others read" "$(cat "$work/out.json")" 'others may read'
chmod 400 "$dir/stamp.key"
finish
