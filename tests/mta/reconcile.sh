#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The ledger against the log that a real Postfix wrote, as it is and doctored; and against lines as Sendmail writes them.
. "$(dirname "$0")/world.sh"
for need in postfix smtp-sink saslpasswd2; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
world
socket=unix:$W/sealgate/run/milter.sock
P=$W/postfix
postfix_up "$P" "mx_milters = $socket" "submission_milters = $socket" || exit 1
postfix_user "$P" alice@local.test pw || exit 1
mx=$(cat "$P/mx") submission=$(cat "$P/submission")
as_alice="--auth alice@local.test:pw"
letter alice@local.test carol@partner.test offer "the price" >"$W/offer"
letter alice@local.test bob@local.test lunch "at noon" >"$W/lunch"
sealed_for_alice sealed "only for alice" >"$W/sealed"
# shellcheck disable=SC2086
{
	check "alice to carol" send "$submission" alice@local.test carol@partner.test "$W/offer" $as_alice
	check "alice to bob" send "$submission" alice@local.test bob@local.test "$W/lunch" $as_alice
}
check "carol to alice" send "$mx" carol@partner.test alice@local.test "$W/sealed"
take "$P/sink" "$W/got"
take "$P/mail/alice@local.test/new" "$W/got"
take "$P/mail/bob@local.test/new" "$W/got"
check "opened" true
sleep 0.6 # outcomes and decisions are written a moment later

# One file, as a syslog with the milter's lines in it has it; the milter's own have other times, in RFC 3339.
cat "$P/maillog" "$W/run/milter.log" >"$W/log"
reconcile() {
	gate audit reconcile "$@" >"$W/out" 2>>"$W/checks.log"
}
number() {
	gate audit reconcile --json --log "$2" 2>>"$W/checks.log" | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}
check "all of it agrees" reconcile --log "$W/log"
cp "$W/out" "$W/agrees"
check "and says so" grep -q "^OK: " "$W/agrees"
check "in two files" reconcile --log "$P/maillog" --log "$W/run/milter.log"
check "as JSON" sh -c '"$@" | grep -q "\"ok\":true"' sh "$SEALGATE_BUILD/sealgate" -c "$conf" audit reconcile --json --log "$W/log"
same "every use is known" "$(number matched "$W/log")" "$(number uses "$W/log")"
check "there are uses" [ "$(number uses "$W/log")" -ge 3 ]
same "as many as the ledger has" "$(gate audit search --type intent --json | grep -cE '"event":"(sign|open)"')" \
	"$(number uses "$W/log")"
gzip -c "$W/log" >"$W/log.gz"
reconcile --log "$W/log.gz"
same "a compressed one is not taken for an empty one" 66 $?
check "by a pipe" sh -c 'gzip -dc "$1" | "$2" -c "$3" audit reconcile --log -' sh "$W/log.gz" "$SEALGATE_BUILD/sealgate" "$conf"

# --- doctored
qid=$(gate audit search --event open --type intent --json | sed -n 's/.*"qid":"\([^"]*\)".*/\1/p' | tail -n 1)
check "the queue id of what was opened" [ -n "$qid" ]
grep -v "$qid" "$P/maillog" >"$W/removed"
reconcile --log "$W/removed"
same "a message that the MTA did not see" 65 $?
check "is named" grep -q "open with key .* did not see: queue id $qid" "$W/out"
same "is one" 1 "$(number no-message "$W/removed")"
# the same message a day before: its queue id was used again, but not then
sed "/$qid/s/^[A-Z][a-z][a-z] [ 0-9][0-9]/$(LC_ALL=C date -d '2 days ago' '+%b %e')/" "$P/maillog" >"$W/shifted"
reconcile --log "$W/shifted"
same "another time" 65 $?
LC_ALL=C perl -MTime::Local -ne 'if (/^(\w{3} [ \d]\d [\d:]{8}) (.*)/s) { chomp($d = `date -d "$1 120 seconds" "+%b %e %T"`); print "$d $2" }' \
	"$P/maillog" >"$W/skewed"
if [ "$(date +%H%M)" -lt 2350 ]; then
	head -n 1 "$P/maillog" >"$W/skewed.log" # so that the time of the uses is in the log
	cat "$W/skewed" >>"$W/skewed.log"
	check "clocks two minutes apart" reconcile --log "$W/skewed.log"
	reconcile --skew 30 --log "$W/skewed.log"
	same "too far apart" 65 $?
fi

# --- a use that no message stands behind
check "a use by the operator's tool" sh -c '"$1" -c "$2" process --sender alice@local.test --user alice@local.test --rcpt bob@local.test <"$3" >/dev/null' \
	sh "$SEALGATE_BUILD/sealgate" "$conf" "$W/lunch"
letter nobody@elsewhere.test bob@local.test late "later" >"$W/late"
check "one more line in the log" send "$mx" nobody@elsewhere.test bob@local.test "$W/late"
sleep 1.2
take "$P/mail/bob@local.test/new" "$W/got"
reconcile --log "$P/maillog"
same "is found" 65 $?
check "and named" grep -q "sign with key" "$W/out"

# --- our log says more than the ledger
{
	cat "$W/log"
	date -u "+%Y-%m-%dT%H:%M:%SZ mx1 sealgate-milter[77]: info qid=4XyZ1AbCdzQ1 event=opened rcpt=bob@local.test rule=x copy=1"
} >"$W/more"
reconcile --until "$(date -u -d '1 hour' +%Y-%m-%dT%H:%M:%SZ)" --log "$W/more"
same "no decision" 65 $?
check "says which" grep -q "4XyZ1AbCdzQ1: our log says that a key was used" "$W/out"
same "is one too" 1 "$(number no-decision "$W/more")"

# --- what is no log
: >"$W/empty"
reconcile --log "$W/empty"
same "an empty one" 66 $?
reconcile --log "$W/none"
same "none" 66 $?
reconcile
same "not given" 64 $?
check "any bytes" sh -c '{ head -c 200000 /dev/urandom; echo; cat "$1"; } | "$2" -c "$3" audit reconcile --json --log - | grep -q "\"v\":1"' \
	sh "$W/log" "$SEALGATE_BUILD/sealgate" "$conf"

# --- Sendmail's lines, RFC 3339 as a new syslog writes them
now=$(date -u +%Y-%m-%dT%H:%M:%S.123456+00:00)
{
	sed -n '1p' "$P/maillog"
	gate audit search --type intent --json | sed -n 's/.*"qid":"\([^"]*\)".*/\1/p' | sort -u | while read -r qid; do
		echo "$now mx1 sm-mta[4711]: $qid: from=<a@x.test>, size=12, class=0, nrcpts=1, msgid=<1@x.test>, proto=ESMTP, daemon=MTA, relay=[127.0.0.1]"
		echo "$now mx1 sm-mta[4712]: $qid: to=<b@x.test>, delay=00:00:01, mailer=esmtp, pri=30, dsn=2.0.0, stat=Sent (OK)"
	done
} >"$W/sendmail.log"
same "all but the one without a message" 0 "$(number no-message "$W/sendmail.log")"
sed 's/sm-mta\[\([0-9]*\)\]: [^:]*:/sm-mta[\1]: 5AM6XlwB012345:/' "$W/sendmail.log" >"$W/sendmail.other"
check "other queue ids" [ "$(number no-message "$W/sendmail.other")" -ge 3 ]
finish
