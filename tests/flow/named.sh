#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A certificate that an administrator named by hand and that cannot be used is not "none": nothing goes in the clear for it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice
vault_up
base=$(cat "$conf")
fingerprint() {
	openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f
}
# again NAME DAYS|old: NAME.pem with another validity. OpenSSL 3.5 takes no negative days, 3.0 no dates.
again() {
	local when
	for when in "-days ${2/old/-1}" "-not_before 20240101000000Z -not_after 20240201000000Z"; do
		# shellcheck disable=SC2086
		openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial $when \
			-sha256 -extfile "$work/$1.ext" -out "$work/$1.$2.pem" 2>/dev/null && return
	done
}
partner_cert carol "carol@$partner" rsa:2048
partner_cert gateway "domain-confidentiality-authority@$partner" rsa:2048
for which in "carol old" "carol 100" "gateway old" "gateway 100"; do
	# shellcheck disable=SC2086
	again $which
done
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/other.key" -sha256 -days 100 -out "$work/other.pem" -subj "/CN=Another CA" \
	-addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
openssl x509 -req -in "$work/gateway.csr" -CA "$work/other.pem" -CAkey "$work/other.key" -CAcreateserial -days 100 -sha256 \
	-extfile "$work/gateway.ext" -out "$work/stranger.pem" 2>/dev/null
gate cert add --anchor "$work/ca.pem" >/dev/null || fail "cert add --anchor"
printf 'From: alice@%s\nTo: carol@%s\nSubject: hello\nMessage-ID: <1@%s>\n\nthe secret text\n' "$org" "$partner" "$org" >"$work/mail"

rule() {
	printf 'rules = ( { name = "out"; direction = "outbound"; sign = "if-possible"; %s } );\n' "$1"
}
# sent WHAT RULE STATUS [PATTERN]: what becomes of mail to carol; the log has PATTERN
sent() {
	printf '%s\n' "$base" "$(rule "$2")" "$domain" >"$conf"
	"$builddir/sealgate" -c "$conf" process --sender "alice@$org" --user "alice@$org" --rcpt "carol@$partner" <"$work/mail" \
		>"$work/out.eml" 2>"$work/said"
	want "$1: $2" $? "$3"
	[ -z "$4" ] || match "$1: $2" "$(cat "$work/said")" "$4"
	[ "$3" = 0 ] || ! grep -q 'secret text' "$work/out.eml" || fail "$1: $2: in the clear"
}
# waits WHAT PATTERN: under every rule that could let it go; a rule that refuses goes on refusing
waits() {
	sent "$1" 'encrypt = "if-known";' 75 '451 4.4.3 The certificate that was set'
	sent "$1" 'encrypt = "if-proven";' 75 '451 4.4.3'
	sent "$1" 'encrypt = "required"; if_missing = "clear";' 75 '451 4.4.3'
	sent "$1" 'encrypt = "required";' 65 '550 5.7.1'
	sent "$1" 'encrypt = "never";' 0
	"$builddir/sealgate" -c "$conf" explain --sender "alice@$org" --user "alice@$org" --rcpt "carol@$partner" <"$work/mail" \
		>"$work/said" 2>&1
	sent "$1" 'encrypt = "if-known";' 75
	"$builddir/sealgate" -c "$conf" explain --sender "alice@$org" --user "alice@$org" --rcpt "carol@$partner" <"$work/mail" \
		>"$work/said" 2>&1
	match "$1: explained" "$(cat "$work/said")" "$2"
	"$builddir/sealgate" -c "$conf" cert find "carol@$partner" >"$work/said" 2>&1
	want "$1: cert find" $? 75
	match "$1: cert find" "$(cat "$work/said")" "$2"
	checked "$1" "$2"
}
# checked WHAT PATTERN: what check warns of, and it succeeds; no PATTERN: nothing
checked() {
	"$builddir/sealgate" -c "$conf" check >/dev/null 2>"$work/said" || fail "$1: check"
	if [ -n "$2" ]; then
		match "$1: check" "$(cat "$work/said")" "^sealgate: warning: .*$2"
	else
		want "$1: check" "$(cat "$work/said")" ""
	fi
}

# --- nobody named anything: "none" is "none"
domain=
sent "none" 'encrypt = "if-known";' 0
sent "none" 'encrypt = "required"; if_missing = "clear";' 0
sent "none" 'encrypt = "required";' 65
checked "none"

# --- a gateway's certificate
file() {
	domain="domain_certificates = ( { domains = [\"$partner\"]; file = \"$work/$1\"; } );"
}
file gateway.100.pem
sent "good" 'encrypt = "if-known";' 0 '"encrypted":true'
checked "good"
file gateway.pem
sent "soon" 'encrypt = "if-known";' 0 '"encrypted":true'
checked "soon" "domain_certificates for $partner: $(fingerprint "$work/gateway.pem" | cut -c1-16) expires on 20"
file gateway.old.pem
waits "expired" "domain_certificates for $partner: $(fingerprint "$work/gateway.old.pem" | cut -c1-16) as .* by file cannot be used: expired 20.*new one into the file"
file stranger.pem
waits "a stranger's" "$(fingerprint "$work/stranger.pem" | cut -c1-16) as .* cannot be used: .*Another CA"
domain="domain_certificates = ( { domains = [\"$partner\"]; match = \"mailbox\"; mailbox = \"gw@$partner\"; } );"
waits "found nowhere" "nobody has a certificate of gw@$partner; add one to the store"
domain="domain_certificates = ( { domains = [\"$partner\"]; } );"
waits "found nowhere" "nobody has a certificate of domain-confidentiality-authority@$partner"
gate cert add "$work/gateway.old.pem" >/dev/null || fail "cert add"
waits "an old one found" "$(fingerprint "$work/gateway.old.pem" | cut -c1-16) as .* by store cannot be used: expired 20"
gate cert add "$work/gateway.100.pem" >/dev/null || fail "cert add"
sent "a new one found" 'encrypt = "if-known";' 0 '"encrypted":true'

# --- of no matter where a person has one, but it is said
file gateway.old.pem
domain=${domain/; \}/; before_personal = true; \}}
gate cert add "$work/carol.100.pem" >/dev/null || fail "cert add"
sent "another is used" 'encrypt = "if-known";' 0 '"encrypted":true'
"$builddir/sealgate" -c "$conf" cert find "carol@$partner" >"$work/said" 2>&1
match "shown" "$(cat "$work/said")" 'set by hand, and not used: .*expired 20'

# --- a pin
domain=
gate cert add "$work/carol.old.pem" >/dev/null || fail "cert add"
old=$(fingerprint "$work/carol.old.pem")
gate cert pin "$old" >/dev/null
want "an expired one is not pinned" $? 65
match "says why" "$(tail -n 1 "$work/tool.log")" "${old:0:16}: expired 20.*--force"
gate cert add --pin "$work/carol.old.pem" >/dev/null
want "nor added and pinned" $? 65
gate cert pin --force "$old" >/dev/null || fail "cert pin --force"
waits "a pin" "${old:0:16}, pinned for carol@$partner, cannot be used: expired 20.*cert unpin"
gate cert pin "$(fingerprint "$work/carol.100.pem")" >/dev/null || fail "cert pin"
sent "another pin" 'encrypt = "if-known";' 0 '"encrypted":true'
checked "another pin"
gate cert unpin "$(fingerprint "$work/carol.100.pem")" >/dev/null || fail "cert unpin"
gate cert unpin "$old" >/dev/null || fail "cert unpin"
gate cert add --pin "$work/carol.pem" >/dev/null || fail "cert add --pin"
gate cert unpin "$(fingerprint "$work/carol.pem")" >/dev/null || fail "cert unpin"
gate cert pin --force "$old" >/dev/null || fail "cert pin --force"
printf '%s\n' "$base" "$(rule 'encrypt = "if-known";')" >"$conf"
milter_up
drive -q -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<carol@$partner>" --qid LOGGED "$work/mail" >/dev/null
stop "$milter"
match "logged" "$(cat "$work/milter.log")" "error qid=LOGGED event=named-certificate .*${old:0:16}.*expired 20"
gate cert unpin "$old" >/dev/null || fail "cert unpin"
gate cert add --pin "$work/carol.pem" >/dev/null || fail "cert add --pin"
checked "a pin's end" "pinned for carol@$partner: $(fingerprint "$work/carol.pem" | cut -c1-16) expires on 20"
finish
