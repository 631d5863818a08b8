#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Domain and gateway certificates of partners, configured by hand: who gets one, who does not, and how often.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate alice
vault_up
cp "$conf" "$work/plain.conf"

# domain_cert NAME SAN: a gateway's certificate with this subjectAltName
domain_cert() {
	partner_cert "$1" unused@nowhere.example rsa:2048
	sed -i "s/^subjectAltName=.*/subjectAltName=$2/" "$work/$1.ext"
	openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days "${3:-20}" \
		-sha256 -extfile "$work/$1.ext" -out "$work/$1.pem" 2>/dev/null
}
fingerprint() {
	openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f
}
partner_cert carol "carol@$partner" rsa:2048
domain_cert dca "email:domain-confidentiality-authority@$partner"
domain_cert box email:gateway@provider.example
domain_cert host "DNS:$partner"
domain_cert wild "DNS:*.$partner"
openssl x509 -req -in "$work/dca.csr" -signkey "$work/dca.key" -days 20 -sha256 -extfile "$work/dca.ext" \
	-out "$work/stranger.pem" 2>/dev/null
openssl req -x509 -new -key "$work/ca.key" -days 3 -subj /CN=second -out "$work/second.pem" 2>/dev/null
cat "$work/ca.pem" "$work/second.pem" >"$work/cas.pem"
gate cert add --anchor "$work/ca.pem" >/dev/null || fail "cert add --anchor"
gate cert add "$work/carol.pem" "$work/box.pem" "$work/dca.pem" >/dev/null || fail "cert add"
gate cert add --address "host@$partner" "$work/host.pem" >/dev/null || fail "cert add --address"

# configured ITEM: the configuration with this domain certificate
configured() {
	{
		cat "$work/plain.conf"
		printf 'domain_certificates = ( { domains = ["%s"]; %s } );\n' "${domains:-$partner}" "$1"
	} >"$conf"
}
# found WHAT STATUS ADDRESS PATTERN [COUNT]: the candidates of ADDRESS
found() {
	"$builddir/sealgate" -c "$conf" cert find "$3" >"$work/found" 2>&1
	want "$1" $? "$2"
	match "$1" "$(cat "$work/found")" "$4"
	want "$1: used" "$(grep -c '^used ' "$work/found")" "${5:-1}"
}

# --- nobody gets one by accident, though the store has them all
for who in dave carol2 domain-confidentiality; do
	found "nothing is configured" 65 "$who@$partner" 'no usable certificate' 0
done
found "mail to the authority itself" 0 "domain-confidentiality-authority@$partner" '^used '

# --- by each kind of name
configured "file = \"$work/dca.pem\";"
found "RFC 3183, a file" 0 "dave@$partner" "^used .* domain from domain_certificates for $partner as domain-confidentiality-authority@$partner by file, proven"
found "a person's own goes first" 0 "carol@$partner" "^used .* directory from store"
found "not below the domain" 65 "dave@sub.$partner" 'no usable certificate' 0
found "not for others" 65 dave@else.example 'no usable certificate' 0
domains=.$partner configured "file = \"$work/dca.pem\";"
found "subdomains: the ancestor's authority" 0 "dave@sub.$partner" '^used .* by file'
configured ""
found "RFC 3183, looked up" 0 "dave@$partner" '^used .* by store'
configured "match = \"mailbox\"; mailbox = \"gateway@provider.example\";"
found "a mapped mailbox" 0 "dave@$partner" "^used .* as gateway@provider.example by store"
configured "match = \"dns\"; file = \"$work/host.pem\";"
found "a dNSName" 0 "dave@$partner" "^used .* as $partner by file"
configured "match = \"dns\"; fingerprint = \"$(fingerprint "$work/host.pem")\";"
found "a fingerprint" 0 "dave@$partner" "^used .* as $partner by store"
configured "match = \"dns\"; file = \"$work/wild.pem\";"
found "a wildcard is no name" 75 "dave@$partner" 'because no dNSName partner.example' 0
domains=.$partner configured "match = \"dns\"; file = \"$work/wild.pem\";"
found "a wildcard is no name" 75 "dave@sub.$partner" 'because no dNSName partner.example' 0
configured "file = \"$work/host.pem\";"
found "the wrong name" 75 "dave@$partner" 'because another address' 0
configured "file = \"$work/stranger.pem\";"
found "no path" 75 "dave@$partner" '^not used .*domain_certificates' 0
configured "fingerprint = \"$(fingerprint "$work/stranger.pem")\";"
found "not in the store: wait" 75 "dave@$partner" 'is not in the local store' 0
found "but a person's own does not" 0 "carol@$partner" '^used .* directory from store'

# --- before personal certificates, but not before a pin
configured "file = \"$work/dca.pem\"; before_personal = true;"
found "before" 0 "carol@$partner" '^used .* domain-first from domain_certificates'
gate cert pin "$(fingerprint "$work/carol.pem")" >/dev/null
found "a pin" 0 "carol@$partner" '^used .* pinned from store'
match "the others are shown" "$(cat "$work/found")" '^not used .* domain-first from domain_certificates'
gate cert unpin "$(fingerprint "$work/carol.pem")" >/dev/null

# --- what makes no sense is refused, with its line
for item in 'match = "mailbox";' 'mailbox = "a@b.example";' 'match = "dns";' 'fingerprint = "abc";' \
	"file = \"$work/cas.pem\";" "file = \"$work/nothing.pem\";" 'match = "mailbox"; mailbox = "nonsense";' \
	"file = \"$work/dca.pem\"; fingerprint = \"$(fingerprint "$work/dca.pem")\";"; do
	configured "$item"
	"$builddir/sealgate" -c "$conf" check >/dev/null 2>"$work/refused"
	want "refused: $item" $? 78
	match "refused: $item" "$(cat "$work/refused")" 'domain_certificates\.'
done

# --- one RecipientInfo for everybody of the domain, and the gateway's key opens it
configured "file = \"$work/dca.pem\";"
printf 'From: alice@%s\nTo: dave@%s, erin@%s\nSubject: hello\nMessage-ID: <1@%s>\n\nthe secret text\n' \
	"$org" "$partner" "$partner" "$org" >"$work/mail"
gate process --sender "alice@$org" --user "alice@$org" --rcpt "dave@$partner" --rcpt "erin@$partner" \
	--out "$work/copies" <"$work/mail" >"$work/json" || fail "process"
match "one copy" "$(cat "$work/json")" '"copies":\[\{"file":"1.eml","recipients":\["dave@partner.example","erin@partner.example"\],"signed":true,"encrypted":true'
want "one RecipientInfo" "$(openssl cms -cmsout -print -in "$work/copies/1.eml" 2>/dev/null | grep -c 'd\.ktri')" 1
openssl cms -decrypt -in "$work/copies/1.eml" -recip "$work/dca.pem" -inkey "$work/dca.key" -out "$work/inner" \
	2>>"$work/openssl.log" || fail "the gateway's key does not open it"
grep -q 'the secret text' "$work/inner" || fail "another text"
gate explain --sender "alice@$org" --user "alice@$org" --rcpt "dave@$partner" <"$work/mail" >"$work/explained"
gate cert list --history "dave@$partner" >"$work/history"
match "who it was used for" "$(cat "$work/history")" "Z  used .* dave@$partner until 20.* from domain_certificates for $partner as .* by file"
match "explain" "$(cat "$work/explained")" 'used .* from domain_certificates for partner.example as domain-confidentiality-authority@partner.example by file \(domain, proven\)'
finish
