#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Certificates learned from signed mail, through the daemons: the good case, second keys, capabilities, the news to whoever waits, and
# every way to slip in a certificate that we could think of.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice
port=$(free_port)
mkdir "$work/peer"
: >"$work/script"
start peer "$builddir/fakesmtp" -s "$work/script" "$port" "$work/peer"
mkdir -p "$work/crls"
sed -i '/^trust = /d; /^harvest = /d; /^notices = /d; /^port = /d' "$conf"
cat >>"$conf" <<E
trust = { crl_dir = "$work/crls"; };
port = { address = "inet:$port@127.0.0.1"; };
notices = { store = "state/notices.db"; from = "alice@$org"; sign = true; check_interval = 3600; };
harvest = { mode = "on"; authserv_ids = [ "mx.$org" ]; own_received = 1; per_domain = 7; never = [ "never.example" ]; };
rules = (
	{ name = "modern"; direction = "outbound"; recipients = "dave@partner.example"; sign = "never"; encrypt = "required"; preset = "modern"; },
	{ name = "invite"; direction = "outbound"; recipients = "frank@partner.example"; sign = "never"; encrypt = "if-known"; invite = true; } );
E
vault_up

# crl [REVOKED.pem…]: the partner CA's list
crl() {
	local pem
	[ -d "$work/pca" ] || {
		mkdir "$work/pca"
		: >"$work/pca/index.txt"
		echo 01 >"$work/pca/crlnumber"
		printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index.txt\ncrlnumber=%s/crlnumber\ndefault_md=sha256\ndefault_crl_days=10\n[e]\nauthorityKeyIdentifier=keyid\n' \
			"$work/pca" "$work/pca" >"$work/pca/cnf"
	}
	for pem; do
		openssl ca -config "$work/pca/cnf" -revoke "$pem" -cert "$work/ca.pem" -keyfile "$work/ca.key" >/dev/null 2>&1
	done
	openssl ca -config "$work/pca/cnf" -gencrl -cert "$work/ca.pem" -keyfile "$work/ca.key" -out "$work/crls/new" 2>/dev/null
	mv "$work/crls/new" "$work/crls/partner.crl"
}

ec() {
	partner_cert "$1" "$2" ec -pkeyopt ec_paramgen_curve:P-256
}

export usage=digitalSignature,keyAgreement
ec dave "dave@$partner"
ec dave2 "dave@$partner"
ec gone "gone@$partner"
ec inner "boss@$partner"
ec victim "victim@victim.example"
ec ours "alice@$org"
ec never "x@never.example"
ec evil "evil@evil.example"
# Two certificates of one subject, to sign and to encrypt (as RFC 9216 has them).
for two in signer:digitalSignature reader:keyAgreement; do
	usage=${two#*:} ec two "two@$partner"
	mv "$work/two.pem" "$work/${two%:*}.pem"
	mv "$work/two.key" "$work/${two%:*}.key"
done
ec frank "frank@$partner"
ec grace "grace@$partner"
usage=digitalSignature ec lonely "lonely@$partner"
ec eve "eve@$partner,email:victim@victim.example"
crl "$work/gone.pem"
gate cert add --anchor --domain "$partner" "$work/ca.pem" >/dev/null || fail "cert add --anchor"
milter_up

received="Received: from border (border [192.0.2.1])
	by inside (Postfix) with ESMTP id 1; $(date -R)"
outside="Received: from sender (sender [198.51.100.1])
	by border (Postfix) with ESMTP id 2; $(date -R)"

# dkim DOMAIN: a signature field that nobody here checks; what counts is what our MTA says of it
dkim() {
	printf 'DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=k1;\n\th=from:to; bh=x=; b=QWERTYUIOP\n' "$1"
}

results() {
	printf 'Authentication-Results: mx.%s;\n\tdkim=pass (2048-bit key) header.d=%s header.s=k1 header.b=QWERTY\n' "$org" "$1"
}

# sign NAME [OPTION…]: a signed entity in NAME.signed
sign() {
	local name=$1
	shift
	[ -f "$work/text" ] || printf 'Content-Type: text/plain\n\nhello\n' >"$work/text"
	openssl cms -sign -in "$work/text" -signer "$work/$name.pem" -inkey "$work/$name.key" "$@" 2>>"$work/openssl.log" | tr -d "\r" >"$work/$name.signed"
	[ -s "$work/$name.signed" ] ||
		fail "openssl cms -sign $name"
}

# mail QID SENDER FROM SIGNED [HEADER…]: sends it; the fields stand above From:
mail() {
	local qid=$1 sender=$2 from=$3 signed=$4
	shift 4
	{
		for field; do printf '%s\n' "$field"; done
		printf 'From: %s\nTo: alice@%s\nSubject: x\nMessage-ID: <%s@x>\nDate: %s\n' "$from" "$org" "$qid" "$(date -R)"
		cat "$work/$signed.signed"
	} >"$work/mail.eml"
	drive -q -S "$sock" -f "<$sender>" -r "<alice@$org>" --qid "$qid" "$work/mail.eml" >/dev/null || fail "$qid: not accepted"
}

# said QID PATTERN: what the log says of harvest for this message
said() {
	wait_for 5 grep -q "qid=$1 event=harvest" "$work/milter.log" || { fail "$1: nothing in the log"; return; }
	match "$1" "$(grep "qid=$1 event=harvest" "$work/milter.log" | tail -n 1)" "$2"
}

# usual QID NAME PATTERN: a message of NAME@partner with everything as it should be
usual() {
	mail "$1" "$2@$partner" "$2@$partner" "${4:-$2}" "$(results "$partner")" "$received" "$(dkim "$partner")" "$outside"
	said "$1" "$3"
}

fingerprint() {
	openssl x509 -in "$work/$1.pem" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f
}

# known ADDRESS: the fingerprints that would be encrypted to
known() {
	gate cert find --json "$1" | sed 's/"used":/\n&/g' | sed -n 's/^"used":true.*"sha256":"\([0-9a-f]*\)".*/\1/p'
}

for name in dave dave2 gone inner victim ours never evil lonely eve frank grace; do sign $name; done
sign signer -certfile "$work/reader.pem"

# --- poison: nothing of it is learned ---
pass=$(results "$partner") sig=$(dkim "$partner")
good() { # QID WHY FROM NAME FIELD…: refused because
	local qid=$1 why=$2 from=$3 name=$4
	shift 4
	mail "$qid" "x@outside.example" "$from" "$name" "$@"
	said "$qid" "what=(refused|noted|unchanged) .*why=.*$why"
}
dave=dave@$partner
good P01 'nothing of DKIM' "$dave" dave "$received" "$sig" "$outside"
good P02 'does not count' "boss@$partner" dave "$pass" "$received" "$sig"
good P03 'not one author' "$dave, boss@$partner" dave "$pass" "$received" "$sig"
good P04 'not one author' "$dave" dave "$pass" "$received" "$sig" "From: boss@$partner"
good P05 'does not count' "\"$dave\" <boss@$partner>" dave "$pass" "$received" "$sig"
good P06 'does not count' "boss@$partner" dave "$pass" "$received" "$sig" "Sender: $dave"
good P07 'nothing of DKIM' "$dave" dave "$received" "$outside" "$pass" "$sig"
good P08 'nothing of DKIM' "$dave" dave "Authentication-Results: mx.$org.evil.example; dkim=pass header.d=$partner" "$received" "$sig"
good P09 'nothing of DKIM' "$dave" dave "Authentication-Results: (mx.$org) evil.example; dkim=pass header.d=$partner" "$received" "$sig"
good P10 'found good' "$dave" dave "Authentication-Results: mx.$org; dkim=fail header.d=$partner" "$received" "$sig" "$pass"
good P11 'found good' "$dave" dave "Authentication-Results: mx.$org; dkim=fail (dkim=pass header.d=$partner)" "$received" "$sig"
good P12 "can't be read" "$dave" dave "Authentication-Results: mx.$org; dkim=pass header.d=evil.example header.d=$partner" "$received" "$sig"
good P13 "can't be read" "$dave" dave "Authentication-Results: mx.$org 2; dkim=pass header.d=$partner" "$received" "$sig" "$pass"
good P14 'of the domain' "$dave" dave "$(results evil.example)" "$received" "$(dkim evil.example)"
good P15 'of the domain' "$dave" dave "$(results "mail.$partner")" "$received" "$(dkim "mail.$partner")"
good P16 'of the domain' "$dave" dave "$(results example)" "$received" "$(dkim example)"
good P17 'of the domain' "$dave" dave "$pass" "$received" "$outside"
good P18 'of the domain' "$dave" dave "$pass" "$received" "DKIM-Signature: v=1; d=$partner; s=k1; b=ASDF"
good P19 'of the domain' "$dave" dave "$pass" "$received" "DKIM-Signature: v=1; d=$partner; s=k1; l=0; b=QWERTYUIOP"
good P20 'does not count.*revoked' "gone@$partner" gone "$pass" "$received" "$sig"
good P21 'does not count' victim@victim.example victim "$(results victim.example)" "$received" "$(dkim victim.example)"
good P22 'does not count' victim@victim.example eve "$(results victim.example)" "$received" "$(dkim victim.example)"
good P23 'cannot be encrypted to|not for encryption' "lonely@$partner" lonely "$pass" "$received" "$sig"
want "our own: nothing is said" "$(mail P24 x@outside.example "alice@$org" ours "$(results "$org")" "$received" "$(dkim "$org")"; grep -c 'qid=P24 event=harvest' "$work/milter.log")" 0

# A signature over a part: in an attached message, and beside a footer.
{
	printf 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n'
	cat "$work/inner.signed"
	printf '\n--b\nContent-Type: text/plain\n\na footer\n--b--\n'
} >"$work/footer.signed"
{
	printf 'MIME-Version: 1.0\nContent-Type: message/rfc822\n\nFrom: boss@%s\n' "$partner"
	cat "$work/inner.signed"
} >"$work/attached.signed"
for name in footer attached; do
	mail "P3$name" "boss@$partner" "boss@$partner" $name "$pass" "$received" "$sig"
done
# Around another one's signature: the outer one speaks.
openssl cms -sign -in "$work/inner.signed" -signer "$work/evil.pem" -inkey "$work/evil.key" 2>/dev/null | tr -d "\r" >"$work/wrapped.signed"
good P33 'does not count' "boss@$partner" wrapped "$pass" "$received" "$sig"
# Changed after signing.
sed 's/^hello/hullo/' "$work/inner.signed" >"$work/changed.signed"
good P34 'does not count' "boss@$partner" changed "$pass" "$received" "$sig"
mismatch "parts teach nothing" "$(grep -E 'qid=P3(footer|attached) event=harvest' "$work/milter.log")" .
for who in "$dave" "boss@$partner" "gone@$partner" victim@victim.example "lonely@$partner"; do
	want "poison: $who" "$(known "$who")" ""
done

# --- the good case ---
usual G1 dave "what=learned addr=$dave cert=$(fingerprint dave) can-open=\"?aes-256-cbc"
want "learned" "$(known "$dave")" "$(fingerprint dave)"
match "learned: proven, harvested" "$(gate cert find --json "$dave")" '"tier":"harvested","proven":true,"can_open":"aes-256-cbc'
match "shown" "$(gate cert show "$(fingerprint dave)")" 'opens:   aes-256-cbc'
match "explain" "$(gate explain --sender "$dave" --rcpt "alice@$org" <"$work/mail.eml")" 'is known, nothing would change'

# --- a second key waits; what was said of it is kept ---
usual G3 dave "what=(pending|unchanged) .*another key is known" dave2
want "second key: the first is used" "$(known "$dave")" "$(fingerprint dave)"
match "pending" "$(gate cert pending --json)" "\"address\":\"$dave\".*\"sha256\":\"$(fingerprint dave2)\""
gate cert reject --why "not he" "$(fingerprint dave2)" || fail "cert reject"
usual G4 dave "what=refused .*rejected" dave2
match "rejected" "$(gate cert pending --rejected)" 'rejected .*not he'
gate cert approve --replace "$(fingerprint dave2)" || fail "cert approve"
want "approved" "$(known "$dave")" "$(fingerprint dave2)"
gate cert approve "$(fingerprint dave2)" 2>/dev/null
want "nothing waits any more" $? 65
# A pinned one stays the only one.
gate cert pin "$(fingerprint dave2)" >/dev/null || fail "cert pin"
usual G5 dave "what=refused .*pinned" dave
gate cert unpin "$(fingerprint dave2)" >/dev/null

# --- two certificates: the one to encrypt to ---
mail T1 "two@$partner" "two@$partner" signer "$pass" "$received" "$sig"
said T1 "what=learned addr=two@$partner cert=$(fingerprint reader)"
want "the one to encrypt to" "$(known "two@$partner")" "$(fingerprint reader)"

# --- what they open: modern is narrowed to what the signature announced ---
printf 'From: alice@%s\nTo: %s\nSubject: x\nMessage-ID: <m1@x>\nDate: %s\n\nhello\n' "$org" "$dave" "$(date -R)" >"$work/out.eml"
drive -q -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<$dave>" -o "$work/m1.eml" "$work/out.eml"
match "narrowed" "$(tr -d '\n' <"$work/m1.eml")" 'smime-type=enveloped-data'
openssl cms -decrypt -in "$work/m1.eml" -recip "$work/dave2.pem" -inkey "$work/dave2.key" -out "$work/m1.txt" 2>/dev/null ||
	fail "narrowed: not to be opened"
match "narrowed: explain" "$(gate explain --user "alice@$org" --sender "alice@$org" --rcpt "$dave" <"$work/out.eml")" \
	'cipher +aes-256-cbc, narrowed'

# --- who waits for a certificate is told as soon as it is learned ---
sed "s/^To: .*/To: frank@$partner/; s/m1@x/m2@x/" "$work/out.eml" >"$work/invite.eml"
drive -q -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<frank@$partner>" "$work/invite.eml"
told() {
	grep -qi "^RCPT TO:<$1>" "$work"/peer/*.env 2>/dev/null
}
wait_for 10 told "frank@$partner" || fail "frank is not invited"
usual F1 frank "what=learned addr=frank@$partner"
wait_for 10 told "alice@$org" || fail "alice is not told"

# --- the real OpenDKIM signs for the partner and verifies for us, where it is installed ---
PATH=$PATH:/usr/sbin
# opendkim_up NAME LINE…: its port in $NAME
opendkim_up() {
	local name=$1 number
	shift
	number=$(free_port)
	printf '%s\n' "Socket inet:$number@127.0.0.1" "Background no" "AutoRestart no" "Syslog no" "$@" >"$work/$name.conf"
	start "$name" opendkim -f -x "$work/$name.conf"
	eval "$name=$number"
	wait_for 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$number" || fail "opendkim does not start"
}
# through PORT FROM TO: a message through that milter
through() {
	drive -q -S "inet:$1@127.0.0.1" --client-addr 198.51.100.1 -f "<grace@$partner>" -r "<alice@$org>" -o "$3" "$2" >/dev/null ||
		fail "opendkim: not accepted"
}
if command -v opendkim >/dev/null; then
	made_key "$work/dkim.pem"
	chmod 600 "$work/dkim.pem"
	printf 's1._domainkey.%s v=DKIM1; k=rsa; p=%s\n' "$partner" "$(openssl rsa -in "$work/dkim.pem" -pubout 2>/dev/null |
		grep -v -- '-----' | tr -d '\n')" >"$work/dkim.keys"
	printf '192.0.2.9\n' >"$work/nobody"
	opendkim_up signer "Mode s" "Domain $partner" "Selector s1" "KeyFile $work/dkim.pem" "RequireSafeKeys no" \
		"InternalHosts 0.0.0.0/0"
	opendkim_up verifier "Mode v" "TestPublicKeys $work/dkim.keys" "InternalHosts $work/nobody" "AuthservID mx.$org"
	{
		printf '%s\nFrom: grace@%s\nTo: alice@%s\nSubject: x\nMessage-ID: <d1@x>\nDate: %s\n' "$pass" "$partner" "$org" "$(date -R)"
		cat "$work/grace.signed"
	} >"$work/d0.eml"
	# Without a signature of the domain, and with a field that says otherwise.
	through "$verifier" "$work/d0.eml" "$work/d1.eml"
	drive -q -S "$sock" -f "<grace@$partner>" -r "<alice@$org>" --qid D1 "$work/d1.eml" >/dev/null
	said D1 'what=noted .*(nothing of DKIM|of the domain|found good)'
	through "$signer" "$work/d0.eml" "$work/d2.eml"
	sed 's/^To: .*/To: changed@example.org/' "$work/d2.eml" >"$work/d3.eml"
	for try in 3 2; do
		through "$verifier" "$work/d$try.eml" "$work/d4.eml"
		drive -q -S "$sock" -f "<grace@$partner>" -r "<alice@$org>" --qid "D$try" "$work/d4.eml" >/dev/null
	done
	said D3 'what=unchanged .*found good'
	said D2 "what=learned addr=grace@$partner"
fi

# --- names that are nearly somebody's: plus addresses, IDN, cases, quotes ---
idn=xn--mller-kva.example
gate cert add --anchor --domain "$idn" --domain muller.example --domain "$partner" "$work/ca.pem" >/dev/null || fail "cert add --anchor, more domains"
ec plus "heidi+sales@$partner"
ec heidi "heidi@$partner"
ec ida "ida@$idn"
ec twin "ida@muller.example"
for name in plus heidi ida twin; do sign $name; done
idnpass=$(results $idn) idnsig=$(dkim $idn)
# A certificate of an extension speaks for that address alone, and one of the address for no extension: others' extensions are theirs.
good N01 'does not count' "heidi@$partner" plus "$pass" "$received" "$sig"
good N02 'does not count' "heidi+other@$partner" plus "$pass" "$received" "$sig"
good N03 'does not count' "heidi+sales@$partner" heidi "$pass" "$received" "$sig"
good N04 'does not count' "heidi@$partner" twin "$pass" "$received" "$sig"
# Our own with an extension are ours still.
want "our own: nothing is said" "$(mail N05 x@outside.example "alice+x@$org" ours "$(results "$org")" "$received" "$(dkim "$org")"; grep -c 'qid=N05 event=harvest' "$work/milter.log")" 0
# What looks like the domain, in letters of another script, without the umlaut, as a subdomain or with another one's DKIM.
good N06 'does not count' ida@muller.example ida "$(results muller.example)" "$received" "$(dkim muller.example)"
good N07 'does not count' "ida@$idn" twin "$idnpass" "$received" "$idnsig"
good N08 'of the domain' "ida@$idn" ida "$(results muller.example)" "$received" "$(dkim muller.example)"
good N09 'does not count' "ida@mail.$idn" ida "$(results "mail.$idn")" "$received" "$(dkim "mail.$idn")"
good N10 'does not count|not one author|nothing of DKIM|of the domain' 'ida@müll\341\264\207r.example' ida "$idnpass" "$received" "$idnsig"
good N11 'does not count|not one author' "=?utf-8?q?ida=40$idn?= <ida@muller.example>" ida "$idnpass" "$received" "$idnsig"
for who in "heidi@$partner" "heidi+other@$partner" "heidi+sales@$partner" ida@muller.example "ida@$idn" "ida@mail.$idn" "alice+x@$org"; do
	want "poisoned names: $who" "$(known "$who" | grep -vxF "$(fingerprint ours)" | grep -c -e "$(fingerprint plus)" -e "$(fingerprint heidi)" \
		-e "$(fingerprint ida)" -e "$(fingerprint twin)")" 0
done
# The real ones are learned, in whatever form they are written, and found in each.
mail N20 "ida@müller.example" "Ida <ida@müller.example>" ida "$idnpass" "$received" "$idnsig"
said N20 "what=learned addr=ida@$idn cert=$(fingerprint ida)"
want "IDN: known" "$(known "ida@$idn")" "$(fingerprint ida)"
want "IDN: known as it is written" "$(known "ida@müller.example")" "$(fingerprint ida)"
mail N21 "ida@$idn" "\"ida\"@XN--MLLER-KVA.example" ida "$idnpass" "$received" "$idnsig"
match "IDN: as it is written elsewhere" "$(grep 'qid=N21 event=verified' "$work/milter.log")" 'verdict=pass'
mail N22 "heidi+sales@$partner" "heidi+sales@$partner" plus "$pass" "$received" "$sig"
said N22 "what=learned addr=heidi\\+sales@$partner cert=$(fingerprint plus)"
want "plus: for that address" "$(known "heidi+sales@$partner")" "$(fingerprint plus)"
want "plus: for no other" "$(known "heidi@$partner")" ""

# --- observe: the log says it, the store does not change ---
sed -i 's/mode = "on"/mode = "observe"/' "$conf"
kill -USR1 "$milter"
wait_for 5 grep -q event=reloaded "$work/milter.log" || fail "no reload"
mail O1 "boss@$partner" "boss@$partner" inner "$pass" "$received" "$sig"
said O1 "would-be=learned addr=boss@$partner"
want "observe" "$(known "boss@$partner")" ""

# --- a certificate that is denied from now on: the next message's signature does not count ---
printf 'denied = ( { sha256 = "%s"; reason = "stolen"; } );\n' \
	"$(openssl x509 -in "$work/inner.pem" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g')" >>"$conf"
kill -USR1 "$milter"
reloaded_twice() {
	[ "$(grep -c event=reloaded "$work/milter.log")" = 2 ]
}
wait_for 5 reloaded_twice || fail "no second reload"
mail O2 "boss@$partner" "boss@$partner" inner "$pass" "$received" "$sig"
said O2 'stolen'

# --- more than can be written: mail goes on, the log says once in a while what was not learned, and learning goes on too ---
sed -i 's/mode = "observe"/mode = "on"; queue = 2/; s/per_domain = 7/per_domain = 50/' "$conf"
kill -USR1 "$milter"
reloaded_again() {
	[ "$(grep -c event=reloaded "$work/milter.log")" = 3 ]
}
wait_for 5 reloaded_again || fail "no third reload"
if command -v sqlite3 >/dev/null; then
	for name in q1 q2 q3 q4 q5 q6; do
		ec $name "$name@$partner"
		sign $name
	done
	# Somebody else writes into the store and takes a while.
	mkfifo "$work/writer"
	sqlite3 "$dir/certs/certs.db" <"$work/writer" >"$work/sqlite.log" 2>&1 &
	pids="$pids $!"
	exec 7>"$work/writer"
	printf 'BEGIN IMMEDIATE;\n.shell touch %s\n' "$work/writing" >&7
	wait_for 10 test -e "$work/writing" || fail "no other writer"
	for name in q1 q2 q3 q4 q5 q6; do
		mail "Q$name" "$name@$partner" "$name@$partner" $name "$pass" "$received" "$sig"
	done
	grep -q 'event=harvest what=dropped .*harvest.queue' "$work/milter.log" || fail "nothing was dropped"
	want "said once" "$(grep -c 'what=dropped' "$work/milter.log")" 1
	echo 'ROLLBACK;' >&7
	exec 7>&-
	wait_for 15 grep -q 'qid=Qq1 event=harvest' "$work/milter.log" || fail "the first in the queue: nothing is said"
	said Qq1 'what=learned'
	mail QQ "q6@$partner" "q6@$partner" q6 "$pass" "$received" "$sig"
	said QQ 'what=learned'
	want "learned after the jam" "$(known "q6@$partner")" "$(fingerprint q6)"
fi
finish
