#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every recipient exactly, behind a real Postfix: {1, 2, 50 recipients} x {to, cc, bcc} x {same, mixed rules} x {all accepted, one refused
# by the port, port down, killed midway} x {direct, hop}, and the same behind Sendmail. After each message it is counted who got what, as
# OpenSSL sees it: nobody is missing, nobody has it twice, nobody has it otherwise than the rules say, and the sender has a report of
# exactly those who were refused.
# MATRIX="direct 2 bcc mixed killed" runs one cell, MATRIX="hop 50" all that begin so.
. "$(dirname "$0")/world.sh"
for need in postfix smtp-sink saslpasswd2; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
[ -x "$SEALGATE_BUILD/tally" ] || skip "tally is not built"

# --- the world: three services, one Postfix for both layouts, a proxy before its port

WORLD_EDIT='/^services = (/,/^);/d; /^rights = (/,/^);/d'
world 'services = (
  { name = "all"; role = "all"; socket = "unix:run/milter.sock"; socket_group = "postfix"; },
  { name = "gate"; role = "gate"; socket = "unix:run/gate.sock"; socket_group = "postfix"; },
  { name = "hop"; role = "all"; stamps = "check"; socket = "unix:run/hop.sock"; socket_group = "postfix"; }
);
rights = (
  { identity = "*"; from = "%l"; key = "own"; },
  { networks = "127.0.0.1"; from = "office@local.test"; key = "office@local.test"; }
);'
process_down "$W/run" milter
P=$W/postfix
run=$W/sealgate/run
mkdir -p "$P"
postfix_ports "$P" || exit 1
proxy_port=$(free_port)
sed -i "s/^rules = ( {/rules = (\\
  { name = \"signed-only\"; recipients = \"@signed.test\"; sign = \"required\"; },\\
  { name = \"in-the-clear\"; recipients = \"@clear.test\"; },\\
  { name = \"sealed\"; recipients = \"@sealed.test\"; sign = \"required\"; encrypt = \"required\"; }, {/" "$conf"
cat >>"$conf" <<-E
	port = {
	  address = "inet:$proxy_port@127.0.0.1"; user = "gate@localhost"; password_file = "port.password";
	};
	E
milter_user=$(sed -n '/^milter = {/,/^}/s/.*user = "\([^"]*\)".*/\1/p' "$conf")
install -m 400 -o "$milter_user" "$P/port.password" "$W/sealgate/port.password"
gate check >>"$W/checks.log" 2>&1 || { gate check; echo "FAILED: the configuration is refused"; exit 1; }

# service_up NAME
service_up() {
	ready_before=$(grep -c "event=ready service=$1" "$W/run/milter.log" 2>/dev/null)
	ready_before=${ready_before:-0}
	process_up "$W/run" "milter-$1" sh -c 'exec "$0" -c "$1" -s "$2" -f >>"$3" 2>&1' \
		"$SEALGATE_BUILD/sealgate-milter" "$conf" "$1" "$W/run/milter.log"
	wait_for 10 is_ready milter "ready service=$1" || { servers_fail "service $1 does not start"; bad=1; tail -n 20 "$W/run/milter.log"; ls -l "$run"; ps -eo pid,ppid,stat,wchan:20,args | grep "[s]ealgate-milter -c $W"; gdb -p "$(cat "$W/run/milter-$1.pid")" -batch -ex "thread apply all bt" 2>/dev/null | tail -40; finish; }
}

proxy_up() {
	process_up "$W/proxy" proxy "$SERVERS_LIB/port-proxy" "$proxy_port" "$(cat "$mta/reinject")" "$W/proxy/control"
	wait_port "$proxy_port"
}

proxy_down() {
	process_down "$W/proxy" proxy
}

mkdir -p "$W/proxy" "$W/many"
mta=$P
PKI_KEY=ec
pki_ca "$W/many" Many || exit 1
for name in $(seq 50) no; do
	[ "$name" = no ] || name=r$name
	pki_person "$W/many" "$name" "$name@sealed.test" || exit 1
done
gate cert add --anchor "$W/many/ca.pem" --domain sealed.test >>"$W/checks.log" 2>&1 &&
	gate cert add "$W"/many/r*.pem "$W/many/no.pem" >>"$W/checks.log" 2>&1 || { echo "FAILED: cert add"; exit 1; }
proxy_up
for name in all gate hop; do service_up $name; done
postfix_up "$P" "reinject_refuse = inline:{no@sealed.test=REJECT, no@signed.test=REJECT, no@clear.test=REJECT}" || exit 1
sed -i 's|smtpd_recipient_restrictions=permit_sasl|smtpd_recipient_restrictions=check_recipient_access,$reinject_refuse,permit_sasl|' \
	"$P/etc/master.cf"
postfix_user "$P" alice@local.test pw || exit 1
sink=$P/sink alice_box=$P/mail/alice@local.test/new
mkdir -p "$alice_box"
chown -R nobody "$P/mail"

# sendmail_begin: Sendmail in Postfix's place, with a port for copies that asks for no login
sendmail_begin() {
	mta=$W/sendmail
	mkdir -p "$mta"
	printf 'LOCAL_RULESETS\nSLocal_check_rcpt\nR$*\t\t$: $&{daemon_name} $| $1\n%s\n' \
		'RREINJECT $| <no@$*>		$#error $@ 5.1.1 $: "550 5.1.1 nobody here"' >"$mta/more.mc"
	sendmail_up "$mta" "$(cat "$P/sink.port")" "unix:$run/milter.sock" || return 1
	proxy_down
	proxy_up
	process_down "$W/run" milter-all
	sed -i 's/ user = "gate@localhost"; password_file = "port.password";//' "$conf"
	service_up all
}

# layout direct|hop|sendmail: how the MTA is set up; who writes
layout() {
	sender=alice@local.test login="--auth alice@local.test:pw" in=submission
	case $1 in
	direct)
		postfix_set "$P" "submission_milters = unix:$run/milter.sock" "front_filter =" "hop_milters =" \
			"reinject_override = no_unknown_recipient_checks,no_header_body_checks"
		;;
	hop)
		postfix_set "$P" "submission_milters = unix:$run/gate.sock" "front_filter = hop:[127.0.0.1]:@hop@" \
			"hop_milters = unix:$run/hop.sock" \
			"reinject_override = no_unknown_recipient_checks,no_header_body_checks,no_address_mappings"
		;;
	sendmail)
		sender=office@local.test login= in=port
		sendmail_begin
		;;
	esac
}

# --- one cell

# rcpts N MIX: the recipients, and what each is to get in the end, without regard to Bcc
rcpts() {
	seq "$1" | awk -v mix="$2" -v refused="$3" -v n="$1" '{
		k = mix == "same" ? 1 : $1 % 3
		name = refused && $1 == n ? "no" : "r" $1
		print name (k == 1 ? "@sealed.test sealed" : k == 2 ? "@signed.test signed" : "@clear.test clear")
	}'
}

# message WHERE < rcpts: the header names them in To:, in Cc:, or not at all
message() {
	message_list=$(awk '{ printf "%s%s", (NR > 1 ? ",\n " : ""), $1 }' "$W/rcpts")
	printf 'From: <%s>\nSubject: %s\nMessage-ID: <%s@local.test>\n' "$sender" "$token" "$token"
	case $1 in
	to) printf 'To: %s\n' "$message_list" ;;
	cc) printf 'To: <alice@local.test>\nCc: %s\n' "$message_list" ;;
	bcc) printf 'To: undisclosed-recipients:;\n' ;;
	esac
	printf 'MIME-Version: 1.0\nContent-Type: text/plain\n\nthe %s text\n' "$token"
}

# wanted WHERE [SKIP [TWICE]]: what tally should say; patterns of addresses that get it not at all, or two times
wanted() {
	awk -v where="$1" '
		{ kind[$1] = $2; n += $2 == "sealed"; order[NR] = $1 }
		END {
			for (i = 1; i <= NR; i++) {
				k = kind[order[i]]
				if (skip != "" && order[i] ~ skip)
					continue
				if (k == "sealed") k = where == "bcc" || n == 1 ? "own" : "group"
				print order[i], k
				if (twice != "" && order[i] ~ twice)
					print order[i], k
			}
		}' skip="${2:-}" twice="${3:-}" "$W/rcpts" | sort
}

send_cell() {
	# shellcheck disable=SC2046,SC2086
	"$SERVERS_LIB/smtp-send" --server "127.0.0.1:$(cat "$mta/$in")" --from "$sender" $login $(sed 's/ .*//; s/^/--to /' "$W/rcpts") "$W/message"
}

is_deferred() {
	postqueue -c "$P/etc" -j | grep -q '"queue_name": "deferred"'
}

is_idle() {
	postfix_is_idle "$P" && ! ls "$mta/queue" | grep -q '^[dq]f'
}

# sinks_are_complete: smtp-sink ends each file with an empty line, a moment after Postfix is told
sinks_are_complete() {
	for sink_file in "$sink"/*; do
		[ ! -f "$sink_file" ] || is_complete "$sink_file" || return 1
	done
}

# gather: where reports go to the sink as well, they are put where reports are looked for
gather() {
	[ "$layout" = sendmail ] || return 0
	for gather_file in $(grep -l "^X-Rcpt-Args: <$sender>" "$sink"/* 2>/dev/null); do
		mv "$gather_file" "$alice_box/"
	done
}

# after_trouble SERVICE HEAL…: what came of it, then HEAL, and the next try
after_trouble() {
	after_status=$1
	shift
	if [ "$layout" != hop ]; then
		same "$cell: the client keeps it" 75 "$after_status"
	else
		same "$cell: the queue takes it" 0 "$after_status"
		wait_for 20 is_deferred || trouble "the queue does not keep it"
	fi
	"$@"
	if [ "$layout" != hop ]; then
		send_cell >>"$W/checks.log"
		same "$cell: the next try" 0 $?
	else
		postqueue -c "$P/etc" -f
	fi
}

trouble() {
	echo "FAILED: $cell: $*"
	bad=1
}

# has_copies: more than one group of recipients, so the port is needed
has_copies() {
	[ "$n" -gt 1 ] && { [ "$mix" = mixed ] || [ "$where" = bcc ]; }
}

heal_killed() {
	service_up "$service"
}

# The log names those who may have it twice, and nobody else.
duplicates_are_explained() {
	duplicates=$(grep -h "event=maybe-duplicate" "$W/run/milter.log" | tail -n +"$((${duplicates_before:-0} + 1))" |
		sed 's/.* rcpt=\([^ ]*\) .*/\1/' | sort | tr '\n' ' ')
	[ "$duplicates" = "$(sed -n "s/\($twice[^ ]*\) .*/\1/p" "$W/rcpts" | tr '\n' ' ')" ] || trouble "said to be doubtful: $duplicates"
}

report_came() {
	gather
	has_file "$alice_box"
}

report_is_exact() {
	wait_for 20 report_came || { trouble "no report"; return; }
	report_refused=$(cat "$alice_box"/* | tr -d '\r' | sed -n 's/^Final-Recipient: rfc822; *//Ip' | sort | tr '\n' ' ')
	[ "$report_refused" = "$(sed -n 's/^\(no@[^ ]*\) .*/\1/p' "$W/rcpts") " ] || trouble "reported: $report_refused"
	rm -f "$alice_box"/*
}

cell() {
	layout=$1 n=$2 where=$3 mix=$4 fault=$5 cell="$*"
	case "$cell" in "${MATRIX:-}"*) ;; *) return 0 ;; esac
	[ "$layout" = hop ] && service=hop || service=all
	cells=$((${cells:-0} + 1)) token=token$((${cells}))x$$
	began=$(date +%s%N) bad_before=$bad skip_rcpt= twice=
	bad=0
	[ "$fault" = refused ] && rcpts "$n" "$mix" yes >"$W/rcpts" || rcpts "$n" "$mix" "" >"$W/rcpts"
	message "$where" >"$W/message"
	duplicates_before=$(grep -c "event=maybe-duplicate" "$W/run/milter.log")
	case $fault in
	down) proxy_down ;;
	doubt) echo doubt >"$W/proxy/control" ;;
	killed) has_copies && echo "2 $W/run/milter-$service.pid" >"$W/proxy/control" || process_down "$W/run" "milter-$service" ;;
	esac
	send_cell >>"$W/checks.log"
	status=$?
	case $fault in
	down)
		if has_copies; then after_trouble $status proxy_up; else proxy_up; fi
		;;
	killed)
		after_trouble $status heal_killed
		;;
	doubt)
		after_trouble $status true
		twice='^r1@'
		;;
	refused)
		if has_copies; then skip_rcpt='^no@'; fi
		same "$cell: accepted" 0 $status
		;;
	*)
		same "$cell: accepted" 0 $status
		;;
	esac >"$W/said"
	grep -v '^ok:' "$W/said"
	wait_for 60 is_idle || trouble "the queue is not empty"
	wait_for 10 sinks_are_complete
	gather
	# shellcheck disable=SC2046
	"$SEALGATE_BUILD/tally" "$W/many" "the $token text" $(ls "$sink"/* 2>/dev/null) | sort >"$W/got"
	wanted "$where" "$skip_rcpt" "$twice" >"$W/want"
	cmp -s "$W/want" "$W/got" || { trouble "who got what (< wanted, > got)"; diff "$W/want" "$W/got" | head -n 10; }
	[ -z "$skip_rcpt" ] || report_is_exact
	[ "$fault" != doubt ] || duplicates_are_explained
	! has_file "$alice_box" || { trouble "mail to the sender"; rm -f "$alice_box"/*; }
	rm -f "$sink"/* "$W/proxy/control"
	[ "$bad" != 0 ] || echo "ok: $cell ($((($(date +%s%N) - began) / 1000000)) ms)"
	[ "$bad_before" = 0 ] || bad=1
}

also=
if command -v m4 >/dev/null && sendmail_unpack >/dev/null; then also=sendmail; else echo "note: no Sendmail"; fi
bad=0 MATRIX=${MATRIX:-}
for one_layout in direct hop $also; do
	case "$MATRIX" in "" | "$one_layout"*) ;; *) continue ;; esac
	layout $one_layout || { echo "FAILED: $one_layout cannot be set up"; bad=1; break; }
	# Not of the matrix: the port took the first copy and its answer was lost. A duplicate, and the log says whose.
	cell $one_layout 2 to mixed doubt
	cell $one_layout 2 bcc same doubt
	for one_n in 1 2 50; do
		for one_where in to cc bcc; do
			for one_mix in same mixed; do
				# Behind Sendmail only what can differ: one recipient never needs the port, and Cc: is as To: is.
				case "$one_layout $one_n $one_where" in sendmail\ 1* | sendmail*cc) continue ;; esac
				for one_fault in accepted refused down killed; do
					cell $one_layout $one_n $one_where $one_mix $one_fault
				done
			done
		done
	done
done
check "the ledger verifies" gate audit verify
finish
