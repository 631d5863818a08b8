#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Marks that senders set: found in any charset, and gone when the rule says so. Through the daemon.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
world
stop "$milter"
cat >>"$conf" <<'C'
rules = (
	{ name = "keep"; direction = "outbound"; subject_mark = [ "[keep]" ]; encrypt = "required"; },
	{ name = "mark"; direction = "outbound"; subject_mark = [ "[encrypt]", "【暗号化】" ]; encrypt = "required"; remove_mark = true; },
	{ name = "field"; direction = "outbound"; header = [ "X-Encrypt: ^yes$", "X-Sealgate-Note: ^yes$", "Sensitivity: ^(company-confidential|private)$" ];
	  encrypt = "required"; remove_mark = true; },
	{ name = "inside"; direction = "internal"; subject_mark = "[intern]"; remove_mark = true; } );
C
milter_up

# send RECIPIENT FIELD…: the message as the next hop has it, in out.eml
send() {
	local rcpt=$1
	shift
	printf 'From: alice@%s\r\nTo: %s\r\nDate: Sun, 22 Nov 2026 01:00:00 +0000\r\n' "$org" "$rcpt" >"$work/in.eml"
	printf '%s\r\n' "$@" >>"$work/in.eml"
	printf '\r\nthe secret text\r\n' >>"$work/in.eml"
	drive -q --crlf -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<$rcpt>" -o "$work/out.eml" "$work/in.eml" \
		>>"$work/drive.log" 2>&1 || fail "$*: the driver says $?"
}

# field NAME VALUE: the lines of out.eml's header that begin with NAME
header() {
	sed '/^\r*$/q' "$work/out.eml" | tr -d '\r' | grep -i "^$1:"
}

word() {
	printf '=?%s?B?%s?=' "$1" "$(printf '%s' "$2" | iconv -f utf-8 -t "$1" | base64 -w 0)"
}

for charset in utf-8 iso-2022-jp shift_jis euc-jp; do
	send "carol@$partner" "Subject: $(word $charset 【暗号化】会議)"
	want "$charset" "$(header subject)" "Subject: $(word $charset 会議)"
	grep -q 'the secret text' "$work/out.eml" && fail "$charset: in the clear"
	send "carol@$partner" "Subject: Re: $(word $charset 会議) $(word $charset 【暗号) $(word $charset '化】')"
	want "$charset, split" "$(header subject)" "Subject: Re: $(word $charset 会議)"
	grep -q 'the secret text' "$work/out.eml" && fail "$charset, split: in the clear"
done
send "carol@$partner" 'Subject: [ENCRYPT] Hello' 'Subject: ［ｅｎｃｒｙｐｔ］ again' 'X-Other: yes'
want "two" "$(header subject)" "Subject: Hello
Subject: again"
want "two: another field" "$(header x-other)" "X-Other: yes"
send "carol@$partner" 'Subject: first' 'Subject: [encrypt] second'
grep -q 'the secret text' "$work/out.eml" && fail "mark in the second: in the clear"
send "carol@$partner" 'X-None: 1'
want "no subject" "$(header subject)" ""
send "carol@$partner" 'Subject: a [keep] b'
want "kept" "$(header subject)" "Subject: a [keep] b"
send "carol@$partner" 'Subject: x' 'X-Encrypt: YES' 'X-Encrypt: no' 'x-encrypt: yes'
want "field" "$(header x-encrypt)" "X-Encrypt: no"
grep -q 'the secret text' "$work/out.eml" && fail "field: in the clear"
send "carol@$partner" 'Subject: x' 'X-Encrypt: yes' 'X-Sealgate-Note: yes'
want "field: ours stay" "$(header x-sealgate-note)" "X-Sealgate-Note: yes"
for value in Company-Confidential private PRIVATE; do
	send "carol@$partner" 'Subject: x' "Sensitivity: $value"
	want "sensitivity" "$(header sensitivity)" "Sensitivity: $value"
	grep -q 'the secret text' "$work/out.eml" && fail "sensitivity $value: in the clear"
done
# Taken away also where nothing else is done; everything else of the message stays.
send "bob@$org" 'Subject: [Intern] x' 'X-A: 1'
sed 's/\[Intern\] //' "$work/in.eml" >"$work/want.eml"
cmp -s "$work/want.eml" "$work/out.eml" || fail "inside: more than the mark was changed"
finish
