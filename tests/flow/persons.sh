#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A person's life seen from the mail: a rename, a shared address, a leaver and a successor. The milter and the vault run all the while;
# each change counts for the next message.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
world
gate person add --kind role "help@$org" >/dev/null || fail "person add"
gate key new "help@$org" --type p256 >/dev/null || fail "key new help"
for who in alice bob help; do staff_cert $who; done

# mail_for NAME CERTIFICATE…: NAME.eml from outside, encrypted for these
mail_for() {
	local name=$1
	shift
	printf 'Content-Type: text/plain\n\nfrom outside to %s\n' "$name" >"$work/in.txt"
	{
		printf 'From: carol@%s\nTo: somebody@%s\nSubject: in\nMessage-ID: <%s@%s>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n' \
			"$partner" "$org" "$name" "$partner"
		openssl cms -encrypt -aes-256-cbc -in "$work/in.txt" "$@" 2>/dev/null
	} >"$work/$name.eml"
}

# reads NAME RECIPIENT: does the recipient get the mail NAME opened? Otherwise it has to come through as it was.
reads() {
	rm -f "$work/got.eml"
	drive -q -S "$sock" -f "<carol@$partner>" -r "<$2@$org>" -o "$work/got.eml" "$work/$1.eml" >>"$work/drive.log" 2>&1 ||
		{ echo "refused"; return; }
	if grep -q "from outside to $1" "$work/got.eml"; then
		echo yes
	elif grep -q 'smime-type=.*enveloped-data\|application/pkcs7-mime\|application/x-pkcs7-mime' "$work/got.eml"; then
		echo no
	else
		echo lost
	fi
}

# signs ADDRESS LOGIN: is mail of this author signed?
signs() {
	printf 'From: %s@%s\nTo: alice@%s\nSubject: x\nMessage-ID: <s%s@%s>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\ntext\n' \
		"$1" "$org" "$org" "$RANDOM" "$org" >"$work/out.eml"
	drive -q -S "$sock" -u "$2@$org" -f "<$1@$org>" -r "<nobody@$org>" -o "$work/signed.eml" "$work/out.eml" >>"$work/drive.log" 2>&1 ||
		{ echo "refused"; return; }
	grep -q 'multipart/signed' "$work/signed.eml" && echo yes || echo no
}

# signs_no_more WHAT ADDRESS: never again from now on; a milter that asked for the key a moment ago defers once
signs_no_more() {
	[ "$(signs "$2" "$2")" != yes ] || fail "$1: signed"
	wait_for 20 is_unsigned "$2" || fail "$1: $(signs "$2" "$2")"
}
is_unsigned() {
	[ "$(signs "$1" "$1")" = no ]
}

for who in alice bob help; do mail_for $who "$work/$who.cert"; done
want "alice reads hers" "$(reads alice alice)" yes
want "bob does not" "$(reads alice bob)" no
want "alice signs" "$(signs alice alice)" yes

# --- a rename
gate person rename --name 'Alice B' "alice@$org" "alicia@$org" >/dev/null || fail "rename"
match "the reminder" "$(cat "$work/tool.log")" "no certificate names alicia@$org yet"
want "old mail to the new address" "$(reads alice alicia)" yes
want "and to the old one" "$(reads alice alice)" yes
gate key renew "alicia@$org" >"$work/renewed" || fail "renew"
gate key export --cert "alicia@$org" >"$work/alicia.cert" || fail "export"
match "the new certificate" "$(openssl x509 -in "$work/alicia.cert" -noout -ext subjectAltName)" "email:alicia@$org"
mail_for alicia "$work/alicia.cert"
want "new mail to the new address" "$(reads alicia alicia)" yes
want "the old key still opens" "$(reads alice alicia)" yes
want "signs under the new name" "$(signs alicia alicia)" yes
gate person address end "alice@$org" >/dev/null || fail "address end"
want "the old address is over" "$(reads alice alice)" no
want "the new one is not" "$(reads alice alicia)" yes
signs_no_more "the old name" alice

# --- the old address goes to somebody else
gate person add --name 'Alice C' "alice@$org" >/dev/null || fail "a second alice"
gate key new "alice@$org" >/dev/null || fail "her key"
gate key export --cert "alice@$org" >"$work/alice2.cert"
mail_for alice2 "$work/alice2.cert"
want "the second alice reads hers" "$(reads alice2 alice)" yes
want "not the first one's" "$(reads alice alice)" no
want "nor the first the second's" "$(reads alice2 alicia)" no

# --- a shared address
want "bob is no member" "$(reads help bob)" no
gate person grant --to "bob@$org" "help@$org" >"$work/grant" || fail "grant"
gate person grant --to "alicia@$org" --until 2001-01-01 "help@$org" >/dev/null 2>&1 && fail "a grant in the past"
want "bob is" "$(reads help bob)" yes
match "by which grant" "$(grep -h '"type":"intent"' "$dir"/ledger/*.jsonl | grep '"event":"open"' | tail -n 1)" \
	"\"detail\":{\"grant\":\"$(cut -d' ' -f1 "$work/grant")\"}"
want "the address itself" "$(reads help help)" yes
mismatch "by none" "$(grep -h '"type":"intent"' "$dir"/ledger/*.jsonl | grep '"event":"open"' | tail -n 1)" '"grant"'
gate person ungrant "$(cut -d' ' -f1 "$work/grant")" >/dev/null || fail "ungrant"
want "no more" "$(reads help bob)" no
gate person grant --to "bob@$org" "help@$org" >/dev/null
gate person grant --to "alicia@$org" "bob@$org" >/dev/null
want "a deputy" "$(reads bob alicia)" yes

# --- bob leaves
want "bob signs" "$(signs bob bob)" yes
gate person leave "bob@$org" >/dev/null || fail "leave"
signs_no_more "bob has left" bob
want "his mail is delivered as it came" "$(reads bob bob)" no
want "nor does he read the shared one" "$(reads help bob)" no
want "the deputy does not" "$(reads bob alicia)" no
match "is listed" "$(gate person list --left)" "left .*bob@$org"
match "his key says that he left" "$(gate key show "bob@$org")" '^left +20..-'
want "a time with an example" "$(gate person leave --at soon "help@$org"; echo $?)" 64
match "is told so" "$(tail -n 1 "$work/tool.log")" 'such as 2026-12-31'
want "his key is there" "$(gate key list "bob@$org" | wc -l)" 1
want "no new one for him" "$(gate key new --also "bob@$org" >/dev/null; echo $?)" 65
bob=$(gate person show "bob@$org" | sed -n 's/^person *//p')
gate person grant --to "alicia@$org" "$bob" >/dev/null || fail "a grant afterwards"
want "with a grant made afterwards" "$(reads bob alicia)" yes
gate person address move --to "alice@$org" "bob@$org" >/dev/null || fail "move"
want "the successor has the address, not the mail" "$(reads bob bob)" no
want "and its own key" "$(reads alice2 bob)" yes
gate person return "$bob" >/dev/null || fail "return"
gate person address add "$bob" "bob2@$org" >/dev/null || fail "address add"
want "back, with another address" "$(reads bob bob2)" yes
want "without the shared one" "$(reads help bob2)" no
want "signs again" "$(signs bob2 bob2)" yes
want "the leaver's --to" "$(gate person leave --to "help@$org" --revoke "$bob" >/dev/null; echo $?)" 0
match "his keys are revoked" "$(gate key list "$bob")" 'revoked'
want "and open for the grant" "$(reads bob alicia)" no
gate person grant --to "alicia@$org" "$bob" >/dev/null
want "and open for a new one" "$(reads bob alicia)" yes

# --- the ledger knows each step
gate audit search --type admin --json >"$work/admin"
for event in person.add address.add address.end key.grant key.ungrant person.leave person.return key.revoke; do
	grep -q "\"event\":\"$event\"" "$work/admin" || fail "no record of $event"
done
gate audit verify >/dev/null || fail "the ledger does not verify"
mismatch "no address in the ledger" "$(cat "$dir"/ledger/*.jsonl)" "@$org"

# --- rows changed by hand: refused by the running vault, with a clear word
if command -v sqlite3 >/dev/null; then
	db=$(find "$dir" -name vault.db)
	alicia=$(gate person show "alicia@$org" | sed -n 's/^person *//p')
	gate person leave "alicia@$org" >/dev/null || fail "leave"
	want "alicia has left" "$(reads alicia alicia)" no
	sqlite3 "$db" "UPDATE persons SET left_at = 0 WHERE id = '$alicia'" || fail "sqlite3"
	wait_for 10 sh -c "! '$builddir/sealgate' -c '$conf' person show '$alicia'" || fail "a leaver brought back by hand is shown"
	is_deferred() {
		[ "$(drive -S "$sock" -f "<carol@$partner>" -r "<alicia@$org>" "$work/alicia.eml" | field code)" = 451 ]
	}
	wait_for 10 is_deferred || fail "a leaver brought back by hand: not deferred"
	match "is said" "$(cat "$work/vault.log")" 'keystore-tampered.*(a row of table persons was not written by the vault|row .* of table persons is not as the vault wrote it)'
fi
finish
