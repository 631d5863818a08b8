#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copies through the port: real milter and vault, a port that does what a script says.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
[ -x "$builddir/fakesmtp" ] || skip "not built"

"$builddir/sealgate" init --dir "$dir" --domain "$org" >>"$work/tool.log" 2>&1 || fail "sealgate init"
own_users
vault_up
for name in alice bob; do
	gate key new "$name@$org" >/dev/null || fail "key new $name"
	staff_cert $name
done
for name in carol dave grace; do
	partner_cert $name "$name@$partner" rsa:2048
done
gate cert add --anchor "$work/ca.pem" >/dev/null || fail "cert add --anchor"
for name in carol dave grace; do
	gate cert add "$work/$name.pem" >/dev/null || fail "cert add $name"
done
eve=eve@nowhere.example
port=$(free_port)
cat >>"$conf" <<END
port = { address = "inet:$port@127.0.0.1"; };
rules = (
	{ name = "must"; header = "X-Rule: must"; sign = "required"; encrypt = "required"; if_missing = "refuse-recipient";
	  direction = "outbound"; }
);
END

script() {
	printf '%s\n' "$@" >"$work/script"
}

# port_up: a fresh one, its messages in port/
port_up() {
	rm -rf "$work/port"
	mkdir "$work/port"
	start fakesmtp "$builddir/fakesmtp" -s "$work/script" "$port" "$work/port"
	peer=$pid
	wait_for 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" 2>/dev/null || fail "the port did not start"
}

port_down() {
	stop "$peer"
}

# taken: how many messages the port has
taken() {
	ls "$work/port" 2>/dev/null | grep -c '\.env$'
}

# copy_for ADDRESS: the number of the message that the port took for it
copy_for() {
	grep -l "RCPT TO:<$1>" "$work/port"/*.env | sed 's/.*\/\([0-9]*\)\.env/\1/' | tr '\n' ' ' | sed 's/ $//'
}

# mail [HEADER…]: alice's in mail.eml, another one each time
serial=0
mail() {
	serial=$((serial + 1))
	{
		printf 'From: Alice <alice@%s>\n' "$org"
		for line; do
			printf '%s\n' "$line"
		done
		printf 'Subject: copies\nDate: Sun, 22 Nov 2026 00:00:00 +0000\nMessage-ID: <%d@%s>\n\nthe secret text\n' "$serial" "$org"
	} >"$work/mail.eml"
}

# send STATUS RCPT…: alice sends mail.eml; the driver's line in $line
send() {
	local expected=$1 args=
	shift
	for rcpt; do
		args="$args -r <$rcpt>"
	done
	line=$(drive -S "$sock" -f "<alice@$org>" -u "alice@$org" --qid "Q$serial" --helo client.example \
		--client-name client.example --client-addr 192.0.2.7 $more $args "$work/mail.eml")
	want "send $*" $? "$expected"
}

script ""
port_up
milter_up
mail "To: carol@$partner" "Cc: bob@$org"
more="--sender-args SIZE=400" send 0 "carol@$partner" "bob@$org"
match "two copies" "$line" '"discarded":true'
want "two copies: at the port" "$(taken)" 2
finish
