#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What is said when a recipient is named: a certificate that is missing, one recipient too many; and what must wait.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
world
cat >>"$conf" <<END
rules = (
	{ name = "strict"; recipients = "@strict.example"; encrypt = "required"; if_missing = "refuse-recipient";
	  message = "Ask the helpdesk."; },
	{ name = "all"; recipients = "@all.example"; encrypt = "required"; },
	{ name = "clear"; recipients = "@clear.example"; encrypt = "required"; if_missing = "clear"; },
	{ name = "seen"; mode = "observe"; recipients = "@observed.example"; encrypt = "required"; },
	{ name = "marked"; recipients = "@late.example"; subject_mark = "[plain]"; },
	{ name = "late"; recipients = "@late.example"; encrypt = "required"; },
	{ name = "wanted"; recipients = "@wanted.example"; subject_mark = "[encrypt]"; encrypt = "required"; },
	{ name = "down"; recipients = "@down.example"; encrypt = "required"; }
);
directories = ( { name = "down"; uri = "ldap://127.0.0.1:1"; base = "dc=example"; timeout = "1s"; domains = [ "down.example" ]; } );
END
reload() {
	kill -USR1 "$milter"
	wait_for 5 bash -c "[ \$(grep -c event=reloaded '$work/milter.log') = $1 ]" || fail "no reload: $(tail -n 1 "$work/milter.log")"
}
printf 'From: alice@%s\nTo: carol@%s\nSubject: x\n\nx\n' "$org" "$partner" >"$work/mail.eml"

# send STATUS RCPT…: the driver's line in $line
send() {
	local expected=$1 args=
	shift
	for rcpt; do
		args="$args -r <$rcpt>"
	done
	line=$(drive -S "$sock" -f "${sender:-<alice@$org>}" -u "alice@$org" --qid Q1 $args "$work/mail.eml")
	want "send $*" $? "$expected"
}

# Without the option everything is said at the end.
reload 1
send 65 eve@strict.example
match "not asked for" "$line" '"stage":"E","code":550'

sed -i '/^milter = {/,/^}/s/^milter = {/milter = { refuse_at_rcpt = true;/' "$conf"
grep -q refuse_at_rcpt "$conf" || printf 'milter = { refuse_at_rcpt = true; };\n' >>"$conf"
reload 2
send 65 eve@strict.example
match "no certificate" "$line" '"stage":"R","code":550,"text":"550 5.7.1 [^"]*eve@strict.example[^"]*rule strict[^"]*Ask the helpdesk'
send 0 "carol@$partner" eve@strict.example
match "one of two" "$line" '"recipients":\["<carol@partner.example>"\]'
grep -q 'event=rcpt-refused rcpt=eve@strict.example rule=strict' "$work/milter.log" || fail "not in the log"

# Refused for all: whoever goes on without that recipient hears it again.
send 65 "carol@$partner" eve@all.example
match "refuse-all" "$line" '"stage":"E","code":550,"text":"550 5.7.1 [^"]*eve@all.example[^"]*rule all'

# In all other cases the end of the message decides.
send 0 eve@clear.example
send 0 eve@observed.example
send 65 eve@late.example
match "a rule about the subject comes first" "$line" '"stage":"E","code":550'
send 0 eve@wanted.example
send 75 eve@down.example
match "the directory is down" "$line" '"stage":"E","code":451'
sender="alice@$org" send 65 eve@strict.example
match "from sendmail(1)" "$line" '"stage":"E","code":550'
stop "$vault"
send 75 mallory@strict.example
match "the vault is down" "$line" '"stage":"E","code":451'
vault_up

# Too many who may need a copy: only with a port, and only those.
port=$(free_port)
printf 'port = { address = "inet:%s@127.0.0.1"; };\n' "$port" >>"$conf"
sed -i 's/refuse_at_rcpt = true;/refuse_at_rcpt = true; max_copies = 2;/' "$conf"
reload 3
line=$(drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid Q2 -r "<carol@$partner>" -r "<c2@$partner>" -r "<c3@$partner>" \
	-r "<bob@$org>" "$work/mail.eml")
match "one too many" "$line" '"recipients":\["<carol@partner.example>","<c2@partner.example>","<bob@example.org>"\]'
finish
